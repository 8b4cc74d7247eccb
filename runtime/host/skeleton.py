"""The skeleton of a sandbox's root: what is there before a template or a user adds to it."""

import os
import shutil
from pathlib import Path

from runtime.host.bubblewrap import USER_ID
from runtime.host.launcher import runs_as_root
from runtime.host.package_database import stage_package_database

USERS = """\
root:x:0:0:root:/root:/bin/bash
user:x:1000:1000:user:/home/user:/bin/bash
nobody:x:65534:65534:nobody:/:/usr/sbin/nologin
"""
GROUP = "root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n"
PROFILE = """\
if [ "${PS1-}" ] && [ -n "${BASH-}" ] && [ -f /etc/bash.bashrc ]; then . /etc/bash.bashrc; fi
"""
BASHRC = r"""[ -z "$PS1" ] || PS1='\u@\h:\w\$ '
"""
GENERATED = {
    "passwd": USERS,
    "group": GROUP,
    "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
    "hostname": "sandbox\n",
    # Whichever server is asked, the question is turned to us; this is E2B's.
    "resolv.conf": "nameserver 8.8.8.8\n",
    "profile": PROFILE,
    "bash.bashrc": BASHRC,
    "shells": "/bin/sh\n/bin/bash\n",
    # A sandbox is nobody's system: what pip may break in it is its own.
    "pip.conf": "[global]\nbreak-system-packages = true\nroot-user-action = ignore\n",
}
FOLDERS = {
    "home": 0o755, "home/user": 0o755, "root": 0o700, "usr": 0o755, "opt": 0o755, "srv": 0o755, "mnt": 0o755,
    "media": 0o755, "var": 0o755, "var/cache": 0o755, "var/lib": 0o755, "var/log": 0o755, "var/tmp": 0o1777,
    "proc": 0o755, "dev": 0o755, "run": 0o755, "tmp": 0o1777,
}  # fmt: skip
# What programs below /usr read; nothing here tells of the host's users or services.
COPIED = (
    "adduser.conf", "alternatives", "ca-certificates", "debian_version", "gai.conf", "inputrc", "ld.so.cache",
    "ld.so.conf", "ld.so.conf.d", "localtime", "login.defs", "magic", "magic.mime", "mime.types",
    "nsswitch.conf", "os-release", "perl", "protocols", "services", "skel", "ssl/certs", "ssl/openssl.cnf",
    "terminfo", "timezone",
)  # fmt: skip


def stage_skeleton(programs: Path) -> Path:
    """Make the tree. Its owners are those seen inside where we are root, else ourselves."""
    skeleton = programs / "skeleton"
    skeleton.mkdir(mode=0o755)
    for name, mode in FOLDERS.items():
        (skeleton / name).mkdir(parents=True)
        (skeleton / name).chmod(mode)
    for folder in map(Path, ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")):
        if folder.is_symlink():
            (skeleton / folder.name).symlink_to(folder.readlink())
        elif folder.is_dir():
            (skeleton / folder.name).mkdir()
    (skeleton / "var/run").symlink_to("/run")
    (skeleton / "var/lock").symlink_to("/run")
    _stage_etc(skeleton / "etc")
    if runs_as_root():
        stage_package_database(skeleton)
        os.chown(skeleton / "home/user", USER_ID, USER_ID)
    return skeleton


def _stage_etc(target: Path) -> None:
    target.mkdir(mode=0o755)
    for name in COPIED:
        source = Path("/etc", name)
        if source.is_dir():
            shutil.copytree(source, target / name, symlinks=True, ignore_dangling_symlinks=True)
        elif source.exists():
            (target / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(source, target / name)
    for pattern in ("python3.*", "java-*"):
        for source in Path("/etc").glob(pattern):
            if source.is_dir():
                shutil.copytree(source, target / source.name, symlinks=True)
    for name, text in GENERATED.items():
        (target / name).write_text(text)
    (target / "mtab").symlink_to("/proc/self/mounts")
    open_to_readers(target)


def open_to_readers(folder: Path) -> None:
    """Let every user read these copies, whatever the mask was when they were made."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
