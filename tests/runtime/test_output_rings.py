"""The memory that a process's output is read into."""

import os

from runtime.host.ring import Ring


def test_a_ring_that_is_closed_twice_closes_nobody_elses_descriptor() -> None:
    ring = Ring.create(1 << 16)
    number = ring.memory_file
    ring.close()
    somebody_elses = os.open(os.devnull, os.O_RDONLY)
    os.dup2(somebody_elses, number)
    ring.close()
    os.fstat(number)
    for descriptor in {somebody_elses, number}:
        os.close(descriptor)
