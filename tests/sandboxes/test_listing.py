"""Lists of sandboxes: keyset pages in both directions, filters, orders, and cursors that are none."""

from typing import Any

import pytest

from tests.fixtures.client import Client
from tests.fixtures.product import Product

COUNT = 7
LIST = """
    query($filter: SandboxFilter, $orderBy: SandboxOrder, $first: Int, $after: String, $last: Int,
          $before: String) {
        sandboxes(filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last,
                  before: $before) {
            nodes { id name } edges { cursor node { id } } totalCount
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        }
    }
"""


@pytest.fixture(scope="module")
async def names(product: Product) -> tuple[Client, list[str]]:
    """A project with sandboxes, all but one ended, and their names from the oldest to the newest."""
    client = (await product.new_project()).client()
    names = [f"Box {number}" for number in range(COUNT)]
    for number, name in enumerate(names):
        metadata = {"parity": number % 2, "nested": {"number": number}}
        made = await client.create_sandbox(name=name, metadata=metadata)
        if number:
            await client.mutate("terminateSandbox", "id", sandboxId=made["id"])
    return client, names


async def page(client: Client, **arguments: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await client.query(LIST, **arguments))["sandboxes"]
    info = found["pageInfo"]
    cursors = [edge["cursor"] for edge in found["edges"]]
    assert [edge["node"]["id"] for edge in found["edges"]] == [node["id"] for node in found["nodes"]]
    assert (info["startCursor"], info["endCursor"]) == (
        (cursors[0], cursors[-1]) if cursors else (None, None)
    )
    return found


def names_of(found: dict[str, Any]) -> list[str]:
    return [node["name"] for node in found["nodes"]]


@pytest.mark.parametrize("order", ["NEWEST_FIRST", "OLDEST_FIRST"])
@pytest.mark.parametrize("size", [1, 3, COUNT, 100])
async def test_pages_forwards_are_the_whole_list_once(
    names: tuple[Client, list[str]], order: str, size: int
) -> None:
    client, expected = names
    if order == "NEWEST_FIRST":
        expected = expected[::-1]
    seen: list[str] = []
    after = None
    while True:
        found = await page(client, orderBy=order, first=size, after=after)
        assert found["totalCount"] == COUNT
        assert found["pageInfo"]["hasPreviousPage"] == (after is not None)
        seen += names_of(found)
        after = found["pageInfo"]["endCursor"]
        if not found["pageInfo"]["hasNextPage"]:
            break
        assert len(found["nodes"]) == size
    assert seen == expected


@pytest.mark.parametrize("order", ["NEWEST_FIRST", "OLDEST_FIRST"])
@pytest.mark.parametrize("size", [1, 3, COUNT, 100])
async def test_pages_backwards_are_the_whole_list_once(
    names: tuple[Client, list[str]], order: str, size: int
) -> None:
    client, expected = names
    if order == "NEWEST_FIRST":
        expected = expected[::-1]
    seen: list[str] = []
    before = None
    while True:
        found = await page(client, orderBy=order, last=size, before=before)
        assert found["pageInfo"]["hasNextPage"] == (before is not None)
        seen = names_of(found) + seen
        before = found["pageInfo"]["startCursor"]
        if not found["pageInfo"]["hasPreviousPage"]:
            break
    assert seen == expected


async def test_a_page_between_two_cursors_has_what_lies_between(names: tuple[Client, list[str]]) -> None:
    client, expected = names
    everything = await page(client, orderBy="OLDEST_FIRST")
    cursors = [edge["cursor"] for edge in everything["edges"]]
    between = {"orderBy": "OLDEST_FIRST", "after": cursors[1], "before": cursors[5]}
    assert names_of(await page(client, **between)) == expected[2:5]
    assert names_of(await page(client, **between, last=2)) == expected[3:5]
    assert names_of(await page(client, **between, first=2)) == expected[2:4]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({"status": ["RUNNING"]}, [0]),
        ({"status": ["TERMINATED", "RUNNING"]}, range(COUNT)),
        ({"status": []}, range(COUNT)),
        ({"nameContains": "box 3"}, [3]),
        ({"nameContains": "%"}, []),
        ({"nameContains": "_"}, []),
        ({"nameContains": "\\"}, []),
        ({"metadata": {"parity": 1}}, [1, 3, 5]),
        ({"metadata": {"nested": {"number": 2}}}, [2]),
        ({"metadata": {"parity": 1, "nested": {"number": 2}}}, []),
        ({"provider": "local"}, range(COUNT)),
        ({"provider": "e2b"}, []),
        ({"template": "base", "status": ["RUNNING"]}, [0]),
        ({"template": "other"}, []),
    ],
)
async def test_a_filter_finds_what_it_says(
    names: tuple[Client, list[str]], selection: dict[str, Any], expected: list[int]
) -> None:
    client, all_names = names
    found = await page(client, filter=selection, orderBy="OLDEST_FIRST")
    assert names_of(found) == [all_names[number] for number in expected]
    assert found["totalCount"] == len(expected)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"after": "nonsense"}, "INVALID"),
        ({"after": ""}, "INVALID"),
        ({"after": "é"}, "INVALID"),
        ({"before": "RXZlbnRDdXJzb3I6MDE5YTAwMDAwMDAwNzAwMDgwMDAwMDAwMDAwMDAwMDA"}, "INVALID"),
        ({"first": 0}, "INVALID"),
        ({"first": -1}, "BAD_REQUEST"),
        ({"last": 101}, "BAD_REQUEST"),
        ({"first": 1, "last": 1}, "INVALID"),
        ({"filter": {"nameContains": "\0"}}, "INVALID"),
        ({"filter": {"template": "\0"}}, "INVALID"),
        ({"filter": {"metadata": ["list"]}}, "INVALID"),
        ({"filter": {"status": ["SLEEPING"]}}, "BAD_REQUEST"),
    ],
)
async def test_what_is_no_page_of_the_list_is_refused(
    names: tuple[Client, list[str]], arguments: dict[str, Any], code: str
) -> None:
    client, _ = names
    [error] = await client.errors(LIST, **arguments)
    assert error.code == code


async def test_a_sandbox_made_meanwhile_neither_doubles_nor_hides_one(
    names: tuple[Client, list[str]],
) -> None:
    client, expected = names
    first = await page(client, first=3)
    async with client.sandbox(name="late"):
        rest = await page(client, first=10, after=first["pageInfo"]["endCursor"])
    assert names_of(first) + names_of(rest) == expected[::-1]
