"""`python -m runtime`: serve sandboxes until told to stop; with `doctor`, say what there is for them."""

import argparse
import sys

from runtime.doctor.command import doctor
from runtime.server import main

parser = argparse.ArgumentParser(prog="python -m runtime", description=__doc__)
commands = parser.add_subparsers(dest="command")
examining = commands.add_parser("doctor", help="say what this machine gives to sandboxes, and what to mend")
examining.add_argument("--json", action="store_true", help="as JSON")
arguments = parser.parse_args()

if arguments.command == "doctor":
    sys.exit(doctor(as_json=arguments.json))
main()
