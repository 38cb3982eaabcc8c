"""The overview: true within a second of what happens, at a desk and on a phone, in both themes and languages."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from borne.sim.behaviour import Habits
from tests.browser.conftest import Browsing
from tests.browser.test_statistics import charts_have_tables, keep, number, stored
from tests.support.browser import PHONE, contrast, overflows
from tests.support.measured import charge_daily
from tests.support.server import Charger, Credentials, Site, Yard

AA = 4.5
METERED = Habits(first_after_s=1e9, meter_every_s=0.4, power_w=700_000, offered_w=720_000)


def tile(page: Page, key: str) -> Locator:
    return page.locator(f"#now-{key} b")


@pytest.fixture
def company(
    site: Site, yard: Yard, new_organisation: Callable[..., str], add: Callable[..., Credentials]
) -> tuple[str, int, Charger]:
    """A super-admin of four chargers in two locations with a past, the organisation's id, and the one that is online."""
    name = new_organisation("business", "East", "West")
    made = [add("Quay", name, location=place, model="copper") for place in ("East", "East", "West", "West")]
    organisation_id = charge_daily(site, name, [one.id for one in made])
    return f"boss@{name}.test", organisation_id, yard.connect(made[0], habits=METERED).wait_online()


def test_it_follows_what_happens(browse: Browsing, site: Site, company: tuple[str, int, Charger], live_ms: int) -> None:
    """A session and a fault show by themselves; figures are those of the store; each number leads to its list."""
    who, organisation_id, charger = company
    page = browse.open("/dashboard", who, color_scheme="light")
    expect(tile(page, "online")).to_have_text("1 of 4")
    expect(tile(page, "running")).to_have_text("0")
    rows = page.locator("figure.chart tbody td").all_text_contents()
    thirty = stored(site, organisation_id, 30).energy_wh / 1_000
    assert sum(map(number, rows)) == pytest.approx(thirty, abs=0.06 * 30)
    assert charts_have_tables(page) == 1
    expect(page.locator(".saved")).to_be_hidden()  # without a price and a session nothing is compared

    page.get_by_text("As a table").click()
    charger.say("Faulted")
    expect(tile(page, "attention")).to_have_text("1", timeout=live_ms + 3_000)
    expect(page.locator(".troubles")).to_contain_text(charger.name)
    assert contrast(page.locator(".tile .quiet").first) >= AA
    keep(page, "dashboard-desk-light-en")
    charger.say("Available")
    expect(page.locator(".troubles")).to_have_count(0)

    charger.begin_session()
    expect(tile(page, "running")).to_have_text("1", timeout=live_ms + 3_000)
    expect(tile(page, "charging")).to_have_text("1", timeout=live_ms + 3_000)
    expect(tile(page, "power")).to_have_text(re.compile(r"^[1-9][\d.,]* kW$"), timeout=20_000)
    expect(page.locator("figure.chart table")).to_be_visible()  # what was opened stays so
    page.locator("#now-running").click()
    expect(page.locator("table.sessions tbody tr")).to_have_count(1)


def test_on_a_phone_in_french_and_dark(browse: Browsing, company: tuple[str, int, Charger]) -> None:
    page = browse.open("/dashboard", company[0], locale="fr-FR", viewport=PHONE, color_scheme="dark")
    expect(page.get_by_role("heading", level=1)).to_have_text("Vue d’ensemble")
    expect(tile(page, "online")).to_have_text("1 sur 4")
    assert overflows(page) == 0
    assert charts_have_tables(page) == 1
    expect(page.locator(".places li").first).to_contain_text("West")
    assert contrast(page.locator(".tile .quiet").first) >= AA
    keep(page, "dashboard-phone-dark-fr")


def test_of_one_charger_it_is_a_line(
    yard: Yard, live_ms: int, browse: Browsing, new_organisation: Callable[..., str], add: Callable[..., Credentials]
) -> None:
    name = new_organisation("business", "East")
    page = browse.open("/dashboard", f"boss@{name}.test", viewport=PHONE)
    expect(page.get_by_role("link", name="Add charger")).to_be_visible()
    charger = yard.connect(add("Wall", name)).wait_online()
    expect(page.locator(".few")).to_contain_text(charger.name, timeout=live_ms + 3_000)
    page.reload()
    expect(page.locator(".tiles, figure.chart, .places")).to_have_count(0)
    expect(page.get_by_text("show here from the first session on")).to_be_visible()
    assert overflows(page) == 0
