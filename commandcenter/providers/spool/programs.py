"""Running the small programs by which kept output is looked at, read on and removed."""

from collections.abc import Sequence

from commandcenter.providers.attachments import Attachment
from commandcenter.providers.output import RunningProcess
from commandcenter.providers.processes import start_program

# Bash in the same way always: nothing of the sandbox's own set-up is read, no function is taken over.
BASH = ("/bin/bash", "--noprofile", "--norc", "-p", "-c")
# What `/proc` shows as their name, and at which place among the arguments.
NAME = "commandcenter-spool"
NAME_PLACE = len(BASH) + 1


async def run_program(
    attachment: Attachment,
    program: str,
    arguments: Sequence[str],
    *,
    user: str | None,
    timeout_seconds: float | None,
) -> RunningProcess:
    """Run a bash program in the sandbox, as the user whose output it is about."""
    return await start_program(
        attachment,
        [*BASH, program, NAME, *arguments],
        cwd="/",
        user=user,
        timeout_seconds=timeout_seconds,
    )
