"""Sessions as cells of a file: in 26 columns that spreadsheets of other portals have, and tidily for computing.

Times of the 26 columns are those of the location, YYYY-MM-DD HH:MM:SS; durations HH:MM:SS; energy kWh; money to the cent.
The tidy ones are in UTC, seconds, Wh and exact amounts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from borne.core.cells import neutral
from borne.core.session import NO_STOP_RECEIVED
from borne.store.db import Row

PORTAL_COLUMNS = (
    "organisation", "location", "serial", "charger", "user name", "role", "subscription", "e-mail", "RFID", "session id",
    "start", "end", "charging time", "energy", "MID energy", "cost/kWh", "currency", "session cost", "session type", "fixed fee",
    "variable fee type", "variable fee price", "amount excl. VAT", "VAT %", "VAT", "total",
)  # fmt: skip
TIDY_COLUMNS = (
    "session_id", "organisation", "location", "time_zone", "charger_id", "serial", "charger", "evse", "connector", "user",
    "tag", "started_at", "ended_at", "state", "plugged_s", "charging_s", "energy_wh", "peak_w", "cost", "currency", "end_reason",
    "suspects",
)  # fmt: skip
NOT_YET = ("",) * 8  # what a rate would say: Borne has none yet
Cell = str | int | float


class Teller(msgspec.Struct, frozen=True):
    """What all rows of a file share. `sees_people`: whether e-mails and roles may be told."""

    organisation: str
    sees_people: bool


def decimal(amount: int, digits: int) -> str:
    """An integer with so many digits behind the point, exactly."""
    sign, text = "-" if amount < 0 else "", str(abs(amount)).rjust(digits + 1, "0")
    return f"{sign}{text[:-digits]}.{text[-digits:]}"


def _ends(row: Row) -> tuple[int, int | None]:
    """When it began and ended, by the charger's clock where that can be."""
    begun_ms = row.started_ms if row.begun_ms is None else row.begun_ms
    over_ms = row.ended_ms if row.ended_ms is None or row.over_ms is None else row.over_ms
    return begun_ms, over_ms


def sheet_cells(row: Row, teller: Teller) -> list[Cell | datetime]:
    """A session in the order of TIDY_COLUMNS: numbers as numbers, instants as times of UTC that a spreadsheet knows."""
    cells = _tidy(row, teller, _instant)
    cells[COST] = "" if row.cost_nanos is None else row.cost_nanos / 1_000_000_000
    return cells


COST = TIDY_COLUMNS.index("cost")


def _instant(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1_000, UTC).replace(tzinfo=None)


def _tidy(row: Row, teller: Teller, at: Callable[[int], str | datetime]) -> list[Cell | datetime]:
    begun_ms, over_ms = _ends(row)
    return [
        row.id,
        neutral(teller.organisation),
        neutral(row.location or ""),
        row.zone or "",
        row.charger_id,
        neutral(row.serial or ""),
        neutral(row.charger or ""),
        row.evse,
        row.connector,
        neutral(row.person or ""),
        neutral(row.tag or ""),
        at(begun_ms),
        "" if over_ms is None else at(over_ms),
        _state(row),
        "" if over_ms is None else max(0, over_ms - begun_ms) // 1_000,
        row.charging_ms // 1_000,
        "" if row.energy_wh is None else row.energy_wh,
        row.peak_w,
        "" if row.cost_nanos is None else decimal(row.cost_nanos, 9),
        row.currency or "",
        neutral(row.end_reason or ""),
        " ".join(json.loads(row.suspects)),
    ]


def _state(row: Row) -> str:
    if row.ended_ms is None:
        return "running"
    return "no_stop" if row.end_reason == NO_STOP_RECEIVED else "ended"
