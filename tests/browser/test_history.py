"""The history of restarts: who, when, why, the verdict with its evidence and duration; filters; an export."""

from __future__ import annotations

import csv
import io
import re

from playwright.sync_api import expect

from tests.support.browser import ask


def test_history_tells_who_when_why_and_how(browse, yard, add, new_organisation):
    name = new_organisation("standard")
    good, refuses = yard.connect(add(organisation=name)), yard.connect(add(organisation=name), "rejects")
    boss = f"boss@{name}.test"
    page = browse.open(f"/chargers/{good.id}", boss)
    ask(page, good.name).get_by_role("textbox", name="Why").fill("=1+1 frozen screen")
    page.get_by_role("button", name="OKAY").click()
    history = browse.open("/restarts", boss)
    rows = history.locator("table.history tbody tr")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("Succeeded")  # it was under way when the page was made: the row is live
    expect(rows.first).to_contain_text("It left its connection")
    expect(rows.first).to_contain_text("Boss")
    expect(rows.first).to_contain_text("“=1+1 frozen screen”")
    expect(rows.first).to_contain_text(re.compile(r"\d+(\.\d+)? s"))
    page.goto(f"/chargers/{refuses.id}")
    ask(page, refuses.name).get_by_role("button", name="OKAY").click()
    expect(page.locator("[data-sentence]")).to_contain_text("Refused by the charger.")
    history.reload()
    expect(rows).to_have_count(2)
    history.get_by_role("combobox", name="Verdict").select_option(label="Failed")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text(refuses.name)
    history.get_by_role("combobox", name="Verdict").select_option(label="Unknown")
    expect(history.locator("main")).to_contain_text("No restart matches this filter")
    page.goto(f"/chargers/{good.id}/restarts")
    expect(page.locator("table.history tbody tr")).to_have_count(1)


def test_export_is_a_table_that_runs_nowhere(browse, charger):
    page = browse.open(f"/chargers/{charger.id}", "sam@lumen.test")
    ask(page, charger.name).get_by_role("textbox", name="Why").fill("=cmd|' /C calc'!A0")
    page.get_by_role("button", name="OKAY").click()
    expect(page.locator("[data-sentence]")).to_contain_text("Succeeded.")
    page.goto(f"/chargers/{charger.id}/restarts")
    with page.expect_download() as loading:
        page.get_by_role("link", name="Export CSV").click()
    with open(loading.value.path(), encoding="utf-8-sig", newline="") as file:
        text = file.read()
    header, row = list(csv.reader(io.StringIO(text), csv.Sniffer().sniff(text.splitlines()[0])))
    assert len(header) == len(row)
    assert charger.name in row
    assert "Sam" in row
    assert not any(cell.startswith(("=", "+", "@", "-")) for cell in row)
    assert any("calc" in cell for cell in row)
