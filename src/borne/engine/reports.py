"""Reports of a month: what an organisation, a location or a person charged, and the mails that bring them each month.

What is read here is numbers and names; the words come from the portal, which wiring hands in (`Compose`). The parts of sessions
that lie in the month, in the time zone of each, add up to the statistics of that month.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, tzinfo
from typing import Literal, get_args

import msgspec

from borne.bus.port import Bus, Hint
from borne.core import policy
from borne.core.consumption import month_before
from borne.core.scope import Scope
from borne.core.statistics import EPOCH, PricedSlot, day_start_ms
from borne.engine.clock import NowMs
from borne.engine.mail import ATTACHMENT_BOUND_BYTES, Attachment, Mail
from borne.engine.notice_mail import zone_of
from borne.engine.report_files import MEDIA_TYPES, Document, Format, write
from borne.engine.visitors import organisations_of, scope_in
from borne.store import jobs, notices, organisations, statistics
from borne.store import locations as location_store
from borne.store import reports as store
from borne.store.db import Database, Reader, Row, Transaction
from borne.store.statistics import Chosen

log = logging.getLogger(__name__)

KIND = "report"
TRIES = 1_000_000  # a report is not given up: with an hour between tries, for ever
MOST_SESSIONS = 20_000  # a file of as many stays well below what a mail may carry
MOST_PLACES = statistics.RANKED
AT_ONCE = 2  # files that are written at the same time
HOUR_OF_DAY = 6  # when reports are sent, local time
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

About = Literal["organisation", "location", "person"]
ABOUTS: tuple[About, ...] = get_args(About)


class Wanted(msgspec.Struct, frozen=True):
    """A report. `about_id`: the location; None for the organisation and for oneself. `month`: its first day."""

    about: About
    about_id: int | None
    month: date


class Sums(msgspec.Struct, frozen=True):
    """Energy, times and costs of some sessions. `sessions`: those that began; `unknown`: those of unknown energy."""

    energy_wh: int
    charging_ms: int
    plugged_ms: int
    cost_nanos: int
    unpriced_wh: int
    sessions: int
    unknown: int


class Line(msgspec.Struct, frozen=True):
    """A line of a table: a day, a location, or a charger (None: it is gone)."""

    key: date | str | None
    sums: Sums


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What of a session lies in the month. Instants are whole; `energy_wh` and what follows is the month's alone."""

    begun_ms: int
    over_ms: int
    is_open: bool
    is_unknown: bool
    is_earlier: bool  # it began before the month
    zone: str
    location: str | None
    charger: str | None
    person: str | None
    tag: str | None
    energy_wh: int
    charging_ms: int
    plugged_ms: int
    cost_nanos: int
    unpriced_wh: int
    currency: str | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A month, read. `name`: of the location or the person, "" for the organisation. `is_whole`: not some locations alone."""

    wanted: Wanted
    organisation: str
    name: str
    is_whole: bool
    made_ms: int
    zone: str
    currencies: tuple[str, ...]  # the one that most sessions have first; never empty
    sums: Sums
    by_day: tuple[Line, ...]
    by_location: tuple[Line, ...]
    by_charger: tuple[Line, ...]
    parts: tuple[Part, ...]
    left_out: bool  # there are more sessions than MOST_SESSIONS


Compose = Callable[[Report, str | None, str], Document]  # report, language, the name of who gets it


class Job(msgspec.Struct, frozen=True):
    """One report to send. `month`: its first day (ISO); `extra`: "" for the monthly one, else what was asked for beside it."""

    organisation_id: int
    rule_id: int
    month: str
    extra: str = ""


# ---- reading -------------------------------------------------------------------------------------------------------------


def next_month(month: date) -> date:
    return month.replace(year=month.year + 1, month=1) if month.month == 12 else month.replace(month=month.month + 1)


def last_month(now_ms: int, zone: tzinfo) -> date:
    """The first day of the month before this one, there."""
    return month_before(_today(now_ms, zone).replace(day=1))


def sent_ms(month: date, zone: tzinfo) -> int:
    """When the report of a month is sent: at six on the first day after it, local time."""
    there = next_month(month)
    return int(datetime(there.year, there.month, there.day, HOUR_OF_DAY, tzinfo=zone).timestamp() * 1_000)


def month_due(next_ms: int) -> date:
    """The month whose report is sent at an instant of `sent_ms`, in whatever zone."""
    return last_month(next_ms + 12 * HOUR_MS, UTC)


def _today(now_ms: int, zone: tzinfo) -> date:
    return datetime.fromtimestamp(now_ms / 1_000, UTC).astimezone(zone).date()


async def zone_for(db: Reader, scope: Scope, about_id: int | None) -> str:
    """The time zone in which a report's month begins and it is sent."""
    return await organisations.zone_of_scope(db, scope, about_id)


def may_have(scope: Scope, about: str, about_id: int | None) -> bool:
    """Whether somebody may have a report about this, plan included."""
    if about == "person":
        return about_id is None and policy.may(scope, "manage_reports")
    if scope.role == "user":
        return False  # of others they see nothing
    if about == "organisation":
        return about_id is None and policy.may(scope, "manage_reports")
    return about == "location" and about_id is not None and policy.may(scope, "manage_reports", about_id)


async def read(db: Database, scope: Scope, wanted: Wanted, now_ms: int) -> Report | None:
    """The report; None when it is about a location that is gone. Ask `may_have` first."""
    location = None
    if wanted.about == "location":
        location = await location_store.row(db, scope, wanted.about_id or 0)
        if location is None:
            return None
    first, end = wanted.month.toordinal() - EPOCH, next_month(wanted.month).toordinal() - EPOCH
    person_id = scope.person_id if wanted.about == "person" else None
    chosen = Chosen(from_day=first, until_day=end, location_id=wanted.about_id, person_id=person_id)
    parts, left_out = await _parts(db, scope, wanted, person_id)
    by_charger = [] if wanted.about == "person" else await statistics.by_charger(db, scope, chosen)
    days = await statistics.by_day(db, scope, chosen)
    names = {"location": location.name if location else "", "person": scope.person_name}
    return Report(
        wanted=wanted,
        organisation=await organisations.name_of(db, scope.organisation_id),
        name=names.get(wanted.about, ""),
        is_whole=scope.location_ids is None,
        made_ms=now_ms,
        zone=await zone_for(db, scope, wanted.about_id),
        currencies=await _currencies(db, scope, parts),
        sums=_sums(await statistics.sums(db, scope, chosen)),
        by_day=tuple(Line(date.fromordinal(row.key + EPOCH), _sums(row)) for row in days),
        by_location=_lines(await statistics.by_location(db, scope, chosen)),
        by_charger=_lines(by_charger),
        parts=tuple(parts),
        left_out=left_out,
    )


def _sums(row: Row) -> Sums:
    return Sums(
        row.energy_wh, row.charging_ms, row.plugged_ms, row.cost_nanos, row.unpriced_wh, row.sessions, row.unknown
    )


def _lines(rows: Sequence[Row]) -> tuple[Line, ...]:
    return tuple(Line(row.name, _sums(row)) for row in rows)


async def _currencies(db: Reader, scope: Scope, parts: Sequence[Part]) -> tuple[str, ...]:
    found = Counter(part.currency for part in parts if part.currency and part.cost_nanos)
    if found:
        return tuple(currency for currency, _ in found.most_common())
    return tuple((await statistics.currencies(db, scope.organisation_id))[:1]) or ("EUR",)


async def _parts(db: Reader, scope: Scope, wanted: Wanted, person_id: int | None) -> tuple[list[Part], bool]:
    """The sessions of the month by their begin, and whether there are more of them."""
    widest_from = day_start_ms(wanted.month.toordinal() - EPOCH, UTC) - DAY_MS
    widest_until = day_start_ms(next_month(wanted.month).toordinal() - EPOCH, UTC) + DAY_MS
    found: list[Part] = []
    after_id = 0
    while len(found) <= MOST_SESSIONS:
        rows = await store.touching(
            db, scope, widest_from, widest_until, location_id=wanted.about_id, person_id=person_id, after_id=after_id
        )
        ids = [row.id for row in rows]
        slots: dict[int, list[PricedSlot]] = {}
        for slot in await store.slots(db, scope.organisation_id, ids, widest_from, widest_until):
            slots.setdefault(slot.session_id, []).append(PricedSlot(*slot[1:]))
        found += [part for row in rows if (part := _part(row, slots.get(row.id, []), wanted.month)) is not None]
        if len(rows) < store.SLICE:
            break
        after_id = ids[-1]
        await asyncio.sleep(0)  # the loop also holds the sockets
    found.sort(key=lambda part: part.begun_ms)
    return found[:MOST_SESSIONS], len(found) > MOST_SESSIONS


def _part(row: Row, slots: Sequence[PricedSlot], month: date) -> Part | None:
    """What of a session lies in the month as it is where it took place; None for nothing."""
    zone = zone_of(row.zone or "UTC")
    from_ms = day_start_ms(month.toordinal() - EPOCH, zone)
    until_ms = day_start_ms(next_month(month).toordinal() - EPOCH, zone)
    inside = [slot for slot in slots if from_ms <= slot.slot_ms < until_ms]
    if not inside:
        return None
    return Part(
        begun_ms=row.begun_ms,
        over_ms=row.over_ms,
        is_open=row.ended_ms is None,
        is_unknown=row.energy_wh is None,
        is_earlier=row.begun_ms < from_ms,
        zone=row.zone or "UTC",
        location=row.location_name,
        charger=row.charger_name,
        person=row.person_name,
        tag=row.tag,
        energy_wh=sum(slot.energy_wh for slot in inside),
        charging_ms=sum(slot.charging_ms for slot in inside),
        plugged_ms=sum(slot.plugged_ms for slot in inside),
        cost_nanos=sum(slot.cost_nanos for slot in inside),
        unpriced_wh=sum(slot.unpriced_wh for slot in inside),
        currency=row.currency,
    )


# ---- sending -------------------------------------------------------------------------------------------------------------


class Reports:
    """Plans and sends the monthly reports. `compose` knows the words (the portal's)."""

    def __init__(self, db: Database, bus: Bus, clock: NowMs, mail: Mail, compose: Compose) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock
        self._mail = mail
        self._compose = compose
        self._room = asyncio.Semaphore(AT_ONCE)

    async def begin(self) -> None:
        """At a start: make sure that every report has its job, also in a database that was restored."""
        after_id = 0
        while rules := await store.all_after(self._db, after_id):
            after_id = rules[-1].id
            async with self._db.transaction() as tx:
                for rule in rules:
                    await self.plan(tx, rule.organisation_id, rule.id, rule.next_ms)
        self._bus.publish(Hint("job", 0))

    async def plan(self, tx: Transaction, organisation_id: int, rule_id: int, next_ms: int) -> None:
        """Send the report that is due at this instant, once."""
        job = Job(organisation_id, rule_id, month_due(next_ms).isoformat())
        key = f"{rule_id} {job.month}"
        payload = msgspec.json.encode(job).decode()
        await jobs.enqueue(tx, KIND, payload, next_ms, idempotency_key=key, max_attempts=TRIES)

    async def ask(self, tx: Transaction, organisation_id: int, rule_id: int, month: date) -> bool:
        """Send a month's report now. False: that was asked for within this hour."""
        now_ms = self._clock.now_ms()
        job = Job(organisation_id, rule_id, month.isoformat(), extra=str(now_ms // HOUR_MS))
        key = f"{rule_id} {job.month} {job.extra}"
        is_new = await jobs.enqueue(tx, KIND, msgspec.json.encode(job).decode(), now_ms, idempotency_key=key)
        self._bus.publish(Hint("job", 0))
        return is_new

    async def send(self, payload: str) -> None:
        """The job: plan the next one, then mail this one. Whoever has lost access, or whose plan has no reports, gets none."""
        job = msgspec.json.decode(payload, type=Job)
        rule = await store.rule(self._db, job.organisation_id, job.rule_id)
        if rule is None:
            return
        month, now_ms = date.fromisoformat(job.month), self._clock.now_ms()
        scope, row = await self._who(rule, now_ms)
        if not job.extra:
            await self._plan_next(rule, month, scope)
        if scope is None or row is None or not may_have(scope, rule.about, rule.about_id):
            log.info("report %s is not sent: its reader may not have it any more", rule.id)
            return
        report = await read(self._db, scope, Wanted(rule.about, rule.about_id, month), now_ms)
        if report is None:
            return
        document = await self.document(report, row.language, row.name)
        content = await self.written(document, rule.format)
        attachment = Attachment(f"{document.file_name}.{rule.format}", MEDIA_TYPES[rule.format], content)
        key = f"report {rule.id} {job.month} {job.extra}"
        async with self._db.transaction() as tx:
            await self._mail.enqueue(
                tx, recipient=row.email, subject=document.subject, body=document.body, key=key, attachment=attachment
            )
            await store.mark_sent(tx, rule.organisation_id, rule.id, now_ms)

    async def document(self, report: Report, language: str | None, name: str) -> Document:
        """The report in words."""
        return await asyncio.to_thread(self._compose, report, language, name)

    async def written(self, document: Document, kind: Format) -> bytes:
        """The document as a file, small enough for a mail: with half the sessions, until it is."""
        while True:
            async with self._room:
                content = await asyncio.to_thread(write, document, kind)
            if len(content) <= ATTACHMENT_BOUND_BYTES or not document.sheet.rows:
                return content
            document = document.with_sessions(len(document.sheet.rows) // 2)

    async def _who(self, rule: Row, now_ms: int) -> tuple[Scope | None, Row | None]:
        """What the reader reaches now, and their row (store.notices.listener); None for both when that is nothing."""
        row = await notices.listener(self._db, rule.person_id, rule.organisation_id, now_ms)
        found = await organisations_of(self._db, rule.person_id, False, now_ms)
        one = next((one for one in found if one.id == rule.organisation_id), None)
        if row is None or one is None:
            return None, None
        return await scope_in(self._db, rule.person_id, row.name, one), row

    async def _plan_next(self, rule: Row, month: date, scope: Scope | None) -> None:
        """The month after: first, so that a report that cannot be made stops none of the later ones."""
        zone = zone_of(await zone_for(self._db, scope, rule.about_id) if scope is not None else "UTC")
        next_ms = sent_ms(next_month(month), zone)
        async with self._db.transaction() as tx:
            await store.plan(tx, rule.organisation_id, rule.id, next_ms)
            await self.plan(tx, rule.organisation_id, rule.id, next_ms)
        self._bus.publish(Hint("job", 0))
