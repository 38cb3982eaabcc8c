"""The judge of sessions and their energy: what chargers really delivered, beside what Borne says, and sums that are those of the
sessions at any time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from borne.core.metering import DOUBTFUL
from borne.core.session import NO_STOP_RECEIVED
from borne.sim.journal import Kind

if TYPE_CHECKING:
    from borne.sim.records import Charger
    from borne.sim.talk import Session
    from borne.sim.world import World

SETTLED_S = 60.0  # a charger's last word may be on its way, or unmeasured, so long
SUMS = (
    "location_slots", "location_days", "location_months", "location_hours", "organisation_hours", "charger_days",
    "charger_months",
)  # fmt: skip
OF_PEOPLE = ("person_days", "person_months")
_TOTALS = "SELECT {} ".format(
    ", ".join(
        [
            "(SELECT coalesce(sum(energy_wh), 0) FROM sessions)",
            "(SELECT count(*) FROM sessions WHERE measured > 0)",
            "(SELECT coalesce(min(energy_wh), 0) FROM sessions)",
            "(SELECT coalesce(min(energy_wh), 0) FROM session_slots)",
            "(SELECT coalesce(sum(energy_wh), 0) FROM session_slots)",
            "(SELECT coalesce(sum(energy_wh), 0) FROM sessions WHERE measured_person_id IS NOT NULL)",
            *(f"(SELECT coalesce(sum(energy_wh), 0) FROM {table})" for table in OF_PEOPLE),
            *(
                f"(SELECT coalesce(sum({name}), 0) FROM {table})"
                for table in SUMS
                for name in ("energy_wh", "sessions")
            ),
        ]
    )
)
_SLOTS = (
    "SELECT s.location_id, l.slot_ms, sum(l.energy_wh), sum(l.charging_ms), sum(l.plugged_ms),"
    " sum((l.energy_wh - l.solar_wh) * coalesce(l.price_micros, 0) + l.solar_wh * coalesce(l.feed_in_micros, 0)), sum(l.solar_wh)"
    " FROM session_slots l JOIN sessions s ON s.id = l.session_id"
    " GROUP BY s.location_id, l.slot_ms"
)
_LOCATION_SLOTS = (
    "SELECT location_id, slot_ms, energy_wh, charging_ms, plugged_ms, cost_nanos, solar_wh FROM location_slots"
    " WHERE energy_wh <> 0 OR plugged_ms <> 0 OR sessions <> 0 OR charging_ms <> 0"
)
_NAMES = ("energy_wh", "charging_ms", "plugged_ms", "cost_nanos", "unpriced_wh", "solar_wh", "sessions", "unknown")
_MONTH_OF_DAY = "(strftime('%Y', day * 86400, 'unixepoch') - 1970) * 12 + strftime('%m', day * 86400, 'unixepoch') - 1"


def _made_of(table: str, of: str, keys: str, month: str = "month", peak: str = "") -> tuple[str, str]:
    """What a table holds, and what it should, by the one that it is made of; rows without anything are left aside."""
    any_ = "energy_wh <> 0 OR plugged_ms <> 0 OR sessions <> 0"
    held = ", ".join((*_NAMES, *([peak] if peak else [])))
    made = ", ".join([*(f"sum({name}) AS {name}" for name in _NAMES), *([f"max({peak}) AS {peak}"] if peak else [])])
    return (
        f"SELECT organisation_id, {keys}, month, {held} FROM {table} WHERE {any_}",
        f"SELECT * FROM (SELECT organisation_id, {keys}, {month} AS in_month, {made} FROM {of}"
        f" GROUP BY organisation_id, {keys}, in_month) WHERE {any_}",
    )


_MONTHS = {
    "location_months": _made_of("location_months", "location_days", "location_id", _MONTH_OF_DAY, "peak_wh"),
    "charger_months": _made_of("charger_months", "charger_days", "charger_id, location_id", _MONTH_OF_DAY),
    "person_months": _made_of("person_months", "person_days", "person_id, location_id", _MONTH_OF_DAY),
    "organisation_hours": _made_of("organisation_hours", "location_hours", "hour"),
}
_UNEVEN = (
    "SELECT s.id, s.energy_wh, sum(l.energy_wh) FROM sessions s LEFT JOIN session_slots l ON l.session_id = s.id"
    " WHERE s.measured > 0 GROUP BY s.id HAVING coalesce(s.energy_wh, 0) <> coalesce(sum(l.energy_wh), 0)"
)
_MEASURED = (
    "SELECT id, energy_wh, begun_ms, over_ms, charging_ms, peak_w, power_w, suspects, cost_nanos, ended_ms FROM sessions"
    " ORDER BY id",
    "SELECT session_id, slot_ms, energy_wh, charging_ms, plugged_ms, peak_w FROM session_slots ORDER BY session_id, slot_ms",
    *(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4" for table in (*SUMS, *OF_PEOPLE)),
)


def sums_hold(world: World) -> Iterator[str]:
    """M10, and no energy below nought; at any time."""
    ((total, count, least, least_slot, slots, owned, *sums),) = world.rows(_TOTALS)
    of_people, sums = sums[: len(OF_PEOPLE)], sums[len(OF_PEOPLE) :]
    if least < 0 or least_slot < 0:
        yield f"a negative energy: {least} Wh of a session, {least_slot} Wh of a slot"
    if slots != total:
        yield f"slots have {slots} Wh, sessions {total} Wh"
    for table, energy_wh in zip(OF_PEOPLE, of_people, strict=True):
        if energy_wh != owned:
            yield f"{table} has {energy_wh} Wh, the sessions of people {owned} Wh"
    for table, found in zip(SUMS, zip(sums[::2], sums[1::2], strict=True), strict=True):
        if found != (total, count):
            yield f"{table} has {found[0]} Wh of {found[1]} sessions, sessions have {total} Wh of {count}"


async def replayed(world: World) -> None:
    """Measure to the end; then a meter that knows nothing reads everything again, which changes nothing."""
    server = world.server
    if server is None or not server.listening:
        return
    await server.run(server.meter.stop())
    await server.run(server.meter.once(all_of_them=True))
    before = [world.rows(sql) for sql in _MEASURED]
    await server.run(server.new_meter().read_again(0, server.clock.now_ms() + 1))
    for sql, was, now in zip(_MEASURED, before, [world.rows(sql) for sql in _MEASURED], strict=True):
        if was != now:
            changed = [(a, b) for a, b in zip(was, now, strict=False) if a != b]
            world.faults.append(f"measuring everything again changed {sql.partition(' FROM ')[2]}: {changed[:2]}")


def sessions_true(world: World) -> Iterator[str]:
    """All of groups O and M that can be seen at the end."""
    yield from sums_hold(world)
    for session_id, energy_wh, of_slots in world.rows(_UNEVEN):
        yield f"session {session_id} has {energy_wh} Wh, its slots {of_slots} Wh"
    if sorted(world.rows(_SLOTS)) != sorted(world.rows(_LOCATION_SLOTS)):
        yield "the slots of locations are not those of their sessions"
    for months, (is_, should_be) in _MONTHS.items():
        if sorted(world.rows(is_)) != sorted(world.rows(should_be)):
            yield f"{months} are not the sums of what they are made of"
    for charger in world.chargers:
        yield from _told_truly(world, charger)


def _told_truly(world: World, charger: Charger) -> Iterator[str]:
    rows: dict[str, Any] = {}
    for row in world.rows(
        'SELECT "transaction", id, energy_wh, ended_ms, end_reason, meter_stop_wh, suspects, start_missing, conflicts'
        " FROM sessions WHERE charger_id = ? ORDER BY id",
        charger.id,
    ):
        rows.setdefault(row[0], row)
    for session in charger.bot.sessions.past:
        if session.transaction is None or not (session.start_told or charger.plan.protocol == "2.0.1"):
            continue
        row = rows.get(str(session.transaction))
        who = (
            f"{charger.identity} ({charger.plan.protocol}, {' '.join(charger.plan.oddities.named()) or 'nothing odd'})"
        )
        if row is None:
            if session.start_told:
                yield f"{who}: its session {session.transaction} is not known"
            continue
        for wrong in (*_energy_true(world, charger, session, row), *_end_true(world, charger, session, row)):
            yield f"{who}: session {row[1]}: {wrong}"


def _energy_true(world: World, charger: Charger, session: Session, row: Any) -> Iterable[str]:
    energy_wh, suspects, odd = row[2], set(json.loads(row[6])), charger.plan.oddities
    true_wh = session.energy_wh - session.meter_start_wh
    heard_wh = (session.meter_start_wh if session.heard_wh is None else session.heard_wh) - session.meter_start_wh
    if "estimated" in suspects or (world.clock_steps and "clock" in suspects):
        return
    if energy_wh is None:
        explained = odd.stop_below_start and suspects & DOUBTFUL
        if session.start_told and not explained and (heard_wh or _whole(session, odd.stop_id)):
            yield f"its energy is not known ({suspects}), but it took {true_wh} Wh"
    elif energy_wh > true_wh:
        yield f"{energy_wh} Wh, but it took {true_wh} Wh ({suspects})"
    elif _whole(session, odd.stop_id) and energy_wh != true_wh:
        yield f"{energy_wh} Wh of {true_wh} Wh, although its start and stop were confirmed ({suspects})"
    elif session.start_told and energy_wh < heard_wh:
        yield f"{energy_wh} Wh, although {heard_wh} Wh were confirmed ({suspects})"


def _whole(session: Session, stop_id: str) -> bool:
    """Both ends are told, by the session's own name."""
    return session.start_told and session.stop_told and not stop_id


def _end_true(world: World, charger: Charger, session: Session, row: Any) -> Iterable[str]:
    ended_ms, reason, meter_stop_wh, conflicts = row[3], row[4], row[5], json.loads(row[8])
    odd = charger.plan.oddities
    if session.stop_told and not odd.stop_id:
        if ended_ms is None or reason == NO_STOP_RECEIVED:
            yield f"its stop was confirmed, but it says {reason} ({ended_ms})"
        if charger.plan.protocol == "1.6" and meter_stop_wh != session.stop_wh:
            yield f"its first stop said {session.stop_wh} Wh, not {meter_stop_wh} Wh"
        if odd.stop_again == "same" and conflicts:
            yield f"a repeated stop is a conflict: {conflicts}"
    elif ended_ms is None and session.is_over and _followed(world, charger, session):
        yield "it is open, but the charger booted or began another since"


def _followed(world: World, charger: Charger, session: Session) -> bool:
    """After its beginning another one was told on its connector, long enough ago."""
    later = charger.bot.sessions.past[charger.bot.sessions.past.index(session) + 1 :]
    return any(
        other.connector == session.connector and other.start_told and other.heard_wh is not None for other in later
    ) and not any(entry.kind is Kind.STOPPED for entry in charger.log)
