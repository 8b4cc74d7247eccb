"""Snapshots: what a sandbox's files were at a moment, kept to make others from."""
