"""What the forms about people share: addresses with their tags, roles, locations, a group, the last day of access."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import msgspec

from borne.core import policy
from borne.core.people import OF_LOCATIONS, ROLES, Refusal, may_give
from borne.core.scope import Role
from borne.core.tags import MAX_TAG
from borne.engine.invitations import DAY_BOUND, Problem
from borne.engine.plans import NoRoomError
from borne.portal import language as languages
from borne.portal.forms import EMAIL_BOUND, is_email, number_of, seen, text_of, values_of
from borne.portal.frame import Page
from borne.portal.language import N_
from borne.portal.roles import ROLE_WORDS
from borne.portal.tag_form import RESERVED, TAG
from borne.store import charger_list, invitations, organisations
from borne.store.charger_list import Place
from borne.store.invitations import NewInvitation

NAME_BOUND = 100
TAGS_EACH = 10
LINES_BOUND = 100
LONGEST_DAYS = 5 * 366
NAMED = re.compile(r"(?P<name>[^<>]*)<(?P<email>[^<>\s]+)>(?P<rest>.*)")

PROBLEM_WORDS: dict[Problem, str] = {
    "role": N_("You cannot give this role."),
    "member": N_("%(email)s is already a member."),
    "over": N_("%(email)s was a member until a while ago: prolong the access on their page."),
    "invited": N_("%(email)s is already invited: send the invitation again from the list."),
    "twice": N_("%(email)s is here twice."),
    "tag": N_("One of the badges of %(email)s is somebody else’s."),
    "tag_twice": N_("One of the badges of %(email)s is here twice."),
    "location": N_("A location of %(email)s is not there any more."),
    "group": N_("The access group of %(email)s is not there any more."),
}
REFUSAL_WORDS: dict[Refusal, str] = {
    "role": N_("Only a super-admin changes roles and removes people."),
    "self": N_("Nobody changes their own role. Another super-admin can."),
    "super_admin": N_("Only a super-admin changes a super-admin."),
    "higher": N_("Nobody gives more than they have."),
    "last": N_(
        "This is the only super-admin whose access has no end. Make somebody else a super-admin first: an organisation always"
        " has one."
    ),
}


class Choices(msgspec.Struct, frozen=True):
    """What the fields of a form offer. `zone`: where the last day of access ends."""

    roles: list[tuple[Role, str]]
    places: list[Place]
    groups: dict[int, str]
    zone: str


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """What a form says of somebody's place, as typed."""

    role: str = "user"
    location_ids: tuple[int, ...] = ()
    group_id: int | None = None
    language: str | None = None
    until: str = ""


async def choices(page: Page) -> Choices:
    """What this visitor may choose from."""
    db, scope = page.services.db, page.scope
    has_groups = policy.may(scope, "manage_access_groups")
    return Choices(
        roles=[(role, page._(ROLE_WORDS[role])) for role in reversed(ROLES) if may_give(scope, role)],
        places=await charger_list.places(db, scope),
        groups=await invitations.groups(db, scope.organisation_id) if has_groups else {},
        zone=await organisations.zone_of_scope(db, scope, None),
    )


def common(form: dict[str, Any]) -> Common:
    """Read what the forms share."""
    picked = (number_of(one) for one in values_of(form, "location", 1_000))
    return Common(
        role=text_of(form, "role", 20),
        location_ids=tuple(dict.fromkeys(one for one in picked if one is not None)),
        group_id=number_of(text_of(form, "group", 20)),
        language=languages.known(text_of(form, "language", 5)),
        until=text_of(form, "until", 20),
    )


def common_errors(page: Page, typed: Common, offered: Choices) -> dict[str, str]:
    """What is wrong with it, by field."""
    found: dict[str, str] = {}
    if typed.role not in {role for role, _ in offered.roles}:
        found["role"] = page._("Choose a role.")
    if not set(typed.location_ids) <= {place.id for place in offered.places}:
        found["location"] = page._("One of these locations is not there any more.")
    elif typed.role in OF_LOCATIONS and not typed.location_ids:
        found["location"] = page._("Choose one location at least: without one they would see nothing.")
    if typed.group_id is not None and typed.group_id not in offered.groups:
        found["group"] = page._("This access group is not there any more.")
    try:
        until_ms(typed.until, offered.zone, page.services.clock.now_ms())
    except ValueError:
        found["until"] = page._("Choose a day from today on, within five years.")
    return found


# ---- the last day ----------------------------------------------------------------------------------------------------


def until_ms(day: str, zone: str, now_ms: int) -> int | None:
    """When access ends whose last day is this one (YYYY-MM-DD): at midnight there. None for "". Raises ValueError."""
    if not day:
        return None
    try:
        after = date.fromisoformat(day) + timedelta(days=1)
    except OverflowError:
        raise ValueError(day) from None
    ends = datetime(after.year, after.month, after.day, tzinfo=ZoneInfo(zone))
    if not now_ms < ends.timestamp() * 1_000 <= now_ms + LONGEST_DAYS * 86_400_000:
        raise ValueError(day)
    return round(ends.timestamp() * 1_000)


def last_day(expires_ms: int | None, zone: str) -> str:
    """The last day (YYYY-MM-DD) of an access that ends then; "" for one without an end."""
    if expires_ms is None:
        return ""
    return datetime.fromtimestamp((expires_ms - 1) / 1_000, UTC).astimezone(ZoneInfo(zone)).date().isoformat()


# ---- addresses ---------------------------------------------------------------------------------------------------------


class Invitee(msgspec.Struct, frozen=True):
    """Somebody to invite, as a line names them."""

    email: str
    name: str = ""
    tags: tuple[str, ...] = ()


def lines_of(form: dict[str, Any], name: str, bound: int) -> str:
    """A field of several lines, clean, cut at its bound."""
    text = (values_of(form, name) or [""])[0]
    return seen(text.encode("utf-8", "ignore").decode()).replace("\r\n", "\n")[:bound]


def invitee(page: Page, line: str) -> Invitee:
    """Read `marie@x.test`, `Marie Roux <marie@x.test>`, with RFID numbers after it. Raises ValueError with what is wrong."""
    named = NAMED.fullmatch(line)
    if named:
        name, email, rest = named["name"].strip(' "\t'), named["email"], named["rest"]
    else:
        name, (email, *others) = "", re.split(r"[,;\s]+", line.strip(" ,;\t")) or [""]
        rest = " ".join(others)
    email = email.casefold()
    if not is_email(email) or len(email) > EMAIL_BOUND:
        raise ValueError(page._("“%(line)s” does not begin with an e-mail address.", line=line[:80]))
    return Invitee(email, " ".join(name.split())[:NAME_BOUND], tags_of(page, re.split(r"[,;\s]+", rest)))


def tags_of(page: Page, words: Iterable[str]) -> tuple[str, ...]:
    """RFID numbers as the database knows them. Raises ValueError with what is wrong."""
    found = tuple(dict.fromkeys(word.casefold() for word in words if word))
    for tag in found:
        if not TAG.fullmatch(tag) or len(tag) > MAX_TAG or tag in RESERVED:
            raise ValueError(
                page._(
                    "“%(tag)s” is no RFID number: letters, digits and : - . _ only, %(n)s at most.",
                    tag=tag[:40],
                    n=MAX_TAG,
                )
            )
    if len(found) > TAGS_EACH:
        raise ValueError(page._("%(n)s badges a person at most.", n=TAGS_EACH))
    return found


def problem_text(page: Page, problem: Problem, one: NewInvitation) -> str:
    """Why somebody cannot be invited."""
    return page._(PROBLEM_WORDS[problem], email=one.email)


def room_text(page: Page, error: NoRoomError) -> str:
    """Why nobody more fits in."""
    return page._(
        "The plan has room for %(most)s people, and there are %(now)s, those invited among them. A larger plan has room for"
        " more.",
        most=page.formats.number(error.most),
        now=page.formats.number(error.has_now),
    )


def too_many_text(page: Page) -> str:
    return page._(
        "An organisation invites %(n)s people a day at most. Go on tomorrow.", n=page.formats.number(DAY_BOUND)
    )


def role_of(typed: Common) -> Role:
    """The role, once `common_errors` found nothing wrong with it."""
    return cast(Role, typed.role)
