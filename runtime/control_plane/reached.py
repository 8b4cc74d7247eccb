"""Which of its limits a sandbox has run into: what `GET /runtime/sandboxes/{id}` answers to "why?"."""

from contextlib import suppress

from runtime.host.sandbox import Sandbox


def limits_reached(sandbox: Sandbox) -> list[str]:
    """What it ran into since its supervisor started.

    `OUT_OF_MEMORY`, `TOO_MANY_PROCESSES`, `OUT_OF_DISK` and `OUTPUT_RATE`, in this order.
    """
    reached = []
    with suppress(OSError):  # its groups go when it ends
        if sandbox.group.out_of_memory_kills():
            reached.append("OUT_OF_MEMORY")
        if sandbox.group.refused_processes():
            reached.append("TOO_MANY_PROCESSES")
    if sandbox.disk_was_full:
        reached.append("OUT_OF_DISK")
    if sandbox.output_rate.waits:
        reached.append("OUTPUT_RATE")
    return reached
