"""Templates by E2B's builder: each step runs in a sandbox, and new sandboxes begin where they ended."""

import shutil

import httpx
import pytest
from e2b import E2B, AsyncSandbox, LogEntry
from e2b.exceptions import BuildException, SandboxException
from e2b.template.main import TemplateBuilder

from tests.fixtures.runtime import RuntimeProcess


async def run(sandbox: AsyncSandbox, command: str) -> str:
    return (await sandbox.commands.run(command)).stdout


async def test_a_sandbox_begins_where_its_template_ended(e2b: E2B) -> None:
    template = (
        e2b.AsyncTemplate()
        .from_base_image()
        .run_cmd(["echo one > ~/kept", "echo two >> ~/kept"])
        .run_cmd("echo program > /usr/local/bin/tool && chmod 755 /usr/local/bin/tool", user="root")
        .set_envs({"COLOUR": "blue", "PATH": "/opt/tools:$PATH"})
        .set_workdir("/srv/app")
        .make_dir("data", mode=0o750)
        .make_symlink("/srv/app/data", "link")
        .run_cmd('echo "$COLOUR" > colour')
        .rename("colour", "renamed")
        .run_cmd("touch gone")
        .remove("gone")
    )
    built = await e2b.AsyncTemplate.build(template, "begins")
    sandbox = await e2b.AsyncSandbox.create("begins", envs={"ANOTHER": "1"}, timeout=60)
    assert await run(sandbox, "cat ~/kept") == "one\ntwo\n"
    assert await run(sandbox, "cat /usr/local/bin/tool; stat -c %U /usr/local/bin/tool") == "program\nroot\n"
    assert await run(sandbox, "pwd; ls; cat renamed; stat -c '%a %U' data; readlink link") == (
        "/srv/app\ndata\nlink\nrenamed\nblue\n750 user\n/srv/app/data\n"
    )
    assert await run(sandbox, "echo $COLOUR $ANOTHER; echo ${PATH%%:*}") == "blue 1\n/opt/tools\n"
    info = await sandbox.get_info()
    assert (info.template_id, info.name) == (built.template_id, "begins")
    await sandbox.kill()


async def test_a_template_sets_who_runs_commands(e2b: E2B) -> None:
    template = e2b.AsyncTemplate().from_template("base").set_user("root").set_workdir("/srv/work")
    await e2b.AsyncTemplate.build(template, "as-root")
    sandbox = await e2b.AsyncSandbox.create("as-root", timeout=60)
    assert await run(sandbox, "whoami; pwd; stat -c %U .") == "root\n/srv/work\nroot\n"
    assert (await sandbox.commands.run("whoami", user="user")).stdout == "user\n"
    await sandbox.kill()


async def test_a_user_that_is_missing_is_made(e2b: E2B) -> None:
    template = e2b.AsyncTemplate().from_base_image().set_user("ada").run_cmd("whoami > ~/me")
    await e2b.AsyncTemplate.build(template, "with-ada")
    sandbox = await e2b.AsyncSandbox.create("with-ada", timeout=60)
    assert await run(sandbox, "whoami; pwd; cat ~/me") == "ada\n/home/ada\nada\n"
    await sandbox.kill()


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="this machine has no packages of Debian's kind")
async def test_packages_are_installed_beside_those_of_the_host(e2b: E2B) -> None:
    control = (
        "Package: greeter\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <a@b>\\nDescription: greets\\n"
    )
    template = (
        e2b.AsyncTemplate()
        .from_base_image()
        .run_cmd(
            [
                "mkdir -p /opt/greeter/DEBIAN /opt/greeter/usr/bin && cd /opt",
                f"printf '{control}' > greeter/DEBIAN/control",
                "printf '#!/bin/sh\\necho welcome' > greeter/usr/bin/greeter",
                "chmod 755 greeter/usr/bin/greeter",
                "dpkg-deb --build greeter && dpkg --install greeter.deb",
            ],
            user="root",
        )
    )
    await e2b.AsyncTemplate.build(template, "packaged")
    sandbox = await e2b.AsyncSandbox.create("packaged", timeout=60)
    assert await run(sandbox, "greeter; dpkg-query -W greeter; id -u www-data") == "welcome\ngreeter\t1\n33\n"
    await sandbox.kill()


async def test_templates_build_on_each_other(e2b: E2B) -> None:
    first = e2b.AsyncTemplate().from_base_image().set_envs({"A": "1"}).run_cmd("echo first > ~/first")
    await e2b.AsyncTemplate.build(first, "layer-one")
    second = (
        e2b.AsyncTemplate()
        .from_template("layer-one")
        .set_envs({"B": "$A$A"})
        .run_cmd("mv ~/first ~/second && echo $A $B >> ~/second")
    )
    await e2b.AsyncTemplate.build(second, "layer-two")
    upper, lower = [await e2b.AsyncSandbox.create(name, timeout=60) for name in ("layer-two", "layer-one")]
    assert await run(upper, "ls ~; cat ~/second") == "second\nfirst\n1 11\n"
    assert await run(lower, "ls ~; cat ~/first") == "first\nfirst\n"
    for sandbox in (upper, lower):
        await sandbox.kill()


async def test_a_dockerfile_is_built(e2b: E2B) -> None:
    dockerfile = """
    FROM e2bdev/base
    ARG WHO=world
    ENV GREETING="hello $WHO"
    WORKDIR /app
    RUN echo "$GREETING" > greeting && id -un >> greeting
    USER user
    """
    template = e2b.AsyncTemplate().from_dockerfile(dockerfile)
    await e2b.AsyncTemplate.build(template, "from-dockerfile")
    sandbox = await e2b.AsyncSandbox.create("from-dockerfile", timeout=60)
    assert await run(sandbox, "pwd; cat greeting; whoami") == "/app\nhello world\nroot\nuser\n"
    await sandbox.kill()


async def test_the_size_of_a_template_is_that_of_its_sandboxes(e2b: E2B) -> None:
    template = e2b.AsyncTemplate().from_base_image().run_cmd("true")
    await e2b.AsyncTemplate.build(template, "sized", cpu_count=1, memory_mb=512)
    sandbox = await e2b.AsyncSandbox.create("sized", timeout=60)
    info = await sandbox.get_info()
    assert (info.cpu_count, info.memory_mb) == (1, 512)
    await sandbox.kill()
    with pytest.raises(BuildException, match="memoryMB: Input should be greater than or equal to 128"):
        await e2b.AsyncTemplate.build(template, "sized", memory_mb=64)


async def test_the_log_tells_each_step_in_order_and_what_was_written(e2b: E2B) -> None:
    entries: list[LogEntry] = []
    template = e2b.AsyncTemplate().from_base_image().run_cmd("for i in 1 2 3; do echo line $i; done")
    await e2b.AsyncTemplate.build(template.run_cmd("echo late >&2"), "told", on_build_logs=entries.append)
    told = [entry.message for entry in entries]
    assert [each for each in told if "stdout" in each or "stderr" in each] == [
        "[builder 1/2] [stdout]: line 1",
        "[builder 1/2] [stdout]: line 2",
        "[builder 1/2] [stdout]: line 3",
        "[builder 2/2] [stderr]: late",
    ]
    assert "Build finished" in told


async def test_a_step_that_was_built_once_is_not_run_again(e2b: E2B) -> None:
    def template(last: str) -> TemplateBuilder:
        return e2b.AsyncTemplate().from_base_image().run_cmd("date +%N > ~/when").run_cmd(last)

    async def when(name: str) -> str:
        sandbox = await e2b.AsyncSandbox.create(name, timeout=60)
        written = await run(sandbox, "cat ~/when")
        await sandbox.kill()
        return written

    entries: list[LogEntry] = []
    await e2b.AsyncTemplate.build(template("true"), "cached-1")
    await e2b.AsyncTemplate.build(template("false || true"), "cached-2", on_build_logs=entries.append)
    assert [entry.message[:20] for entry in entries if "RUN date" in entry.message] == [
        "CACHED [builder 1/2]"
    ]
    await e2b.AsyncTemplate.build(template("true"), "cached-3", skip_cache=True)
    first, second, third = [await when(f"cached-{number}") for number in (1, 2, 3)]
    assert first == second != third


async def test_a_failing_step_is_named_with_what_it_wrote(e2b: E2B) -> None:
    template = e2b.AsyncTemplate().from_base_image().run_cmd("true").run_cmd("echo the reason >&2; exit 7")
    with pytest.raises(BuildException) as failure:
        await e2b.AsyncTemplate.build(template, "fails")
    assert str(failure.value) == (
        "failed to run command 'echo the reason >&2; exit 7': exit status 7\nthe reason"
    )
    with pytest.raises(SandboxException, match="template 'fails' has no ready build"):
        await e2b.AsyncSandbox.create("fails")


async def test_a_failed_build_leaves_the_earlier_one_in_use(e2b: E2B) -> None:
    good = e2b.AsyncTemplate().from_base_image().run_cmd("echo good > ~/state")
    await e2b.AsyncTemplate.build(good, "sometimes")
    with pytest.raises(BuildException):
        await e2b.AsyncTemplate.build(good.run_cmd("exit 1"), "sometimes")
    sandbox = await e2b.AsyncSandbox.create("sometimes", timeout=60)
    assert await run(sandbox, "cat ~/state") == "good\n"
    await sandbox.kill()


async def test_an_unknown_base_is_an_error_that_says_what_there_is(e2b: E2B) -> None:
    with pytest.raises(BuildException, match=r"image 'python:3' not found: .* e2bdev/base .* base"):
        await e2b.AsyncTemplate.build(e2b.AsyncTemplate().from_python_image(), "no-registry")
    with pytest.raises(BuildException, match="template 'nowhere' not found; there are: base"):
        await e2b.AsyncTemplate.build(e2b.AsyncTemplate().from_template("nowhere"), "no-template")


async def test_a_build_in_the_background_is_followed(e2b: E2B) -> None:
    template = e2b.AsyncTemplate().from_base_image().run_cmd("seq 1 250")
    built = await e2b.AsyncTemplate.build_in_background(template, "followed")
    told: list[str] = []
    while True:
        status = await e2b.AsyncTemplate.get_build_status(built, logs_offset=len(told))
        told += [entry.message for entry in status.log_entries]
        assert len(status.log_entries) <= 100
        if status.status.value == "ready" and not status.log_entries:
            break
    assert [each.rpartition(" ")[2] for each in told if "stdout" in each] == [
        str(number) for number in range(1, 251)
    ]


async def test_definitions_that_make_no_sense_are_refused(runtime: RuntimeProcess) -> None:
    async with httpx.AsyncClient(base_url=runtime.url, headers={"X-API-Key": runtime.api_key}) as client:
        asked = (await client.post("/v3/templates", json={"name": "odd"})).json()
        path = f"/v2/templates/{asked['templateID']}/builds/{asked['buildID']}"
        for body, message in (
            ({}, "Give one of fromImage and fromTemplate"),
            ({"fromImage": "base", "steps": [{"type": "DANCE"}]}, "step type 'DANCE' is not known"),
            ({"fromImage": "base", "steps": [{"type": "ENV", "args": ["A"]}]}, "names and values by turns"),
            ({"fromImage": "base", "steps": [{"type": "RUN", "args": []}]}, "RUN takes 1 to 2 arguments"),
            ({"fromImage": "base", "steps": [{"type": "COPY", "args": ["a", "b"]}]}, "hash of its files"),
        ):
            refused = await client.post(path, json=body)
            assert refused.status_code == 400
            assert message in refused.json()["message"]
        unknown = await client.get(f"/templates/{asked['templateID']}/builds/nothing/status")
        assert unknown.status_code == 404
