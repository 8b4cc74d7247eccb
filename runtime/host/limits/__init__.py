"""How a sandbox's use of the machine is bounded and measured: by cgroups where we may, else by rlimits."""

from runtime.host.limits.choice import choose_mechanism
from runtime.host.limits.mechanism import Bound, LimitGroup, LimitMechanism, Usage

__all__ = ["Bound", "LimitGroup", "LimitMechanism", "Usage", "choose_mechanism"]
