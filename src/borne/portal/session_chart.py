"""The chart of a session: what it drew over time, against the limit that its charger offered or its model has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from borne.core import metering
from borne.core.metering import Curve, Sample
from borne.core.models import model_of
from borne.core.session_limits import FLOWS_MA, Limit, Offer, of_model, offered, over_ms
from borne.engine.metering_whole import metering_of
from borne.portal import line_chart
from borne.portal.frame import PageView
from borne.portal.instants import Clock
from borne.portal.line_chart import LineChart, Plot
from borne.store import session_readings
from borne.store.db import Reader, Row

T = TypeVar("T")
SHORT = 300  # samples that are drawn in some milliseconds; more are drawn on a thread
LOOKED_AT = 240  # messages of a session in which an offer is looked for
TOLD_OVER_MS = 60_000  # a minute above the limit is worth a sentence


class Chart(msgspec.Struct, frozen=True):
    """`drawn` None: nothing to draw. `limit` and `over` are sentences, "" for none."""

    drawn: LineChart | None
    plot: str
    limit: str
    over: str


async def of_session(page: PageView, row: Row, samples: list[Sample], clock: Clock, zone: str) -> Chart:
    """Everything that the page shows of a session over time."""
    run = asyncio.to_thread if len(samples) > SHORT else _at_once
    curve = await run(metering.curve, metering_of(row), samples)
    limit = await _limit(page.services.db, row, samples, curve)
    return await run(_chart, page, row, curve, limit, clock, zone)


async def _at_once(work: Callable[..., T], *of: Any) -> T:
    return work(*of)


def _chart(page: PageView, row: Row, curve: Curve, limit: Limit | None, clock: Clock, zone: str) -> Chart:
    drawn = line_chart.draw(curve, clock, limit)
    return Chart(
        drawn=drawn,
        plot=_plot(page, line_chart.plot(curve, limit), zone) if drawn else "",
        limit=_about(page, row, limit),
        over=_over(page, limit, curve),
    )


# ---- the limit -----------------------------------------------------------------------------------------------------------


async def _limit(db: Reader, row: Row, samples: Sequence[Sample], curve: Curve) -> Limit | None:
    peak_w = max((power_w for _, power_w in curve.powers), default=row.peak_w)
    instants = list(dict.fromkeys(sample.received_ms for sample in samples))
    step = -(-len(instants) // LOOKED_AT) or 1
    chosen = [*instants[::step], *instants[-1:]]
    told = offered(_offers(await session_readings.offers(db, row, sorted(set(chosen)))), peak_w)
    return told or of_model(model_of(row.model), peak_w, curve.start_ms)


def _offers(rows: Sequence[Row]) -> list[Offer]:
    """What came in one message, with what was measured beside it."""
    messages: dict[int, list[Row]] = {}
    for row in rows:
        messages.setdefault(row.received_ms, []).append(row)
    found = []
    for received_ms, some in messages.items():
        said: dict[str, list[int]] = {}
        for row in some:
            said.setdefault(row.quantity, []).append(row.value)
        powers, currents = said.get("power_offered_w", []), said.get("current_offered_ma", [])
        if not powers and not currents:
            continue
        phases = [row for row in some if row.quantity == "current_import_ma" and row.phase in ("L1", "L2", "L3")]
        volts = [one for one in said.get("voltage_mv", []) if one > 0]
        found.append(
            Offer(
                at_ms=metering.plausible_ms(some[0].device_ms, received_ms) or received_ms,
                power_w=sum(powers) if powers else None,
                current_ma=max(currents, default=None),
                phases=sum(row.value > FLOWS_MA for row in phases) or None,
                voltage_mv=sum(volts) // len(volts) if volts else None,
            )
        )
    return found


def _about(page: PageView, row: Row, limit: Limit | None) -> str:
    """Where the limit is from."""
    if limit is None:
        return page._("No limit is known: the charger offered none, and none is known of its model.")
    if limit.source == "charger":
        return page._("The limit is what the charger offered.")
    name = model_of(row.model).name
    if limit.amps is None:
        return page._("The limit is the most that a %(model)s gives.", model=name)
    return page.ngettext(
        "The limit is the most that a %(model)s gives: %(amps)s A on one phase.",
        "The limit is the most that a %(model)s gives: %(amps)s A on %(n)s phases.",
        limit.phases or 1,
        model=name,
        amps=limit.amps,
    )


def _over(page: PageView, limit: Limit | None, curve: Curve) -> str:
    lasted_ms = over_ms(limit, curve.powers) if limit else 0
    if lasted_ms < TOLD_OVER_MS:
        return ""
    return page._("More than the limit was drawn for %(duration)s.", duration=page.formats.duration(lasted_ms))


# ---- for the browser -----------------------------------------------------------------------------------------------------


def _plot(page: PageView, made: Plot, zone: str) -> str:
    """What `js/chart.js` reads."""
    lines: list[tuple[str, str, str, str, list[int | None]]] = [
        ("power", page._("Power"), "kW", "area", made.powers),
        ("energy", page._("Energy"), "kWh", "line", made.energies),
        ("limit", page._("Limit"), "kW", "limit", made.limits),
    ]
    value: dict[str, Any] = {
        "zone": zone,
        "locale": "fr" if page.language == "fr" else "en-GB",
        "times": made.times,
        "series": [
            {
                "key": key,
                "name": name,
                "unit": unit,
                "look": look,
                "digits": 2,
                "values": [None if one is None else one / 1_000 for one in values],
            }
            for key, name, unit, look, values in lines
            if any(one is not None for one in values)
        ],
    }
    # Inside <script>: nothing that a browser could take for its end.
    return msgspec.json.encode(value).decode().replace("<", "\\u003c")
