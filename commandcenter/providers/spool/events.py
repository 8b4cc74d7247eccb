"""What all of these streams have in common: they are a `ProcessOutput` around a generator of events."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self

from commandcenter.providers.attachments import Attachment
from commandcenter.providers.endings import Ended
from commandcenter.providers.output import Missing, Output

Events = AsyncGenerator[Output | Missing | Ended, None]


class OutputEvents(ABC):
    """A `ProcessOutput`: any number of `Output` and `Missing`, then one `Ended`; see `RunningProcess`."""

    def __init__(self, attachment: Attachment, pid: int) -> None:
        self.attachment = attachment
        self.pid = pid
        self._events = self._read()

    @abstractmethod
    def _read(self) -> Events:
        """The events; `OutputInterruptedError` where they break off before the end."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Output | Missing | Ended:
        return await anext(self._events)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop reading; the process goes on."""
        await self._events.aclose()
