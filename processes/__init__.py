"""The `commandcenter` command: it puts the parts together and starts, watches and stops each process.

No feature lives here.
"""
