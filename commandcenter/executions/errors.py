"""What can go wrong with an execution."""

from commandcenter.errors import DomainError, ErrorCode, NotFoundError, WrongStateError
from commandcenter.executions.records import Execution


class ExecutionNotFoundError(NotFoundError):
    """The caller's project has no such execution."""

    def __init__(self) -> None:
        super().__init__("There is no such execution in this project.", ("executionId",))


class RunningExecutionsQuotaError(DomainError):
    """As many commands run in the sandbox as may."""

    code = ErrorCode.QUOTA_EXCEEDED

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"At most {limit} commands and terminals run in a sandbox at a time. Wait for some to end, "
            "cancel some, or use another sandbox.",
            ("sandboxId",),
        )


class ExecutionStateError(WrongStateError):
    """The execution's state does not allow the action."""

    def __init__(self, execution: Execution, needed: str) -> None:
        super().__init__(
            f"The execution is {execution.status}; this needs one that is {needed}.", ("executionId",)
        )
