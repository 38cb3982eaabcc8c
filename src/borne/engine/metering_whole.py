"""A session that was measured from everything known of it, or that got something late: how it is kept, and how it is counted."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from borne.core.metering import Measured, Metering, Sample
from borne.core.metering_fold import Fold
from borne.core.savings import against_charging_at_once
from borne.core.session import NO_STOP_RECEIVED
from borne.core.site_meter import SiteSlot
from borne.core.statistics import NOT_COUNTED, Counted, PricedSlot
from borne.core.tariff import EnergyPrice
from borne.store.db import Row


class Whole:
    """A session that was measured, and how it was counted before. `fold` follows it, if it goes on in the plain way."""

    def __init__(
        self,
        session: Row,
        samples: list[Sample],
        measured: Measured,
        fold: Fold | None,
        before: tuple[PricedSlot, ...],
        after: tuple[PricedSlot, ...],
        site: Mapping[int, SiteSlot],
    ) -> None:
        self.session = session
        self.samples = samples
        self.measured = measured
        self.fold = fold
        self.before = before
        self.after = after
        self.site = site
        self.zone = zone_of(session.zone or session.time_zone)
        self.tariffs: Sequence[EnergyPrice] = ()  # of its location, when it was priced
        self.vehicle_id: int | None = session.vehicle_id

    def counted(self) -> tuple[Counted, Counted]:
        """How it was counted before, and is now."""
        row = self.session
        before = Counted(row.measured_person_id, self.before, row.energy_wh is None) if self.before else NOT_COUNTED
        return before, Counted(row.person_id, self.after, self.measured.energy_wh is None)

    def row(self) -> tuple[object, ...]:
        """As store.metering.save_sessions wants it."""
        row, found = self.session, self.measured
        return (
            row.id, row.organisation_id, row.dirty, row.measured,
            0, row.measured + 1, row.person_id, self.zone.key, row.currency or row.location_currency or "EUR",
            found.start_ms, found.end_ms, found.energy_wh, found.charging_ms, found.peak_w, found.power_w,
            msgspec.json.encode(found.suspects).decode(),
            None if found.energy_wh is None else cost_of(self.after),
            self.vehicle_id, self._at_once_nanos(),
        )  # fmt: skip

    def _at_once_nanos(self) -> int | None:
        """What a session that is over would have cost at the highest power it reached, from its beginning on."""
        found = self.measured
        if self.session.ended_ms is None or found.energy_wh is None:
            return None
        at_once = against_charging_at_once(found.start_ms, found.end_ms, self.after, found.peak_w, self.site)
        return None if at_once is None else at_once.cost_nanos


class Late(msgspec.Struct, frozen=True):
    """A session that is closed, and by how much it took more; the slot of now, before and after that."""

    session: Row
    at_ms: int
    energy_wh: int
    before: PricedSlot
    after: PricedSlot
    zone: ZoneInfo

    def row(self) -> tuple[object, ...]:
        """As store.metering.save_late wants it."""
        row, more_nanos = self.session, self.after.cost_nanos - self.before.cost_nanos
        is_priced = row.cost_nanos is not None and (self.after.price_micros is not None or not self.energy_wh)
        energy_wh = None if row.energy_wh is None else row.energy_wh + self.energy_wh
        cost_nanos = row.cost_nanos + more_nanos if is_priced else None
        return (row.id, row.organisation_id, row.dirty, row.measured, 0, row.measured + 1, energy_wh, cost_nanos)


def cost_of(slots: Sequence[PricedSlot]) -> int | None:
    """What slots cost together; None: some of their energy has no price."""
    return None if any(slot.unpriced_wh for slot in slots) else sum(slot.cost_nanos for slot in slots)


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
