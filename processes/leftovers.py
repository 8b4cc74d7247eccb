"""What an earlier start left behind: a record of each child, so that a later start can end it."""

import asyncio
import json
import os
import signal
from contextlib import suppress
from pathlib import Path


class ChildRecord:
    """The file that says which process a child is, precise enough never to take another for it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, process_id: int, stop_signal: signal.Signals) -> None:
        """Write down that the child runs as `process_id`, and which signal asks it to end."""
        started = _started_ticks(process_id)
        if started is not None:
            self._path.write_text(json.dumps([process_id, started, _boot_id(), stop_signal.value]))

    def forget(self) -> None:
        """The child has ended."""
        self._path.unlink(missing_ok=True)

    async def end(self, grace_seconds: float) -> None:
        """End the process on record if it still runs; killed when it does not within `grace_seconds`."""
        with suppress(OSError, ValueError):
            process_id, started, boot_id, stop_signal = json.loads(self._path.read_text())
            # Held before it is looked at, so that its number cannot come to mean another process.
            handle = os.pidfd_open(process_id)
            try:
                if (started, boot_id) == (_started_ticks(process_id), _boot_id()):
                    signal.pidfd_send_signal(handle, stop_signal)
                    if not await _ends_within(handle, grace_seconds):
                        signal.pidfd_send_signal(handle, signal.SIGKILL)
                        await _ends_within(handle, grace_seconds)
            finally:
                os.close(handle)
        self.forget()


async def _ends_within(handle: int, seconds: float) -> bool:
    """Whether the process behind a pidfd, which is readable once it has ended, ends in time."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(handle)
    return True


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _started_ticks(process_id: int) -> int | None:
    """When a process started, in clock ticks since boot; None if there is none, or only its remains."""
    try:
        # The name in parentheses may hold anything, spaces too: the fields are counted behind it.
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])
