"""Telling a provider what of a process's output, and whether its end, is stored here for good.

Our runtime keeps both until then (`POST /runtime/acknowledgements`, see docs/runtime.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from commandcenter.providers.attachments import Attachment
from commandcenter.providers.mapping import Subject
from commandcenter.providers.output import OutputStream

_PATH = "/runtime/acknowledgements"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What is stored of the process that `user` started with `tag`: bytes of each stream, and its end."""

    tag: str
    user: str | None
    taken: Mapping[OutputStream, int]
    ended: bool = False


async def tell(attachment: Attachment, acknowledgements: Sequence[Acknowledgement]) -> None:
    """Tell our runtime, for up to 1,000 processes of one sandbox."""
    body = [{"tag": each.tag, "taken": dict(each.taken), "ended": each.ended} for each in acknowledgements]
    async with attachment.errors(Subject.PROCESS):
        answer = await attachment.transfers.post(_PATH, json=body, timeout=attachment.request_seconds)
        answer.raise_for_status()
