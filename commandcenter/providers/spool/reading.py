"""Reading on from a command whose live stream broke, from the bytes that were taken of it."""

import asyncio
from collections.abc import AsyncGenerator, Mapping

from commandcenter.errors import DomainError
from commandcenter.providers.attachments import Attachment
from commandcenter.providers.endings import Ended
from commandcenter.providers.errors import (
    OutputInterruptedError,
    ProcessNotFoundError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from commandcenter.providers.output import Missing, Output, OutputStream, RunningProcess
from commandcenter.providers.processes import connect, find
from commandcenter.providers.spool.events import Events, OutputEvents
from commandcenter.providers.spool.following import follow
from commandcenter.providers.spool.keeping import Kept, look
from commandcenter.providers.spool.marks import MarkedStream
from commandcenter.providers.spool.missing import next_kept

# After a command's end, its last output is on its way into the files for some milliseconds.
_LAST_OUTPUT_SECONDS = 3.0
_AGAIN_SECONDS = 0.05
_MOST_FRUITLESS_ROUNDS = 60

_OVERWRITTEN = "More was written while nobody could read it than the sandbox keeps, or its disk was full."
_NOT_KEPT = "The sandbox kept no output of this command; what was written while nobody read it is not known."
_CUT_OFF = "The last output could not be kept: the sandbox's disk was full, or its files were removed."


async def read_on(
    attachment: Attachment, *, tag: str, user: str | None, taken: Mapping[OutputStream, int]
) -> OutputEvents:
    """What the command with `tag` wrote after the bytes `taken` of each stream, and writes, and its end.

    Raises `ProcessNotFoundError` where it neither runs nor left anything behind.
    """
    try:
        kept = None if "pty" in taken else await look(attachment, tag, user)
    except ProviderRefusedError as error:
        # A sandbox that is full of processes takes no more; it may when one has ended.
        raise ProviderUnavailableError(error.message) from error
    if kept is not None:
        return KeptOutput(attachment, kept, tag, user, taken)
    return UnkeptOutput(await connect(attachment, tag), tag, taken)


class KeptOutput(OutputEvents):
    """What is kept of a command, from offsets on, and what it adds while it runs."""

    def __init__(
        self,
        attachment: Attachment,
        kept: Kept,
        tag: str,
        user: str | None,
        taken: Mapping[OutputStream, int],
    ) -> None:
        super().__init__(attachment, kept.pid)
        self._kept = kept
        self._tag = tag
        self._user = user
        self._taken = dict(taken)
        self._marked: dict[OutputStream, MarkedStream] = {}
        self._skipped: dict[OutputStream, Missing] = {}

    async def _read(self) -> Events:
        loop = asyncio.get_running_loop()
        fruitless, last_fruit = 0, loop.time()
        while not self._is_complete:
            before = dict(self._taken)
            self._skip_missing()
            async for output in self._follow():
                if output.stream in self._skipped:
                    yield self._skipped.pop(output.stream)
                yield output
            if self._taken != before:
                fruitless, last_fruit = 0, loop.time()
            elif self._kept.end is not None and loop.time() > last_fruit + _LAST_OUTPUT_SECONDS:
                break
            else:
                fruitless += 1
                await asyncio.sleep(_AGAIN_SECONDS)
            if not self._is_complete:
                await self._look_again(fruitless)
        for skipped in self._skipped.values():
            yield skipped
        for stream, marked in self._marked.items():
            if marked.end is None:
                yield Missing(stream, self._taken[stream], None, _CUT_OFF)
        end = self._kept.end or self._marked["stdout"].end
        if end is not None:
            yield end

    @property
    def _is_complete(self) -> bool:
        return bool(self._marked) and all(marked.end is not None for marked in self._marked.values())

    def _skip_missing(self) -> None:
        """Go on behind what is not kept; what is missing without a break is said as one, by what follows."""
        for stream, offset in self._taken.items():
            begin = next_kept(self._kept.pieces[stream], self._kept.piece_bytes, offset)
            if begin != offset:
                before = self._skipped.get(stream)
                first = before.from_offset if before is not None else offset
                self._skipped[stream] = Missing(stream, first, begin, _OVERWRITTEN)
                self._taken[stream] = begin

    async def _follow(self) -> AsyncGenerator[Output, None]:
        self._marked = {stream: MarkedStream(self._tag, begun=True) for stream in self._taken}
        try:
            process = await follow(self.attachment, self._kept, self._taken, self._user)
        except DomainError as error:
            raise _interrupted(error) from error
        async with process:
            async for event in process:
                if isinstance(event, Ended):
                    return
                own = self._marked[event.stream].take(event.data)
                if own:
                    self._taken[event.stream] += len(own)
                    yield Output(event.stream, own)
                if self._is_complete:
                    return

    async def _look_again(self, fruitless: int) -> None:
        """Note what is kept by now; raises `OutputInterruptedError` where no end will ever be seen."""
        try:
            running = await find(self.attachment, self._tag)
            kept = await look(self.attachment, self._tag, self._user)
        except DomainError as error:
            raise _interrupted(error) from error
        if kept is None:
            raise _interrupted(ProcessNotFoundError("What was kept of the command's output was removed."))
        if kept.end is None and running is None:
            raise _interrupted(ProcessNotFoundError("The command is gone, and nobody saw how it ended."))
        if fruitless > _MOST_FRUITLESS_ROUNDS:
            raise _interrupted(ProviderUnavailableError("What was kept of its output can't be read."))
        self._kept = kept


class UnkeptOutput(OutputEvents):
    """The live stream of a process of which nothing is kept: it goes on behind a gap of unknown size."""

    def __init__(self, process: RunningProcess, tag: str, taken: Mapping[OutputStream, int]) -> None:
        super().__init__(process.attachment, process.pid)
        self._process = process
        self._tag = tag
        self._taken = taken

    async def aclose(self) -> None:
        """Stop reading; the process goes on."""
        await super().aclose()
        await self._process.aclose()

    async def _read(self) -> Events:
        marked = {stream: MarkedStream(self._tag, begun=True) for stream in self._taken}
        for stream, offset in self._taken.items():
            yield Missing(stream, offset, None, _NOT_KEPT)
        async for event in self._process:
            if isinstance(event, Ended):
                seen = next((stream.end for stream in marked.values() if stream.end is not None), None)
                yield seen or event
                return
            own = marked[event.stream].take(event.data)
            if own:
                yield Output(event.stream, own)


def _interrupted(reason: DomainError) -> OutputInterruptedError:
    return OutputInterruptedError(
        f"The output broke off before the command's end was seen: {reason.message}", reason
    )
