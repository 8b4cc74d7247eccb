"""The embedded sandbox host: a server that speaks E2B's protocol on one Linux machine.

A program of its own: it knows nothing of CommandCenter.
"""
