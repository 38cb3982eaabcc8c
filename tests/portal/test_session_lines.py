"""Lines of a CSV made fast are those that a plain writer makes of the same cells, whatever names, times and amounts there are."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from borne.core import tariff
from borne.core.cells import neutral
from borne.core.session import NO_STOP_RECEIVED
from borne.portal import session_lines
from borne.portal.session_cells import NOT_YET, PORTAL_COLUMNS, TIDY_COLUMNS, Teller, decimal
from borne.portal.session_lines import PortalLines, TidyLines
from borne.store.session_export import COLUMNS, Names

ZONES = (
    "Europe/Paris",
    "America/Los_Angeles",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Africa/Monrovia",
    None,
    "No/Where",
)
MS = st.integers(0, 4_000_000_000_000)
TEXT = st.text(max_size=12) | st.sampled_from(["=1+1", "-a", "@b", 'say "hi", you', "a\r\nb", "é€", ""])
ROW = st.fixed_dictionaries({
    "id": st.integers(1, 2**62), "charger_id": st.integers(1, 3), "location_id": st.integers(1, 3),
    "person_id": st.none() | st.integers(1, 3), "evse": st.integers(0, 3), "connector": st.integers(0, 3),
    "tag": st.none() | TEXT,
    "started_ms": MS, "begun_ms": st.none() | MS, "over_ms": st.none() | MS, "ended_ms": st.none() | MS,
    "end_reason": st.none() | TEXT | st.just(NO_STOP_RECEIVED), "charging_ms": st.integers(0, 10**9),
    "energy_wh": st.none() | st.integers(0, 10**7), "peak_w": st.integers(0, 10**6),
    "cost_nanos": st.none() | st.integers(-(10**12), 10**13), "currency": st.none() | st.sampled_from(["EUR", "NOK"]),
    "suspects": st.sampled_from(["[]", '["clock"]', '["clock", "register"]']), "zone": st.sampled_from(ZONES),
})  # fmt: skip


def names() -> Names:
    """Of two of three each."""
    found = Names()
    found.chargers = {1: ("Quai 1", "123"), 2: ("=cmd, 2", "+4")}
    found.locations = {1: ("Lyon", "Europe/Paris"), 2: ('"Là, bas"', "Asia/Tokyo")}
    found.people = {1: ("Zoé", "zoe@a.test", "user"), 2: ("-x", "", "admin")}
    return found


def local(at_ms: int | None, zone: ZoneInfo) -> str:
    return "" if at_ms is None else datetime.fromtimestamp(at_ms // 1_000, zone).isoformat(" ")[:19]


def iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1_000:03}Z"


def shared(row: dict[str, Any], who: Teller) -> tuple[str | None, int, int | None, list[str], list[str]]:
    known = names()
    location, zone = known.locations.get(row["location_id"], ("", None))
    charger, serial = known.chargers.get(row["charger_id"], ("", ""))
    person, email, role = known.people.get(row["person_id"], ("", "", ""))
    begun_ms = row["started_ms"] if row["begun_ms"] is None else row["begun_ms"]
    over_ms = row["ended_ms"] if row["ended_ms"] is None or row["over_ms"] is None else row["over_ms"]
    told = [role, "", neutral(email)] if who.sees_people else ["", "", ""]
    return row["zone"] or zone, begun_ms, over_ms, [neutral(one) for one in (location, serial, charger, person)], told


def portal_cells(row: dict[str, Any], who: Teller) -> list[str]:
    zone_name, begun_ms, over_ms, places, told = shared(row, who)
    zone = ZoneInfo("UTC" if zone_name in (None, "No/Where") else zone_name)
    energy_wh, cost_nanos, seconds = row["energy_wh"], row["cost_nanos"], row["charging_ms"] // 1_000
    is_priced = cost_nanos is not None and energy_wh
    return [
        neutral(who.organisation), *places, *told, neutral(row["tag"] or ""), str(row["id"]), local(begun_ms, zone),
        local(over_ms, zone),
        f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}",
        "" if energy_wh is None else decimal(energy_wh, 3), "",
        decimal(tariff.rounded(cost_nanos, energy_wh), 6) if is_priced else "", row["currency"] or "",
        "" if cost_nanos is None else decimal(tariff.rounded(cost_nanos, 10_000_000), 2), *NOT_YET,
    ]  # fmt: skip


def tidy_cells(row: dict[str, Any], who: Teller) -> list[str]:
    zone_name, begun_ms, over_ms, (location, serial, charger, person), _ = shared(row, who)
    state = "running" if row["ended_ms"] is None else "no_stop" if row["end_reason"] == NO_STOP_RECEIVED else "ended"
    return [
        str(row["id"]), neutral(who.organisation), location, zone_name or "", str(row["charger_id"]), serial, charger,
        str(row["evse"]), str(row["connector"]), person, neutral(row["tag"] or ""), iso(begun_ms),
        "" if over_ms is None else iso(over_ms), state, "" if over_ms is None else str(max(0, over_ms - begun_ms) // 1_000),
        str(row["charging_ms"] // 1_000), "" if row["energy_wh"] is None else str(row["energy_wh"]), str(row["peak_w"]),
        "" if row["cost_nanos"] is None else decimal(row["cost_nanos"], 9), row["currency"] or "",
        neutral(row["end_reason"] or ""), " ".join(json.loads(row["suspects"])),
    ]  # fmt: skip


def plain(rows: list[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode()


@given(st.lists(ROW, max_size=4), st.booleans())
def test_lines_are_those_of_a_plain_writer(rows: list[dict[str, Any]], sees_people: bool) -> None:
    who = Teller("=Atelier, Lyon", sees_people=sees_people)
    given_rows = [tuple(row[name] for name in COLUMNS) for row in rows]
    assert PortalLines(who).of(given_rows, names()) == plain([portal_cells(row, who) for row in rows])
    assert TidyLines(who).of(given_rows, names()) == plain([tidy_cells(row, who) for row in rows])


def test_headers() -> None:
    assert PortalLines.header == plain([list(PORTAL_COLUMNS)])
    assert TidyLines.header == plain([list(TIDY_COLUMNS)])


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_lines, "REMEMBERED", 3)
    lines = PortalLines(Teller("A", sees_people=True))
    row = dict.fromkeys(COLUMNS, 0) | {"begun_ms": None, "zone": "UTC", "currency": "EUR", "suspects": "[]"}
    for number in range(10):
        changed = row | {"charger_id": number, "tag": str(number), "person_id": number, "started_ms": number * 900_000}
        assert lines.of([tuple(changed[name] for name in COLUMNS)], names()).count(b"\r\n") == 1
    kept = (lines._cells, lines._places, lines._people, lines._zones["UTC"])
    assert max(map(len, kept)) <= 3
