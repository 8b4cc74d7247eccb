"""bubblewrap with the very profile of the runtime's sandboxes, around `true` instead of a supervisor."""

import os
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

from runtime.host.bubblewrap import Launch, command
from runtime.host.layout import prepare_layout
from runtime.host.seccomp import filter_program
from runtime.host.staging import stage
from runtime.settings import RuntimeSettings

_SECONDS = 30


class BareSandbox:
    """What a sandbox costs at the least on this machine: namespaces, mounts, a process, and their end."""

    def __init__(self, folder: Path) -> None:
        self._settings = RuntimeSettings(state_directory=folder)
        self._layout = prepare_layout(folder)
        self._programs = stage(self._layout)
        self._user_id = self._settings.user_id_first if os.geteuid() == 0 else None
        self._home = self._layout.sandboxes / "home"
        self._home.mkdir()
        if self._user_id is not None:
            os.chown(self._home, self._user_id, self._user_id)

    def run_true(self) -> float:
        """Make a sandbox, run `true` in it, see its end; returns the seconds that it took."""
        with ExitStack() as stack:
            seccomp = os.memfd_create("seccomp", 0)
            stack.callback(os.close, seccomp)
            os.write(seccomp, filter_program())
            os.lseek(seccomp, 0, os.SEEK_SET)
            information = os.open(os.devnull, os.O_WRONLY)
            stack.callback(os.close, information)
            arguments = self._arguments(seccomp, information)
            started = time.perf_counter()
            subprocess.run(
                arguments,
                check=True,
                timeout=_SECONDS,
                stdin=subprocess.DEVNULL,
                env={},
                cwd="/",
                pass_fds=(seccomp, information),
                user=self._user_id,
                group=self._user_id,
                extra_groups=None if self._user_id is None else [],
            )
            return time.perf_counter() - started

    def _arguments(self, seccomp: int, information: int) -> list[str]:
        launch = Launch(
            home=self._home,
            scratch_bytes=1 << 28,
            shared_memory_bytes=1 << 26,
            seccomp=seccomp,
            information=information,
            listener=0,
            lease=0,
            limits="",
        )
        supervised = command(self._programs, launch)
        return [*supervised[: supervised.index("--") + 1], "/usr/bin/true"]
