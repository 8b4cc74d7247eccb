"""What a command costs: `executeCommand(wait: true)` against E2B's SDK on the same runtime."""

import time

from e2b import AsyncSandbox

from benchmarks.client import Client
from benchmarks.figures import Bar, Figure, Samples, milliseconds, ratio
from benchmarks.stack import Stack

_COMMANDS = 150
_WARM_UP = 10
_BAR_SECONDS = 0.030


async def measure_commands(stack: Stack) -> list[Figure]:
    """`true`, by turns through the API and through the SDK as its users call it."""
    client = Client(stack)
    sandbox = await client.create_sandbox("commands")
    bare = await AsyncSandbox.create(
        api_key=stack.runtime_key, api_url=stack.runtime_address, sandbox_url=stack.runtime_address
    )
    ours: list[float] = []
    theirs: list[float] = []
    try:
        for _ in range(_WARM_UP + _COMMANDS):
            started = time.perf_counter()
            await bare.commands.run("true")
            between = time.perf_counter()
            await client.execute(sandbox, "true")
            theirs.append(between - started)
            ours.append(time.perf_counter() - between)
    finally:
        await bare.kill()
        await client.terminate_sandbox(sandbox)
        await client.close()
    ours_median = Samples(ours[_WARM_UP:]).median
    theirs_median = Samples(theirs[_WARM_UP:]).median
    over = ours_median - theirs_median
    return [
        Figure(
            "`true`, waited for",
            str(Samples(ours[_WARM_UP:])),
            f"E2B's SDK alone: {Samples(theirs[_WARM_UP:])}",
            f"{ratio(ours_median, theirs_median)}, + {milliseconds(over)}",
            Bar("≤ 30 ms over the SDK", over <= _BAR_SECONDS),
        )
    ]
