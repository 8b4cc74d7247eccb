"""Projects: whose sandboxes, keys and limits these are."""
