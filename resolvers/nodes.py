"""What `node` and `nodes` do: any object by its id alone, if it is the project's."""

import asyncio
from collections.abc import Sequence

from commandcenter.errors import InvalidError
from resolvers.context import Info
from resolvers.ids import parse_global_id

MOST_AT_ONCE = 100


async def node(info: Info, text: str) -> object | None:
    """`Query.node`: null for what is not there, or not the project's."""
    parsed = parse_global_id(text)
    if parsed is None:
        return None
    type_name, key = parsed
    match type_name:
        case "Sandbox":
            return await info.context.sandboxes.load(key)
        case "Execution":
            return await info.context.executions.load(key)
        case "Snapshot":
            return await info.context.snapshots.load(key)
        case "Project":
            return await info.context.projects.load(key)
        case "Secret":
            return await info.context.secrets.load(key)
        case _:
            return None


async def nodes(info: Info, texts: Sequence[str]) -> list[object | None]:
    """`Query.nodes`: in the order of the ids."""
    if len(texts) > MOST_AT_ONCE:
        raise InvalidError(f"Ask for at most {MOST_AT_ONCE} nodes at a time.", ("ids",))
    return list(await asyncio.gather(*(node(info, text) for text in texts)))
