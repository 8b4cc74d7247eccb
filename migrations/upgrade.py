"""Bring a database to a revision."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from commandcenter.database import driver_url


def alembic_config(database_url: str) -> Config:
    """Alembic's configuration for one database."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["database_url"] = driver_url(database_url)
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Upgrade to `revision`. Safe to run again, and by two processes at once (a lock lets one at a time)."""
    command.upgrade(alembic_config(database_url), revision)


def downgrade(database_url: str, revision: str) -> None:
    """Downgrade to `revision` (`base`: everything that we made is removed, data too)."""
    command.downgrade(alembic_config(database_url), revision)
