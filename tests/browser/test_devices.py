"""A device changes hands in front of two browsers: replaced, archived and back, handed over; and the audit log tells of it."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.support.server import Charger, Credentials

SAM, STAN = "sam@lumen.test", "stan@standing.test"


def typed_in(page: Page, charger_id: int, name: str) -> Credentials:
    """What a page says to type into a charger."""
    identity, password, url = (
        page.locator(f"#charger-{what}").inner_text() for what in ("identity", "password", "url")
    )
    return Credentials(charger_id, name, identity, password, url)


def test_handed_over_it_comes_back_by_itself_under_its_new_owner(browse, charger: Charger, yard):
    """The old owner makes a code, the new one types it in: the device, which nobody touched, is online there in seconds."""
    mine = browse.open(f"/chargers/{charger.id}/edit", SAM)
    mine.get_by_role("link", name="Hand over…").click()
    mine.get_by_role("button", name="Make a code").click()
    code = mine.locator("#handover-code").inner_text()
    assert re.fullmatch(r"([A-Z2-9]{4}-){3}[A-Z2-9]{4}", code)
    theirs = browse.open("/chargers/add", STAN, locale="fr-FR")
    theirs.get_by_role("link", name="Saisir son code").click()
    theirs.get_by_role("textbox", name="Code").fill(code.lower())
    theirs.get_by_role("button", name="Reprendre").click()
    expect(theirs.locator(".st.big")).to_have_text("Prêt", timeout=15_000)
    expect(theirs.locator("main")).not_to_contain_text(charger.name)
    expect(theirs.locator("#timeline")).to_contain_text("Repris d’une autre organisation par Stan")
    mine.goto(f"/chargers/{charger.id}")
    expect(mine.get_by_role("heading", level=1)).to_contain_text("Handed over")
    expect(mine.locator("#timeline")).to_contain_text("Handed over to another organisation")
    mine.goto("/audit?q=Handed")
    mine.goto("/audit?kind=chargers")
    expect(mine.get_by_role("table")).to_contain_text("Charger handed over to another organisation")


def test_replaced_then_archived_and_back(browse, charger: Charger, yard):
    page = browse.open(f"/chargers/{charger.id}/edit", SAM)
    page.get_by_role("link", name="Replace…").click()
    page.get_by_role("textbox", name="Serial number").fill("NEW-77")
    page.get_by_role("button", name="Replace", exact=True).click()
    new = typed_in(page, charger.id, charger.name)
    assert new.identity != charger.credentials.identity
    charger.stop()
    device = yard.connect(new)
    page.goto(f"/chargers/{charger.id}")
    expect(page.locator(".st.big")).to_have_text("Ready")
    expect(page.locator("#timeline")).to_contain_text("Another device put in its place by Sam")
    page.goto(f"/chargers/{charger.id}/archive")
    page.get_by_role("button", name="Archive").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Archived")
    device.stop()
    page.get_by_role("button", name="Bring it back").click()
    yard.connect(typed_in(page, charger.id, charger.name))
    page.goto(f"/chargers/{charger.id}")
    expect(page.locator(".st.big")).to_have_text("Ready")


def test_the_audit_log_is_searched_and_downloaded(browse, add):
    made = add("Noted", location="North")
    page = browse.open("/audit", SAM, locale="fr-FR")
    expect(page.get_by_role("heading", level=1)).to_have_text("Journal d’audit")
    page.get_by_role("searchbox").fill(made.name)
    page.get_by_role("button", name="Filtrer").click()
    rows = page.locator("table.audit tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Chargeur ajouté")
    expect(rows).to_contain_text("borne admin")
    with page.expect_download() as download:
        page.get_by_role("link", name="Exporter").click()
    assert made.name in download.value.path().read_text(encoding="utf-8")


def test_a_person_takes_their_data_and_goes(browse, site):
    site.add_person("gone@lumen.test", "user", "Lumen", name="Gwendolyn")
    page = browse.open("/account", "gone@lumen.test")
    page.get_by_role("link", name="Download or erase your data").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download my data").click()
    assert "gone@lumen.test" in download.value.path().read_text(encoding="utf-8")
    page.get_by_role("link", name="Erase my account…").click()
    page.get_by_role("textbox", name="Your e-mail address, to be sure").fill("gone@lumen.test")
    page.get_by_role("button", name="Erase my account").click()
    expect(page).to_have_url(re.compile("/login"))
    expect(page.locator("body")).to_contain_text("Your account is erased.")
    assert site.sql("SELECT count(*) FROM people WHERE email = 'gone@lumen.test'") == [(0,)]
    assert "as it was written" in site.admin("verify-audit")
