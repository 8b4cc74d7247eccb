"""The GraphQL types, inputs, enums and payloads: declarations, each field described.

What a field does belongs in resolvers/.
"""
