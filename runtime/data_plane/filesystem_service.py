"""E2B's `filesystem.Filesystem`: what a path is, directories, moves, removals, watches."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from e2b.envd.filesystem import filesystem_pb as pb
from starlette.types import Receive, Scope, Send

from runtime.data_plane.connect_protocol import Call, ConnectError, StreamAbortedError
from runtime.data_plane.entries import entry_of
from runtime.data_plane.file_agent_connection import LONG_SECONDS, path_bytes
from runtime.data_plane.file_agents import FileAgents
from runtime.data_plane.file_errors import FileOperationError
from runtime.data_plane.listing import list_directory
from runtime.data_plane.routing import sandbox_of
from runtime.data_plane.users import user_of
from runtime.data_plane.watch_stream import stream_changes
from runtime.data_plane.watchers import Watch, WatchRequest
from runtime.host.accounts import Account
from runtime.host.errors import SandboxGoneError
from runtime.host.sandbox import Sandbox

PREFIX = "/filesystem.Filesystem/"
MAX_DEPTH = 1_000


@dataclass(frozen=True)
class _Caller:
    """Where, and as whom."""

    sandbox: Sandbox
    account: Account


class FilesystemService:
    """The service as an ASGI application, behind `DataPlane`."""

    def __init__(self, agents: FileAgents) -> None:
        self._agents = agents

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        call = Call.of(scope, receive, send)
        method = METHODS.get(scope["path"].removeprefix(PREFIX))
        if method is None:
            await call.refuse(ConnectError("unimplemented", f"no method {scope['path']}"))
            return
        try:
            sandbox = sandbox_of(scope)
            await method(self, call, _Caller(sandbox, await user_of(call, sandbox)))
        except ConnectError as error:
            await _refuse(call, error)
        except FileOperationError as error:
            await _refuse(call, error.connect_error)
        except SandboxGoneError as error:
            raise StreamAbortedError(str(error)) from error

    async def stat(self, call: Call, caller: _Caller) -> None:
        """What a path is."""
        request = await call.read_unary(pb.StatRequest)
        await call.answer(pb.StatResponse(entry=entry_of(await self._ask(caller, "stat", request.path))))

    async def make_dir(self, call: Call, caller: _Caller) -> None:
        """Make a directory and its parents."""
        request = await call.read_unary(pb.MakeDirRequest)
        made = await self._ask(caller, "make_directory", request.path)
        await call.answer(pb.MakeDirResponse(entry=entry_of(made)))

    async def move(self, call: Call, caller: _Caller) -> None:
        """Rename a file or directory."""
        request = await call.read_unary(pb.MoveRequest)
        moved = await self._ask(caller, "move", request.source, request.destination)
        await call.answer(pb.MoveResponse(entry=entry_of(moved)))

    async def list_dir(self, call: Call, caller: _Caller) -> None:
        """What a directory holds, to a depth; 0 stands for 1."""
        request = await call.read_unary(pb.ListDirRequest)
        depth = min(request.depth or 1, MAX_DEPTH)
        async with (
            self._agents.turn(caller.sandbox, caller.account) as agent,
            self._agents.listing_turn(caller.sandbox),
        ):
            answer = await list_directory(agent, call, path_bytes(request.path), depth)
            await call.answer_encoded(answer)

    async def remove(self, call: Call, caller: _Caller) -> None:
        """Remove a file or a tree; what is not there is no error."""
        request = await call.read_unary(pb.RemoveRequest)
        async with self._agents.turn(caller.sandbox, caller.account) as agent:
            await agent.ask("remove", path_bytes(request.path), seconds=LONG_SECONDS)
        await call.answer(pb.RemoveResponse())

    async def watch_dir(self, call: Call, caller: _Caller) -> None:
        """Tell what changes in a directory for as long as the caller listens, or until its deadline."""
        watch = await self._watch(caller, await call.read_first(pb.WatchDirRequest))
        try:
            await stream_changes(call, watch)
        finally:
            watch.close()

    async def create_watcher(self, call: Call, caller: _Caller) -> None:
        """Begin to collect what changes in a directory."""
        watch = await self._watch(caller, await call.read_unary(pb.CreateWatcherRequest))
        try:
            watcher_id = self._agents.watches_of(caller.sandbox).add(watch)
        except FileOperationError:
            watch.close()
            raise
        await call.answer(pb.CreateWatcherResponse(watcher_id=watcher_id))

    async def get_watcher_events(self, call: Call, caller: _Caller) -> None:
        """What was collected since the last call."""
        request = await call.read_unary(pb.GetWatcherEventsRequest)
        events = self._agents.watches_of(caller.sandbox).take(request.watcher_id)
        await call.answer(pb.GetWatcherEventsResponse(events=events))

    async def remove_watcher(self, call: Call, caller: _Caller) -> None:
        """End a collection."""
        request = await call.read_unary(pb.RemoveWatcherRequest)
        self._agents.watches_of(caller.sandbox).remove(request.watcher_id)
        await call.answer(pb.RemoveWatcherResponse())

    async def _ask(self, caller: _Caller, operation: str, *paths: str) -> bytes:
        async with self._agents.turn(caller.sandbox, caller.account) as agent:
            fields = await agent.ask(operation, *map(path_bytes, paths))
        return fields[0] if fields else b""

    async def _watch(self, caller: _Caller, request: pb.WatchDirRequest | pb.CreateWatcherRequest) -> Watch:
        wanted = WatchRequest(path_bytes(request.path), request.recursive, request.include_entry)
        async with self._agents.turn(caller.sandbox, caller.account) as agent:
            watch = Watch(agent)
            await watch.start(wanted)
        return watch


METHODS: dict[str, Callable[[FilesystemService, Call, _Caller], Awaitable[None]]] = {
    "Stat": FilesystemService.stat,
    "MakeDir": FilesystemService.make_dir,
    "Move": FilesystemService.move,
    "ListDir": FilesystemService.list_dir,
    "Remove": FilesystemService.remove,
    "WatchDir": FilesystemService.watch_dir,
    "CreateWatcher": FilesystemService.create_watcher,
    "GetWatcherEvents": FilesystemService.get_watcher_events,
    "RemoveWatcher": FilesystemService.remove_watcher,
}


async def _refuse(call: Call, error: ConnectError) -> None:
    if b"connect+" in call.content_type:
        await call.begin_stream()
        await call.end_stream(error)
    else:
        await call.refuse(error)
