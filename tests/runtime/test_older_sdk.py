"""The SDK's tests once more with an older SDK, in an environment of its own that is made once."""

import asyncio
import os
import shutil
import subprocess
import venv
from pathlib import Path

import pytest

from tests.fixtures.runtime import REPOSITORY, RuntimeProcess

SUITE = Path(__file__).parent / "sdk"
REQUIREMENTS = SUITE / "requirements-older.txt"
ENVIRONMENT = REPOSITORY / ".tools" / "older-sdk"
INSTALL_SECONDS = 240
SUITE_SECONDS = 120
OPTIONS = {
    "asyncio_mode": "auto",
    "asyncio_default_fixture_loop_scope": "session",
    "asyncio_default_test_loop_scope": "session",
}


@pytest.fixture(scope="module")
def older_python() -> Path:
    """The interpreter of an environment with what the requirements say."""
    made_of = ENVIRONMENT / REQUIREMENTS.name
    if not made_of.exists() or made_of.read_text() != REQUIREMENTS.read_text():
        ENVIRONMENT.parent.mkdir(exist_ok=True)
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        pip: list[str | Path] = [ENVIRONMENT / "bin" / "python", "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "-r", REQUIREMENTS], check=True, timeout=INSTALL_SECONDS)
        shutil.copy(REQUIREMENTS, made_of)
    return ENVIRONMENT / "bin" / "python"


@pytest.mark.timeout(INSTALL_SECONDS + SUITE_SECONDS)
async def test_an_older_sdk_does_what_todays_does(older_python: Path, runtime: RuntimeProcess) -> None:
    options = [f"--override-ini={name}={value}" for name, value in OPTIONS.items()]
    apart = [f"--rootdir={SUITE}", f"--confcutdir={SUITE}", "--import-mode=importlib"]
    process = await asyncio.create_subprocess_exec(
        *(str(older_python), "-m", "pytest", str(SUITE), "-q", "-c", os.devnull, "-p", "no:cacheprovider"),
        *(*apart, *options),
        env={**os.environ, "RUNTIME_URL": runtime.url, "RUNTIME_API_KEY": runtime.api_key},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(SUITE_SECONDS):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert b" passed" in output
