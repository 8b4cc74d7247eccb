import pytest
from e2b.envd.process.process_pb import ProcessEvent

from commandcenter.providers.endings import Ended, ended


@pytest.mark.parametrize(
    ("code", "status", "error", "expected"),
    [
        (0, "exit status 0", None, Ended(0)),
        (3, "exit status 3", "exit status 3", Ended(3)),
        (-1, "signal: killed", "signal: killed", Ended(None, "SIGKILL")),
        (-1, "signal: segmentation fault (core dumped)", None, Ended(None, "SIGSEGV")),
        (-1, "signal: signal 34", None, Ended(None, "SIG34")),
        (-1, "", "signal: terminated", Ended(None, "SIGTERM")),
        (0, "exit status 0", "waiting for output failed", Ended(0, error="waiting for output failed")),
        (-1, "", None, Ended(None, error="The provider did not say how it ended.")),
    ],
)
def test_an_ending_says_what_was_seen_and_no_more(
    code: int, status: str, error: str | None, expected: Ended
) -> None:
    event = ProcessEvent.EndEvent(exit_code=code, exited=code >= 0, status=status, error=error)
    assert ended(event) == expected
