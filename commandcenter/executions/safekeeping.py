"""Telling providers which output is stored, so that they need not keep it any longer.

What a provider keeps is what another process of ours reads on from, should this one die. A loud process
waits for these words; so they go out at once there, and a quiet one's only with its end, for many
executions of a sandbox together.
"""

import asyncio
from collections.abc import Mapping
from functools import partial

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from commandcenter.background import BackgroundTasks
from commandcenter.errors import DomainError
from commandcenter.executions.records import Execution
from commandcenter.providers import continuation
from commandcenter.providers.acknowledgements import Acknowledgement
from commandcenter.providers.attachments import Attachment
from commandcenter.providers.output import OutputStream

_log = structlog.get_logger()

# A fraction of what a provider keeps (1 MiB of each stream at ours), so that a process need not stand still.
WORTH_TELLING_BYTES = 192 * 1024
_GATHER_SECONDS = 0.25
_MOST_AT_ONCE = 500
_ATTEMPTS = 4


class Safekeeping:
    """One execution's stored output, told to its provider while it runs."""

    def __init__(self, background: BackgroundTasks, execution: Execution) -> None:
        self.attachment: Attachment | None = None
        self._background = background
        self._tag = str(execution.id)
        self._user = execution.user
        self._stored: Mapping[OutputStream, int] = {}
        self._told: Mapping[OutputStream, int] = {}
        self._telling: asyncio.Task[None] | None = None

    def note(self, stored: Mapping[OutputStream, int]) -> None:
        """So many bytes of each stream are stored."""
        self._stored = stored
        if self._is_worth_telling() and self._telling is None:
            self._telling = self._background.start(self._tell(), "tell-stored-output")

    async def _tell(self) -> None:
        try:
            while self._is_worth_telling():
                stored = self._stored
                await self._tell_once(stored)
                self._told = stored
        finally:
            self._telling = None

    async def _tell_once(self, stored: Mapping[OutputStream, int]) -> None:
        # The attachment is asked for anew at each attempt: after a pause there is another.
        async for attempt in _attempts():
            with attempt:
                if self.attachment is not None:
                    told = Acknowledgement(self._tag, self._user, stored)
                    await continuation.acknowledge(self.attachment, [told])

    def _is_worth_telling(self) -> bool:
        return sum(self._stored.values()) - sum(self._told.values()) >= WORTH_TELLING_BYTES


class RecordedEnds:
    """Ends that are recorded, told to the providers some at a time."""

    def __init__(self, background: BackgroundTasks) -> None:
        self._background = background
        self._waiting: dict[str, tuple[Attachment, list[Acknowledgement]]] = {}

    def note(self, attachment: Attachment, execution: Execution, taken: Mapping[OutputStream, int]) -> None:
        """The end of an execution, and all of its output, is in the database."""
        sandbox = attachment.details.sandbox_id
        if sandbox not in self._waiting:
            self._waiting[sandbox] = (attachment, [])
            asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._send, sandbox)
        ends = self._waiting[sandbox][1]
        ends.append(Acknowledgement(str(execution.id), execution.user, taken, ended=True))
        if len(ends) >= _MOST_AT_ONCE:
            self._send(sandbox)

    def _send(self, sandbox: str) -> None:
        attachment, ends = self._waiting.pop(sandbox, (None, []))
        if attachment is not None:
            self._background.start(_tell_ends(attachment, ends), "tell-recorded-ends")


async def _tell_ends(attachment: Attachment, ends: list[Acknowledgement]) -> None:
    try:
        async for attempt in _attempts():
            with attempt:
                await continuation.acknowledge(attachment, ends)
    except DomainError as error:
        # The sandbox may be gone. Otherwise its provider keeps what nobody wants, within its own bounds.
        _log.info("executions.ends_not_told", sandbox=attachment.details.sandbox_id, error=error.message)


_attempts = partial(
    AsyncRetrying,
    retry=retry_if_exception_type(DomainError),
    stop=stop_after_attempt(_ATTEMPTS),
    wait=wait_exponential(multiplier=0.1, max=2.0),
    reraise=True,
)
