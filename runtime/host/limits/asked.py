"""Limits that a request or a setting names, as `memoryMB=512, processes=64`, and what comes of them."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from runtime.host.errors import InvalidSandboxRequestError
from runtime.host.record import Limits

MEBIBYTE = 1 << 20
TEXT_LIMIT = 1024
HEADER = "Runtime-Limits"
SETTING = "RUNTIME_LARGEST_SANDBOX"


@dataclass(frozen=True)
class _Kind:
    """One limit: its field in `Limits`, how many of that field's units one is, and the least allowed."""

    field: str
    unit: int
    least: float


KINDS: Mapping[str, _Kind] = {
    "processors": _Kind("processors", 1, 0.05),
    "memoryMB": _Kind("memory", MEBIBYTE, 64),
    "processes": _Kind("processes", 1, 16),
    "openFiles": _Kind("open_files", 1, 256),
    "diskMB": _Kind("disk", MEBIBYTE, 32),
    "outputRate": _Kind("output_rate", 1, 1 << 16),
}
"""By the names that clients use; an output rate is in bytes a second."""


def read_limits(text: str, source: str = HEADER) -> dict[str, float]:
    """The limits that a text from `source` names; `InvalidSandboxRequestError` says what is wrong with it."""
    if len(text) > TEXT_LIMIT:
        raise InvalidSandboxRequestError(f"{source}: longer than {TEXT_LIMIT} characters")
    named: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = (word.strip() for word in part.partition("="))
        if name not in KINDS:
            raise InvalidSandboxRequestError(f"{source}: {name!r} is no limit; there are: {', '.join(KINDS)}")
        named[name] = _number(source, name, value)
    return named


def limited(named: Mapping[str, float], standard: Limits, largest: Limits) -> Limits:
    """The standard limits but for those that are named; refuses more than the largest."""
    chosen: dict[str, Any] = {}
    for name, value in named.items():
        kind = KINDS[name]
        most = getattr(largest, kind.field)
        if most and value * kind.unit > most:
            raise InvalidSandboxRequestError(
                f"{name}: {value:g} is more than a sandbox of this runtime may have, {most / kind.unit:g}; "
                f"ask for less, or raise {SETTING}"
            )
        chosen[kind.field] = value if kind.field == "processors" else int(value * kind.unit)
    return replace(standard, **chosen)


def largest_limits(text: str, standard: Limits) -> Limits:
    """The most that may be asked for: what the text names, else what the machine has; never below standard.

    Half of the machine's memory is left to others; disk and output rate are as the standard unless named.
    """
    named = read_limits(text, SETTING)
    machine = Limits(
        processors=float(os.cpu_count() or 1),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2,
        processes=4096,
        open_files=1 << 20,
        disk=standard.disk,
        output_rate=standard.output_rate,
    )
    most = {name: max(value, getattr(standard, name)) for name, value in asdict(machine).items()}
    unbounded = Limits(0, 0, 0, 0)
    return limited(named, Limits(**most), unbounded)


def shown_limits(limits: Limits) -> dict[str, float | None]:
    """By the names that clients use; None for what is not bounded."""
    shown = {}
    for name, kind in KINDS.items():
        value = getattr(limits, kind.field)
        shown[name] = (value if name == "processors" else value // kind.unit) or None
    return shown


def _number(source: str, name: str, text: str) -> float:
    least = KINDS[name].least
    whole = name != "processors"
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = -1
    if not least <= value < 1 << 40:
        kind = "a whole number" if whole else "a number"
        raise InvalidSandboxRequestError(
            f"{source}: {name}: expected {kind} of at least {least:g}, not {text!r}"
        )
    return value
