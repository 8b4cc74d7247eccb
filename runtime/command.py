"""The command `python -m runtime`: serve, or tell how to reach the runtime that serves."""

import argparse
import sys

from runtime.clients import exports, variables_of_serving
from runtime.host.errors import HostError
from runtime.server import serve
from runtime.settings import RuntimeSettings

DESCRIPTION = "Sandboxes on this machine, behind E2B's protocol. Configured by RUNTIME_ variables."


def main() -> None:
    """Run the command; what whoever started it can mend is said in one line."""
    parser = argparse.ArgumentParser(prog="runtime", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("serve", help="serve sandboxes until told to stop; the same as no command")
    commands.add_parser("env", help='print how E2B\'s clients reach the runtime that serves: eval "$(… env)"')
    chosen = parser.parse_args().command
    try:
        settings = RuntimeSettings()
        if chosen == "env":
            print(exports(variables_of_serving(settings)))
        else:
            serve(settings)
    except (HostError, OSError) as error:
        sys.exit(f"runtime: {error}")
