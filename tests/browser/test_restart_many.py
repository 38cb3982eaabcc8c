"""Restarting many chargers: ticking, the one confirmation, rows that say "Restarting", the batch's own page."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.support.browser import row_of, send
from tests.support.server import Charger, wait_until

SAM, NORA, OTTO = "sam@lumen.test", "nora@lumen.test", "otto@lumen.test"


def tick(page: Page, *names: str) -> None:
    for name in names:
        row_of(page, name).get_by_role("checkbox").check()


def bar(page: Page):
    """The actions for what is ticked."""
    return page.locator("#selection")


def confirm(page: Page, *names: str) -> None:
    """Tick these and go to the confirmation."""
    tick(page, *names)
    bar(page).get_by_role("button", name="Restart").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Restart")


def fleet(yard, add, organisation: str, *behaviours: str) -> list[Charger]:
    return [yard.connect(add(organisation=organisation), behaviour) for behaviour in behaviours]


def part(page: Page, title: str):
    """`Will restart` or `Left out` on the confirmation."""
    return page.get_by_role("region", name=title)


def test_actions_appear_once_something_is_ticked(browse, yard, add, new_organisation):
    name = new_organisation("business")
    one, two = fleet(yard, add, name, "by-the-book", "by-the-book")
    page = browse.open("/chargers", f"boss@{name}.test")
    for charger in (one, two):
        expect(row_of(page, charger.name).get_by_role("checkbox")).to_be_visible()
        expect(row_of(page, charger.name).get_by_role("button")).to_have_count(0)
    expect(bar(page)).not_to_be_visible()
    tick(page, one.name)
    expect(bar(page)).to_be_visible()
    expect(bar(page)).to_contain_text("1 selected")
    tick(page, two.name)
    expect(bar(page)).to_contain_text("2 selected")
    bar(page).get_by_role("button", name="Clear the selection").click()
    expect(bar(page)).not_to_be_visible()
    assert one.resets == two.resets == 0


def test_offline_ones_can_be_ticked_and_are_left_out_with_the_reason(browse, yard, add, new_organisation):
    name = new_organisation("business")
    (good,) = fleet(yard, add, name, "by-the-book")
    pulsar = yard.connect(add("Pulsar", organisation=name, model="pulsar"))
    never, gone = add("Never", organisation=name), yard.connect(add("Gone", organisation=name))
    gone.stop()
    page = browse.open("/chargers", f"boss@{name}.test")
    expect(row_of(page, gone.name)).to_contain_text("Offline")
    confirm(page, good.name, pulsar.name, never.name, gone.name)
    expect(page.get_by_role("heading", level=1)).to_have_text("Restart 1 charger?")
    expect(part(page, "Will restart").get_by_role("listitem")).to_have_count(1)
    expect(part(page, "Will restart")).to_contain_text(good.name)
    left_out = part(page, "Left out")
    for left, why in (
        (pulsar.name, "The Pulsar cannot be restarted remotely."),
        (never.name, "This charger has never connected to Borne."),
        (gone.name, "This charger is offline."),
    ):
        expect(left_out.get_by_role("listitem").filter(has_text=left)).to_contain_text(why)
    page.get_by_role("button", name="OKAY").click()
    wait_until(lambda: good.resets == 1, "the Reset")
    assert pulsar.resets == gone.resets == 0


def test_single_ones_are_removed_and_cancel_sends_nothing(browse, yard, add, new_organisation):
    name = new_organisation("business")
    stays, goes = fleet(yard, add, name, "by-the-book", "by-the-book")
    page = browse.open("/chargers", f"boss@{name}.test")
    confirm(page, stays.name, goes.name)
    page.get_by_role("link", name="Cancel").click()
    expect(page).to_have_url(f"{browse.site.url}/chargers")
    page.wait_for_timeout(400)
    assert stays.resets == goes.resets == 0
    bar(page).get_by_role("button", name="Restart").click()  # what was ticked is ticked still
    box = part(page, "Will restart").get_by_role("checkbox", name=goes.name)
    box.uncheck()
    expect(page.locator("[data-chosen]")).to_have_text("1")
    part(page, "Will restart").get_by_role("checkbox", name=stays.name).uncheck()
    expect(page.get_by_role("button", name="OKAY")).to_be_disabled()
    part(page, "Will restart").get_by_role("checkbox", name=stays.name).check()
    page.get_by_role("button", name="OKAY").click()
    wait_until(lambda: stays.resets == 1, "the Reset")
    expect(page.locator("[data-bucket=succeeded] b")).to_have_text("1")
    assert goes.resets == 0


def test_rows_are_disabled_and_say_restarting(browse, yard, add, new_organisation):
    name = new_organisation("business")
    chargers = [yard.connect(add(organisation=name), tweaks={"away_s": 2.5}) for _ in range(2)]
    page = browse.open("/chargers", f"boss@{name}.test")
    confirm(page, *(charger.name for charger in chargers))
    page.get_by_role("button", name="OKAY").click()
    expect(page).to_have_url(f"{browse.site.url}/batches/{page.url.rpartition('/')[2]}")
    page.goto("/chargers")
    for charger in chargers:
        row = row_of(page, charger.name)
        expect(row.locator("td.state")).to_have_text("Restarting")
        expect(row.get_by_role("checkbox")).to_be_disabled()
        expect(row.get_by_role("checkbox")).not_to_be_checked()
    for charger in chargers:
        expect(row_of(page, charger.name).locator("td.state")).to_have_text("Ready")
        expect(row_of(page, charger.name).get_by_role("checkbox")).to_be_enabled()


def test_batch_page_follows_the_verdicts_live(browse, yard, add, new_organisation):
    name = new_organisation("business")
    good, refuses = fleet(yard, add, name, "by-the-book", "rejects")
    page = browse.open("/chargers", f"boss@{name}.test")
    confirm(page, good.name, refuses.name)
    page.get_by_role("textbox", name="Why").fill("after the update")
    page.get_by_role("button", name="OKAY").click()
    page.wait_for_url("**/batches/*")
    page.evaluate("globalThis.sameDocument = true")
    expect(page.locator("main")).to_contain_text("“after the update”")
    expect(row_of(page, refuses.name)).to_contain_text("Refused by the charger")
    expect(row_of(page, good.name)).to_contain_text("Succeeded")
    expect(page.locator("[data-bucket=succeeded] b")).to_have_text("1")
    expect(page.locator("[data-bucket=failed] b")).to_have_text("1")
    expect(page.locator("#batch-summary")).to_contain_text("Done 2 / 2")
    assert page.evaluate("globalThis.sameDocument") is True


def paused_batch(browse, yard, add, name: str) -> tuple[Page, list[Charger]]:
    """Seven chargers that refuse, five at once: three failures in a row."""
    chargers = fleet(yard, add, name, *["rejects"] * 3, *["accepts-does-nothing"] * 5)
    page = browse.open("/chargers", f"boss@{name}.test")
    page.get_by_role("checkbox", name="Select all on this page").check()
    bar(page).get_by_role("button", name="Restart").click()
    page.get_by_role("button", name="OKAY").click()
    expect(page.get_by_role("alert")).to_contain_text("Paused after 3 failures in a row.")
    return page, chargers


def test_pauses_after_three_failures_and_stops(browse, site, yard, add, new_organisation):
    name = new_organisation("business")
    page, chargers = paused_batch(browse, yard, add, name)
    sent = sum(charger.resets for charger in chargers)
    assert sent < len(chargers)
    page.wait_for_timeout(600)
    assert sum(charger.resets for charger in chargers) == sent  # nothing more until somebody decides
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#batch-summary")).to_contain_text("Stopped")
    expect(page.locator("[data-bucket=not_sent] b")).to_have_text(str(len(chargers) - sent))
    page.wait_for_timeout(600)
    assert sum(charger.resets for charger in chargers) == sent


def test_pauses_after_three_failures_and_continues(browse, yard, add, new_organisation):
    name = new_organisation("business")
    page, chargers = paused_batch(browse, yard, add, name)
    while sum(charger.resets for charger in chargers) < len(chargers):
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("button", name="Continue")).to_have_count(0)
        page.wait_for_timeout(500)
        if sum(charger.resets for charger in chargers) < len(chargers):
            expect(page.get_by_role("button", name="Continue")).to_be_visible()
    assert all(charger.resets == 1 for charger in chargers)


# ---- who ---------------------------------------------------------------------------------------------------------


def test_standard_plan_shows_what_it_lacks(browse, yard, add, new_organisation):
    browse.watch.expect("status of 403")
    name = new_organisation("standard")
    (charger,) = fleet(yard, add, name, "by-the-book")
    page = browse.open("/chargers", f"boss@{name}.test")
    tick(page, charger.name)
    expect(bar(page).get_by_role("button", name="Restart")).to_have_attribute("aria-disabled", "true")
    expect(bar(page)).to_contain_text("Restarting many chargers at once comes with the Business plan.")
    bar(page).get_by_role("button", name="Restart").click(force=True)
    expect(page).to_have_url(f"{browse.site.url}/chargers")
    assert send(page, "/restarts/batch/new", charger=str(charger.id)) == 403
    assert send(page, "/restarts/batch", charger=str(charger.id), key="many-1") == 403
    page.wait_for_timeout(400)
    assert charger.resets == 0


def test_admin_restarts_the_chargers_of_the_own_location_only(browse, yard, add):
    browse.watch.expect("status of 4(04|22)")
    north, south = yard.connect(add("Many", location="North")), yard.connect(add("Many", location="South"))
    page = browse.open("/chargers?q=Many", NORA)
    expect(row_of(page, south.name)).to_have_count(0)
    tick(page, north.name)
    # What the page does not offer is not taken either.
    page.evaluate(
        """id => document.getElementById("selection").append(Object.assign(document.createElement("input"),
        { type: "hidden", name: "charger", value: id }))""",
        str(south.id),
    )
    bar(page).get_by_role("button", name="Restart").click()
    expect(page.locator("main")).not_to_contain_text(south.name)
    page.get_by_role("button", name="OKAY").click()
    wait_until(lambda: north.resets == 1, "the Reset")
    assert send(page, "/restarts/batch", charger=str(south.id), key="many-2") in (404, 422)
    page.wait_for_timeout(400)
    assert south.resets == 0


def test_operator_restarts_none(browse, charger):
    browse.watch.expect("status of 403")
    page = browse.open(f"/chargers?q={charger.name}", OTTO)
    expect(row_of(page, charger.name)).to_be_visible()
    assert send(page, "/restarts/batch", charger=str(charger.id), key="many-3") in (403, 404)
    page.wait_for_timeout(400)
    assert charger.resets == 0
