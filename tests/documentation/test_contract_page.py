"""docs/contract.md."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_tests_that_the_promises_name_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/contract.md").read_text()))
    files = (ROOT / "tests").rglob("test_*.py")
    existing = {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text())}
    assert named
    assert named - existing == set()
