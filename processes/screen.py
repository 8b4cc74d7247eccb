"""What `commandcenter up` tells people."""

import sys
import time
from datetime import datetime
from pathlib import Path


class Screen:
    """Lines for people, on standard output. A terminal that has gone away is no reason to stop."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def heading(self, home: Path) -> None:
        """What starts, and where its data lie."""
        self._print(f"CommandCenter keeps its data in {home}")

    def step(self, name: str, what: str, seconds: float) -> None:
        """One thing done on the way up."""
        self._print(f"  {name:<11} {what:<6} {seconds:6.2f} s")

    def happened(self, line: str) -> None:
        """Something that happens while all runs."""
        self._print(f"{datetime.now().astimezone():%H:%M:%S} {line}")

    def ready(self, *, address: str, sign_in_link: str, admin_key: Path, logs: Path) -> None:
        """Everything runs: where to go from here."""
        # Given databases may have had their first start, and key, with another home.
        key = admin_key if admin_key.exists() else "commandcenter admin create-key makes one"
        self._print(
            f"Ready after {time.monotonic() - self._started:.1f} s.\n"
            "\n"
            f"  Sign in     {sign_in_link}\n"
            "              (signs one browser in, once, within 15 minutes)\n"
            f"  Playground  {address}/graphql\n"
            f"  API key     {key}\n"
            f"  Logs        {logs}\n"
            "\n"
            "Ctrl-C stops everything.\n"
        )

    def failed(self, message: str) -> None:
        """Why there is nothing running."""
        print(f"commandcenter: {message}", file=sys.stderr, flush=True)

    def _print(self, text: str) -> None:
        try:
            print(text, flush=True)
        except OSError:
            return
