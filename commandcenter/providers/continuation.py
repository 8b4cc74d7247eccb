"""Output that can be had again after a break, in the way that a sandbox's provider offers.

Our runtime keeps output and replays it from an offset. E2B's cloud keeps nothing: there a program of ours in
the sandbox does (`commandcenter.providers.spool`).
"""

from collections.abc import Mapping, Sequence

from commandcenter.providers import acknowledgements as replayed
from commandcenter.providers import processes, spool
from commandcenter.providers.acknowledgements import Acknowledgement
from commandcenter.providers.attachments import Attachment
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
        keep_output=True,
    )


async def read_on(
    attachment: Attachment, *, tag: str, user: str | None, taken: Mapping[OutputStream, int]
) -> ProcessOutput:
    """Read on from a process that was started with `tag`, as `user`, from the bytes `taken` of each stream.

    The end is told also some time after it came. Raises `ProcessNotFoundError` where there is no trace of the
    process.
    """
    if attachment.continuation == "spool":
        return await spool.read_on(attachment, tag=tag, user=user, taken=taken)
    return await processes.connect(attachment, tag, taken=taken)


async def acknowledge(attachment: Attachment, acknowledgements: Sequence[Acknowledgement]) -> None:
    """Say what of up to 1,000 processes of a sandbox is stored: it need not be kept there any longer."""
    if attachment.continuation == "replay":
        await replayed.acknowledge(attachment, acknowledgements)
        return
    ended = [each for each in acknowledgements if each.ended]
    for user in {each.user for each in ended}:
        await spool.forget(attachment, [each.tag for each in ended if each.user == user], user)
