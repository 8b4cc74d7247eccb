"""The runtime is killed again and again, at moments that nobody chose, while many sandboxes stream."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Literal

from connectrpc.errors import ConnectError
from e2b import AsyncSandbox
from e2b.envd.process import process_pb as pb
from e2b.envd.process.process_connect import ProcessClient
from protobuf import Oneof

from tests.fixtures.runtime import RuntimeProcess, runtime_folder

SANDBOXES = 20
KILLS = 3
LINES = 40_000
PIECES = 40
# Loud enough to fill pipes while nobody reads, and long enough to be there for every kill.
PIECE = LINES // PIECES
LOUD = f"""
for piece in $(seq 0 {PIECES - 1}); do
    seq $((piece * {PIECE} + 1)) $(((piece + 1) * {PIECE})); sleep 0.1
done
exit 7
"""
WHOLE = "".join(f"{number}\n" for number in range(1, LINES + 1)).encode()
AT_MOST_SECONDS = 60


async def test_twenty_sandboxes_lose_nothing_while_the_runtime_is_killed_at_random() -> None:
    moments = random.Random()
    with runtime_folder() as state:
        runtime = RuntimeProcess(state)
        await runtime.start()
        made = [runtime.client.AsyncSandbox.create(timeout=300) for _ in range(SANDBOXES)]
        readers = [_Reader(runtime, sandbox) for sandbox in await asyncio.gather(*made)]
        try:
            async with asyncio.timeout(AT_MOST_SECONDS), asyncio.TaskGroup() as reading:
                for reader in readers:
                    reading.create_task(reader.read())
                for _ in range(KILLS):
                    await _until_more_is_read(readers, moments.randint(1, 200_000))
                    await runtime.kill()
                    await runtime.start()
        finally:
            await runtime.stop()
    assert [reader.exit_code for reader in readers] == [7] * SANDBOXES
    assert all(reader.taken == WHOLE for reader in readers)


async def _until_more_is_read(readers: list["_Reader"], more: int) -> None:
    goal = sum(len(reader.taken) for reader in readers) + more
    while sum(len(reader.taken) for reader in readers) < goal:
        await asyncio.sleep(0)


class _Reader:
    """Takes a process's output to its end, from where it was, whatever happens to the runtime."""

    def __init__(self, runtime: RuntimeProcess, sandbox: AsyncSandbox) -> None:
        self._runtime = runtime
        self._headers = {
            "E2b-Sandbox-Id": sandbox.sandbox_id,
            "X-Access-Token": sandbox._envd_access_token or "",
        }
        self._pid = 0
        self.taken = bytearray()
        self.exit_code: int | None = None

    async def read(self) -> None:
        while self.exit_code is None:
            try:
                async with ProcessClient(self._runtime.url) as client:
                    await self._take(client)
            except (ConnectError, OSError):
                await asyncio.sleep(0.05)

    async def _take(self, client: ProcessClient) -> None:
        events: AsyncIterator[pb.StartResponse | pb.ConnectResponse]
        if not self._pid:
            config = pb.ProcessConfig(cmd="/bin/bash", args=["-c", LOUD])
            events = client.start(pb.StartRequest(process=config), headers=self._headers)
        else:
            selector = pb.ProcessSelector(selector=Oneof[Literal["pid"], int]("pid", self._pid))
            headers = {**self._headers, "Runtime-Output-From": f"stdout={len(self.taken)}"}
            events = client.connect(pb.ConnectRequest(process=selector), headers=headers)
        async for answer in events:
            event = answer.event.event if answer.event is not None else None
            if event is None:
                continue
            if event.field == "start":
                self._pid = event.value.pid
            elif event.field == "data" and event.value.output is not None:
                self.taken += event.value.output.value
            elif event.field == "end":
                self.exit_code = event.value.exit_code
