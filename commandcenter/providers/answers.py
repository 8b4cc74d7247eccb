"""What a provider answered, where the SDK's exceptions do not tell."""

import httpx
from e2b.api.client.types import Response


def retry_after(headers: httpx.Headers) -> float | None:
    """The seconds that a `Retry-After` header asks to wait, if it does so in seconds."""
    value = headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None


def answer_behind(error: Exception) -> httpx.Response | None:
    """The provider's answer that made the SDK raise `error`, if there was one."""
    # The SDK drops status and headers when it makes an exception, and fails to parse a proxy's error
    # pages. The answer is still there, in the frame that raised.
    traceback = error.__traceback__
    while traceback is not None:
        for value in traceback.tb_frame.f_locals.values():
            if isinstance(value, httpx.Response):
                return value
            if isinstance(value, Response):
                headers = [(name, text) for name, text in value.headers.items()]
                return httpx.Response(value.status_code, headers=headers, content=value.content)
        traceback = traceback.tb_next
    return None
