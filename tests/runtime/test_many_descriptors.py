"""A host that holds more descriptors than `select` can name."""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from runtime.host.launch import Pid1, boot_id, start_time_of

MANY = 1100


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * MANY), hard))
    with ExitStack() as stack:
        for _ in range(MANY):
            stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
def test_a_sandbox_is_ended_by_a_host_with_more_than_a_thousand_descriptors() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        started = start_time_of(child.pid)
        assert started is not None
        Pid1(child.pid, started, boot_id()).kill()
        assert child.wait(5) == -9
