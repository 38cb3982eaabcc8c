"""Plans: which features an organisation has subscribed to. Data, not code: the rules change more often than the program."""

from __future__ import annotations

from typing import Literal

import msgspec

Feature = Literal[
    "RESTART", "BULK_ACTIONS", "AUTO_LOCK", "CHARGER_SUBGROUPS", "USER_SUBGROUPS", "STATISTICS", "POWER_BOOST",
    "DYNAMIC_POWER_SHARING", "PAYMENTS", "AUTOMATIC_REPORTING", "BILLING",
]  # fmt: skip


class Plan(msgspec.Struct, frozen=True):
    """A plan: its id, its name, what it includes."""

    id: str
    name: str
    features: frozenset[Feature]


_BASIC: frozenset[Feature] = frozenset(("CHARGER_SUBGROUPS", "STATISTICS"))
_STANDARD: frozenset[Feature] = _BASIC | {"RESTART", "AUTO_LOCK", "USER_SUBGROUPS", "POWER_BOOST"}
_BUSINESS: frozenset[Feature] = _STANDARD | {
    "BULK_ACTIONS", "DYNAMIC_POWER_SHARING", "PAYMENTS", "AUTOMATIC_REPORTING", "BILLING",
}  # fmt: skip

PLANS: dict[str, Plan] = {
    "basic": Plan("basic", "Basic", _BASIC),
    "standard": Plan("standard", "Standard", _STANDARD),
    "business": Plan("business", "Business", _BUSINESS),
}


def has(plan_id: str, feature: Feature) -> bool:
    """Whether the plan includes the feature; an unknown plan includes none."""
    plan = PLANS.get(plan_id)
    return plan is not None and feature in plan.features


def cheapest_with(feature: Feature) -> Plan:
    """The first plan that includes the feature: what a page names where it is missing."""
    return next(plan for plan in PLANS.values() if feature in plan.features)
