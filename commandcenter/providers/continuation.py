"""Output that can be had again after a break, in the way that a sandbox's provider offers.

Our runtime keeps output and replays it from an offset. E2B's cloud keeps nothing: there a program of ours in
the sandbox does (`commandcenter.providers.spool`).
"""

from collections.abc import Mapping

from commandcenter.providers import processes, spool
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
    if attachment.continuation == "spool" and pty is None and command is not None:
        return await spool.start(
            attachment,
            command=command,
            cwd=cwd,
            envs=envs,
            user=user,
            stdin=stdin,
            timeout_seconds=timeout_seconds,
            tag=tag,
        )
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
    )


async def read_on(
    attachment: Attachment, *, tag: str, pid: int | None, user: str | None, taken: Mapping[OutputStream, int]
) -> ProcessOutput:
    """Read on from a process that was started with `tag`, as `user`, from the bytes `taken` of each stream.

    `pid` is looked up where it is not known. The end is told also some time after it came. Raises
    `ProcessNotFoundError` where there is no trace of the process.
    """
    if attachment.continuation == "spool":
        return await spool.read_on(attachment, tag=tag, pid=pid, user=user, taken=taken)
    number = pid if pid is not None else await processes.find(attachment, tag)
    if number is None:
        raise ProcessNotFoundError(f"No process with the tag {tag} runs in the sandbox.")
    return await processes.connect(attachment, number, taken=taken)


async def forget(attachment: Attachment, *, tag: str, user: str | None) -> None:
    """Remove what is kept of a process, as its end is recorded; that there is nothing is no error."""
    if attachment.continuation == "spool":
        await spool.forget(attachment, tag, user)
