"""Sandboxes as E2B's control plane describes them."""

import math
from datetime import UTC, datetime
from typing import Any

from runtime.host.metrics import Sample
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
        "alias": record.alias or record.template,
        "domain": domain,
        "envdAccessToken": record.access_token,
    }
    if record.traffic_token is not None:
        answer["trafficAccessToken"] = record.traffic_token
    return answer


def listed(record: SandboxRecord) -> dict[str, Any]:
    """A row of the list."""
    return {
        "templateID": record.template,
        "alias": record.alias or record.template,
        "sandboxID": record.id,
        "clientID": CLIENT_ID,
        "startedAt": moment(record.started_at),
        "endAt": moment(record.end_at),
        "cpuCount": processors(record),
        "memoryMB": record.limits.memory // MEBIBYTE,
        "diskSizeMB": record.limits.disk // MEBIBYTE,
        "state": record.state,
        "envdVersion": ENVD_VERSION,
        "metadata": record.metadata,
        "volumeMounts": [{"name": mount.name, "path": mount.path} for mount in record.volumes],
    }


def detailed(record: SandboxRecord, domain: str) -> dict[str, Any]:
    """Everything about one sandbox."""
    answer = listed(record) | {
        "domain": domain,
        "envdAccessToken": record.access_token,
        "allowInternetAccess": record.allow_internet_access,
        "lifecycle": {
            "onTimeout": "pause" if record.auto_pause else "kill",
            "autoResume": record.auto_resume,
        },
    }
    if record.network is not None:
        answer["network"] = record.network
    if record.state == "paused":
        answer["pauseMode"] = record.pause_mode
    return answer


def measured(record: SandboxRecord, sample: Sample) -> dict[str, Any]:
    """One sample of what a sandbox uses."""
    return {
        "timestamp": moment(datetime.fromtimestamp(sample.at, UTC)),
        "timestampUnix": int(sample.at),
        "cpuCount": processors(record),
        "cpuUsedPct": sample.processor_percent,
        "memUsed": sample.memory,
        "memTotal": record.limits.memory,
        "memCache": sample.cache,
        "diskUsed": sample.disk,
        "diskTotal": sample.disk_total,
    }


def processors(record: SandboxRecord) -> int:
    """Whole processors, rounded up."""
    return math.ceil(record.limits.processors)
