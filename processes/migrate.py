"""`commandcenter migrate`: bring the database to what this version needs."""

from alembic.util.exc import CommandError

from migrations.upgrade import upgrade
from processes.errors import StartError


def migrate(database_url: str) -> None:
    """Run what is missing of the migrations. It waits while another process migrates."""
    try:
        upgrade(database_url)
    except CommandError as error:
        raise StartError(
            f"The database cannot be migrated: {error}. If a later version of CommandCenter has migrated it "
            "already, run that version."
        ) from error
