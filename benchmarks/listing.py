"""What a list costs: 50 sandboxes with 8 scalars, against a plain JSON endpoint on the same rows."""

import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks.client import Client
from benchmarks.figures import Figure, Samples, milliseconds, ratio
from benchmarks.machine import processor_seconds
from benchmarks.plain import PlainServer, running_plain_server
from benchmarks.stack import Stack
from resolvers.ids import parse_global_id

_ROUNDS, _REQUESTS = 6, 50
_ROWS = 50
_NOWHERE = Path("/dev/null")

_LIST = """
    query($after: String) {
        sandboxes(first: 50, after: $after) {
            nodes { id name status provider template createdAt expiresAt cpuCount }
            pageInfo { hasNextPage endCursor }
        }
    }
"""
_NEWEST = "{ project { id } sandboxes(first: 1) { nodes { id } pageInfo { endCursor } } }"


async def measure_listing(stack: Stack) -> list[Figure]:
    """By turns fifty requests of each, one after the other; time and the server's processor time of each."""
    client = Client(stack)
    newest = await client.request(_NEWEST)
    cursor = newest["sandboxes"]["pageInfo"]["endCursor"]
    project = _key(newest["project"])
    first = _key(newest["sandboxes"]["nodes"][0])
    async with (
        running_plain_server(stack.database_url, project, _NOWHERE) as plain,
        httpx.AsyncClient(base_url=plain.address, trust_env=False) as http,
    ):

        async def ours() -> int:
            page = await client.request(_LIST, after=cursor)
            return len(page["sandboxes"]["nodes"])

        async def theirs() -> int:
            return len((await http.get("/sandboxes", params={"after": str(first)})).json()["sandboxes"])

        figures = await _compare(ours, theirs, stack.process_of("web"), plain)
    await client.close()
    return figures


async def _compare(ours: Any, theirs: Any, web: int, plain: PlainServer) -> list[Figure]:
    sides = {"ours": (ours, web), "theirs": (theirs, plain.process_id)}
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    work: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(_ROUNDS + 1):
        for name, (request, process_id) in sides.items():
            before = processor_seconds(process_id)
            for _ in range(_REQUESTS):
                started = time.perf_counter()
                if await request() != _ROWS:
                    raise RuntimeError(f"A list of {name} had not {_ROWS} rows.")
                times[name].append(time.perf_counter() - started)
            work[name].append((processor_seconds(process_id) - before) / _REQUESTS)
    # The first round warms both up.
    took = {name: Samples(values[_REQUESTS:]) for name, values in times.items()}
    worked = {name: Samples(values[1:]) for name, values in work.items()}
    return [
        Figure(
            "list of 50 sandboxes, 8 scalars",
            str(took["ours"]),
            f"plain Starlette, JSON: {took['theirs']}",
            ratio(took["ours"].median, took["theirs"].median),
        ),
        Figure(
            "… the server's processor time",
            milliseconds(worked["ours"].median),
            f"plain Starlette, JSON: {milliseconds(worked['theirs'].median)}",
            ratio(worked["ours"].median, worked["theirs"].median),
        ),
    ]


def _key(node: dict[str, str]) -> Any:
    parsed = parse_global_id(node["id"])
    if parsed is None:
        raise RuntimeError(f"{node['id']} is no global id.")
    return parsed[1]
