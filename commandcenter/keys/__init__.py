"""API keys: hashed, with a role, an expiry and a last use."""
