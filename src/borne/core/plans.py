"""Plans: what an organisation has subscribed to. Data, not code: the rules change more often than the program."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

Feature = Literal[
    "RESTART", "BULK_ACTIONS", "AUTO_LOCK", "CHARGER_SUBGROUPS", "USER_SUBGROUPS", "STATISTICS", "POWER_BOOST",
    "DYNAMIC_POWER_SHARING", "PAYMENTS", "AUTOMATIC_REPORTING", "BILLING",
]  # fmt: skip
FEATURES: tuple[Feature, ...] = get_args(Feature)

# What is not built yet: plans may name it, and pages say so.
COMING: frozenset[Feature] = frozenset(("AUTO_LOCK", "POWER_BOOST", "DYNAMIC_POWER_SHARING", "PAYMENTS", "BILLING"))

Limited = Literal["people", "locations"]  # what a plan may have room for only so much of
LIMITED: tuple[Limited, ...] = get_args(Limited)

CURRENCY = "EUR"  # of all prices (ISO 4217)


class Plan(msgspec.Struct, frozen=True):
    """A plan: its id, its name, what it includes, its price, how many people and locations it has room for (None: any).

    `price_cents`: hundredths of CURRENCY for each charger and month.
    """

    id: str
    name: str
    features: frozenset[Feature]
    price_cents: int
    people: int | None = None
    locations: int | None = None


_BASIC: frozenset[Feature] = frozenset(("CHARGER_SUBGROUPS", "STATISTICS"))
_STANDARD: frozenset[Feature] = _BASIC | {"RESTART", "AUTO_LOCK", "USER_SUBGROUPS", "POWER_BOOST"}
_BUSINESS: frozenset[Feature] = _STANDARD | {
    "BULK_ACTIONS", "DYNAMIC_POWER_SHARING", "PAYMENTS", "AUTOMATIC_REPORTING", "BILLING",
}  # fmt: skip

# From the smallest to the largest: going to a later one is an upgrade.
PLANS: dict[str, Plan] = {
    "basic": Plan("basic", "Basic", _BASIC, 0, people=10, locations=2),
    "standard": Plan("standard", "Standard", _STANDARD, 400, people=200, locations=20),
    "business": Plan("business", "Business", _BUSINESS, 900),
}


def has(plan_id: str, feature: Feature) -> bool:
    """Whether the plan includes the feature; an unknown plan includes none."""
    plan = PLANS.get(plan_id)
    return plan is not None and feature in plan.features


def cheapest_with(feature: Feature) -> Plan:
    """The first plan that includes the feature: what a page names where it is missing."""
    return next(plan for plan in PLANS.values() if feature in plan.features)


def limit(plan_id: str, what: Limited) -> int | None:
    """How many of it the plan has room for; None: any number. An unknown plan has room for none."""
    plan = PLANS.get(plan_id)
    if plan is None:
        return 0
    return plan.people if what == "people" else plan.locations


def rank(plan_id: str) -> int:
    """A plan's place from the smallest (0); -1 for an unknown one, so that every plan is above it."""
    return list(PLANS).index(plan_id) if plan_id in PLANS else -1


def lost(from_id: str, to_id: str) -> tuple[Feature, ...]:
    """The features that one plan has and another has not."""
    return tuple(feature for feature in FEATURES if has(from_id, feature) and not has(to_id, feature))
