"""A runtime that serves nobody else, in a temporary folder and on a free port."""

import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from e2b import E2B

from benchmarks.stack import FOREIGN, running, temporary_folder
from processes.child import ChildPlan
from processes.ports import require_free
from processes.readiness import answers

_HOST = "127.0.0.1"
_STOP_SECONDS = 60
_REPOSITORY = Path(__file__).parent.parent.parent


@dataclass(frozen=True, slots=True)
class RuntimeAlone:
    """A running runtime: its port, its process, its folder, and E2B's SDK bound to it."""

    port: int
    process_id: int
    state: Path
    client: E2B
    key: str

    async def ask(self, path: str) -> dict[str, Any]:
        """What one of the runtime's own endpoints says."""
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://{_HOST}:{self.port}{path}", headers={"X-API-Key": self.key})
            answered: dict[str, Any] = answer.raise_for_status().json()
            return answered


@asynccontextmanager
async def running_runtime(**settings: object) -> AsyncIterator[RuntimeAlone]:
    """Start a runtime with these settings (`warm_sandboxes=0` is RUNTIME_WARM_SANDBOXES), and stop it."""
    with temporary_folder() as folder:
        port, key = require_free(_HOST, 0), secrets.token_hex(16)
        address = f"http://{_HOST}:{port}"
        plan = ChildPlan(
            name="runtime",
            command=(sys.executable, "-P", "-m", "runtime"),
            environment={
                **{name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)},
                "PYTHONPATH": str(_REPOSITORY),
                "RUNTIME_STATE_DIRECTORY": str(folder / "state"),
                "RUNTIME_PORT": str(port),
                "RUNTIME_API_KEY": key,
                **{f"RUNTIME_{name.upper()}": str(value) for name, value in settings.items()},
            },
            ready=answers(f"{address}/health"),
            grace_seconds=_STOP_SECONDS,
        )
        async with running(plan) as child:
            client = E2B(api_key=key, api_url=address, sandbox_url=address)
            yield RuntimeAlone(port, child.process_id, folder / "state", client, key)
