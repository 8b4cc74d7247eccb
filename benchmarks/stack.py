"""The product as its users start it, `commandcenter up`, in a temporary home and on free ports."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from processes.child import Child, ChildPlan
from processes.embedded.postgresql import EmbeddedPostgresql
from processes.home import open_home
from processes.ports import require_free
from processes.readiness import answers

_HOST = "127.0.0.1"
# What would make the stack use something of the caller's rather than bring its own.
FOREIGN = ("COMMANDCENTER_", "RUNTIME_", "E2B_", "DATABASE_URL", "REDIS_URL")
_READY_SECONDS = 60
_STOP_SECONDS = 40
_LOG_LINES, _LOG_CHARACTERS = 40, 500


@dataclass(frozen=True, slots=True)
class Stack:
    """A running product: where its parts are, and the process that all the others descend from."""

    address: str
    key: str
    database_url: str
    runtime_address: str
    runtime_key: str
    home: Path
    process_id: int

    def process_of(self, name: str) -> int:
        """The process id of a part, such as `web`."""
        return int(json.loads((self.home / "running" / f"{name}.json").read_text())[0])


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is gone at the end; open, as servers and sandboxes run as other users for root."""
    with tempfile.TemporaryDirectory(prefix="commandcenter-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


class Discarded:
    """What the stack says is kept in its logs; here only the last lines count, if it does not start."""

    def write(self, data: bytes) -> None:
        """Drop it."""


@asynccontextmanager
async def running_stack() -> AsyncIterator[Stack]:
    """Start everything, and stop it at the end."""
    with temporary_folder() as folder:
        home = folder / "home"
        port, runtime_port = require_free(_HOST, 0), require_free(_HOST, 0)
        address = f"http://{_HOST}:{port}"
        plan = ChildPlan(
            name="commandcenter",
            command=(sys.executable, "-P", "-m", "processes", "up"),
            environment={
                **{name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)},
                "COMMANDCENTER_HOME": str(home),
                "COMMANDCENTER_PORT": str(port),
                "RUNTIME_PORT": str(runtime_port),
            },
            ready=answers(f"{address}/readyz"),
            ready_seconds=_READY_SECONDS,
            grace_seconds=_STOP_SECONDS,
        )
        with _telling_logs(home / "logs"):
            async with running(plan) as child:
                yield Stack(
                    address=address,
                    key=(home / "admin.key").read_text().strip(),
                    database_url=EmbeddedPostgresql(open_home(home)).url(),
                    runtime_address=f"http://{_HOST}:{runtime_port}",
                    runtime_key=(home / "runtime.key").read_text().strip(),
                    home=home,
                    process_id=child.process_id,
                )


@contextmanager
def _telling_logs(folder: Path) -> Iterator[None]:
    """Where a measurement fails, show the end of the logs before the home is gone."""
    try:
        yield
    except Exception:
        for log in sorted(folder.glob("*.log")):
            end = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
            print(f"--- {log.name}", *(line[:_LOG_CHARACTERS] for line in end), sep="\n", file=sys.stderr)
        raise


@asynccontextmanager
async def running(plan: ChildPlan) -> AsyncIterator[Child]:
    """A child process for as long as the block runs."""
    child = Child(plan, Discarded())
    await child.start()
    try:
        await child.wait_until_ready()
        yield child
    finally:
        await child.stop(asyncio.Event())
