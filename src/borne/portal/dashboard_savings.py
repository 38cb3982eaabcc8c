"""The tile of the overview that says what charging saved: it reads the sessions of this month and the same days of the last one.

Days that are over change seldom, so their lines are kept for some minutes; those of today are read each time.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import msgspec

from borne.portal.dashboard_figures import months_of
from borne.portal.frame import PageView
from borne.portal.periods import Period
from borne.portal.savings import PUMP_CURRENCY, Line, lines_of, total_of
from borne.portal.statistics import Tile, tile
from borne.portal.statistics_view import local_today
from borne.store import savings as store
from borne.store import statistics
from borne.store.db import Row

OVER_KEPT_S = 300.0
TILE_KEPT_S = 60.0
BOUND = 500


class Saved(msgspec.Struct, frozen=True):
    """The tile as it was made last (None: nothing could be compared), and whether it is fresh enough to stay."""

    tile: Tile | None
    is_fresh: bool


class Kept:
    """What was computed, with when that was; the oldest leaves."""

    def __init__(self) -> None:
        self._values: OrderedDict[Any, tuple[float, Any]] = OrderedDict()

    def get(self, key: Any) -> tuple[float, Any] | None:
        return self._values.get(key)

    def put(self, key: Any, value: Any) -> Any:
        self._values[key] = (time.monotonic(), value)
        self._values.move_to_end(key)
        while len(self._values) > BOUND:
            self._values.popitem(last=False)
        return value


def _kept(page: PageView) -> Kept:
    return cast(Kept, page.request.app.state.dashboard_savings)


def _key(page: PageView) -> Any:
    return ("tile", page.scope.organisation_id, page.scope.location_ids, page.language)


def last_saved(page: PageView) -> Saved:
    """What was said last."""
    found = _kept(page).get(_key(page))
    if found is None:
        return Saved(None, False)
    return Saved(found[1], time.monotonic() - found[0] <= TILE_KEPT_S)


async def savings_tile(page: PageView) -> Tile | None:
    """Against petrol; None where nothing can be compared."""
    tile: Tile | None = _kept(page).put(_key(page), await _made(page))
    return tile


async def _made(page: PageView) -> Tile | None:
    zone, today = await local_today(page, None)
    currencies = await statistics.currencies(page.services.db, page.scope.organisation_id)
    currency = currencies[0] if currencies else PUMP_CURRENCY
    assumed = await store.assumed(page.services.db, page.scope.organisation_id)
    month, before = months_of(today)
    old = await _over(page, Period("", month.first, today), zone, assumed, currency)
    new = await _lines(page, Period("", today, today + timedelta(days=1)), zone, assumed, currency)
    then = await _over(page, Period("", before.first, before.end), zone, assumed, currency)
    return _tile(page, [*old, *new], new, then, currency)


def _tile(
    page: PageView, month: Sequence[Line], today: Sequence[Line], before: Sequence[Line], currency: str
) -> Tile | None:
    saved = total_of(month).saved_nanos
    if saved is None:
        return None
    then, of_today = total_of(before).saved_nanos or 0, total_of(today).saved_nanos or 0
    note = page._("today %(value)s", value=page.formats.money(of_today, currency))
    # A percentage of a loss says nothing.
    return tile(page, page._("Saved against petrol"), page.formats.money(saved, currency), saved, max(0, then), note)


async def _over(page: PageView, period: Period, zone: ZoneInfo, assumed: list[Row], currency: str) -> list[Line]:
    """The lines of days that are over, some minutes old at most; anew at once when something else is assumed."""
    if period.days <= 0:
        return []
    said = max((row.id for row in assumed), default=0)
    key = (page.scope.organisation_id, page.scope.location_ids, period, zone.key, said, currency)
    found = _kept(page).get(key)
    if found is not None and time.monotonic() - found[0] <= OVER_KEPT_S:
        return cast(list[Line], found[1])
    lines: list[Line] = _kept(page).put(key, await _lines(page, period, zone, assumed, currency))
    return lines


async def _lines(page: PageView, period: Period, zone: ZoneInfo, assumed: list[Row], currency: str) -> list[Line]:
    lines, _, _ = await lines_of(page, period, zone, assumed, currency, None)
    return lines
