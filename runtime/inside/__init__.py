"""What runs inside a sandbox: lean programs on C modules alone, bound read-only at /run/runtime.

They are compiled and copied out by `runtime.host.staging`; nothing here imports anything of the host's.
"""
