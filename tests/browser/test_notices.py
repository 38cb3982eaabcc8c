"""The bell rings while one looks, the list leads to what happened, and each says what they want to hear of."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.support.browser import PHONE, overflows, send

LOOKED_MS = 12_000  # the server looks for news every two seconds


def fail_restart(page: Page, charger_id: int) -> None:
    """OKAY for a charger that refuses."""
    assert send(page, f"/chargers/{charger_id}/restart", when="now") == 200


def test_the_bell_rings_and_leads_there(browse, yard, add, new_organisation):
    boss = f"boss@{new_organisation('business', 'Quay')}.test"
    charger = yard.connect(add("Crane", organisation=boss[5:-5], location="Quay"), "rejects")
    page = browse.open("/notices", boss)
    expect(page.get_by_role("heading", name="All is quiet")).to_be_visible()
    elsewhere = browse.open("/account", boss, locale="fr-FR")
    expect(elsewhere.locator("#bell")).to_have_attribute("aria-label", "Avis")
    fail_restart(page, charger.id)
    expect(page.locator("#bell")).to_have_text("1", timeout=LOOKED_MS)
    expect(elsewhere.locator("#bell")).to_have_attribute("aria-label", "Avis, 1 non lu")
    notice = page.get_by_role("link", name=f"The restart of {charger.name} failed")
    expect(notice).to_be_visible()
    elsewhere.locator("#bell").click()
    expect(elsewhere.get_by_role("link", name=f"Le redémarrage de {charger.name} a échoué")).to_be_visible()
    expect(elsewhere.locator("main")).to_contain_text("Quay · Refusé par le chargeur")
    notice.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(charger.name)
    expect(page.locator("#bell")).to_have_text("")
    expect(elsewhere.locator("#bell")).to_have_text("")
    expect(elsewhere.locator(".notice-list .unread")).to_have_count(0)


def test_what_one_hears_of_on_a_phone(browse, new_organisation):
    boss = f"boss@{new_organisation('business')}.test"
    browse.watch.expect("status of 422")  # quiet hours without an end
    page = browse.open("/chargers", boss, viewport=PHONE, timezone_id="Europe/Paris")
    page.locator(".me > summary").click()
    page.get_by_role("link", name="Notices").click()
    page.get_by_role("link", name="What you hear of").first.click()
    page.get_by_role("row", name="Restart failed or unknown").get_by_label("By mail").uncheck()
    page.get_by_label("Longer than").select_option("5")
    expect(page.get_by_label("Time zone")).to_have_value("Europe/Paris")
    page.get_by_label("From", exact=True).fill("22:00")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#quiet_until-note")).to_have_text(
        "Quiet hours have a beginning and an end. Leave both empty for none."
    )
    page.get_by_label("To", exact=True).fill("07:00")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text("Saved.")
    expect(page.get_by_role("row", name="Restart failed or unknown").get_by_label("By mail")).not_to_be_checked()
    expect(page.get_by_role("row", name="Restart failed or unknown").get_by_label("Here")).to_be_checked()
    assert overflows(page) == 0
    french = browse.open("/notices/settings", boss, viewport=PHONE, locale="fr-FR")
    expect(french.get_by_role("heading", level=1)).to_have_text("Ce qui vous est signalé")
    expect(french.get_by_label("Plus de")).to_have_value("5")
    expect(french.get_by_label("À", exact=True)).to_have_value("07:00")
    assert overflows(french) == 0
