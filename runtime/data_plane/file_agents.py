"""The file agent of each sandbox: started when it is first needed, ended when it is idle."""

import asyncio
import os
import socket
from contextlib import ExitStack
from weakref import WeakKeyDictionary

from runtime.data_plane.file_agent_connection import FileAgentConnection
from runtime.data_plane.file_errors import FileOperationError
from runtime.data_plane.watchers import PolledWatches
from runtime.host.bubblewrap import HOME
from runtime.host.errors import SupervisorError
from runtime.host.sandbox import Sandbox

PROGRAM = "/run/runtime/file_agent.pyc"
IDLE_SECONDS = 60.0


class FileAgents:
    """All of this runtime; `python` is the interpreter's path inside."""

    def __init__(self, python: str) -> None:
        self._command = (python, "-I", "-S", "-E", "-B", PROGRAM, HOME)
        self._files: WeakKeyDictionary[Sandbox, _SandboxFiles] = WeakKeyDictionary()

    async def of(self, sandbox: Sandbox) -> FileAgentConnection:
        """The agent of a sandbox; FileOperationError where the sandbox has no room for it."""
        return await self._of(sandbox).agent(sandbox, self._command)

    def watches_of(self, sandbox: Sandbox) -> PolledWatches:
        """The watches of a sandbox whose events are asked for."""
        return self._of(sandbox).watches

    def _of(self, sandbox: Sandbox) -> "_SandboxFiles":
        return self._files.setdefault(sandbox, _SandboxFiles())


class _SandboxFiles:
    """What is kept for one sandbox."""

    def __init__(self) -> None:
        self.watches = PolledWatches()
        self._starting = asyncio.Lock()
        self._connection: FileAgentConnection | None = None

    async def agent(self, sandbox: Sandbox, command: tuple[str, ...]) -> FileAgentConnection:
        async with self._starting:
            if self._connection is None or self._connection.closed:
                self._connection = await _start(sandbox, command)
                _close_when_idle(self._connection)
            self._connection.touch()
            return self._connection


async def _start(sandbox: Sandbox, command: tuple[str, ...]) -> FileAgentConnection:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ExitStack() as stack:
        stack.callback(theirs.close)
        nothing = os.open(os.devnull, os.O_RDWR)
        stack.callback(os.close, nothing)
        descriptors = {0: nothing, 1: nothing, 2: nothing, 3: theirs.fileno()}
        try:
            await sandbox.spawn(command, descriptors=descriptors)
        except SupervisorError as error:
            ours.close()
            message = f"the sandbox has no room for a file operation: {error}"
            raise FileOperationError("resource_exhausted", message) from error
        except BaseException:
            ours.close()
            raise
    return FileAgentConnection(ours)


def _close_when_idle(connection: FileAgentConnection) -> None:
    if connection.closed:
        return
    left = IDLE_SECONDS - connection.idle_seconds
    if left <= 0:
        connection.close()
    else:
        asyncio.get_running_loop().call_later(max(left, 1.0), _close_when_idle, connection)
