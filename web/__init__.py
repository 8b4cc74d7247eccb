"""The Starlette application: GraphQL, sign-in, file transfer, health, metrics, playground.

What a field does belongs in resolvers/.
"""
