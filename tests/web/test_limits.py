"""How much one request may ask for."""

from typing import Any

import orjson
import pytest
from graphql import get_introspection_query

from tests.web.serving import Site, greet


async def refusal(site: Site, query: str, variables: dict[str, Any] | None = None) -> tuple[str, str]:
    async with site.client(**site.authorization) as client:
        answer = await client.post("/graphql", json={"query": query, "variables": variables})
    body = answer.json()
    assert "data" not in body, body
    error = body["errors"][0]
    return error["extensions"]["code"], error["message"]


async def allowed(site: Site, query: str, variables: dict[str, Any] | None = None) -> bool:
    async with site.client(**site.authorization) as client:
        answer = await client.post("/graphql", json={"query": query, "variables": variables})
    return "errors" not in answer.json()


def friends(depth: int, argument: str = "first: 1") -> str:
    return "{ person " + f"{{ friends({argument}) " * depth + "{ name }" + " }" * depth + " }"


NESTED_FRAGMENTS = "{ person { ...F0 } } " + " ".join(
    f"fragment F{n} on Person {{ ...F{n + 1} }}" for n in range(200)
)
TWICE = "a: friends(first: 1) {{ ...F{0} }} b: friends(first: 1) {{ ...F{0} }}"
BILLION_LAUGHS = (
    "{ person { ...F0 } } "
    + " ".join(f"fragment F{n} on Person {{ {TWICE.format(n + 1)} }}" for n in range(10))
    + " fragment F10 on Person { name }"
)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("{ " + "actor " * 5000 + "}", "tokens"),
        ("#\n" * 5000 + "{ actor }", "comments"),
        ("{ actor } #" + "x" * 200_000, "code points"),
        ("{a" * 900, "nested too deeply"),
        (friends(20), "levels of fields"),
        ("{ " + " ".join(f"a{n}: actor" for n in range(60)) + " }", "aliases"),
        ("{ " + "actor " * 25 + "}", "root fields"),
        ("mutation { " + " ".join(f"a{n}: increment(number: 1)" for n in range(25)) + " }", "root fields"),
        ("{ actor " + "@skip(if: false) " * 60 + "}", "directives"),
        ("{ person { " + "name " * 1100 + "} }", "fields"),
        ("{ echoJson(value: " + "[" * 60 + "]" * 60 + ") }", "levels deep"),
        (friends(3, "first: 100"), "points"),
        (NESTED_FRAGMENTS, "nested too deeply"),
        (BILLION_LAUGHS, "fields"),
        (
            "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
            "introspection",
        ),
    ],
)
async def test_too_much_is_refused_before_anything_runs(site: Site, query: str, says: str) -> None:
    code, message = await refusal(site, query)
    assert says in message
    assert code in ("TOO_COMPLEX", "BAD_REQUEST")
    if "introspection" not in message:
        assert code == "TOO_COMPLEX"


@pytest.mark.parametrize("size", [-1, 101, 2_000_000])
@pytest.mark.parametrize("argument", ["first", "last"])
async def test_a_page_is_from_0_to_100_items(site: Site, argument: str, size: int) -> None:
    literal = f"{{ person {{ friends({argument}: {size}) {{ name }} }} }}"
    variable = f"query ($n: Int) {{ person {{ friends({argument}: $n) {{ name }} }} }}"
    default = variable.replace("Int", f"Int = {size}")
    refusals = [
        await refusal(site, literal),
        await refusal(site, variable, {"n": size}),
        await refusal(site, default),
    ]
    for code, message in refusals:
        assert code == "BAD_REQUEST"
        assert f"`{argument}` of `friends` is {size}" in message


async def test_a_page_by_variable_is_measured_for_each_request(site: Site) -> None:
    query = "query ($n: Int) { person { friends(first: $n) { name } } }"
    assert await allowed(site, query, {"n": 100})
    for size in (101, 101.0, 1e300):
        assert (await refusal(site, query, {"n": size}))[0] == "BAD_REQUEST"
    assert await allowed(site, query, {"n": None})
    assert await allowed(site, query)


async def test_a_variable_nested_too_deeply_is_refused(site: Site) -> None:
    value: list[Any] = []
    for _ in range(40):
        value = [value]
    query = "query ($value: JSON!) { echoJson(value: $value) }"
    assert (await refusal(site, query, {"value": value}))[0] == "TOO_COMPLEX"


async def test_what_tools_ask_of_the_schema_is_within_the_limits(site: Site) -> None:
    assert await allowed(site, get_introspection_query(input_value_deprecation=True, specified_by_url=True))


async def test_the_limits_hold_on_sockets_too(site: Site) -> None:
    async with site.socket() as connection:
        await greet(connection, site.key)
        payload = {"query": friends(20)}
        await connection.send(orjson.dumps({"type": "subscribe", "id": "1", "payload": payload}).decode())
        message = orjson.loads(await connection.recv())
    assert message["type"] == "error"
    assert message["payload"][0]["extensions"]["code"] == "TOO_COMPLEX"


async def test_a_known_document_is_refused_as_often_as_it_comes(site: Site) -> None:
    assert {(await refusal(site, friends(20)))[0] for _ in range(3)} == {"TOO_COMPLEX"}
    assert all([await allowed(site, friends(2)) for _ in range(3)])
