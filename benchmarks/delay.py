"""How long a single line takes from the process that writes it to a subscriber."""

import asyncio
import time

import orjson
from e2b import AsyncSandbox

from benchmarks.client import FOLLOW, Client, frames_until_complete
from benchmarks.figures import Bar, Figure, Samples, ratio
from benchmarks.stack import Stack

_LINES, _SECONDS_BETWEEN = 200, 0.03
_BAR_SECONDS = 0.050
# The sandbox reads the same clock of the same machine.
_COMMAND = (
    "python3 -uc 'import time\n"
    f"for _ in range({_LINES}):\n"
    f"    time.sleep({_SECONDS_BETWEEN}); print(time.time_ns())'"
)


async def measure_delay(stack: Stack) -> list[Figure]:
    """Lines with the moment of their writing: through the API, and through E2B's SDK without a database."""
    ours, theirs = await _through_the_api(stack), await _through_the_sdk(stack)
    return [
        Figure(
            "delay of a single line",
            str(Samples(ours)),
            f"E2B's SDK alone, nothing stored: {Samples(theirs)}",
            ratio(Samples(ours).median, Samples(theirs).median),
            Bar("p50 ≤ 50 ms", Samples(ours).median <= _BAR_SECONDS),
        )
    ]


async def _through_the_api(stack: Stack) -> list[float]:
    client = Client(stack)
    delays: list[float] = []
    sandbox = await client.create_sandbox("delay")
    execution = await client.execute(sandbox, _COMMAND, wait=False)
    async with client.subscribed(FOLLOW, execution=execution["id"]) as socket:
        async for frame in frames_until_complete(socket):
            seen = time.time_ns()
            message = orjson.loads(frame)
            if message["type"] == "next":
                for chunk in message["payload"]["data"]["executionLogs"]["chunks"]:
                    delays += _delays(chunk["text"], seen)
    await client.terminate_sandbox(sandbox)
    await client.close()
    return _checked(delays)


async def _through_the_sdk(stack: Stack) -> list[float]:
    delays: list[float] = []
    sandbox = await AsyncSandbox.create(
        api_key=stack.runtime_key, api_url=stack.runtime_address, sandbox_url=stack.runtime_address
    )
    try:
        async with asyncio.timeout(60):
            await sandbox.commands.run(
                _COMMAND, on_stdout=lambda text: delays.extend(_delays(text, time.time_ns()))
            )
    finally:
        await sandbox.kill()
    return _checked(delays)


def _delays(text: str, seen: int) -> list[float]:
    return [(seen - int(line)) / 1e9 for line in text.split()]


def _checked(delays: list[float]) -> list[float]:
    if len(delays) != _LINES:
        raise RuntimeError(f"{len(delays)} lines were seen of {_LINES}.")
    return delays
