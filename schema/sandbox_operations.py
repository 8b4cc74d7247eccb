"""What one can ask and do about sandboxes."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from enum import Enum
from typing import Annotated, Any, cast

import strawberry

from commandcenter.errors import InvalidError
from commandcenter.sandboxes.create import CreateSandbox
from commandcenter.sandboxes.queries import SandboxSelection
from commandcenter.sandboxes.records import Sandbox as SandboxRecord
from commandcenter.sandboxes.states import SandboxStatus, TimeoutAction
from resolvers import sandboxes
from resolvers.context import Info
from resolvers.outcomes import Outcome
from schema.arguments import After, AnySandboxId, Before, Filter, First, Id, Input, Last
from schema.enums import describe_enum
from schema.environment import EnvVarInput, environment_of
from schema.errors import UserError, user_errors
from schema.nodes import Connection
from schema.sandboxes import Sandbox
from schema.scalars import JSON
from schema.views import view


class SandboxOrder(Enum):
    NEWEST_FIRST = "NEWEST_FIRST"
    OLDEST_FIRST = "OLDEST_FIRST"


describe_enum(
    SandboxOrder,
    "The order of a list of sandboxes, by when they were asked for.",
    {"NEWEST_FIRST": "The newest first.", "OLDEST_FIRST": "The oldest first."},
)


Order = Annotated[
    SandboxOrder | None,
    strawberry.argument(description="In which order; the newest first unless given."),
]


@strawberry.input(description="Which sandboxes are meant; what is not given does not matter.")
class SandboxFilter:
    status: list[SandboxStatus] | None = strawberry.field(default=None, description="In one of these states.")
    provider: str | None = strawberry.field(default=None, description="Run by this provider.")
    template: str | None = strawberry.field(default=None, description="Made from this template.")
    name_contains: str | None = strawberry.field(
        default=None, description="With this in their name, in upper or lower case."
    )
    metadata: JSON | None = strawberry.field(
        default=None, description="With at least these entries in their metadata."
    )

    def selection(self) -> SandboxSelection:
        """The domain's form of this filter."""
        return SandboxSelection(
            statuses=self.status,
            provider=self.provider,
            template=self.template,
            name_contains=self.name_contains,
            metadata_contains=cast("dict[str, Any] | None", self.metadata),
        )


@strawberry.input(description="A new sandbox. What is not given is as the project or installation has it.")
class CreateSandboxInput:
    name: str | None = strawberry.field(default=None, description="A name for people.")
    template: str | None = strawberry.field(
        default=None,
        description="What to make it from: a template's name, or a snapshot's id; the installation's default "
        "unless given.",
    )
    provider: str | None = strawberry.field(
        default=None, description="Who runs it, `local` or `e2b`; the installation's default unless given."
    )
    ttl_seconds: int | None = strawberry.field(
        default=None, description="Its time to live in seconds, up to the project's maxTtlSeconds."
    )
    idle_timeout_seconds: int | None = strawberry.field(
        default=None, description="End it after so many seconds without a command, input or file operation."
    )
    on_timeout: TimeoutAction | None = strawberry.field(
        default=None, description="What happens when its time to live runs out; TERMINATE unless given."
    )
    envs: list[EnvVarInput] | None = strawberry.field(
        default=None, description="Environment variables of every command in it."
    )
    secrets: list[str] | None = strawberry.field(
        default=None,
        description="Names of the project's secrets: every command in it gets their present values as "
        "environment variables. They are masked in all its output.",
    )
    metadata: JSON | None = strawberry.field(default=None, description="A JSON object of your own.")
    allow_internet: bool | None = strawberry.field(
        default=None, description="Whether it may reach the internet; false unless given."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="The same key twice is the same sandbox."
    )

    def request(self) -> CreateSandbox:
        """The domain's form of this input."""
        return CreateSandbox(
            name=self.name,
            template=self.template,
            provider=self.provider,
            ttl_seconds=self.ttl_seconds,
            idle_timeout_seconds=self.idle_timeout_seconds,
            on_timeout=self.on_timeout or TimeoutAction.TERMINATE,
            environment=environment_of(self.envs),
            secrets=tuple(self.secrets or ()),
            metadata={} if self.metadata is None else cast("dict[str, Any]", self.metadata),
            allow_internet=bool(self.allow_internet),
            idempotency_key=self.idempotency_key,
        )


@strawberry.input(description="Which sandbox is meant.")
class SandboxActionInput:
    sandbox_id: strawberry.ID = strawberry.field(description="The sandbox's id.")


@strawberry.input(description="Which sandboxes to end.")
class TerminateSandboxesInput:
    sandbox_ids: list[strawberry.ID] = strawberry.field(description="The ids of 1 to 100 sandboxes.")


@strawberry.input(description="How much longer a sandbox shall live.")
class ExtendSandboxInput:
    sandbox_id: strawberry.ID = strawberry.field(description="The sandbox's id.")
    ttl_seconds: int = strawberry.field(description="Its time to live from now, in seconds.")


@strawberry.type(description="What came of making a sandbox.")
class CreateSandboxPayload:
    sandbox: Sandbox | None = strawberry.field(description="The sandbox; null where there are errors.")
    user_errors: list[UserError] = strawberry.field(description="What the caller can mend.")


@strawberry.type(description="What came of an action on a sandbox.")
class SandboxPayload:
    sandbox: Sandbox | None = strawberry.field(description="The sandbox; null where there are errors.")
    user_errors: list[UserError] = strawberry.field(description="What the caller can mend.")


@strawberry.type(description="What came of ending several sandboxes.")
class TerminateSandboxesPayload:
    sandboxes: list[Sandbox] | None = strawberry.field(
        description="The sandboxes; null where there are errors."
    )
    user_errors: list[UserError] = strawberry.field(description="What the caller can mend.")


def _payload(outcome: Outcome[SandboxRecord]) -> SandboxPayload:
    return SandboxPayload(
        sandbox=view(Sandbox, outcome.value) if outcome.value else None,
        user_errors=user_errors(outcome.errors),
    )


@strawberry.type
class SandboxQueries:
    @strawberry.field(description="One sandbox; null where the project has no such one.")
    async def sandbox(self, info: Info, id: Id) -> Sandbox | None:
        found = await sandboxes.sandbox_by_id(info, id)
        return view(Sandbox, found) if found else None

    @strawberry.field(description="The project's sandboxes, ended ones too.")
    async def sandboxes(
        self,
        info: Info,
        filter: Filter[SandboxFilter] = None,
        order_by: Annotated[
            SandboxOrder | None,
            strawberry.argument(description="In which order; the newest first unless given."),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Sandbox]:
        page = await sandboxes.sandbox_page(
            info,
            filter.selection() if filter else SandboxSelection(),
            newest_first=order_by is not SandboxOrder.OLDEST_FIRST,
            first=first,
            after=after,
            last=last,
            before=before,
        )
        return view(Connection[Sandbox], page)


@strawberry.type
class SandboxMutations:
    @strawberry.mutation(
        description="Make a sandbox; answers when it runs, or after a while with one that is CREATING."
    )
    async def create_sandbox(self, info: Info, input: Input[CreateSandboxInput]) -> CreateSandboxPayload:
        try:
            request = input.request()
        except InvalidError as error:
            return CreateSandboxPayload(sandbox=None, user_errors=user_errors([error]))
        outcome = await sandboxes.create(info, request)
        return CreateSandboxPayload(
            sandbox=view(Sandbox, outcome.value) if outcome.value else None,
            user_errors=user_errors(outcome.errors),
        )

    @strawberry.mutation(description="Stop a running sandbox, keeping its files.")
    async def pause_sandbox(self, info: Info, input: Input[SandboxActionInput]) -> SandboxPayload:
        return _payload(await sandboxes.pause(info, input.sandbox_id))

    @strawberry.mutation(description="Let a paused sandbox run again, for its time to live from now.")
    async def resume_sandbox(self, info: Info, input: Input[SandboxActionInput]) -> SandboxPayload:
        return _payload(await sandboxes.resume(info, input.sandbox_id))

    @strawberry.mutation(description="End a sandbox, from any state; twice is no error.")
    async def terminate_sandbox(self, info: Info, input: Input[SandboxActionInput]) -> SandboxPayload:
        return _payload(await sandboxes.terminate(info, input.sandbox_id))

    @strawberry.mutation(description="End several sandboxes; all, or none where one is not there.")
    async def terminate_sandboxes(
        self, info: Info, input: Input[TerminateSandboxesInput]
    ) -> TerminateSandboxesPayload:
        outcome = await sandboxes.terminate_many(info, input.sandbox_ids)
        ended = outcome.value
        return TerminateSandboxesPayload(
            sandboxes=None if ended is None else [view(Sandbox, record) for record in ended],
            user_errors=user_errors(outcome.errors),
        )

    @strawberry.mutation(description="Let a running sandbox live so many seconds from now.")
    async def extend_sandbox(self, info: Info, input: Input[ExtendSandboxInput]) -> SandboxPayload:
        return _payload(await sandboxes.extend(info, input.sandbox_id, input.ttl_seconds))


@strawberry.type
class SandboxSubscriptions:
    @strawberry.subscription(
        description="A sandbox now and at each change; without an id, each of the project's that changes."
    )
    async def sandbox_changed(
        self, info: Info, sandbox_id: AnySandboxId = None
    ) -> AsyncGenerator[Sandbox, None]:
        async with aclosing(sandboxes.changes(info, sandbox_id)) as changes:
            async for record in changes:
                yield view(Sandbox, record)
