"""What a template is to be: where it begins and the steps from there. Values only, checked when made."""

import hashlib
import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from runtime.host.start import Context
from runtime.templates.errors import InvalidTemplateError

StepKind = Literal["RUN", "COPY", "ENV", "WORKDIR", "USER"]
STEPS_LIMIT = 500
ARGUMENT_LIMIT = 1 << 18
FILES_HASH = re.compile(r"[0-9a-f]{64}")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
_USER_NAMES = {"0": "root", "1000": "user"}
_OCTAL = re.compile(r"[0-7]{3,4}")
_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?-)([^}$]*))?\})")
_ARGUMENTS = {"RUN": (1, 2), "COPY": (2, 4), "WORKDIR": (1, 1), "USER": (1, 2)}


@dataclass(frozen=True)
class Step:
    """One instruction, with its arguments as E2B's clients send them."""

    kind: StepKind
    arguments: tuple[str, ...]
    files_hash: str | None = None
    force: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {' '.join(self.arguments)}".rstrip()

    @classmethod
    def of(cls, kind: str, arguments: tuple[str, ...], files_hash: str | None, *, force: bool) -> "Step":
        """A step, checked; raises `InvalidTemplateError`."""
        upper = kind.upper()
        known: dict[str, StepKind] = {each: each for each in get_args(StepKind)}
        if upper not in known:
            raise InvalidTemplateError(f"step type '{kind}' is not known; there are {', '.join(known)}")
        step = cls(known[upper], arguments, files_hash, force)
        _check(step)
        return step


@dataclass(frozen=True)
class Definition:
    """A template to be built; exactly one of `image` and `template` says where it begins."""

    steps: tuple[Step, ...]
    image: str | None = None
    template: str | None = None
    start: str | None = None
    ready: str | None = None
    force: bool = False

    def __post_init__(self) -> None:
        if len(self.steps) > STEPS_LIMIT:
            raise InvalidTemplateError(f"A template has at most {STEPS_LIMIT} steps; join some with &&")
        if (self.image is None) == (self.template is None):
            raise InvalidTemplateError("Give one of fromImage and fromTemplate")

    @property
    def forced_from(self) -> int:
        """The index of the first step that no cache may answer; after it none does."""
        if self.force:
            return 0
        return next((index for index, step in enumerate(self.steps) if step.force), len(self.steps))


def digest(parent: str, step: Step) -> str:
    """What a step's result is found by again: all that it depends on."""
    parts = [parent, step.kind, step.arguments, step.files_hash]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def with_variables(context: Context, arguments: tuple[str, ...], defaults: Mapping[str, str]) -> Context:
    """The context after an ENV step: names and values by turns, with `$NAME` replaced by what it was."""
    environment = dict(context.environment)
    for name, value in zip(arguments[::2], arguments[1::2], strict=True):
        expanded = _expand(value, {**defaults, **environment})
        environment[name] = _with_programs(expanded, defaults) if name == "PATH" else expanded
    return replace(context, environment=environment)


def with_user(context: Context, name: str) -> Context:
    """The context after a USER step."""
    return replace(context, user=user_named(name))


def in_directory(context: Context, directory: str) -> str:
    """An absolute path: relative ones begin at the working directory, or at `/` where none was set."""
    return posixpath.normpath(posixpath.join(context.directory or "/", directory))


def user_named(text: str) -> str:
    """The user of `user` or `user:group`; raises `InvalidTemplateError`."""
    name = text.partition(":")[0]
    name = _USER_NAMES.get(name, name)
    if not _USER.fullmatch(name):
        raise InvalidTemplateError(f"'{text}' is no user's name")
    return name


def _expand(value: str, variables: Mapping[str, str]) -> str:
    def replacement(match: re.Match[str]) -> str:
        found = variables.get(match[1] or match[2])
        if match[3] and (found is None or (match[3] == ":-" and not found)):
            return match[4]
        return found or ""

    return _VARIABLE.sub(replacement, value)


def _with_programs(path: str, defaults: Mapping[str, str]) -> str:
    """A path on which the usual programs are found, whatever was set."""
    given = path.split(":")
    missing = [folder for folder in defaults.get("PATH", "").split(":") if folder not in given]
    return ":".join([*given, *missing])


def _check(step: Step) -> None:
    if any("\0" in each or len(each) > ARGUMENT_LIMIT for each in step.arguments):
        raise InvalidTemplateError(
            f"{step.kind}: an argument has at most {ARGUMENT_LIMIT} characters and no NUL byte"
        )
    if step.kind == "ENV":
        _check_variables(step)
        return
    least, most = _ARGUMENTS[step.kind]
    if not least <= len(step.arguments) <= most or not step.arguments[0]:
        raise InvalidTemplateError(f"{step.kind} takes {least} to {most} arguments, the first not empty")
    if step.kind == "USER":
        user_named(step.arguments[0])
    if step.kind == "RUN" and len(step.arguments) == 2 and step.arguments[1]:
        user_named(step.arguments[1])
    if step.kind == "COPY":
        _check_copy(step)


def _check_variables(step: Step) -> None:
    if not step.arguments or len(step.arguments) % 2:
        raise InvalidTemplateError("ENV requires names and values by turns")
    if any(not name or "=" in name for name in step.arguments[::2]):
        raise InvalidTemplateError("ENV: a variable's name can't be empty or hold '='")


def _check_copy(step: Step) -> None:
    owner, mode = (*step.arguments[2:], "", "")[:2]
    if step.files_hash is None or not FILES_HASH.fullmatch(step.files_hash):
        raise InvalidTemplateError("COPY requires the hash of its files, 64 hexadecimal digits")
    for name in owner.split(":", 1) if owner else ():
        user_named(name)
    if mode and not _OCTAL.fullmatch(mode):
        raise InvalidTemplateError(f"COPY: '{mode}' is no octal mode such as 0755")
