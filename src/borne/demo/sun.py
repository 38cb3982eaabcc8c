"""The workshop's roof: what its meter says of the last year, by the height of the sun, some clouds, and what is used there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zlib import crc32
from zoneinfo import ZoneInfo

from borne.core.actor import BORNE
from borne.core.metering_slots import SLOT_MS
from borne.core.site_meter import SiteSlot

if TYPE_CHECKING:
    from borne.store.db import Row
    from borne.wiring import Server

SUNNY = "Lyon, Atelier"
FEED_IN_MICROS = 76_000
ZONE = ZoneInfo("Europe/Paris")
DAYS = 366
LATITUDE, LONGITUDE = math.radians(45.75), 4.85
ROOF_W, NIGHT_W, WORK_W = 36_000, 1_500, 14_000
TILT = 1.15  # a tilted roof makes a little more of a low sun
CLOUDS = (0.15, 0.35, 0.6, 0.8, 0.95, 1.0)


async def give_values(server: Server, organisation_id: int, place: Row) -> None:
    """Bring the year of values until now, unless the location has some."""
    from borne.engine.site_meter import SiteMeter
    from borne.store import site_meter

    until_ms = server.clock.now_ms() // SLOT_MS * SLOT_MS
    if (await site_meter.sums(server.db, organisation_id, place.id, 0, until_ms)).slots:
        return
    slots = list(values_between(until_ms - DAYS * 86_400_000, until_ms))
    meter = SiteMeter(server.db, server.bus, server.clock, server.audit)
    await meter.take(organisation_id, place.id, BORNE, slots, by_file=False)


def values_between(from_ms: int, until_ms: int) -> Iterator[SiteSlot]:
    """What the meter says, always the same of the same quarter of an hour."""
    for slot_ms in range(from_ms // SLOT_MS * SLOT_MS, until_ms, SLOT_MS):
        at = datetime.fromtimestamp(slot_ms / 1_000, UTC)
        solar_w, used_w = round(ROOF_W * _sun(at) * _sky(at)), _used_w(at)
        yield SiteSlot(slot_ms, max(0, used_w - solar_w) // 4, max(0, solar_w - used_w) // 4, solar_w // 4)


def _sun(at: datetime) -> float:
    """How much of its power the roof gives under a clear sky: by the height of the sun, from 0 to 1."""
    day = at.timetuple().tm_yday
    declination = math.radians(-23.44) * math.cos(2 * math.pi * (day + 10) / 365)
    hour = at.hour + at.minute / 60 + LONGITUDE / 15
    height = math.sin(LATITUDE) * math.sin(declination) + math.cos(LATITUDE) * math.cos(declination) * math.cos(
        math.radians(15 * (hour - 12))
    )
    return min(1.0, TILT * max(0.0, height))


def _sky(at: datetime) -> float:
    """Clouds of the day and of the hour."""
    clouds = CLOUDS[int(_chance(at.toordinal(), 1) * len(CLOUDS))]
    return clouds * (1 - 0.25 * _chance(at.toordinal() * 24 + at.hour, 2))


def _used_w(at: datetime) -> int:
    """What the workshop and its chargers use: little at night and on Sundays."""
    there = at.astimezone(ZONE)
    works = there.weekday() < 5 and 7 <= there.hour < 19
    return round((WORK_W if works else NIGHT_W) * (0.7 + 0.6 * _chance(round(at.timestamp()), 3)))


def _chance(number: int, about: int) -> float:
    """A number from 0 to 1 that is always the same."""
    return crc32(b"%d %d" % (about, number)) / 2**32
