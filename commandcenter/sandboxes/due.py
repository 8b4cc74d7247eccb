"""When something is due, as conditions on a sandbox's row.

What is due is read with them, and done with them again: in between a sandbox may have been extended or used.
"""

from datetime import timedelta

from sqlalchemy import ColumnElement, and_, exists, or_

from commandcenter.clock import now
from commandcenter.executions.records import Execution
from commandcenter.executions.states import ENDED
from commandcenter.sandboxes.records import Sandbox
from commandcenter.sandboxes.states import SandboxStatus, TimeoutAction

_RETRY_TERMINATION_AFTER = timedelta(seconds=10)


def expired() -> list[ColumnElement[bool]]:
    """Its time to live is over: while it ran, or while it stood still though nobody had paused it."""
    interrupted = and_(Sandbox.status == SandboxStatus.PAUSED, Sandbox.on_timeout == TimeoutAction.TERMINATE)
    return [
        or_(Sandbox.status == SandboxStatus.RUNNING, interrupted),
        Sandbox.expires_at <= now(),
        Sandbox.termination_requested_at.is_(None),
    ]


def idle() -> list[ColumnElement[bool]]:
    """It runs, has an idle timeout, and was not used for that long."""
    busy = exists().where(Execution.sandbox_id == Sandbox.id, Execution.status.not_in(ENDED))
    idle_since = Sandbox.last_activity_at + Sandbox.idle_timeout_seconds * timedelta(seconds=1)
    return [
        Sandbox.status == SandboxStatus.RUNNING,
        Sandbox.idle_timeout_seconds.is_not(None),
        Sandbox.termination_requested_at.is_(None),
        idle_since <= now(),
        ~busy,
    ]


def unfinished_end() -> list[ColumnElement[bool]]:
    """Its end was wished for a while ago and has not come: a process died, or the provider failed."""
    return [
        Sandbox.status != SandboxStatus.TERMINATED,
        Sandbox.termination_requested_at <= now() - _RETRY_TERMINATION_AFTER,
    ]
