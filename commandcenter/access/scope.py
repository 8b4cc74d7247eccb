"""A scope: the project, key and role in whose name a domain function acts."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from commandcenter.errors import ForbiddenError


class Role(StrEnum):
    """What a key may do; each role includes the ones before it."""

    VIEWER = "VIEWER"
    OPERATOR = "OPERATOR"
    ADMINISTRATOR = "ADMINISTRATOR"


_RANK = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class Scope:
    """In whose name something is done. Every domain function takes one.

    `actor` is what the audit trail says, such as `key:cc_3fk2` or `system:expiry`.
    `address` is the caller's network address where there is one. What the project's keys may ask for together
    in a minute is None for scopes that nobody asks with.
    """

    project_id: UUID
    role: Role
    actor: str
    key_id: UUID | None = None
    key_name: str | None = None
    address: str | None = None
    is_instance_administrator: bool = False
    requests_per_minute: int | None = None
    points_per_minute: int | None = None

    def require(self, role: Role) -> None:
        """Refuse with `ForbiddenError` unless the scope has `role` or a higher one."""
        if _RANK[self.role] < _RANK[role]:
            raise ForbiddenError(
                f"This needs the role {role.lower()}; the key has the role {self.role.lower()}. "
                "Use a key with that role."
            )


def system_scope(project_id: UUID, task: str) -> Scope:
    """The scope of an automatic action of ours, such as expiry, in one project."""
    return Scope(project_id=project_id, role=Role.ADMINISTRATOR, actor=f"system:{task}")
