"""An admin lets somebody charge, and that somebody's day with it on a phone: in French and in English."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Browsing
from tests.support.browser import PHONE, overflows
from tests.support.server import Charger, Credentials, Site, Yard

WORDS = {
    "en": {
        "add": "Add group", "chargers": "Add chargers", "ticked": "Add what is ticked", "users": "Users",
        "add_users": "Add users",
        "check": "Check", "add_badge": "Add 1 badge", "block": "Block", "blocked": "Blocked", "owner": "Owner (e-mail)",
        "free": "You can charge here", "yours": "You are charging here", "none": "None of your badges is accepted",
        "numbers": "Numbers, one a line", "name": "New group", "runs": "Runs",
    },
    "fr": {
        "add": "Ajouter le groupe", "chargers": "Ajouter des chargeurs", "ticked": "Ajouter la sélection",
        "users": "Utilisateurs",
        "add_users": "Ajouter des utilisateurs", "check": "Vérifier", "add_badge": "Ajouter 1 badge", "block": "Bloquer",
        "blocked": "Bloqué", "owner": "Propriétaire (e-mail)", "free": "Vous pouvez charger ici", "yours": "Vous chargez ici",
        "none": "Aucun de vos badges n’est accepté", "numbers": "Numéros, un par ligne", "name": "Nouveau groupe",
        "runs": "En cours",
    },
}  # fmt: skip


def tick(page: Page, query: str, name: str) -> None:
    """Search and tick one of what is found."""
    with page.expect_response(lambda answer: "q=" in answer.url):  # what it brings takes ticks away
        page.locator("#choice-q").fill(query)
    row = page.locator("#choice tbody tr")
    expect(row).to_have_count(1)
    row.get_by_role("checkbox").check()
    expect(row).to_contain_text(name)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_from_a_group_to_a_session_on_a_phone(
    language: str,
    site: Site,
    yard: Yard,
    browse: Browsing,
    new_organisation: Callable[..., str],
    add: Callable[..., Credentials],
) -> None:
    say, name = WORDS[language], new_organisation("business", "East")
    site.add_person(f"dan@{name}.test", "user", name, name="Dan")
    known = add("Quay", name, location="East", model="copper")
    charger: Charger = yard.connect(known)
    add("Other", name, location="East", model="copper")
    options: dict[str, Any] = {"locale": {"en": "en-GB", "fr": "fr-FR"}[language]}

    page = browse.open("/access-groups", f"boss@{name}.test", **options)
    page.get_by_label(say["name"]).fill("Night shift")
    page.get_by_role("button", name=say["add"]).click()
    page.get_by_role("link", name=say["chargers"]).click()
    tick(page, "quay", charger.name)
    page.get_by_role("button", name=re.compile(say["ticked"])).click()
    expect(page.locator("#choice tbody tr")).to_have_count(1)
    page.get_by_role("navigation").get_by_role("link", name=say["users"]).last.click()
    page.get_by_role("link", name=say["add_users"]).first.click()
    tick(page, "dan", "Dan")
    page.get_by_role("button", name=re.compile(say["ticked"])).click()
    expect(page.locator("#choice tbody tr")).to_contain_text(f"dan@{name}.test")

    page.goto("/tags/add")
    page.get_by_label(say["numbers"]).fill("TAG-1")
    page.get_by_label(say["owner"]).press_sequentially("dan")
    expect(page.locator("#owners option")).to_have_count(1)
    page.get_by_label(say["owner"]).fill(f"dan@{name}.test")
    page.get_by_role("button", name=say["check"]).click()
    expect(page.locator("table.checked")).to_contain_text("Dan")
    page.get_by_role("button", name=say["add_badge"]).click()
    expect(page.locator("#tag-list tbody tr")).to_have_count(1)

    phone = browse.open("/", f"dan@{name}.test", viewport=PHONE, **options)
    card = phone.locator(".my-charger")
    expect(card).to_have_count(1)
    expect(card).to_contain_text(charger.name)
    expect(card).to_contain_text(say["free"])
    assert overflows(phone) == 0
    charger.begin_session()
    expect(card).to_contain_text(say["yours"])  # live
    phone.goto("/sessions")
    expect(phone.locator("tr.runs")).to_contain_text(charger.name)
    expect(phone.locator("tr.runs")).to_contain_text(say["runs"])
    assert overflows(phone) == 0

    page.get_by_role("link", name="TAG-1").click()
    page.get_by_role("button", name=say["block"]).click()
    expect(page.locator(".head .st")).to_have_text(say["blocked"])
    charger.end_session()
    phone.goto("/home")
    expect(phone.locator(".notice.bad")).to_contain_text(say["none"])
    for path in ("/access-groups", "/tags", "/tags/add", "/sessions"):
        page.goto(path)
        page.set_viewport_size(PHONE)
        assert overflows(page) == 0, path
