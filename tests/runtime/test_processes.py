"""Processes in a sandbox, through E2B's Python SDK."""

import asyncio
import hashlib
import time
from pathlib import Path

import pytest
from connectrpc.errors import ConnectError
from e2b import (
    E2B,
    AsyncSandbox,
    CommandExitException,
    InvalidArgumentException,
    NotFoundException,
    TimeoutException,
)
from e2b.envd.process import process_connect, process_pb
from e2b.exceptions import AuthenticationException
from e2b.sandbox.commands.command_handle import PtySize

from tests.fixtures.runtime import RuntimeProcess


async def test_a_command_gives_its_output_and_exit_code(sandbox: AsyncSandbox) -> None:
    result = await sandbox.commands.run("echo out; echo err >&2")
    assert (result.stdout, result.stderr, result.exit_code, result.error) == ("out\n", "err\n", 0, None)


@pytest.mark.parametrize("code", [1, 2, 127, 255])
async def test_an_exit_code_is_exact(sandbox: AsyncSandbox, code: int) -> None:
    with pytest.raises(CommandExitException) as raised:
        await sandbox.commands.run(f"exit {code}")
    assert raised.value.exit_code == code
    assert raised.value.error == f"exit status {code}"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("KILL", "killed"),
        ("TERM", "terminated"),
        ("SEGV", "segmentation fault"),
        ("HUP", "hangup"),
        ("INT", "interrupt"),
    ],
)
async def test_a_signal_is_told_in_gos_words(sandbox: AsyncSandbox, name: str, words: str) -> None:
    with pytest.raises(CommandExitException) as raised:
        await sandbox.commands.run(f"kill -{name} $$")
    assert (raised.value.exit_code, raised.value.error) == (-1, f"signal: {words}")


async def test_a_background_child_does_not_hold_back_the_end(sandbox: AsyncSandbox) -> None:
    begin = time.monotonic()
    result = await sandbox.commands.run("sleep 50 & echo started")
    assert result.stdout == "started\n"
    assert time.monotonic() - begin < 5


async def test_a_background_child_may_write_on_after_the_end(sandbox: AsyncSandbox) -> None:
    await sandbox.commands.run("(sleep 0.2; echo late; echo survived > /tmp/mark) & echo started")
    await sandbox.commands.run("until [ -e /tmp/mark ]; do sleep 0.02; done", timeout=10)


async def test_output_without_pause_arrives_whole(sandbox: AsyncSandbox) -> None:
    digest = hashlib.sha256()

    def take(part: str) -> None:
        digest.update(part.encode())

    await sandbox.commands.run(
        "seq 1 2000000; sha256sum <(seq 1 2000000) >&2", on_stdout=take, retain_output=False, timeout=60
    )
    expected = hashlib.sha256("".join(f"{number}\n" for number in range(1, 2000001)).encode()).hexdigest()
    assert digest.hexdigest() == expected


async def test_the_last_words_of_a_fast_process_are_not_lost(sandbox: AsyncSandbox) -> None:
    for _ in range(30):
        result = await sandbox.commands.run("head -c 100000 /dev/zero | tr '\\0' x; printf END")
        assert len(result.stdout) == 100003
        assert result.stdout.endswith("END")


async def test_a_timeout_ends_the_process_and_is_told_as_one(sandbox: AsyncSandbox) -> None:
    with pytest.raises(TimeoutException):
        await sandbox.commands.run("sleep 77", timeout=0.5)
    left = await sandbox.commands.run("pgrep -f 'sleep 7[7]' || echo none")
    assert "none" in left.stdout


async def test_a_process_lives_on_when_its_client_goes(sandbox: AsyncSandbox) -> None:
    handle = await sandbox.commands.run("sleep 0.5; exit 7", background=True)
    await handle.disconnect()
    again = await sandbox.commands.connect(handle.pid)
    with pytest.raises(CommandExitException) as raised:
        await again.wait()
    assert raised.value.exit_code == 7


async def test_an_ended_process_still_tells_its_end(sandbox: AsyncSandbox) -> None:
    handle = await sandbox.commands.run("exit 9", background=True)
    with pytest.raises(CommandExitException):
        await handle.wait()
    again = await sandbox.commands.connect(handle.pid)
    with pytest.raises(CommandExitException) as raised:
        await again.wait()
    assert raised.value.exit_code == 9


async def test_processes_are_listed_while_they_run(sandbox: AsyncSandbox) -> None:
    handle = await sandbox.commands.run("sleep 60", background=True, cwd="/tmp", envs={"A": "1"})
    (listed,) = await sandbox.commands.list()
    assert (listed.pid, listed.cmd, listed.args[-1]) == (handle.pid, "/bin/bash", "sleep 60")
    assert (listed.cwd, listed.envs) == ("/tmp", {"A": "1"})
    assert await handle.kill()
    with pytest.raises(CommandExitException):
        await handle.wait()
    assert await sandbox.commands.list() == []


async def test_killing_ends_the_whole_group(sandbox: AsyncSandbox) -> None:
    handle = await sandbox.commands.run("sleep 88 | cat; true", background=True)
    await sandbox.commands.run("until pgrep -f 'sleep 8[8]'; do sleep 0.02; done", timeout=10)
    assert await handle.kill()
    with pytest.raises(CommandExitException):
        await handle.wait()
    await sandbox.commands.run("while pgrep -f 'sleep 8[8]'; do sleep 0.02; done", timeout=10)


async def test_killing_what_is_not_there_says_so(sandbox: AsyncSandbox) -> None:
    assert await sandbox.commands.kill(987654) is False


async def test_input_reaches_a_process_until_it_is_closed(sandbox: AsyncSandbox) -> None:
    handle = await sandbox.commands.run("cat; echo done", background=True, stdin=True)
    await sandbox.commands.send_stdin(handle.pid, "first ")
    await sandbox.commands.send_stdin(handle.pid, "second\n")
    await sandbox.commands.close_stdin(handle.pid)
    result = await handle.wait()
    assert result.stdout == "first second\ndone\n"


async def test_input_without_stdin_is_refused(sandbox: AsyncSandbox) -> None:
    handle = await sandbox.commands.run("sleep 60", background=True, stdin=False)
    with pytest.raises(Exception, match="stdin"):
        await sandbox.commands.send_stdin(handle.pid, "x")
    await handle.kill()


async def test_streamed_input_keeps_its_order(sandbox: AsyncSandbox) -> None:
    handle = await sandbox.commands.run("cat", background=True, stdin=True)
    async with sandbox.commands.stream_input(handle.pid) as stream:
        for number in range(500):
            await stream.send(f"{number}\n")
    await sandbox.commands.close_stdin(handle.pid)
    result = await handle.wait()
    assert result.stdout == "".join(f"{number}\n" for number in range(500))


async def test_much_input_waits_for_a_slow_reader(sandbox: AsyncSandbox) -> None:
    handle = await sandbox.commands.run("sleep 0.3; sha256sum", background=True, stdin=True)
    data = "0123456789abcdef" * 200_000
    await sandbox.commands.send_stdin(handle.pid, data)
    await sandbox.commands.close_stdin(handle.pid)
    result = await handle.wait()
    assert result.stdout.split()[0] == hashlib.sha256(data.encode()).hexdigest()


async def test_directory_and_variables_are_as_asked(sandbox: AsyncSandbox) -> None:
    result = await sandbox.commands.run(
        'pwd; echo "$WORD"; echo $USER $HOME', cwd="/tmp", envs={"WORD": "a=b c\nd"}
    )
    assert result.stdout == "/tmp\na=b c\nd\nuser /home/user\n"


async def test_variables_of_the_sandbox_reach_every_command(e2b: E2B) -> None:
    sandbox = await e2b.AsyncSandbox.create(timeout=60, envs={"FROM": "sandbox", "BOTH": "sandbox"})
    result = await sandbox.commands.run("echo $FROM $BOTH $E2B_SANDBOX_ID", envs={"BOTH": "command"})
    assert result.stdout == f"sandbox command {sandbox.sandbox_id}\n"
    await sandbox.kill()


async def test_a_directory_that_is_not_there_is_named(sandbox: AsyncSandbox) -> None:
    with pytest.raises(InvalidArgumentException, match="cwd '/nowhere' does not exist"):
        await sandbox.commands.run("true", cwd="/nowhere")


@pytest.mark.parametrize("user", ["nobody-here", "../root", "a" * 500])
async def test_a_user_that_is_not_there_is_refused(sandbox: AsyncSandbox, user: str) -> None:
    with pytest.raises(AuthenticationException, match="invalid username"):
        await sandbox.commands.run("true", user=user)


@pytest.mark.parametrize(
    ("user", "told"), [("user", "user 1000 1000 /home/user"), ("root", "root 0 0 /root")]
)
async def test_a_command_runs_as_the_user_that_is_named(sandbox: AsyncSandbox, user: str, told: str) -> None:
    result = await sandbox.commands.run("echo $(id -un) $(id -u) $(id -g) $HOME; pwd", user=user)
    assert result.stdout == f"{told}\n{told.split()[-1]}\n"


async def test_root_administers_the_sandbox_and_the_user_does_not(sandbox: AsyncSandbox) -> None:
    await sandbox.commands.run("echo secret > /root/of-root; chmod 600 /root/of-root", user="root")
    for command in ("cat /root/of-root", "touch /usr/local/of-user", "touch /etc/of-user", "touch /of-user"):
        with pytest.raises(CommandExitException, match="denied"):
            await sandbox.commands.run(command)
    await sandbox.commands.run(
        "useradd -m -s /bin/bash other && mkdir /work && chown other:other /work && "
        "touch /home/user/of-user && chown user:user /home/user/of-user && rm /home/user/of-user && "
        "echo changed >> /usr/share/common-licenses/BSD",
        user="root",
    )
    told = await sandbox.commands.run(
        "id -un; pwd; touch /work/of-other; stat -c %U /work/of-other", user="other"
    )
    assert told.stdout == "other\n/home/other\nother\n"
    assert "changed" not in Path("/usr/share/common-licenses/BSD").read_text()


async def test_what_people_use_works_inside(sandbox: AsyncSandbox) -> None:
    result = await sandbox.commands.run(
        "python3 -c 'import ssl, sqlite3, multiprocessing; print(6 * 7)' && git init -q repo && cd repo && "
        "git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x && git log --oneline | wc -l "
        "&& id -un"
    )
    assert result.stdout == "42\n1\nuser\n"


async def test_a_large_command_line_is_passed_whole(sandbox: AsyncSandbox) -> None:
    result = await sandbox.commands.run(f"printf %s {'x' * 120_000} | wc -c")
    assert result.stdout.strip() == "120000"


async def test_a_command_line_too_large_for_the_kernel_is_refused(sandbox: AsyncSandbox) -> None:
    with pytest.raises(InvalidArgumentException, match="argument list too long"):
        await sandbox.commands.run(f"true {'x' * 300_000}")


async def test_many_commands_at_once_keep_apart(sandbox: AsyncSandbox) -> None:
    results = await asyncio.gather(*(sandbox.commands.run(f"echo {number}") for number in range(100)))
    assert [result.stdout for result in results] == [f"{number}\n" for number in range(100)]


async def test_a_terminal_has_a_size_a_prompt_and_job_control(sandbox: AsyncSandbox) -> None:
    screen = _Screen()
    handle = await sandbox.pty.create(PtySize(rows=40, cols=132), on_data=screen.show, timeout=30)
    await sandbox.pty.send_stdin(handle.pid, b"stty size; tty\n")
    await screen.wait_for(b"40 132\r\n/dev/pts/")
    await sandbox.pty.resize(handle.pid, PtySize(rows=20, cols=99))
    await sandbox.pty.send_stdin(handle.pid, b"stty size\n")
    await screen.wait_for(b"20 99")
    await sandbox.pty.send_stdin(handle.pid, b"sh -c 'echo be\"\"gun; exec sleep 60'\n")
    await screen.wait_for(b"begun")
    await sandbox.pty.send_stdin(handle.pid, b"\x03")
    await sandbox.pty.send_stdin(handle.pid, b"echo code $?\n")
    await screen.wait_for(b"code 130")
    await sandbox.pty.send_stdin(handle.pid, b"exit 3\n")
    with pytest.raises(CommandExitException) as raised:
        await handle.wait()
    assert raised.value.exit_code == 3


async def test_a_command_that_is_not_there_is_named(sandbox: AsyncSandbox, runtime: RuntimeProcess) -> None:
    async with process_connect.ProcessClient(runtime.url) as client:
        headers = {
            "e2b-sandbox-id": sandbox.sandbox_id,
            "x-access-token": sandbox._envd_access_token or "",
        }
        config = process_pb.ProcessConfig(cmd="/no/such/program")
        with pytest.raises(
            ConnectError, match="error starting process '/no/such/program': no such file"
        ) as raised:
            async for _ in client.start(process_pb.StartRequest(process=config), headers=headers):
                pass
    assert raised.value.code.value == "invalid_argument"


async def test_connecting_to_what_is_not_there_says_so(sandbox: AsyncSandbox) -> None:
    with pytest.raises(NotFoundException, match="process with pid 424242 not found"):
        await sandbox.commands.connect(424242)


class _Screen:
    """What a terminal has shown."""

    def __init__(self) -> None:
        self._shown = b""
        self._changed = asyncio.Event()

    def show(self, data: bytes) -> None:
        self._shown += data
        self._changed.set()

    async def wait_for(self, words: bytes) -> None:
        async with asyncio.timeout(30):
            while words not in self._shown:
                self._changed.clear()
                await self._changed.wait()
