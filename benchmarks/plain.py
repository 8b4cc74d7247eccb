"""Running the plain server that the product is compared with."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from benchmarks import plain_server
from benchmarks.stack import running
from processes.child import ChildPlan
from processes.ports import require_free
from processes.readiness import answers

_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class PlainServer:
    """A running one."""

    address: str
    process_id: int


@asynccontextmanager
async def running_plain_server(
    database_url: str, project_id: UUID, frames: Path
) -> AsyncIterator[PlainServer]:
    """The plain server on a free port; it sends the lines of the file `frames`, read for each socket."""
    port = require_free(_HOST, 0)
    address = f"http://{_HOST}:{port}"
    plan = ChildPlan(
        name="plain server",
        command=(sys.executable, "-m", "benchmarks.plain_server"),
        environment={
            plain_server.PORT: str(port),
            plain_server.DATABASE: database_url,
            plain_server.PROJECT: str(project_id),
            plain_server.FRAMES: str(frames),
        },
        working_directory=Path(__file__).parent.parent,
        ready=answers(f"{address}/readyz"),
    )
    async with running(plan) as child:
        yield PlainServer(address, child.process_id)
