"""A small process beside the runtime that starts bubblewrap: forking it is quick, forking the runtime is not.

Programs of the host, not of a sandbox. As root it makes the namespaces and the idmapped mounts that a
sandbox starts in, and gives up root before bubblewrap runs.
"""
