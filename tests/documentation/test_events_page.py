"""docs/events.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from commandcenter.executions.states import ENDED

ROOT = Path(__file__).resolve().parents[2]
# Those of ends are named like the execution's status.
ENDS = {f"execution.{status.lower()}" for status in ENDED} | {"execution.started"}

KIND = re.compile(r"(sandbox|execution|file|key|project|access|snapshot|secret|webhook)\.[a-z_]+")


def test_every_kind_of_event_is_described_and_no_other() -> None:
    documented = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", (ROOT / "docs/events.md").read_text()))
    written = {kind for file in (ROOT / "commandcenter").rglob("*.py") for kind in kinds(file)} | ENDS
    assert written == documented


def kinds(file: Path) -> Iterator[str]:
    """The texts in a module of the domain that are kinds of events, but for names of its log lines."""
    tree = ast.parse(file.read_text())
    logged = {
        id(call.args[0])
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.args
        if call.func.attr in ("debug", "info", "warning", "error", "exception")
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in logged:
            continue
        if isinstance(node.value, str) and KIND.fullmatch(node.value):
            yield node.value
