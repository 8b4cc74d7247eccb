"""Providers: the errors against a server on the wire, the rest against the real runtime."""
