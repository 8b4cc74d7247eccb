"""Secrets through E2B's SDK: kept, named, versioned, and never told."""

import httpx
import pytest
from e2b import E2B, Secret
from e2b.exceptions import SecretException, SecretNotFoundException

from tests.fixtures.runtime import RuntimeProcess, runtime_folder


async def test_a_secret_is_made_found_changed_and_destroyed(e2b: E2B) -> None:
    made = await e2b.AsyncSecret.create("Async-Key", "first", metadata={"for": "tests"})
    assert (made.name, made.version, made.metadata) == ("async-key", 1, {"for": "tests"})
    changed = await e2b.AsyncSecret.update("async-key", "second")
    assert (changed.secret_id, changed.version, changed.metadata) == (made.secret_id, 2, {"for": "tests"})
    assert changed.updated_at > changed.created_at == made.created_at
    assert await e2b.AsyncSecret.get_info(made.secret_id) == changed
    assert (await e2b.AsyncSecret.update("async-key", "third", metadata={})).metadata == {}
    assert await e2b.AsyncSecret.exists("ASYNC-KEY")
    assert await e2b.AsyncSecret.destroy("async-key") is True
    assert await e2b.AsyncSecret.destroy("async-key") is False
    with pytest.raises(SecretNotFoundException):
        await e2b.AsyncSecret.get_info(made.secret_id)


def test_secrets_are_listed_in_pages(e2b: E2B) -> None:
    for number in range(3):
        e2b.Secret.create(f"paged {number}", "value")
    pages = e2b.Secret.list(limit=2)
    names = []
    while pages.has_next:
        names.append([secret.name for secret in pages.next_items()])
    assert [name for page in names for name in page if name.startswith("paged")] == [
        "paged 0",
        "paged 1",
        "paged 2",
    ]
    assert all(len(page) <= 2 for page in names)
    for number in range(3):
        e2b.Secret.destroy(f"paged {number}")


@pytest.mark.parametrize("name", ["", "sec_mine", "two\nlines", "{brace}", "x" * 257])
def test_a_name_that_no_placeholder_can_hold_is_refused(e2b: E2B, name: str) -> None:
    with pytest.raises(SecretException, match="400: name:"):
        e2b.Secret.create(name, "value")


def test_a_name_stands_for_one_secret(e2b: E2B) -> None:
    e2b.Secret.create("only-one", "value")
    with pytest.raises(SecretException, match=r"409: .* already exists"):
        e2b.Secret.create("ONLY-ONE", "other")
    e2b.Secret.destroy("only-one")
    assert Secret.fill("only-one") == "${e2b.secrets.only-one}"


@pytest.mark.parametrize(
    "given", [{"value": ""}, {"value": "x" * 65_537}, {"metadata": {"k": "v" * 1025}}, {"metadata": {"k": 1}}]
)
async def test_what_is_too_large_or_no_text_is_refused(
    runtime: RuntimeProcess, given: dict[str, object]
) -> None:
    async with httpx.AsyncClient(base_url=runtime.url, headers={"X-API-Key": runtime.api_key}) as control:
        response = await control.post("/secrets", json={"name": "n", "value": "v", **given})
    assert response.status_code == 400
    assert next(iter(given)) in response.json()["message"]


async def test_secrets_outlast_the_runtime_and_are_told_to_nobody() -> None:
    with runtime_folder() as state:
        runtime = RuntimeProcess(state)
        await runtime.start()
        await runtime.client.AsyncSecret.create("kept", "not to be told")
        await runtime.kill()
        await runtime.start()
        async with httpx.AsyncClient(base_url=runtime.url, headers={"X-API-Key": runtime.api_key}) as control:
            answers = [await control.get("/secrets"), await control.get("/secrets/kept")]
        assert all(answer.status_code == 200 and "not to be told" not in answer.text for answer in answers)
        assert (state / "secrets.json").stat().st_mode & 0o777 == 0o600
        await runtime.stop()
        assert "not to be told" not in runtime.log.read_text()
