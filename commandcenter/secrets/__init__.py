"""Secrets of projects: encrypted at rest, given to commands by name, masked in everything that is stored."""
