"""When something is due, as conditions on a sandbox's row.

What is due is read with them, and done with them again: in between a sandbox may have been extended or
used, or have begun another life.
"""

from datetime import timedelta

from sqlalchemy import ColumnElement, and_, exists, func, or_

from commandcenter.clock import now
from commandcenter.executions.records import Execution
from commandcenter.executions.states import ENDED
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxAction, SandboxStatus, TimeoutAction
from commandcenter.sandboxes.turns import is_free


def expired() -> list[ColumnElement[bool]]:
    """Its time to live is over: while it ran, or while it stood still though nobody had paused it."""
    interrupted = and_(Sandbox.status == SandboxStatus.PAUSED, Sandbox.on_timeout == TimeoutAction.TERMINATE)
    return [
        or_(Sandbox.status == SandboxStatus.RUNNING, interrupted),
        Sandbox.expires_at <= now(),
        Sandbox.termination_requested_at.is_(None),
        is_free(),
        _may_be_tried(),
    ]


def idle() -> list[ColumnElement[bool]]:
    """It runs, has an idle timeout, and was not used for that long: no command, terminal, input or file.

    What was executed and has not ended is use, a silent terminal too.
    """
    busy = exists().where(Execution.sandbox_id == Sandbox.id, Execution.status.not_in(ENDED))
    idle_since = Sandbox.last_activity_at + Sandbox.idle_timeout_seconds * timedelta(seconds=1)
    return [
        Sandbox.status == SandboxStatus.RUNNING,
        Sandbox.idle_timeout_seconds.is_not(None),
        Sandbox.termination_requested_at.is_(None),
        idle_since <= now(),
        is_free(),
        ~busy,
    ]


def end_is_due() -> list[ColumnElement[bool]]:
    """Its end was wished for and has not come, nobody tries to bring it about, and it may be tried now.

    Whatever else is being done to it: its end comes before all.
    """
    return [
        Sandbox.status != SandboxStatus.TERMINATED,
        Sandbox.termination_requested_at.is_not(None),
        or_(Sandbox.action.is_distinct_from(SandboxAction.TERMINATE), is_free()),
        _may_be_tried(),
    ]


def _may_be_tried() -> ColumnElement[bool]:
    return or_(Sandbox.retry_at.is_(None), Sandbox.retry_at <= func.now())
