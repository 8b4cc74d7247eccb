"""Sandboxes: their record, their life from intent to end."""
