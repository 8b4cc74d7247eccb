import base64
from typing import Any

import pytest

from tests.files.transfers import FILE, download, file_at, names_below
from tests.fixtures.client import Client

TEXTS = ["plain\n", "ümläut ✓ 🦄 \u202e", "", "\ttabs\r\nand lines\n\n", "NUL \0 within", "\ufeffmarked"]
NAMES = [
    "with space",
    "'single' \"double\" `back`",
    "line\nbreak",
    "emoji 🦄",
    "-rf",
    "--",
    "...",
    "$(touch pwned);&|<>*?[]",
    "a&b=c?d#e%41+f",
    "back\\slash",
    "~",
    ".hidden",
    "e\u0301 decomposed",
    "n" * 255,
]


@pytest.mark.parametrize("text", TEXTS)
async def test_a_text_is_read_as_it_was_written(
    client: Client, sandbox_id: str, folder: str, text: str
) -> None:
    path = f"{folder}/new/text.txt"
    written = await client.mutate("writeFile", f"{FILE} text", sandboxId=sandbox_id, path=path, text=text)
    assert written["path"] == path
    assert (written["kind"], written["size"], written["owner"]) == ("FILE", len(text.encode()), "user")
    assert written["text"] == text
    assert (await file_at(client, sandbox_id, path, "text")) == {"text": text}
    assert (await download(client, sandbox_id, path)).content == text.encode()


async def test_any_bytes_are_written_by_base64_and_are_no_text(
    client: Client, sandbox_id: str, folder: str
) -> None:
    data = bytes(range(256)) * 16
    encoded = base64.b64encode(data).decode()
    path = f"{folder}/data.bin"
    entry = await client.mutate("writeFile", "size text", sandboxId=sandbox_id, path=path, base64=encoded)
    assert entry == {"size": len(data), "text": None}
    assert (await download(client, sandbox_id, path)).content == data


@pytest.mark.parametrize("name", NAMES)
async def test_odd_names_are_names(client: Client, sandbox_id: str, folder: str, name: str) -> None:
    path = f"{folder}/{name}"
    written = await client.mutate("writeFile", FILE, sandboxId=sandbox_id, path=path, text=name)
    assert (written["name"], written["path"]) == (name, path)
    assert await names_below(client, sandbox_id, folder) == [name]
    assert await file_at(client, sandbox_id, path, "name text") == {"name": name, "text": name}
    assert (await download(client, sandbox_id, path)).text == name
    await client.mutate("removeFile", "path", sandboxId=sandbox_id, path=path)
    assert await names_below(client, sandbox_id, folder) == []


async def test_relative_paths_begin_at_the_home_and_dots_are_resolved(
    client: Client, sandbox_id: str, folder: str
) -> None:
    inside = folder.removeprefix("/home/user/")
    await client.mutate("writeFile", FILE, sandboxId=sandbox_id, path=f"{inside}/a/../b", text="b")
    assert await names_below(client, sandbox_id, folder) == ["b"]
    for path in (f"{inside}/b", f"~/{inside}/b", f"{folder}/x/../../{folder.rpartition('/')[2]}/./b"):
        assert await file_at(client, sandbox_id, path, "path") == {"path": f"{folder}/b"}


async def test_the_beginning_of_a_text_ends_between_characters(
    client: Client, sandbox_id: str, folder: str
) -> None:
    path = f"{folder}/text"
    await client.mutate("writeFile", FILE, sandboxId=sandbox_id, path=path, text="aé🦄z")
    beginnings = {1: "a", 2: "a", 3: "aé", 4: "aé", 6: "aé", 7: "aé🦄", 8: "aé🦄z", 9: "aé🦄z"}
    for most, expected in beginnings.items():
        found = await file_at(client, sandbox_id, path, f"text(maxBytes: {most})")
        assert found == {"text": expected}, most


async def test_text_that_is_cut_in_the_file_itself_is_no_text(
    client: Client, sandbox_id: str, folder: str
) -> None:
    encoded = base64.b64encode("é".encode()[:1]).decode()
    entry = await client.mutate(
        "writeFile", "text", sandboxId=sandbox_id, path=f"{folder}/half", base64=encoded
    )
    assert entry == {"text": None}


async def test_a_listing_goes_as_deep_as_asked(client: Client, sandbox_id: str, folder: str) -> None:
    await client.run(
        sandbox_id,
        "mkdir -p a/b/c b && touch a/b/c/deep a-file b/x && ln -s a link && mkfifo pipe",
        cwd=folder,
    )
    assert await names_below(client, sandbox_id, folder, 1) == ["a", "a-file", "b", "link", "pipe"]
    assert await names_below(client, sandbox_id, folder, 2) == [
        "a",
        "a/b",
        "a-file",
        "b",
        "b/x",
        "link",
        "pipe",
    ]
    shown = await client.show(sandbox_id, f'files(path: "{folder}", depth: 10) {{ name kind }}')
    assert {entry["name"]: entry["kind"] for entry in shown["files"]} == {
        "a": "DIRECTORY",
        "b": "DIRECTORY",
        "c": "DIRECTORY",
        "deep": "FILE",
        "a-file": "FILE",
        "x": "FILE",
        "link": "SYMLINK",
        "pipe": "OTHER",
    }


async def test_more_entries_than_one_answer_holds_come_in_pages(
    client: Client, sandbox_id: str, folder: str
) -> None:
    await client.run(sandbox_id, "seq 1 3000 | xargs touch", cwd=folder)
    document = "query($id: ID!, $path: String!) { sandbox(id: $id) { files(path: $path) { name } } }"
    [error] = await client.errors(document, id=sandbox_id, path=folder)
    assert (error.code, error.path) == ("INVALID", ("sandbox", "files"))
    assert "limit" in error.message

    document = (
        "query($id: ID!, $path: String!, $after: String) "
        "{ sandbox(id: $id) { files(path: $path, limit: 1400, after: $after) { name path } } }"
    )
    names: list[str] = []
    after = None
    sizes: list[int] = []
    while not sizes or sizes[-1]:
        page = (await client.query(document, id=sandbox_id, path=folder, after=after))["sandbox"]["files"]
        names += [entry["name"] for entry in page]
        sizes.append(len(page))
        after = page[-1]["path"] if page else None
    assert sizes == [1400, 1400, 200, 0]
    assert names == sorted(str(number) for number in range(1, 3001))


async def test_a_directory_too_large_to_look_through_is_said_to_be(
    client: Client, sandbox_id: str, folder: str
) -> None:
    await client.run(sandbox_id, "seq -f '%0240.0f' 1 9000 | xargs touch", cwd=folder)
    [error] = await client.errors(
        "query($id: ID!, $path: String!) { sandbox(id: $id) { files(path: $path, limit: 1) { name } } }",
        id=sandbox_id,
        path=folder,
    )
    assert error.code == "INVALID"
    assert "too large" in error.message


async def test_files_are_moved_and_removed(client: Client, sandbox_id: str, folder: str) -> None:
    await client.mutate("writeFile", FILE, sandboxId=sandbox_id, path=f"{folder}/a/one", text="1")
    moved = await client.mutate(
        "moveFile", FILE, sandboxId=sandbox_id, path=f"{folder}/a", destination=f"{folder}/b/c"
    )
    assert (moved["path"], moved["kind"]) == (f"{folder}/b/c", "DIRECTORY")
    assert await names_below(client, sandbox_id, folder) == ["b", "b/c", "b/c/one"]
    removed = await client.mutate("removeFile", "path kind", sandboxId=sandbox_id, path=f"{folder}/b")
    assert removed == {"path": f"{folder}/b", "kind": "DIRECTORY"}
    assert await names_below(client, sandbox_id, folder) == []


async def test_a_move_takes_the_place_of_another_file_only_where_asked(
    client: Client, sandbox_id: str, folder: str
) -> None:
    one, other = f"{folder}/one", f"{folder}/other"
    for path in (one, other):
        await client.mutate("writeFile", FILE, sandboxId=sandbox_id, path=path, text=path)
    error = await client.refused("moveFile", sandboxId=sandbox_id, path=one, destination=other)
    assert (error.code, error.field) == ("CONFLICT", ("destination",))
    assert await file_at(client, sandbox_id, other, "text") == {"text": other}
    await client.mutate("moveFile", FILE, sandboxId=sandbox_id, path=one, destination=other, overwrite=True)
    assert await file_at(client, sandbox_id, other, "text") == {"text": one}
    assert await names_below(client, sandbox_id, folder) == ["other"]


async def test_a_written_file_takes_the_mode_it_is_given_and_keeps_it(
    client: Client, sandbox_id: str, folder: str
) -> None:
    path = f"{folder}/script"
    for mode, expected in (("755", "0755"), (None, "0755"), ("0600", "0600")):
        entry = await client.mutate("writeFile", "mode", sandboxId=sandbox_id, path=path, text="x", mode=mode)
        assert entry == {"mode": expected}


async def test_sizes_and_times_that_a_program_made_up_are_shown_within_bounds(
    client: Client, sandbox_id: str, folder: str
) -> None:
    made = await client.run(
        sandbox_id,
        "touch -d '1-01-01' old; touch -d '9999-12-31 23:59:59.9999999' new; truncate -s 7E huge",
        cwd=folder,
    )
    shown = await client.show(sandbox_id, f'files(path: "{folder}") {{ name size modifiedAt }}')
    entries = {entry["name"]: entry for entry in shown["files"]}
    assert {"old", "new"} <= set(entries), made
    assert all(0 <= entry["size"] < 2**53 for entry in entries.values())


LONG = "x" * 4097
REFUSED: list[tuple[str, dict[str, Any], str, tuple[str, ...]]] = [
    ("writeFile", {"path": "", "text": "x"}, "INVALID", ("path",)),
    ("writeFile", {"path": "a\0b", "text": "x"}, "INVALID", ("path",)),
    ("writeFile", {"path": LONG, "text": "x"}, "INVALID", ("path",)),
    ("writeFile", {"path": "{folder}/" + "n" * 256, "text": "x"}, "INVALID", ("path",)),
    ("writeFile", {"path": "{folder}", "text": "x"}, "INVALID", ("path",)),
    ("writeFile", {"path": "{folder}/pipe", "text": "x"}, "INVALID", ("path",)),
    ("writeFile", {"path": "{folder}/file/below", "text": "x"}, "INVALID", ("path",)),
    ("writeFile", {"path": "/usr/new", "text": "x"}, "FORBIDDEN", ("path",)),
    ("writeFile", {"path": "/proc/new", "text": "x"}, "NOT_FOUND", ("path",)),
    ("writeFile", {"path": "{folder}/new"}, "INVALID", ("text",)),
    ("writeFile", {"path": "{folder}/new", "text": "x", "base64": "eA=="}, "INVALID", ("text",)),
    ("writeFile", {"path": "{folder}/new", "base64": "%"}, "INVALID", ("base64",)),
    ("writeFile", {"path": "{folder}/new", "text": "x", "mode": "rwx"}, "INVALID", ("mode",)),
    ("writeFile", {"path": "{folder}/new", "text": "x", "mode": "4755"}, "INVALID", ("mode",)),
    ("makeDirectory", {"path": "{folder}"}, "CONFLICT", ("path",)),
    ("makeDirectory", {"path": "{folder}/file"}, "INVALID", ("path",)),
    ("makeDirectory", {"path": "{folder}/file/below"}, "NOT_FOUND", ("path",)),
    ("makeDirectory", {"path": "/usr/new"}, "FORBIDDEN", ("path",)),
    ("makeDirectory", {"path": ""}, "INVALID", ("path",)),
    ("moveFile", {"path": "{folder}/none", "destination": "{folder}/new"}, "NOT_FOUND", ("path",)),
    ("moveFile", {"path": "{folder}/file", "destination": ""}, "INVALID", ("destination",)),
    ("moveFile", {"path": "{folder}/file", "destination": "a\0"}, "INVALID", ("destination",)),
    ("moveFile", {"path": "{folder}/file", "destination": "{folder}"}, "CONFLICT", ("destination",)),
    ("moveFile", {"path": "{folder}/file", "destination": "/usr/new"}, "INVALID", ("path",)),
    ("removeFile", {"path": "{folder}/none"}, "NOT_FOUND", ("path",)),
    ("removeFile", {"path": "{folder}/file/below"}, "NOT_FOUND", ("path",)),
    ("removeFile", {"path": "/usr/bin/env"}, "FORBIDDEN", ("path",)),
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


async def test_what_is_not_there_is_null(client: Client, sandbox_id: str, folder: str) -> None:
    for path in (f"{folder}/none", f"{folder}/none/below", "/etc/passwd/below"):
        assert await file_at(client, sandbox_id, path) is None


async def test_only_files_have_text(client: Client, sandbox_id: str, folder: str) -> None:
    await client.run(
        sandbox_id, "ln -s /home/user home; ln -s nowhere broken; mkfifo pipe; mkdir dir", cwd=folder
    )
    for name in ("home", "broken", "pipe", "dir"):
        assert await file_at(client, sandbox_id, f"{folder}/{name}", "text") == {"text": None}, name


async def test_one_operation_gets_so_much_text_and_no_more(
    client: Client, sandbox_id: str, folder: str
) -> None:
    await client.run(sandbox_id, "for i in $(seq 22); do head -c 1000000 /dev/zero > $i; done", cwd=folder)
    answer = await client.answer(
        f'{{ sandbox(id: "{sandbox_id}") {{ files(path: "{folder}") {{ text(maxBytes: 1000000) }} }} }}'
    )
    codes = {error["extensions"]["code"] for error in answer["errors"]}
    assert codes == {"INVALID"}
    given = [entry["text"] for entry in answer["data"]["sandbox"]["files"] if entry["text"] is not None]
    assert 16 <= len(given) <= 21
