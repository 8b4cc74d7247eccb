"""The file agent of each sandbox: started when it is first needed, ended when it is idle."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from weakref import WeakKeyDictionary

from runtime.data_plane.file_agent_connection import FileAgentConnection
from runtime.data_plane.file_errors import FileOperationError
from runtime.data_plane.watchers import PolledWatches
from runtime.host.accounts import Account
from runtime.host.errors import SupervisorError
from runtime.host.sandbox import Sandbox

PROGRAM = "/run/runtime/file_agent.pyc"
IDLE_SECONDS = 60.0
OPERATIONS_AT_ONCE = 64
LISTINGS_AT_ONCE = 2
TURN_SECONDS = 60.0
USERS_AT_ONCE = 8


class FileAgents:
    """All of this runtime; `python` is the interpreter's path inside."""

    def __init__(self, python: str) -> None:
        self._command = (python, "-I", "-S", "-E", "-B", PROGRAM)
        self._files: WeakKeyDictionary[Sandbox, _SandboxFiles] = WeakKeyDictionary()

    @asynccontextmanager
    async def turn(self, sandbox: Sandbox, account: Account) -> AsyncIterator[FileAgentConnection]:
        """The agent of a user in a sandbox, for one operation; so many at once, the others wait.

        Raises FileOperationError where the sandbox has no room for an agent, or no turn came in time.
        """
        files = self._of(sandbox)
        await files.take_turn()
        try:
            agent = await files.agent(sandbox, account, self._command)
            with agent.held():
                yield agent
        finally:
            files.give_turn()

    def listing_turn(self, sandbox: Sandbox) -> asyncio.Semaphore:
        """Lists are long: few of a sandbox are made at once, so that many can't fill our memory."""
        return self._of(sandbox).listings

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
        self._connections: dict[Account, FileAgentConnection] = {}
        self.listings = asyncio.Semaphore(LISTINGS_AT_ONCE)
        self._turns = asyncio.Semaphore(OPERATIONS_AT_ONCE)

    async def take_turn(self) -> None:
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            message = f"{OPERATIONS_AT_ONCE} file operations of this sandbox go on, and none ended in time"
            raise FileOperationError("resource_exhausted", message) from None

    def give_turn(self) -> None:
        self._turns.release()

    async def agent(
        self, sandbox: Sandbox, account: Account, command: tuple[str, ...]
    ) -> FileAgentConnection:
        async with self._starting:
            connection = self._connections.get(account)
            if connection is None or connection.closed:
                self._connections = {who: each for who, each in self._connections.items() if not each.closed}
                if len(self._connections) >= USERS_AT_ONCE:
                    message = f"files of {USERS_AT_ONCE} users are worked on; wait until one of them is idle"
                    raise FileOperationError("resource_exhausted", message)
                connection = self._connections[account] = await _start(sandbox, account, command)
                _close_when_idle(connection)
            return connection


async def _start(sandbox: Sandbox, account: Account, command: tuple[str, ...]) -> FileAgentConnection:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ExitStack() as stack:
        stack.callback(theirs.close)
        nothing = os.open(os.devnull, os.O_RDWR)
        stack.callback(os.close, nothing)
        descriptors = {0: nothing, 1: nothing, 2: nothing, 3: theirs.fileno()}
        try:
            # As on E2B, whoever asks by the API reaches every file; what is made belongs to the user named.
            await sandbox.spawn(
                (*command, account.home), descriptors=descriptors, account=account, reaches_every_file=True
            )
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
