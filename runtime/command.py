"""The command `python -m runtime`: serve, examine the machine, or tell how to reach what serves."""

import argparse
import sys

from runtime.clients import exports, variables_of_serving
from runtime.doctor.command import doctor
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
    examining = commands.add_parser(
        "doctor", help="say what this machine gives to sandboxes, and what to mend"
    )
    examining.add_argument("--json", action="store_true", help="as JSON")
    chosen = parser.parse_args()
    if chosen.command == "doctor":
        sys.exit(doctor(as_json=chosen.json))
    try:
        settings = RuntimeSettings()
        if chosen.command == "env":
            print(exports(variables_of_serving(settings)))
        else:
            serve(settings)
    except (HostError, OSError) as error:
        sys.exit(f"runtime: {error}")
