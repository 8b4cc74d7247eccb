from typing import Any

import pytest

from tests.files.transfers import file_at, names_below
from tests.fixtures.client import Client

LONG = "x" * 4097
REFUSED: list[tuple[str, dict[str, Any], str, tuple[str, ...]]] = [
    ("writeFile", {"path": "", "text": "x"}, "INVALID", ("path",)),
    ("writeFile", {"path": "a\0b", "text": "x"}, "INVALID", ("path",)),
    ("writeFile", {"path": LONG, "text": "x"}, "INVALID", ("path",)),
    ("writeFile", {"path": "{folder}/" + "n" * 256, "text": "x"}, "INVALID", ("path",)),
    ("writeFile", {"path": "{folder}", "text": "x"}, "INVALID", ("path",)),
    ("writeFile", {"path": "{folder}/pipe", "text": "x"}, "INVALID", ("path",)),
    ("writeFile", {"path": "{folder}/file/below", "text": "x"}, "INVALID", ("path",)),
    ("writeFile", {"path": "/run/runtime/new", "text": "x"}, "FORBIDDEN", ("path",)),
    ("writeFile", {"path": "/proc/new", "text": "x"}, "NOT_FOUND", ("path",)),
    ("writeFile", {"path": "{folder}/new"}, "INVALID", ("text",)),
    ("writeFile", {"path": "{folder}/new", "text": "x", "base64": "eA=="}, "INVALID", ("text",)),
    ("writeFile", {"path": "{folder}/new", "base64": "%"}, "INVALID", ("base64",)),
    ("writeFile", {"path": "{folder}/new", "text": "x", "mode": "rwx"}, "INVALID", ("mode",)),
    ("writeFile", {"path": "{folder}/new", "text": "x", "mode": "4755"}, "INVALID", ("mode",)),
    ("makeDirectory", {"path": "{folder}"}, "CONFLICT", ("path",)),
    ("makeDirectory", {"path": "{folder}/file"}, "INVALID", ("path",)),
    ("makeDirectory", {"path": "{folder}/file/below"}, "NOT_FOUND", ("path",)),
    ("makeDirectory", {"path": "/run/runtime/new"}, "FORBIDDEN", ("path",)),
    ("makeDirectory", {"path": ""}, "INVALID", ("path",)),
    ("moveFile", {"path": "{folder}/none", "destination": "{folder}/new"}, "NOT_FOUND", ("path",)),
    ("moveFile", {"path": "{folder}/file", "destination": ""}, "INVALID", ("destination",)),
    ("moveFile", {"path": "{folder}/file", "destination": "a\0"}, "INVALID", ("destination",)),
    ("moveFile", {"path": "{folder}/file", "destination": "{folder}"}, "CONFLICT", ("destination",)),
    ("moveFile", {"path": "{folder}/file", "destination": "/run/runtime/new"}, "INVALID", ("path",)),
    ("removeFile", {"path": "{folder}/none"}, "NOT_FOUND", ("path",)),
    ("removeFile", {"path": "{folder}/file/below"}, "NOT_FOUND", ("path",)),
    ("removeFile", {"path": "/run/runtime/supervisor.pyc"}, "FORBIDDEN", ("path",)),
    ("removeFile", {"path": LONG}, "INVALID", ("path",)),
]


@pytest.mark.parametrize(("mutation", "values", "code", "field"), REFUSED)
async def test_what_cannot_be_done_is_one_typed_error_and_changes_nothing(
    client: Client,
    sandbox_id: str,
    folder: str,
    mutation: str,
    values: dict[str, Any],
    code: str,
    field: tuple[str, ...],
) -> None:
    await client.run(sandbox_id, "echo kept > file; mkfifo pipe", cwd=folder)
    named = {
        name: value.replace("{folder}", folder) if isinstance(value, str) else value
        for name, value in values.items()
    }
    error = await client.refused(mutation, sandboxId=sandbox_id, **named)
    assert (error.code, error.field) == (code, field), error
    assert await names_below(client, sandbox_id, folder) == ["file", "pipe"]
    assert await file_at(client, sandbox_id, f"{folder}/file", "text") == {"text": "kept\n"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ('path: ""', "INVALID"),
        ('path: "a\\u0000"', "INVALID"),
        ("depth: 0", "INVALID"),
        ("depth: 11", "INVALID"),
        ("limit: 0", "INVALID"),
        ("limit: 2001", "INVALID"),
        ('path: "/nowhere"', "NOT_FOUND"),
        ('path: "/etc/passwd"', "INVALID"),
    ],
)
async def test_a_listing_that_cannot_be_is_a_typed_error(
    client: Client, sandbox_id: str, arguments: str, code: str
) -> None:
    [error] = await client.errors(f'{{ sandbox(id: "{sandbox_id}") {{ files({arguments}) {{ name }} }} }}')
    assert error.code == code, error
