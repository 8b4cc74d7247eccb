"""Guarantees that whoever starts the runtime can demand: it keeps them, or it doesn't start."""

import os
from collections.abc import Mapping

from runtime.host.errors import MachineUnfitError
from runtime.host.limits import Bound

_AS_ROOT = "start the runtime as root"
_BY_CGROUP = (
    f"{_AS_ROOT}, or give it a delegated cgroup of version 2 (systemd-run --user --scope -p Delegate=yes)"
)
MEND: Mapping[str, str] = {
    "own_user": _AS_ROOT,
    "memory": _BY_CGROUP,
    "processes": _BY_CGROUP,
    "processors": _BY_CGROUP,
    "open_files": _AS_ROOT,
    "disk": f"{_AS_ROOT}, with mkfs.ext4 (the package e2fsprogs) and /dev/loop-control",
    "output_rate": "this always holds",
}
"""By guarantee, what to do where it can't be kept."""


def held_guarantees(bounds: Mapping[str, Bound]) -> dict[str, bool]:
    """Which guarantees hold here: a host user for each sandbox, and bounds that hold against the worst."""
    firm = {name: bound.firm for name, bound in bounds.items()}
    return {name: firm.get(name, False) for name in MEND} | {"own_user": os.geteuid() == 0}


def demand(required: str, held: Mapping[str, bool]) -> None:
    """Refuse to start (`MachineUnfitError`) where a required guarantee is unknown or doesn't hold."""
    names = [name.strip() for name in required.split(",") if name.strip()]
    unknown = [name for name in names if name not in MEND]
    if unknown:
        raise MachineUnfitError(
            f"RUNTIME_REQUIRE: {', '.join(unknown)} is no guarantee; there are: {', '.join(MEND)}."
        )
    missing = [name for name in names if not held[name]]
    if missing:
        reasons = "; ".join(f"{name}: {MEND[name]}" for name in missing)
        raise MachineUnfitError(
            f"RUNTIME_REQUIRE demands what doesn't hold on this machine. {reasons}. "
            "`python -m runtime doctor` tells more."
        )
