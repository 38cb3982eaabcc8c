"""Whatever is not OKAY sends nothing: asserted at the charger, which would have received a Reset."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import PHONE, ask, icon_of, modal_of
from tests.support.server import Charger

SAM = "sam@lumen.test"
SETTLED_MS = 600  # a Reset would have arrived by then: it takes some 20 ms


def outside(page: Page) -> None:
    page.mouse.click(12, 400)


def esc(page: Page) -> None:
    page.keyboard.press("Escape")


def back(page: Page) -> None:
    page.go_back()


def cancel(page: Page) -> None:
    modal_of(page).get_by_role("link", name="Cancel").click()


def nothing_sent(page: Page, charger: Charger) -> None:
    page.wait_for_timeout(SETTLED_MS)
    assert charger.resets == 0
    assert charger._yard.site.verdicts(charger.id) == []


@pytest.mark.parametrize("leave", [outside, esc, back, cancel])
def test_leaving_the_modal_sends_nothing(browse, charger, leave):
    page = browse.open(f"/chargers/{charger.id}", SAM)
    ask(page, charger.name)
    leave(page)
    expect(modal_of(page)).to_have_count(0)
    expect(page).to_have_url(f"{browse.site.url}/chargers/{charger.id}")
    expect(icon_of(page, charger.name)).to_have_attribute("data-restart", "available")
    expect(icon_of(page, charger.name)).to_be_focused()
    nothing_sent(page, charger)


def test_back_after_cancel_leaves_the_page(browse, charger):
    """The modal leaves no trace in the history: Back goes where the person came from."""
    page = browse.open("/chargers", SAM)
    page.goto(f"/chargers/{charger.id}")
    ask(page, charger.name)
    esc(page)
    expect(modal_of(page)).to_have_count(0)
    for _ in range(50):  # (the page's policy forbids waiting for an expression: it would be evaluated)
        if not page.evaluate("() => Boolean(history.state?.restartModal)"):
            break
        page.wait_for_timeout(100)
    page.go_back()
    expect(page).to_have_url(f"{browse.site.url}/chargers")
    nothing_sent(page, charger)


def test_click_inside_keeps_the_modal(browse, charger):
    page = browse.open(f"/chargers/{charger.id}", SAM)
    modal = ask(page, charger.name)
    modal.get_by_role("heading").click()
    expect(modal).to_be_visible()
    nothing_sent(page, charger)


def test_text_selected_beyond_the_edge_keeps_the_modal(browse, charger):
    """A drag that begins inside and ends outside is no click outside."""
    page = browse.open(f"/chargers/{charger.id}", SAM)
    modal = ask(page, charger.name)
    box = modal.get_by_role("textbox").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(20, box["y"] + 10, steps=4)
    page.mouse.up()
    page.wait_for_timeout(200)
    expect(modal).to_be_visible()


@pytest.mark.parametrize("how", ["close", "reload", "elsewhere"])
def test_leaving_the_page_sends_nothing(browse, charger, how):
    page = browse.open(f"/chargers/{charger.id}", SAM)
    other = page.context.new_page()
    ask(page, charger.name)
    if how == "close":
        page.close()
    elif how == "reload":
        page.reload()
        expect(modal_of(page)).to_have_count(0)
    else:
        page.goto("/restarts")
    nothing_sent(other, charger)


def test_a_phone_has_no_outside_and_a_cancel_button(browse, charger):
    page = browse.open(f"/chargers/{charger.id}", SAM, viewport=PHONE, has_touch=True, is_mobile=True)
    icon_of(page, charger.name).tap()
    modal = modal_of(page)
    button = modal.get_by_role("link", name="Cancel")
    expect(button).to_be_in_viewport()
    assert button.bounding_box()["height"] >= 40
    button.tap()
    expect(modal).to_have_count(0)
    nothing_sent(page, charger)
