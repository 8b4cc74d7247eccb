"""Files in sandboxes."""
