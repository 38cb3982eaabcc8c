"""Measuring: readings find their sessions, sessions are measured as readings come, statistics follow in the same transaction.

The hot path only hands over what it has stored. An open session that goes on in order is followed; whatever else happens, it is
measured anew from all its samples. Work is done in small slices with rests between them, so that the loop that holds the sockets
never waits for it: few open sessions are measured at once, a crowd of them in turn. Readings are in the database before they come
here: after a crash those since the last mark are read again, and repeats change nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from borne.bus.port import Bus, Hint
from borne.core import metering as rules
from borne.core.metering import Sample
from borne.core.metering_fold import fold
from borne.core.metering_slots import SLOT_MS
from borne.core.statistics import PricedSlot
from borne.engine.beside import Beside
from borne.engine.clock import NowMs
from borne.engine.metering_curves import FEW, WRITTEN_EVERY_S, Curves, within_bound
from borne.engine.metering_follow import Followed, Following
from borne.engine.metering_match import ReadingRow, matched
from borne.engine.metering_save import Raced, save
from borne.engine.metering_whole import Late, Whole, metering_of, zone_of
from borne.engine.prices import Place, Prices
from borne.store import metering as store
from borne.store import settings, vehicles
from borne.store.db import Broken, Busy, Database, DiskFull, Row, StoreError

log = logging.getLogger(__name__)

LOOK_S = 1.0  # at least so often it looks for sessions that changed
REST_S = 0.1  # at least, after each look: readings that come together are measured together
RESTS = 9  # times what a look took: a tenth of the time at most is for measuring
SHARE_S = 0.02  # of a look, for open sessions; who waits longest goes first
CURVES_SHARE = 0.25  # of that, for curves that wait to be written
PUT_OFF_S = 60.0  # a session that could not be measured
CALM_S = 1.0  # an open session is measured so often at most
SLICE, WHOLE_SLICE = 32, 8  # sessions a transaction that are followed, or measured anew: some milliseconds
WAITING_MOST = 200_000  # readings in memory; beyond that they are read from the database again
READ_MOST = 20_000
SAFE_MS = 60_000  # a reading may be committed so long after it was received
MARK = "measured_until_ms"
MARK_EVERY_MS = 30_000
FOR_EVER_MS = 2**62


class Meter(Beside):
    """Measures sessions. `take` is the only part that the hot path calls. What is not measured at its end is read again."""

    task_name = "metering"

    def __init__(self, db: Database, bus: Bus, clock: NowMs, prices: Prices) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock
        self._prices = prices
        self._waiting: list[ReadingRow] = []
        self._missed_from_ms: int | None = None
        self._woken = asyncio.Event()
        self._samples: dict[int, list[Sample]] = {}  # by session, not measured yet; who waits longest is the first
        self._measured_at_s: dict[int, float] = {}
        self._put_off_s: dict[int, float] = {}  # by session: until when
        self._following = Following()
        self._curves = Curves(db)
        self._marked_ms = 0

    def take(self, rows: list[ReadingRow]) -> None:
        """Readings that were committed. Never blocks, never fails."""
        self._woken.set()
        if len(self._waiting) + len(rows) > WAITING_MOST:
            self._miss(row[0] for row in rows)
        else:
            self._waiting += rows

    def _miss(self, received_ms: Iterable[int]) -> None:
        """What was received since then is to be read from the database."""
        known = () if self._missed_from_ms is None else (self._missed_from_ms,)
        self._missed_from_ms = min((*known, *received_ms), default=None)

    # ---- when --------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        loop, has_caught_up = asyncio.get_running_loop(), False
        while True:
            began_s = loop.time()
            try:
                if not has_caught_up:
                    await self._catch_up()
                    has_caught_up = True
                await self.once(share_s=SHARE_S)
                await self._mark_sometimes()
            except StoreError as error:
                log.warning("sessions are measured later: %s", error)
            except Exception:
                log.exception("sessions could not be measured, they are tried again")
            await asyncio.sleep(rest_s(loop.time() - began_s))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), LOOK_S)
            self._woken.clear()

    async def _catch_up(self) -> None:
        """Read what was stored and perhaps not measured before the last end."""
        marked = await settings.get(self._db, MARK)
        now_ms = self._clock.now_ms()
        if marked is None:
            await self._mark(now_ms)
        else:  # the clock may have been set back since: by then it was later, or the mark is
            await self._read(min(int(marked), now_ms - SAFE_MS - MARK_EVERY_MS), FOR_EVER_MS)

    async def read_again(self, from_ms: int, until_ms: int) -> None:
        """Measure what is stored of this stretch of time; what was measured before changes nothing."""
        await self._read(from_ms, until_ms)
        await self.once(all_of_them=True)

    async def _read(self, from_ms: int, until_ms: int) -> None:
        """Gather readings from the database. All of them before a session is measured, as far as there is room."""
        gathered = 0
        while True:
            rows = await store.received_between(self._db, from_ms, until_ms, READ_MOST)
            is_last = len(rows) < READ_MOST
            if not is_last and rows[0].received_ms < rows[-1].received_ms:
                # What was said at the last instant may not be here as a whole.
                rows = [row for row in rows if row.received_ms < rows[-1].received_ms]
            # As in READING_COLUMNS, where the raw text and the context are of no use here.
            await self._gather([(*row[:10], None, row[10], None) for row in rows])
            if is_last:
                return
            gathered, from_ms = gathered + len(rows), rows[-1].received_ms + 1
            if gathered >= WAITING_MOST:
                await self.once(all_of_them=True)
                gathered = 0

    async def _mark_sometimes(self) -> None:
        """Note until when all that was stored is measured."""
        now_ms = self._clock.now_ms()
        if abs(now_ms - self._marked_ms) >= MARK_EVERY_MS:
            await self._mark(min((now_ms, *self._pending_ms())))

    def _pending_ms(self) -> Iterator[int]:
        """When was received what is here alone: not measured, or not in its curve."""
        yield from (row[0] for row in self._waiting)
        yield from (one.received_ms for samples in self._samples.values() for one in samples)
        for at_ms in (self._missed_from_ms, self._curves.oldest_ms):
            if at_ms is not None:
                yield at_ms

    async def _mark(self, until_ms: int) -> None:
        self._marked_ms = self._clock.now_ms()
        async with self._db.transaction() as tx:
            await settings.put(tx, MARK, str(until_ms - SAFE_MS))

    # ---- what --------------------------------------------------------------------------------------------------------

    async def once(self, all_of_them: bool = False, share_s: float = math.inf) -> None:
        """Measure what is due: sessions that changed at once, open ones in their calm, and for `share_s` at most."""
        await self._take_in()
        now_s = asyncio.get_running_loop().time
        enough_s = now_s() + share_s
        for ids in self._slices(self._due(all_of_them)):
            await self._measure_open(ids)
            if now_s() >= enough_s:
                self._woken.set()
                break
        last_id = 0
        while changed := await store.dirty(self._db, WHOLE_SLICE, last_id):
            last_id = changed[-1].id
            await self._measure_apart(changed)
        patience_s = 0.0 if len(self._following) <= FEW else WRITTEN_EVERY_S
        await self.write_curves(self._curves.due(now_s() - patience_s), share_s * CURVES_SHARE)

    async def write_curves(self, session_ids: Sequence[int], share_s: float = math.inf) -> None:
        """Write what waits for the curves of these sessions, in the order and for the time given."""
        now_s = asyncio.get_running_loop().time
        enough_s = now_s() + share_s
        for start in range(0, len(session_ids), WHOLE_SLICE):
            for thinned in await self._curves.write(session_ids[start : start + WHOLE_SLICE]):
                self._following.take(thinned)
            if now_s() >= enough_s:
                break

    async def _take_in(self) -> None:
        """Gather what waits, and what there was no room for; if that fails it is read from the database later."""
        rows, self._waiting = self._waiting, []
        missed_ms, self._missed_from_ms = self._missed_from_ms, None
        try:
            if missed_ms is not None:
                await self._read(missed_ms - SAFE_MS, self._clock.now_ms())
            await self._gather(rows)
        except StoreError:
            self._miss([*(row[0] for row in rows), *(() if missed_ms is None else (missed_ms,))])
            raise

    async def _gather(self, rows: Sequence[ReadingRow]) -> None:
        for session_id, sample in await matched(self._db, rows):
            self._samples.setdefault(session_id, []).append(sample)

    def _due(self, all_of_them: bool) -> list[int]:
        before_s, at_s = asyncio.get_running_loop().time() - CALM_S, self._measured_at_s
        if len(at_s) > 4 * len(self._samples) + 1_000:
            at_s = self._measured_at_s = {one: when_s for one, when_s in at_s.items() if when_s > before_s}
        return [one for one in self._samples if all_of_them or at_s.get(one, -math.inf) <= before_s]

    def _slices(self, ids: Iterable[int]) -> Iterator[list[int]]:
        some: list[int] = []
        weight = 0
        for one in ids:
            some.append(one)
            weight += 1 if one in self._following else SLICE // WHOLE_SLICE
            if weight >= SLICE:
                yield some
                some, weight = [], 0
        if some:
            yield some

    async def _measure_open(self, ids: Sequence[int]) -> None:
        for one in ids:  # behind the others, in case it fails
            self._samples[one] = self._samples.pop(one)
        rows = await store.by_ids(self._db, ids)
        await self._measure_apart(rows)
        for gone in {*ids} - {row.id for row in rows}:
            self._samples.pop(gone, None)

    async def _measure_apart(self, rows: Sequence[Row]) -> None:
        """Measure these together, or if that fails each by itself: one that cannot be measured is put off, the others wait for
        nothing. Raises StoreError where it is the database that fails."""
        now_s = asyncio.get_running_loop().time()
        rows = [row for row in rows if self._put_off_s.get(row.id, now_s) <= now_s]
        try:
            await self._measure(rows)
        except (Busy, DiskFull, Broken):
            raise
        except Exception:
            if len(rows) > 1:
                for row in rows:
                    await self._measure_apart([row])
                return
            log.exception("session %d could not be measured, it is tried again in a minute", rows[0].id)
            self._put_off_s = {one: until_s for one, until_s in self._put_off_s.items() if until_s > now_s}
            self._put_off_s[rows[0].id] = now_s + PUT_OFF_S

    async def _measure(self, rows: Sequence[Row]) -> None:
        """Measure these sessions and save them in one transaction; at the next look where somebody changed one meanwhile."""
        followed = [one for row in rows if (one := await self._follow(row)) is not None]
        if len(self._following) + len(followed) <= FEW:
            await self._curves.complete(followed)
        known = {one.session.id for one in followed}
        whole, late = await self._anew([row for row in rows if row.id not in known])
        try:
            async with self._db.transaction() as tx:
                await save(tx, whole, followed, late)
        except Raced:
            return
        now_s = asyncio.get_running_loop().time()
        for done in whole:
            self._curves.forget(done.session.id)
            self._following.begin(done)
        for going in followed:
            self._curves.add(going, now_s)
            self._following.go_on(going)
        for row in rows:
            self._samples.pop(row.id, None)
            self._measured_at_s[row.id] = now_s
            self._bus.publish(Hint("session", row.id, row.organisation_id, row.location_id, row.charger_id))

    # ---- an open session that goes on --------------------------------------------------------------------------------

    async def _follow(self, row: Row) -> Followed | None:
        """The session with its new samples, if they simply go on; None: it wants to be measured anew."""
        kept, samples = self._following.take(row.id), self._samples.get(row.id, [])
        if kept is None or not kept.goes_on(row, samples):
            return None
        if not kept.is_settled and not kept.is_priced_by(await self._prices.of_location(row.location_id)):
            return None
        after, _ = await self._prices.priced(_place(row), kept.fold.slots, kept.slots)
        return Followed(row, kept, samples, after)

    # ---- anew --------------------------------------------------------------------------------------------------------

    async def _anew(self, rows: Sequence[Row]) -> tuple[list[Whole], list[Late]]:
        ids = [row.id for row in rows]
        curves, slots = await store.curves(self._db, ids), await store.slots(self._db, ids)
        used = await vehicles.of_sessions(
            self._db, [row for row in rows if row.ended_ms is not None and row.vehicle_id is None]
        )
        whole: list[Whole] = []
        late: list[Late] = []
        for row in rows:
            before = slots.get(row.id, ())
            if row.measured and row.id not in curves:
                # What was measured has a curve, until that is thrown away: from then on the session is closed.
                late.append(await self._late(row, before))
                continue
            samples = self._curves.whole(curves, row.id, self._samples.get(row.id, ()))
            whole.append(await self._measured(row, within_bound(samples), before))
            whole[-1].vehicle_id = used.get(row.id, row.vehicle_id)
            await asyncio.sleep(0)
        return whole, late

    async def _measured(self, row: Row, samples: list[Sample], before: tuple[PricedSlot, ...]) -> Whole:
        tariffs = await self._prices.of_location(row.location_id)
        found, follows = fold(metering_of(row), samples)
        after, site = await self._prices.priced(_place(row), found.slots, before)
        whole = Whole(row, samples, found, follows, before, after, site)
        whole.tariffs = tariffs
        return whole

    async def _late(self, row: Row, slots: Sequence[PricedSlot]) -> Late:
        """What came late for a session that is closed: by how much it took more than was counted. Less is never believed."""
        now_ms, samples = self._clock.now_ms(), self._samples.get(row.id, [])
        found = rules.measure(metering_of(row), samples).energy_wh
        energy_wh = 0 if found is None or row.energy_wh is None else max(0, found - row.energy_wh)
        slot_ms = now_ms // SLOT_MS * SLOT_MS
        before = next((one for one in slots if one.slot_ms == slot_ms), PricedSlot(slot_ms, 0, 0, 0, 0, None))
        zone = zone_of(row.zone)
        after = replace(before, energy_wh=before.energy_wh + energy_wh)
        if energy_wh and before.price_micros is None:
            price = (await self._prices.of_slots(row.location_id, [slot_ms], zone)).get(slot_ms)
            if price is not None:
                after = replace(
                    after,
                    price_micros=price.micros,
                    feed_in_micros=price.feed_in_micros,
                    is_provisional=int(price.is_provisional),
                )
        return Late(row, now_ms, energy_wh, before, after, zone)


def rest_s(took_s: float) -> float:
    """How long to rest after a look that took so long."""
    return min(LOOK_S, max(REST_S, RESTS * took_s))


def _place(row: Row) -> Place:
    return Place(row.organisation_id, row.location_id, zone_of(row.zone or row.time_zone), row.site_until_ms)
