"""The walls of a sandbox, tried from inside by reading and probing only, and seen from the host."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from e2b import AsyncSandbox, CommandExitException

from tests.fixtures.runtime import RuntimeProcess


@pytest.fixture(params=["runtime", "unprivileged_runtime"])
async def walled(
    request: pytest.FixtureRequest, runtime: RuntimeProcess, unprivileged_runtime: RuntimeProcess
) -> AsyncIterator[AsyncSandbox]:
    """A sandbox of a runtime started by the tests' user, and of one started by an ordinary user."""
    chosen = {"runtime": runtime, "unprivileged_runtime": unprivileged_runtime}[request.param]
    sandbox = await chosen.client.AsyncSandbox.create(timeout=120)
    yield sandbox
    await sandbox.kill()


async def output(sandbox: AsyncSandbox, command: str) -> str:
    """What a command prints on both streams, whatever its exit code."""
    try:
        result = await sandbox.commands.run(command)
    except CommandExitException as ended:
        return f"{ended.stdout}{ended.stderr}".strip()
    return f"{result.stdout}{result.stderr}".strip()


async def python(sandbox: AsyncSandbox, program: str) -> str:
    """What a Python program prints inside."""
    return await output(sandbox, f"python3 - <<'END'\n{program}\nEND")


async def test_its_processes_never_run_as_the_hosts_root(walled: AsyncSandbox) -> None:
    await walled.commands.run("exec sleep 4711471", background=True, timeout=0)
    found = [
        path.parent
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if b"4711471" in _read(path) and b"sleep" in _read(path)
    ]
    assert found
    for process in found:
        status = dict(
            line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line
        )
        assert "0" not in status["Uid"].split()
        assert "0" not in status["Gid"].split()
        assert status["Groups"].strip() in ("", status["Gid"].split()[0])
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 0
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


async def test_two_sandboxes_have_no_host_id_in_common(runtime: RuntimeProcess) -> None:
    if Path(f"/proc/{runtime.pid}").stat().st_uid != 0:
        pytest.skip("an ordinary user has one user id for all")
    maps = []
    for _ in range(2):
        sandbox = await runtime.client.AsyncSandbox.create(timeout=60)
        maps.append([int(number) for number in (await output(sandbox, "cat /proc/self/uid_map")).split()])
        await sandbox.kill()
    (_, first, count), (_, second, _) = maps
    assert count == 65536
    assert abs(first - second) >= count
    assert min(first, second) > 65536


async def test_a_process_inside_inherits_no_descriptor_but_its_own_three(walled: AsyncSandbox) -> None:
    program = "import os; print(*sorted(int(name) for name in os.listdir('/proc/self/fd')))"
    assert await python(walled, program) in ("0 1 2", "0 1 2 3")  # the third is the listing's own


@pytest.mark.parametrize(
    "path",
    [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sysrq-trigger",
        "/usr/bin",
        "/dev",
        "/run/runtime/supervisor.pyc",
        "/proc/sys/vm/drop_caches",
    ],
)
async def test_what_is_the_hosts_cannot_be_written(walled: AsyncSandbox, path: str) -> None:
    assert await python(walled, f"import os; print(os.access({path!r}, os.W_OK))") == "False"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/shadow",
        "/var/lib/commandcenter-runtime",
        "/sys",
        "/home/user/../../boot",
        "/boot",
        "/tree",
        "/runtime",
    ],
)
async def test_what_is_the_hosts_is_not_there(walled: AsyncSandbox, path: str) -> None:
    assert await python(walled, f"import os; print(os.path.exists({path!r}))") == "False"


@pytest.mark.parametrize("name", ["environ", "mem", "maps", "fd", "cwd", "exe", "root"])
async def test_the_supervisor_cannot_be_read(walled: AsyncSandbox, name: str) -> None:
    shown = await output(walled, f"cat /proc/1/{name} || ls /proc/1/{name}/")
    assert "ermission denied" in shown


async def test_the_supervisor_cannot_be_signalled_or_traced(walled: AsyncSandbox) -> None:
    await walled.commands.run("kill -9 1; kill -STOP 1; kill -TERM 1; kill -INT 1; true")
    attach = (
        "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"
        "print(libc.ptrace(16, 1, 0, 0), ctypes.get_errno())"
    )
    assert await python(walled, attach) == "-1 1"
    assert await output(walled, "echo alive") == "alive"


async def test_no_environment_of_the_hosts_is_inside(walled: AsyncSandbox) -> None:
    everything = await output(walled, "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; env")
    assert "RUNTIME_" not in everything
    assert RuntimeProcess.api_key not in everything


@pytest.mark.parametrize(
    ("call", "errno"),
    [
        ("mount(b'none', b'/tmp', b'tmpfs', 0, None)", 1),
        ("unshare(0x10000000)", 1),
        ("unshare(0x20000)", 1),
        ("setns(0, 0)", 1),
        ("chroot(b'/tmp')", 1),
        ("syscall(250, 0, -3, 1)", 1),
        ("syscall(248, b'user', b'a', b'b', 1, -3)", 1),
        ("syscall(321, 0, 0, 0)", 1),
        ("syscall(323, 0)", 1),
        ("syscall(298, 0, 0, -1, -1, 0)", 1),
        ("syscall(425, 1, 0)", 38),
        ("syscall(435, 0, 0)", 38),
        ("syscall(56, 0x10000011, 0, 0, 0, 0)", 1),
        ("process_vm_readv(1, 0, 0, 0, 0, 0)", 1),
        ("syscall(304, 0, 0, 0)", 1),
        ("syscall(0x40000027)", 38),
        ("ioctl(0, 0x5412, b'x')", 1),
        ("personality(0x0040000)", 1),
    ],
)
async def test_a_dangerous_call_is_refused(walled: AsyncSandbox, call: str, errno: int) -> None:
    program = (
        f"import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nprint(libc.{call}, ctypes.get_errno())"
    )
    assert await python(walled, program) == f"-1 {errno}"


@pytest.mark.parametrize(
    ("family", "allowed"),
    [(1, True), (2, True), (10, True), (16, True), (40, False), (17, False), (38, False), (31, False)],
)
async def test_only_ordinary_socket_families_are_there(
    walled: AsyncSandbox, family: int, allowed: bool
) -> None:
    kind = "SOCK_RAW" if family == 16 else "SOCK_STREAM"
    program = (
        f"import socket\ntry: socket.socket({family}, socket.{kind}); print(True)\n"
        "except OSError: print(False)"
    )
    assert await python(walled, program) == str(allowed)


async def test_there_is_no_way_out_by_network(walled: AsyncSandbox, runtime: RuntimeProcess) -> None:
    assert (
        await output(walled, "ls /proc/sys/net/ipv4/conf; tail -n +3 /proc/net/dev | cut -d: -f1")
        == "all\ndefault\nlo\n    lo"
    )
    port = runtime.url.rpartition(":")[2]
    program = f"""
import socket
for address in (("127.0.0.1", {port}), ("169.254.169.254", 80), ("10.0.2.2", {port}), ("192.0.2.1", 53)):
    probe = socket.socket(); probe.settimeout(2)
    try:
        probe.connect(address)
        probe.send(b"GET / HTTP/1.0\\r\\n\\r\\n")
        print(probe.recv(1) == b"")
    except OSError:
        print(True)
"""
    assert await python(walled, program) == "True\nTrue\nTrue\nTrue"


async def test_the_way_out_leads_to_nothing_of_the_hosts(
    walled: AsyncSandbox, runtime: RuntimeProcess
) -> None:
    for address in (runtime.url, "http://169.254.169.254/", "http://[::1]/", "http://127.1/"):
        asked = f"curl -s --noproxy '' -x 127.0.0.1:3128 -o /dev/null -w '%{{http_code}}' '{address}'"
        assert await output(walled, asked) == "403", address


async def test_abstract_sockets_of_the_host_are_not_there(walled: AsyncSandbox) -> None:
    assert await output(walled, "tail -n +2 /proc/net/unix | grep -c '@' || true") == "0"


async def test_only_its_own_processes_are_seen(walled: AsyncSandbox) -> None:
    assert set((await output(walled, "ps -eo comm= | sort -u")).split()) <= {
        "bash",
        "ps",
        "sort",
        "python3",
        "python3.11",
    }


async def test_scratch_space_is_bounded(walled: AsyncSandbox) -> None:
    shown = await output(walled, "df --output=size -B1 /tmp /dev/shm | tail -n +2")
    sizes = [int(size) for size in shown.split()]
    assert sizes == [1 << 28, 1 << 27]
    filled = await output(
        walled, "head -c 300M /dev/zero > /tmp/fill; ls -l /tmp/fill | cut -d' ' -f5; rm /tmp/fill"
    )
    assert "No space left" in filled
    assert str(1 << 28) in filled


async def test_programs_that_need_more_than_most_work(walled: AsyncSandbox) -> None:
    program = """
import multiprocessing, threading, subprocess, concurrent.futures as futures
def double(n): return 2 * n
if __name__ == "__main__":
    with futures.ProcessPoolExecutor(2) as pool: print(list(pool.map(double, range(3))))
    thread = threading.Thread(target=print, args=("thread",)); thread.start(); thread.join()
    print(subprocess.run(["/bin/echo", "child"], capture_output=True, text=True).stdout.strip())
"""
    assert (
        await output(walled, f"cat > m.py <<'END'\n{program}\nEND\npython3 m.py")
        == "[0, 2, 4]\nthread\nchild"
    )
    node = await output(walled, "command -v node >/dev/null && node -e 'console.log(6*7)' || echo 42")
    assert node == "42"


async def test_no_mount_target_lies_below_what_a_sandbox_can_write() -> None:
    from runtime.host.bubblewrap import ExtraMount, Launch, Trees, command

    launch = Launch(
        trees=Trees(["/layer/root", "/skeleton"], ["/layer/usr", "/usr"], "/data"),
        inside=Path("/inside"),
        python="/python/bin/python3",
        python_root=Path("/python-root"),
        own_ids=True,
        scratch_bytes=1,
        shared_memory_bytes=1,
        lease=60,
        limits="",
        extra_mounts=[ExtraMount("/volume", "/home/user/volume")],
    )
    arguments = command(Path("/bwrap"), launch)
    arguments = arguments[: arguments.index("--")]
    places = {
        "--bind": 2,
        "--ro-bind": 2,
        "--symlink": 2,
        "--overlay": 3,
        "--tmpfs": 1,
        "--proc": 1,
        "--dev": 1,
    }
    targets = [arguments[at + places[word]] for at, word in enumerate(arguments) if word in places]
    writable = ["/tree", "/tree-usr", "/tmp", "/run", "/dev/shm", "/extra-0"]
    assert set(writable) <= set(targets)
    assert [target for target in targets if any(target.startswith(f"{root}/") for root in writable)] == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
