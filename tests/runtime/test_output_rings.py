"""The memory that a process's output is read into."""

import os

from runtime.host.output import Ring


def test_a_ring_that_is_closed_twice_closes_nobody_elses_descriptor() -> None:
    ring = Ring.create(1 << 16)
    number = ring.memory_file
    ring.close()
    with open(os.devnull, "rb") as file:
        others = os.dup2(file.fileno(), number)
    ring.close()
    os.close(others)
