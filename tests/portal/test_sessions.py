"""Sessions on pages: measured figures, filters and views, the page of one session, and what it says of its data."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from sqlalchemy import select, update

from borne.bus.memory import MemoryBus
from borne.core.facts import Metered, SessionEnded, SessionStarted, SessionUpdated
from borne.core.metering import Curve, Suspect
from borne.core.readings import Reading
from borne.core.tariff import EnergyPrice, Fixed
from borne.engine.metering import Meter
from borne.engine.prices import Prices
from borne.portal import line_chart
from borne.portal.language import translations
from borne.portal.session_events import gaps
from borne.portal.session_words import REASONS, SUSPECTS
from borne.store import energy_prices
from borne.store.schema import sessions
from tests.support.portal import log_in, post
from tests.support.restart_site import Site, running_site

pytestmark = pytest.mark.anyio
CAMILLE, ZOE = "camille@a.test", "zoe@a.test"
MINUTE_S = 60


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Lyon pays 0.2503 EUR a kWh."""
    async with running_site(tmp_path) as one:
        price = EnergyPrice(0, Fixed(250_300))
        async with one.portal.db.transaction() as tx:
            await energy_prices.add(
                tx, one.organisation_id, one.lyon_id, price, currency="EUR", person_name="C", now_ms=1
            )
        db, clock = one.portal.db, one.portal.clock
        one.engine.metered = Meter(db, MemoryBus(), clock, Prices(db, clock)).take
        yield one


async def browser(site: Site, email: str = CAMILLE, **headers: str) -> httpx.AsyncClient:
    client = site.portal.client(**headers)
    assert (await log_in(client, email)).status_code == 303
    return client


def words(page: httpx.Response) -> str:
    """The text of a page."""
    assert page.status_code == 200
    text = re.sub(r"(?s)<(style|script|svg).*?</\1>", "", page.text)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", text))).replace("\u202f", " ").replace("\xa0", " ")


class Told:
    """A charger that tells of a session, a few minutes at a time."""

    def __init__(self, site: Site, charger_id: int, transaction: str) -> None:
        self.site = site
        self.common: dict[str, Any] = {"charger_id": charger_id, "epoch": 1, "evse": 1, "connector": 1, "raw": "{}"}
        self.transaction = transaction

    async def start(self, wh: int, **said: Any) -> None:
        now_ms = self.site.now_ms
        fact = SessionStarted(
            at_ms=now_ms, transaction=self.transaction, meter_start_wh=wh, device_ms=now_ms, **self.common, **said
        )
        await self.site.engine.apply(fact)

    async def meter(self, wh: int, power_w: int, *more: Reading) -> None:
        now_ms = self.site.now_ms
        readings = (Reading("energy_import_wh", wh, now_ms), Reading("power_import_w", power_w, now_ms), *more)
        common = {key: value for key, value in self.common.items() if key != "raw"}
        await self.site.engine.apply(Metered(at_ms=now_ms, transaction=self.transaction, readings=readings, **common))

    async def end(self, wh: int, **said: Any) -> None:
        now_ms = self.site.now_ms
        fact = SessionEnded(
            at_ms=now_ms, transaction=self.transaction, meter_stop_wh=wh, device_ms=now_ms, **self.common, **said
        )
        await self.site.engine.apply(fact)


async def measure(site: Site) -> None:
    meter: Meter = site.engine.metered.__self__  # type: ignore[union-attr]
    await meter.once(all_of_them=True)


async def whole(site: Site, transaction: str = "T1", name: str = "Quai 4", **said: Any) -> int:
    """A session of 40 minutes and 7,777 Wh; its id."""
    told = Told(site, await site.online_charger(name), transaction)
    await told.start(1_000, tag="CARD", **said)
    site.later(25 * MINUTE_S)
    await told.meter(6_000, 11_000)
    site.later(15 * MINUTE_S)
    await told.end(8_777, reason="EVDisconnected")
    await measure(site)
    return int(await site.portal.db.value(select(sessions.c.id).where(sessions.c.transaction == transaction)))


# ---- the list ------------------------------------------------------------------------------------------------------------


async def test_the_list_shows_what_was_measured(site: Site) -> None:
    session_id = await whole(site)
    client = await browser(site)
    page = await client.get("/sessions")
    assert "7.78 kWh €1.95 40 min Ended" in words(page)
    assert f'href="/sessions/{session_id}"' in page.text
    assert f'data-live="session:{session_id}"' not in page.text, "it is over"
    page = await client.get(f"/sessions/{session_id}")
    assert f'data-live="session:{session_id}"' in page.text, "it may have ended a moment before it is measured"


async def test_a_session_that_runs_is_looked_at_again(site: Site) -> None:
    told = Told(site, await site.online_charger("Quai 9"), "R1")
    await told.start(0, tag="CARD")
    await measure(site)
    site.later(10 * MINUTE_S)
    await told.meter(1_234, 7_400)
    await measure(site)
    client = await browser(site)
    page = await client.get("/sessions")
    (session_id,) = re.findall(r'data-live="session:(\d+)"', page.text)
    assert "1.23 kWh 7.4 kW €0.31 10 min Runs" in words(page)
    rows = await client.get(f"/sessions/rows?ids={session_id},999999,x")
    assert re.findall(r'<tr id="session-(\d+)"', rows.text) == [session_id]
    assert 'hx-swap-oob="true"' in rows.text
    body = await client.get(f"/sessions/{session_id}", headers={"HX-Request": "true"})
    assert "Power now 7.4 kW" in words(body)
    assert f'data-live="session:{session_id}"' in body.text
    assert "<html" not in body.text
    address = unescape(re.findall(r'hx-get="(/sessions/newer\?after=\d+)"', page.text)[0])
    assert (await client.get(address)).status_code == 204
    await Told(site, await site.online_charger("Quai 4"), "R2").start(0, tag="CARD")
    assert len(re.findall("<tr id=", (await client.get(address)).text)) == 2, "another one began since"
    assert (await client.get(f"{address}&kind=ended")).status_code == 204
    stranger = await browser(site, ZOE)
    assert (await stranger.get("/sessions/newer?after=0")).status_code == 204
    assert "<tr" not in (await stranger.get(f"/sessions/rows?ids={session_id}")).text


async def test_filters(site: Site) -> None:
    await whole(site)
    told = Told(site, await site.online_charger("Quai 9"), "R1")
    await told.start(0, tag="other")
    await measure(site)
    client = await browser(site)
    for query, names in (
        ("kind=running", ["Quai 9"]), ("kind=ended", ["Quai 4"]), ("kind=no_stop", []), ("kind=doubtful", []),
        ("kind=nonsense", ["Quai 9", "Quai 4"]), ("who=card", ["Quai 4"]), ("who=OTHER", ["Quai 9"]), ("who=nobody", []),
        ("who=%00", ["Quai 9", "Quai 4"]), ("who=" + "x" * 5_000, []), ("q=quai&kind=running", ["Quai 9"]),
    ):  # fmt: skip
        page = await client.get(f"/sessions?{query}", headers={"HX-Request": "true"})
        assert re.findall(r'class="name" href="/chargers/\d+">([^<]+)', page.text) == names, query
    page = await client.get("/sessions?kind=ended&older=nonsense&evil=1", headers={"HX-Request": "true"})
    assert 'href="/sessions.csv?kind=ended"' in page.text, "files follow the filter"


async def test_views_are_saved_chosen_and_deleted(site: Site) -> None:
    client, other = await browser(site), await browser(site, "ali@a.test")
    saved = await post(client, "/sessions/views", name=" Still  running ", query="kind=running&evil=1&older=e5&q=")
    assert saved.headers["location"] == "/sessions?kind=running"
    page = await client.get("/sessions?kind=running")
    assert 'href="/sessions?kind=running" aria-current="true">Still running</a>' in page.text
    assert "Still running" not in (await other.get("/sessions")).text
    (view_id,) = re.findall(r"/sessions/views/(\d+)/delete", page.text)
    assert (await post(other, f"/sessions/views/{view_id}/delete")).status_code == 404
    assert (await post(client, "/sessions/views", name=" ", query="kind=running")).status_code == 422
    for query in (
        "&".join(["kind=ended"] * 500),
        "x" * 100_000,
        "kind=%00%ff",
        "kind=\ud800".encode("utf-8", "replace"),
    ):
        assert (await post(client, "/sessions/views", name="Odd", query=query)).status_code == 303
    assert (await post(client, f"/sessions/views/{view_id}/delete")).status_code == 303
    assert "Still running" not in (await client.get("/sessions")).text


# ---- one session -----------------------------------------------------------------------------------------------------------


async def test_the_page_of_a_session_in_both_languages(site: Site) -> None:
    session_id = await whole(site)
    said = words(await (await browser(site)).get(f"/sessions/{session_id}"))
    for text in (
        "Ended The cable was unplugged.", "Energy 7.78 kWh", "Highest power 12 kW", "Cost €1.95", "Duration 40 min",
        "charging 40 min, idle 0 s", "Badge CARD", "Charger Quai 4", "Meter at the start 1 kWh", "Total 7.777 kWh €1.95",
        "The charger told the start", "The charger told the end",
    ):  # fmt: skip
        assert text in said, text
    assert "suspect" not in said
    french = words(await (await browser(site, **{"accept-language": "fr"})).get(f"/sessions/{session_id}"))
    for text in ("Terminée Le câble a été débranché.", "Énergie 7,78 kWh", "Coût 1,95 €", "Total 7,777 kWh 1,95 €"):
        assert text in french, text


async def test_power_is_shown_against_what_was_offered(site: Site) -> None:
    charger_id = await site.online_charger("Quai 4")
    told = Told(site, charger_id, "L1")
    await told.start(1_000, tag="CARD")
    for number, offered_ma in enumerate((16_000, 6_000, 6_000), 2):
        site.later(10 * MINUTE_S)
        await told.meter(1_000 * number, 7_300, Reading("current_offered_ma", offered_ma, site.now_ms))
    site.later(10 * MINUTE_S)
    await told.end(5_000)
    await measure(site)
    client = await browser(site)
    session_id = int(await site.portal.db.value(select(sessions.c.id).where(sessions.c.transaction == "L1")))
    page = await client.get(f"/sessions/{session_id}")
    lines = json.loads(unescape(re.findall(r'data-lines="([^"]*)"', page.text)[0]))
    (limit,) = [one["values"] for one in lines["series"] if one["key"] == "limit"]
    assert lines["zone"] == "Europe/Paris"
    assert (limit[-1], set(limit)) == (4.14, {None, 11.04, 4.14}), "three phases explain what was drawn"
    assert sorted(lines["times"]) == lines["times"]
    said = words(page)
    assert "The limit is what the charger offered. More than the limit was drawn for 10 min." in said
    assert "Time Power Limit Energy" in said
    assert "No limit is known" in words(await client.get(f"/sessions/{await whole(site, 'L2', 'Quai 9')}"))


async def test_what_happened_stands_in_order(site: Site) -> None:
    session_id = await whole(site)
    page = await (await browser(site)).get(f"/sessions/{session_id}")
    happened = words(page).partition("What happened ")[2].partition("Cost by")[0]
    begin, told, end = (happened.find(text) for text in ("Connector 1: ", "told the start", "told the end"))
    assert -1 < told < end, happened
    assert begin > -1, "and what its connector said"


async def test_what_a_session_saved_opens_to_formula_inputs_and_source(site: Site) -> None:
    session_id = await whole(site)
    said = words(await (await browser(site)).get(f"/sessions/{session_id}")).partition("What it saved")[2]
    for text in (
        "Against petrol €2.82", "7.777 kWh × 90 % ÷ 18 kWh/100 km = 38.88 km", "38.88 km × 7 l/100 km = 2.722 l",
        "2.722 l × €1.75 = €4.76", "€4.76 − €1.95 = €2.82", "Against charging at once €0.00",
        "at the session’s highest power, 12 kW",
        "7.777 kWh × 284 g = 2.209 kg", "Ember, 2024, EU", "As it was At once",
    ):  # fmt: skip
        assert text in said, text
    async with site.portal.db.transaction() as tx:
        await tx.run(update(sessions).where(sessions.c.id == session_id).values(cost_nanos=9_000_000_000))
    dear = (await (await browser(site)).get(f"/sessions/{session_id}")).text
    assert 'class="num loss"' in dear, "a loss is shown as a loss"


async def test_costs_by_the_quarter_add_up_to_the_total(site: Site) -> None:
    session_id = await whole(site)
    page = await (await browser(site)).get(f"/sessions/{session_id}")
    table = page.text.partition('class="slot-table"')[2].partition("</table>")[0]
    rows, foot = table.split("<tfoot>")
    costs = [int(found.replace(".", "")) for found in re.findall(r">€(\d+\.\d\d)<", rows)]
    energies = [float(found) for found in re.findall(r"([\d.]+)\u00a0?\s?kWh", rows)]
    assert len(costs) >= 3
    assert sum(costs) == 195
    assert round(sum(energies), 3) == 7.777
    assert "€1.95" in foot
    assert "€0.2503" in rows


async def test_what_is_suspect_is_said_in_words(site: Site) -> None:
    told = Told(site, await site.online_charger("Quai 4"), "D1")
    await told.start(900, tag="CARD")
    site.later(600)
    await told.end(600, reason="SomethingNew")
    await measure(site)
    session_id = await site.portal.db.value(select(sessions.c.id))
    client = await browser(site)
    said = words(await client.get(f"/sessions/{session_id}"))
    assert SUSPECTS["stop_below_start"] in said
    assert "Energy not known" in said
    assert "SomethingNew" in said, "a word of no standard is shown as it is"
    assert "not known" in words(await client.get("/sessions?kind=doubtful"))
    async with site.portal.db.transaction() as tx:
        await tx.run(update(sessions).values(suspects='["of_tomorrow"]', conflicts='["<b>1</b>", "2"]'))
    page = await client.get(f"/sessions/{session_id}")
    assert "2 more ends were told with other values" in words(page)
    assert "<b>1</b>" not in page.text


def test_every_suspect_and_every_reason_has_a_sentence_in_both_languages() -> None:
    assert set(SUSPECTS) == set(get_args(Suspect))
    french = translations("fr")
    for sentence in (*SUSPECTS.values(), *REASONS.values()):
        assert sentence.endswith(".")
        assert french.gettext(sentence) not in ("", sentence)


async def test_numbers_that_never_came(site: Site) -> None:
    charger_id = await site.online_charger("Quai 4")
    told = Told(site, charger_id, "S1")
    await told.start(0, tag="CARD", seq=0)
    for seq in (1, 2, 5):
        site.later(60)
        fact = SessionUpdated(at_ms=site.now_ms, transaction="S1", seq=seq, **told.common)
        await site.engine.apply(fact)
    await told.end(10, seq=7)
    await measure(site)
    session_id = await site.portal.db.value(select(sessions.c.id))
    said = words(await (await browser(site)).get(f"/sessions/{session_id}"))
    assert "The charger told how it goes 3 times number 1 – 5" in said
    assert "Messages with these numbers never came: 3–4, 6" in said
    assert gaps([]) == gaps([4]) == gaps([2, 1, 3, 3]) == []


def test_a_curve_of_many_values_keeps_its_ends_and_its_peak() -> None:
    powers = [(n, 100) for n in range(2_000)]
    powers[777] = (777, 5_000)
    chart = line_chart.draw(Curve(0, 2_000, tuple(powers), ((0, 0), (2_000, 40))), str)
    assert chart is not None
    assert chart.area.startswith("0.0,100 0.0,98.0")
    assert " 388.5,0.0 " in chart.area
    assert len(chart.area.split()) <= line_chart.POINTS_MOST + 4
    assert chart.line == "0.0,100.0 1000.0,0.0"
    assert chart.moments[0] == line_chart.Moment("0", 100, 0)
    assert chart.moments[-1] == line_chart.Moment("2000", 100, 40)
    assert line_chart.draw(Curve(5, 5, ((5, 1),), ()), str) is None
    assert line_chart.draw(Curve(0, 5, (), ()), str) is None
