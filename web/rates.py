"""Rate limits over HTTP: what a request takes, and what its answer says about it.

`RateLimit` and `RateLimit-Policy` are those of draft-ietf-httpapi-ratelimit-headers-10; the three older
headers say the same of the tightest limit, for the clients that know only them.
"""

import math

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from commandcenter.rates.buckets import Bucket, Verdict
from web.graphql.errors import Payload, RequestErrorCode, error_payload
from web.refusals import RefusedRequestError

# What a file or an output by plain HTTP costs, whatever its size: as much as an action.
TRANSFER_POINTS = 10
_VERDICT = "rate_verdict"


class RateLimitedError(RefusedRequestError):
    """The caller has asked for too much in too short a time."""

    def __init__(self, verdict: Verdict) -> None:
        refusal = refusal_payload(verdict)
        super().__init__(refusal["message"], status=429, code=RequestErrorCode.RATE_LIMITED)
        self.payload = refusal


def require_allowance(connection: HTTPConnection, verdict: Verdict) -> None:
    """Have the answer tell of the verdict; `RateLimitedError` where it refuses."""
    note_verdict(connection.scope, verdict)
    if verdict.refused_by is not None:
        raise RateLimitedError(verdict)


def note_verdict(scope: Scope, verdict: Verdict) -> None:
    """Have the answer's headers tell how the caller's buckets stand."""
    scope["state"][_VERDICT] = verdict


def refusal_payload(verdict: Verdict) -> Payload:
    """The GraphQL error of a request for which too little is left."""
    bucket, seconds = verdict.tightest.bucket, _retry_after_seconds(verdict)
    return error_payload(
        RequestErrorCode.RATE_LIMITED,
        f"Too much at once: `{bucket.name}` are {bucket.limit} in {_window_seconds(bucket)} s. "
        f"Try again in {seconds} s, or ask for a higher limit.",
        retryAfterSeconds=seconds,
    )


class RateLimitHeaders:
    """The ASGI middleware that adds what `note_verdict` was told to the answer's headers."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                verdict = scope["state"].get(_VERDICT)
                if verdict is not None:
                    message["headers"] = [*message["headers"], *_headers(verdict)]
            await send(message)

        await self._application(scope, receive, send_with_headers)


def _headers(verdict: Verdict) -> list[tuple[bytes, bytes]]:
    tightest = verdict.tightest
    bucket, reset = tightest.bucket, math.ceil(tightest.reset_seconds)
    policies = ", ".join(
        f'"{each.bucket.name}";q={each.bucket.limit};w={_window_seconds(each.bucket)}'
        for each in verdict.standings
    )
    headers = [
        (b"ratelimit", f'"{bucket.name}";r={tightest.remaining};t={reset}'.encode()),
        (b"ratelimit-policy", policies.encode()),
        (b"ratelimit-limit", str(bucket.limit).encode()),
        (b"ratelimit-remaining", str(tightest.remaining).encode()),
        (b"ratelimit-reset", str(reset).encode()),
    ]
    if verdict.refused_by is not None:
        headers.append((b"retry-after", str(_retry_after_seconds(verdict)).encode()))
    return headers


def _retry_after_seconds(verdict: Verdict) -> int:
    return max(1, math.ceil(verdict.retry_after_seconds))


def _window_seconds(bucket: Bucket) -> int:
    return max(1, round(bucket.seconds))
