"""The Chargers page as a tool: search as one types, filters, order, pages; its state is its address."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import row_of


@pytest.fixture
def many(site, add, new_organisation) -> tuple[str, str]:
    """An organisation with 60 chargers in two locations that never connected; its name and its super-admin."""
    name = new_organisation("business", "Entrepôt", "Quai")
    file = str(site.folder / f"{name}.json")
    words = ["--count", "59", "--prefix", f"{name}-C", "--organisation", name, "--location", "Entrepôt", "--json", file]
    site.admin("add-chargers", *words)
    add("Élysée", organisation=name, location="Quai", serial="X-9000")
    return name, f"boss@{name}.test"


def names(page: Page) -> list[str]:
    return page.locator("td.who a.name").all_inner_texts()


def test_search_as_one_types_ignores_accents_and_is_the_address(browse, many):
    page = browse.open("/chargers", many[1])
    search = page.get_by_role("searchbox")
    search.press_sequentially("elysee")
    expect(page.locator("td.who a.name")).to_have_count(1)
    expect(page.locator("td.who a.name")).to_have_text(re.compile("^Élysée"))
    expect(page).to_have_url(re.compile(r"q=elysee"))
    expect(search).to_be_focused()
    page.reload()
    expect(search).to_have_value("elysee")
    expect(page.locator("td.who a.name")).to_have_count(1)
    for words in ("x-9000", "QUAI"):
        search.fill(words)
        expect(page.locator("td.who a.name")).to_have_count(1)
    search.fill("nothing like it")
    expect(page.get_by_role("heading", name="No charger matches")).to_be_visible()
    page.get_by_role("link", name="Show all chargers").click()
    expect(search).to_have_value("")
    expect(page.locator("td.who a.name").nth(1)).to_be_visible()


def test_slash_leads_to_the_search(browse, many):
    page = browse.open("/chargers", many[1])
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()


def test_tiles_and_locations_filter_and_back_leads_back(browse, yard, add, many):
    charger = yard.connect(add("Online", organisation=many[0], location="Quai"))
    page = browse.open("/chargers", many[1])
    page.locator("#tile-ready").click()
    expect(page.locator("td.who a.name")).to_have_count(1)
    expect(row_of(page, charger.name)).to_be_visible()
    page.locator("#tile-ready").click()
    page.get_by_role("link", name="Quai", exact=True).click()
    expect(page.locator("td.who a.name")).to_have_count(2)
    page.go_back()
    expect(page.locator("td.who a.name").nth(2)).to_be_visible()


def test_order_by_every_column(browse, many):
    page = browse.open("/chargers", many[1])
    first = names(page)
    header = page.get_by_role("columnheader", name="Charger")
    expect(header).to_have_attribute("aria-sort", "ascending")
    header.get_by_role("link").click()
    expect(header).to_have_attribute("aria-sort", "descending")
    expect(page.locator("td.who a.name").first).not_to_have_text(first[0])
    for column in ("Status", "Location", "Connection", "Last restart"):
        header = page.get_by_role("columnheader", name=column)
        header.get_by_role("link").click()
        expect(header).not_to_have_attribute("aria-sort", "none")
        expect(page.locator("td.who a.name").nth(5)).to_be_visible()


def test_pages_and_ticks_across_them(browse, many):
    page = browse.open("/chargers", many[1])
    first = names(page)
    page.get_by_role("checkbox", name=f"Select {first[0]}").check()
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_role("link", name="Previous")).to_be_visible()
    second = names(page)
    assert len(first) + len(second) == 60
    assert not set(first) & set(second)
    page.get_by_role("checkbox", name=f"Select {second[0]}").check()
    expect(page.locator("#selection")).to_contain_text("2 selected")
    page.get_by_role("checkbox", name="Select all on this page").check()
    page.locator("[data-select-all]").click()
    expect(page.locator("#selection")).to_contain_text("60 selected")
    page.locator("#selection").get_by_role("button", name="Restart").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("None of these can be restarted")
    expect(page.locator("#left-out")).to_contain_text("60")
