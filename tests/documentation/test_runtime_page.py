"""docs/runtime.md: its first session is what a reader gets."""

import os
import subprocess
import sys
from pathlib import Path

from scripts.recorded_examples import blocks
from tests.fixtures.runtime import RuntimeProcess
from tests.runtime.test_javascript import packages, run

__all__ = ["packages"]  # a fixture
PAGE = Path(__file__).resolve().parents[2] / "docs" / "runtime.md"


def program(language: str) -> str:
    return next(block.text for block in blocks(PAGE.read_text()) if block.language == language)


def test_the_first_session_in_python_prints_what_it_says(runtime: RuntimeProcess) -> None:
    variables = {
        "E2B_API_KEY": runtime.api_key,
        "E2B_API_URL": runtime.url,
        "E2B_SANDBOX_URL": runtime.url,
    }
    printed = subprocess.run(
        [sys.executable, "-c", program("python")],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout
    assert printed == "5050\n\n"


async def test_the_first_session_in_javascript_prints_what_it_says(
    packages: Path,
    runtime: RuntimeProcess,
) -> None:
    arguments = ("--input-type=module", "--eval", program("javascript"))
    printed = await run(
        "node",
        *arguments,
        E2B_API_KEY=runtime.api_key,
        E2B_API_URL=runtime.url,
        E2B_SANDBOX_URL=runtime.url,
    )
    assert printed == "5050\n\n"
