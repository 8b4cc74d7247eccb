"""Output and ends that are kept until whoever takes them has said that they are safe."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Mapping
from typing import Literal

import httpx
import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from e2b import AsyncSandbox
from e2b.envd.process import process_pb as pb
from e2b.envd.process.process_connect import ProcessClient
from protobuf import Oneof

from tests.fixtures.runtime import RuntimeProcess, runtime_folder

TAG = "the-one"
KEPT = {"Runtime-Output-Kept": "until-acknowledged"}


class Taker:
    """A client that takes a process's stdout and says what of it is safe."""

    def __init__(self, runtime: RuntimeProcess, sandbox: AsyncSandbox) -> None:
        self._runtime = runtime
        token = sandbox._envd_access_token or ""
        self._headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "X-Access-Token": token}

    async def start(self, command: str, *, seconds: float | None = None) -> AsyncGenerator[bytes, None]:
        config = pb.ProcessConfig(cmd="/bin/bash", args=["-c", command])
        headers = {**self._headers, **KEPT}
        if seconds is not None:
            headers["connect-timeout-ms"] = str(round(seconds * 1000))
        async with ProcessClient(self._runtime.url) as client:
            request = pb.StartRequest(process=config, tag=TAG, stdin=False)
            async for answer in client.start(request, headers=headers):
                if output := _stdout(answer):
                    yield output

    async def read_on(self, offset: int = 0) -> AsyncGenerator[bytes, None]:
        headers = {**self._headers, "Runtime-Output-From": f"stdout={offset}"}
        selector = pb.ProcessSelector(selector=Oneof[Literal["tag"], str]("tag", TAG))
        async with ProcessClient(self._runtime.url) as client:
            async for answer in client.connect(pb.ConnectRequest(process=selector), headers=headers):
                if output := _stdout(answer):
                    yield output

    async def acknowledge(self, taken: Mapping[str, int], *, ended: bool = False) -> None:
        answer = await self.post([{"tag": TAG, "taken": dict(taken), "ended": ended}])
        assert answer.status_code == 204, answer.text

    async def post(self, body: object) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self._runtime.url, headers=self._headers) as client:
            return await client.post("/runtime/acknowledgements", json=body)


def _stdout(answer: pb.StartResponse | pb.ConnectResponse) -> bytes | None:
    event = answer.event.event if answer.event is not None else None
    output = event.value.output if event is not None and event.field == "data" else None
    return output.value if output is not None and output.field == "stdout" else None


async def until_broken_off(pieces: AsyncGenerator[bytes, None]) -> tuple[bytes, Code | None]:
    """What came, and the code of the error at its end, if there was one."""
    taken = b""
    try:
        async for piece in pieces:
            taken += piece
    except ConnectError as error:
        return taken, error.code
    return taken, None


@pytest.fixture
def taker(runtime: RuntimeProcess, sandbox: AsyncSandbox) -> Taker:
    return Taker(runtime, sandbox)


async def test_what_nobody_has_stored_is_given_again_however_much_was_sent(
    taker: Taker, sandbox: AsyncSandbox
) -> None:
    stored = hashlib.sha256()
    offset = 0
    pieces = taker.start("head -c 8M /dev/urandom | tee copy")
    while True:
        sent = 0
        # Each taker takes much, stores the first part of it, and is killed.
        async for piece in pieces:
            if sent < 300_000:
                stored.update(piece)
                offset += len(piece)
            sent += len(piece)
            if sent > 900_000:
                break
        else:
            if sent <= 300_000:
                break
        await pieces.aclose()
        pieces = taker.read_on(offset)
    copy = bytes(await sandbox.files.read("copy", format="bytes"))
    assert (offset, stored.hexdigest()) == (len(copy), hashlib.sha256(copy).hexdigest())


async def test_a_process_waits_until_its_output_is_acknowledged(taker: Taker) -> None:
    came = 0
    told = 0
    pieces = taker.start("head -c 6M /dev/zero")
    try:
        async with asyncio.timeout(20):
            async for piece in pieces:
                came += len(piece)
                assert came - told <= 1 << 20
                if came - told == 1 << 20:
                    told = came
                    await taker.acknowledge({"stdout": came})
    finally:
        await pieces.aclose()
    assert came == 6 << 20


async def test_an_end_is_kept_until_it_is_acknowledged() -> None:
    with runtime_folder() as state:
        runtime = RuntimeProcess(state)
        await runtime.start()
        sandbox = await runtime.client.AsyncSandbox.create(timeout=300)
        taker = Taker(runtime, sandbox)
        assert [piece async for piece in taker.start("echo said")] == [b"said\n"]
        await runtime.kill()
        await runtime.start()
        for _ in range(2):
            assert [piece async for piece in taker.read_on()] == [b"said\n"]
        await taker.acknowledge({"stdout": 5}, ended=True)
        with pytest.raises(ConnectError) as raised:
            _ = [piece async for piece in taker.read_on()]
        assert raised.value.code is Code.NOT_FOUND
        await taker.acknowledge({"stdout": 5}, ended=True)
        await runtime.stop()


async def test_a_runtime_that_is_to_leave_its_sandboxes_running_is_restarted_without_a_loss() -> None:
    with runtime_folder() as state:
        runtime = RuntimeProcess(state, at_stop="leave")
        await runtime.start()
        sandbox = await runtime.client.AsyncSandbox.create(timeout=300)
        taker = Taker(runtime, sandbox)
        pieces = taker.start("for i in $(seq 300); do echo $i; sleep 0.01; done")
        taken = await anext(pieces)
        await pieces.aclose()
        await runtime.stop()
        await runtime.start()
        async for piece in taker.read_on(len(taken)):
            taken += piece
        assert taken == b"".join(b"%d\n" % number for number in range(1, 301))
        await runtime.client.AsyncSandbox.kill(sandbox.sandbox_id)
        await runtime.stop()


async def test_a_process_whose_time_is_over_loses_none_of_its_last_output(taker: Taker) -> None:
    for pieces in (taker.start("printf %0300000d 7; exec sleep 60", seconds=0.5), taker.read_on()):
        taken, end = await until_broken_off(pieces)
        assert end is Code.DEADLINE_EXCEEDED
        assert len(taken) == 300_000


@pytest.mark.parametrize(
    "body",
    [
        {},
        [{"taken": {}}],
        [{"tag": TAG, "taken": {"stdout": -1}}],
        [{"tag": TAG, "taken": {"stdout": 1 << 63}}],
        [{"tag": TAG}] * 1001,
        "x" * 2_000_000,
    ],
)
async def test_what_is_no_acknowledgement_is_refused(taker: Taker, body: object) -> None:
    assert (await taker.post(body)).status_code == 400
