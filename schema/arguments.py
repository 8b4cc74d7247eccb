"""Arguments that many fields take, described once."""

from typing import Annotated, TypeVar

import strawberry

from commandcenter.logs.records import LogStream
from commandcenter.pages import DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE

Type = TypeVar("Type")
Input = Annotated[Type, strawberry.argument(description="What is asked for.")]
Filter = Annotated[Type | None, strawberry.argument(description="Which ones are meant; all unless given.")]

_SIZES = f"1 to {LARGEST_PAGE_SIZE}"
First = Annotated[
    int | None,
    strawberry.argument(
        description=f"The first so many, {_SIZES}; {DEFAULT_PAGE_SIZE} where neither first nor last is given."
    ),
]
After = Annotated[
    str | None, strawberry.argument(description="Begin after this cursor; at the beginning unless given.")
]
Last = Annotated[int | None, strawberry.argument(description=f"The last so many, {_SIZES}.")]
Before = Annotated[
    str | None, strawberry.argument(description="End before this cursor; at the end unless given.")
]

Id = Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
Ids = Annotated[list[strawberry.ID], strawberry.argument(description="Their ids, at most 100.")]
SandboxId = Annotated[strawberry.ID, strawberry.argument(description="The sandbox's id.")]
AnySandboxId = Annotated[
    strawberry.ID | None,
    strawberry.argument(description="The sandbox's id; all of the project unless given."),
]
ExecutionId = Annotated[strawberry.ID, strawberry.argument(description="The execution's id.")]

Stream = Annotated[LogStream | None, strawberry.argument(description="Of this stream alone.")]
LastBytes = Annotated[int, strawberry.argument(description="At most so many bytes, 1 to 1048576.")]
Port = Annotated[int, strawberry.argument(description="The port that the server listens on, 1 to 65535.")]
