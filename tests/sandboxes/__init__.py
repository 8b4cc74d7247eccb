"""Sandboxes through the API: made, listed, paused, resumed, extended, ended, on time."""
