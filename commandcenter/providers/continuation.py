"""Output that can be had again after a break, in the way that a sandbox's provider offers.

Our runtime keeps output and replays it from an offset. E2B's cloud keeps nothing: there a program of ours in
the sandbox does (`commandcenter.providers.spool`).
"""

from collections.abc import Mapping, Sequence

from commandcenter.providers import processes
from commandcenter.providers.acknowledgements import Acknowledgement, tell
from commandcenter.providers.attachments import Attachment
from commandcenter.providers.errors import ProcessNotFoundError
from commandcenter.providers.output import OutputStream, ProcessOutput
from commandcenter.providers.processes import PtySize


async def start(
    attachment: Attachment,
    *,
    command: str | None,
    cwd: str | None,
    envs: Mapping[str, str],
    user: str | None,
    stdin: bool,
    pty: PtySize | None,
    timeout_seconds: float | None,
    tag: str,
) -> ProcessOutput:
    """Run a command as `processes.start` does, so that `read_on` can find its output again by `tag`."""
    return await processes.start(
        attachment,
        command=command,
        cwd=cwd,
        envs=envs,
        user=user,
        stdin=stdin,
        pty=pty,
        timeout_seconds=timeout_seconds,
        tag=tag,
        keep_output=True,
    )


async def read_on(
    attachment: Attachment, *, tag: str, user: str | None, taken: Mapping[OutputStream, int]
) -> ProcessOutput:
    """Read on from a process that was started with `tag`, as `user`, from the bytes `taken` of each stream.

    The end is told also after it came, until `acknowledge` was told that it is stored. Raises
    `ProcessNotFoundError` where there is no trace of the process.
    """
    if attachment.continuation == "spool":
        raise ProcessNotFoundError("Its provider keeps no output that was not read.")
    return await processes.connect(attachment, tag, taken=taken)


async def find(attachment: Attachment, tag: str) -> int | None:
    """The number of the running process that was started with `tag`; None where none runs."""
    found = (process.pid for process in await processes.list_processes(attachment) if process.tag == tag)
    return next(found, None)


async def acknowledge(attachment: Attachment, acknowledgements: Sequence[Acknowledgement]) -> None:
    """Say what is stored here for good, for some processes of a sandbox, so that it may go there."""
    if attachment.continuation == "replay":
        await tell(attachment, acknowledgements)
