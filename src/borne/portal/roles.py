"""What each role may do: a table drawn from `core.policy.POLICY`, the very one that the guards of pages ask."""

from __future__ import annotations

import msgspec
from litestar import Response, get

from borne.core import plans
from borne.core.people import ROLES
from borne.core.policy import POLICY, Action, Reach, Rule
from borne.core.scope import Role
from borne.portal.frame import Page
from borne.portal.language import N_

ROLE_WORDS: dict[Role, str] = {
    "super-admin": N_("Super-admin"),
    "admin": N_("Admin"),
    "operator": N_("Operator"),
    "user": N_("User"),
}
ROLE_LINES: dict[Role, str] = {
    "super-admin": N_("Owns the organisation: people, plan, every location."),
    "admin": N_("Runs some locations: their chargers, access and badges."),
    "operator": N_("Watches over the chargers of some locations."),
    "user": N_("Charges, and sees the own chargers and sessions."),
}
REACH_WORDS: dict[Reach, str] = {
    "organisation": N_("everywhere"),
    "locations": N_("own locations"),
    "own": N_("own chargers"),
}
ACTION_WORDS: dict[Action, str] = {
    "see_dashboard": N_("See the overview"),
    "see_chargers": N_("See chargers"),
    "see_restarts": N_("See restarts and how they went"),
    "see_sessions": N_("See charging sessions"),
    "see_statistics": N_("See statistics"),
    "see_notices": N_("Hear of absences, faults and failed restarts"),
    "see_frames": N_("Read the raw talk of a charger"),
    "restart": N_("Restart a charger"),
    "restart_many": N_("Restart many chargers at once"),
    "withdraw_restarts": N_("Withdraw a restart that waits"),
    "add_chargers": N_("Add chargers"),
    "change_chargers": N_("Change, disable and delete chargers"),
    "change_many_chargers": N_("Change many chargers at once"),
    "replace_chargers": N_("Replace a charger and keep its history"),
    "archive_chargers": N_("Archive chargers"),
    "hand_over_chargers": N_("Hand a charger over to another organisation"),
    "see_locations": N_("See locations"),
    "change_locations": N_("Change locations"),
    "add_locations": N_("Add and delete locations"),
    "change_prices": N_("Set what energy costs"),
    "manage_price_lists": N_("Add and change lists of energy prices"),
    "see_vehicles": N_("See vehicles"),
    "manage_vehicles": N_("Add and change vehicles"),
    "see_savings": N_("See what charging saves"),
    "manage_reports": N_("Get monthly reports"),
    "see_people": N_("See users"),
    "invite_people": N_("Invite users"),
    "change_roles": N_("Change roles and locations of users"),
    "remove_people": N_("Remove users"),
    "manage_access": N_("Say who may use which charger"),
    "manage_access_groups": N_("Make and change access groups"),
    "manage_tags": N_("Add, block and assign RFID badges"),
    "see_plan": N_("See the plan and the bill"),
    "change_plan": N_("Change the plan"),
    "see_audit": N_("Read the audit log"),
    "change_organisation": N_("Change the organisation’s settings and sign-in"),
    "answer_consent": N_("Let the operator of the installation look in"),
    "erase_people": N_("Export and erase a person’s data"),
}
# The lines of the table stand together by what they are about; what no part names comes last.
PARTS: tuple[tuple[str, tuple[Action, ...]], ...] = (
    (
        N_("Chargers"),
        (
            "see_dashboard", "see_chargers", "see_restarts", "see_sessions", "see_statistics", "see_savings",
            "see_vehicles", "manage_vehicles", "manage_reports", "see_notices", "restart", "restart_many",
            "withdraw_restarts", "see_frames", "add_chargers", "change_chargers", "change_many_chargers",
            "replace_chargers", "archive_chargers", "hand_over_chargers",
        ),
    ),
    (
        N_("Users and access"),
        (
            "see_people", "manage_access", "manage_access_groups", "manage_tags", "invite_people", "change_roles",
            "remove_people", "erase_people",
        ),
    ),
    (N_("Locations"), ("see_locations", "change_locations", "add_locations", "change_prices", "manage_price_lists")),
)  # fmt: skip
OTHERS = N_("Organisation")


class Cell(msgspec.Struct, frozen=True):
    """Whether a role may do something, and how far: `reach` None is no."""

    role: Role
    reach: Reach | None
    word: str


class Line(msgspec.Struct, frozen=True):
    """An action: who may, and the smallest plan that includes it (None: every plan does)."""

    action: Action
    words: str
    cells: tuple[Cell, ...]
    guest: bool
    plan: str | None


def lines(page: Page, actions: tuple[Action, ...]) -> list[Line]:
    """The lines of some actions."""
    return [_line(page, action, POLICY[action]) for action in actions]


def _line(page: Page, action: Action, rule: Rule) -> Line:
    reaches = {role: rule.roles.get(role) for role in ROLES}
    return Line(
        action=action,
        words=page._(ACTION_WORDS[action]),
        cells=tuple(
            Cell(role, reach, page._(REACH_WORDS[reach]) if reach else page._("no")) for role, reach in reaches.items()
        ),
        guest=rule.guests,
        plan=plans.cheapest_with(rule.feature).name if rule.feature else None,
    )


def parts(page: Page) -> list[tuple[str, list[Line]]]:
    """The whole table, part by part."""
    named = {action for _, actions in PARTS for action in actions}
    others = tuple(action for action in POLICY if action not in named)
    return [(page._(title), lines(page, actions)) for title, actions in (*PARTS, (OTHERS, others)) if actions]


@get("/roles", may="member")
async def roles(page: Page) -> Response[str]:
    """Who may do what in this organisation."""
    return page.show(
        "users/roles.html",
        parts=parts(page),
        roles=[(role, page._(ROLE_WORDS[role]), page._(ROLE_LINES[role])) for role in ROLES],
    )


ROUTES = [roles]
