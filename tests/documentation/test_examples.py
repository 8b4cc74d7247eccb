import re
from pathlib import Path

import pytest
from graphql import parse, validate

from schema.build import build_schema

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = [
    pytest.param(example, id=f"{page.name}-{number}")
    for page in sorted(DOCS.glob("*.md"))
    for number, example in enumerate(re.findall(r"```graphql\n(.*?)```", page.read_text(), re.DOTALL), 1)
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_documentation_fits_the_schema(example: str) -> None:
    assert validate(build_schema()._schema, parse(example)) == []
