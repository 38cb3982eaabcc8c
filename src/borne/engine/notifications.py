"""Notifications: news and troubles become notices, each once for a person and a key, whatever crashes in between.

News are written in the transaction of what they tell of (engine.writes). Here they are taken: the notices they make and their
deletion are one transaction. What is told once it has stood for a while is found by when it began to count: a look reads only the
troubles that crossed a bound since the last one. Until when was looked is kept; where nobody looked for long, Borne was away, and
that time counts as nobody's absence.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from borne.bus.port import Bus, Hint
from borne.core.notifications import (
    AWAY_MS,
    FAULT_STANDS_MS,
    MAIL_GATHER_MS,
    MANY_WITHIN_MS,
    MINUTE_MS,
    OFFLINE_MINUTES,
    RETURN_GRACE_MS,
    Event,
    Recipient,
    left_together,
    reaches,
)
from borne.engine.beside import Beside
from borne.engine.clock import NowMs
from borne.engine.recipients import recipients
from borne.engine.troubles import follow, key_of, many_key
from borne.store import notices as store
from borne.store import troubles
from borne.store.db import Broken, Busy, Corrupt, Database, DiskFull, Row, StoreError, Transaction

log = logging.getLogger(__name__)

LOOK_FOR_NEWS_S = 2.0
LOOK_AT_TROUBLES_S = 20.0
MANY_KNOWN_MS = MANY_WITHIN_MS + 30_000  # after the first has left, all that left with it have been heard of
SLICE = 200  # news or troubles a transaction: some milliseconds

_encode = msgspec.json.Encoder().encode


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What is told, the same to everybody. `details` are words of its time: names, instants, counts."""

    event: Event
    key: str
    location_id: int
    charger_id: int | None
    details: dict[str, Any]


class Notifications(Beside):
    """Runs beside everything else: makes notices. `engine.notice_mail` mails them, the portal shows them."""

    task_name = "notifications"

    def __init__(self, db: Database, bus: Bus, clock: NowMs) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        look_at = loop.time()
        while True:
            try:
                await self.take_news()
                if loop.time() >= look_at:
                    await self.look()
                    look_at = loop.time() + LOOK_AT_TROUBLES_S
            except StoreError as error:
                log.warning("notices wait for the store: %s", error)
            except Exception:
                log.exception("notices could not be made, they are tried again")
            await asyncio.sleep(LOOK_FOR_NEWS_S)

    # ---- news ----------------------------------------------------------------------------------------------------

    async def take_news(self) -> None:
        """React to all news that wait."""
        while rows := await troubles.waiting(self._db, SLICE):
            await self._take(rows)
            if len(rows) < SLICE:
                return

    async def _take(self, rows: Sequence[Row]) -> None:
        """One that cannot be reacted to is dropped, and its neighbours are not."""
        try:
            await self._react(rows)
        except (DiskFull, Busy, Broken, Corrupt):
            raise
        except Exception as error:
            if len(rows) > 1:
                for row in rows:
                    await self._take([row])
                return
            log.exception("news that make no sense are dropped: %s", error)
            async with self._db.transaction() as tx:
                await troubles.drop_news(tx, [rows[0].id])

    async def _react(self, rows: Sequence[Row]) -> None:
        told = _Told(self._clock.now_ms())
        async with self._db.transaction() as tx:
            await follow(tx, [row for row in rows if row.kind == "status"])
            by_organisation: dict[int, list[Row]] = defaultdict(list)
            for row in rows:
                if row.kind == "restart":
                    by_organisation[row.organisation_id].append(row)
            for organisation_id, found in by_organisation.items():
                await _restarts(tx, told, organisation_id, found)
            await told.save(tx)
            await troubles.drop_news(tx, [row.id for row in rows])
        told.hint(self._bus)

    # ---- troubles ------------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Tell of the troubles that crossed a bound since the last look."""
        now_ms = self._clock.now_ms()
        looked_ms = await troubles.looked_ms(self._db)
        if looked_ms is None or not 0 <= now_ms - looked_ms <= AWAY_MS:
            async with self._db.transaction() as tx:
                if looked_ms is not None:
                    await troubles.shift(tx, looked_ms, now_ms, now_ms + RETURN_GRACE_MS)
                await troubles.set_looked(tx, now_ms)
            return
        await self._tell_many(looked_ms, now_ms)
        await self._tell_each("charger_faulted", "fault", FAULT_STANDS_MS, looked_ms, now_ms)
        for minutes in OFFLINE_MINUTES:
            await self._tell_each("charger_offline", "offline", minutes * MINUTE_MS, looked_ms, now_ms)
        async with self._db.transaction() as tx:
            await troubles.set_looked(tx, now_ms)

    async def _tell_each(self, event: Event, kind: str, stood_ms: int, looked_ms: int, now_ms: int) -> None:
        found = await troubles.crossing(self._db, kind, looked_ms - stood_ms, now_ms - stood_ms)
        for start in range(0, len(found), SLICE):
            told = _Told(now_ms)
            async with self._db.transaction() as tx:
                slice_ = found[start : start + SLICE]
                for organisation_id in dict.fromkeys(row.organisation_id for row in slice_):
                    people = await recipients(tx, organisation_id, now_ms)
                    rows = [row for row in slice_ if row.organisation_id == organisation_id]
                    heard = [row for row in rows if _tell_of(told, people, event, row, stood_ms)]
                    await troubles.mark(tx, "told_ms", heard, now_ms)
                await told.save(tx)
            told.hint(self._bus)

    async def _tell_many(self, looked_ms: int, now_ms: int) -> None:
        found = await troubles.crossing(self._db, "offline", looked_ms - MANY_KNOWN_MS, now_ms - MANY_KNOWN_MS)
        firsts: dict[tuple[int, int], list[int]] = defaultdict(list)
        for row in found:
            if row.many_ms is None:
                firsts[row.organisation_id, row.location_id].append(row.counts_from_ms)
        for (organisation_id, location_id), firsts_ms in firsts.items():
            told = _Told(now_ms)
            async with self._db.transaction() as tx:
                for first_ms in dict.fromkeys(firsts_ms):
                    if await _many_in(tx, told, organisation_id, location_id, first_ms):
                        break
                await told.save(tx)
            told.hint(self._bus)


class _Told:
    """The notices of one transaction."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self._rows: dict[tuple[int, str], tuple[Any, ...]] = {}

    def tell(self, person: Recipient, notice: Notice) -> None:
        """Add the notice for a person who hears of the event."""
        wish, scope = person.wish(notice.event), person.scope
        self._rows[scope.person_id, notice.key] = (
            scope.person_id, notice.key, scope.organisation_id, notice.event, self.now_ms, notice.charger_id, notice.location_id,
            _encode(notice.details).decode(), int(wish.in_portal), self.now_ms + MAIL_GATHER_MS if wish.by_mail else None,
        )  # fmt: skip

    async def save(self, tx: Transaction) -> None:
        await store.add(tx, list(self._rows.values()))

    def hint(self, bus: Bus) -> None:
        """Tell the bells of these people, after the commit."""
        for person_id in {person_id for person_id, _ in self._rows}:
            bus.publish(Hint("notices", person_id))


# ---- telling of troubles ---------------------------------------------------------------------------------------------


def _tell_of(told: _Told, people: Sequence[Recipient], event: Event, row: Row, stood_ms: int) -> bool:
    """Tell who wants to hear of a charger that has been in trouble for so long; whether anybody does."""
    details = {"charger": row.charger_name, "location": row.location_name, "since_ms": row.since_ms, "said": row.said}
    key = key_of(row.kind, row.charger_id, row.number)
    notice = Notice(event=event, key=key, location_id=row.location_id, charger_id=row.charger_id, details=details)
    heard = False
    for person in people:
        if not person.hears_of(event, location_id=row.location_id, charger_id=row.charger_id):
            continue
        if event == "charger_offline" and person.wish(event).minutes * MINUTE_MS != stood_ms:
            continue
        if row.many_ms is not None and person.hears_of("many_offline", location_id=row.location_id, charger_id=None):
            continue  # it was among the many
        told.tell(person, notice)
        heard = True
    return heard


async def _many_in(tx: Transaction, told: _Told, organisation_id: int, location_id: int, first_ms: int) -> bool:
    """Tell of a location that many chargers left together from the first on. Those that follow within two minutes belong to
    them. False: those that left were not many."""
    standing = await troubles.standing_in(tx, organisation_id, location_id)
    fresh = [row for row in standing if row.many_ms is None and row.counts_from_ms >= first_ms]
    earlier = [row for row in standing if row.many_ms is not None and row.counts_from_ms <= first_ms]
    if earlier and first_ms - earlier[-1].counts_from_ms <= MANY_WITHIN_MS:
        joined = [row for row in fresh if row.counts_from_ms <= told.now_ms - MANY_WITHIN_MS]
        await troubles.mark(tx, "many_ms", joined, earlier[-1].many_ms)
        return True
    total = await troubles.chargers_in_use(tx, organisation_id, location_id)
    if not left_together([row.counts_from_ms for row in fresh], first_ms, total):
        return False
    left = [row for row in fresh if row.counts_from_ms <= first_ms + MANY_WITHIN_MS]
    people = await recipients(tx, organisation_id, told.now_ms)
    details = {"location": left[0].location_name, "since_ms": left[0].since_ms, "count": len(left), "total": total}
    key = many_key(location_id, first_ms)
    notice = Notice(event="many_offline", key=key, location_id=location_id, charger_id=None, details=details)
    heard = [one for one in people if one.hears_of("many_offline", location_id=location_id, charger_id=None)]
    for person in heard:
        told.tell(person, notice)
    await troubles.mark(tx, "many_ms", left, first_ms)
    if heard:
        await troubles.mark(tx, "told_ms", left, told.now_ms)
    return True


# ---- telling of restarts ---------------------------------------------------------------------------------------------


async def _restarts(tx: Transaction, told: _Told, organisation_id: int, rows: Sequence[Row]) -> None:
    people = await recipients(tx, organisation_id, told.now_ms)
    names = await troubles.names(tx, {row.charger_id for row in rows})
    batches: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        said = msgspec.json.decode(row.details)
        key = f"restart:{said['restart']}"
        name = names.get(row.charger_id)
        if said["what"] == "restart_upgraded":
            await store.end(tx, organisation_id, key, row.at_ms)
        elif said["batch"] is not None:
            batches[said["batch"]].append(row)
        elif name is not None and name.organisation_id == organisation_id:
            details = {
                "charger": name.name,
                "location": name.location_name,
                "restart_id": said["restart"],
                "verdict": said["verdict"],
                "reason": said["reason"],
            }
            notice = Notice(
                event="restart_failed", key=key, location_id=row.location_id, charger_id=row.charger_id, details=details
            )
            for person in _hearing(people, [row]):
                told.tell(person, notice)
    for batch_id, found in batches.items():
        await _batch(tx, told, organisation_id, batch_id, found, people)


async def _batch(
    tx: Transaction, told: _Told, organisation_id: int, batch_id: int, rows: Sequence[Row], people: Sequence[Recipient]
) -> None:
    """One notice a batch, whose counts follow what each person reaches of it."""
    counts = await store.batch_counts(tx, organisation_id, batch_id)
    key = f"batch:{batch_id}"
    again: list[tuple[int, int, str, str]] = []
    for person in _hearing(people, rows):
        mine = [one for one in counts if reaches(person.scope, location_id=one.location_id, charger_id=None)]
        details = {
            "batch_id": batch_id,
            "total": sum(one.restarts for one in mine),
            "failed": sum(one.restarts for one in mine if one.verdict == "failed"),
            "unknown": sum(one.restarts for one in mine if one.verdict == "unknown"),
        }
        where = next(
            row.location_id for row in rows if reaches(person.scope, location_id=row.location_id, charger_id=None)
        )
        told.tell(person, Notice(event="restart_failed", key=key, location_id=where, charger_id=None, details=details))
        again.append((person.scope.person_id, organisation_id, key, _encode(details).decode()))
    await store.set_details(tx, again)  # of those who were told before


def _hearing(people: Iterable[Recipient], rows: Sequence[Row]) -> list[Recipient]:
    """Who hears of failed restarts and reaches one of these."""
    return [
        person
        for person in people
        if any(person.hears_of("restart_failed", location_id=r.location_id, charger_id=r.charger_id) for r in rows)
    ]
