"""Alembic: how the database came to be as it is.

`upgrade(database_url)` brings it to the newest revision; `alembic` itself works with DATABASE_URL set.
"""
