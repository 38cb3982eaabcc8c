"""Sessions as lines of a CSV, fast: the same cells as `session_cells` has, with what many sessions share written once.

A million sessions are a million times each name, hour and price: cells of names are remembered by id, the hours of a zone by
quarter of an hour, and no line passes through a general CSV writer. `tests/portal/test_session_lines.py` holds every line
against that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from borne.core import tariff
from borne.core.cells import neutral
from borne.core.session import NO_STOP_RECEIVED
from borne.portal.session_cells import NOT_YET, PORTAL_COLUMNS, TIDY_COLUMNS, Teller, decimal
from borne.portal.sessions import zone_of
from borne.store.session_export import Names

REMEMBERED = 20_000  # of each kind: some megabytes
HEAD_S = 900  # an offset from UTC changes on a quarter of an hour; where it did not, times are written one by one
MM_SS = tuple(f"{minute:02}:{second:02}" for minute in range(60) for second in range(60))
EMPTY_CELLS = "," * len(NOT_YET)
Rows = Sequence[Sequence[Any]]  # in the order of session_export.COLUMNS


class Lines(Protocol):
    """One layout."""

    header: bytes

    def of(self, rows: Rows, names: Names) -> bytes:
        """Sessions as lines, UTF-8."""
        ...


class _Memory(dict[Any, Any]):
    """What was computed for a key; forgets everything when it is full, so that it never grows beyond that."""

    def keep(self, key: Any, value: Any) -> Any:
        if len(self) >= REMEMBERED:
            self.clear()
        self[key] = value
        return value


class _Cells(_Memory):
    """Text as a cell."""

    def __missing__(self, text: str | None) -> str:
        return str(self.keep(text, quoted(neutral(text or ""))))


class _Suspects(_Memory):
    """JSON as a cell."""

    def __missing__(self, text: str) -> str:
        return str(self.keep(text, quoted(" ".join(json.loads(text)))))


class _Heads(_Memory):
    """The date and hour of each quarter of an hour in a zone, and how many seconds of that hour have passed."""

    def __init__(self, zone: ZoneInfo, between: str) -> None:
        super().__init__()
        self._zone = zone
        self._between = between

    def __missing__(self, quarter: int) -> tuple[str, int]:
        begins = datetime.fromtimestamp(quarter * HEAD_S, self._zone)
        passed_s = begins.minute * 60 + begins.second
        head = begins.strftime(f"%Y-%m-%d{self._between}%H:")
        found: tuple[str, int] = self.keep(quarter, (head, passed_s if passed_s % HEAD_S == 0 else -1))
        return found

    def at(self, at_ms: int) -> str:
        """An instant to the second."""
        quarter, seconds = divmod(at_ms // 1_000, HEAD_S)
        head, passed_s = self[quarter]
        if passed_s < 0:
            return datetime.fromtimestamp(at_ms // 1_000, self._zone).isoformat(self._between)[:19]
        return f"{head}{MM_SS[passed_s + seconds]}"


class _Zones(dict[str | None, _Heads]):
    """By the zone's name; there are some hundred."""

    def __missing__(self, name: str | None) -> _Heads:
        found = self[name] = _Heads(zone_of(name), " ")
        return found


def quoted(text: str) -> str:
    """A cell as a CSV has it: in quotes where it needs them."""
    if any(char in text for char in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _header(columns: Sequence[str]) -> bytes:
    return (",".join(map(quoted, columns)) + "\r\n").encode()


def _money(cost_nanos: int | None, energy_wh: int | None) -> tuple[str, str]:
    """The price of a kWh and the cost, rounded as bills are; "" where they are not known."""
    if cost_nanos is None:
        return "", ""
    if cost_nanos < 0:  # an energy price may be negative
        price = decimal(tariff.rounded(cost_nanos, energy_wh), 6) if energy_wh else ""
        return price, decimal(tariff.rounded(cost_nanos, tariff.NANOS_A_CENT), 2)
    cents = (cost_nanos + tariff.NANOS_A_CENT // 2) // tariff.NANOS_A_CENT
    cost = f"{cents // 100}.{cents % 100:02}"
    if not energy_wh:
        return "", cost
    micros = (cost_nanos + energy_wh // 2) // energy_wh
    return f"{micros // 1_000_000}.{micros % 1_000_000:06}", cost


def _exact(nanos: int) -> str:
    return f"{nanos // 1_000_000_000}.{nanos % 1_000_000_000:09}" if nanos >= 0 else decimal(nanos, 9)


class PortalLines:
    """The columns of PORTAL_COLUMNS."""

    header = _header(PORTAL_COLUMNS)

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._cells, self._zones = _Cells(), _Zones()
        self._places, self._people = _Memory(), _Memory()

    def of(self, rows: Rows, names: Names) -> bytes:
        """Sessions as lines, UTF-8."""
        cells, zones, places, people = self._cells, self._zones, self._places, self._people
        lines = []
        for (
            key, charger_id, location_id, person_id, _evse, _connector, tag, started_ms, begun_ms, over_ms, ended_ms, _reason,
            charging_ms, energy_wh, _peak_w, cost_nanos, currency, _suspects, zone,
        ) in rows:  # fmt: skip
            place = places.get((charger_id, location_id)) or self._place(charger_id, location_id, names)
            person = people.get(person_id) or self._person(person_id, names)
            at = zones[zone or names.zone(location_id)].at
            over = "" if ended_ms is None else at(ended_ms if over_ms is None else over_ms)
            hours, seconds = divmod(charging_ms // 1_000, 3_600)
            energy = "" if energy_wh is None else f"{energy_wh // 1_000}.{energy_wh % 1_000:03}"
            price, cost = _money(cost_nanos, energy_wh)
            lines.append(
                f"{place},{person},{cells[tag]},{key},{at(started_ms if begun_ms is None else begun_ms)},{over},"
                f"{hours:02}:{MM_SS[seconds]},{energy},,{price},{cells[currency]},{cost}{EMPTY_CELLS}\r\n"
            )
        return "".join(lines).encode()

    def _place(self, charger_id: int, location_id: int, names: Names) -> str:
        location, _ = names.locations.get(location_id, ("", None))
        name, serial = names.chargers.get(charger_id, ("", ""))
        told = map(self._cells.__getitem__, (self._teller.organisation, location, serial, name))
        return str(self._places.keep((charger_id, location_id), ",".join(told)))

    def _person(self, person_id: int | None, names: Names) -> str:
        """Name, role, subscription (Borne has none), e-mail."""
        name, email, role = names.people.get(person_id or 0, ("", "", ""))
        if not self._teller.sees_people:
            email = role = ""
        found = ",".join((self._cells[name], quoted(role), "", self._cells[email]))
        return str(self._people.keep(person_id, found))


class TidyLines:
    """The columns of TIDY_COLUMNS."""

    header = _header(TIDY_COLUMNS)

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._cells, self._suspects, self._heads = _Cells(), _Suspects(), _Heads(ZoneInfo("UTC"), "T")

    def of(self, rows: Rows, names: Names) -> bytes:
        """Sessions as lines, UTF-8."""
        cells, suspects, at = self._cells, self._suspects, self._heads.at
        organisation = cells[self._teller.organisation]
        nothing = ("", None)
        lines = []
        for (
            key, charger_id, location_id, person_id, evse, connector, tag, started_ms, begun_ms, over_ms, ended_ms, reason,
            charging_ms, energy_wh, peak_w, cost_nanos, currency, suspect, zone,
        ) in rows:  # fmt: skip
            location, its_zone = names.locations.get(location_id, nothing)
            charger, serial = names.chargers.get(charger_id, ("", ""))
            person = names.people[person_id][0] if person_id in names.people else ""
            from_ms = started_ms if begun_ms is None else begun_ms
            state, over, plugged = "running", "", ""
            if ended_ms is not None:
                until_ms = ended_ms if over_ms is None else over_ms
                state = "no_stop" if reason == NO_STOP_RECEIVED else "ended"
                over, plugged = f"{at(until_ms)}.{until_ms % 1_000:03}Z", str(max(0, until_ms - from_ms) // 1_000)
            lines.append(
                f"{key},{organisation},{cells[location]},{zone or its_zone or ''},{charger_id},{cells[serial]},"
                f"{cells[charger]},{evse},{connector},{cells[person]},{cells[tag]},{at(from_ms)}.{from_ms % 1_000:03}Z,"
                f"{over},{state},{plugged},{charging_ms // 1_000},{'' if energy_wh is None else energy_wh},{peak_w},"
                f"{'' if cost_nanos is None else _exact(cost_nanos)},{cells[currency]},{cells[reason]},"
                f"{suspects[suspect]}\r\n"
            )
        return "".join(lines).encode()
