"""How fast a file goes into a sandbox and out of it, against `cp` of the same file."""

import asyncio
import os
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from e2b import AsyncSandbox

from benchmarks.figures import Figure, Samples, ratio
from benchmarks.runtime.alone import RuntimeAlone, running_runtime
from benchmarks.runtime.exchange import exchange, request_head
from benchmarks.stack import temporary_folder

_MEGABYTE = 1_000_000
_BYTES, _ROUNDS = 300 * _MEGABYTE, 3

Work = Callable[[], Awaitable[int]]


async def measure_files() -> list[Figure]:
    """By turns: the SDK's write and read, the same by plain HTTP, and `cp`."""
    content = os.urandom(_BYTES)
    with temporary_folder() as folder:
        (folder / "file").write_bytes(content)
        async with running_runtime() as runtime:
            sandbox = await runtime.client.AsyncSandbox.create()
            works: dict[str, Work] = {
                "upload": lambda: _upload(sandbox, content),
                "download": lambda: _download(sandbox),
                "stream": lambda: _download_in_pieces(sandbox),
                "plain upload": lambda: asyncio.to_thread(_plain_upload, runtime, sandbox, content),
                "plain download": lambda: asyncio.to_thread(_plain_download, runtime, sandbox),
                "cp": lambda: asyncio.to_thread(_copy, folder),
            }
            rates: dict[str, list[float]] = {name: [] for name in works}
            for _ in range(_ROUNDS):
                for name, work in works.items():
                    rates[name].append(await _rate(work))
    medians = {name: Samples(measured).median for name, measured in rates.items()}
    return [
        _figure("upload by the SDK", "upload", medians),
        _figure("upload by plain HTTP", "plain upload", medians),
        _figure("download by the SDK, whole", "download", medians),
        _figure("download by the SDK, in pieces", "stream", medians),
        _figure("download by plain HTTP", "plain download", medians),
    ]


def _figure(what: str, name: str, medians: dict[str, float]) -> Figure:
    return Figure(
        f"{what}, {_BYTES // _MEGABYTE} MB",
        f"{medians[name]:,.0f} MB/s",
        f"cp: {medians['cp']:,.0f} MB/s",
        ratio(medians[name], medians["cp"]),
    )


async def _rate(work: Work) -> float:
    began = time.perf_counter()
    moved = await work()
    seconds = time.perf_counter() - began
    if moved != _BYTES:
        raise RuntimeError(f"{moved} bytes were moved of {_BYTES}.")
    return moved / _MEGABYTE / seconds


async def _upload(sandbox: AsyncSandbox, content: bytes) -> int:
    await sandbox.files.write("file", content)
    return len(content)


async def _download(sandbox: AsyncSandbox) -> int:
    return len(await sandbox.files.read("file", format="bytes"))


async def _download_in_pieces(sandbox: AsyncSandbox) -> int:
    return sum([len(piece) async for piece in await sandbox.files.read("file", format="stream")])


def _plain_upload(runtime: RuntimeAlone, sandbox: AsyncSandbox, content: bytes) -> int:
    head = request_head(sandbox, "POST", "/files?path=file", "application/octet-stream", len(content))
    exchange(runtime.port, head, content)
    return len(content)


def _plain_download(runtime: RuntimeAlone, sandbox: AsyncSandbox) -> int:
    return exchange(runtime.port, request_head(sandbox, "GET", "/files?path=file"))


def _copy(folder: Path) -> int:
    copy = folder / "copy"
    subprocess.run(["/bin/cp", str(folder / "file"), str(copy)], check=True, timeout=60)
    return copy.stat().st_size
