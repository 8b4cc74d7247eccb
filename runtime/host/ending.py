"""How a process ended."""

import os
import signal
from dataclasses import dataclass


@dataclass(frozen=True)
class Ending:
    """How a process ended, in the words of Go's `ProcessState`, which E2B's clients know."""

    exit_code: int
    exited: bool
    status: str
    error: str | None

    @classmethod
    def of(cls, wait_status: int) -> "Ending":
        """What the kernel says; a signal gives the exit code -1."""
        if os.WIFEXITED(wait_status):
            code = os.WEXITSTATUS(wait_status)
            status = f"exit status {code}"
            return cls(code, True, status, status if code else None)
        status = f"signal: {SIGNAL_WORDS.get(os.WTERMSIG(wait_status), f'signal {os.WTERMSIG(wait_status)}')}"
        if os.WCOREDUMP(wait_status):
            status += " (core dumped)"
        return cls(-1, False, status, status)


def _signal_words() -> dict[int, str]:
    """Go's names of signals: C's words, in small letters."""
    words = {}
    for number in signal.valid_signals():
        text = signal.strsignal(number)
        if text:
            words[int(number)] = text.lower()
    return words | {signal.SIGABRT: "aborted", signal.SIGTRAP: "trace/breakpoint trap"}


SIGNAL_WORDS = _signal_words()
