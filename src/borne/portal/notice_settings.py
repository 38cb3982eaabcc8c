"""What a person hears of in an organisation, where, and when not."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec
from litestar import Response, get, post

from borne.core.notifications import DEFAULT_MINUTES, OFFLINE_MINUTES, Event, Wish, offered, wish
from borne.engine.audit import About
from borne.engine.recipients import wish_of
from borne.portal.forms import Form, number_of, text_of
from borne.portal.frame import Page
from borne.portal.location_form import zones
from borne.portal.notice_words import EVENTS
from borne.store import notices as store

CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::00)?")
BY_MINUTES: Event = "charger_offline"


class Quiet(msgspec.Struct, frozen=True):
    """The quiet hours as they stand in the form: `HH:MM`, and the name of a time zone."""

    start: str = ""
    until: str = ""
    zone: str = ""


@get("/notices/settings", may="see_notices")
async def settings(page: Page) -> Response[str]:
    """The page of wishes."""
    scope, db = page.scope, page.services.db
    own = {rule.event: wish_of(rule) for rule in await store.rules(db, scope.organisation_id, scope.person_id)}
    wishes = {event: wish(scope.role, event, own.get(event)) for event in offered(scope.role)}
    row = await store.quiet_of(db, scope.person_id)
    quiet = (
        Quiet(_clock(row.quiet_from_minute), _clock(row.quiet_until_minute), row.time_zone or "") if row else Quiet()
    )
    return await _show(page, wishes, quiet, {})


@post("/notices/settings", may="see_notices")
async def save(page: Page, data: Form) -> Response[str]:
    """Keep what differs from the defaults of the role, and the quiet hours."""
    scope, services = page.scope, page.services
    wishes = {event: _wish(data, event) for event in offered(scope.role)}
    quiet = Quiet(text_of(data, "quiet_from", 10), text_of(data, "quiet_until", 10), text_of(data, "zone", 60))
    known = await asyncio.to_thread(zones)
    found = _problems(page, quiet, known)
    if found:
        return await _show(page, wishes, quiet, found, 422)
    rules = [
        (event, int(one.in_portal), int(one.by_mail), one.minutes if event == BY_MINUTES else None)
        for event, one in wishes.items()
        if one != wish(scope.role, event, None)
    ]
    zone = known.get(quiet.zone.casefold(), "UTC")
    async with services.db.transaction() as tx:
        before = await store.rules(tx, scope.organisation_id, scope.person_id)
        await store.set_rules(tx, scope.person_id, scope.organisation_id, rules)
        await store.set_quiet(
            tx, scope.person_id, zone=zone, from_minute=_minute(quiet.start), until_minute=_minute(quiet.until)
        )
        about = About(kind="person", id=scope.person_id, name=scope.person_name, person_id=scope.person_id)
        was = [[rule.event, rule.in_portal, rule.by_mail, rule.minutes] for rule in before]
        await page.audit(tx, "person.notices_changed", about, before=was, after=[list(rule) for rule in rules])
    return page.go("/notices/settings", toast=page._("Saved."))


async def _show(
    page: Page, wishes: dict[Event, Wish], quiet: Quiet, found: dict[str, str], status_code: int = 200
) -> Response[str]:
    context: dict[str, Any] = {
        "wishes": [(event, *EVENTS[event], one) for event, one in wishes.items()],
        "by_minutes": BY_MINUTES,
        "minutes": [(one, page.formats.duration(one * 60_000)) for one in OFFLINE_MINUTES],
        "quiet": quiet,
        "problems": found,
        "zones": (await asyncio.to_thread(zones)).values(),
    }
    return page.show("notices/settings.html", status_code, **context)


def _wish(data: Form, event: Event) -> Wish:
    asked = number_of(text_of(data, "minutes")) if event == BY_MINUTES else None
    minutes = asked if asked in OFFLINE_MINUTES else DEFAULT_MINUTES
    return Wish(text_of(data, f"{event}_portal") == "1", text_of(data, f"{event}_mail") == "1", minutes)


def _problems(page: Page, quiet: Quiet, known: dict[str, str]) -> dict[str, str]:
    """What is wrong, by field."""
    found: dict[str, str] = {}
    for name, text, other in (("quiet_from", quiet.start, quiet.until), ("quiet_until", quiet.until, quiet.start)):
        if text and _minute(text) is None:
            found[name] = page._("A time of the day, like 22:00.")
        elif other and not text:
            found[name] = page._("Quiet hours have a beginning and an end. Leave both empty for none.")
    if not found and quiet.start and quiet.start == quiet.until:
        found["quiet_until"] = page._("They would end as they begin. Leave both empty for none.")
    if quiet.zone and quiet.zone.casefold() not in known:
        found["zone"] = page._("Choose a time zone from the list, like Europe/Paris.")
    return found


def _minute(text: str) -> int | None:
    """Minutes after midnight of `HH:MM`; None for anything else."""
    match = CLOCK.fullmatch(text)
    return int(match[1]) * 60 + int(match[2]) if match and text.isascii() else None


def _clock(minute: int | None) -> str:
    return "" if minute is None else f"{minute // 60:02}:{minute % 60:02}"


ROUTES = [settings, save]
