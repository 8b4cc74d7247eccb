"""What a sandbox may reach outside, and the proxy that takes it there.

Knows addresses, names and connections; what a sandbox is, and how its requests come in, others know.
"""
