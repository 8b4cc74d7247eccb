"""Names and tags of templates, and what is told about them."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from e2b import E2B
from e2b.exceptions import BuildException, SandboxException, TemplateException

from tests.fixtures.runtime import RuntimeProcess


@pytest.fixture
async def control(runtime: RuntimeProcess) -> AsyncIterator[httpx.AsyncClient]:
    """Plain HTTP to the control plane."""
    async with httpx.AsyncClient(base_url=runtime.url, headers={"X-API-Key": runtime.api_key}) as client:
        yield client


async def content_of(e2b: E2B, template: str) -> str:
    sandbox = await e2b.AsyncSandbox.create(template, timeout=60)
    written = (await sandbox.commands.run("cat ~/version")).stdout.strip()
    await sandbox.kill()
    return written


async def build(e2b: E2B, name: str, version: str, tags: list[str] | None = None) -> str:
    template = e2b.AsyncTemplate().from_base_image().run_cmd(f"echo {version} > ~/version")
    return (await e2b.AsyncTemplate.build(template, name, tags=tags)).build_id


async def test_tags_name_builds_of_a_template(e2b: E2B) -> None:
    first = await build(e2b, "versions:v1", "1", tags=["stable"])
    second = await build(e2b, "versions", "2")
    assert [await content_of(e2b, f"versions{tag}") for tag in (":v1", ":stable", "")] == ["1", "1", "2"]
    assigned = await e2b.AsyncTemplate.assign_tags("versions", ["stable", "v2"])
    assert (assigned.build_id, assigned.tags) == (second, ["stable", "v2"])
    assert await content_of(e2b, "versions:stable") == "2"
    tags = {tag.tag: tag.build_id for tag in await e2b.AsyncTemplate.get_tags("versions")}
    assert tags == {"v1": first, "stable": second, "v2": second, "default": second}
    await e2b.AsyncTemplate.remove_tags("versions", "v1")
    assert "v1" not in {tag.tag for tag in await e2b.AsyncTemplate.get_tags("versions")}
    with pytest.raises(SandboxException, match="template 'versions' with tag 'v1' not found"):
        await e2b.AsyncSandbox.create("versions:v1")


async def test_what_can_t_be_a_tag_is_refused(e2b: E2B) -> None:
    await build(e2b, "tagged", "1")
    for tag in ("white space", "00000000-0000-4000-8000-000000000000", ""):
        with pytest.raises(TemplateException, match=r"[Ii]nvalid tag"):
            await e2b.AsyncTemplate.assign_tags("tagged", tag)
    with pytest.raises(TemplateException, match="Cannot delete the 'default' tag"):
        await e2b.AsyncTemplate.remove_tags("tagged", ["default"])
    with pytest.raises(TemplateException, match="Template 'tagged:never' not found"):
        await e2b.AsyncTemplate.assign_tags("tagged:never", "x")
    with pytest.raises(TemplateException, match="template 'unknown' not found"):
        await e2b.AsyncTemplate.get_tags("unknown")


async def test_a_name_exists_once_it_was_built(e2b: E2B) -> None:
    assert await e2b.AsyncTemplate.exists("Existing-One") is False
    await build(e2b, "Existing-One", "1")
    for name in ("existing-one", "default/existing-one", "existing-one:default", "base"):
        assert await e2b.AsyncTemplate.exists(name) is True
    with pytest.raises(BuildException, match="invalid template ID: 'white space'"):
        await build(e2b, "white space", "1")
    with pytest.raises(BuildException, match="namespace 'others' must match your team 'default'"):
        await build(e2b, "others/one", "1")
    with pytest.raises(BuildException, match="Alias 'base' is already used"):
        await build(e2b, "base", "1")


async def test_templates_are_listed_found_published_and_deleted(e2b: E2B, control: httpx.AsyncClient) -> None:
    await build(e2b, "listed", "1")
    await build(e2b, "listed", "2", tags=["second"])
    row = next(each for each in (await control.get("/templates")).json() if each["aliases"] == ["listed"])
    assert (row["buildStatus"], row["buildCount"], row["public"], row["spawnCount"]) == ("ready", 2, False, 0)
    await content_of(e2b, "listed")
    one = (await control.get(f"/templates/{row['templateID']}")).json()
    assert [each["status"] for each in one["builds"]] == ["ready", "ready"]
    assert (one["spawnCount"], one["buildID"]) == (1, one["builds"][0]["buildID"])
    updated = await control.patch("/v2/templates/listed", json={"public": True})
    assert (updated.status_code, updated.json()) == (200, {"names": ["listed"]})
    assert (await control.get("/templates/aliases/listed")).json()["public"] is True
    assert (await control.delete("/templates/listed")).status_code == 204
    assert await e2b.AsyncTemplate.exists("listed") is False
    assert (await control.delete("/templates/listed")).status_code == 404


async def test_pages_of_templates_follow_each_other(e2b: E2B, control: httpx.AsyncClient) -> None:
    await asyncio.gather(*(build(e2b, f"page-{number}", "1") for number in range(3)))
    everything = [each["templateID"] for each in (await control.get("/v2/templates")).json()]
    seen, token = [], "0"
    while token is not None:
        page = await control.get("/v2/templates", params={"limit": 2, "nextToken": token})
        seen += [each["templateID"] for each in page.json()]
        token = page.headers.get("x-next-token")
    assert seen == everything


async def test_base_is_everybody_s(control: httpx.AsyncClient) -> None:
    (base,) = (await control.get("/default-templates")).json()
    assert (base["templateID"], base["aliases"], base["isDefault"]) == ("base", ["base"], True)
    assert (await control.get("/templates/base")).json()["builds"][0]["status"] == "ready"
    assert (await control.delete("/templates/base")).status_code == 403


async def test_a_template_in_use_by_a_paused_sandbox_is_kept(e2b: E2B, control: httpx.AsyncClient) -> None:
    await build(e2b, "held", "1")
    sandbox = await e2b.AsyncSandbox.create("held", timeout=60)
    await sandbox.pause()
    refused = await control.delete("/templates/held")
    assert refused.status_code == 400
    assert "because there are paused sandboxes using it" in refused.json()["message"]
    await sandbox.connect()
    assert (await control.delete("/templates/held")).status_code == 204
    # What it lies upon stays as long as it does.
    assert (await sandbox.commands.run("cat ~/version")).stdout == "1\n"
    await sandbox.kill()
