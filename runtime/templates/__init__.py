"""Templates: what they are called, how they are built, what is kept of them.

No HTTP here: `runtime.control_plane` asks. Sandboxes and layers are `runtime.host`'s.
"""
