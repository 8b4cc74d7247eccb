"""The examples of README.md and docs/: what they ask is in the schema, and what they answer is what comes."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest
from graphql import parse, validate

from commandcenter.access.scope import Role
from schema.build import build_schema
from scripts.recorded_examples import blocks, examples, run
from tests.fixtures.product import Product

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RECORDED = [page for page in PAGES if any(example.output for example in examples(page.read_text()))]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_OPAQUE = re.compile(r"[\w.=-]{24,}")
_DURATION = re.compile(r"\b\d+(\.\d+)?(?= m?s\b)|(?<=\"durationMs\": )\d+")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_asks_for_is_in_the_schema(page: Path) -> None:
    schema = build_schema()._schema
    for block in blocks(page.read_text()):
        if block.language == "graphql":
            assert validate(schema, parse(block.text)) == [], block.text


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)", page.read_text())
    assert [link for link, _ in links if link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", RECORDED, ids=name_of)
async def test_a_pages_examples_answer_what_it_says(page: Path, product: Product, tmp_path: Path) -> None:
    project = await product.new_project()
    written = page.read_text()
    outputs = await asyncio.to_thread(
        run,
        written,
        _workplace(tmp_path, project.keys[Role.OPERATOR]),
        _environment(tmp_path),
        _address(product),
    )
    for example, printed in zip(examples(written), outputs, strict=True):
        if example.output is not None:
            assert _shape(printed) == _shape(example.output.text), example.commands.text


def _workplace(folder: Path, key: str) -> Path:
    """A folder that looks like a clone and a home to what the examples read."""
    home = folder / ".local/share/commandcenter"
    home.mkdir(parents=True)
    (home / "admin.key").write_text(f"{key}\n")
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "LICENSE").symlink_to(ROOT / "LICENSE")
    return folder


def _environment(folder: Path) -> dict[str, str]:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"HOME": str(folder), "PATH": programs, "LANG": "C.UTF-8"}


def _address(product: Product) -> str:
    return product.webs[0].address.removeprefix("http://")


def _shape(printed: str) -> str:
    """What is printed without what differs each time: times, ids and tokens, and how long things take."""
    return _DURATION.sub("…", _OPAQUE.sub("…", _TIME.sub("…", printed)))
