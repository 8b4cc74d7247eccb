"""Who may do what: roles, scopes, and how a secret becomes a scope.

Keys themselves are the subject of commandcenter/keys.
"""
