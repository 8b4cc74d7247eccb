"""Snapshots: what files were at a moment."""
