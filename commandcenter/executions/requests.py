"""What a command is asked to be, and what of that can be."""

from dataclasses import dataclass, field

from commandcenter.environment import require_valid_environment
from commandcenter.errors import InvalidError
from commandcenter.idempotency import require_valid_key
from commandcenter.providers.processes import PtySize
from commandcenter.secrets.values import require_valid_names
from commandcenter.texts import require_text

LONGEST_COMMAND = 131_071
LONGEST_TIMEOUT_SECONDS = 86_400
LONGEST_PATH = 4096
LONGEST_USER = 200


@dataclass(frozen=True, slots=True)
class StartExecution:
    """A command for a sandbox; None: the sandbox's default. `terminal` runs it, or a shell, in a terminal.

    `secrets` are names of the project's, which it gets as environment variables.
    """

    command: str
    cwd: str | None = None
    user: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    timeout_seconds: int | None = None
    stdin: bool = False
    terminal: PtySize | None = None
    idempotency_key: str | None = None


def require_valid(request: StartExecution) -> None:
    """Refuse what no process can be started with (`InvalidError`)."""
    require_valid_key(request.idempotency_key)
    if request.terminal is None and not request.command.strip():
        raise InvalidError("Give a command to run.", ("command",))
    if "\0" in request.command or len(request.command.encode()) > LONGEST_COMMAND:
        raise InvalidError(
            f"A command has at most {LONGEST_COMMAND} bytes and no NUL. Write longer scripts to a file.",
            ("command",),
        )
    require_text(request.cwd, "cwd", LONGEST_PATH)
    require_text(request.user, "user", LONGEST_USER)
    require_valid_environment(request.environment)
    require_valid_names(request.secrets, request.environment)
    if request.timeout_seconds is not None and not 1 <= request.timeout_seconds <= LONGEST_TIMEOUT_SECONDS:
        raise InvalidError(
            f"timeoutSeconds must be between 1 and {LONGEST_TIMEOUT_SECONDS}.", ("timeoutSeconds",)
        )
