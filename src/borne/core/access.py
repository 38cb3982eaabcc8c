"""Who may do what. Every answer is the list of what stands in the way; empty means yes."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from borne.core import plans, policy
from borne.core.scope import ADMINS, Scope

Reason = Literal["role", "plan", "model", "disabled", "never_connected", "offline", "updating", "restarting"]
REASONS: tuple[Reason, ...] = get_args(Reason)


class ChargerFacts(msgspec.Struct, frozen=True):
    """What the restart rules ask of a charger."""

    organisation_id: int
    location_id: int
    charger_id: int
    restarts: bool  # its model can
    status: str  # core.charger.Status
    online: bool
    disabled: bool = False


def administers(scope: Scope, organisation_id: int, location_id: int) -> bool:
    """Super-admin of the organisation, or admin of the location."""
    if scope.organisation_id != organisation_id or scope.role not in ADMINS or scope.guest:
        return False
    return scope.location_ids is None or location_id in scope.location_ids


def may_restart(scope: Scope, charger: ChargerFacts) -> tuple[Reason, ...]:
    """Why this person may not restart this charger now; empty when they may (the help article's conditions)."""
    found: list[Reason] = []
    if not administers(scope, charger.organisation_id, charger.location_id):
        found.append("role")
    if not plans.has(scope.plan, "RESTART"):
        found.append("plan")
    return (*found, *not_restartable(charger))


def not_restartable(charger: ChargerFacts) -> tuple[Reason, ...]:
    """What stands in the way on the charger's side; empty when a Reset could be sent now."""
    found: list[Reason] = []
    if not charger.restarts:
        found.append("model")
    if charger.disabled:
        found.append("disabled")
    if charger.status == "never":
        found.append("never_connected")
    elif not charger.online and charger.status != "restarting":
        found.append("offline")
    if charger.status == "updating":
        found.append("updating")
    if charger.status == "restarting":
        found.append("restarting")
    return tuple(found)


def may_restart_many(scope: Scope) -> bool:
    """Restarting many is a feature of its own (Business), for those who administer something."""
    return policy.may(scope, "restart") and policy.may(scope, "restart_many")


def may_see_frames(scope: Scope) -> bool:
    """Raw frames hold what chargers say of people's tags: for those who run chargers, not for drivers."""
    return policy.may(scope, "see_frames")


def may_add_charger(scope: Scope, location_id: int) -> bool:
    """Super-admin, or admin of the location."""
    return administers(scope, scope.organisation_id, location_id)
