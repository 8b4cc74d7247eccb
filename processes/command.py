"""The `commandcenter` command."""

import asyncio
import importlib.metadata
import os
import sys

import click
from pydantic import ValidationError

from commandcenter.access.scope import Role
from commandcenter.errors import DomainError
from commandcenter.secrets.errors import SecretsKeyError
from commandcenter.settings import Settings, get_settings
from processes.errors import StartError

PREFIX = Settings.model_config["env_prefix"]

# Each command imports what it runs: a worker needs no web server, and `--help` needs neither.


def main() -> None:
    """Run the command; what the operator can mend is said in one line."""
    try:
        commands(prog_name="commandcenter")
    except (StartError, DomainError, SecretsKeyError) as error:
        click.echo(f"commandcenter: {error}", err=True)
        sys.exit(1)
    except ValidationError as error:
        for problem in error.errors():
            # Fields that have a variable's name of their own are called by it already.
            name = str(problem["loc"][0])
            variable = f"{PREFIX}{name.upper()}" if name in Settings.model_fields else name
            click.echo(f"commandcenter: {variable}: {problem['msg']}. See docs/configuration.md.", err=True)
        sys.exit(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(importlib.metadata.version("commandcenter"))
def commands() -> None:
    """CommandCenter: agent sandboxes as first-class compute.

    Everything is configured by environment variables; docs/configuration.md lists them.
    """


@commands.command()
@click.option("--host", metavar="ADDRESS", help="Address to listen on (COMMANDCENTER_HOST).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (COMMANDCENTER_PORT).")
def up(host: str | None, port: int | None) -> None:
    """Run everything on this machine, until Ctrl-C."""
    from processes.up import up as start_all

    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    sys.exit(asyncio.run(start_all(get_settings().model_copy(update=given))))


@commands.command()
def web() -> None:
    """Run one web process: GraphQL over HTTP and WebSocket, the playground, downloads, health, metrics."""
    from processes.web import serve_web

    serve_web(_ready_to_serve("web"))


@commands.command()
def worker() -> None:
    """Run one worker: timers, clean-up, and what else happens by itself."""
    from processes.worker import serve_worker

    serve_worker(_ready_to_serve("worker"))


@commands.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def runtime(arguments: tuple[str, ...]) -> None:
    """Run the embedded sandbox host alone, by RUNTIME_ variables; `doctor` says what the machine gives it."""
    program = (sys.executable, "-P", "-m", "runtime", *arguments)
    os.execv(sys.executable, program)  # noqa: S606 - a program of its own


@commands.command()
def migrate() -> None:
    """Bring the database to what this version needs."""
    from processes.administration import database_url
    from processes.migrate import migrate as bring_up_to_date

    bring_up_to_date(database_url(get_settings()))


@commands.group()
def admin() -> None:
    """For whoever operates the installation."""


@admin.command("create-key")
@click.option("--project", default="default", show_default=True, help="Name of the key's project.")
@click.option("--name", default="command line", show_default=True, help="What the key is for.")
@click.option(
    "--role",
    type=click.Choice(Role, case_sensitive=False),
    default=Role.ADMINISTRATOR,
    show_default=True,
    help="What it may do in its project.",
)
@click.option("--days", type=click.IntRange(1, 3650), help="How long it is valid; for good otherwise.")
@click.option("--instance-administrator", is_flag=True, help="It may also create projects.")
def create_key(project: str, name: str, role: Role, days: int | None, instance_administrator: bool) -> None:
    """Make an API key, and print it: the only time that it is shown."""
    from processes.administration import make_key

    click.echo(
        asyncio.run(
            make_key(
                get_settings(),
                project_name=project,
                name=name,
                role=role,
                days=days,
                is_instance_administrator=instance_administrator,
            )
        )
    )


@admin.command("create-sign-in-link")
def create_sign_in_link() -> None:
    """Print an address that signs one browser in, once, within 15 minutes."""
    from processes.administration import make_sign_in_link

    click.echo(asyncio.run(make_sign_in_link(get_settings())))


@commands.group()
def secrets() -> None:
    """For whoever keeps the key that encrypts the projects' secrets."""


@secrets.command()
@click.option("--discard-unreadable", is_flag=True, help="Remove the secrets whose key is lost.")
def rotate(discard_unreadable: bool) -> None:
    """Encrypt all secrets anew with the first key of COMMANDCENTER_SECRETS_KEY; safe to repeat."""
    from processes.administration import rotate as rotate_all

    count, discarded = asyncio.run(rotate_all(get_settings(), discard=discard_unreadable))
    for name in discarded:
        click.echo(f"{name}: removed, its key is lost")
    click.echo(f"{count} values are encrypted with another key than before.")


def _ready_to_serve(process: str) -> Settings:
    """The settings of a process that needs both servers; its logging is set up."""
    from processes.log_output import configure_logging

    settings = get_settings()
    for variable, value in (("DATABASE_URL", settings.database_url), ("REDIS_URL", settings.redis_url)):
        if not value:
            raise StartError(
                f"{variable} is not set. Set it, or run `commandcenter up`, which brings its own."
            )
    configure_logging(process, settings.log_level)
    return settings
