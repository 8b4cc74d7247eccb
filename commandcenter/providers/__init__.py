"""Where sandboxes live: every provider, local or cloud, through the unmodified `e2b` package.

A provider is an account (name, kind, connection), never a class of its own. Nothing here knows a database.
"""
