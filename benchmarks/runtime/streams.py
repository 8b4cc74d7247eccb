"""How fast a process's output reaches a client, against a pipe, and against what E2B's SDK takes at most."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable

from e2b import AsyncSandbox, Sandbox

from benchmarks.figures import Bar, Figure, Samples, ratio
from benchmarks.runtime.alone import RuntimeAlone, running_runtime
from benchmarks.runtime.canned import running_canned_server
from benchmarks.runtime.exchange import exchange, request_head

_MEGABYTE = 1_000_000
_BYTES, _ROUNDS = 400 * _MEGABYTE, 3
_READ_AT_ONCE = 1 << 20
_BAR = 200
_PROGRAM = f"import os\npiece = b'a' * {_MEGABYTE}\nfor _ in range({_BYTES // _MEGABYTE}): os.write(1, piece)"
_COMMAND = f'python3 -c "{_PROGRAM}"'

Work = Callable[[], Awaitable[int]]


async def measure_streams() -> list[Figure]:
    """By turns: both of the SDK's clients, the same with a server that only sends, plain HTTP, a pipe."""
    async with running_runtime() as runtime, running_canned_server(_BYTES) as canned:
        sandbox = await runtime.client.AsyncSandbox.create()
        same = await asyncio.to_thread(runtime.client.Sandbox.connect, sandbox.sandbox_id)
        limit = await canned.AsyncSandbox.create()
        limit_too = await asyncio.to_thread(canned.Sandbox.create)
        works: dict[str, Work] = {
            "async": lambda: _asynchronously(sandbox),
            "async limit": lambda: _asynchronously(limit),
            "sync": lambda: asyncio.to_thread(_synchronously, same),
            "sync limit": lambda: asyncio.to_thread(_synchronously, limit_too),
            "http": lambda: asyncio.to_thread(_by_http, runtime, sandbox),
            "pipe": lambda: asyncio.to_thread(_by_pipe),
        }
        rates: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(_ROUNDS):
            for name, work in works.items():
                rates[name].append(await _rate(work))
    medians = {name: Samples(measured).median for name, measured in rates.items()}
    return [
        _figure("output by the asynchronous SDK", medians, "async", "async limit", "SDK, canned frames"),
        _figure("output by the synchronous SDK", medians, "sync", "sync limit", "SDK, canned frames"),
        _figure("output by plain HTTP", medians, "http", "pipe", "a pipe, read"),
    ]


def _figure(what: str, medians: dict[str, float], ours: str, theirs: str, words: str) -> Figure:
    return Figure(
        what,
        f"{medians[ours]:,.0f} MB/s",
        f"{words}: {medians[theirs]:,.0f} MB/s",
        ratio(medians[ours], medians[theirs]),
        Bar(f"≥ {_BAR} MB/s", medians[ours] >= _BAR),
    )


async def _rate(work: Work) -> float:
    began = time.perf_counter()
    taken = await work()
    seconds = time.perf_counter() - began
    if taken != _BYTES:
        raise RuntimeError(f"{taken} bytes came of {_BYTES}.")
    return taken / _MEGABYTE / seconds


async def _asynchronously(sandbox: AsyncSandbox) -> int:
    taken = 0

    def take(text: str) -> None:
        nonlocal taken
        taken += len(text)

    await (await sandbox.commands.run(_COMMAND, background=True, on_stdout=take, retain_output=False)).wait()
    return taken


def _synchronously(sandbox: Sandbox) -> int:
    taken = 0

    def take(text: str) -> None:
        nonlocal taken
        taken += len(text)

    sandbox.commands.run(_COMMAND, background=True, retain_output=False).wait(on_stdout=take)
    return taken


def _by_http(runtime: RuntimeAlone, sandbox: AsyncSandbox) -> int:
    """Read the response without a look at it; its base64 and its frames' heads are subtracted."""
    message = json.dumps({"process": {"cmd": "/usr/bin/python3", "args": ["-c", _PROGRAM]}}).encode()
    body = b"\0" + len(message).to_bytes(4, "big") + message
    head = request_head(sandbox, "POST", "/process.Process/Start", "application/connect+json", len(body))
    raw = exchange(runtime.port, head, body)
    return _BYTES if _BYTES * 4 / 3 <= raw <= _BYTES * 4 / 3 * 1.01 else raw


def _by_pipe() -> int:
    """The same program, read from its pipe."""
    read_end, write_end = os.pipe()
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", _PROGRAM],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, write_end, 1)],
    )
    os.close(write_end)
    taken, buffer = 0, bytearray(_READ_AT_ONCE)
    while count := os.readv(read_end, [buffer]):
        taken += count
    os.close(read_end)
    os.waitpid(child, 0)
    return taken
