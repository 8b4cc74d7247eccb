"""What the product costs while nobody uses it."""

import asyncio

from benchmarks.figures import Bar, Figure
from benchmarks.machine import family, processor_seconds
from benchmarks.stack import Stack

_SETTLE_SECONDS, _SECONDS = 3.0, 20.0
_BAR_SHARE = 0.03
_PARTS = ("postgresql", "valkey", "runtime", "worker", "web")


async def measure_idle(stack: Stack) -> list[Figure]:
    """The processor time of all its processes over twenty quiet seconds, as a share of one processor."""
    await asyncio.sleep(_SETTLE_SECONDS)
    parts = {name: stack.process_of(name) for name in _PARTS}
    before = {name: _used(process_id) for name, process_id in parts.items()}
    all_before = _used(stack.process_id)
    await asyncio.sleep(_SECONDS)
    used = (_used(stack.process_id) - all_before) / _SECONDS
    details = ", ".join(
        f"{name} {(_used(process_id) - before[name]) / _SECONDS:.1%}" for name, process_id in parts.items()
    )
    return [
        Figure(
            "idle: share of one processor, all processes",
            f"{used:.1%}",
            details,
            bar=Bar("< 3 %", used < _BAR_SHARE),
        )
    ]


def _used(process_id: int) -> float:
    return sum(map(processor_seconds, family(process_id)))
