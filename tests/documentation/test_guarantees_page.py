"""docs/guarantees.md."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/guarantees.md"
LINK = re.compile(r"\[`(test_\w+)`\]\(([^)]+)\)")


def test_each_promise_links_to_tests_that_exist() -> None:
    text = PAGE.read_text()
    links = LINK.findall(text)
    assert links
    assert set(re.findall(r"`(test_\w+)`", text)) == {name for name, _ in links}, "a test without a link"
    for name, path in links:
        assert f"def {name}(" in (PAGE.parent / path).read_text(), f"{name} is not in {path}"
