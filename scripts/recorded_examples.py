"""Runs a page's examples against a running CommandCenter, and writes what they answer into the page.

`.venv/bin/python -m scripts.recorded_examples README.md docs/api.md`, beside a `make run` on the default
port and home. A test runs the same examples and holds the answers against what is written.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ADDRESS = "127.0.0.1:8420"
_SECONDS = 120
_BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```\n", re.MULTILINE | re.DOTALL)
_END = "-- end of block --"


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `start` and `end` are the offsets of its text."""

    language: str
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Example:
    """Commands, and the block that holds what they print where the page shows it."""

    commands: Block
    output: Block | None


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [Block(found["language"], found["text"], *found.span("text")) for found in _BLOCK.finditer(page)]


def examples(page: str) -> list[Example]:
    """The page's `bash` blocks, and its `graphql` blocks with an answer: it is in the block right below."""
    found = blocks(page)
    all_examples = (
        Example(block, _output(page, block, found[index + 1 : index + 2]))
        for index, block in enumerate(found)
    )
    return [
        example
        for example in all_examples
        if example.commands.language == "bash" or (example.commands.language == "graphql" and example.output)
    ]


def saved_files(page: str) -> Iterator[tuple[str, str]]:
    """Name and text of the files that a page has its reader save: blocks that begin with `# <name>: `."""
    for block in blocks(page):
        if named := re.match(r"# (\w+\.py): ", block.text):
            yield named[1], block.text


def run(page: str, folder: Path, environment: Mapping[str, str], address: str = ADDRESS) -> list[str]:
    """Run a page's examples one after the other in one shell, in `folder`; returns what each printed."""
    for name, text in saved_files(page):
        (folder / name).write_text(text.replace(ADDRESS, address))
    script = "".join(f"{_script(example.commands)}\necho '{_END}'\n" for example in examples(page))
    ran = subprocess.run(
        ["/bin/bash"],
        input=script.replace(ADDRESS, address),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=environment,
        timeout=_SECONDS,
        check=True,
    )
    return ran.stdout.replace(address, ADDRESS).split(f"{_END}\n")[:-1]


def with_outputs(page: str, outputs: list[str]) -> str:
    """The page with what its examples printed."""
    for example, printed in reversed(list(zip(examples(page), outputs, strict=True))):
        if example.output is not None:
            page = page[: example.output.start] + printed + page[example.output.end :]
    return page


def _script(commands: Block) -> str:
    """Shell commands; a GraphQL document is asked by the page's `ask`, its `$x` being what `X` holds."""
    if commands.language == "bash":
        return commands.text
    names = dict.fromkeys(re.findall(r"\$(\w+):", commands.text))
    variables = " ".join(f'{name}="${name.upper()}"' for name in names)
    return f"ask \"$(cat <<'GRAPHQL'\n{commands.text}GRAPHQL\n)\" {variables}"


def _output(page: str, commands: Block, following: list[Block]) -> Block | None:
    for block in following:
        if page[commands.end : block.start] in ("```\n```json\n", "```\n```text\n"):
            return block
    return None


def main() -> None:
    """Record the pages that the command line names."""
    folder = Path.cwd()
    for name in sys.argv[1:]:
        path = Path(name)
        page = path.read_text()
        path.write_text(with_outputs(page, run(page, folder, os.environ)))


if __name__ == "__main__":
    main()
