"""Signed links: they open one file, for one purpose, until their end, and name their sandbox by signature."""

import httpx
import pytest
from e2b import E2B, AsyncSandbox, SandboxState


@pytest.fixture(scope="module")
async def stranger(e2b: E2B, box: AsyncSandbox) -> object:
    """Another live sandbox, which must never answer for the first."""
    sandbox = await e2b.AsyncSandbox.create(timeout=600)
    yield sandbox
    await sandbox.kill()


async def test_a_link_opens_its_own_sandboxs_file(
    box: AsyncSandbox, stranger: AsyncSandbox, http: httpx.AsyncClient
) -> None:
    for sandbox, content in ((box, "mine"), (stranger, "theirs")):
        await sandbox.files.write("same-name", content)
        for options in ({}, {"use_signature_expiration": 60}, {"user": "user"}):
            response = await http.get(sandbox.download_url("same-name", **options))
            assert (response.status_code, response.text) == (200, content)


async def test_a_link_writes_a_file(
    box: AsyncSandbox, stranger: AsyncSandbox, http: httpx.AsyncClient
) -> None:
    url = box.upload_url("by-link", use_signature_expiration=60)
    assert (await http.post(url, files={"file": ("ignored", b"sent")})).status_code == 200
    assert await box.files.read("by-link") == "sent"
    assert not await stranger.files.exists("by-link")


async def test_a_link_is_good_for_one_purpose_and_path(
    box: AsyncSandbox, stranger: AsyncSandbox, http: httpx.AsyncClient
) -> None:
    await box.files.write("guarded", "x")
    reading = box.download_url("guarded", use_signature_expiration=60)
    for changed in (
        reading.replace("path=guarded", "path=other"),
        reading.replace("signature_expiration=", "signature_expiration=9"),
        reading + "&username=user",
        reading.replace("signature=v1_", "signature=v1_A"),
    ):
        response = await http.get(changed)
        assert (response.status_code, response.json()["message"]) == (401, "invalid signature")
    response = await http.post(reading, files={"file": ("any", b"overwritten")})
    assert response.status_code == 401
    assert await box.files.read("guarded") == "x"


async def test_an_expired_link_is_refused(box: AsyncSandbox, http: httpx.AsyncClient) -> None:
    reading = await http.get(box.download_url("guarded", use_signature_expiration=-10))
    writing = await http.post(box.upload_url("guarded", use_signature_expiration=-10), files={"file": b"x"})
    for response in (reading, writing):
        assert (response.status_code, response.json()["message"]) == (401, "signature is already expired")


async def test_without_token_or_signature_nothing_is_given(
    box: AsyncSandbox, http: httpx.AsyncClient
) -> None:
    address = {"E2b-Sandbox-Id": box.sandbox_id, "E2b-Sandbox-Port": "49983"}
    for headers, message in (
        (address, "missing signature query parameter"),
        ({}, "missing signature query parameter"),
        (address | {"X-Access-Token": "wrong"}, "access token present in header but does not match"),
    ):
        response = await http.get("/files", params={"path": "guarded"}, headers=headers)
        assert (response.status_code, response.json()["message"]) == (401, message)
    for path in ("/files/compose", "/filesystem.Filesystem/Stat"):
        response = await http.post(path, headers=address, json={})
        assert response.status_code == 401


async def test_the_link_of_a_killed_sandbox_opens_nothing(e2b: E2B, http: httpx.AsyncClient) -> None:
    sandbox = await e2b.AsyncSandbox.create(timeout=60)
    await sandbox.files.write("gone", "x")
    url = sandbox.download_url("gone")
    await sandbox.kill()
    assert (await http.get(url)).status_code == 401


async def test_only_who_may_pass_wakes_a_paused_sandbox(e2b: E2B, http: httpx.AsyncClient) -> None:
    sandbox = await e2b.AsyncSandbox.create(
        timeout=60,
        lifecycle={"on_timeout": "pause", "auto_resume": True},
        network={"allow_public_traffic": False},
    )
    await sandbox.files.write("asleep", "x")
    await sandbox.pause()
    envd = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": "49983"}
    refused = [
        await http.get("/files", params={"path": "asleep"}, headers=envd),
        await http.get(sandbox.download_url("asleep", use_signature_expiration=-10)),
        await http.post("/filesystem.Filesystem/Stat", headers=envd, json={}),
        await http.get("/", headers=envd | {"E2b-Sandbox-Port": "8000"}),
        await http.get("/health", headers=envd),
    ]
    assert [answer.status_code for answer in refused] == [401, 401, 401, 403, 502]
    assert (await sandbox.get_info()).state == SandboxState.PAUSED
    assert (await http.get(sandbox.download_url("asleep"))).text == "x"
    assert (await sandbox.get_info()).state == SandboxState.RUNNING
    await sandbox.kill()
