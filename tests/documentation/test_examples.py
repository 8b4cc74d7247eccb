"""The examples of README.md and docs/: what they ask is in the schema, and what they answer is what comes."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest
from graphql import parse, validate

from commandcenter.access.scope import Role, Scope
from commandcenter.keys.actions import create_key
from schema.build import build_schema
from scripts.recorded_examples import blocks, examples, run
from tests.fixtures.product import Product

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RECORDED = [page for page in PAGES if any(example.output for example in examples(page.read_text()))]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_OPAQUE = re.compile(r"[\w-]+\.localhost:\d+|cc_[a-z2-7]{8}\b|[\w.=-]{24,}")
_LEFT = re.compile(r'(?<="remaining":)\d+')
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
    key = await first_key(product)
    written = page.read_text()
    address = product.webs[0].address.removeprefix("http://")
    printed = await asyncio.to_thread(run, written, workplace(tmp_path, key), environment(tmp_path), address)
    for example, answer in zip(examples(written), printed, strict=True):
        if example.output is not None:
            assert shape(answer) == shape(example.output.text), example.commands.text


async def first_key(product: Product) -> str:
    """A key like an installation's first one, of a project that holds nothing yet."""
    project = await product.new_project()
    scope = Scope(project.id, Role.ADMINISTRATOR, "system:tests", is_instance_administrator=True)
    async with product.database.transaction(project.id) as session:
        _, key = await create_key(
            session, scope, name="administrator", role=Role.ADMINISTRATOR, is_instance_administrator=True
        )
    return key


def workplace(folder: Path, key: str) -> Path:
    """A folder that is a home and a clone to what the examples look for there."""
    home = folder / ".local/share/commandcenter"
    home.mkdir(parents=True)
    (home / "admin.key").write_text(f"{key}\n")
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "LICENSE").symlink_to(ROOT / "LICENSE")
    return folder


def environment(folder: Path) -> dict[str, str]:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"HOME": str(folder), "PATH": programs, "LANG": "C.UTF-8"}


def shape(printed: str) -> str:
    """What is printed without what differs each time: times, ids and tokens, and how long things take."""
    for differing in (_TIME, _OPAQUE, _DURATION, _LEFT):
        printed = differing.sub("…", printed)
    return printed
