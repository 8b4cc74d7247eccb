"""Events: the audit trail; every change of state writes one in its own transaction."""
