"""Sessions as files: the 26 columns to the letter, cells that no spreadsheet runs, and a stream that holds a page at most."""

from __future__ import annotations

import csv
import io
import re
import time
import tracemalloc
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from borne.cli import main
from borne.core.scope import Scope
from borne.portal import session_files
from borne.portal.session_cells import PORTAL_COLUMNS, TIDY_COLUMNS, decimal
from borne.store.schema import sessions
from borne.store.session_list import Filter
from tests.support.portal import Portal, log_in, running_portal

pytestmark = pytest.mark.anyio
SPOKEN = (
    "organisation, location, serial, charger, user name, role, subscription, e-mail, RFID, session id, start, end, "
    "charging time, energy, MID energy, cost/kWh, currency, session cost, session type, fixed fee, variable fee type, "
    "variable fee price, amount excl. VAT, VAT %, VAT, total"
)
COLUMNS = (
    "charger_id", "organisation_id", "location_id", "evse", "connector", "transaction", "start_key", "tag", "person_id",
    "started_ms", "begun_ms", "over_ms", "ended_ms", "end_reason", "energy_wh", "charging_ms", "peak_w", "cost_nanos", "currency",
    "zone", "measured", "suspects",
)  # fmt: skip
SUMMER_MS = round(
    datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp() * 1_000
)  # 02:30 in Paris, an hour before it is so again
HOUR_MS = 3_600_000
BIG, BOUND_BYTES = 20_000, 6_000_000


def row(organisation_id: int, location_id: int, number: int = 1, **changes: Any) -> tuple[Any, ...]:
    values = {
        "charger_id": 5, "organisation_id": organisation_id, "location_id": location_id, "evse": 1, "connector": 1,
        "transaction": str(number), "start_key": str(number), "tag": "+33", "person_id": None, "started_ms": SUMMER_MS,
        "begun_ms": SUMMER_MS, "over_ms": SUMMER_MS + 2 * HOUR_MS, "ended_ms": SUMMER_MS + 2 * HOUR_MS, "end_reason": "Local",
        "energy_wh": 7_340, "charging_ms": 5_025_000, "peak_w": 7_400, "cost_nanos": 1_853_350_000, "currency": "EUR",
        "zone": "Europe/Paris", "measured": 1, "suspects": '["clock"]',
    }  # fmt: skip
    return tuple((values | changes)[name] for name in COLUMNS)


async def filled(portal: Portal, *rows: dict[str, Any]) -> Scope:
    """An organisation with a formula for a name, people and these sessions; its super-admin's scope."""
    organisation_id, location_id = await portal.add_organisation("=Atelier")
    zoe_id = await portal.add_person("zoe@a.test", (organisation_id, "user"))
    boss_id = await portal.add_person("boss@a.test", (organisation_id, "super-admin"))
    await portal.add_person("oscar@a.test", (organisation_id, "operator"), location_ids=(location_id,))
    async with portal.db.transaction() as tx:
        found = [row(organisation_id, location_id, n, **{"person_id": zoe_id, **one}) for n, one in enumerate(rows)]
        await tx.insert_many(sessions, COLUMNS, found)
    return Scope(
        person_id=boss_id, person_name="Boss", organisation_id=organisation_id, role="super-admin", plan="business"
    )


async def lines(portal: Portal, who: str, path: str) -> list[list[str]]:
    async with portal.client() as browser:
        await log_in(browser, who)
        answer = await browser.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment")
    return list(csv.reader(io.StringIO(answer.text)))


async def test_the_26_columns(tmp_path: Path) -> None:
    assert ", ".join(PORTAL_COLUMNS) == SPOKEN
    async with running_portal(tmp_path) as portal:
        await filled(portal, {}, {"energy_wh": None, "cost_nanos": None, "ended_ms": None})
        header, runs, over = await lines(portal, "boss@a.test", "/sessions.csv")
        assert tuple(header) == PORTAL_COLUMNS
        assert over == [
            "'=Atelier", "=Atelier, Lyon".replace("=", "'="), "", "", "Zoe", "user", "", "zoe@a.test", "'+33", "1",
            "2026-10-25 02:30:00", "2026-10-25 03:30:00", "01:23:45", "7.340", "", "0.252500", "EUR", "1.85", *[""] * 8,
        ]  # fmt: skip
        assert (runs[11], runs[13], runs[15], runs[17]) == ("", "", "", "")
        (_, seen) = (await lines(portal, "oscar@a.test", "/sessions.csv?kind=ended"))[:2]
        assert (seen[4], seen[5], seen[7]) == ("Zoe", "", ""), "an operator sees no users' addresses"
        assert len(await lines(portal, "zoe@a.test", "/sessions.csv")) == 3


async def test_tidy_is_exact_and_in_utc(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal:
        await filled(portal, {})
        header, over = await lines(portal, "boss@a.test", "/sessions/tidy.csv")
        told = dict(zip(header, over, strict=True))
        assert tuple(header) == TIDY_COLUMNS
        assert (told["started_at"], told["plugged_s"], told["cost"]) == (
            "2026-10-25T00:30:00.000Z",
            "7200",
            "1.853350000",
        )
        assert (told["tag"], told["suspects"], told["state"]) == ("'+33", "clock", "ended")


async def test_the_spreadsheet_has_numbers_and_no_formula(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal:
        await filled(portal, {})
        async with portal.client() as browser:
            await log_in(browser, "boss@a.test")
            answer = await browser.get("/sessions.xlsx")
        book = zipfile.ZipFile(io.BytesIO(answer.content))
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "&#39;=Atelier" in sheet or "'=Atelier" in sheet
    assert "<v>7340</v>" in sheet
    assert "<v>1.85335</v>" in sheet
    assert len(re.findall("<row ", sheet)) == 2


async def test_a_long_spreadsheet_goes_on_in_another_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_files, "SHEET_ROWS", 2)
    async with running_portal(tmp_path) as portal:
        scope = await filled(portal, {}, {}, {})
        content = b"".join([part async for part in session_files.sheet(portal.db, scope, Filter())])
    book = zipfile.ZipFile(io.BytesIO(content))
    rows = [len(re.findall("<row ", book.read(f"xl/worksheets/sheet{n}.xml").decode())) for n in (1, 2)]
    assert rows == [3, 2]


async def test_many_sessions_stream_in_small_slices_with_flat_memory(tmp_path: Path, record_property: Any) -> None:
    async with running_portal(tmp_path) as portal:
        scope = await filled(portal, *({"person_id": None} for _ in range(BIG)))
        count, slices, began_s = 0, [], time.perf_counter()
        stream = session_files.csv(portal.db, scope, Filter(), "portal")
        while True:
            before_s = time.thread_time()
            part = await anext(stream, None)
            slices.append(time.thread_time() - before_s)
            if part is None:
                break
            count += part.count(b"\r\n")
        record_property("rows_per_s", round(count / (time.perf_counter() - began_s)))
        assert count == BIG + 1
        assert sorted(slices)[-3] < 0.02, "the loop that holds the sockets waits no longer"
        tracemalloc.start()
        try:
            async for _ in session_files.csv(portal.db, scope, Filter(), "portal"):
                pass
            assert tracemalloc.get_traced_memory()[1] < BOUND_BYTES
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize(
    ("amount", "digits", "text"),
    [(0, 2, "0.00"), (5, 3, "0.005"), (-5, 2, "-0.05"), (-12_345, 2, "-123.45"), (10**18, 9, "1000000000.000000000")],
)
def test_exact_decimals(amount: int, digits: int, text: str) -> None:
    assert decimal(amount, digits) == text


def test_from_a_shell(tmp_path: Path) -> None:
    database, file = f"sqlite:///{tmp_path}/b.sqlite3", tmp_path / "out.csv"
    run = CliRunner(env={"BORNE_DATABASE_URL": database})
    made = run.invoke(main, ["admin", "create-organisation", "--name", "Atelier"])
    assert made.exit_code == 0, made.output
    done = run.invoke(main, ["export", "sessions", "--layout", "portal", "--out", str(file), "--since", "2026-01-01"])
    assert done.exit_code == 0, done.output
    assert file.read_text() == ",".join(PORTAL_COLUMNS) + "\n"
    refused = run.invoke(main, ["export", "sessions", "--organisation", "Nobody"])
    assert refused.exit_code == 1
    assert "no organisation named" in refused.output
