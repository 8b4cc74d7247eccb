"""$COMMANDCENTER_HOME: who may enter what."""

import os
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from processes.errors import StartError
from processes.home import SYSTEM_FOLDER, Home, locked, open_home
from tests.fixtures.users import needs_root


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def closed_folder(short_folder: Path) -> Iterator[Path]:
    folder = short_folder / "closed"
    folder.mkdir(mode=0o700)
    yield folder
    for home in folder.iterdir():
        if (home / "services").is_symlink():
            shutil.rmtree((home / "services").readlink())
    shutil.rmtree(folder)


def test_others_cannot_list_a_home_nor_read_what_is_in_it(short_folder: Path) -> None:
    home = open_home(short_folder / "home")
    home.service_folder("postgresql")
    assert mode(home.folder) & 0o066 == 0
    for path in (home.logs, home.running, home.sockets, home.services / "postgresql"):
        assert mode(path) == 0o700


def test_a_home_that_was_open_to_others_is_closed(short_folder: Path) -> None:
    (short_folder / "open").mkdir(mode=0o755)
    assert mode(open_home(short_folder / "open").folder) & 0o066 == 0


@needs_root
def test_what_the_servers_own_user_needs_is_not_put_below_a_closed_folder(closed_folder: Path) -> None:
    home = open_home(closed_folder / "home")
    assert home.services.parent == SYSTEM_FOLDER
    assert (home.folder / "services").resolve() == home.services
    assert mode(home.folder) == 0o700
    assert home.identity is not None
    assert home.service_folder("valkey").stat().st_uid == home.identity.uid
    assert open_home(closed_folder / "home") == home


def test_sockets_of_a_home_with_a_long_path_can_still_be_bound(short_folder: Path) -> None:
    home = open_home(short_folder / ("long" * 30))
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(home.sockets / ".s.PGSQL.5432.lock"))
        assert mode(home.sockets) == 0o700
    finally:
        shutil.rmtree(home.sockets)


def test_a_home_that_cannot_be_written_is_said_in_one_line(short_folder: Path) -> None:
    (short_folder / "file").write_text("")
    with pytest.raises(StartError, match=r"Cannot write .*Set COMMANDCENTER_HOME to a folder that you can"):
        open_home(short_folder / "file" / "home")


@needs_root
def test_a_home_of_another_user_is_refused(short_folder: Path) -> None:
    (short_folder / "theirs").mkdir()
    os.chown(short_folder / "theirs", 12345, 12345)
    with pytest.raises(StartError, match="belongs to 12345"):
        open_home(short_folder / "theirs")


@pytest.fixture
def home(short_folder: Path) -> Home:
    return open_home(short_folder / "locked")


def test_a_second_start_on_the_same_home_is_refused_and_names_the_first(home: Home) -> None:
    with (
        locked(home),
        pytest.raises(StartError, match=rf"already running on .*locked \(process {os.getpid()}\)"),
        locked(home),
    ):
        pass


def test_a_home_can_be_locked_again_after_its_start_has_ended(home: Home) -> None:
    with locked(home):
        pass
    with locked(home):
        assert (home.folder / "up.lock").read_text() == f"{os.getpid()}\n"
