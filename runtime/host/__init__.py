"""Sandboxes on this machine: what they are made of, how they start, live and end. Knows no HTTP."""
