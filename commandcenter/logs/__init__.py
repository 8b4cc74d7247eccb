"""Logs: output as exact byte chunks, stored before shown."""
