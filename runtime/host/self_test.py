"""Prove with a real sandbox, at the start, that the walls hold on this machine; or don't start."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from runtime.host.accounts import DEFAULT
from runtime.host.engine import Engine
from runtime.host.errors import MachineUnfitError
from runtime.host.record import SandboxRecord
from runtime.host.requests import SandboxRequest, new_record
from runtime.host.sandbox import Sandbox
from runtime.host.store import Store
from runtime.host.user_ids import UserIds
from runtime.launcher.namespaces import IDS_OF_A_SANDBOX
from runtime.settings import RuntimeSettings

PROBE = "/run/runtime/probe.pyc"
ANSWER_LIMIT = 1 << 16


async def run_self_test(
    settings: RuntimeSettings, engine: Engine, store: Store, user_ids: UserIds, python: str
) -> dict[str, bool]:
    """Which walls hold; `MachineUnfitError` says which don't."""
    request = SandboxRequest(
        template="base",
        lifetime=0,
        # The walls must hold where a network is given too.
        allow_internet_access=True if settings.network != "off" else None,
    )
    record = new_record(request, settings, user_ids.take())
    store.make(record)
    try:
        sandbox = await engine.start(record)
        walls = _seen_from_outside(record) | await _seen_from_inside(sandbox, python)
    finally:
        await engine.stop(record)
        store.remove(record.id)
        user_ids.give_back(record.user_id)
    broken = [name for name, holds in walls.items() if not holds]
    if broken:
        raise MachineUnfitError(
            f"Sandboxes would not be safe on this machine: {', '.join(broken)} failed the self-test. "
            "docs/runtime.md says what each needs. Nothing was started."
        )
    return walls


def _seen_from_outside(record: SandboxRecord) -> dict[str, bool]:
    """Inside, a sandbox's user always looks harmless: whether it is, shows from here."""
    if record.pid1 is None:
        return {"own_user": False}
    status = Path(f"/proc/{record.pid1.pid}/status").read_text()
    user_ids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
    first, count = (os.getuid(), 1) if record.user_id is None else (record.user_id, IDS_OF_A_SANDBOX)
    return {"own_user": first > 0 and all(first <= int(number) < first + count for number in user_ids)}


async def _seen_from_inside(sandbox: Sandbox, python: str) -> dict[str, bool]:
    read_end, write_end = os.pipe()
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        try:
            descriptors = {0: nothing, 1: write_end, 2: nothing}
            await sandbox.spawn([python, "-I", "-S", PROBE], descriptors=descriptors, account=DEFAULT)
        finally:
            os.close(write_end)
            os.close(nothing)
        text = await asyncio.to_thread(_read_all, read_end)
    finally:
        os.close(read_end)
    verdicts = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    if not verdicts:
        raise MachineUnfitError(f"The self-test could not run {python} in a sandbox.")
    return {name: verdict == "yes" for name, verdict in verdicts.items()}


def _read_all(descriptor: int) -> str:
    parts = []
    with suppress(OSError):
        while part := os.read(descriptor, ANSWER_LIMIT):
            parts.append(part)
    return b"".join(parts).decode(errors="replace")
