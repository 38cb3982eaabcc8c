"""Reading tags as people type and paste them: one a line, or a table of tag, name, e-mail, expiry and group."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from borne.core.tags import MAX_TAG
from borne.portal.forms import EMAIL_BOUND, text_of
from borne.portal.frame import PageView
from borne.portal.sessions import zone_of
from borne.store import organisations, tag_list
from borne.store.tag_list import NewTag

NAME_BOUND = 60
MOST_LINES = 2_000
TEXT_BOUND = 400_000
TAG = re.compile(r"[0-9A-Za-z*\-_=:+|@.#]+")  # identifierString of OCPP 2.0.1 and what 1.6 chargers send
RESERVED = ("add", "owners")  # addresses beside those of tags
HEADS = ("tag", "rfid", "badge")  # a first line that names the columns
DAY_MS = 86_400_000


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """A tag as somebody typed it."""

    tag: str = ""
    name: str = ""
    email: str = ""
    expires: str = ""  # the last day, YYYY-MM-DD
    group: str = ""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A line, what is wrong with it by field, and the tag it makes if nothing is. `owner`: their name."""

    number: int
    typed: Entered
    problems: dict[str, str]
    owner: str = ""
    new: NewTag | None = None


def entered(form: dict[str, Any], tag: str = "") -> Entered:
    """The fields of one tag."""
    return Entered(
        tag=tag or without_spaces(text_of(form, "tag", MAX_TAG + 10)),
        name=text_of(form, "name", NAME_BOUND + 1),
        email=text_of(form, "email", EMAIL_BOUND).casefold(),
        expires=text_of(form, "expires", 20),
        group=without_spaces(text_of(form, "group", MAX_TAG + 10)),
    )


def without_spaces(text: str) -> str:
    return "".join(text.split())


def lines_of(text: str, email: str) -> list[Entered]:
    """The lines of a paste; `email`: whose the tags are where a line does not say. At most MOST_LINES + 1."""
    lines = [line for line in text.replace("\0", "").splitlines() if line.strip()][: MOST_LINES + 1]
    if not lines:
        return []
    mark = max((",", ";", "\t"), key=lambda mark: sum(mark in line for line in lines))
    found = []
    for number, line in enumerate(lines):
        cells = _cells(line, mark)
        tag, name, owner, expires, group = [" ".join(cell.split()) for cell in (*cells, "", "", "", "", "")][:5]
        if number or tag.casefold() not in HEADS:
            found.append(
                Entered(
                    tag=without_spaces(tag)[: MAX_TAG + 10],
                    name=name[: NAME_BOUND + 1],
                    email=(owner or email)[:EMAIL_BOUND].casefold(),
                    expires=expires[:20],
                    group=without_spaces(group)[: MAX_TAG + 10],
                )
            )
    return found


def _cells(line: str, mark: str) -> list[str]:
    """A line's cells; one that is no CSV is a single cell, in which somebody will see what is wrong."""
    try:
        return next(csv.reader([line], delimiter=mark), [])
    except csv.Error:
        return [line]


async def check(page: PageView, typed: Sequence[Entered], *, new: bool) -> list[Checked]:
    """What is wrong with each, and what it makes. `new`: tags that are known already are wrong."""
    db, scope, now_ms = page.services.db, page.scope, page.services.clock.now_ms()
    keys = [one.tag.casefold() for one in typed]
    known = await tag_list.known(db, scope.organisation_id, [key for key in keys if key]) if new else set()
    owners = await tag_list.owners(db, scope, sorted({one.email for one in typed if one.email}), now_ms)
    zone = zone_of(await organisations.zone_of_scope(db, scope, None))
    found, seen = [], set[str]()
    for number, (one, key) in enumerate(zip(typed, keys, strict=True), 1):
        problems = _problems(page, one)
        if new and key in known:
            problems["tag"] = page._("The organisation has this badge already.")
        if key in seen:
            problems["tag"] = page._("It stands here twice.")
        seen.add(key)
        owner = owners.get(one.email)
        if one.email and owner is None:
            problems["email"] = _no_owner(page)
        if not one.email and scope.location_ids is not None:
            problems["email"] = page._("Say whose it is: a badge of nobody charges at every location.")
        expires_ms = last_ms(one.expires, zone)
        made = NewTag(
            tag=key, name=one.name, person_id=owner.id if owner else None, expires_ms=expires_ms, group_tag=one.group or None
        )  # fmt: skip
        found.append(
            Checked(
                number=number,
                typed=one,
                problems=problems,
                owner=owner.name if owner else "",
                new=None if problems else made,
            )
        )
    return found


def _no_owner(page: PageView) -> str:
    if page.scope.location_ids is None:
        return page._("No member of the organisation has this address.")
    return page._(
        "No user of your locations has this address. Somebody who charges elsewhere too is for a super-admin."
    )


def _problems(page: PageView, one: Entered) -> dict[str, str]:
    found: dict[str, str] = {}
    for field, value in (("tag", one.tag), ("group", one.group)):
        if len(value) > MAX_TAG:
            found[field] = page._("%(bound)s characters at most.", bound=MAX_TAG)
        elif value and not TAG.fullmatch(value):
            found[field] = page._("Only letters, digits and * - _ = : + | @ . # are possible.")
    if not one.tag:
        found["tag"] = page._("Please fill this in.")
    elif one.tag.casefold() in RESERVED:
        found["tag"] = page._("This word cannot be a badge.")
    if len(one.name) > NAME_BOUND:
        found["name"] = page._("%(bound)s characters at most.", bound=NAME_BOUND)
    if one.expires and _day(one.expires) is None:
        found["expires"] = page._("Write the last day as YYYY-MM-DD.")
    return found


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 1970 < day.year < 9000 else None


def last_ms(text: str, zone: Any) -> int | None:
    """The end of a day there; None for no day."""
    day = _day(text)
    if day is None:
        return None
    after = day + timedelta(days=1)
    return round(datetime(after.year, after.month, after.day, tzinfo=zone).timestamp() * 1000)


def day_of(expires_ms: int | None, zone: Any) -> str:
    """The last day that a tag is accepted, for its field."""
    if expires_ms is None:
        return ""
    return datetime.fromtimestamp((expires_ms - 1) / 1000, UTC).astimezone(zone).date().isoformat()
