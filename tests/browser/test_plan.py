"""The plan of an organisation: what is missing says so where it would be, an upgrade works at once, a downgrade waits."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.support.browser import PHONE, overflows


def test_an_upgrade_opens_what_was_missing_and_a_downgrade_waits(browse, new_organisation, add):
    name = new_organisation("standard", "East")
    add("Quay", organisation=name)
    page = browse.open("/chargers", f"boss@{name}.test")
    page.get_by_role("checkbox").last.check()
    expect(page.locator("#many-refused")).to_contain_text("Business plan")
    page.goto("/plan")
    expect(page.get_by_role("heading", level=1)).to_have_text("Plan")
    expect(page.get_by_role("columnheader", name="Standard")).to_contain_text("Your plan")
    page.get_by_role("link", name="Upgrade to Business").click()
    expect(page.locator("main")).to_contain_text("Many chargers at once")
    page.get_by_role("button", name="Upgrade now").click()
    expect(page.locator("#toasts")).to_contain_text("You are on Business now.")
    expect(page.get_by_role("columnheader", name="Business")).to_contain_text("Your plan")
    page.goto("/chargers")
    page.get_by_role("checkbox").last.check()
    expect(page.get_by_role("button", name="Restart", exact=True)).to_be_enabled()
    page.goto("/plan")
    page.get_by_role("link", name="Downgrade to Standard").click()
    expect(page.get_by_role("heading", name="What stops working then")).to_be_visible()
    page.get_by_role("button", name="Downgrade on").click()
    expect(page.locator(".plan-coming")).to_contain_text("then Standard.")
    page.get_by_role("button", name="Keep Business").click()
    expect(page.locator(".plan-coming")).to_have_count(0)
    expect(page.locator("#toasts")).to_contain_text("The plan stays as it is.")


def test_on_a_phone_in_french(browse, new_organisation, add):
    name = new_organisation("standard", "East")
    add("Quay", organisation=name)
    for days in range(1, 4):
        browse.site.sql(
            "INSERT INTO plan_days (organisation_id, day, plan, chargers, price_cents)"
            " SELECT id, strftime('%Y-%m-', 'now') || ?, 'standard', ?, 400 FROM organisations WHERE name = ?",
            f"0{days}", days, name,
        )  # fmt: skip
    page = browse.open("/plan", f"boss@{name}.test", locale="fr-FR", viewport=PHONE)
    expect(page.get_by_role("heading", level=1)).to_have_text("Forfait")
    expect(page.locator("table.bill tfoot")).to_contain_text("€")
    assert overflows(page) == 0
    page.get_by_role("link", name="Réduire (Basic)").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Réduire au forfait Basic le")
    expect(page.locator("main")).to_contain_text("Redémarrage à distance")
    assert overflows(page) == 0
