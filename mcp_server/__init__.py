"""The MCP server: a client of the GraphQL API for assistants.

It knows neither the domain nor the database.
"""
