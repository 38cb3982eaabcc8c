"""What plans, features and prices are called, and what a page says where a feature is missing."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from babel.numbers import format_currency

from borne.core import policy
from borne.core.plans import CURRENCY, PLANS, Feature, Limited, cheapest_with, limit
from borne.engine.plans import NoRoomError
from borne.portal.formats import Formats
from borne.portal.frame import PageView
from borne.portal.language import N_
from borne.store import plans as store

# feature: (its name, what it means)
FEATURES: dict[Feature, tuple[str, str]] = {
    "CHARGER_SUBGROUPS": (
        N_("Admins of locations"),
        N_("Each location has its address, its time zone, and admins of its own."),
    ),
    "STATISTICS": (N_("Statistics"), N_("Energy, sessions and costs over time.")),
    "RESTART": (
        N_("Remote restart"),
        N_("Restart a charger from its page, follow each step, and know how it ended."),
    ),
    "AUTO_LOCK": (N_("Auto-lock"), N_("Chargers lock themselves after a set time, or when a session ends.")),
    "USER_SUBGROUPS": (N_("Access groups"), N_("Named sets of chargers, and who may use them.")),
    "POWER_BOOST": (N_("Power boost"), N_("Charging takes no more than the building leaves over.")),
    "BULK_ACTIONS": (
        N_("Many chargers at once"),
        N_("Restart or change many chargers with one confirmation."),
    ),
    "DYNAMIC_POWER_SHARING": (
        N_("Dynamic power sharing"),
        N_("Chargers share the building’s limit, minus what the building needs at that moment."),
    ),
    "PAYMENTS": (N_("Payments"), N_("Drivers pay for each charge, or each month.")),
    "AUTOMATIC_REPORTING": (N_("Automatic reports"), N_("Reports of each month, by mail.")),
    "BILLING": (N_("Rates and billing"), N_("Rates for charging, and what each driver owes.")),
}
LIMITS: dict[Limited, str] = {"people": N_("People"), "locations": N_("Locations")}


def money(formats: Formats, cents: int, currency: str = CURRENCY) -> str:
    """An amount of hundredths in its currency: `€4.00`, `4,00 €`."""
    return str(format_currency(Decimal(cents) / 100, currency, locale=formats.locale))


class Needed(msgspec.Struct, frozen=True, kw_only=True):
    """What `parts/plan_needed.html` shows where a feature is missing."""

    title: str  # the feature
    meaning: str
    plan: str  # the plan that has it
    price: str
    may_change: bool  # this person may change the plan
    ask: str  # whom to ask otherwise; "" when nobody is known


async def needed(page: PageView, feature: Feature) -> Needed:
    """What a page says where the plan lacks a feature: include `parts/plan_needed.html` with it as `needed`."""
    return needed_of(page, feature, await store.owner_name(page.services.db, page.scope))


def needed_of(page: PageView, feature: Feature, ask: str) -> Needed:
    """The same, once it is known whom to ask."""
    title, meaning = FEATURES[feature]
    plan = cheapest_with(feature)
    scope = page.visitor.scope if page.visitor else None
    return Needed(
        title=page._(title),
        meaning=page._(meaning),
        plan=plan.name,
        price=page._("%(price)s for a charger and month", price=money(page.formats, plan.price_cents)),
        may_change=scope is not None and policy.permits(scope, "change_plan"),
        ask=ask,
    )


def needed_text(page: PageView, found: Needed) -> str:
    """The same as one sentence or two, for a toast."""
    has_it = page._("%(feature)s comes with the %(plan)s plan.", feature=found.title, plan=found.plan)
    if found.may_change:
        return has_it + " " + page._("You can change the plan under Organisation.")
    if not found.ask:
        return has_it
    return has_it + " " + page._("%(person)s can change the plan.", person=found.ask)


def no_room_text(page: PageView, error: NoRoomError) -> str:
    """Why nothing was added: the plan has no room for more."""
    plan = PLANS.get(error.plan)
    name = plan.name if plan else error.plan
    larger = next(
        (one.name for one in PLANS.values() if (limit(one.id, error.what) or error.most + 1) > error.most), ""
    )
    if error.what == "people":
        said = page.ngettext(
            "The %(plan)s plan has room for %(n)s person, open invitations included.",
            "The %(plan)s plan has room for %(n)s people, open invitations included.", error.most, plan=name,
        )  # fmt: skip
    else:
        said = page.ngettext(
            "The %(plan)s plan has room for %(n)s location.",
            "The %(plan)s plan has room for %(n)s locations.", error.most, plan=name,
        )  # fmt: skip
    return said + " " + page._("Nothing was added. The %(plan)s plan has room for more.", plan=larger)
