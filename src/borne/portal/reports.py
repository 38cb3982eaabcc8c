"""Reports of a month: those that come by mail each month, and any month of the last year as a file."""

from __future__ import annotations

from datetime import date
from typing import Any, cast

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from borne.core import policy
from borne.core.consumption import month_before
from borne.core.scope import Scope
from borne.engine import reports as engine
from borne.engine.audit import About as AuditAbout
from borne.engine.notice_mail import zone_of
from borne.engine.report_files import FORMATS, MEDIA_TYPES, Format
from borne.engine.reports import About, Wanted
from borne.portal.forms import Form, number_of, text_of
from borne.portal.frame import Page, PageView
from borne.portal.language import N_
from borne.portal.report_words import month_text
from borne.store import charger_list
from borne.store import reports as store
from borne.store.db import Row

MOST_RULES = 20  # of one person in one organisation
MONTHS_OFFERED = 13
FORMAT_WORDS: dict[Format, tuple[str, str]] = {
    "pdf": ("PDF", N_("to read and to print")),
    "xlsx": ("XLSX", N_("for spreadsheets, a line for each session")),
    "csv": ("CSV", N_("for other programs, a line for each session")),
}


class Subject(msgspec.Struct, frozen=True):
    """What a report may be about. `value`: as forms say it, like "location:3"."""

    value: str
    about: About
    about_id: int | None
    label: str


class Subscription(msgspec.Struct, frozen=True):
    """A report that comes each month."""

    id: int
    label: str
    format: str
    next_ms: int
    sent_ms: int | None
    is_lost: bool  # this person may not have it any more


async def _subjects(page: PageView) -> list[Subject]:
    """Those that this person may have a report about."""
    scope = page.scope
    mine = Subject("person", "person", None, page._("My own sessions"))
    if scope.role == "user":
        return [mine]
    everything = page._("The whole organisation") if scope.location_ids is None else page._("All your locations")
    places = [
        Subject(f"location:{place.id}", "location", place.id, place.name)
        for place in await charger_list.places(page.services.db, scope)
        if policy.may(scope, "manage_reports", place.id)
    ]
    return [Subject("organisation", "organisation", None, everything), *places, mine]


async def _subject(page: PageView, value: str) -> Subject | None:
    return next((one for one in await _subjects(page) if one.value == value), None)


def _format(text: str) -> Format | None:
    return next((one for one in FORMATS if one == text), None)


# ---- the page ------------------------------------------------------------------------------------------------------------


@get("/reports", may="manage_reports")
async def reports(page: Page) -> Response[str]:
    """What comes by mail, and the way to a file at once."""
    return await _show(page)


async def _show(page: PageView, status_code: int = 200, problem: str = "") -> Response[str]:
    subjects = await _subjects(page)
    labels = {(one.about, one.about_id): one.label for one in subjects}
    rules = await store.of_person(page.services.db, page.scope)
    month = await _last_month(page, None)
    months = []
    for _ in range(MONTHS_OFFERED):
        months.append((month.isoformat()[:7], month_text(month, page.formats)))
        month = month_before(month)
    return page.show(
        "reports/index.html",
        status_code,
        subjects=subjects,
        subscriptions=[_subscription(page, rule, labels) for rule in rules],
        formats=[(key, name, page._(says)) for key, (name, says) in FORMAT_WORDS.items()],
        months=months,
        problem=problem,
        email=page.person.email,
    )


def _subscription(page: PageView, rule: Row, labels: dict[tuple[About, int | None], str]) -> Subscription:
    label = labels.get((rule.about, rule.about_id))
    return Subscription(
        id=rule.id,
        label=label or rule.location_name or page._("a location that is gone"),
        format=FORMAT_WORDS[cast(Format, rule.format)][0],
        next_ms=rule.next_ms,
        sent_ms=rule.sent_ms,
        is_lost=label is None,
    )


async def _last_month(page: PageView, location_id: int | None) -> date:
    zone = zone_of(await engine.zone_for(page.services.db, page.scope, location_id))
    return engine.last_month(page.services.clock.now_ms(), zone)


# ---- each month ----------------------------------------------------------------------------------------------------------


@post("/reports", may="manage_reports", status_code=200)
async def subscribe(page: Page, data: Form) -> Response[str]:
    """From the next month on."""
    subject, kind = await _subject(page, text_of(data, "about", 40)), _format(text_of(data, "format", 10))
    if subject is None or kind is None:
        return await _show(page, 422, page._("Choose what it is about, and as what file."))
    db, scope, now_ms = page.services.db, page.scope, page.services.clock.now_ms()
    zone = zone_of(await engine.zone_for(db, scope, subject.about_id))
    next_ms = engine.sent_ms(engine.next_month(engine.last_month(now_ms, zone)), zone)
    async with db.transaction() as tx:
        own = await store.of_person(tx, scope)
        if any((rule.about, rule.about_id, rule.format) == (subject.about, subject.about_id, kind) for rule in own):
            return page.go("/reports", toast=page._("You get this one already."))
        if len(own) >= MOST_RULES:
            said = page.ngettext("%(n)s report at most.", "%(n)s reports at most.", MOST_RULES)
            return page.go("/reports", toast=said)
        rule_id = await store.add(
            tx, scope.organisation_id, scope.person_id, about=subject.about, about_id=subject.about_id, kind=kind,
            next_ms=next_ms, now_ms=now_ms,
        )  # fmt: skip
        await page.services.reports.plan(tx, scope.organisation_id, rule_id, next_ms)
        await page.audit(tx, "report.added", _about(scope, rule_id), label=subject.label, kind=kind)
    return page.go("/reports", toast=page._("It comes on %(day)s for the first time.", day=page.formats.date(next_ms)))


def _about(scope: Scope, rule_id: int) -> AuditAbout:
    return AuditAbout(kind="report", id=rule_id, name=scope.person_name, person_id=scope.person_id)


async def _own(page: PageView, rule_id: int) -> Row:
    row = await store.rule(page.services.db, page.scope.organisation_id, rule_id)
    if row is None or row.person_id != page.scope.person_id:
        raise NotFoundException
    return row


@post("/reports/{report_id:int}/delete", may="manage_reports", status_code=200)
async def unsubscribe(page: Page, report_id: FromPath[int]) -> Response[str]:
    """No more of it."""
    row = await _own(page, report_id)
    async with page.services.db.transaction() as tx:
        if await store.remove(tx, page.scope, report_id):
            await page.audit(tx, "report.removed", _about(page.scope, report_id), kind=row.format)
    return page.go("/reports", toast=page._("It comes no more."))


@post("/reports/{report_id:int}/send", may="manage_reports", status_code=200)
async def send_now(page: Page, report_id: FromPath[int]) -> Response[str]:
    """Last month's, by mail, at once."""
    row = await _own(page, report_id)
    if not engine.may_have(page.scope, row.about, row.about_id):
        raise NotFoundException
    month = await _last_month(page, row.about_id)
    async with page.services.db.transaction() as tx:
        is_new = await page.services.reports.ask(tx, page.scope.organisation_id, report_id, month)
        if is_new:
            details = {"kind": row.format, "month": month.isoformat()[:7]}
            await page.audit(tx, "report.asked", _about(page.scope, report_id), **details)
    said = page._("It is on its way to %(email)s.", email=page.person.email)
    return page.go("/reports", toast=said if is_new else page._("It was sent within this hour already."))


# ---- at once -------------------------------------------------------------------------------------------------------------


@get("/reports/month", may="manage_reports")
async def download(page: Page) -> Response[Any]:
    """A month's report as a file. `month`: like 2026-05; the last one for any other word."""
    asked = page.request.query_params
    subject, kind = await _subject(page, asked.get("about", "")), _format(asked.get("format", ""))
    if subject is None or kind is None:
        return await _show(page, 422, page._("Choose what it is about, and as what file."))
    month = _month(asked.get("month", "")) or await _last_month(page, subject.about_id)
    services = page.services
    wanted = Wanted(subject.about, subject.about_id, month)
    report = await engine.read(services.db, page.scope, wanted, services.clock.now_ms())
    if report is None:
        raise NotFoundException
    document = await services.reports.document(report, page.language, page.person.name)
    content = await services.reports.written(document, kind)
    headers = {"content-disposition": f'attachment; filename="{document.file_name}.{kind}"'}
    return Response(content, media_type=MEDIA_TYPES[kind], headers=headers)


def _month(text: str) -> date | None:
    """The first day of a month like 2026-05."""
    year, _, month = text.partition("-")
    numbers = number_of(year, 4), number_of(month, 2)
    if numbers[0] is None or numbers[1] is None or not (2000 <= numbers[0] < 2200 and 1 <= numbers[1] <= 12):
        return None
    return date(numbers[0], numbers[1], 1)


ROUTES = [reports, subscribe, unsubscribe, send_now, download]
