"""How a sandbox's use of the machine is bounded and measured: by cgroups where we may, else by rlimits."""

from runtime.host.limits.choice import choose_mechanism
from runtime.host.limits.mechanism import LimitGroup, LimitMechanism, Usage

__all__ = ["LimitGroup", "LimitMechanism", "Usage", "choose_mechanism"]
