"""How one sees that a process of ours is ready."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

READY_FILE_VARIABLE = "COMMANDCENTER_READY_FILE"
"""Names a file that a process without an address of its own writes its process id to once it is ready."""

_ANSWER_SECONDS = 2

Ready = Callable[[], Awaitable[bool]]


def answers(url: str) -> Ready:
    """Ready when a GET of `url` succeeds."""

    async def ready() -> bool:
        try:
            # Whatever proxy is configured, this is our own machine.
            async with httpx.AsyncClient(trust_env=False, timeout=_ANSWER_SECONDS) as client:
                return (await client.get(url)).is_success
        except httpx.HTTPError:
            return False

    return ready


def announced_in(file: Path) -> Ready:
    """Ready when `file` names a process that lives."""

    async def ready() -> bool:
        return _names_a_process(file)

    return ready


def _names_a_process(file: Path) -> bool:
    try:
        os.kill(int(file.read_text()), 0)
    except (OSError, ValueError):
        # Not there yet, or left by one that has died.
        return False
    return True


def announce() -> None:
    """Say that this process is ready, if somebody wants to know."""
    if file := os.environ.get(READY_FILE_VARIABLE):
        Path(file).write_text(str(os.getpid()))
