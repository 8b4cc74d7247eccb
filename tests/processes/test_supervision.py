"""Children: started, watched, restarted and stopped, with real processes."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from processes.child import Child, ChildFailedError, ChildPlan
from processes.log_files import RotatingLog
from processes.supervision import Supervisor
from tests.fixtures.children import Heard, running

ANSWER_SECONDS = 10
IGNORES_TERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
WAITS = "import time; print('here', flush=True); time.sleep(600)"


class Said:
    """What the supervisor says, and a way to wait for it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._changed = asyncio.Event()

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        self._changed.set()

    async def wait_for(self, words: str, times: int = 1) -> None:
        async with asyncio.timeout(ANSWER_SECONDS):
            while sum(words in line for line in self.lines) < times:
                self._changed.clear()
                await self._changed.wait()


def plan(
    name: str,
    code: str,
    *,
    ready: Callable[[], bool] = lambda: True,
    ready_seconds: float = ANSWER_SECONDS,
    grace_seconds: float = ANSWER_SECONDS,
) -> ChildPlan:
    async def asked() -> bool:
        return ready()

    return ChildPlan(
        name=name,
        command=(sys.executable, "-u", "-c", code),
        environment={},
        ready=asked,
        ready_seconds=ready_seconds,
        grace_seconds=grace_seconds,
    )


@asynccontextmanager
async def supervisor(folder: Path) -> AsyncIterator[tuple[Supervisor, Said]]:
    said = Said()
    supervisor = Supervisor(logs=folder, records=folder, say=said, first_pause_seconds=0.01)
    try:
        yield supervisor, said
    finally:
        await supervisor.stop()


def is_running(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(ANSWER_SECONDS):
        while not condition():
            await asyncio.sleep(0.005)


def announced(path: Path) -> int:
    return int(path.read_text()) if path.exists() and path.read_text() else 0


def announces(path: Path) -> str:
    return f"import os; open({str(path)!r}, 'w').write(str(os.getpid())); "


async def test_a_child_is_ready_when_it_says_so(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    async with running(plan("late", announces(file) + WAITS, ready=lambda: announced(file) > 0)) as child:
        assert announced(file) == child.process_id


async def test_a_child_that_ends_at_once_is_reported_with_its_last_words() -> None:
    child = Child(plan("broken", "print('no such table'); raise SystemExit(3)", ready=lambda: False), Heard())
    await child.start()
    with pytest.raises(ChildFailedError, match=r"(?s)broken ended at once \(exit code 3\).*no such table"):
        await child.wait_until_ready()


async def test_a_child_that_is_not_ready_in_time_is_reported() -> None:
    child = Child(plan("slow", WAITS, ready=lambda: False, ready_seconds=0.3), Heard())
    await child.start()
    with pytest.raises(ChildFailedError, match=r"slow was not ready within 0\.3 s"):
        await child.wait_until_ready()
    assert await child.stop(asyncio.Event()) == -signal.SIGTERM


async def test_a_program_that_is_not_there_is_said() -> None:
    async def never() -> bool:
        return False

    child = Child(ChildPlan(name="ghost", command=("/no/such",), environment={}, ready=never), Heard())
    with pytest.raises(ChildFailedError, match=r"ghost could not be started: .*No such file"):
        await child.start()


async def test_a_killed_child_is_started_again_and_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    async with supervisor(tmp_path) as (supervised, said):
        await supervised.start(plan("web", announces(file) + WAITS, ready=lambda: announced(file) > 0))
        first = announced(file)
        os.kill(first, signal.SIGKILL)
        await said.wait_for("web is ready again")
        await until(lambda: announced(file) != first)
        assert said.lines[0] == "web ended (killed by SIGKILL); starting it again in 0.01 s"


async def test_a_child_that_keeps_dying_is_started_ever_more_slowly(tmp_path: Path) -> None:
    async with supervisor(tmp_path) as (supervised, said):
        await supervised.start(plan("unlucky", "pass"))
        await said.wait_for("starting it again", times=4)
    pauses = [float(line.split(" in ")[1].split()[0]) for line in said.lines if "starting" in line]
    assert pauses[:4] == [0.01, 0.02, 0.04, 0.08]


async def test_children_stop_in_the_opposite_order_of_their_start(tmp_path: Path) -> None:
    order = tmp_path / "order"
    says = (
        "import signal, sys\n"
        "def leave(*_):\n    open({order!r}, 'a').write({name!r} + '\\n'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, leave)\nopen({name!r} + '.ready', 'w')\nsignal.pause()"
    )
    async with supervisor(tmp_path) as (supervised, _):
        for name in ("database", "queue", "web"):
            path = tmp_path / name
            code = says.format(order=str(order), name=str(path))
            await supervised.start(plan(name, code, ready=(tmp_path / f"{name}.ready").exists))
    assert [Path(line).name for line in order.read_text().split()] == ["web", "queue", "database"]


async def test_a_child_that_will_not_stop_is_killed_when_its_grace_is_over(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    code = IGNORES_TERM + announces(file) + WAITS
    async with supervisor(tmp_path) as (supervised, said):
        await supervised.start(plan("deaf", code, ready=lambda: announced(file) > 0, grace_seconds=0.2))
    assert not is_running(announced(file))
    assert said.lines == ["deaf did not end within 0.2 s and was killed"]


async def test_a_second_ctrl_c_does_not_wait_for_the_grace(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    code = IGNORES_TERM + announces(file) + WAITS
    async with supervisor(tmp_path) as (supervised, _):
        await supervised.start(plan("deaf", code, ready=lambda: announced(file) > 0, grace_seconds=600))
        supervised.hurry()
    assert not is_running(announced(file))


async def test_what_a_child_started_ends_with_it(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    grandchild = f"{announces(file)}{WAITS}"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    async with supervisor(tmp_path) as (supervised, _):
        await supervised.start(plan("parent", code, ready=lambda: announced(file) > 0))
    await until(lambda: not is_running(announced(file)))


@contextmanager
def started_program(code: str) -> Iterator[int]:
    process_id = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", code])
    try:
        yield process_id
    finally:
        os.kill(process_id, signal.SIGKILL)
        os.waitpid(process_id, 0)


async def test_children_do_not_outlive_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    child = announces(file) + WAITS
    code = f"""
import asyncio
from tests.processes.test_supervision import plan, announced, Path, Supervisor
async def main():
    path = Path({str(tmp_path)!r})
    supervised = Supervisor(logs=path, records=path, say=print)
    await supervised.start(plan("orphan", {child!r}, ready=lambda: announced(path / "pid") > 0))
    await asyncio.sleep(600)
asyncio.run(main())
"""
    with started_program(code):
        await until(lambda: announced(file) > 0)
        assert is_running(announced(file))
    await until(lambda: not is_running(announced(file)))


async def test_what_a_killed_supervisor_left_is_ended_by_the_next(tmp_path: Path) -> None:
    with started_program(IGNORES_TERM + WAITS) as process_id:
        async with supervisor(tmp_path) as (supervised, _):
            child = await supervised.start(plan("web", WAITS))
            record = (tmp_path / "web.json").read_text()
            assert child < ANSWER_SECONDS
        assert not (tmp_path / "web.json").exists()
        stale = Supervisor(logs=tmp_path, records=tmp_path, say=print)
        (tmp_path / "web.json").write_text(record)
        await stale.end_leftovers()
        assert is_running(process_id), "a record of a process that has ended is nobody else's"
        assert not (tmp_path / "web.json").exists()


async def test_a_child_reads_no_input_and_sees_no_environment_but_its_own(tmp_path: Path) -> None:
    code = "import os, sys; print(repr(sys.stdin.read()), 'HOME' in os.environ)"
    child = Child(plan("child", code), heard := Heard())
    await child.start()
    assert await child.ended() == 0
    assert heard.text == "'' False\n"


def test_a_log_file_is_put_aside_when_it_is_full(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "web.log", bytes_per_file=100, old_files=2)
    for number in range(50):
        log.write(f"line {number}\n".encode())
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["web.log", "web.log.1", "web.log.2"]
    assert all(file.stat().st_size <= 100 for file in files)
    assert (tmp_path / "web.log").read_text().endswith("line 49\n")


async def test_starting_a_child_takes_no_longer_than_the_child(tmp_path: Path) -> None:
    started = time.monotonic()
    async with supervisor(tmp_path) as (supervised, _):
        assert await supervised.start(plan("quick", WAITS)) < 1
    assert time.monotonic() - started < 2
