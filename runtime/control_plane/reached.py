"""Which of its limits a sandbox has run into: what `GET /runtime/sandboxes/{id}` answers to "why?"."""

from contextlib import suppress

from runtime.host.sandbox import Sandbox


def limits_reached(sandbox: Sandbox) -> list[str]:
    """Since its supervisor started, in fixed order: `OUT_OF_MEMORY`, `TOO_MANY_PROCESSES`, `OUTPUT_RATE`."""
    reached = []
    with suppress(OSError):  # its groups go when it ends
        if sandbox.group.out_of_memory_kills():
            reached.append("OUT_OF_MEMORY")
        if sandbox.group.refused_processes():
            reached.append("TOO_MANY_PROCESSES")
    if sandbox.output_rate.waits:
        reached.append("OUTPUT_RATE")
    return reached
