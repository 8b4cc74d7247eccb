"""Keys stand for teams, and a team's sandboxes, logs, ends and secrets are nobody else's."""

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest
from e2b import E2B
from e2b.exceptions import AuthenticationException, SandboxNotFoundException, SecretException

from runtime.host.errors import MachineUnfitError
from runtime.host.layout import Layout
from runtime.keys import Keys, given_keys, teams_by_key
from runtime.settings import RuntimeSettings
from tests.fixtures.runtime import RuntimeProcess, runtime_folder


@pytest.fixture(scope="module")
async def shared_runtime() -> AsyncIterator[RuntimeProcess]:
    """A runtime of two teams, and the team `default` of its one key."""
    with runtime_folder() as state:
        process = RuntimeProcess(state, api_keys="blue:blue-key,red:red-key,red:other-red-key")
        await process.start()
        yield process
        await process.stop()


def client_of(runtime: RuntimeProcess, key: str) -> E2B:
    return E2B(api_key=key, api_url=runtime.url, sandbox_url=runtime.url)


async def test_a_team_finds_no_sandbox_of_another(shared_runtime: RuntimeProcess) -> None:
    blue, red = client_of(shared_runtime, "blue-key"), client_of(shared_runtime, "red-key")
    sandbox = await blue.AsyncSandbox.create(timeout=60)
    name = sandbox.sandbox_id
    assert await red.AsyncSandbox.list().next_items() == []
    assert await red.AsyncSandbox.kill(name) is False
    for attempt in (
        red.AsyncSandbox.get_info(name),
        red.AsyncSandbox.get_metrics(name),
        red.AsyncSandbox.set_timeout(name, 5),
        red.AsyncSandbox.pause(name),
        red.AsyncSandbox.connect(name),
    ):
        with pytest.raises(SandboxNotFoundException):
            await attempt
    assert await sandbox.is_running()
    await sandbox.kill()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/sandboxes/{id}"),
        ("GET", "/sandboxes/{id}/logs"),
        ("GET", "/v2/sandboxes/{id}/logs"),
        ("POST", "/sandboxes/{id}/refreshes"),
        ("POST", "/sandboxes/{id}/resume"),
        ("POST", "/sandboxes/{id}/connect"),
        ("PUT", "/sandboxes/{id}/network"),
        ("GET", "/runtime/sandboxes/{id}"),
    ],
)
async def test_what_another_team_has_is_answered_as_if_it_were_not_there(
    shared_runtime: RuntimeProcess, method: str, path: str
) -> None:
    sandbox = await client_of(shared_runtime, "blue-key").AsyncSandbox.create(timeout=60)
    async with httpx.AsyncClient(base_url=shared_runtime.url, headers={"X-API-Key": "red-key"}) as red:

        async def ask(name: str) -> tuple[int, str]:
            response = await red.request(method, path.format(id=name), json={} if method != "GET" else None)
            return response.status_code, response.text.replace(name, "…")

        answer = await ask(sandbox.sandbox_id)
        assert answer == await ask("i0000000000000000000")
        assert answer[0] == 404
        several = await red.get("/sandboxes/metrics", params={"sandbox_ids": sandbox.sandbox_id})
        assert several.json() == {"sandboxes": {}}
    await sandbox.kill()
    async with httpx.AsyncClient(base_url=shared_runtime.url, headers={"X-API-Key": "red-key"}) as red:
        assert (await red.get(f"/runtime/sandboxes/{sandbox.sandbox_id}")).status_code == 404


async def test_all_keys_of_a_team_open_the_same_sandboxes(shared_runtime: RuntimeProcess) -> None:
    sandbox = await client_of(shared_runtime, "red-key").AsyncSandbox.create(timeout=60)
    other = client_of(shared_runtime, "other-red-key")
    assert [each.sandbox_id for each in await other.AsyncSandbox.list().next_items()] == [sandbox.sandbox_id]
    assert await other.AsyncSandbox.kill(sandbox.sandbox_id) is True


async def test_the_same_idempotency_key_of_two_teams_makes_two_sandboxes(
    shared_runtime: RuntimeProcess,
) -> None:
    teams = [client_of(shared_runtime, key) for key in ("blue-key", "red-key")]
    made = await asyncio.gather(
        *(team.AsyncSandbox.create(timeout=60, idempotency_key="same") for team in teams)
    )
    assert made[0].sandbox_id != made[1].sandbox_id
    await asyncio.gather(*(sandbox.kill() for sandbox in made))


async def test_secrets_are_a_teams_own(shared_runtime: RuntimeProcess) -> None:
    blue, red = client_of(shared_runtime, "blue-key"), client_of(shared_runtime, "red-key")
    mine = await blue.AsyncSecret.create("shared-name", "blue value")
    assert await red.AsyncSecret.exists("shared-name") is False
    assert await red.AsyncSecret.exists(mine.secret_id) is False
    theirs = await red.AsyncSecret.create("shared-name", "red value")
    assert [each.secret_id for each in await red.AsyncSecret.list().next_items()] == [theirs.secret_id]
    with pytest.raises(SecretException):
        await blue.AsyncSecret.update(theirs.secret_id, "mine now")
    assert await blue.AsyncSecret.destroy(theirs.secret_id) is False


async def test_a_key_of_nobody_is_refused(shared_runtime: RuntimeProcess) -> None:
    with pytest.raises(AuthenticationException, match="none of this runtime's keys"):
        await client_of(shared_runtime, "blue").AsyncSandbox.list().next_items()


def test_keys_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(orjson.dumps({"blue": ["a", "b"], "red": "c"}))
    assert given_keys(settings(str(file))) == {"a": "blue", "b": "blue", "c": "red"}


@pytest.mark.parametrize("text", ["blue", "Blue Team:key", "blue:", "blue:key,red:key", "/nowhere/keys.json"])
def test_keys_that_make_no_sense_are_said_with_how_to_write_them(text: str) -> None:
    with pytest.raises(MachineUnfitError, match="RUNTIME_API_KEYS as team:key"):
        given_keys(settings(text))


def test_a_key_file_that_was_cut_short_opens_no_door(tmp_path: Path) -> None:
    layout = Layout(state=tmp_path, shared=tmp_path)
    settings = RuntimeSettings(state_directory=tmp_path)
    (made,) = teams_by_key(settings, layout)
    assert list(teams_by_key(settings, layout)) == [made]
    assert stat.S_IMODE(layout.key_file.stat().st_mode) == 0o600
    layout.key_file.write_text("")
    with pytest.raises(MachineUnfitError, match="is empty"):
        teams_by_key(settings, layout)
    assert Keys({"": "default"}).team("") is None


def settings(keys: str) -> RuntimeSettings:
    return RuntimeSettings.model_validate({"api_keys": keys})
