"""Fixtures that every test may use."""

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
