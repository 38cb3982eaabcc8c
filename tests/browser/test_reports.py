"""Monthly reports: ordered and ended on their page, and a month downloaded as a file that a reader opens."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.support.browser import PHONE, overflows


def test_a_report_is_ordered_and_a_month_downloaded(browse, new_organisation):
    name = new_organisation("business", "East")
    page = browse.open("/organisation", f"boss@{name}.test")
    page.get_by_role("link", name="Monthly reports").click()
    expect(page.get_by_text("Nothing yet.")).to_be_visible()
    page.locator("#about").select_option(label="East")
    page.get_by_role("button", name="Send it each month").click()
    expect(page.locator("#toasts")).to_contain_text("for the first time")
    expect(page.locator(".reports li")).to_contain_text("East")
    page.get_by_role("button", name="Send last month’s now").click()
    expect(page.locator("#toasts")).to_contain_text(f"It is on its way to boss@{name}.test.")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download").click()
    assert waiting.value.suggested_filename.endswith(f"-{name}.pdf")
    assert Path(waiting.value.path()).read_bytes().startswith(b"%PDF")
    page.get_by_role("button", name="End the report: East, PDF").click()
    expect(page.get_by_text("Nothing yet.")).to_be_visible()


def test_on_a_phone_in_french(browse, new_organisation):
    name = new_organisation("business", "East")
    page = browse.open("/reports", f"boss@{name}.test", locale="fr-FR", viewport=PHONE)
    expect(page.get_by_role("heading", level=1)).to_have_text("Rapports mensuels")
    page.get_by_role("button", name="L’envoyer chaque mois").click()
    expect(page.locator(".reports li")).to_contain_text("Toute l’organisation")
    assert overflows(page) == 0
