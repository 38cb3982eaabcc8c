"""The statistics: numbers of the store, charts with tables behind them, at a desk and on a phone, on paper, in both languages."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from borne.portal.periods import number_of_day
from borne.store import statistics
from borne.store.db import Database, Row
from borne.store.statistics import Chosen
from tests.browser.conftest import RESULTS, Browsing
from tests.support.browser import PHONE, contrast, overflows
from tests.support.measured import PARIS, beside, charge_daily, super_admin
from tests.support.server import Credentials, Site

AA = 4.5


@pytest.fixture
def boss(site: Site, new_organisation: Callable[..., str], add: Callable[..., Credentials]) -> tuple[str, int]:
    """A super-admin of three chargers in two locations that have charged for a hundred days, and the organisation's id."""
    name = new_organisation("business", "East", "West")
    made = [add("Quay", name, location=place, model="supernova-60") for place in ("East", "East", "West")]
    return f"boss@{name}.test", charge_daily(site, name, [one.id for one in made])


def stored(site: Site, organisation_id: int, days: int, location: str = "") -> Row:
    """What the store says of the last days, all of it or of one location."""
    today = number_of_day(datetime.now(UTC).astimezone(PARIS).date())
    wanted = "SELECT id FROM locations WHERE organisation_id = ? AND name = ?"
    location_id = site.sql(wanted, organisation_id, location)[0][0] if location else None

    async def ask(db: Database) -> Row:
        chosen = Chosen(from_day=today - days + 1, until_day=today + 2, location_id=location_id)
        return await statistics.sums(db, super_admin(organisation_id), chosen)

    return beside(site, ask)


def number(text: str) -> float:
    """`8,299.6 kWh`, `8 299,6 kWh`."""
    found = re.sub(r"[^\d.,]", "", text)
    return float(found.replace(",", "") if re.search(r"\.\d$|,\d{3}", found) else found.replace(",", "."))


def figure(page: Page, label: str) -> Locator:
    return page.locator(".figure").filter(has=page.get_by_text(label, exact=True)).locator("b")


def charts_have_tables(page: Page) -> int:
    """How many charts the page has; each with a table of as many rows as it has bars."""
    charts = page.locator("figure.chart").all()
    for chart in charts:
        bars = chart.locator("svg .chart-bar").count()
        assert bars == chart.locator("table tbody tr").count() > 0
    return len(charts)


def keep(page: Page, name: str) -> None:
    """A picture of the whole page."""
    RESULTS.mkdir(exist_ok=True)
    page.screenshot(path=RESULTS / f"{name}.png", full_page=True)


def test_at_a_desk(browse: Browsing, site: Site, boss: tuple[str, int], tmp_path: Path) -> None:
    """Numbers are those of the store; measures, grains, locations, chargers and users narrow; files hold what is shown."""
    who, organisation_id = boss
    page = browse.open("/statistics", who, color_scheme="light")
    known = stored(site, organisation_id, 30)
    assert number(figure(page, "Energy").inner_text()) == pytest.approx(known.energy_wh / 1_000, abs=0.05)
    assert figure(page, "Sessions").inner_text() == str(known.sessions) == "90"
    assert number(figure(page, "Cost of energy").inner_text()) == pytest.approx(known.cost_nanos / 1e9, abs=0.05)
    expect(page.get_by_text("Revenue is not shown")).to_be_visible()
    assert charts_have_tables(page) == 1
    assert contrast(page.locator(".figure .quiet").first) >= AA
    keep(page, "statistics-desk-light-en")

    page.get_by_role("link", name="Sessions", exact=True).last.click()
    expect(page.locator("#time-title")).to_have_text("Sessions")
    page.get_by_text("As a table").click()
    expect(page.locator(".chart-table tbody td").first).to_have_text("3")
    page.get_by_role("button", name="7 days").click()
    page.get_by_role("link", name="Hour", exact=True).click()
    assert 7 * 24 - 1 <= page.locator(".chart-bar").count() <= 7 * 24 + 1, "a day may have 23 or 25 hours"
    expect(page.locator("#time-title")).to_have_text("Sessions")

    page.get_by_role("button", name="30 days").click()
    page.locator("#location").select_option("West")
    page.get_by_role("button", name="Show").click()
    west = stored(site, organisation_id, 30, "West")
    assert number(figure(page, "Energy").inner_text()) == pytest.approx(west.energy_wh / 1_000, abs=0.05)
    page.locator("#location").select_option("")
    page.locator("#find").fill("boss")
    page.locator("#find").press("Enter")
    page.get_by_role("link", name="User: Boss").click()
    expect(figure(page, "Sessions")).to_have_text("60")
    expect(page.locator("#by-charger")).to_have_count(0)
    page.get_by_role("link", name=re.compile("^User: Boss")).click()
    expect(figure(page, "Sessions")).to_have_text("90")

    page.get_by_text("Download").click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="CSV: By charger").click()
    assert len(Path(waiting.value.path()).read_text().splitlines()) == 4


def test_on_a_phone_in_french_and_dark(browse: Browsing, boss: tuple[str, int]) -> None:
    page = browse.open("/statistics?period=30", boss[0], locale="fr-FR", viewport=PHONE, color_scheme="dark")
    assert overflows(page) == 0
    assert charts_have_tables(page) == 1
    expect(page.get_by_role("heading", level=1)).to_have_text("Statistiques")
    expect(page.get_by_text("Aucune recette n’est affichée")).to_be_visible()
    assert contrast(page.locator(".figure .quiet").first) >= AA
    page.get_by_text("Comment c’est compté").click()
    assert overflows(page) == 0
    keep(page, "statistics-phone-dark-fr")
    page.goto("/statistics?period=12&by=month&show=cost")
    expect(page.locator("#time-title")).to_have_text("Coût de l’énergie")
    assert overflows(page) == 0


def test_on_paper(browse: Browsing, boss: tuple[str, int]) -> None:
    """Charts and the tables behind them, dark ink whatever the theme, no buttons."""
    page = browse.open("/statistics?period=30", boss[0], color_scheme="dark", viewport={"width": 760, "height": 1_000})
    page.emulate_media(media="print")
    expect(page.locator(".chart-plot svg")).to_be_visible()
    expect(page.locator(".chart-table tbody tr").first).to_be_visible()
    expect(page.locator("#how-utilisation dd").first).to_be_visible()
    expect(page.locator("form.filters")).to_be_hidden()
    colour = page.locator("h1").evaluate("node => getComputedStyle(node).color")
    assert sum(map(int, re.findall(r"\d+", colour))) < 200, colour
    bar = page.locator(".chart-bar").last.bounding_box()
    assert bar is not None
    assert bar["height"] > 20
    assert page.pdf(format="A4").startswith(b"%PDF")
    keep(page, "statistics-print")
