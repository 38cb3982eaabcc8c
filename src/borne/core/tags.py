"""Tags: what a charger is answered when somebody holds one before it. Pure; every fact comes in as an argument.

Sources: OCPP 1.6 §4.1, §7.2 (AuthorizationStatus), OCPP 2.0.1 C01, C09 (groups), §3.5 (AuthorizationStatusEnumType).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from borne.core.scope import Role

MAX_TAG = 36  # characters: idToken of 2.0.1; 1.6 allows 20
# `not_here`: a tag of ours whose owner may not use this charger.
TagStatus = Literal["accepted", "blocked", "expired", "invalid", "not_here"]
TagState = Literal["accepted", "blocked", "expired", "unassigned"]
TAG_STATES: tuple[TagState, ...] = ("accepted", "blocked", "expired", "unassigned")


class Owner(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Whose tag it is, as far as charging asks.

    `role` None: no member of the organisation (any more). `disabled`: their account is. `until_ms`: their membership ends
    then. `assigned`: the charger is, to them or to a group of theirs. `runs`: its location is among theirs.
    """

    role: Role | None
    disabled: bool = False
    until_ms: int | None = None
    assigned: bool = False
    runs: bool = False


class Tag(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A tag that the charger's organisation knows. `owner` None: nobody's, it charges anywhere in the organisation."""

    blocked: bool = False
    expires_ms: int | None = None
    group: str | None = None
    owner: Owner | None = None


class TagAnswer(msgspec.Struct, frozen=True, gc=False):
    """The answer. `group`: tags of one group may end each other's sessions. `until_ms`: a charger must not remember it longer."""

    status: TagStatus
    group: str | None = None
    until_ms: int | None = None


INVALID = TagAnswer("invalid")


def answer(tag: Tag | None, *, accepts_unknown: bool, now_ms: int) -> TagAnswer:
    """What to say of a tag (None: the organisation does not know it) at a charger of a location."""
    if tag is None:
        return TagAnswer("accepted") if accepts_unknown else INVALID
    if tag.blocked:
        return TagAnswer("blocked", tag.group)
    if tag.expires_ms is not None and tag.expires_ms <= now_ms:
        return TagAnswer("expired", tag.group)
    if tag.owner is None:
        return TagAnswer("accepted", tag.group, tag.expires_ms)
    if not is_alive(tag.owner, now_ms):
        return INVALID
    if not _reaches(tag.owner):
        return TagAnswer("not_here", tag.group)
    ends = [at_ms for at_ms in (tag.expires_ms, tag.owner.until_ms) if at_ms is not None]
    return TagAnswer("accepted", tag.group, min(ends, default=None))


def is_alive(owner: Owner, now_ms: int) -> bool:
    """Whether the owner is a member of the organisation now, with an account that is not disabled."""
    is_over = owner.until_ms is not None and owner.until_ms <= now_ms
    return owner.role is not None and not owner.disabled and not is_over


def _reaches(owner: Owner) -> bool:
    match owner.role:
        case "super-admin":
            return True
        case "admin" | "operator":
            return owner.runs
    return owner.assigned


def state(*, blocked: bool, expires_ms: int | None, person_id: int | None, now_ms: int) -> TagState:
    """The one word for a tag in a list."""
    if blocked:
        return "blocked"
    if expires_ms is not None and expires_ms <= now_ms:
        return "expired"
    return "unassigned" if person_id is None else "accepted"
