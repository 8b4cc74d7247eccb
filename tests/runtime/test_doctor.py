"""What the doctor says about this machine, and guarantees that are demanded of a start."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.runtime import REPOSITORY, UNPRIVILEGED_USER, RuntimeProcess, runtime_folder

AS_ROOT = os.geteuid() == 0


def run(state: Path, *arguments: str, user_id: int | None = None, **settings: str) -> Any:
    """`python -m runtime` with arguments, until it ends."""
    return subprocess.run(
        [sys.executable, "-m", "runtime", *arguments],
        cwd=REPOSITORY,
        env={"PATH": os.defpath, "RUNTIME_STATE_DIRECTORY": str(state), "RUNTIME_PORT": "0", **settings},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        user=user_id,
        group=user_id,
        extra_groups=None if user_id is None else [],
    )


def test_the_doctor_finds_a_machine_fit_that_runs_sandboxes() -> None:
    with runtime_folder() as state:
        answer = run(state, "doctor", "--json")
    report = json.loads(answer.stdout)
    assert (answer.returncode, report["fit"]) == (0, True)
    found = {each["name"]: each for each in report["findings"]}
    assert {"user namespaces", "overlay", "cgroups", "a real sandbox", "guarantee own_user"} <= set(found)
    assert all(bool(each["mend"]) == (each["state"] != "good") for each in found.values())


def test_an_ordinary_user_is_told_what_root_would_change() -> None:
    user_id = UNPRIVILEGED_USER if AS_ROOT else None
    with runtime_folder(user_id) as state:
        answer = run(state, "doctor", user_id=user_id)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "limited  guarantee own_user" in answer.stdout
    assert "→ start the runtime as root." in answer.stdout
    assert answer.stdout.endswith("Sandboxes can run here.\n")


@pytest.mark.parametrize("arguments", [(), ("doctor",)])
def test_what_is_demanded_and_cannot_be_kept_bars_the_start(arguments: tuple[str, ...]) -> None:
    user_id = UNPRIVILEGED_USER if AS_ROOT else None
    with runtime_folder(user_id) as state:
        answer = run(state, *arguments, user_id=user_id, RUNTIME_REQUIRE="own_user,processes")
    assert answer.returncode == 1
    told = answer.stdout + answer.stderr
    assert "own_user" in told
    assert "start the runtime as root" in told
    assert "guarantee processes    can be kept" in told or not arguments


def test_a_guarantee_that_does_not_exist_is_named() -> None:
    with runtime_folder() as state:
        answer = run(state, RUNTIME_REQUIRE="memory,magic")
    assert answer.returncode == 1
    assert "magic is no guarantee; there are: own_user, memory" in answer.stderr


async def test_what_is_demanded_and_kept_lets_it_start() -> None:
    with runtime_folder() as state:
        runtime = RuntimeProcess(state, require="processes, output_rate")
        await runtime.start()
        await runtime.stop()
