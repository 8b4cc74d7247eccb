"""Files: looking at, changing and watching what a sandbox's file system holds.

Nothing of them is stored here but the events of changes; the provider has the files.
"""
