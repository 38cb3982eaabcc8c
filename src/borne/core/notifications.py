"""Who is told what, when and how often: the rules of notifications.

What happens is one of four events. Each role has its defaults; a person's own rule replaces the default for one
organisation. An absence or a fault is told once it has stood for a while, once each time, and at most once an hour for a
charger. When many chargers of one location leave within two minutes, that is one message, not many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal, get_args

import msgspec

from borne.core.effects import Details
from borne.core.scope import Role, Scope

Event = Literal["many_offline", "charger_offline", "charger_faulted", "restart_failed"]
EVENTS: tuple[Event, ...] = get_args(Event)
Trouble = Literal["offline", "fault"]  # what a charger may be in for a while

MINUTE_MS = 60_000
OFFLINE_MINUTES = (5, 10, 15, 30, 60, 120, 240, 720, 1440)  # what a person may choose
DEFAULT_MINUTES = 30
FAULT_STANDS_MS = MINUTE_MS  # one that is over sooner is nobody's business
MANY_WITHIN_MS = 2 * MINUTE_MS
MANY_LEAST = 3
MANY_PERCENT = 20
COOL_DOWN_MS = 60 * MINUTE_MS  # after a message about a charger the next absence counts from here
RETURN_GRACE_MS = 5 * MINUTE_MS  # a loss of our making: the time a charger is given to come back
AWAY_MS = 2 * MINUTE_MS  # nobody looked for so long: Borne was away, and that time is nobody's absence
MAIL_GATHER_MS = MINUTE_MS  # what happens within a minute goes into one mail
DAY_MINUTES = 1440


class Wish(msgspec.Struct, frozen=True):
    """How somebody wants to hear of an event. `minutes`: how long a charger has been offline by then."""

    in_portal: bool
    by_mail: bool
    minutes: int = DEFAULT_MINUTES

    @property
    def wanted(self) -> bool:
        return self.in_portal or self.by_mail


_BOTH, _PORTAL, _NONE = Wish(True, True), Wish(True, False), Wish(False, False)

# What everybody hears who said nothing. A role that is missing is not offered the event: it could do nothing about it.
DEFAULTS: dict[Event, dict[Role, Wish]] = {
    "many_offline": {"super-admin": _BOTH, "admin": _BOTH, "operator": _PORTAL},
    "charger_offline": {"super-admin": _BOTH, "admin": _BOTH, "operator": _PORTAL, "user": _NONE},
    "charger_faulted": {"super-admin": _BOTH, "admin": _BOTH, "operator": _PORTAL, "user": _NONE},
    "restart_failed": {"super-admin": _BOTH, "admin": _BOTH, "operator": _PORTAL},
}


def offered(role: Role) -> tuple[Event, ...]:
    """The events that somebody with this role may hear of."""
    return tuple(event for event in EVENTS if role in DEFAULTS[event])


def wish(role: Role, event: Event, own: Wish | None) -> Wish:
    """What somebody wants: the own rule, else the default of the role. Nothing for who is not offered the event."""
    default = DEFAULTS[event].get(role)
    return _NONE if default is None else own or default


# ---- troubles ----------------------------------------------------------------------------------------------------


def trouble_of(status: str) -> Trouble | None:
    """The trouble that a charger's one word (core.charger.Status) tells of."""
    return "offline" if status == "offline" else "fault" if status == "fault" else None


def is_news(before: str, now: str) -> bool:
    """Whether a change of a charger's word begins or ends a trouble. While it restarts nothing does: that absence is wanted."""
    if before == now or now == "restarting":
        return False
    return before == "restarting" or trouble_of(before) is not None or trouble_of(now) is not None


GONE = ("deleted", "archived", "handed_over", "replaced")  # somebody took the charger away: no news to anybody


def is_restart_news(kind: str, details: Details) -> bool:
    """Whether a line of a restart's story is worth a notice: it failed, nobody knows, or what was so was proved after all."""
    if kind == "restart_ended":
        return details.get("verdict") in ("failed", "unknown") and details.get("reason") not in GONE
    return kind == "restart_upgraded"


def counts_from_ms(since_ms: int, told_ms: int | None, *, ours: bool) -> int:
    """From when a trouble counts: its beginning; later when the loss was ours, or somebody was told of the last one just now."""
    start_ms = since_ms + RETURN_GRACE_MS if ours else since_ms
    return start_ms if told_ms is None else max(start_ms, told_ms + COOL_DOWN_MS)


def many_least(chargers: int) -> int:
    """How many chargers of a location with so many must leave together to be called many."""
    return max(MANY_LEAST, -(-chargers * MANY_PERCENT // 100))


def left_together(starts_ms: Sequence[int], first_ms: int, chargers: int) -> bool:
    """Whether those that left within two minutes from the first are many, of so many chargers of the location."""
    count = sum(first_ms <= at_ms <= first_ms + MANY_WITHIN_MS for at_ms in starts_ms)
    return count >= many_least(chargers)


# ---- who -----------------------------------------------------------------------------------------------------------


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whose membership is alive, with what they reach and what they want."""

    scope: Scope
    email: str
    language: str | None = None
    zone: str = "UTC"
    quiet_from: int | None = None  # minutes after midnight
    quiet_until: int | None = None
    own: dict[str, Wish] = {}

    def wish(self, event: Event) -> Wish:
        return wish(self.scope.role, event, self.own.get(event))

    def hears_of(self, event: Event, *, location_id: int, charger_id: int | None) -> bool:
        """Whether an event there is told to this person. `charger_id` None: it concerns the location."""
        return self.wish(event).wanted and reaches(self.scope, location_id=location_id, charger_id=charger_id)


def reaches(scope: Scope, *, location_id: int, charger_id: int | None) -> bool:
    """Whether what a notice tells of is within somebody's scope. `charger_id` None: it concerns the location."""
    if scope.location_ids is not None and location_id not in scope.location_ids:
        return False
    return scope.charger_ids is None or charger_id in scope.charger_ids


# ---- quiet hours ---------------------------------------------------------------------------------------------------


def is_quiet(at_ms: int, zone: tzinfo, from_minute: int, until_minute: int) -> bool:
    """Whether the clock on the wall there is within the quiet hours, which may go over midnight."""
    minute = _wall_minute(at_ms, zone)
    if from_minute <= until_minute:
        return from_minute <= minute < until_minute
    return minute >= from_minute or minute < until_minute


def quiet_until_ms(at_ms: int, zone: tzinfo, from_minute: int | None, until_minute: int | None) -> int | None:
    """When the quiet hours end that this instant lies in; None when it lies in none.

    What counts is the clock on the wall: where it jumps over the end they end with the jump, where it runs twice through
    the end they end the first time.
    """
    if from_minute is None or until_minute is None or not is_quiet(at_ms, zone, from_minute, until_minute):
        return None
    ends = (
        end_ms
        for end_ms in _wall_ms_after(at_ms, zone, until_minute)
        if not is_quiet(end_ms, zone, from_minute, until_minute)
    )
    low, high = at_ms // MINUTE_MS, min(ends) // MINUTE_MS
    while high - low > 1:  # the last minute that is quiet, the first that is not
        middle = (low + high) // 2
        if is_quiet(middle * MINUTE_MS, zone, from_minute, until_minute):
            low = middle
        else:
            high = middle
    return high * MINUTE_MS


def _wall_minute(at_ms: int, zone: tzinfo) -> int:
    wall = datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(zone)
    return wall.hour * 60 + wall.minute


def _wall_ms_after(at_ms: int, zone: tzinfo, minute: int) -> Iterator[int]:
    """The next instants at which a clock there shows this minute of the day, or would if it did not jump over it."""
    today = datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(zone).date()
    for days in range(3):
        for fold in (0, 1):
            found_ms = _wall_ms(today + timedelta(days=days), minute, fold, zone)
            if found_ms > at_ms:
                yield found_ms


def _wall_ms(day: date, minute: int, fold: int, zone: tzinfo) -> int:
    wall = datetime(day.year, day.month, day.day, minute // 60, minute % 60, fold=fold, tzinfo=zone)
    return round(wall.timestamp() * 1_000)
