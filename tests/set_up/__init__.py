"""Setting up on a bare machine."""
