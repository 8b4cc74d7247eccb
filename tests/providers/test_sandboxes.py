"""The life of sandboxes at the real runtime, through the adapter."""

import asyncio
import time
import uuid
from datetime import UTC, datetime

import pytest

from commandcenter.providers.attachments import AttachmentDetails
from commandcenter.providers.endings import Ended
from commandcenter.providers.errors import (
    ProviderKeyRefusedError,
    ProviderSandboxGoneError,
    ProviderSandboxPausedError,
    TemplateNotFoundError,
)
from commandcenter.providers.processes import start
from commandcenter.providers.sandboxes import Provider
from tests.providers.conftest import new_sandbox


async def test_a_healthy_runtime_says_so(local: Provider) -> None:
    assert await local.healthy() == (True, "Provider local answers.")


async def test_a_wrong_key_is_told_apart_from_an_absent_provider(local: Provider) -> None:
    account = local.account
    stranger = Provider(type(account)("local", "local", "wrong", account.api_url, account.sandbox_url))
    with pytest.raises(ProviderKeyRefusedError):
        await new_sandbox(stranger)


async def test_a_sandbox_lives_from_create_to_kill(local: Provider) -> None:
    mark = uuid.uuid4().hex
    made = await new_sandbox(local, mark=mark, words="a b&c=d")
    assert (made.cpu_count or 0) >= 1
    assert (made.memory_mb or 0) >= 64
    info = await local.info(made.id)
    assert (info.id, info.template, info.state) == (made.id, "base", "running")
    assert info.metadata == {"mark": mark, "words": "a b&c=d"}
    assert 0 < (info.ends_at - datetime.now(UTC)).total_seconds() <= 600
    assert await local.kill(made.id)
    assert not await local.kill(made.id)
    with pytest.raises(ProviderSandboxGoneError):
        await local.info(made.id)


async def test_sandboxes_are_found_by_what_was_written_on_them(local: Provider) -> None:
    mark = uuid.uuid4().hex
    made = [await new_sandbox(local, mark=mark, number=str(number)) for number in range(2)]
    await local.pause(made[0].id)
    found = {info.id: info.state async for page in local.list({"mark": mark}) for info in page}
    assert found == {made[0].id: "paused", made[1].id: "running"}
    one = [info.id async for page in local.list({"mark": mark, "number": "1"}) for info in page]
    assert one == [made[1].id]
    for sandbox in made:
        await local.kill(sandbox.id)
    assert [page async for page in local.list({"mark": mark}) if page] == []


async def test_the_same_key_makes_one_sandbox(local: Provider) -> None:
    key = str(uuid.uuid4())
    made = [
        await local.create(
            template="base",
            ttl_seconds=60,
            metadata={},
            envs={},
            allow_internet=False,
            on_timeout="kill",
            idempotency_key=key,
        )
        for _ in range(2)
    ]
    assert made[0].id == made[1].id
    await local.kill(made[0].id)


async def test_an_unknown_template_is_an_error_that_names_those_there_are(local: Provider) -> None:
    with pytest.raises(TemplateNotFoundError, match="base") as raised:
        await local.create(
            template="no-such-template",
            ttl_seconds=60,
            metadata={},
            envs={},
            allow_internet=False,
            on_timeout="kill",
            idempotency_key=str(uuid.uuid4()),
        )
    assert raised.value.field == ("template",)


async def test_a_paused_sandbox_says_so_and_goes_on_after_it_is_resumed(local: Provider) -> None:
    made = await new_sandbox(local)
    attachment = local.attach(made.attachment)
    await local.pause(made.id)
    await local.pause(made.id)
    with pytest.raises(ProviderSandboxPausedError):
        await start(attachment, command="true")
    resumed = await local.resume(made.id, 120)
    process = await start(local.attach(resumed.attachment), command="exit 4")
    assert [event async for event in process] == [Ended(4)]
    await local.kill(made.id)


async def test_attaching_changes_no_time_to_live(local: Provider) -> None:
    made = await new_sandbox(local)
    before = (await local.info(made.id)).ends_at
    details = AttachmentDetails.from_json(made.attachment.as_json())
    process = await start(local.attach(details), command="true")
    assert [event async for event in process] == [Ended(0)]
    assert (await local.info(made.id)).ends_at == before
    await local.set_ttl(made.id, 30)
    assert (await local.info(made.id)).ends_at < before
    await local.kill(made.id)


async def test_a_sandbox_s_use_is_measured(local: Provider) -> None:
    made = await new_sandbox(local)
    measured = await local.metrics(made.id)
    assert measured is not None
    assert measured.memory_total > measured.memory_used >= 0
    assert measured.cpu_count >= 1
    await local.kill(made.id)


async def test_twenty_sandboxes_at_once(local: Provider) -> None:
    begun = time.monotonic()
    made = await asyncio.gather(*(new_sandbox(local) for _ in range(20)))
    assert len({sandbox.id for sandbox in made}) == 20
    assert all(await asyncio.gather(*(local.kill(sandbox.id) for sandbox in made)))
    assert time.monotonic() - begun < 30
