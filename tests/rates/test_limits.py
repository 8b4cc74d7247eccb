"""Rate limits in the product: over all web processes and every way in."""

import httpx
from sqlalchemy import update

from commandcenter.access.scope import Role
from commandcenter.projects.records import Project as ProjectRecord
from tests.fixtures.client import Client
from tests.fixtures.product import Product, Project

PLENTY = 60_000


async def allow(project: Project, requests_per_minute: int) -> None:
    """Change what the project's keys may ask for; their own requests might be refused."""
    async with project.product.database.transaction(project.id) as session:
        values = {"max_requests_per_minute": requests_per_minute}
        await session.execute(update(ProjectRecord).where(ProjectRecord.id == project.id).values(values))


async def statuses(clients: list[Client], times: int) -> list[int]:
    """The statuses of so many requests, by each client in turn."""
    return [
        (
            await client.http.post(
                f"{client.address}/graphql",
                json={"query": "{ viewer { name } }"},
                headers=client.authorization,
            )
        ).status_code
        for _ in range(times)
        for client in clients
    ]


async def test_a_projects_keys_are_counted_together_over_all_web_processes(product: Product) -> None:
    project = await product.new_project()
    await project.client(Role.ADMINISTRATOR).mutate("updateProject", "id", maxRequestsPerMinute=60)
    answered = await statuses([project.client(Role.VIEWER, web=0), project.client(Role.OPERATOR, web=1)], 15)
    assert set(answered) == {200, 429}
    # Ten at once, one more each second, and what each gave out before it heard of the other's.
    assert 10 <= answered.count(200) <= 19
    assert await statuses([(await product.new_project()).client()], 1) == [200]


async def test_a_limit_that_is_raised_holds_at_once(product: Product) -> None:
    project = await product.new_project()
    await allow(project, 60)
    assert 429 in await statuses([project.client()], 20)
    await allow(project, PLENTY)
    assert await statuses([project.client()], 20) == [200] * 20


async def test_files_and_output_count_too(product: Product) -> None:
    project = await product.new_project()
    operator = project.client()
    async with operator.sandbox() as sandbox_id:
        execution = (await operator.run(sandbox_id, "echo hello"))["id"]
        file = await operator.mutate("writeFile", "downloadUrl", sandboxId=sandbox_id, path="a", text="b")
        link = file["downloadUrl"]
        answered = await by_each_way(operator, sandbox_id, execution, link)
        await allow(project, 1)
        refused = await by_each_way(operator, sandbox_id, execution, link)
        await allow(project, PLENTY)
    assert [response.status_code for response in answered] == [200, 200, 200]
    assert all(int(response.headers["ratelimit-remaining"]) > 0 for response in answered)
    assert [response.status_code for response in refused[1:]] == [429, 429]
    for response in refused[1:]:
        error = response.json()["errors"][0]["extensions"]
        assert error["code"] == "RATE_LIMITED"
        assert 1 <= error["retryAfterSeconds"] <= 60
        assert response.headers["retry-after"] == str(error["retryAfterSeconds"])


async def by_each_way(client: Client, sandbox_id: str, execution: str, link: str) -> list[httpx.Response]:
    """A download, a look at raw output, and an upload."""
    key, address = client.authorization, client.address
    path = {"sandboxId": sandbox_id, "path": "c"}
    return [
        await client.http.get(link),
        await client.http.get(f"{address}/executions/{execution}/logs/stdout", headers=key),
        await client.http.put(f"{address}/files", params=path, content=b"d", headers=key),
    ]
