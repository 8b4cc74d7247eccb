"""Lists of sandboxes: filters, order, and pages that stay right while sandboxes come and go."""

import base64
import binascii
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote

from runtime.control_plane.bodies import Listing
from runtime.host.errors import InvalidSandboxRequestError
from runtime.host.record import SandboxRecord

STATES = {"running", "paused"}


def page_of(records: Iterable[SandboxRecord], wanted: Listing) -> tuple[list[SandboxRecord], str | None]:
    """A page, and the token of the next one where there is more."""
    found = sorted(_filtered(records, wanted), key=_place, reverse=wanted.order == "desc")
    if wanted.nextToken is not None:
        last = read_token(wanted.nextToken)
        found = [
            each for each in found if (_place(each) < last if wanted.order == "desc" else _place(each) > last)
        ]
    page = found[: wanted.limit]
    more = len(found) > len(page)
    return page, token_of(_place(page[-1])) if more else None


def _filtered(records: Iterable[SandboxRecord], wanted: Listing) -> list[SandboxRecord]:
    states = {state for state in wanted.state.split(",") if state}
    if not states <= STATES:
        raise InvalidSandboxRequestError(f"state: expected {' or '.join(sorted(STATES))}")
    # The values are encoded once more inside the parameter.
    metadata = {
        unquote(name): unquote(value) for name, value in parse_qsl(wanted.metadata, keep_blank_values=True)
    }
    after = _moment(wanted.startedAfter) if wanted.startedAfter else None
    return [
        record
        for record in records
        if record.state in states
        and all(record.metadata.get(name) == value for name, value in metadata.items())
        and (wanted.template is None or record.template == wanted.template)
        and (after is None or record.started_at >= after)
    ]


def _place(record: SandboxRecord) -> tuple[str, str]:
    return record.started_at.isoformat(timespec="microseconds"), record.id


def token_of(place: tuple[str, str]) -> str:
    """A place in a list, a time and an id, as a client sends it back."""
    return base64.urlsafe_b64encode(" ".join(place).encode()).decode()


def read_token(token: str) -> tuple[str, str]:
    """The place that a token stands for; raises `InvalidSandboxRequestError`."""
    try:
        time, name = base64.urlsafe_b64decode(token).decode().split(" ")
    except (binascii.Error, ValueError) as error:
        raise InvalidSandboxRequestError("nextToken: not a token of this list") from error
    return time, name


def _moment(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidSandboxRequestError("startedAfter: expected a time as in RFC 3339") from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)
