"""Row-level security for project tables: the second wall between projects.

Forced, so that it binds the tables' owner too. `Database.transaction` sets the project, and
`Database.system_transaction` the mark of our own schedules; without either nothing is visible.
"""

from alembic import op

_POLICY = "project_isolation"


def enable_row_level_security(table: str, *, project_column: str = "project_id") -> None:
    """Let a transaction see and write only the rows of the project that it was opened for."""
    condition = (
        f"{project_column} = NULLIF(current_setting('commandcenter.project_id', true), '')::uuid "
        "OR current_setting('commandcenter.system', true) = 'on'"
    )
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY {_POLICY} ON {table} USING ({condition}) WITH CHECK ({condition})")


def disable_row_level_security(table: str) -> None:
    """Take back what `enable_row_level_security` did."""
    op.execute(f"DROP POLICY {_POLICY} ON {table}")
    op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
