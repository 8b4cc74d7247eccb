"""Signals to processes of the sandbox, one by one or all."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import posix


def signal_group(pid: int, number: int) -> None:
    """Signal a process's group, or the process alone where it left its group."""
    try:
        posix.killpg(pid, number)
    except ProcessLookupError:
        posix.kill(pid, number)


def stop_everything() -> list[int]:
    """Stop every process; gives those that had been stopped before, by job control say."""
    stopped = [pid for pid in _all_pids() if _is_stopped(pid)]
    _signal_everything(_signal.SIGSTOP)
    return stopped


def continue_everything(stopped_before: list[int]) -> None:
    """Let every process go on, but for those that were stopped before."""
    # One by one: continued for however short a time, those would have gone on. All stand, so none is new.
    for pid in _all_pids():
        if pid not in stopped_before:
            try:
                posix.kill(pid, _signal.SIGCONT)
            except (ProcessLookupError, PermissionError):
                pass


def kill_everything() -> None:
    """End every process but this one."""
    _signal_everything(_signal.SIGKILL)


def _signal_everything(number: int) -> None:
    try:
        posix.kill(-1, number)
    except ProcessLookupError:
        pass


def _all_pids() -> list[int]:
    return [int(name) for name in posix.listdir("/proc") if name.isdigit() and name != "1"]


def _is_stopped(pid: int) -> bool:
    try:
        descriptor = posix.open(f"/proc/{pid}/stat", posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return False
    try:
        return posix.read(descriptor, 4096).rpartition(b")")[2].split()[0] == b"T"
    except OSError:
        return False
    finally:
        posix.close(descriptor)
