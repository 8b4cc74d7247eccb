"""What can go wrong with an execution."""

from commandcenter.errors import NotFoundError, WrongStateError
from commandcenter.executions.records import Execution


class ExecutionNotFoundError(NotFoundError):
    """The caller's project has no such execution."""

    def __init__(self) -> None:
        super().__init__("There is no such execution in this project.", ("executionId",))


class ExecutionStateError(WrongStateError):
    """The execution's state does not allow the action."""

    def __init__(self, execution: Execution, needed: str) -> None:
        super().__init__(
            f"The execution is {execution.status}; this needs one that is {needed}.", ("executionId",)
        )
