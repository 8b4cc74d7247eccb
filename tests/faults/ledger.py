"""The audit trail of a project: complete, in order, and in agreement with the records."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any
from uuid import UUID

from commandcenter.executions.states import ENDED, ExecutionStatus
from commandcenter.executions.states import TRANSITIONS as EXECUTION_TRANSITIONS
from commandcenter.sandboxes.states import TRANSITIONS as SANDBOX_TRANSITIONS
from commandcenter.sandboxes.states import SandboxStatus
from tests.fixtures.product import Project

Row = Mapping[str, Any]

# These tell the state, and change nothing of it.
TOLD = {"execution.taken_over"}


async def require_complete(project: Project) -> None:
    """See that every change of every sandbox and execution was written down once, in an order that may be."""
    rows = await project.rows("events", "sandboxes", "executions")
    events: dict[UUID, list[Row]] = {}
    for event in rows["events"]:
        events.setdefault(event["subject_id"], []).append(event)
    for sandbox in rows["sandboxes"]:
        _require_life("sandbox", sandbox, events[sandbox["id"]], SandboxStatus.CREATING, SANDBOX_TRANSITIONS)
        assert sandbox["status"] is SandboxStatus.TERMINATED, sandbox
        assert sandbox["termination_reason"] is not None, sandbox
    for execution in rows["executions"]:
        _require_life(
            "execution", execution, events[execution["id"]], ExecutionStatus.QUEUED, EXECUTION_TRANSITIONS
        )
        assert execution["status"] in ENDED, execution
        if execution["status"] is ExecutionStatus.LOST:
            assert (execution["exit_code"], execution["signal"]) == (None, None), execution
            assert execution["status_reason"], execution


def _require_life(
    subject: str,
    record: Row,
    events: list[Row],
    first: StrEnum,
    transitions: Mapping[Any, Iterable[StrEnum]],
) -> None:
    kinds = [event["kind"] for event in events]
    assert kinds.count(f"{subject}.requested") == 1, kinds
    assert kinds[0] == f"{subject}.requested", kinds
    state: StrEnum = first
    for event in events:
        if "status" in event["data"] and event["kind"] not in TOLD:
            following = type(first)(event["data"]["status"])
            assert following in transitions[state], f"{subject} {record['id']}: {kinds}"
            state = following
    assert state == record["status"], f"{subject} {record['id']} is {record['status']}: {kinds}"
