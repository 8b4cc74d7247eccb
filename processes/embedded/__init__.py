"""The servers that `commandcenter up` brings along where none are given: PostgreSQL and Valkey."""
