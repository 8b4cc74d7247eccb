"""What dpkg and apt know of the host's /usr, so that `root` inside can add to it."""

import os
import shutil
import stat
from pathlib import Path

MASTERS = "usr/share/base-passwd"
FOLDERS = ("etc/apt", "etc/dpkg", "var/lib/dpkg")
# Overrides name users and groups of the host; locks are the host's own; `auth.conf` holds passwords.
LEFT_OUT = ("statoverride", "lock", "lock-frontend", "triggers/Lock", "auth.conf", "auth.conf.d")


def stage_package_database(skeleton: Path, host: Path = Path("/")) -> None:
    """Put it into a skeleton: what anybody may read, as links to the host's files where they can be."""
    for name in FOLDERS:
        for folder, folders, files in os.walk(host / name):
            here = Path(folder).relative_to(host)
            within = here.relative_to(name)
            folders[:] = [each for each in folders if str(within / each) not in LEFT_OUT]
            (skeleton / here).mkdir(parents=True, exist_ok=True, mode=0o755)
            for each in files:
                if str(within / each) not in LEFT_OUT:
                    _stage(host / here / each, skeleton / here / each)
    for name in ("passwd", "group"):
        _add_accounts(skeleton / "etc" / name, host / MASTERS / f"{name}.master")


def _add_accounts(accounts: Path, master: Path) -> None:
    """Add the system's accounts as Debian has them everywhere, which packages count on."""
    if not master.is_file():
        return
    own = accounts.read_text()
    names = {row.partition(":")[0] for row in own.splitlines()}
    rows = [row.replace(":*:", ":x:", 1) for row in master.read_text().splitlines()]
    added = [row for row in rows if ":" in row and row.partition(":")[0] not in names]
    accounts.write_text(own + "".join(f"{row}\n" for row in added))


def _stage(source: Path, target: Path) -> None:
    status = source.lstat()
    if not stat.S_ISREG(status.st_mode) or not status.st_mode & stat.S_IROTH:
        return
    try:
        # dpkg replaces its files and never changes them, so a link shows what was there.
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
