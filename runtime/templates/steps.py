"""What each kind of step does in a sandbox, and the context that it leaves."""

from dataclasses import replace

from runtime.host.accounts import DEFAULT, KNOWN, UnknownUserError
from runtime.host.bubblewrap import PROGRAM_PATH
from runtime.host.commands import Command, OnLine, Outcome, run
from runtime.host.errors import SupervisorError
from runtime.host.sandbox import Sandbox
from runtime.host.start import Context
from runtime.templates.copying import MAKE_FOLDER, copy_command, read_archive
from runtime.templates.definition import Step, in_directory, with_user, with_variables
from runtime.templates.uploads import Uploads

AS_ROOT = Context(user="root", directory="/")

WORKDIR_SCRIPT = f"""
set -eu
umask 022
owner=$2
{MAKE_FOLDER}
make_folder "$1"
"""

USER_SCRIPT = """
id -u "$1" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash --user-group "$1"
"""


class StepFailedError(Exception):
    """A step's command failed; the message says which, how, and what it wrote."""


def done_without_sandbox(step: Step, context: Context) -> Context | None:
    """The context after a step that changes nothing else; None for those that have to be run."""
    if step.kind == "ENV":
        variables = {"PATH": PROGRAM_PATH, **KNOWN.get(context.user, DEFAULT).variables()}
        return with_variables(context, step.arguments, variables)
    if step.kind == "USER":
        after = with_user(context, step.arguments[0])
        return after if after.user in KNOWN else None
    return None


class Steps:
    """Runs steps in sandboxes; how long one may take, whoever runs it decides."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    async def run(
        self, sandbox: Sandbox, step: Step, context: Context, team: str, on_line: OnLine
    ) -> Context:
        """Run a step; gives the context of the next one, or raises `StepFailedError`."""
        if step.kind == "RUN":
            return await self._run(sandbox, step, context, on_line)
        if step.kind == "COPY":
            return await self._copy(sandbox, step, context, team, on_line)
        if step.kind == "WORKDIR":
            return await self._set_directory(sandbox, step, context, on_line)
        return await self._make_user(sandbox, step, context, on_line)

    async def _run(self, sandbox: Sandbox, step: Step, context: Context, on_line: OnLine) -> Context:
        script, user = (*step.arguments, "")[:2]
        command = Command.shell(script, with_user(context, user or context.user))
        await _finish(sandbox, command, on_line, f"failed to run command '{script}'")
        return context

    async def _copy(
        self, sandbox: Sandbox, step: Step, context: Context, team: str, on_line: OnLine
    ) -> Context:
        if step.files_hash is None or not self._uploads.has(team, step.files_hash):
            raise StepFailedError(
                f"the files of '{step}' are not here: upload them (GET /templates/ID/files/HASH says where)"
            )
        archive = self._uploads.path(team, step.files_hash)
        command = copy_command(step, context, archive)
        what = f"failed to copy '{step.arguments[0]}' to '{step.arguments[1]}'"
        try:
            outcome = await run(sandbox, command, on_line, read_archive(archive))
        except (SupervisorError, UnknownUserError, OSError) as error:
            raise StepFailedError(f"{what}: {error}") from error
        _check(outcome, what)
        return context

    async def _set_directory(
        self, sandbox: Sandbox, step: Step, context: Context, on_line: OnLine
    ) -> Context:
        directory = in_directory(context, step.arguments[0])
        command = Command.shell(WORKDIR_SCRIPT, AS_ROOT, directory, f"{context.user}:")
        await _finish(sandbox, command, on_line, f"failed to make the working directory '{directory}'")
        return replace(context, directory=directory)

    async def _make_user(self, sandbox: Sandbox, step: Step, context: Context, on_line: OnLine) -> Context:
        after = with_user(context, step.arguments[0])
        command = Command.shell(USER_SCRIPT, AS_ROOT, after.user)
        await _finish(sandbox, command, on_line, f"failed to make the user '{after.user}'")
        return after


async def _finish(sandbox: Sandbox, command: Command, on_line: OnLine, what: str) -> None:
    try:
        outcome = await run(sandbox, command, on_line)
    except (SupervisorError, UnknownUserError) as error:
        raise StepFailedError(f"{what}: {error}") from error
    _check(outcome, what)


def _check(outcome: Outcome, what: str) -> None:
    if not outcome.succeeded:
        raise StepFailedError(f"{what}: {outcome.explain()}")
