"""Layers: immutable trees of files below sandboxes; how they are copied, merged, kept and removed.

Nothing here knows what a sandbox, a snapshot or a template is: they say which layers they use.
"""
