"""The web process: protocols, limits, sign-in, playground."""
