"""What every page promises to eyes and fingers: phones, dark and light, readable colours; what happens without a mouse."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import PHONE, ask, contrast, icon_of, modal_of, overflows, row_of
from tests.support.server import wait_until

SAM = "sam@lumen.test"
AA = 4.5
TOUCH_PX = 40
MOBILE = {"viewport": PHONE, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}

# Everything that acts, and is too small for a finger: links inside sentences are text, not buttons.
SMALL = """() => [...document.querySelectorAll(
  "button, summary, a.btn, a.item, a.chip, select, input:not([type=hidden]), label:has(input)")]
  .filter((node) => node.checkVisibility({ visibilityProperty: true }) && !node.closest(".hidden, [inert]"))
  .map((node) => (node.localName === "input" && node.closest("label")) || node)
  .map((node) => [node, node.getBoundingClientRect()])
  .filter(([, box]) => box.width > 0 && Math.min(box.width, box.height) < 40)
  .map(([node, box]) => `${node.localName}.${node.className} ${Math.round(box.width)}x${Math.round(box.height)}`
    + ` ${(node.getAttribute("aria-label") || node.textContent).trim().slice(0, 30)}`)"""

CUT = """() => [...document.querySelectorAll(".rail > .item > span")]
  .filter((node) => node.checkVisibility() && node.scrollWidth > node.clientWidth).map((node) => node.textContent)"""


@pytest.fixture
def pages(browse, site, charger) -> list[str]:
    """The main pages, of a charger with a history."""
    page = browse.open(f"/chargers/{charger.id}", SAM)
    ask(page, charger.name).get_by_role("button", name="OKAY").click()
    expect(page.locator("[data-sentence]")).to_contain_text("Succeeded.")
    page.close()
    here = f"/chargers/{charger.id}"
    return [
        "/chargers", here, f"{here}/restart", f"{here}/restarts", f"{here}/edit", f"{here}/delete", "/chargers/add", "/restarts",
        "/account", "/account/totp", "/account/passkeys", "/account/tokens",
        "/installation/attempts", "/installation/outbox", "/nowhere",
    ]  # fmt: skip


def test_phone_nothing_is_wider_than_the_screen_and_all_can_be_touched(browse, pages):
    browse.watch.expect("404")
    page = browse.context(SAM, **MOBILE).new_page()
    wide, small = {}, {}
    for path in pages:
        page.goto(path)
        if (by := overflows(page)) > 0:
            wide[path] = by
        if found := page.evaluate(SMALL):
            small[path] = found
    outside = browse.context(**MOBILE).new_page()
    for path in ("/login", "/forgotten"):
        outside.goto(path)
        if (by := overflows(outside)) > 0:
            wide[path] = by
    assert wide == {}
    assert small == {}


def test_phone_has_cards_and_a_bar_at_the_bottom(browse, charger):
    page = browse.open(f"/chargers?q={charger.name}", SAM, **MOBILE)
    menu = page.get_by_role("navigation", name="Main menu")
    box = menu.bounding_box()
    assert box["y"] + box["height"] == pytest.approx(PHONE["height"], abs=2)
    assert box["width"] == pytest.approx(PHONE["width"], abs=2)
    row = row_of(page, charger.name)
    assert row.evaluate("row => getComputedStyle(row).display") == "grid"  # a card, not a line of a table
    expect(page.locator("table.chargers thead th.tick ~ th").first).not_to_be_visible()
    expect(row).to_contain_text("Ready")
    expect(row).to_contain_text("North")
    row.get_by_role("link", name=charger.name).tap()
    expect(page.get_by_role("heading", level=1)).to_have_text(charger.name)


def test_phone_words_of_the_bar_are_whole(browse, site):
    """In French, whose words are longer; for each role, and on a narrower phone."""
    cut = {}
    for person in (SAM, "otto@lumen.test", "uma@lumen.test"):
        page = browse.context(person, locale="fr-FR", **MOBILE).new_page()
        page.goto("/chargers")
        for width in (390, 360):
            page.set_viewport_size({**PHONE, "width": width})
            if (found := page.evaluate(CUT)) or overflows(page) > 0:
                cut[person, width] = found
    assert cut == {}


def test_phone_restart_from_icon_to_verdict(browse, charger):
    page = browse.open(f"/chargers/{charger.id}", SAM, **MOBILE)
    icon_of(page, charger.name).tap()
    modal = modal_of(page)
    expect(modal).to_be_visible()
    assert overflows(page) <= 0
    assert page.evaluate(SMALL) == []
    okay = modal.get_by_role("button", name="OKAY")
    expect(okay).to_be_in_viewport()
    okay.tap()
    expect(page.locator("[data-sentence]")).to_contain_text("Succeeded.")
    assert overflows(page) <= 0


def test_phone_tooltip_of_a_grey_icon_shows_by_a_tap(browse, add):
    """There is no hover on a phone."""
    credentials = add(location="North")
    page = browse.open(f"/chargers/{credentials.id}", SAM, **MOBILE)
    tip = page.locator(f"#restart-tip-{credentials.id}")
    expect(tip).not_to_be_visible()
    icon_of(page, credentials.name).tap(force=True)  # it says that it is disabled, which the browser need not obey
    expect(tip).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_are_readable(browse, charger, scheme):
    """WCAG AA for words of status and for body text, as computed; each status on both pages."""
    page = browse.open(f"/chargers/{charger.id}", SAM, color_scheme=scheme)
    bright = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (bright == "rgb(246, 247, 245)") is (scheme == "light")
    weak = {}

    def look(name: str, element) -> None:
        if (ratio := contrast(element)) < AA:
            weak[name] = round(ratio, 2)

    for status, word in (
        ("Available", "Ready"), ("Charging", "Charging"), ("Preparing", "Waiting for the car"), ("Faulted", "Fault"),
        ("Unavailable", "Out of service"),
    ):  # fmt: skip
        charger.say(status)
        expect(page.locator(".st.big")).to_have_text(word)
        page.wait_for_timeout(300)
        look(f"{word} on the charger page", page.locator(".st.big"))
    charger.say("Available")
    expect(page.locator(".st.big")).to_have_text("Ready")
    modal = ask(page, charger.name)
    for name, selector in (
        ("question", ".ask"),
        ("what", ".what"),
        ("details", "dt"),
        ("okay", "[data-okay]"),
        ("aside", ".aside"),
    ):
        look(f"{name} of the modal", modal.locator(selector).first)
    modal.get_by_role("button", name="OKAY").click()
    expect(page.locator(".st.big")).to_have_text("Restarting")
    look("Restarting", page.locator(".st.big"))
    expect(page.locator("[data-sentence]")).to_contain_text("Succeeded.")
    page.wait_for_timeout(300)
    for selector in (
        "h1",
        "main .quiet",
        "[data-sentence] b",
        "[data-sentence] .quiet",
        ".story .at",
        "#facts dt",
        ".rail .item",
    ):
        look(selector, page.locator(selector).first)
    page.goto("/chargers")
    for selector in (
        "h1",
        "#charger-summary",
        ".tile .quiet",
        "th a",
        "td.who .quiet",
        "td.conn",
        "td.state .st",
        ".btn.go",
    ):
        look(f"list {selector}", page.locator(selector).first)
    assert weak == {}


# ---- without a mouse, without eyes -------------------------------------------------------------------------------


def tab_to(page: Page, name: str, most: int = 50) -> None:
    """Press Tab until the focus is on what has this accessible name."""
    for _ in range(most):
        focused = page.evaluate(
            "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent.trim()"
        )
        if focused == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {name!r}")


def test_keyboard_alone_restarts_a_charger(browse, charger):
    page = browse.open(f"/chargers?q={charger.name}", SAM)
    tab_to(page, charger.name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(charger.name)
    tab_to(page, f"Restart {charger.name}")
    expect(page.locator(f"#restart-tip-{charger.id}")).to_be_visible()  # the tooltip shows on focus too
    page.keyboard.press("Enter")
    expect(modal_of(page).get_by_role("button", name="OKAY")).to_be_focused()
    page.keyboard.press("Escape")
    expect(modal_of(page)).to_have_count(0)
    expect(icon_of(page, charger.name)).to_be_focused()
    page.wait_for_timeout(300)
    assert charger.resets == 0
    page.keyboard.press("Enter")
    expect(modal_of(page).get_by_role("button", name="OKAY")).to_be_focused()
    page.keyboard.press("Enter")
    wait_until(lambda: charger.resets == 1, "the Reset")
    expect(page.locator("[data-sentence]")).to_contain_text("Succeeded.")


def test_focus_stays_inside_the_modal(browse, charger):
    page = browse.open(f"/chargers/{charger.id}", SAM)
    ask(page, charger.name)
    for _ in range(12):
        page.keyboard.press("Tab")
        inside = "document.activeElement === document.body || Boolean(document.activeElement.closest('dialog'))"
        assert page.evaluate(inside)


def test_keyboard_alone_restarts_many(browse, yard, add, new_organisation):
    name = new_organisation("business")
    one, two = yard.connect(add(organisation=name)), yard.connect(add(organisation=name))
    page = browse.open("/chargers", f"boss@{name}.test")
    for charger in (one, two):
        tab_to(page, f"Select {charger.name}")
        page.keyboard.press("Space")
    tab_to(page, "Restart")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Restart 2 chargers?")
    tab_to(page, "OKAY")
    page.keyboard.press("Enter")
    wait_until(lambda: one.resets == two.resets == 1, "both Resets")


def test_names_and_roles_of_the_modal(browse, charger):
    page = browse.open(f"/chargers/{charger.id}", SAM)
    expect(icon_of(page, charger.name)).to_have_accessible_description("Restart Available")
    modal = ask(page, charger.name)
    expect(modal).to_have_accessible_name("CHARGER RESTART")
    expect(modal).to_match_aria_snapshot(
        """
        - dialog "CHARGER RESTART":
          - heading "CHARGER RESTART" [level=2]
          - paragraph: /Restart .+\\?/
          - term: Model
          - definition: Copper
          - group "When":
            - radio "Now" [checked]
            - radio "When it is free"
            - radio "At a time"
          - textbox "Why (optional; kept in the history)"
          - link "Cancel"
          - button "OKAY"
        """
    )


def test_screen_reader_hears_the_restart(browse, charger):
    """One live region that stands there from the beginning, told each step and the verdict."""
    page = browse.open(f"/chargers/{charger.id}", SAM)
    region = page.locator("#restart-said")
    expect(region).to_have_attribute("aria-live", "polite")
    page.evaluate("""() => { globalThis.heard = [];
      new MutationObserver(() => heard.push(document.getElementById("restart-said").textContent))
        .observe(document.getElementById("restart-said"), { childList: true, characterData: true, subtree: true }); }""")
    ask(page, charger.name).get_by_role("button", name="OKAY").click()
    expect(region).to_have_text(f"Restart of {charger.name}: Succeeded")
    heard = page.evaluate("heard")
    assert heard[0] == f"Restart of {charger.name} requested."
    assert len(heard) == len(set(heard)) <= 8


def test_skip_link_and_landmarks(browse, charger):
    page = browse.open("/chargers", SAM)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    expect(page.get_by_role("navigation", name="Main menu")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
