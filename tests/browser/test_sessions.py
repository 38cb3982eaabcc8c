"""A session from its start to its page: live in the list, live on its page, filtered, kept as a view, taken home as a file."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Browsing
from tests.support.browser import PHONE, overflows
from tests.support.server import Credentials, Yard

WORDS = {
    "en": {
        "views": "Views", "as": "Save this filter as", "save": "Save", "delete": "Delete “Now”", "runs": "Runs",
        "ended": "Ended", "export": "Export", "tidy": "CSV to compute with", "told": "What the charger told",
        "table": "As a table",
    },
    "fr": {
        "views": "Vues", "as": "Enregistrer ce filtre sous", "save": "Enregistrer", "delete": "Supprimer «\u00a0Now\u00a0»",
        "runs": "En cours", "ended": "Terminée", "export": "Exporter", "tidy": "CSV pour calculer",
        "told": "Ce que le chargeur a signalé", "table": "En tableau",
    },
}  # fmt: skip


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_session_is_followed_from_the_list_to_its_end(
    language: str,
    yard: Yard,
    browse: Browsing,
    new_organisation: Callable[..., str],
    add: Callable[..., Credentials],
) -> None:
    say, name = WORDS[language], new_organisation("business", "East")
    charger = yard.connect(add("Quay", name, location="East", model="copper"))
    charger.begin_session()
    options: dict[str, Any] = {"locale": {"en": "en-GB", "fr": "fr-FR"}[language]}
    page = browse.open("/sessions", f"boss@{name}.test", **options)
    row = page.locator("table.sessions tbody tr")
    expect(row).to_contain_text(say["runs"])
    expect(row.locator("[data-tick-ms]")).to_have_text(re.compile(r"^\d+:\d\d:\d\d$"))

    page.locator("#session-kind").select_option("running")
    page.wait_for_url("**/sessions?**kind=running**")
    page.locator(".tools summary", has_text=say["views"]).click()
    page.get_by_label(say["as"]).fill("Now")
    page.get_by_role("button", name=say["save"], exact=True).click()
    page.wait_for_url("**/sessions?kind=running")
    page.locator(".tools summary", has_text=say["views"]).click()
    expect(page.get_by_role("link", name="Now", exact=True)).to_have_attribute("aria-current", "true")
    page.get_by_role("button", name=say["delete"]).click()
    page.wait_for_url("**/sessions")

    page.locator(".tools summary", has_text=say["export"]).click()
    with page.expect_download() as taken:
        page.get_by_role("link", name=say["tidy"]).click()
    assert charger.name in taken.value.path().read_text(encoding="utf-8")

    phone = browse.open("/sessions", f"boss@{name}.test", viewport=PHONE, **options)
    phone.locator("table.sessions .when a").click()
    state = phone.locator(".session-figures .st")
    expect(state).to_have_text(say["runs"])
    charger.end_session()
    expect(state).to_have_text(say["ended"])  # live
    expect(row).to_contain_text(say["ended"])
    expect(phone.get_by_role("heading", name=say["told"])).to_be_visible()
    phone.locator(".curve summary").click()
    expect(phone.locator(".curve table tbody tr").first).to_be_visible()
    assert overflows(phone) == 0
    for path in ("/sessions", phone.url):
        page.goto(path)
        assert overflows(page) == 0, path
