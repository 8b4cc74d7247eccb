"""Layers on disk: copied as they are, merged as overlayfs shows them, kept as long as somebody uses them."""

import asyncio
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from runtime.host.layout import Layout
from runtime.layers.disk import disk_use
from runtime.layers.entries import OPAQUE
from runtime.layers.errors import LayerNotFoundError, TreeTooDeepError
from runtime.layers.merging import merge
from runtime.layers.removing import remove_tree
from runtime.layers.store import MOST_LAYERS, LayerStore, new_layer_id
from runtime.layers.walk import walk
from tests.fixtures.runtime import REPOSITORY, UNPRIVILEGED_USER

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A runtime's folders."""
    layout = Layout(state=tmp_path, shared=tmp_path)
    layout.layers.mkdir()
    return layout


@pytest.fixture
def store(layout: Layout) -> LayerStore:
    """An empty store, open."""
    store = LayerStore(layout)
    store.open()
    return store


@pytest.fixture
def changes(tmp_path: Path) -> Path:
    """What a sandbox changed: one file below its root."""
    tree = tmp_path / "up" / "root"
    tree.mkdir(parents=True)
    (tree / "file").write_text("content")
    return tree.parent


def whiteout(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR, 0)


def opaque(path: Path) -> None:
    os.setxattr(path, OPAQUE, b"y")


def test_a_copy_keeps_what_a_file_is(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir(mode=0o751)
    (source / "plain").write_text("content")
    (source / "plain").chmod(0o4754)
    os.setxattr(source / "plain", "user.e2b.label", b"mine")
    os.utime(source / "plain", ns=(1_000_000_001, 2_000_000_002))
    os.link(source / "plain", source / "other name")
    (source / "link").symlink_to("/etc/shadow")
    os.mkfifo(source / "pipe", 0o640)
    whiteout(source / "gone")
    (source / os.fsdecode(b"bad \xff name\n")).touch()
    with (source / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 40)
        sparse.seek(1 << 30)
        sparse.write(b"island")

    merge([source], tmp_path / "copy")

    copy = tmp_path / "copy"
    assert names(copy) == names(source)
    found = (copy / "plain").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns, found.st_nlink) == (0o4754, 2_000_000_002, 2)
    assert (copy / "plain").read_text() == "content"
    assert os.getxattr(copy / "plain", "user.e2b.label") == b"mine"
    assert (copy / "plain").samefile(copy / "other name")
    assert not (copy / "plain").samefile(source / "plain")
    assert (copy / "link").readlink() == Path("/etc/shadow")
    assert stat.S_ISFIFO((copy / "pipe").stat().st_mode)
    assert (copy / "gone").lstat().st_rdev == 0
    assert stat.S_IMODE(copy.stat().st_mode) == 0o751
    sparse_copy = (copy / "sparse").stat()
    assert (sparse_copy.st_size, sparse_copy.st_blocks < 100) == (1 << 40, True)
    with (copy / "sparse").open("rb") as file:
        file.seek(1 << 30)
        assert file.read(6) == b"island"


@needs_root
def test_a_copy_keeps_owners_and_leaves_devices_out(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").touch()
    os.chown(source / "file", 1000, 1001)
    (source / "link").symlink_to("nowhere")
    os.chown(source / "link", 1002, 1003, follow_symlinks=False)
    os.mknod(source / "null", stat.S_IFCHR, os.makedev(1, 3))
    merge([source], tmp_path / "copy")
    assert names(tmp_path / "copy") == ["file", "link"]
    assert ((tmp_path / "copy/file").stat().st_uid, (tmp_path / "copy/file").stat().st_gid) == (1000, 1001)
    assert (tmp_path / "copy/link").lstat().st_uid == 1002


def test_folders_that_are_nested_too_deep_are_refused_and_can_be_removed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    folder = os.open(tree, os.O_RDONLY)
    for _ in range(600):
        os.mkdir("d", dir_fd=folder)
        below = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    with pytest.raises(TreeTooDeepError, match="nested more than 256 deep"):
        merge([tree], tmp_path / "copy")
    remove_tree(tree)
    assert not tree.exists()
    remove_tree(tmp_path / "copy")


def test_a_folder_that_its_owner_may_not_enter_is_copied_and_removed() -> None:
    """As an ordinary user, whose own files can be closed to itself."""
    program = """
import os, sys
from pathlib import Path
from runtime.layers.merging import merge
from runtime.layers.removing import remove_tree
base = Path(sys.argv[1])
closed = base / "source" / "closed"
closed.mkdir(parents=True)
(closed / "file").write_text("content")
(closed / "file").chmod(0)
closed.chmod(0)
merge([base / "source"], base / "copy")
assert oct(os.stat(base / "copy" / "closed").st_mode & 0o777) == "0o0"
for folder in (base / "source" / "closed", base / "copy" / "closed"):
    folder.chmod(0o700)
    assert oct(os.stat(folder / "file").st_mode & 0o777) == "0o0"
(base / "copy" / "closed" / "file").chmod(0o400)
assert (base / "copy" / "closed" / "file").read_text() == "content"
closed.chmod(0)
for name in ("source", "copy"):
    remove_tree(base / name)
    assert not (base / name).exists()
"""
    user = UNPRIVILEGED_USER if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory() as place:
        if user is not None:
            os.chown(place, user, user)
        subprocess.run(
            [sys.executable, "-c", program, place],
            check=True,
            user=user,
            cwd=REPOSITORY,
            timeout=30,
        )


@asynccontextmanager
async def captured(store: LayerStore, changes: Path, below: Sequence[str]) -> AsyncIterator[list[str]]:
    """The layers of a sandbox that was just copied, held."""
    layer = new_layer_id()
    with store.holding([layer]):
        store.copy(layer, changes)
        async with store.flattened([layer, *below]) as layers:
            yield layers


def kept(store: LayerStore) -> list[str]:
    """The layers that can be found; others are on their way out."""
    return [name for name in names(store.folder("")) if not name.startswith(("new-", "old-"))]


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_disk_use_counts_every_file_once_however_deep_it_lies(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    (first / "file").write_bytes(b"x" * 1_000_000)
    os.link(first / "file", first / "again")
    os.link(first / "file", second / "shared")
    (first / "link").symlink_to("/usr")
    deep = os.open(second, os.O_RDONLY)
    for _ in range(600):
        os.mkdir("d", dir_fd=deep)
        below = os.open("d", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = below
    os.close(os.open("bottom", os.O_WRONLY | os.O_CREAT, dir_fd=deep))
    os.write(written := os.open("bottom", os.O_WRONLY, dir_fd=deep), b"y" * 500_000)
    os.close(written)
    os.close(deep)
    used = disk_use({"first": [first], "second": [second]})
    assert 1_000_000 < used["first"] < 1_100_000
    assert 500_000 < used["second"] < 500_000 + 700 * 4096 + 10_000
    remove_tree(second)


def test_no_folder_hides_what_is_below_it_from_the_watch_over_a_disk() -> None:
    """By an ordinary user, whom modes bar, with few descriptors and in a deep tree."""
    measuring = """
import os, resource, sys
from pathlib import Path
from runtime.host.disk.use import measure
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(61234)
    os.setuid(61234)
os.chdir(sys.argv[1])
for mode in (0o000, 0o200, 0o400, 0o100):
    os.makedirs(f"barred{mode}/below")
    Path(f"barred{mode}/below/file").write_bytes(b"x" * 1_000_000)
    os.chmod(f"barred{mode}/below", mode)
    os.chmod(f"barred{mode}", mode)
top = os.open(".", os.O_RDONLY)
for _ in range(1500):
    os.mkdir("deep", 0o700)
    os.chdir("deep")
Path("bottom").write_bytes(b"x" * 1_000_000)
os.fchdir(top)
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
use = measure(Path.cwd(), 0)
folders = 1500 + 8
assert 5_000_000 <= use.used < 5_100_000 + folders * 4096, use
assert measure(Path.cwd(), 2_000_000).full
assert measure(Path.cwd(), 1 << 30).full is False
for mode in (0o000, 0o200, 0o400, 0o100):
    assert os.stat(f"barred{mode}").st_mode & 0o777 == mode
    os.chmod(f"barred{mode}", 0o700)
    assert os.stat(f"barred{mode}/below").st_mode & 0o777 == mode
"""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        done = subprocess.run([sys.executable, "-c", measuring, folder], capture_output=True, text=True)
        remove_tree(Path(folder, "deep"))
    assert done.returncode == 0, done.stderr


def test_a_walk_finds_its_way_though_folders_are_moved_from_under_it(tmp_path: Path) -> None:
    top, elsewhere = tmp_path / "top", tmp_path / "elsewhere"
    elsewhere.mkdir()
    for number in range(1, 21):
        (top / f"{number}" / "below" / "lowest").mkdir(parents=True)
        (top / f"{number}" / "below" / "lowest" / "file").write_bytes(b"x" * number)
    seen = set()
    for found in walk(top):
        if stat.S_ISREG(found.st_mode):
            seen.add(found.st_size)
            (top / f"{found.st_size}" / "below" / "lowest").rename(elsewhere / f"{found.st_size}")
    assert seen == set(range(1, 21))


def stacked(tmp_path: Path) -> list[Path]:
    """Three layers in which all that can happen happens, topmost first, and a base below them."""
    top, middle, bottom, base = (tmp_path / name for name in ("top", "middle", "bottom", "base"))
    for layer in (top, middle, bottom, base):
        layer.mkdir()
        (layer / "everywhere").mkdir()
        (layer / "everywhere" / layer.name).write_text(layer.name)
        (layer / "same").write_text(layer.name)
    for name in ("removed", "removed and made again", "replaced by a file", "hidden"):
        for layer in (bottom, base):
            (layer / name).mkdir()
            (layer / name / f"of {layer.name}").touch()
    (base / "removed file").touch()
    whiteout(top / "removed file")
    whiteout(middle / "removed")
    whiteout(middle / "removed and made again")
    (top / "removed and made again").mkdir()
    opaque(top / "removed and made again")
    (top / "removed and made again" / "new").touch()
    (top / "replaced by a file").write_text("file")
    (middle / "hidden").mkdir()
    opaque(middle / "hidden")
    (middle / "hidden" / "of middle").touch()
    (top / "hidden").mkdir()
    (top / "hidden" / "of top").touch()
    (base / "file then folder").write_text("x")
    (bottom / "file then folder").write_text("y")
    (middle / "file then folder").mkdir()
    opaque(middle / "file then folder")
    (top / "deep").mkdir()
    (middle / "deep").mkdir()
    (middle / "deep" / "deeper").mkdir()
    (middle / "deep" / "deeper" / "file").write_text("deep")
    return [top, middle, bottom, base]


def show(layers: list[Path], point: Path) -> list[str]:
    """What the kernel shows of layers: each name with kind, mode and content."""
    point.mkdir(exist_ok=True)
    script = """
mount -t overlay overlay -o ro,userxattr,lowerdir="$1" "$2" && cd "$2" &&
find . -printf '%p %y %m\\n' && find . -type f -exec md5sum {} +
"""
    command = ["unshare", "--mount", "sh", "-c", script, "sh", ":".join(map(str, layers)), str(point)]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
    return sorted(shown.splitlines())


@needs_root
@pytest.mark.parametrize("link", [False, True])
def test_merged_layers_show_the_same_files_as_the_kernel_shows_of_them(tmp_path: Path, link: bool) -> None:
    *layers, base = stacked(tmp_path)
    merge(layers, tmp_path / "merged", link=link)
    shown = show([*layers, base], tmp_path / "shown")
    assert len(shown) > 20
    assert show([tmp_path / "merged", base], tmp_path / "shown") == shown


async def test_a_captured_layer_is_gone_when_nobody_uses_it(store: LayerStore, changes: Path) -> None:
    used: list[str] = []
    store.add_user(lambda: used)
    async with captured(store, changes, []) as layers:
        assert (store.folder(layers[0]) / "root" / "file").read_text() == "content"
        store.sweep()
        used += layers
    store.sweep()
    store.check(layers)
    used.clear()
    store.sweep()
    with pytest.raises(LayerNotFoundError):
        store.check(layers)
    assert kept(store) == []


async def test_a_layer_does_not_change_with_the_sandbox(store: LayerStore, changes: Path) -> None:
    async with captured(store, changes, []) as layers:
        (changes / "root" / "file").write_text("later")
        assert (store.folder(layers[0]) / "root" / "file").read_text() == "content"


async def test_many_layers_become_few_and_those_below_are_merged_once(
    store: LayerStore, changes: Path
) -> None:
    used: list[str] = []
    store.add_user(lambda: used)
    for number in range(MOST_LAYERS):
        (changes / "root" / "file").write_text(str(number))
        (changes / "root" / f"file {number}").touch()
        async with captured(store, changes, used) as layers:
            used[:] = layers
            (changes / "root" / f"file {number}").unlink()
    assert len(used) == MOST_LAYERS
    async with captured(store, changes, used) as first, captured(store, changes, used) as second:
        assert (len(first), len(second)) == (2, 2)
        assert first[1] == second[1]
        flat = store.folder(first[1]) / "root"
        assert (flat / "file").read_text() == str(MOST_LAYERS - 1)
        assert len(names(flat)) == MOST_LAYERS + 1


async def test_what_an_earlier_runtime_began_is_removed(layout: Layout, changes: Path) -> None:
    (layout.layers / "new-lhalf").mkdir()
    (layout.layers / "old-lgone" / "root").mkdir(parents=True)
    (layout.layers / "lunused").mkdir()
    (layout.layers / "lused").mkdir()
    store = LayerStore(layout)
    store.add_user(lambda: ["lused"])
    store.sweep()
    assert len(names(layout.layers)) == 4, "before all users are known nothing is removed"
    store.open()
    assert kept(store) == ["lused"]
    async with asyncio.timeout(10):
        while len(names(layout.layers)) > 1:
            await asyncio.sleep(0.01)


def test_a_stopped_sandboxs_changes_are_taken_and_empty_ones_left(
    layout: Layout, store: LayerStore, changes: Path
) -> None:
    (changes / "root").chmod(0o751)
    store.take("lnew", changes)
    assert (store.folder("lnew") / "root" / "file").exists()
    assert names(changes) == ["root"]
    assert names(changes / "root") == []
    assert stat.S_IMODE((changes / "root").stat().st_mode) == 0o751


def test_changes_on_a_file_system_of_their_own_are_taken_too(store: LayerStore, changes: Path) -> None:
    shared_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared_memory) as elsewhere:
        moved = Path(shutil.copytree(changes, Path(elsewhere) / "up"))
        (moved / "root" / "sparse").touch()
        os.truncate(moved / "root" / "sparse", 1 << 30)
        store.take("lnew", moved)
        assert names(store.folder("lnew") / "root") == ["file", "sparse"]
        assert (store.folder("lnew") / "root" / "file").read_text() == "content"
        assert names(Path(elsewhere)) == ["up"]
        assert names(moved / "root") == []


def test_a_runtime_killed_while_it_takes_changes_loses_none(store: LayerStore, changes: Path) -> None:
    assert store.retake(["lnew"], changes) == [], "killed before: the layer doesn't exist"
    assert (changes / "root" / "file").exists()
    changes.rename(store.folder("lnew"))
    assert store.retake(["lnew"], changes) == ["lnew"], "killed after: the changes are empty"
    assert names(changes / "root") == []
