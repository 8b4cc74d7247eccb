"""`commandcenter up`: everything by one command, with the real parts."""

import os
import pwd
import shutil
import signal
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import httpx
import pytest
from e2b import AsyncSandbox
from sqlalchemy.engine import make_url

from processes.child import Child, ChildFailedError
from processes.embedded.postgresql import ADMINISTRATOR, DATABASE, EmbeddedPostgresql
from processes.home import open_home
from processes.identity import Identity
from processes.ports import require_free
from tests.fixtures.client import Client
from tests.fixtures.installation import Installation, installation, up_plan
from tests.fixtures.users import ORDINARY_USER, needs_root_in_an_open_folder
from tests.logs.reading import Reader

# Several starts of everything, on a machine that may be busy with other tests.
pytestmark = pytest.mark.timeout(240)

PROCESSES = ("postgresql", "valkey", "runtime", "worker", "web")


@pytest.fixture(scope="module")
async def started(short_folder: Path) -> AsyncIterator[Installation]:
    async with installation(short_folder / "started") as running:
        yield running


def runtime_key(home: Path) -> str:
    return (home / "runtime.key").read_text().strip()


async def is_ready(running: Installation) -> bool:
    async with httpx.AsyncClient(base_url=running.address) as client:
        return (await client.get("/readyz")).is_success


def owner_of(process_id: int) -> int:
    return Path(f"/proc/{process_id}").stat().st_uid


def traces_of(home: Path) -> list[str]:
    """What on this machine still has to do with a home: processes, and mounts in whichever namespace."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            for file in ("cmdline", "environ", "mountinfo"):
                try:
                    content = (process / file).read_bytes()
                except OSError:
                    continue
                if os.fsencode(home) in content:
                    found.append(f"{process.name} {file}")
    return found


async def fails(home: Path, environment: dict[str, str] | None = None, port: int = 0) -> str:
    """Why `commandcenter up` does not start."""
    plan, heard = up_plan(home, environment, port=port)
    child = Child(plan, heard)
    await child.start()
    with pytest.raises(ChildFailedError):
        await child.wait_until_ready()
    assert await child.ended() == 1
    return heard.text


async def test_one_command_brings_everything_up(started: Installation) -> None:
    assert await is_ready(started)
    for name in PROCESSES:
        os.kill(started.process_id(name), 0)


async def test_it_prints_a_link_to_sign_in_by_and_where_the_key_is(started: Installation) -> None:
    assert started.sign_in_link.startswith(f"{started.address}/sign-in?token=")
    key_file = started.home / "admin.key"
    assert str(key_file) in started.said
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert started.admin_key not in started.said


async def test_its_logs_are_json_lines_that_only_we_can_read(started: Installation) -> None:
    assert {file.name for file in (started.home / "logs").iterdir()} >= {f"{name}.log" for name in PROCESSES}
    assert stat.S_IMODE((started.home / "logs").stat().st_mode) == 0o700
    assert (started.home / "logs" / "web.log").read_text().startswith('{"')


async def test_a_second_one_on_the_same_home_says_so_and_ends(started: Installation) -> None:
    said = await fails(started.home)
    assert said == (
        f"commandcenter: CommandCenter is already running on {started.home} (process "
        f"{started.child.process_id}). Stop that one first, or set COMMANDCENTER_HOME to another folder.\n"
    )


async def test_a_port_that_is_taken_is_said_in_one_line(short_folder: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        said = await fails(short_folder / "port", port=port)
    assert f"commandcenter: Port {port} on 127.0.0.1 is taken by another program." in said
    assert "Traceback" not in said
    assert "stop" not in said.split("commandcenter: ")[0], "nothing was started yet"


@pytest.mark.parametrize("name", ["web", "runtime", "postgresql"])
async def test_a_process_that_is_killed_is_started_again_and_that_is_said(
    started: Installation, name: str
) -> None:
    killed = started.process_id(name)
    os.kill(killed, signal.SIGKILL)
    await started.says(f"{name} is ready again")
    assert f"{name} ended (killed by SIGKILL); starting it again in 0.5 s" in started.said, started.said
    assert started.process_id(name) != killed
    assert await is_ready(started)


async def test_a_killed_runtime_costs_no_command_a_line(started: Installation) -> None:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {started.admin_key}"}) as http:
        client = Client(started.address, started.admin_key, http)
        async with client.sandbox() as sandbox_id:
            execution = await client.start(sandbox_id, "for i in $(seq 100); do echo $i; sleep 0.02; done")
            reader = Reader()
            await reader.read_execution(client, execution, until=20)
            os.kill(started.process_id("runtime"), signal.SIGKILL)
            await reader.read_execution(client, execution)
            ended = await client.show_execution(execution)
    assert (ended["status"], ended["exitCode"], reader.gaps) == ("SUCCEEDED", 0, [])
    assert reader.stream("STDOUT") == b"".join(b"%d\n" % number for number in range(1, 101))


async def test_ctrl_c_leaves_nothing_behind_and_the_next_start_goes_on_with_the_same_data(
    short_folder: Path,
) -> None:
    home = short_folder / "again"
    runtime_port = require_free("127.0.0.1", 0)
    async with installation(home, {"RUNTIME_PORT": str(runtime_port)}) as running:
        key = running.admin_key
        runtime = f"http://127.0.0.1:{runtime_port}"
        sandbox = await AsyncSandbox.create(api_key=runtime_key(home), api_url=runtime, sandbox_url=runtime)
        await sandbox.commands.run("sleep 600", background=True)
        projects = await stored_projects(EmbeddedPostgresql(open_home(home)))
        assert await running.stop() == 0
        assert "stopped in" in running.said
        assert "was killed" not in running.said
    assert traces_of(home) == []
    async with installation(home) as running:
        assert running.admin_key == key
        assert await stored_projects(EmbeddedPostgresql(open_home(home))) == projects


async def stored_projects(server: EmbeddedPostgresql, database: str = DATABASE) -> list[asyncpg.Record]:
    connection = await server.connect(database)
    try:
        return list(await connection.fetch("SELECT id, name FROM projects"))
    finally:
        await connection.close()


async def test_after_it_was_killed_its_processes_end_and_the_next_start_works(short_folder: Path) -> None:
    home = short_folder / "killed"
    async with installation(home) as running:
        os.kill(running.child.process_id, signal.SIGKILL)
        await running.child.ended()
    async with installation(home) as running:
        assert await is_ready(running)


async def test_servers_that_are_given_are_used(
    short_folder: Path, postgresql: EmbeddedPostgresql, empty_database_url: str, redis_url: str
) -> None:
    home = short_folder / "given"
    async with installation(home, {"DATABASE_URL": empty_database_url, "REDIS_URL": redis_url}) as running:
        assert await is_ready(running)
        assert {path.name for path in home.iterdir()}.isdisjoint({"postgresql", "valkey"})
    database = str(make_url(empty_database_url).database)
    assert [project["name"] for project in await stored_projects(postgresql, database)] == ["default"]


async def test_a_database_that_does_not_answer_is_said_without_its_password(
    short_folder: Path, redis_url: str
) -> None:
    given = {"DATABASE_URL": "postgresql://me:hush@127.0.0.1:1/x", "REDIS_URL": redis_url}
    said = await fails(short_folder / "silent", given)
    assert "postgresql://me:…@127.0.0.1:1/x does not answer" in said
    assert "hush" not in said
    assert "Traceback" not in said


async def test_a_database_role_that_would_pass_row_level_security_by_is_refused(
    short_folder: Path, postgresql: EmbeddedPostgresql, redis_url: str
) -> None:
    given = {"DATABASE_URL": postgresql.url(role=ADMINISTRATOR), "REDIS_URL": redis_url}
    assert "'postgres' is a superuser" in await fails(short_folder / "superuser", given)


async def test_a_setting_that_makes_no_sense_is_said_in_one_line(short_folder: Path) -> None:
    said = await fails(short_folder / "setting", {"COMMANDCENTER_PORT": "x"})
    assert said.startswith("commandcenter: COMMANDCENTER_PORT: ")
    assert said.count("\n") == 1


@pytest.fixture
def ordinary_home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="cc-"))
    entry = pwd.getpwnam(ORDINARY_USER)
    os.chown(home, entry.pw_uid, entry.pw_gid)
    yield home
    shutil.rmtree(home)


@needs_root_in_an_open_folder
async def test_everything_runs_for_an_ordinary_user_without_a_home(ordinary_home: Path) -> None:
    entry = pwd.getpwnam(ORDINARY_USER)
    async with installation(ordinary_home, identity=Identity(entry.pw_uid, entry.pw_gid)) as running:
        assert await is_ready(running)
        assert owner_of(running.process_id("postgresql")) == entry.pw_uid
        assert await running.stop() == 0
    assert traces_of(ordinary_home) == []
