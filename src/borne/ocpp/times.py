"""Instants as chargers write them, read tolerantly: milliseconds since the epoch, or None when unreadable."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_LAST_MS = 253_402_300_799_999  # the end of year 9999: what a datetime can show
_LOOSE = re.compile(
    r"\s*(\d{4})-(\d{1,2})-(\d{1,2})[Tt ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*"
    r"(?:[Zz]|(?:UTC|GMT)?([+-])(\d{2}):?(\d{2})?|UTC|GMT)?\s*",
    re.ASCII,
)


def instant_ms(value: Any) -> int | None:
    """`value` as an instant.

    Without an offset it is taken as UTC. `:60` is the first instant of the next minute. A clock that says 1970 is reported as
    it is (the receive time stands beside it); years beyond 9999, also after the offset is applied, are unreadable.
    """
    if type(value) is not str or len(value) > 64:
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        found_ms = (moment - _EPOCH) // _MS
    except (ValueError, OverflowError):
        loose_ms = _loose_ms(value)
        if loose_ms is None:
            return None
        found_ms = loose_ms
    return found_ms if 0 <= found_ms <= _LAST_MS else None


def _loose_ms(value: str) -> int | None:
    found = _LOOSE.fullmatch(value)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, off_hour, off_minute = found.groups()
    seconds = int(second or 0)
    if int(hour) > 24 or int(minute) > 59 or seconds > 60:
        return None
    try:
        midnight = datetime(int(year), int(month), int(day), tzinfo=UTC)
    except ValueError:
        return None
    offset_s = (int(off_hour or 0) * 3600 + int(off_minute or 0) * 60) * (-1 if sign == "-" else 1)
    of_day_s = int(hour) * 3600 + int(minute) * 60 + seconds - offset_s
    return (midnight - _EPOCH) // _MS + of_day_s * 1000 + int(((fraction or "") + "000")[:3])


def print_instant(at_ms: int) -> str:
    """`at_ms` as chargers expect it: UTC with a Z and milliseconds."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds")[:-6] + "Z"
