"""The GraphQL protocols: HTTP, WebSocket, event streams; their limits and their errors.

What a field means is `schema/` and `resolvers/`; nothing here knows a field by name.
"""
