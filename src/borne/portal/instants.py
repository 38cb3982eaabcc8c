"""Instants in the words of a language, in a location's zone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from borne.portal.frame import PageView

DAY_MS = 86_400_000
SHORT_MS = 600_000
Clock = Callable[[int], str]


def at(page: PageView, at_ms: int, zone: ZoneInfo, pattern: str) -> str:
    """An instant there."""
    instant = datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(zone)
    return str(format_datetime(instant, pattern, locale=page.formats.locale))


def clock(page: PageView, length_ms: int, zone: ZoneInfo) -> Clock:
    """Names instants of a stretch of time: with the day when it is longer than one, with seconds when it is short."""
    pattern = "d MMM, HH:mm" if length_ms > DAY_MS else "HH:mm:ss" if length_ms < SHORT_MS else "HH:mm"
    return lambda at_ms: at(page, at_ms, zone, pattern)
