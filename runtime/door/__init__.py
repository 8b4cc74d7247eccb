"""The door: how connections come in, and what is asked of each before any of the planes sees it."""
