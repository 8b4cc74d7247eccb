"""Files of a sandbox through the async SDK: written, read, listed, moved, removed."""

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from e2b import AsyncSandbox
from e2b.exceptions import (
    AuthenticationException,
    FileNotFoundException,
    InvalidArgumentException,
    SandboxException,
)
from e2b.sandbox.filesystem.filesystem import FileType


async def test_a_file_is_read_back_as_it_was_written(box: AsyncSandbox) -> None:
    for content in (b"", b"\x00\xff\r\n", "grüße 😀\n".encode(), os.urandom(300_000)):
        written = await box.files.write("read-back", content)
        assert (written.path, written.name, written.type) == (
            "/home/user/read-back",
            "read-back",
            FileType.FILE,
        )
        assert bytes(await box.files.read("read-back", format="bytes")) == content


async def test_sixty_four_megabytes_go_in_and_out_unharmed(box: AsyncSandbox) -> None:
    pieces = [os.urandom(1 << 20) for _ in range(64)]
    expected = hashlib.sha256(b"".join(pieces)).hexdigest()

    async def content() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    await box.files.write("big", content(), request_timeout=60)
    inside = await box.commands.run("sha256sum < big")
    assert inside.stdout.split()[0] == expected
    seen = hashlib.sha256()
    async for chunk in await box.files.read("big", format="stream"):
        seen.update(chunk)
    assert seen.hexdigest() == expected
    await box.files.remove("big")


async def test_relative_and_home_paths_begin_at_the_users_home(box: AsyncSandbox) -> None:
    for path in ("homely", "~/homely", "./x/../homely", "/home/user/homely"):
        await box.files.write(path, path)
        assert await box.files.read("/home/user/homely") == path
        assert (await box.files.get_info(path)).path == "/home/user/homely"
    with pytest.raises(InvalidArgumentException, match="cannot expand user-specific home dir"):
        await box.files.read("~root/secret")


async def test_writing_makes_the_parents(box: AsyncSandbox) -> None:
    await box.files.write("one/two/three.txt", "deep")
    info = await box.files.get_info("one/two")
    assert (info.type, info.mode, info.owner, info.group) == (FileType.DIR, 0o755, "user", "user")
    with pytest.raises(InvalidArgumentException, match=r"path is not a directory: .*/three"):
        await box.files.write("one/two/three.txt/four", "impossible")


async def test_several_files_are_written_at_once(box: AsyncSandbox) -> None:
    names = ["several/a.txt", "several/ü 😀.txt", 'several/"quoted"\n.txt']
    for octet_stream in (False, True):
        files = [{"path": name, "data": f"{name}{octet_stream}"} for name in names]
        written = await box.files.write_files(files, use_octet_stream=octet_stream)  # type: ignore[arg-type]
        assert [each.path for each in written] == [f"/home/user/{name}" for name in names]
        for name in names:
            assert await box.files.read(name) == f"{name}{octet_stream}"
    assert await box.files.write_files([]) == []


async def test_one_request_writes_no_path_twice(box: AsyncSandbox) -> None:
    with pytest.raises(InvalidArgumentException, match="cannot upload multiple files to the same path"):
        await box.files.write_files(
            [{"path": "twice", "data": "first"}, {"path": "./twice", "data": "second"}]
        )
    assert await box.files.read("twice") == "first"


async def test_gzip_both_ways_gives_the_same_bytes(box: AsyncSandbox) -> None:
    content = os.urandom(1000) * 5000
    await box.files.write("packed", content, gzip=True)
    assert (await box.files.get_info("packed")).size == len(content)
    assert bytes(await box.files.read("packed", format="bytes", gzip=True)) == content
    await box.files.write("packed", b"", gzip=True)
    assert await box.files.read("packed", gzip=True) == ""


async def test_metadata_stays_with_a_file_until_it_is_written_again(box: AsyncSandbox) -> None:
    written = await box.files.write("labelled", "x", metadata={"Owner": "me", "note": "two words"})
    expected = {"owner": "me", "note": "two words"}
    assert written.metadata == expected
    assert (await box.files.get_info("labelled")).metadata == expected
    moved = await box.files.rename("labelled", "labelled-2")
    assert moved.metadata == expected
    await box.files.write("labelled-2", "y", metadata={"only": "this"})
    assert (await box.files.get_info("labelled-2")).metadata == {"only": "this"}
    await box.files.write("labelled-2", "z")
    assert (await box.files.get_info("labelled-2")).metadata is None
    with pytest.raises(InvalidArgumentException, match="metadata"):
        await box.files.write("labelled-2", "z", metadata={"long": "x" * 9_000})
    assert await box.files.read("labelled-2") == "z"


async def test_a_rewritten_file_keeps_its_mode(box: AsyncSandbox) -> None:
    await box.files.write("tool.sh", "#!/bin/sh\necho one\n")
    assert (await box.files.get_info("tool.sh")).mode == 0o644
    await box.commands.run("chmod 751 tool.sh")
    await box.files.write("tool.sh", "#!/bin/sh\necho two\n")
    assert (await box.files.get_info("tool.sh")).permissions == "-rwxr-x--x"
    assert (await box.commands.run("./tool.sh")).stdout == "two\n"


async def test_writing_to_a_link_writes_what_it_leads_to(box: AsyncSandbox) -> None:
    await box.commands.run(
        "mkdir -p linked && echo old > linked/real && ln -sf linked/real link && ln -sf linked/new fresh"
    )
    await box.files.write("link", "new")
    await box.files.write("fresh", "made")
    assert await box.files.read("linked/real") == "new"
    assert await box.files.read("linked/new") == "made"
    assert (await box.files.get_info("link")).symlink_target == "/home/user/linked/real"
    assert (await box.files.get_info("link")).type is FileType.SYMLINK


async def test_a_directory_is_listed_to_its_depth_in_order(box: AsyncSandbox) -> None:
    await box.commands.run(
        "mkdir -p tree/a/b/c tree/z && cd tree && touch a/1 a/b/2 a/b/c/3 m && ln -s nowhere dangling"
    )

    async def paths(depth: int) -> list[str]:
        return [
            entry.path.removeprefix("/home/user/tree/") for entry in await box.files.list("tree", depth=depth)
        ]

    assert await paths(1) == ["a", "dangling", "m", "z"]
    assert await paths(2) == ["a", "a/1", "a/b", "dangling", "m", "z"]
    assert await paths(9) == ["a", "a/1", "a/b", "a/b/2", "a/b/c", "a/b/c/3", "dangling", "m", "z"]
    with pytest.raises(InvalidArgumentException, match="depth"):
        await box.files.list("tree", depth=0)
    with pytest.raises(FileNotFoundException):
        await box.files.list("no-tree")
    with pytest.raises(InvalidArgumentException, match="path is not a directory"):
        await box.files.list("tree/m")


async def test_a_linked_directory_is_listed_under_its_own_name(box: AsyncSandbox) -> None:
    await box.commands.run("mkdir -p target && touch target/file && ln -sfn target way")
    (entry,) = await box.files.list("way")
    assert (entry.path, entry.name) == ("/home/user/way/file", "file")


async def test_names_that_are_no_text_hide_nothing_else(box: AsyncSandbox) -> None:
    await box.commands.run(
        "mkdir -p odd && cd odd && touch -- $'bad\\xff\\xfe' $'new\\nline' ' ' '😀' '-rf' '\"' 'a\\b'"
    )
    names = {entry.name for entry in await box.files.list("odd")}
    assert names == {"bad��", "new\nline", " ", "😀", "-rf", '"', "a\\b"}
    for name in names - {"bad��"}:
        await box.files.write(f"odd/{name}", name)
        assert await box.files.read(f"odd/{name}") == name
    await box.files.remove("odd")
    assert not await box.files.exists("odd")


async def test_what_is_not_there_is_said_so(box: AsyncSandbox) -> None:
    assert not await box.files.exists("missing")
    assert not await box.files.exists("/etc/passwd/below-a-file")
    with pytest.raises(FileNotFoundException, match=r"path '/home/user/missing' does not exist"):
        await box.files.read("missing")
    with pytest.raises(FileNotFoundException, match="file not found"):
        await box.files.get_info("missing")
    with pytest.raises(FileNotFoundException, match="source file not found"):
        await box.files.rename("missing", "other")
    await box.files.remove("missing")


async def test_directories_are_made_once(box: AsyncSandbox) -> None:
    assert await box.files.make_dir("made/below/this")
    assert not await box.files.make_dir("made/below/this")
    await box.files.write("made/file", "")
    with pytest.raises(InvalidArgumentException, match="already exists but it is not a directory"):
        await box.files.make_dir("made/file")


async def test_moving_makes_the_parents_and_replaces_a_file(box: AsyncSandbox) -> None:
    await box.files.write("from", "moved")
    await box.files.write("to/file", "replaced")
    assert (await box.files.rename("from", "to/file")).path == "/home/user/to/file"
    assert await box.files.read("to/file") == "moved"
    assert not await box.files.exists("from")
    await box.files.rename("to", "elsewhere/to")
    assert await box.files.read("elsewhere/to/file") == "moved"


async def test_whole_trees_are_removed_whatever_their_modes_and_depth(box: AsyncSandbox) -> None:
    await box.commands.run(
        "mkdir -p bin/closed && touch bin/closed/file bin/outside && chmod 500 bin/closed && mkdir keep && "
        "touch keep/this && ln -s ../keep bin/link && cd bin && "
        "python3 -c \"import os\nfor _ in range(3000): os.mkdir('deeper'); os.chdir('deeper')\""
    )
    await box.files.remove("bin")
    assert not await box.files.exists("bin")
    assert await box.files.exists("keep/this")


async def test_reading_or_writing_a_directory_is_refused(box: AsyncSandbox) -> None:
    for path in ("/home/user", "", "/"):
        with pytest.raises(InvalidArgumentException, match="is a directory"):
            await box.files.read(path)
        with pytest.raises(InvalidArgumentException, match="path is a directory"):
            await box.files.write(path, "x")


async def test_files_are_written_anywhere_in_the_sandboxs_own_root(box: AsyncSandbox) -> None:
    for path in ("/opt/tool/bin/run", "/etc/tool.conf", "/usr/local/bin/tool", "/work/new", "/run/tool"):
        await box.files.write(path, "x")
        assert (await box.files.get_info(path)).owner == "user"
        assert not Path(path).exists()


async def test_what_the_sandbox_may_not_write_is_refused(box: AsyncSandbox) -> None:
    for path in ("/proc/new", "/dev/new", "/run/runtime/new"):
        with pytest.raises(SandboxException, match=r"permission denied|read-only file system|no such file"):
            await box.files.write(path, "x")


async def test_files_of_the_kernel_are_read_in_full(box: AsyncSandbox) -> None:
    assert "Name:" in await box.files.read("/proc/self/status")


async def test_files_belong_to_the_user_that_is_named(box: AsyncSandbox) -> None:
    for name, home in (("user", "/home/user"), ("root", "/root")):
        await box.files.write("of-mine/file", "x", user=name)
        entry = await box.files.get_info(f"{home}/of-mine/file")
        assert (entry.owner, entry.group, entry.path) == (name, name, f"{home}/of-mine/file")
        assert (await box.files.get_info(f"{home}/of-mine")).owner == name
        assert await box.files.read("of-mine/file", user=name) == "x"
    for name in ("no-such-user", "../user"):
        with pytest.raises(AuthenticationException, match=name):
            await box.files.read("of-mine/file", user=name)
        with pytest.raises(AuthenticationException, match=name):
            await box.files.list("~", user=name)
