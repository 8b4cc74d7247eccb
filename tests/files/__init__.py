"""Files, from the API down to the sandbox."""
