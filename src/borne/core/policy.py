"""Who may do what: one table, which the guards of pages ask and from which the role matrix is drawn.

Facts of the portal: the super-admin owns the organisation, an admin runs locations, an operator runs chargers, a user charges.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from borne.core import plans
from borne.core.plans import Feature
from borne.core.scope import Role, Scope

Action = Literal[
    "see_dashboard", "see_chargers", "see_restarts", "see_sessions", "see_statistics", "see_notices", "see_frames",
    "restart", "restart_many", "withdraw_restarts", "add_chargers", "change_chargers", "change_many_chargers", "replace_chargers",
    "archive_chargers", "hand_over_chargers", "see_locations", "change_locations", "add_locations", "see_people",
    "invite_people", "change_roles", "remove_people", "manage_access", "manage_access_groups", "manage_tags",
    "see_plan", "change_plan", "see_audit", "change_prices", "manage_price_lists", "see_vehicles", "manage_vehicles",
    "see_savings", "manage_reports", "change_organisation", "answer_consent", "erase_people",
]  # fmt: skip
ACTIONS: tuple[Action, ...] = get_args(Action)

Reach = Literal["organisation", "locations", "own"]


class Rule(msgspec.Struct, frozen=True):
    """Roles that may, and how far each of them reaches: the whole organisation, its own locations, what is assigned.

    `feature`: the plan must include it; None: every plan does. `guests`: also who looks in with the organisation's consent.
    """

    roles: dict[Role, Reach]
    feature: Feature | None = None
    guests: bool = False


_EVERYBODY: dict[Role, Reach] = {
    "super-admin": "organisation",
    "admin": "locations",
    "operator": "locations",
    "user": "own",
}
_STAFF: dict[Role, Reach] = {"super-admin": "organisation", "admin": "locations", "operator": "locations"}
_ADMINS: dict[Role, Reach] = {"super-admin": "organisation", "admin": "locations"}
_OWNER: dict[Role, Reach] = {"super-admin": "organisation"}

POLICY: dict[Action, Rule] = {
    "see_dashboard": Rule(_STAFF, guests=True),
    "see_chargers": Rule(_EVERYBODY, guests=True),
    "see_restarts": Rule(_EVERYBODY, guests=True),
    "see_sessions": Rule(_EVERYBODY, guests=True),
    "see_notices": Rule(_EVERYBODY),
    "see_statistics": Rule(_EVERYBODY, "STATISTICS", guests=True),
    "see_frames": Rule(_STAFF, guests=True),
    "restart": Rule(_ADMINS, "RESTART"),
    "restart_many": Rule(_ADMINS, "BULK_ACTIONS"),
    "withdraw_restarts": Rule(_ADMINS),
    "add_chargers": Rule(_ADMINS),
    "change_chargers": Rule(_ADMINS),
    "change_many_chargers": Rule(_ADMINS, "BULK_ACTIONS"),
    "replace_chargers": Rule(_ADMINS),
    "archive_chargers": Rule(_ADMINS),
    "hand_over_chargers": Rule(_OWNER),
    "see_locations": Rule(_STAFF, guests=True),
    "change_locations": Rule(_ADMINS),
    "add_locations": Rule(_OWNER),
    "change_prices": Rule(_ADMINS),
    "manage_price_lists": Rule(_OWNER),
    "see_vehicles": Rule(_EVERYBODY, guests=True),
    "manage_vehicles": Rule(_ADMINS | {"user": "own"}),
    "see_savings": Rule(_EVERYBODY, "STATISTICS", guests=True),
    "manage_reports": Rule(_EVERYBODY, "AUTOMATIC_REPORTING"),
    "see_people": Rule(_ADMINS, guests=True),
    "invite_people": Rule(_OWNER),
    "change_roles": Rule(_OWNER),
    "remove_people": Rule(_OWNER),
    "manage_access": Rule(_ADMINS),
    "manage_access_groups": Rule(_ADMINS, "USER_SUBGROUPS"),
    "manage_tags": Rule(_ADMINS),
    "see_plan": Rule(_OWNER, guests=True),
    "change_plan": Rule(_OWNER),
    "see_audit": Rule(_OWNER, guests=True),
    "change_organisation": Rule(_OWNER),
    "answer_consent": Rule(_OWNER),
    "erase_people": Rule(_OWNER),
}


def permits(scope: Scope, action: Action) -> bool:
    """Whether the role may do this somewhere; the plan is another question (`missing_feature`)."""
    rule = POLICY[action]
    return rule.guests if scope.guest else scope.role in rule.roles


def missing_feature(scope: Scope, action: Action) -> Feature | None:
    """The feature that the organisation's plan lacks for this; None when it lacks none."""
    feature = POLICY[action].feature
    return None if feature is None or plans.has(scope.plan, feature) else feature


def may(scope: Scope, action: Action, location_id: int | None = None) -> bool:
    """Whether this person may do this: role, plan, and if it concerns a location, that one."""
    if not permits(scope, action) or missing_feature(scope, action) is not None:
        return False
    return location_id is None or scope.location_ids is None or location_id in scope.location_ids
