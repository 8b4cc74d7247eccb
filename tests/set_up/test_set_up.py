"""scripts/set-up, as `make` calls it."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.fixtures.users import needs_root_in_an_open_folder, run_as_ordinary_user

ROOT = Path(__file__).resolve().parents[2]
FIRST_SECONDS = 300


def set_up(folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (folder / "scripts" / "set-up",),
        env={"PATH": os.defpath, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=FIRST_SECONDS,
        check=False,
    )


@pytest.fixture
def working_copy(tmp_path: Path) -> Path:
    folder = tmp_path / "a clone with spaces"
    shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "uv.lock"):
        shutil.copy(ROOT / name, folder)
    return folder


def test_a_python_that_will_not_do_is_said_with_what_to_install(working_copy: Path) -> None:
    result = set_up(working_copy, {"PYTHON": "/bin/false"})
    assert result.returncode == 1
    assert result.stdout == ""
    assert "needs Python 3.11 or later with the modules venv and ensurepip" in result.stderr
    assert "apt install python3 python3-venv" in result.stderr
    assert not (working_copy / ".tools").exists()


@pytest.mark.timeout(FIRST_SECONDS)
def test_what_is_up_to_date_is_left_alone() -> None:
    if not (ROOT / ".tools").exists():
        pytest.skip("this working copy was not set up by `make set-up`")
    assert set_up(ROOT, os.environ).returncode == 0
    again = set_up(ROOT, os.environ)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_a_failed_installation_says_what_the_tool_said(working_copy: Path) -> None:
    (working_copy / "uv.lock").write_text("this is no lock file")
    tools = ROOT / ".tools"
    if not tools.exists():
        pytest.skip("this working copy was not set up by `make set-up`")
    (working_copy / ".tools").symlink_to(tools)
    result = set_up(working_copy, {"HOME": str(working_copy)})
    assert result.returncode == 1
    assert result.stderr.startswith("set-up: Installing the Python packages failed.")
    assert "uv.lock" in result.stderr


@needs_root_in_an_open_folder
def test_a_working_copy_of_another_user_is_said_in_one_line() -> None:
    result = run_as_ordinary_user([str(ROOT / "scripts" / "set_up.py")])
    assert result.returncode == 1
    assert "as this user. Run as its owner, or clone anew." in result.stderr
    assert "Traceback" not in result.stderr
