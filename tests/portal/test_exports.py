"""Files of sessions on their way: how far they are, by whom they are followed, and that nothing stays of one that broke off."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import click
import httpx
import pytest
from click.testing import CliRunner

from borne import export as shell
from borne.cli import main
from borne.portal import session_files, session_report
from borne.portal.exports import Export, watched
from tests.portal.test_session_files import filled
from tests.support.pdf import words_of
from tests.support.portal import log_in, running_portal
from tests.support.server import Site, in_thread, running_site

pytestmark = pytest.mark.anyio
KEY = "0123456789abcdef"
MANY = 60_000


async def told(browser: httpx.AsyncClient, key: str = KEY, look: int = 0) -> str:
    answer = await browser.get(f"/sessions/exports?export={key}&look={look}")
    assert answer.status_code == 200
    return answer.text


async def test_a_page_follows_its_own_export_alone(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal:
        await filled(portal, {}, {}, {"ended_ms": None})
        async with portal.client() as boss, portal.client() as zoe:
            await log_in(boss, "boss@a.test")
            await log_in(zoe, "zoe@a.test")
            assert "hx-get" in await told(boss), "it may not have begun: it is asked for again"
            for path in ("/sessions.csv", "/sessions/tidy.csv", "/sessions.xlsx", "/sessions.pdf"):
                assert (await boss.get(f"{path}?kind=ended&export={KEY}")).status_code == 200
                said = await told(boss)
                assert "is whole: 2 sessions." in said
                assert path.rpartition("/")[2].replace("tidy", "sessions-tidy") in said
                assert "hx-get" not in said
            assert "is whole" not in await told(zoe)
            assert "hx-get" not in await told(zoe, look=10), "it is not sought for ever"
            assert "hx-get" not in await told(boss, "<script>")


async def test_one_that_broke_off_says_so() -> None:
    closed = []

    async def parts() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            closed.append(True)

    export = Export("sessions.csv", 10)
    stream = watched(export, parts())
    await anext(stream)
    assert export.state == "runs"
    await stream.aclose()  # type: ignore[attr-defined]
    assert (export.state, closed) == ("broke", [True])


async def test_a_pdf_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_portal(tmp_path) as portal:
        await filled(portal, {}, {"energy_wh": None, "cost_nanos": None}, {"cost_nanos": None})
        async with portal.client() as boss, portal.client(**{"accept-language": "fr"}) as french:
            await log_in(boss, "boss@a.test")
            await log_in(french, "boss@a.test")
            pdf = await boss.get("/sessions.pdf?kind=ended&from=2026-10-01")
            assert pdf.headers["content-disposition"] == 'attachment; filename="sessions.pdf"'
            said = words_of(pdf.content).replace("\xa0", " ")
            for text in (
                "Charging sessions", "Since: 1 Oct 2026 · State: Ended", "14.68 kWh", "25 Oct 2026, 02:30", "Zoe", "2 h",
                "The energy of 1 session is not known", "1 session has energy without a price", "Page 1 of ",
            ):  # fmt: skip
                assert text in said, text
            assert "Sessions de charge" in words_of((await french.get("/sessions.pdf")).content)
            none = words_of((await boss.get("/sessions.pdf?kind=running")).content)
            assert "No session matches" in none
            monkeypatch.setattr(session_report, "ROWS_MOST", 2)
            assert (await boss.get(f"/sessions.pdf?export={KEY}")).status_code == 204
            assert "A PDF holds 2 sessions at most" in await told(boss), "where it was asked for"
            refused = await boss.get("/sessions.pdf")
            assert refused.status_code == 413
            assert "A PDF holds 2 sessions at most, and these are 3." in refused.text


# ---- from a shell --------------------------------------------------------------------------------------------------------


def test_a_terminal_is_told_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    for total in (None, 3_000):
        progress = shell._Progress(total)
        progress.tell(1_000)
        progress.end()
    assert capsys.readouterr().err.rstrip() == "\r1,000 of 3,000 sessions\r1,000 sessions, all of them"


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = CliRunner(env={"BORNE_DATABASE_URL": f"sqlite:///{tmp_path}/b.sqlite3"})
    assert run.invoke(main, ["admin", "create-organisation", "--name", "Atelier"]).exit_code == 0
    (tmp_path / "out").mkdir()
    file = tmp_path / "out" / "sessions.csv"
    file.write_text("of yesterday")

    async def breaks(*_: Any) -> AsyncIterator[bytes]:
        yield b"half\n"
        raise click.ClickException("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(session_files, "csv", breaks)
        assert run.invoke(main, ["export", "sessions", "--out", str(file)]).exit_code == 1
    assert file.read_text() == "of yesterday"
    assert os.listdir(file.parent) == [file.name]
    assert run.invoke(main, ["export", "sessions", "--out", str(file)]).exit_code == 0
    assert file.read_text().startswith("organisation,")
    refused = run.invoke(main, ["export", "sessions", "--out", str(tmp_path / "none" / "x.csv")])
    assert "could not be written" in refused.output


# ---- a connection that is cut --------------------------------------------------------------------------------------------

FILL = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
INSERT INTO sessions (charger_id, organisation_id, location_id, evse, connector, "transaction", start_key, tag, started_ms,
  ended_ms, begun_ms, over_ms, energy_wh, zone, measured) SELECT 1, o.id, l.id, 1, 1, i, i, 'TAG', i * 1000, i * 1000 + 900,
  i * 1000, i * 1000 + 900, 7000, 'UTC', 1 FROM n, organisations o JOIN locations l ON l.organisation_id = o.id"""


async def soon(holds: Callable[[], Any], what: str) -> None:
    until_s = time.monotonic() + 20
    while True:
        found = holds()
        if await found if hasattr(found, "__await__") else found:
            return
        assert time.monotonic() < until_s, what
        await anyio.sleep(0.05)


@pytest.mark.slow
async def test_a_cut_connection_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a real server (some seconds): no other knows what a cut is."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))

    def begin() -> Site:
        site.add_organisation("Atelier", "business")
        site.add_person("boss@a.test", "super-admin", "Atelier")
        site.sql(FILL, MANY)
        return site

    with running_site(tmp_path / "site") as site:
        in_thread(begin)
        async with httpx.AsyncClient(base_url=site.url, timeout=20) as browser:
            await log_in(browser, "boss@a.test")
            for path, key in (("/sessions.csv", KEY), ("/sessions.xlsx", KEY[::-1])):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(cut, browser, f"{path}?export={key}", scratch if path.endswith("xlsx") else None)

                async def broke(key: str = key) -> bool:
                    return "broke off after" in await told(browser, key)

                await soon(broke, f"{path} broke off")
                await soon(lambda: not list(scratch.glob("borne-*")), f"nothing is left of {path}")
            whole = await browser.get(f"/sessions/tidy.csv?export={KEY}")
            assert whole.text.count("\n") == MANY + 1
            assert f"is whole: {MANY:,} sessions." in await told(browser)


async def cut(browser: httpx.AsyncClient, address: str, scratch: Path | None) -> None:
    """Break off once bytes came, or once the file is being made."""
    async with httpx.AsyncClient(base_url=browser.base_url, cookies=browser.cookies, timeout=20) as other:
        if scratch is not None:
            with anyio.move_on_after(20) as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(other.get, address)
                    await soon(lambda: list(scratch.glob("borne-*/*")), "a file is made")
                    scope.cancel()
            return
        async with other.stream("GET", address) as answer:
            assert answer.status_code == 200
            async for _ in answer.aiter_bytes(1_000):
                return
