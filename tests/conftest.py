"""Fixtures that every test may use."""

import pytest
from hypothesis import settings

# How long an example takes says nothing on a busy machine; pytest's own limit stays.
settings.register_profile("commandcenter", deadline=None)
settings.load_profile("commandcenter")

pytest_plugins = [
    "tests.fixtures.certificates",
    "tests.fixtures.servers",
    "tests.fixtures.runtime",
    "tests.fixtures.product",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let whoever saw a run with random faults fail have the same one again, or have a longer one."""
    parser.addoption("--fault-seed", type=int, help="seed of the faults that are injected by chance")
    parser.addoption("--minutes", type=float, default=0, help="length of a soak test (make soak)")
