"""Starting a command whose output is kept in its sandbox."""

from collections.abc import Mapping

from commandcenter.providers.attachments import Attachment
from commandcenter.providers.endings import Ended
from commandcenter.providers.output import Missing, Output, OutputStream, RunningProcess
from commandcenter.providers.processes import start_program
from commandcenter.providers.spool.events import Events, OutputEvents
from commandcenter.providers.spool.keeping import look
from commandcenter.providers.spool.marks import MarkedStream
from commandcenter.providers.spool.programs import BASH, NAME
from commandcenter.providers.spool.reading import KeptOutput
from commandcenter.providers.spool.wrapper import WRAPPER

_PIECES = 16
_SMALLEST_PIECE = 4096
# The program in the sandbox ends the command at its deadline; the provider ends that program, should it hang.
_PROVIDER_WAITS_SECONDS = 10.0
_ENDED_WITH_IT = (
    "What passed the output on was ended with the command; the last of it may not have come through."
)


async def start(
    attachment: Attachment,
    *,
    command: str,
    cwd: str | None,
    envs: Mapping[str, str],
    user: str | None,
    stdin: bool,
    timeout_seconds: float | None,
    tag: str,
) -> "SpooledProcess":
    """Run `command` by `/bin/bash -l -c`; the last `attachment.spool_bytes` of each stream are kept by `tag`.

    Output, signals and exit codes are those of the command. At `timeout_seconds` its process group is ended.
    """
    piece = max(_SMALLEST_PIECE, attachment.spool_bytes // _PIECES)
    deadline = f"{timeout_seconds:.3f}" if timeout_seconds else ""
    process = await start_program(
        attachment,
        [*BASH, WRAPPER, NAME, tag, str(piece), str(_PIECES), deadline, command],
        cwd=cwd,
        envs=envs,
        user=user,
        stdin=stdin,
        timeout_seconds=timeout_seconds + _PROVIDER_WAITS_SECONDS if timeout_seconds else None,
        tag=tag,
    )
    return SpooledProcess(process, tag, user)


class SpooledProcess(OutputEvents):
    """The live stream without its marks; what it did not bring comes from what was kept."""

    def __init__(self, process: RunningProcess, tag: str, user: str | None) -> None:
        super().__init__(process.attachment, process.pid)
        self._process = process
        self._tag = tag
        self._user = user

    async def aclose(self) -> None:
        """Stop reading; the process goes on."""
        await super().aclose()
        await self._process.aclose()

    async def _read(self) -> Events:
        marked: dict[OutputStream, MarkedStream] = {
            "stdout": MarkedStream(self._tag, begun=False),
            "stderr": MarkedStream(self._tag, begun=False),
        }
        taken: dict[OutputStream, int] = {"stdout": 0, "stderr": 0}
        async for event in self._process:
            match event:
                case Output(stream=stream, data=data):
                    own = marked[stream].take(data)
                    if own:
                        taken[stream] += len(own)
                        yield Output(stream, own)
                case Ended():
                    async for last in self._last(event, marked, taken):
                        yield last
                    return

    async def _last(
        self,
        told: Ended,
        marked: Mapping[OutputStream, MarkedStream],
        taken: Mapping[OutputStream, int],
    ) -> Events:
        """The command's own end, after what the provider did not wait for.

        It is the one that the provider told where nothing else is known.
        """
        end = marked["stdout"].end
        if end is not None and marked["stderr"].end is not None:
            yield end
            return
        kept = await look(self.attachment, self._tag, self._user)
        if kept is None or kept.end is None:
            for stream in marked:
                yield Missing(stream, taken[stream], None, _ENDED_WITH_IT)
            yield told
            return
        async with KeptOutput(self.attachment, kept, self._tag, self._user, taken) as rest:
            async for event in rest:
                yield event
