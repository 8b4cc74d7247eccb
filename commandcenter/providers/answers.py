"""What a provider answered, where the SDK's exceptions do not tell."""

from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx
from e2b.api.client.types import Response

from commandcenter.clock import now


@dataclass(frozen=True)
class Answer:
    """An answer's HTTP status and text, and the seconds that it asks to wait before the next request."""

    status: int
    text: str
    retry_after_seconds: float | None


def retry_after(headers: httpx.Headers) -> float | None:
    """The seconds that a `Retry-After` header asks to wait, given in seconds or as a date."""
    value = headers.get("retry-after", "")
    if value.isascii() and value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - now()).total_seconds())
    except (TypeError, ValueError):
        return None


def answer_behind(error: Exception) -> Answer | None:
    """The answer that made the SDK raise `error`, if there was one."""
    # The SDK drops status and headers when it makes an exception, and fails to parse a proxy's error
    # pages. The answer is still there, in the frame that raised.
    traceback = error.__traceback__
    while traceback is not None:
        for value in traceback.tb_frame.f_locals.values():
            if isinstance(value, httpx.Response):
                return Answer(value.status_code, value.text, retry_after(value.headers))
            if isinstance(value, Response):
                headers = httpx.Headers(dict(value.headers))
                return Answer(value.status_code, value.content.decode(errors="replace"), retry_after(headers))
        traceback = traceback.tb_next
    return None
