"""Limits that a client asks for, by the unmodified SDK, and those that are refused."""

import time
from typing import Any

import httpx
import pytest
from e2b import AsyncSandbox, SandboxException

from tests.fixtures.runtime import RuntimeProcess

ASKED = "processors=0.5, memoryMB=96, processes=40, openFiles=300, diskMB=64, outputRate=200000"


@pytest.fixture(scope="module")
async def small(runtime: RuntimeProcess) -> Any:
    """A sandbox that asked for limits of its own."""
    sandbox = await runtime.client.AsyncSandbox.create(timeout=120, api_headers={"Runtime-Limits": ASKED})
    yield sandbox
    await sandbox.kill()


async def told(runtime: RuntimeProcess, sandbox: AsyncSandbox) -> dict[str, Any]:
    """What the runtime's own API says about a sandbox."""
    async with httpx.AsyncClient(base_url=runtime.url, headers={"X-API-Key": runtime.api_key}) as client:
        answer: dict[str, Any] = (await client.get(f"/runtime/sandboxes/{sandbox.sandbox_id}")).json()
        return answer


async def test_a_sandbox_has_the_limits_that_it_asked_for(
    runtime: RuntimeProcess, small: AsyncSandbox
) -> None:
    assert (await told(runtime, small))["limits"] == {
        "processors": 0.5,
        "memoryMB": 96,
        "processes": 40,
        "openFiles": 300,
        "diskMB": 64,
        "outputRate": 200000,
    }
    information = await small.get_info()
    assert (information.cpu_count, information.memory_mb) == (1, 96)
    assert (await small.commands.run("ulimit -n")).stdout == "300\n"


async def test_output_comes_no_faster_than_was_asked(runtime: RuntimeProcess, small: AsyncSandbox) -> None:
    begin = time.perf_counter()
    result = await small.commands.run("head -c 300000 /dev/zero | tr '\\0' x; echo whole >&2")
    assert time.perf_counter() - begin >= (300_000 - 50_000 - 65_536) / 200_000
    assert len(result.stdout) == 300_000
    assert result.stderr == "whole\n"
    assert "OUTPUT_RATE" in (await told(runtime, small))["limitsReached"]


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("memory=5", "'memory' is no limit; there are: processors, memoryMB"),
        ("memoryMB=much", "expected a whole number of at least 64, not 'much'"),
        ("memoryMB=1", "expected a whole number of at least 64"),
        ("processors=nan", "expected a number of at least 0.05"),
        ("processes=1000000", "more than a sandbox of this runtime may have, 4096"),
        ("x" * 2000, "longer than 1024 characters"),
    ],
)
async def test_a_limit_that_cannot_be_had_is_refused(
    runtime: RuntimeProcess, asked: str, answer: str
) -> None:
    with pytest.raises(SandboxException, match=answer) as raised:
        await runtime.client.AsyncSandbox.create(api_headers={"Runtime-Limits": asked})
    assert "400" in str(raised.value)
