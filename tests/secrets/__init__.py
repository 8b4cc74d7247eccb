"""Secrets: encrypted at rest, given by name, masked in whatever is stored."""
