"""How processes and sandboxes ended, in a provider's words."""

import re
import signal
from dataclasses import dataclass
from typing import Literal

from e2b.envd.process.process_pb import ProcessEvent

EndReason = Literal["KILLED", "EXPIRED", "OUT_OF_MEMORY", "CRASHED"]
"""Why a sandbox ended, as our runtime tells it."""

# E2B's agent is written in Go and reports signals by Go's names for them.
_GO_SIGNAL_NAMES = {
    "hangup": signal.SIGHUP,
    "interrupt": signal.SIGINT,
    "quit": signal.SIGQUIT,
    "illegal instruction": signal.SIGILL,
    "trace/breakpoint trap": signal.SIGTRAP,
    "aborted": signal.SIGABRT,
    "bus error": signal.SIGBUS,
    "floating point exception": signal.SIGFPE,
    "killed": signal.SIGKILL,
    "user defined signal 1": signal.SIGUSR1,
    "segmentation fault": signal.SIGSEGV,
    "user defined signal 2": signal.SIGUSR2,
    "broken pipe": signal.SIGPIPE,
    "alarm clock": signal.SIGALRM,
    "terminated": signal.SIGTERM,
    "CPU time limit exceeded": signal.SIGXCPU,
    "file size limit exceeded": signal.SIGXFSZ,
    "virtual timer expired": signal.SIGVTALRM,
    "profiling timer expired": signal.SIGPROF,
    "I/O possible": signal.SIGIO,
    "power failure": signal.SIGPWR,
    "bad system call": signal.SIGSYS,
}
_BY_SIGNAL = re.compile(r"signal: (?P<name>.+?)(?: \(core dumped\))?$")
_BY_EXIT = re.compile(r"exit status -?\d+$")


@dataclass(frozen=True, slots=True)
class Ended:
    """The seen end of a process: it exited by itself, or a signal ended it, or its time was up.

    Exactly one of `exit_code` and `signal` (such as "SIGKILL") is set, unless the provider did not tell:
    `timed_out` says that it ended the process at its deadline. `error` holds what else it said.
    """

    exit_code: int | None
    signal: str | None = None
    error: str | None = None
    timed_out: bool = False


def ended(event: ProcessEvent.EndEvent) -> Ended:
    """The end that the provider reports."""
    words = event.error if event.has_field("error") else None
    by_signal = _BY_SIGNAL.match(event.status) or _BY_SIGNAL.match(words or "")
    if by_signal:
        return Ended(exit_code=None, signal=_signal_name(by_signal["name"]))
    if event.exit_code < 0:
        return Ended(exit_code=None, error=words or event.status or "The provider did not say how it ended.")
    said_more = words and not _BY_EXIT.match(words)
    return Ended(exit_code=event.exit_code, error=words if said_more else None)


def _signal_name(name: str) -> str:
    known = _GO_SIGNAL_NAMES.get(name)
    if known:
        return known.name
    number = re.fullmatch(r"signal (\d+)", name)
    return f"SIG{number[1]}" if number else name
