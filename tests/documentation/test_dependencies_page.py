"""docs/dependencies.md."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_each_dependency_has_a_line_and_each_line_a_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    declared = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    lines = re.findall(r"^\| ([a-z0-9-]+) \|", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE)
    assert sorted(name for name in lines if name != "package") == sorted(
        re.split(r"[\[<>=]", requirement)[0] for requirement in declared
    )
