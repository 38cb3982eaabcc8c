"""Members of an organisation: who may change whom, and what an organisation must never be without. Pure."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from borne.core import policy
from borne.core.scope import Role, Scope

ROLES: tuple[Role, ...] = get_args(Role)  # from the one that may most
OF_LOCATIONS: tuple[Role, ...] = ("admin", "operator")  # without a location they reach nothing

Refusal = Literal["role", "self", "super_admin", "higher", "last"]


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's place in an organisation. `expires_ms`: it ends then; None: it lasts."""

    person_id: int
    role: Role
    expires_ms: int | None = None

    @property
    def keeps_house(self) -> bool:
        """A super-admin without an end: each organisation has one at least, always."""
        return self.role == "super-admin" and self.expires_ms is None


def may_give(scope: Scope, role: Role) -> bool:
    """Whether this person may make somebody that: nobody gives more than they have."""
    return policy.permits(scope, "invite_people") and _is_within(scope, role)


def change_refused(
    scope: Scope, member: Member, role: Role, expires_ms: int | None, others_keep: bool
) -> Refusal | None:
    """What forbids to give a member this role and end; None: nothing does.

    `others_keep`: another member keeps house. One's own place is for somebody else to change.
    """
    if not policy.permits(scope, "change_roles"):
        return "role"
    if member.person_id == scope.person_id:
        return "self"
    if not _is_within(scope, member.role):
        return "super_admin" if member.role == "super-admin" else "higher"
    if not _is_within(scope, role):
        return "higher"
    stays = role == "super-admin" and expires_ms is None
    return "last" if member.keeps_house and not stays and not others_keep else None


def removal_refused(scope: Scope, member: Member, others_keep: bool) -> Refusal | None:
    """What forbids to remove a member; None: nothing does. People who may remove others may leave themselves."""
    if not policy.permits(scope, "remove_people"):
        return "role"
    if not _is_within(scope, member.role):
        return "super_admin" if member.role == "super-admin" else "higher"
    return "last" if member.keeps_house and not others_keep else None


def _is_within(scope: Scope, role: Role) -> bool:
    return ROLES.index(role) >= ROLES.index(scope.role)
