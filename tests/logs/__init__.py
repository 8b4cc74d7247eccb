"""Output through the API: exact, resumable, whatever is killed; and its pure parts."""
