"""Start commands: they run in every sandbox before it is handed out, and are awaited until they are ready."""

import pytest
from e2b import (
    E2B,
    wait_for_file,
    wait_for_port,
    wait_for_process,
    wait_for_timeout,
    wait_for_url,
)
from e2b.exceptions import BuildException

SERVER = "sleep 0.3; exec python3 -m http.server --directory /srv 8123"


async def test_a_server_answers_when_its_sandbox_is_handed_out(e2b: E2B) -> None:
    template = (
        e2b.AsyncTemplate()
        .from_base_image()
        .set_envs({"WORD": "hello"})
        .run_cmd("echo served > /srv/index.html", user="root")
        .set_start_cmd(f"echo $WORD > ~/started; {SERVER}", wait_for_url("http://localhost:8123/"))
    )
    await e2b.AsyncTemplate.build(template, "serves")
    sandbox = await e2b.AsyncSandbox.create("serves", timeout=60)
    assert (await sandbox.commands.run("curl -s localhost:8123; cat ~/started")).stdout == "served\nhello\n"
    assert any("http.server" in " ".join(each.args) for each in await sandbox.commands.list())
    await sandbox.kill()


@pytest.mark.parametrize(
    ("start", "ready"),
    [
        (SERVER, wait_for_port(8123)),
        ("sleep 0.2; touch ~/up; sleep 60", wait_for_file("/home/user/up")),
        ("sleep 0.2; exec -a the-daemon sleep 60", wait_for_process("sleep")),
        ("sleep 60", wait_for_timeout(1000)),
        ("true", "true"),
    ],
)
async def test_the_ready_commands_of_the_sdk_succeed(e2b: E2B, start: str, ready: object) -> None:
    template = e2b.AsyncTemplate().from_base_image().set_start_cmd(start, ready)  # type: ignore[arg-type]
    await e2b.AsyncTemplate.build(template, "readiness")


async def test_a_template_without_start_can_wait(e2b: E2B) -> None:
    template = e2b.AsyncTemplate().from_base_image().run_cmd("touch ~/there")
    await e2b.AsyncTemplate.build(template.set_ready_cmd(wait_for_file("/home/user/there")), "waits")


async def test_templates_made_from_one_that_starts_start_the_same(e2b: E2B) -> None:
    first = e2b.AsyncTemplate().from_base_image().set_start_cmd("touch ~/up; sleep 60", "test -f ~/up")
    await e2b.AsyncTemplate.build(first, "starts")
    second = e2b.AsyncTemplate().from_template("starts").run_cmd("touch ~/more")
    await e2b.AsyncTemplate.build(second, "starts-too")
    sandbox = await e2b.AsyncSandbox.create("starts-too", timeout=60)
    assert (await sandbox.commands.run("ls ~")).stdout == "more\nup\n"
    await sandbox.kill()


async def test_a_start_command_that_fails_fails_the_build(e2b: E2B) -> None:
    template = e2b.AsyncTemplate().from_base_image().set_start_cmd("echo no luck >&2; exit 3", "false")
    with pytest.raises(BuildException, match=r"start command failed: .*exit status 3\nno luck"):
        await e2b.AsyncTemplate.build(template, "never-starts")


async def test_a_start_command_writes_without_anyone_reading(e2b: E2B) -> None:
    command = "head -c 4000000 /dev/zero; touch ~/written; sleep 60"
    template = e2b.AsyncTemplate().from_base_image().set_start_cmd(command, "true")
    await e2b.AsyncTemplate.build(template, "loud")
    sandbox = await e2b.AsyncSandbox.create("loud", timeout=60)
    await sandbox.commands.run("until test -f ~/written; do sleep 0.02; done", timeout=10)
    await sandbox.kill()


async def test_a_sandbox_that_begins_anew_starts_again(e2b: E2B) -> None:
    template = e2b.AsyncTemplate().from_base_image().set_start_cmd("date >> ~/up; sleep 60", "test -f ~/up")
    await e2b.AsyncTemplate.build(template, "begins-anew")
    sandbox = await e2b.AsyncSandbox.create("begins-anew", timeout=60)
    await sandbox.pause(keep_memory=False)
    await sandbox.connect()
    await sandbox.commands.run("until [ $(wc -l < ~/up) = 2 ]; do sleep 0.02; done", timeout=10)
    assert len(await sandbox.commands.list()) == 1
    await sandbox.kill()
