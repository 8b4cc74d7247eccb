"""The command-line client of the GraphQL API.

It knows neither the domain nor the database.
"""
