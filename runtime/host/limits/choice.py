"""Which way of limiting this machine allows."""

from runtime.host.limits.cgroup_v1 import CgroupV1
from runtime.host.limits.cgroup_v2 import CgroupV2
from runtime.host.limits.mechanism import LimitMechanism
from runtime.host.limits.rlimits import Rlimits


def choose_mechanism() -> LimitMechanism:
    """The best that we may use: cgroups of version 2, then 1, then rlimits."""
    if CgroupV2.available():
        return CgroupV2()
    if CgroupV1.available():
        return CgroupV1()
    return Rlimits()
