"""Who may do what: projects, roles and keys, by matrices generated from the schema."""
