"""Sandboxes as E2B's control plane describes them."""

from datetime import UTC, datetime
from typing import Any

from runtime.host.record import SandboxRecord

# The data plane's abilities by E2B's numbering: its clients ask for them by version.
ENVD_VERSION = "0.6.13"
CLIENT_ID = "local"
MEBIBYTE = 1 << 20


def moment(time: datetime) -> str:
    """RFC 3339 in UTC."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def created(record: SandboxRecord, domain: str) -> dict[str, Any]:
    """The answer to create, connect and resume: all that a client needs to reach the sandbox."""
    answer = {
        "templateID": record.template,
        "sandboxID": record.id,
        "clientID": CLIENT_ID,
        "envdVersion": ENVD_VERSION,
        "alias": record.template,
        "domain": domain,
    }
    if record.access_token is not None:
        answer["envdAccessToken"] = record.access_token
    if record.traffic_token is not None:
        answer["trafficAccessToken"] = record.traffic_token
    return answer
