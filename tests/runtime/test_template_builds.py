"""Builds are jobs: bounded in number and time, ended with the runtime, and never half there afterwards."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from e2b import E2B, BuildInfo
from e2b.exceptions import BuildException, RateLimitException, SandboxException
from e2b.template.main import TemplateBuilder

from tests.fixtures.runtime import RuntimeProcess, runtime_folder


async def until_over(e2b: E2B, built: BuildInfo) -> str:
    """Why a build failed, once it has."""
    while True:
        status = await e2b.AsyncTemplate.get_build_status(built)
        if status.reason is not None:
            return str(status.reason.message)
        await asyncio.sleep(0.02)


async def until_told(e2b: E2B, built: BuildInfo, text: str) -> None:
    """Until a build has told something."""
    while True:
        status = await e2b.AsyncTemplate.get_build_status(built)
        if any(text in entry.message for entry in status.log_entries):
            return
        await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
async def strict() -> AsyncIterator[RuntimeProcess]:
    """A runtime that gives little time."""
    with runtime_folder() as state:
        runtime = RuntimeProcess(
            state, warm_sandboxes="0", build_limit="1", build_timeout="2", ready_timeout="1"
        )
        await runtime.start()
        yield runtime
        await runtime.stop()


def held(e2b: E2B) -> TemplateBuilder:
    """A template whose second step takes long."""
    return e2b.AsyncTemplate().from_base_image().run_cmd("date +%N > ~/when").run_cmd("echo on; sleep 60")


def is_build(meta: Path) -> bool:
    """Whether a record is of a sandbox that something is built in."""
    return bool(json.loads(meta.read_text())["template"] == "build")


async def test_a_newer_build_of_a_tag_takes_the_place_of_the_older(e2b: E2B) -> None:
    older = await e2b.AsyncTemplate.build_in_background(held(e2b), "replaced")
    await until_told(e2b, older, "[stdout]: on")
    newer = e2b.AsyncTemplate().from_base_image().run_cmd("echo newer > ~/which")
    await e2b.AsyncTemplate.build(newer, "replaced")
    assert "superseded by a newer one" in await until_over(e2b, older)


async def test_a_deleted_template_stops_being_built(
    e2b: E2B, http: httpx.AsyncClient, runtime: RuntimeProcess
) -> None:
    built = await e2b.AsyncTemplate.build_in_background(held(e2b), "deleted")
    await until_told(e2b, built, "[stdout]: on")
    places = [path.parent for path in (runtime.state / "sandboxes").glob("*/meta.json") if is_build(path)]
    deleted = await http.delete("/templates/deleted", headers={"X-API-Key": runtime.api_key})
    assert deleted.status_code == 204
    assert places
    assert not any(place.exists() for place in places)
    with pytest.raises(BuildException, match="not found"):
        await e2b.AsyncTemplate.get_build_status(built)


async def test_as_many_builds_run_as_the_settings_allow(strict: RuntimeProcess) -> None:
    e2b = strict.client
    first = await e2b.AsyncTemplate.build_in_background(held(e2b), "first")
    with pytest.raises(RateLimitException, match=r"maximum number of concurrent template builds \(1\)"):
        await e2b.AsyncTemplate.build(held(e2b), "second", request_timeout=1)
    assert await until_over(e2b, first) == "build timed out after 2 s"
    assert not list((strict.state / "sandboxes").iterdir())


async def test_a_sandbox_that_is_not_ready_in_time_is_not_handed_out(strict: RuntimeProcess) -> None:
    e2b = strict.client
    slow = e2b.AsyncTemplate().from_base_image().set_start_cmd("sleep 60", "sleep 1.2")
    await e2b.AsyncTemplate.build(slow, "slow")
    with pytest.raises(
        SandboxException, match=r"ready command failed: 'sleep 1.2' did not succeed within 1 s"
    ):
        await e2b.AsyncSandbox.create("slow")
    assert await e2b.AsyncSandbox.list().next_items() == []
    assert not list((strict.state / "sandboxes").iterdir())


async def test_a_killed_runtime_s_builds_have_failed_and_their_done_steps_are_kept() -> None:
    with runtime_folder() as state:
        runtime = RuntimeProcess(state, warm_sandboxes="0")
        await runtime.start()
        built = await runtime.client.AsyncTemplate.build_in_background(held(runtime.client), "broken-off")
        await until_told(runtime.client, built, "[stdout]: on")
        await runtime.kill()
        await runtime.start()
        e2b = runtime.client
        assert "The runtime ended while it was built" in await until_over(e2b, built)
        while list((state / "sandboxes").iterdir()):
            await asyncio.sleep(0.02)
        assert await e2b.AsyncSandbox.list().next_items() == []
        told: list[str] = []
        again = e2b.AsyncTemplate().from_base_image().run_cmd("date +%N > ~/when")
        await e2b.AsyncTemplate.build(
            again, "broken-off", on_build_logs=lambda each: told.append(each.message)
        )
        assert any(each.startswith("CACHED [builder 1/1]") for each in told)
        await e2b.AsyncTemplate.build_in_background(held(e2b), "broken-off")
        await runtime.stop()
        assert not list((state / "sandboxes").iterdir())


async def test_a_build_that_can_t_be_written_down_ends_and_leaves_room_for_the_next(
    strict: RuntimeProcess,
) -> None:
    e2b = strict.client
    quick = e2b.AsyncTemplate().from_base_image().run_cmd("sleep 0.5; echo on")
    built = await e2b.AsyncTemplate.build_in_background(quick, "not-saved")
    in_the_way = strict.state / "templates" / built.template_id / "template.json.new"
    in_the_way.mkdir()
    assert "The template could not be saved" in await until_over(e2b, built)
    in_the_way.rmdir()
    await e2b.AsyncTemplate.build(quick, "not-saved")


@pytest.mark.parametrize(
    ("processors", "memory", "named"), [(65_000, 512, "processors"), (1, 1 << 30, "memoryMB")]
)
async def test_a_template_is_no_way_to_a_sandbox_larger_than_may_be(
    e2b: E2B, processors: int, memory: int, named: str
) -> None:
    template = e2b.AsyncTemplate().from_base_image()
    with pytest.raises(BuildException, match=f"400: {named}: .* is more than a sandbox of this runtime"):
        await e2b.AsyncTemplate.build(template, "too-large", cpu_count=processors, memory_mb=memory)


async def test_the_memory_of_a_build_is_watched_over_too(unprivileged_runtime: RuntimeProcess) -> None:
    e2b = unprivileged_runtime.client
    holding = "python3 -c \"held = b'x' * (60 << 20); import time; time.sleep(4)\""
    together = f"for i in 1 2 3; do {holding} & done; for job in $(jobs -p); do wait $job || exit 9; done"
    with pytest.raises(BuildException, match="exit status 9"):
        await e2b.AsyncTemplate.build(
            e2b.AsyncTemplate().from_base_image().run_cmd(together), "too-much-memory", memory_mb=128
        )


async def test_templates_are_a_team_s_own_unless_they_are_published() -> None:
    with runtime_folder() as state:
        runtime = RuntimeProcess(state, api_keys="others:key-of-others")
        await runtime.start()
        own = runtime.client
        others = E2B(api_key="key-of-others", api_url=runtime.url, sandbox_url=runtime.url)
        template = own.AsyncTemplate().from_base_image().run_cmd("echo own > ~/whose")
        await own.AsyncTemplate.build(template, "private")
        assert await others.AsyncTemplate.exists("private") is False
        with pytest.raises(SandboxException, match=r"template 'private' not found; there are: base$"):
            await others.AsyncSandbox.create("private")
        template = others.AsyncTemplate().from_base_image().run_cmd("echo others > ~/whose")
        await others.AsyncTemplate.build(template, "private")
        sandbox = await own.AsyncSandbox.create("private", timeout=60)
        assert (await sandbox.commands.run("cat ~/whose")).stdout == "own\n"
        await runtime.stop()


async def test_an_ordinary_user_s_runtime_builds_too(
    unprivileged_runtime: RuntimeProcess, tmp_path: Path
) -> None:
    e2b = unprivileged_runtime.client
    (tmp_path / "file").write_text("copied\n")
    template = (
        e2b.AsyncTemplate(file_context_path=str(tmp_path))
        .from_base_image()
        .run_cmd("echo root > /opt/by-root", user="root")
        .set_workdir("/srv/app")
        .copy("file", "copy", mode=0o640, user="root")
    )
    await e2b.AsyncTemplate.build(template, "unprivileged")
    sandbox = await e2b.AsyncSandbox.create("unprivileged", timeout=60)
    shown = await sandbox.commands.run("cat /opt/by-root copy; pwd; stat -c %a copy")
    assert shown.stdout == "root\ncopied\n/srv/app\n640\n"
    await sandbox.kill()
