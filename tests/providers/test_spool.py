"""Output survives its reader at a provider that drops what nobody reads: in the sandbox itself."""

import asyncio
import hashlib
import random
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import pytest_asyncio

from commandcenter.providers import continuation
from commandcenter.providers.acknowledgements import Acknowledgement
from commandcenter.providers.attachments import Attachment
from commandcenter.providers.endings import Ended
from commandcenter.providers.errors import OutputInterruptedError, ProcessNotFoundError
from commandcenter.providers.output import Missing, Output, OutputStream, ProcessOutput
from commandcenter.providers.process_groups import cancel
from commandcenter.providers.processes import PtySize, close_stdin, list_processes, send_input
from commandcenter.providers.processes import start as start_unkept
from commandcenter.providers.sandboxes import Provider
from tests.fixtures.runtime import RuntimeProcess
from tests.providers.conftest import new_sandbox, runtime_account
from tests.providers.test_processes import read as read_unkept

SIGNALS = ["KILL", "TERM", "SEGV", "HUP", "PIPE", "RTMIN+3"]
SMALL = 16 * 4096
"""The smallest that is kept of a stream: 16 pieces."""


@dataclass
class Taken:
    """What a reader has taken of a command, over any number of breaks."""

    tag: str
    user: str | None = None
    data: dict[OutputStream, bytes] = field(default_factory=lambda: {"stdout": b"", "stderr": b""})
    missing: list[Missing] = field(default_factory=list)
    end: Ended | None = None

    @property
    def offsets(self) -> Mapping[OutputStream, int]:
        lengths = {stream: len(data) for stream, data in self.data.items()}
        for gap in self.missing:
            lengths[gap.stream] += (gap.to_offset or gap.from_offset) - gap.from_offset
        return lengths

    async def take(self, process: ProcessOutput, most_bytes: float = float("inf")) -> None:
        """Read to the end, or until `most_bytes` more have come."""
        async with process, asyncio.timeout(30):
            async for event in process:
                match event:
                    case Output(stream=stream, data=data):
                        self.data[stream] += data
                        most_bytes -= len(data)
                        if most_bytes <= 0:
                            return
                    case Missing():
                        assert event.from_offset == self.offsets[event.stream]
                        self.missing.append(event)
                    case Ended():
                        assert self.end is None
                        self.end = event

    async def read_on(self, sandbox: Attachment, most_bytes: float = float("inf")) -> None:
        again = await continuation.read_on(sandbox, tag=self.tag, user=self.user, taken=self.offsets)
        await self.take(again, most_bytes)


async def start(sandbox: Attachment, command: str | None, **given: Any) -> tuple[ProcessOutput, Taken]:
    tag = str(uuid.uuid4())
    asked: dict[str, Any] = {
        "cwd": None,
        "envs": {},
        "user": None,
        "stdin": False,
        "pty": None,
        "timeout_seconds": None,
    }
    process = await continuation.start(sandbox, command=command, tag=tag, **(asked | given))
    return process, Taken(tag, given.get("user"))


async def run(sandbox: Attachment, command: str, **given: Any) -> Taken:
    process, taken = await start(sandbox, command, **given)
    await taken.take(process)
    return taken


async def run_unread(sandbox: Attachment, command: str, **given: Any) -> Taken:
    """Run a command whose reader goes away at once, until it has ended."""
    process, taken = await start(sandbox, command, **given)
    await process.aclose()
    await until_gone(sandbox, process.pid)
    return taken


async def until_gone(sandbox: Attachment, pid: int) -> None:
    async with asyncio.timeout(20):
        while pid in [process.pid for process in await list_processes(sandbox)]:
            await asyncio.sleep(0.02)


async def do(sandbox: Attachment, command: str, user: str = "root") -> bytes:
    """What a command says that has nothing to do with keeping output."""
    written, end = await read_unkept(await start_unkept(sandbox, command=command, user=user))
    assert end == Ended(0), written
    return written.get("stdout", b"")


def without(data: bytes, missing: list[Missing]) -> bytes:
    """`data` but for what is missing, the end of which must be known."""
    for gap in reversed(missing):
        assert gap.to_offset is not None
        assert gap.from_offset < gap.to_offset < len(data)
        data = data[: gap.from_offset] + data[gap.to_offset :]
    return data


@pytest_asyncio.fixture(scope="module")
async def sandbox(cloud: Provider) -> AsyncIterator[Attachment]:
    made = await new_sandbox(cloud)
    yield cloud.attach(made.attachment)
    await cloud.kill(made.id)


@pytest_asyncio.fixture
async def small(dropping_runtime: RuntimeProcess) -> AsyncIterator[Attachment]:
    """A sandbox of the test's own, in which little is kept."""
    provider = Provider(replace(runtime_account(dropping_runtime, "small", "e2b"), spool_bytes=SMALL))
    made = await new_sandbox(provider)
    yield provider.attach(made.attachment)
    await provider.kill(made.id)


async def test_a_command_is_run_as_if_nothing_were_kept(sandbox: Attachment) -> None:
    command = r"""printf 'a\x00\xff\xc3\xff\x1e\n'; printf '\xe2\x82' >&2; umask; ulimit -c; trap; kill -l %1
        env | grep -v ^_= | sort; echo "$-|$SHLVL|$PWD|$0"; ls /proc/self/fd; ps -o comm= -p $$"""
    envs = {"LC_ALL": "xx_XX", "spool": "1", "BASH_ENV": "/etc/profile", "BASH_FUNC_f%%": "() { :; }"}
    kept = await run(sandbox, command, cwd="/tmp", envs=envs)
    written, end = await read_unkept(await start_unkept(sandbox, command=command, cwd="/tmp", envs=envs))
    assert kept.data["stdout"].splitlines() == written["stdout"].splitlines()
    assert (kept.data["stderr"], kept.end) == (written["stderr"], end)


@pytest.mark.parametrize("code", [0, 3, 126, 129, 137, 143, 255])
async def test_exit_codes_are_exact_live_and_afterwards(sandbox: Attachment, code: int) -> None:
    taken = await run(sandbox, f"exit {code}")
    assert taken.end == Ended(code)
    taken.end = None
    await taken.read_on(sandbox)
    assert taken.end == Ended(code)


@pytest.mark.parametrize("name", SIGNALS)
async def test_signals_are_told_apart_from_exit_codes(sandbox: Attachment, name: str) -> None:
    taken = await run(sandbox, f"echo said; kill -{name} $$")
    told = {"RTMIN+3": "SIG37"}.get(name, f"SIG{name}")
    assert (taken.data, taken.end) == ({"stdout": b"said\n", "stderr": b""}, Ended(None, signal=told))
    taken.end = None
    await taken.read_on(sandbox)
    assert taken.end == Ended(None, signal=told)


async def test_input_arrives_up_to_its_end(sandbox: Attachment) -> None:
    data = bytes(range(256)) * 2000
    process, taken = await start(sandbox, "sha256sum", stdin=True)
    await send_input(sandbox, process.pid, data)
    await close_stdin(sandbox, process.pid)
    await taken.take(process)
    assert taken.data["stdout"].split()[0].decode() == hashlib.sha256(data).hexdigest()


async def test_20_megabytes_are_exact_though_their_reader_is_cut_at_random(sandbox: Attachment) -> None:
    chance = random.Random(7)
    command = "seq 2900000 & head -c 3000000 /dev/urandom | tee /dev/shm/noise >&2; wait; exit 9"
    process, taken = await start(sandbox, command)
    await taken.take(process, chance.randrange(1, 3_000_000))
    while taken.end is None:
        await taken.read_on(sandbox, chance.choice([1, chance.randrange(1, 9_000_000)]))
    assert (taken.end, taken.missing) == (Ended(9), [])
    expected = "".join(f"{number}\n" for number in range(1, 2_900_001)).encode()
    assert len(taken.data["stdout"]) == len(expected) > 20_000_000
    assert hashlib.sha256(taken.data["stdout"]).digest() == hashlib.sha256(expected).digest()
    noise = (await do(sandbox, "sha256sum /dev/shm/noise")).split()[0].decode()
    assert noise == hashlib.sha256(taken.data["stderr"]).hexdigest()


async def test_what_is_written_after_a_break_comes_while_it_is_written(sandbox: Attachment) -> None:
    process, taken = await start(sandbox, "echo one; read; echo two; read; echo three >&2", stdin=True)
    await taken.take(process, 4)
    again = await continuation.read_on(sandbox, tag=taken.tag, user=None, taken=taken.offsets)
    for number, (stream, data) in enumerate([("stdout", b"two\n"), ("stderr", b"three\n")]):
        await send_input(sandbox, process.pid, b"\n")
        async with asyncio.timeout(2):
            assert await anext(again) == Output(stream, data), number  # type: ignore[arg-type]
    assert await anext(again) == Ended(0)


async def test_a_child_left_behind_holds_back_no_end(sandbox: Attachment) -> None:
    command = "(trap '' TERM; sleep 20; echo late) & echo done; exit 4"
    async with asyncio.timeout(5):
        taken = await run(sandbox, command)
        assert (taken.data["stdout"], taken.end) == (b"done\n", Ended(4))
        taken = await run_unread(sandbox, command)
        await taken.read_on(sandbox)
        assert (taken.data["stdout"], taken.end) == (b"done\n", Ended(4))


async def test_a_deadline_holds_also_where_nobody_reads(sandbox: Attachment) -> None:
    mark = uuid.uuid4().hex
    command = f"echo begun; (exec -a {mark} sleep 60); echo never"
    for how in (run, run_unread):
        taken = await how(sandbox, command, timeout_seconds=0.3)
        if taken.end is None:
            await taken.read_on(sandbox)
        assert taken.data["stdout"] == b"begun\n"
        assert taken.end is not None
        assert (taken.end.timed_out, taken.end.exit_code) == (True, None)
    assert await do(sandbox, f"pgrep -fc '^{mark}' || true") == b"0\n"


async def test_what_was_overwritten_unread_is_said_with_its_offsets(small: Attachment) -> None:
    expected = "".join(f"{number}\n" for number in range(1, 40_001)).encode()
    taken = await run_unread(small, "seq 40000; echo at the end >&2")
    await taken.read_on(small)
    assert taken.missing
    assert taken.data == {"stdout": without(expected, taken.missing), "stderr": b"at the end\n"}
    assert taken.end == Ended(0)
    kept = await do(small, f"cat /tmp/.commandcenter-*/{taken.tag}.out.* | wc -c")
    assert SMALL * 14 // 16 < int(kept) <= SMALL


async def test_a_full_disk_costs_output_only_while_nobody_reads_and_while_it_is_full(
    small: Attachment,
) -> None:
    lines = [f"{number}\n".encode() for number in range(1, 9001)]
    process, taken = await start(small, "seq 1000; read; seq 1001 8000; read; seq 8001 9000", stdin=True)
    await taken.take(process, len(b"".join(lines[:1000])))
    await do(small, "cat /dev/zero > /tmp/full 2>/dev/null; true")
    await send_input(small, process.pid, b"\n")
    # What could not be kept has passed once a later piece could be begun.
    await do(small, "while pgrep -x seq; do sleep 0.02; done; rm /tmp/full")
    await send_input(small, process.pid, b"\n")
    await until_gone(small, process.pid)
    await taken.read_on(small)
    assert taken.missing
    assert taken.data["stdout"] == without(b"".join(lines), taken.missing)
    assert taken.end == Ended(0)


async def test_other_places_are_used_and_without_any_output_comes_live(small: Attachment) -> None:
    await do(small, "chmod 755 /tmp")
    taken = await run_unread(small, "echo kept; exit 2")
    await taken.read_on(small)
    assert (taken.data["stdout"], taken.missing, taken.end) == (b"kept\n", [], Ended(2))
    assert await do(small, "stat -c %a:%U /home/user/.commandcenter-*") == b"700:user\n"
    await do(small, "chmod 755 /var/tmp; rm -r /home/user/.commandcenter-*; chown root /home/user")
    process, taken = await start(small, "echo one; read; echo two; exit 3", stdin=True)
    await taken.take(process, 4)
    again = await continuation.read_on(small, tag=taken.tag, user=None, taken=taken.offsets)
    await send_input(small, process.pid, b"\n")
    await taken.take(again)
    assert {(gap.stream, gap.to_offset) for gap in taken.missing} == {("stdout", None), ("stderr", None)}
    assert (taken.data["stdout"], taken.end) == (b"one\ntwo\n", Ended(3))


async def test_no_end_is_made_up_where_everything_was_killed(small: Attachment) -> None:
    taken = await run(small, "echo said; sleep 0.2; kill -9 -1")
    assert (taken.data["stdout"], taken.end) == (b"said\n", Ended(None, signal="SIGKILL"))
    assert {(gap.stream, gap.to_offset) for gap in taken.missing} == {("stdout", None), ("stderr", None)}
    taken = await run_unread(small, "echo said; sleep 0.2; kill -9 -1")
    with pytest.raises(OutputInterruptedError, match="nobody saw how it ended"):
        await taken.read_on(small)
    assert (taken.data["stdout"], taken.end) == (b"said\n", None)


async def test_what_never_was_is_not_found(sandbox: Attachment) -> None:
    with pytest.raises(ProcessNotFoundError):
        await Taken(str(uuid.uuid4())).read_on(sandbox)


@pytest.mark.parametrize("user", ["user", "root"])
async def test_files_are_private_and_gone_once_the_end_is_acknowledged(
    sandbox: Attachment, user: str
) -> None:
    taken = await run(sandbox, "echo secret; id -un", user=user)
    assert taken.data["stdout"] == f"secret\n{user}\n".encode()
    assert (
        await do(sandbox, f"stat -c %a:%U $(dirname /tmp/.commandcenter-*/{taken.tag}.status)")
    ).decode() == f"700:{user}\n"
    await continuation.acknowledge(sandbox, [Acknowledgement(taken.tag, user, taken.offsets, ended=True)])
    assert await do(sandbox, f"ls /tmp/.commandcenter-*/{taken.tag}.* 2>/dev/null | wc -l") == b"0\n"


async def test_cancelling_ends_all_that_a_command_started_and_keeps_its_last_words(
    sandbox: Attachment,
) -> None:
    mark = uuid.uuid4().hex
    sleeping = f"bash -c 'exec -a {mark} sleep 300'"
    children = f"{sleeping} & setsid {sleeping} & (trap '' TERM; {sleeping}) &"
    command = f"trap 'echo goodbye; exit 7' TERM; {children} echo up; wait"
    process, taken = await start(sandbox, command)
    await taken.take(process, 3)
    await do(sandbox, f"while [ $(pgrep -fc '^{mark}') -lt 3 ]; do sleep 0.02; done")
    assert await cancel(sandbox, process.pid, grace_seconds=0.3)
    await taken.read_on(sandbox)
    assert (taken.data["stdout"], taken.end) == (b"up\ngoodbye\n", Ended(7))
    assert await do(sandbox, f"pgrep -fc '^{mark}' || true") == b"0\n"
    assert not await cancel(sandbox, process.pid)


async def test_cancelling_ends_a_command_that_filled_the_sandbox(small: Attachment) -> None:
    process, taken = await start(small, "trap '' TERM; for i in {1..3000}; do sleep 300 & done")
    while b"Resource temporarily unavailable" not in taken.data["stderr"]:
        event = await anext(process)
        assert isinstance(event, Output)
        taken.data[event.stream] += event.data
    async with asyncio.timeout(20):
        assert await cancel(small, process.pid, grace_seconds=0.1)
        await taken.take(process)
    assert taken.end is not None
    assert (await run(small, "echo room again")).data["stdout"] == b"room again\n"


async def test_a_terminal_goes_on_live_behind_a_gap(sandbox: Attachment) -> None:
    process, taken = await start(sandbox, None, pty=PtySize(80, 24))
    taken.data = {"pty": b""}
    await taken.take(process, 1)
    again = await continuation.read_on(sandbox, tag=taken.tag, user=None, taken=taken.offsets)
    await send_input(sandbox, process.pid, b"exit 6\n", to="pty")
    await taken.take(again)
    assert [(gap.stream, gap.to_offset) for gap in taken.missing] == [("pty", None)]
    assert taken.end == Ended(6)
