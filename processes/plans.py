"""How our own processes are started."""

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from commandcenter.settings import Settings
from processes.child import ChildPlan
from processes.errors import StartError
from processes.home import Home
from processes.ports import preferred_or_free, require_free
from processes.readiness import READY_FILE_VARIABLE, Ready, announced_in, answers

RUNTIME_HOST = "127.0.0.1"
RUNTIME_PORT = 49980

# What a program needs to find its way on a machine, and nothing that we know: the runtime runs code of
# others and is given no secret but its own.
_PLAIN_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")


def runtime_plan(home: Home) -> tuple[ChildPlan, Mapping[str, str]]:
    """The plan of the embedded runtime, and the settings by which the others find it."""
    key = _runtime_key(home.folder / "runtime.key")
    port = _runtime_port()
    url = f"http://{RUNTIME_HOST}:{port}"
    environment = {
        **{name: os.environ[name] for name in _PLAIN_VARIABLES if name in os.environ},
        "RUNTIME_STATE_DIRECTORY": str(home.services / "runtime"),
        **{name: value for name, value in os.environ.items() if name.startswith("RUNTIME_")},
        "RUNTIME_HOST": RUNTIME_HOST,
        "RUNTIME_PORT": str(port),
        "RUNTIME_API_KEY": key,
    }
    plan = ChildPlan(
        name="runtime",
        command=(sys.executable, "-P", "-m", "runtime"),
        environment=environment,
        ready=answers(f"{url}/health"),
        ready_seconds=60,
        # Each sandbox is brought to rest.
        grace_seconds=30,
    )
    return plan, {"COMMANDCENTER_RUNTIME_URL": url, "COMMANDCENTER_RUNTIME_API_KEY": key}


def worker_plan(home: Home, environment: Mapping[str, str]) -> ChildPlan:
    """The plan of a worker; it says that it is ready by a file with its process id."""
    ready_file = home.running / "worker.ready"
    return _own_plan(
        "worker", {**environment, READY_FILE_VARIABLE: str(ready_file)}, announced_in(ready_file)
    )


def web_plan(settings: Settings, environment: Mapping[str, str]) -> ChildPlan:
    """The plan of the web process."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - asked, not bound
    address = f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
    return _own_plan("web", environment, answers(f"{address}/readyz"))


def _own_plan(name: str, environment: Mapping[str, str], ready: Ready) -> ChildPlan:
    return ChildPlan(
        name=name,
        command=(sys.executable, "-P", "-m", "processes", name),
        environment={**os.environ, **environment},
        ready=ready,
        ready_seconds=60,
        grace_seconds=15,
    )


def _runtime_port() -> int:
    given = os.environ.get("RUNTIME_PORT")
    if given is None:
        return preferred_or_free(RUNTIME_HOST, RUNTIME_PORT)
    if not given.isdecimal():
        raise StartError(f"RUNTIME_PORT is {given!r}; it must be a port number.")
    return require_free(RUNTIME_HOST, int(given))


def _runtime_key(path: Path) -> str:
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        unfinished.touch(mode=0o600)
        unfinished.write_text(secrets.token_urlsafe(32))
        unfinished.rename(path)
    return path.read_text().strip()
