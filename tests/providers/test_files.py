import asyncio
import hashlib
import os
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from commandcenter.errors import DomainError
from commandcenter.providers.attachments import Attachment
from commandcenter.providers.errors import (
    FileAccessDeniedError,
    FileExistsInSandboxError,
    FileNotFoundInSandboxError,
    NotADirectoryInSandboxError,
    NotAFileError,
    ProviderRefusedError,
    SandboxFileError,
)
from commandcenter.providers.files import FileKind, list_directory, make_directory, move, remove, stat
from commandcenter.providers.transfers import read, write
from commandcenter.providers.watching import FileChange, FileEventKind, watch


@pytest_asyncio.fixture
async def folder(sandbox: Attachment) -> str:
    """An empty folder for one test."""
    return (await make_directory(sandbox, f"tests/{uuid.uuid4().hex}")).path


async def content(sandbox: Attachment, path: str, start: int = 0, end: int | None = None) -> bytes:
    async with await read(sandbox, path, start=start, end=end) as chunks:
        data = b"".join([chunk async for chunk in chunks])
        assert len(data) == chunks.length
    return data


async def test_any_bytes_are_read_as_they_were_written(sandbox: Attachment, folder: str) -> None:
    data = bytes(range(256)) * 100
    entry = await write(sandbox, f"{folder}/deep/er/file.bin", data)
    assert (entry.name, entry.kind, entry.size) == ("file.bin", FileKind.FILE, len(data))
    assert entry.owner == "user"
    assert entry.modified_at is not None
    assert await content(sandbox, f"{folder}/deep/er/file.bin") == data


async def test_an_empty_file_is_a_file(sandbox: Attachment, folder: str) -> None:
    assert (await write(sandbox, f"{folder}/empty", b"")).size == 0
    assert await content(sandbox, f"{folder}/empty") == b""
    assert await content(sandbox, f"{folder}/empty", 5) == b""


async def test_a_large_file_goes_both_ways_in_pieces(sandbox: Attachment, folder: str) -> None:
    piece = os.urandom(1 << 20)
    written, seen = hashlib.sha256(), hashlib.sha256()

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(64):
            written.update(piece)
            yield piece

    assert (await write(sandbox, f"{folder}/large", pieces())).size == 64 << 20
    largest = 0
    async with await read(sandbox, f"{folder}/large") as chunks:
        assert chunks.size == 64 << 20
        async for chunk in chunks:
            largest = max(largest, len(chunk))
            seen.update(chunk)
    assert seen.digest() == written.digest()
    assert largest <= 1 << 20


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 4, b"0123"),
        (3, 5, b"34"),
        (8, None, b"89"),
        (8, 100, b"89"),
        (10, None, b""),
        (1000, 2000, b""),
        (4, 4, b""),
        (0, 0, b""),
    ],
)
async def test_a_part_of_a_file_is_read_alone(
    sandbox: Attachment, folder: str, start: int, end: int | None, expected: bytes
) -> None:
    await write(sandbox, f"{folder}/digits", b"0123456789")
    assert await content(sandbox, f"{folder}/digits", start, end) == expected


async def test_bounds_the_wrong_way_round_are_refused(sandbox: Attachment) -> None:
    with pytest.raises(ProviderRefusedError):
        await read(sandbox, "x", start=-1)
    with pytest.raises(ProviderRefusedError):
        await read(sandbox, "x", start=5, end=4)


async def test_a_written_file_takes_the_mode_it_is_given(sandbox: Attachment, folder: str) -> None:
    assert (await write(sandbox, f"{folder}/script", b"#!/bin/sh\n", mode=0o750)).mode & 0o777 == 0o750


async def test_an_upload_that_fails_raises_its_own_error_and_leaves_the_file(
    sandbox: Attachment, folder: str
) -> None:
    await write(sandbox, f"{folder}/kept", b"before")

    async def failing() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("the browser went away")

    with pytest.raises(RuntimeError, match="the browser went away"):
        await write(sandbox, f"{folder}/kept", failing())
    assert await content(sandbox, f"{folder}/kept") == b"before"


async def test_a_listing_goes_as_deep_as_asked(sandbox: Attachment, folder: str) -> None:
    await write(sandbox, f"{folder}/a/b/c", b"x")
    assert [entry.name for entry in await list_directory(sandbox, folder)] == ["a"]
    paths = {
        entry.path.removeprefix(folder): entry.kind
        for entry in await list_directory(sandbox, folder, depth=3)
    }
    assert paths == {"/a": FileKind.DIRECTORY, "/a/b": FileKind.DIRECTORY, "/a/b/c": FileKind.FILE}


async def test_odd_names_are_names(sandbox: Attachment, folder: str) -> None:
    for name in ("with space", "line\nbreak", "ümläut ✓", "-rf", "a&b=c?d#e%41"):
        await write(sandbox, f"{folder}/{name}", name.encode())
        assert await content(sandbox, f"{folder}/{name}") == name.encode()
    assert len(await list_directory(sandbox, folder)) == 5


async def test_files_are_moved_and_removed(sandbox: Attachment, folder: str) -> None:
    await write(sandbox, f"{folder}/old", b"x")
    assert (await move(sandbox, f"{folder}/old", f"{folder}/new")).name == "new"
    assert (await stat(sandbox, f"{folder}/new")).size == 1
    await remove(sandbox, folder)
    with pytest.raises(FileNotFoundInSandboxError):
        await stat(sandbox, folder)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda box, at: stat(box, f"{at}/none"), FileNotFoundInSandboxError),
        (lambda box, at: read(box, f"{at}/none"), FileNotFoundInSandboxError),
        (lambda box, at: list_directory(box, f"{at}/none"), FileNotFoundInSandboxError),
        (lambda box, at: move(box, f"{at}/none", f"{at}/other"), FileNotFoundInSandboxError),
        (lambda box, at: watch(box, f"{at}/none"), FileNotFoundInSandboxError),
        (lambda box, at: make_directory(box, at), FileExistsInSandboxError),
        (lambda box, at: read(box, at), NotAFileError),
        (lambda box, at: write(box, at, b""), NotAFileError),
        (lambda box, at: list_directory(box, f"{at}/file"), NotADirectoryInSandboxError),
        (lambda box, at: watch(box, f"{at}/file"), NotADirectoryInSandboxError),
        (lambda box, at: write(box, "/run/runtime/new", b""), FileAccessDeniedError),
        (lambda box, at: make_directory(box, "/run/runtime/new"), FileAccessDeniedError),
        (lambda box, at: stat(box, f"{at}/file", user="stranger"), ProviderRefusedError),
        (lambda box, at: read(box, f"{at}/file", user="stranger"), ProviderRefusedError),
    ],
)
async def test_what_a_file_system_refuses_is_a_typed_error(
    sandbox: Attachment, folder: str, call: object, expected: type[DomainError]
) -> None:
    await write(sandbox, f"{folder}/file", b"x")
    with pytest.raises(expected) as raised:
        await call(sandbox, folder)  # type: ignore[operator]
    assert type(raised.value) is expected
    if isinstance(raised.value, SandboxFileError):
        assert raised.value.field == ("path",)


async def test_changes_are_seen_as_they_happen(sandbox: Attachment, folder: str) -> None:
    async with await watch(sandbox, folder, recursive=True) as changes, asyncio.timeout(5):
        await make_directory(sandbox, f"{folder}/sub")
        assert await anext(changes) == FileChange(FileEventKind.CREATED, "sub")
        await remove(sandbox, f"{folder}/sub")
        while (await anext(changes)).kind is not FileEventKind.REMOVED:
            pass
