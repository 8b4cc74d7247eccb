"""Every hole that is known in sandboxes of this kind, tried from inside as each user, under both runtimes."""

import asyncio
import errno
import json
import os
import platform
import socket
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from e2b import AsyncSandbox

from tests.fixtures.runtime import RuntimeProcess
from tests.fixtures.users import needs_root_in_an_open_folder, run_as_ordinary_user

PROBE = Path(__file__).with_name("walls_from_inside.py")
QUARTER = 1 << 28
MACHINE = pytest.mark.skipif(platform.machine() != "x86_64", reason="the probe has x86_64's call numbers")
# Kernel interfaces that anybody on the machine may write; they bear on nothing but the writer.
HARMLESS = ("/proc/pressure/", "/proc/thread-self/", "/proc/self/")
ABSENT = {"clone3", "io_uring_setup", "io_uring_enter", "io_uring_register", "an x32 call"}


@dataclass(frozen=True)
class Inside:
    """A sandbox, whoever looks around in it, and what they saw."""

    sandbox: AsyncSandbox
    runtime: RuntimeProcess
    user: str
    seen: dict[str, Any]


@pytest.fixture(scope="module", params=["runtime", "unprivileged_runtime"])
async def walled(
    request: pytest.FixtureRequest, runtime: RuntimeProcess, unprivileged_runtime: RuntimeProcess
) -> AsyncIterator[tuple[RuntimeProcess, AsyncSandbox]]:
    """A sandbox of a runtime started by the tests' user, and of one started by an ordinary user."""
    chosen = {"runtime": runtime, "unprivileged_runtime": unprivileged_runtime}[request.param]
    sandbox = await chosen.client.AsyncSandbox.create(timeout=300)
    yield chosen, sandbox
    await sandbox.kill()


@pytest.fixture(scope="module", params=["user", "root"])
async def inside(request: pytest.FixtureRequest, walled: tuple[RuntimeProcess, AsyncSandbox]) -> Inside:
    """What the probe saw inside, as `user` and as `root`."""
    runtime, sandbox = walled
    await sandbox.files.write("/tmp/walls.py", PROBE.read_text())
    with socket.socket(socket.AF_UNIX) as listening, socket.create_server(("127.0.0.1", 0)) as server:
        name = f"\0probe-{os.getpid()}-{request.param}"
        listening.bind(name)
        listening.listen()
        port = int(runtime.url.rpartition(":")[2])
        looked_for = [[os.getpid(), runtime.pid], name, [port, server.getsockname()[1]]]
        result = await sandbox.commands.run(
            f"python3 /tmp/walls.py '{json.dumps(looked_for)}'", user=request.param, timeout=30
        )
    return Inside(sandbox, runtime, request.param, json.loads(result.stdout))


@MACHINE
def test_no_call_reaches_the_kernels_rarely_trodden_parts(inside: Inside) -> None:
    expected = {name: errno.ENOSYS if name in ABSENT else errno.EPERM for name in inside.seen["calls"]}
    assert inside.seen["calls"] == expected


@MACHINE
def test_there_are_sockets_of_four_families_only(inside: Inside) -> None:
    for made_by, families in inside.seen["sockets"].items():
        reached = {int(family) for family, error in families.items() if error != errno.EAFNOSUPPORT}
        assert reached <= {1, 2, 10, 16}, made_by
    assert {inside.seen["sockets"]["socket"][family] for family in ("1", "2", "10", "16")} == {0}


def test_no_capability_leads_out_and_no_new_privilege_comes_in(inside: Inside) -> None:
    status = {name: value.strip() for name, value in inside.seen["status"].items()}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    # What root inside may do concerns files and processes of its own alone.
    of_root = 0x4FB if inside.user == "root" else 0
    for kind in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"):
        assert int(status[kind], 16) & ~of_root == 0, kind


def test_nothing_of_the_kernel_can_be_set(inside: Inside) -> None:
    assert [path for path in inside.seen["writable_in_proc"] if not path.startswith(HARMLESS)] == []


def test_devices_are_those_that_do_no_harm(inside: Inside) -> None:
    harmless = {"full", "null", "ptmx", "random", "tty", "urandom", "zero"}
    links = {"core", "fd", "stderr", "stdin", "stdout", "console"}
    assert set(inside.seen["devices"]) <= harmless | links | {"pts", "shm"}
    assert set(inside.seen["terminals"]) <= {"ptmx"}
    assert inside.seen["device_made"] == errno.EPERM


def test_processes_of_the_host_do_not_exist(inside: Inside) -> None:
    assert set(inside.seen["host_processes"].values()) <= {errno.ESRCH, errno.EPERM}
    listed = {int(pid) for pid, error in inside.seen["host_processes"].items() if error != errno.ESRCH}
    # A number may be that of a process inside; the host's own are far above.
    assert all(pid < 100 for pid in listed)


def test_the_hosts_sockets_are_out_of_reach(inside: Inside) -> None:
    assert inside.seen["host_abstract_socket"] == errno.ECONNREFUSED
    assert set(inside.seen["host_ports"].values()) == {errno.ECONNREFUSED}


def test_no_private_address_answers_not_even_those_of_clouds(inside: Inside) -> None:
    assert inside.seen["network_devices"] == ["lo"]
    assert inside.seen["answering"] == []


def test_the_supervisor_shows_nothing_of_itself(inside: Inside) -> None:
    assert inside.seen["pid1"] == []
    assert set(inside.seen["pid1_links"].values()) <= {errno.EACCES, errno.EPERM}


def test_a_command_gets_three_descriptors_and_no_stray_variable(inside: Inside) -> None:
    assert inside.seen["descriptors"] == [0, 1, 2]
    assert not [name for name in inside.seen["environment"] if name.startswith("RUNTIME")]
    assert "API_KEY" not in " ".join(inside.seen["environment"])


def test_logs_memory_and_disks_of_the_host_cannot_be_read(inside: Inside) -> None:
    assert [path for path, readable in inside.seen["files"].items() if readable] == []
    assert inside.seen["kernel_addresses"] in ([], ["0000000000000000"], ["error:"])


def test_no_core_is_dumped_and_address_space_is_free(inside: Inside) -> None:
    assert inside.seen["core_size"] == ["0", "0"]
    assert inside.seen["address_space"] == ["unlimited", "unlimited"]


def test_memory_that_looks_like_disk_is_bounded(inside: Inside) -> None:
    assert inside.seen["sizes"]["/tmp"] == QUARTER
    assert all(size <= QUARTER for size in inside.seen["sizes"].values())


def test_mounts_tell_no_more_of_the_host_than_they_must(inside: Inside) -> None:
    told = inside.seen["mount_info"]
    assert not [name for name in (".venv", "site-packages", str(PROBE.parent.parent)) if name in told]
    assert inside.seen["hostname"] == "sandbox"
    roots = [line.split()[4] for line in told.splitlines()]
    assert not [place for place in roots if place.startswith(("/oldroot", "/newroot", "/sys"))]


async def test_a_program_that_is_set_to_run_as_root_does_not(inside: Inside) -> None:
    await inside.sandbox.commands.run(
        "cp /usr/bin/id /tmp/own-id && chmod 4755 /tmp/own-id", user=inside.user
    )
    shown = await inside.sandbox.commands.run("/tmp/own-id -u; id -u; rm -f /tmp/own-id || true", user="user")
    as_set, as_is = shown.stdout.split()
    assert as_set == as_is


async def test_other_sandboxes_files_are_not_there(inside: Inside) -> None:
    other = await inside.runtime.client.AsyncSandbox.create(timeout=60)
    await other.files.write("/home/user/kept-by-another-4711", "secret")
    found = await inside.sandbox.commands.run(
        "find / -xdev -name 'kept-by-another-*' 2>/dev/null || true; ls -d /*", user=inside.user, timeout=30
    )
    await other.kill()
    assert "kept-by-another" not in found.stdout
    assert other.sandbox_id not in found.stdout


def test_bubblewrap_is_not_set_to_run_as_root(runtime: RuntimeProcess) -> None:
    binaries = list(runtime.state.glob("**/bwrap"))
    assert binaries
    assert not [each for each in binaries if each.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)]


@needs_root_in_an_open_folder
async def test_other_users_of_the_machine_cannot_pass_into_a_sandbox(runtime: RuntimeProcess) -> None:
    sandbox = await runtime.client.AsyncSandbox.create(timeout=60)
    folder = runtime.state / "sandboxes" / sandbox.sandbox_id
    look = (
        f"import os; print([os.access({str(folder)!r} + part, os.R_OK | os.X_OK) for part in ('', '/data')])"
    )
    seen = await asyncio.to_thread(run_as_ordinary_user, ("-I", "-c", look))
    await sandbox.kill()
    assert seen.stdout.strip() == "[False, False]", seen.stderr
