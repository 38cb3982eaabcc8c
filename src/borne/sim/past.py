"""A believable past: the sessions that simulated chargers would have had, day by day, from one seed.

Each place has its own life: cars that come to work, vans that sleep in a depot, guests of a hotel, one family. The meter is the
bot's: a register that only grows, values every quarter of an hour while the car takes energy, and a full car that stays.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import cos, pi
from zoneinfo import ZoneInfo

from borne.core.metering import Sample

SAMPLE_S = 900
GAP_S = 600  # between two cars at one charger


@dataclass(frozen=True, slots=True)
class Life:
    """How a place is used. Hours are local; `days` are chances from Monday to Sunday; amounts in kWh."""

    days: tuple[float, ...]
    arrives_h: tuple[float, float]  # mean and spread
    stays_h: tuple[float, float]
    takes_kwh: tuple[float, float]
    power_w: int
    tags: tuple[str, ...]
    times_a_day: int = 1


_WORK = (0.82, 0.85, 0.84, 0.83, 0.74, 0.10, 0.04)
_EVERY_NIGHT = (0.90, 0.92, 0.92, 0.92, 0.86, 0.45, 0.30)
_GUESTS = (0.38, 0.36, 0.40, 0.48, 0.72, 0.80, 0.52)
_HOME = (0.55, 0.50, 0.55, 0.50, 0.60, 0.45, 0.62)

LIVES: dict[str, Life] = {
    "Lyon, Atelier": Life(
        _WORK, (8.2, 0.7), (7.5, 1.6), (17, 7), 7_400, ("04A1B2C3D4", "04A1B2C3D5", "04A1B2C3D6", "DEMO-TAG")
    ),
    "Lyon, Siège": Life(_WORK, (8.8, 0.6), (8.3, 1.2), (14, 6), 11_000, ("04C0FFEE01", "04C0FFEE02", "DEMO-TAG")),
    "Nantes, Entrepôt": Life(
        _EVERY_NIGHT, (18.6, 0.8), (11.2, 1.2), (38, 12), 22_000, ("VAN-01", "VAN-02", "VAN-03", "VAN-04")
    ),
    "Annecy, Hôtel": Life(_GUESTS, (18.9, 1.9), (13.2, 2.2), (31, 13), 11_000, ("GUEST-CARD", "DEMO-TAG")),
    "Dijon, Maison": Life(_HOME, (20.4, 1.4), (9.6, 1.8), (21, 8), 7_400, ("MAISON-1",)),
}


@dataclass(frozen=True, slots=True)
class PastSession:
    """What one session said. Times are milliseconds since the epoch, UTC; the register counts Wh for life."""

    charger: str  # its serial
    tag: str
    started_ms: int
    ended_ms: int
    meter_start_wh: int
    meter_stop_wh: int
    end_reason: str
    samples: tuple[Sample, ...]


def past_of(serial: str, life: Life, *, seed: int, until: datetime, days: int, zone: ZoneInfo) -> Iterator[PastSession]:
    """The sessions of one charger until an instant, oldest first; the same for the same seed."""
    rng = random.Random(f"{seed} {serial}")
    register_wh = rng.randrange(20_000, 900_000)
    free_from = None
    first = (until - timedelta(days=days)).astimezone(zone).date()
    for number in range(days + 1):
        day = first + timedelta(days=number)
        noon = datetime(day.year, day.month, day.day, tzinfo=zone)
        if rng.random() > life.days[day.weekday()] * _growth(number / days):
            continue
        arrives = noon + timedelta(hours=_around(rng, life.arrives_h))
        if free_from is not None and arrives < free_from:
            arrives = free_from
        session = _session(rng, serial, life, arrives, register_wh, _season(day.timetuple().tm_yday))
        if session.ended_ms > until.timestamp() * 1_000:
            return
        yield session
        register_wh = session.meter_stop_wh
        free_from = datetime.fromtimestamp(session.ended_ms / 1_000, zone) + timedelta(seconds=GAP_S)


def past(
    chargers: Sequence[tuple[str, str]], *, seed: int, until: datetime, days: int, zone: ZoneInfo
) -> list[PastSession]:
    """The sessions of chargers (serial, location) in the order of their starts."""
    found = [
        session
        for serial, location in chargers
        if location in LIVES
        for session in past_of(serial, LIVES[location], seed=seed, until=until, days=days, zone=zone)
    ]
    return sorted(found, key=lambda session: (session.started_ms, session.charger))


def _session(
    rng: random.Random, serial: str, life: Life, arrives: datetime, register_wh: int, season: float
) -> PastSession:
    stays_s = max(900.0, _around(rng, life.stays_h) * 3_600)
    wanted_wh = max(1_500.0, _around(rng, life.takes_kwh) * 1_000 * season)
    power_w = life.power_w * rng.choice((0.5, 1.0, 1.0, 1.0))  # some cars take less
    started_ms = int(arrives.timestamp()) * 1_000
    charges_s = min(wanted_wh * 3_600 / power_w, stays_s)
    samples, taken_wh, at_s = [], 0.0, 0.0
    while at_s < charges_s:
        step_s = min(SAMPLE_S, charges_s - at_s)
        drawn_w = power_w * (1.0 if taken_wh < 0.85 * wanted_wh else 0.45)  # the battery slows at its end
        taken_wh = min(taken_wh + drawn_w * step_s / 3_600, wanted_wh)
        at_s += step_s
        at_ms = started_ms + int(at_s * 1_000)
        samples.append(Sample(at_ms, at_ms, register_wh + int(taken_wh), None, int(drawn_w * rng.uniform(0.97, 1.0))))
    ended_ms = started_ms + int(stays_s) * 1_000
    if samples and samples[-1].received_ms < ended_ms - 60_000:
        full_ms = samples[-1].received_ms + 30_000
        samples.append(Sample(full_ms, full_ms, register_wh + int(taken_wh), None, 0))
    reason = rng.choices(("EVDisconnected", "Local", "Remote"), (0.8, 0.17, 0.03))[0]
    tag = life.tags[int(serial) % len(life.tags)] if rng.random() < 0.7 else rng.choice(life.tags)
    return PastSession(
        serial, tag, started_ms, ended_ms, register_wh, register_wh + int(taken_wh), reason, tuple(samples)
    )


def _around(rng: random.Random, mean_and_spread: tuple[float, float]) -> float:
    mean, spread = mean_and_spread
    return min(max(rng.gauss(mean, spread), mean - 2.5 * spread), mean + 2.5 * spread)


def _growth(share: float) -> float:
    """More cars from month to month."""
    return 0.62 + 0.38 * share


def _season(day_of_year: int) -> float:
    """Cold costs energy: a sixth more in the middle of January, a sixth less in July."""
    return 1.0 + 0.16 * cos(2 * pi * (day_of_year - 15) / 365)
