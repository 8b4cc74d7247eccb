"""What a GraphQL field does: check access, call the domain, load in batches.

No SQL and no business rule belongs here: those are commandcenter/'s.
"""
