import base64

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
