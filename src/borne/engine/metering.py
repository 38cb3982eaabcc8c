"""Measuring: sessions are computed anew from their samples as readings come, and statistics follow in the same transaction.

The hot path only hands over what it has stored. Each session is measured at most once in `CALM_S`, and at once when it
ends; work is done in small slices, so that the loop that holds the sockets never waits for it. Readings are in the database
before they come here: after a crash those since the last mark are read again, and repeats change nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec.structs import replace

from borne.bus.port import Bus, Hint
from borne.core import metering as rules
from borne.core.metering import SLOT_MS, Measured, Metering, Sample, Slot
from borne.core.savings import against_charging_at_once
from borne.core.session import NO_STOP_RECEIVED
from borne.core.site_meter import SiteSlot
from borne.core.statistics import NOT_COUNTED, Changes, Counted, PricedSlot, day_start_ms
from borne.core.tariff import SlotPrice
from borne.engine.clock import NowMs
from borne.engine.prices import Place
from borne.store import metering as store
from borne.store import settings, vehicles
from borne.store.db import Database, Row, StoreError, Transaction

log = logging.getLogger(__name__)

CALM_S = 15.0  # an open session is measured so often at most
LOOK_S = 1.0
SHARE_S = 0.1  # of each look for open sessions: a tenth of the time at most
SLICE = 8  # sessions a transaction: some milliseconds
WAITING_MOST = 200_000  # readings in memory; beyond that they are read from the database again
READ_MOST = 20_000
SAMPLES_MOST = 3_000  # of a session; one of ten days with a value every five minutes
SAFE_MS = 60_000  # a reading may be committed so long after it was received
MARK = "measured_until_ms"
LATE = "came after the session was closed"
MARK_EVERY_MS = 30_000
ENERGY, INTERVAL, POWER = "energy_import_wh", "energy_import_interval_wh", "power_import_w"
QUANTITIES = frozenset((ENERGY, INTERVAL, POWER))
DAY_MS = 86_400_000
FOR_EVER_MS = 2**62

ReadingRow = tuple[Any, ...]  # as engine.writes.READING_COLUMNS


class Prices(Protocol):
    """What energy cost at a location (engine.prices)."""

    async def of_slots(self, location_id: int, slots: Sequence[int], zone: ZoneInfo) -> dict[int, SlotPrice]:
        """What counts in each slot for which the location has a tariff."""
        ...

    async def priced(
        self, place: Place, slots: Sequence[Slot], before: Sequence[PricedSlot]
    ) -> tuple[tuple[PricedSlot, ...], dict[int, SiteSlot]]:
        """A session's slots with prices and solar share, and what the location's meter says of them."""
        ...


class Meter:
    """Measures sessions. `take` is the only part that the hot path calls."""

    def __init__(self, db: Database, bus: Bus, clock: NowMs, prices: Prices) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock
        self._prices = prices
        self._waiting: list[ReadingRow] = []
        self._missed_from_ms: int | None = None
        self._samples: dict[int, list[Sample]] = {}  # by session, not measured yet
        self._measured_at_s: dict[int, float] = {}
        self._marked_ms = 0
        self._task: asyncio.Task[None] | None = None

    def take(self, rows: list[ReadingRow]) -> None:
        """Readings that were committed. Never blocks, never fails."""
        if len(self._waiting) + len(rows) > WAITING_MOST:
            self._missed_from_ms = min(self._missed_from_ms or rows[0][0], rows[0][0])
            return
        self._waiting += rows

    def start(self) -> None:
        """Begin. Needs a running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="metering")

    async def stop(self) -> None:
        """End; what is not measured yet is read again at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        marked = False
        while True:
            try:
                if not marked:
                    await self._catch_up()
                    marked = True
                await self.once()
                await self._mark_sometimes()
            except StoreError as error:
                log.warning("sessions are measured later: %s", error)
            await asyncio.sleep(LOOK_S)

    async def _catch_up(self) -> None:
        """Read what was stored and perhaps not measured before the last end."""
        marked = await settings.get(self._db, MARK)
        now_ms = self._clock.now_ms()
        if marked is not None:  # the clock may have been set back since: by then it was later, or the mark is
            await self.read_again(min(int(marked), now_ms - SAFE_MS - MARK_EVERY_MS), FOR_EVER_MS)
        await self._mark(now_ms)

    async def read_again(self, from_ms: int, until_ms: int) -> None:
        """Measure what is stored of this stretch of time; what was measured before changes nothing."""
        while True:
            rows = await store.received_between(self._db, from_ms, until_ms, READ_MOST)
            # As in READING_COLUMNS, where the raw text and the context are of no use here.
            await self._gather([(*row[:10], None, row[10], None) for row in rows])
            await self.once(all_of_them=True)
            if len(rows) < READ_MOST:
                return
            # A millisecond that fills a whole page can only be passed by.
            from_ms = rows[-1].received_ms + (rows[0].received_ms == rows[-1].received_ms)

    async def _mark_sometimes(self) -> None:
        """Note until when all that was stored is measured."""
        now_ms = self._clock.now_ms()
        if abs(now_ms - self._marked_ms) >= MARK_EVERY_MS:
            pending = [samples[0].received_ms for samples in self._samples.values()]
            await self._mark(min([now_ms, *pending]))

    async def _mark(self, until_ms: int) -> None:
        self._marked_ms = self._clock.now_ms()
        async with self._db.transaction() as tx:
            await settings.put(tx, MARK, str(until_ms - SAFE_MS))

    async def once(self, all_of_them: bool = False) -> None:
        """Measure what is due: sessions that changed at once, the others in their calm."""
        if self._missed_from_ms is not None:
            from_ms, self._missed_from_ms = self._missed_from_ms - SAFE_MS, None
            await self.read_again(from_ms, self._clock.now_ms())
        rows, self._waiting = self._waiting, []
        await self._gather(rows)
        loop, began_s = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        for ids in _sliced(self._due(all_of_them)):
            if not all_of_them and loop.time() - began_s > SHARE_S:
                break  # a crowd of open sessions is measured less often, and messages of chargers do not wait
            await self._measure(await store.by_ids(self._db, ids))
        while changed := await store.dirty(self._db, SLICE):
            if not await self._measure(changed):
                break

    def _due(self, all_of_them: bool) -> list[int]:
        now_s = asyncio.get_running_loop().time()
        if len(self._measured_at_s) > 4 * len(self._samples) + 1_000:
            self._measured_at_s = {one: at_s for one, at_s in self._measured_at_s.items() if at_s > now_s - CALM_S}
        at_s = self._measured_at_s
        due = [one for one in self._samples if all_of_them or at_s.get(one, -CALM_S) <= now_s - CALM_S]
        return sorted(due, key=lambda one: (at_s.get(one, -CALM_S), one))  # who waited longest first

    # ---- from readings to samples ------------------------------------------------------------------------------------

    async def _gather(self, rows: Sequence[ReadingRow]) -> None:
        """Find each reading's session, and make samples of the readings of an instant."""
        useful = [row for row in rows if row[6] in QUANTITIES and row[7] is not None and row[11] is None]
        if not useful:
            return
        charger_ids = sorted({row[1] for row in useful})
        for some in _sliced(charger_ids, 500):
            chosen = set(some)
            mine = [row for row in useful if row[1] in chosen]
            transactions = sorted({row[5] for row in mine if row[5] is not None})
            from_ms = min((row[0] for row in mine), default=0)
            known = _Known(await store.named(self._db, some, transactions or [""], from_ms))
            for session_id, sample in _samples(mine, known):
                self._samples.setdefault(session_id, []).append(sample)

    # ---- from samples to sessions and sums ---------------------------------------------------------------------------

    async def _measure(self, rows: Sequence[Row]) -> bool:
        """Measure these sessions anew and save them in one transaction; False when somebody else changed one meanwhile."""
        ids = [row.id for row in rows]
        curves, slots = await store.curves(self._db, ids), await store.slots(self._db, ids)
        over = [row for row in rows if row.ended_ms is not None and row.vehicle_id is None]
        used = await vehicles.of_sessions(self._db, over)
        done: list[_Done] = []
        # What was measured has a curve, until that is thrown away: from then on the session is closed.
        late = [await self._late(row, slots.get(row.id, ())) for row in rows if row.measured and row.id not in curves]
        closed = {one.session.id for one in late}
        for row in rows:
            if row.id in closed:
                continue
            samples = _merged(curves.get(row.id, []), self._samples.get(row.id, []))
            done.append(await self._measured(row, samples, slots.get(row.id, ())))
            done[-1].vehicle_id = used.get(row.id, row.vehicle_id)
            await asyncio.sleep(0)
        try:
            async with self._db.transaction() as tx:
                if await store.save_sessions(tx, [one.row() for one in done]) != len(done):
                    raise _Raced
                if await store.save_late(tx, [one.row() for one in late]) != len(late):
                    raise _Raced
                await self._save(tx, done)
                await self._save_late(tx, [one for one in late if one.energy_wh])
        except _Raced:
            return False
        now_s = asyncio.get_running_loop().time()
        for row in [*(one.session for one in done), *(one.session for one in late)]:
            self._samples.pop(row.id, None)
            self._measured_at_s[row.id] = now_s
            self._bus.publish(Hint("session", row.id, row.organisation_id, row.location_id, row.charger_id))
        return True

    async def _late(self, row: Row, slots: Sequence[PricedSlot]) -> _Late:
        """What came late for a session that is closed: by how much it took more than was counted. Less is never believed."""
        now_ms, samples = self._clock.now_ms(), self._samples.get(row.id, [])
        found = rules.measure(metering_of(row), samples).energy_wh
        energy_wh = 0 if found is None or row.energy_wh is None else max(0, found - row.energy_wh)
        slot_ms = now_ms // SLOT_MS * SLOT_MS
        before = next((one for one in slots if one.slot_ms == slot_ms), PricedSlot(slot_ms, 0, 0, 0, 0, None))
        zone = zone_of(row.zone)
        micros, feed_in_micros = before.price_micros, before.feed_in_micros
        if energy_wh and micros is None:
            price = (await self._prices.of_slots(row.location_id, [slot_ms], zone)).get(slot_ms)
            if price is not None:
                micros, feed_in_micros = price.micros, price.feed_in_micros
        sum_wh = before.energy_wh + energy_wh
        after = replace(before, energy_wh=sum_wh, price_micros=micros, feed_in_micros=feed_in_micros)
        return _Late(row, now_ms, energy_wh, before, after, zone)

    async def _measured(self, row: Row, samples: list[Sample], before: tuple[PricedSlot, ...]) -> _Done:
        zone = zone_of(row.zone or row.time_zone)
        found = rules.measure(metering_of(row), samples)
        place = Place(row.organisation_id, row.location_id, zone, row.site_until_ms)
        after, site = await self._prices.priced(place, found.slots, before)
        return _Done(row, samples, found, before, after, zone, site)

    async def _save(self, tx: Transaction, done: Sequence[_Done]) -> None:
        by_organisation: dict[int, Changes] = {}
        for one in done:
            row = one.session
            await store.save_curves(tx, [(row.id, row.organisation_id, one.samples)])
            await store.save_slots(tx, [(row.id, row.organisation_id, one.before, one.after)])
            changes = by_organisation.setdefault(row.organisation_id, Changes())
            before, after = one.counted()
            changes.take(before, after, location_id=row.location_id, charger_id=row.charger_id, zone=one.zone)
        zones = {one.session.location_id: one.zone for one in done}
        for organisation_id, changes in sorted(by_organisation.items()):
            await self._add(tx, organisation_id, changes, zones)

    async def _save_late(self, tx: Transaction, late: Sequence[_Late]) -> None:
        """Book energy in the slot in which it came: a quarter of an hour that was closed is never written again."""
        for one in late:
            row, slot_ms = one.session, one.after.slot_ms
            await store.save_slots(tx, [(row.id, row.organisation_id, [one.before], [one.after])])
            changes = Changes()
            # The slot on both sides: a session is counted where it began, not here.
            before, after = (Counted(row.measured_person_id, (slot,), False) for slot in (one.before, one.after))
            changes.take(before, after, location_id=row.location_id, charger_id=row.charger_id, zone=one.zone)
            await self._add(tx, row.organisation_id, changes, {row.location_id: one.zone})
            await store.add_correction(
                tx, row.organisation_id, row.id, at_ms=one.at_ms, slot_ms=slot_ms, energy_wh=one.energy_wh, why=LATE
            )

    async def _add(
        self, tx: Transaction, organisation_id: int, changes: Changes, zones: Mapping[int, ZoneInfo]
    ) -> None:
        await store.add_changes(tx, organisation_id, changes)
        for location_id, day in sorted(changes.location_days):
            from_ms = day_start_ms(day, zones[location_id])
            until_ms = day_start_ms(day + 1, zones[location_id])
            await store.save_peak(tx, organisation_id, location_id, day, from_ms, until_ms)


class _Raced(Exception):
    """A session changed while it was measured: nothing is kept, and it is measured again."""


class _Done:
    """A session that was measured, and how it was counted before."""

    def __init__(
        self,
        session: Row,
        samples: list[Sample],
        measured: Measured,
        before: tuple[PricedSlot, ...],
        after: tuple[PricedSlot, ...],
        zone: ZoneInfo,
        site: Mapping[int, SiteSlot],
    ) -> None:
        self.session = session
        self.samples = samples
        self.measured = measured
        self.before = before
        self.after = after
        self.zone = zone
        self.site = site
        self.vehicle_id: int | None = session.vehicle_id

    def counted(self) -> tuple[Counted, Counted]:
        row = self.session
        before = Counted(row.measured_person_id, self.before, row.energy_wh is None) if self.before else NOT_COUNTED
        return before, Counted(row.person_id, self.after, self.measured.energy_wh is None)

    def row(self) -> tuple[object, ...]:
        row, found = self.session, self.measured
        is_priced = not any(slot.unpriced_wh for slot in self.after)
        power_w = next((one.power_w for one in reversed(self.samples) if one.power_w is not None), None)
        return (
            row.id, row.organisation_id, row.dirty, row.measured,
            0, row.measured + 1, row.person_id, self.zone.key, row.currency or row.location_currency or "EUR",
            found.start_ms, found.end_ms, found.energy_wh, found.charging_ms, found.peak_w, power_w,
            msgspec.json.encode(found.suspects).decode(),
            sum(slot.cost_nanos for slot in self.after) if is_priced and found.energy_wh is not None else None,
            self.vehicle_id, self._at_once_nanos(),
        )  # fmt: skip

    def _at_once_nanos(self) -> int | None:
        """What a session that is over would have cost at the highest power it reached, from its beginning on."""
        found = self.measured
        if self.session.ended_ms is None or found.energy_wh is None:
            return None
        at_once = against_charging_at_once(found.start_ms, found.end_ms, self.after, found.peak_w, self.site)
        return None if at_once is None else at_once.cost_nanos


class _Late(msgspec.Struct, frozen=True):
    """A session that is closed, and by how much it took more; the slot of now, before and after that."""

    session: Row
    at_ms: int
    energy_wh: int
    before: PricedSlot
    after: PricedSlot
    zone: ZoneInfo

    def row(self) -> tuple[object, ...]:
        row, more_nanos = self.session, self.after.cost_nanos - self.before.cost_nanos
        is_priced = row.cost_nanos is not None and (self.after.price_micros is not None or not self.energy_wh)
        energy_wh = None if row.energy_wh is None else row.energy_wh + self.energy_wh
        cost_nanos = row.cost_nanos + more_nanos if is_priced else None
        return (row.id, row.organisation_id, row.dirty, row.measured, 0, row.measured + 1, energy_wh, cost_nanos)


class _Known:
    """Sessions that readings may belong to. The answer is the same whenever it is asked: readings are read again."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._by_transaction: dict[tuple[int, str], Row] = {}
        self._by_connector: dict[tuple[int, int, int], list[Row]] = {}
        for row in rows:  # oldest first: the newest of a name is meant
            self._by_transaction[row.charger_id, row.transaction] = row
            for connector in {row.connector, 0}:  # in 2.x meter values name the EVSE alone
                self._by_connector.setdefault((row.charger_id, row.evse, connector), []).append(row)

    def of(self, charger_id: int, evse: int, connector: int, transaction: str | None, received_ms: int) -> int | None:
        """The session of a reading: by its transaction, else the one that was open on its connector when it came."""
        if transaction is not None:
            found = self._by_transaction.get((charger_id, transaction))
            if found is not None and not (found.start_missing and found.started_ms > received_ms):
                return int(found.id)
        for row in reversed(self._by_connector.get((charger_id, evse, connector), ())):
            if row.started_ms <= received_ms and (row.ended_ms is None or received_ms <= row.ended_ms):
                return int(row.id)
        return None


def _samples(rows: Iterable[ReadingRow], known: _Known) -> Iterable[tuple[int, Sample]]:
    """Readings of one message and instant become one sample: a total if the charger gives one, else the sum of its phases."""
    found: dict[tuple[int, int, int | None], dict[str, tuple[int | None, int]]] = {}
    for row in rows:
        session_id = known.of(row[1], row[3], row[4], row[5], row[0])
        if session_id is None:
            continue
        values = found.setdefault((session_id, row[0], row[8]), {})
        total, phases = values.get(row[6], (None, 0))
        values[row[6]] = (row[7], phases) if row[9] is None else (total, phases + row[7])
    for (session_id, received_ms, device_ms), values in found.items():
        said = {quantity: phases if total is None else total for quantity, (total, phases) in values.items()}
        yield session_id, Sample(received_ms, device_ms, said.get(ENERGY), said.get(INTERVAL), said.get(POWER))


def _merged(old: list[Sample], new: list[Sample]) -> list[Sample]:
    """All samples, each once. Beyond the bound every other one in between is left out: the ends and the sums stay."""
    if not new:
        return old
    merged = sorted(set(map(msgspec.structs.astuple, [*old, *new])), key=lambda one: (one[0], one[1] or 0, str(one)))
    samples = [Sample(*one) for one in merged]
    if len(samples) > SAMPLES_MOST and all(one.interval_wh is None for one in samples):
        samples = [*samples[: -SAMPLES_MOST // 2 : 2], *samples[-SAMPLES_MOST // 2 :]]
    return samples


def metering_of(row: Row) -> Metering:
    """What core.metering wants to know of a session's row."""
    return Metering(
        started_ms=row.started_ms,
        device_started_ms=row.device_started_ms,
        meter_start_wh=row.meter_start_wh,
        ended_ms=row.ended_ms,
        device_ended_ms=row.device_ended_ms,
        meter_stop_wh=row.meter_stop_wh,
        heard_ms=row.over_ms,
        no_stop=row.end_reason == NO_STOP_RECEIVED,
        no_start=bool(row.start_missing),
    )


@lru_cache(maxsize=1_000)
def zone_of(name: str | None) -> ZoneInfo:
    """The zone of that name; UTC for one that is not known."""
    with contextlib.suppress(ZoneInfoNotFoundError, ValueError):
        return ZoneInfo(name or "UTC")
    return ZoneInfo("UTC")


def _sliced(ids: Sequence[int], size: int = SLICE) -> Iterable[Sequence[int]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))
