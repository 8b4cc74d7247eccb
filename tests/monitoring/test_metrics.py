"""/metrics: the same from every web process, right after restarts, counted once."""

import asyncio
from collections.abc import Awaitable, Callable

from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import func, select

from commandcenter.sandboxes.records import Sandbox
from tests.fixtures.product import Product, Project

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
SECONDS_TO_AGREE = 10.0


async def samples(product: Product, address: str) -> Samples:
    """What one web process shows, by name and labels."""
    response = await product.http.get(f"{address}/metrics", headers=product.administrator.authorization)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.raise_for_status().text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def total(found: Samples, name: str, **labels: str) -> float:
    """The sum over all samples of a name with some labels."""
    return sum(
        value
        for (each, its_labels), value in found.items()
        if each == name and labels.items() <= dict(its_labels).items()
    )


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Numbers of another process come within a second; ask until they have."""
    async with asyncio.timeout(SECONDS_TO_AGREE):
        while not await condition():
            await asyncio.sleep(0.1)


async def test_two_processes_show_the_same_and_count_what_both_did(
    product: Product, project: Project
) -> None:
    addresses = [web.address for web in product.webs]
    before = await samples(product, addresses[0])
    boxes = [await project.client(web=number % 2).create_sandbox() for number in range(4)]
    for number, box in enumerate(boxes):
        await project.client(web=number % 2).run(box["id"], f"exit {number % 2}")
        await project.client(web=number % 2).refused("createSandbox", template="no-such-template")
    await project.client().mutate("pauseSandbox", "id", sandboxId=boxes[0]["id"])

    async def both_are_right() -> bool:
        one, other = [await samples(product, address) for address in addresses]
        return one == other and grown(before, one) == (4, 4, 2, 2)

    await until(both_are_right)
    now = await samples(product, addresses[1])
    assert total(now, "sandbox_active_count", status="running") == await live(product, "RUNNING")
    assert total(now, "sandbox_active_count", status="paused") == await live(product, "PAUSED")
    for box in boxes:
        await project.client().mutate("terminateSandbox", "id", sandboxId=box["id"])
    after = await samples(product, addresses[0])
    assert total(after, "sandbox_active_count") == total(before, "sandbox_active_count")


async def test_a_restarted_process_counts_on(product: Product, project: Project) -> None:
    before = await samples(product, product.webs[0].address)
    async with product.another_web_process() as brief:
        client = project.client_of(brief)
        async with client.sandbox() as sandbox_id:
            await client.run(sandbox_id, "true")
    async with product.another_web_process() as restarted:
        after = await samples(product, restarted.address)
    assert grown(before, after) == (1, 0, 1, 0)


def grown(before: Samples, after: Samples) -> tuple[float, ...]:
    """By how much: sandboxes started, errors, executions that succeeded, and that failed."""
    count = "sandbox_execution_duration_seconds_count"
    wanted: tuple[tuple[str, dict[str, str]], ...] = (
        ("sandbox_spawn_total", {}),
        ("sandbox_error_total", {}),
        (count, {"status": "succeeded"}),
        (count, {"status": "failed"}),
    )
    return tuple(total(after, name, **labels) - total(before, name, **labels) for name, labels in wanted)


async def live(product: Product, status: str) -> int:
    """How many sandboxes of all projects the records have in a state."""
    async with product.database.system_transaction() as session:
        return int(await session.scalar(select(func.count()).where(Sandbox.status == status)) or 0)
