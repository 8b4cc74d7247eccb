"""Clients keep working: nothing is taken from the schema that was not deprecated before.

A change is measured against schema/schema.graphql where this branch left `main`, or on `main` itself at the
commit before. So a removal takes two merges: one that deprecates, and later one that removes.
"""

import subprocess

import pytest

from scripts.printed_schema import PRINTED, breaking_changes, printed_schema

REPOSITORY = PRINTED.parents[1]


def test_nothing_is_removed_that_was_not_deprecated_before() -> None:
    base = git("merge-base", "HEAD", "main")
    if base is None or base == git("rev-parse", "HEAD"):
        base = git("rev-parse", "HEAD^")
    before = git("show", f"{base}:{PRINTED.relative_to(REPOSITORY)}")
    if before is None:
        pytest.skip("there is no earlier schema: it is the first, or the history is not here")
    assert breaking_changes(before, printed_schema()) == []


def git(*arguments: str) -> str | None:
    """What git answers, or None where it cannot."""
    done = subprocess.run(("git", *arguments), cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
