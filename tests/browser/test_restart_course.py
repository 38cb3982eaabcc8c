"""From OKAY to the verdict: what the page shows while a charger restarts, who sees it, and that one click is one Reset."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import ask, has_hue, icon_of, modal_of, row_of, send, tip_of
from tests.support.server import Charger, wait_until

SAM, NORA = "sam@lumen.test", "nora@lumen.test"
BUSY_MS = 600  # what a machine that runs other tests beside may add to the second

# Notes in the page itself when the verdict shows, by the same clock as the server's.
WAIT_FOR_VERDICT = """() => { globalThis.verdictShownMs = null;
  new MutationObserver(() => {
    if (!globalThis.verdictShownMs && document.querySelector("[data-sentence]")) globalThis.verdictShownMs = Date.now();
  }).observe(document.body, { childList: true, subtree: true }); }"""


def okay(page: Page, charger: Charger) -> None:
    """Restart it, and wait for the Reset at the charger."""
    ask(page, charger.name).get_by_role("button", name="OKAY").click()
    wait_until(lambda: charger.resets == 1, "the Reset at the charger")


def status(page: Page):
    """The status icon of the charger page."""
    return page.locator(".st.big").first


def sentence(page: Page):
    return page.locator("[data-sentence]")


def test_from_okay_to_succeeded_without_a_reload(browse, site, charger):
    """Grey, "Restarting", unavailable, the timeline, then the verdict and available again."""
    page = browse.open(f"/chargers/{charger.id}", SAM)
    page.evaluate("globalThis.sameDocument = true")
    page.evaluate(WAIT_FOR_VERDICT)
    has_hue(status(page), "green")
    okay(page, charger)
    expect(status(page)).to_have_text("Restarting")
    has_hue(status(page), "grey")
    expect(icon_of(page, charger.name)).to_have_attribute("data-restart", "turning")
    expect(page.locator("#charger-hero")).to_contain_text("Unavailable. This model usually comes back within")
    expect(tip_of(page, charger.id)).to_contain_text("restarting already")
    expect(sentence(page)).to_contain_text("Succeeded.")
    expect(sentence(page)).to_contain_text("It left its connection")
    expect(sentence(page)).to_contain_text("announced a boot after")
    shown_ms = page.evaluate("globalThis.verdictShownMs")
    (ended_ms,) = site.sql("SELECT ended_ms FROM restarts WHERE charger_id = ?", charger.id)[0]
    assert shown_ms - ended_ms <= 1_000 + BUSY_MS
    for step in ("Requested", "Sent", "Accepted", "Left", "Came back", "Booted", "Ready"):
        expect(page.locator(".story li").filter(has_text=step).first).to_be_visible()
    expect(status(page)).to_have_text("Ready")
    expect(icon_of(page, charger.name)).to_have_attribute("data-restart", "available")
    assert page.evaluate("globalThis.sameDocument") is True
    assert charger.resets == 1


def test_list_says_restarting_and_how_it_went(browse, yard, add):
    charger = yard.connect(add(location="North"), tweaks={"away_s": 2.5})
    page = browse.open(f"/chargers?q={charger.name}", SAM)
    beside = page.context.new_page()
    beside.goto(f"/chargers/{charger.id}")
    okay(beside, charger)
    row = row_of(page, charger.name)
    expect(row.locator("td.state")).to_have_text("Restarting")
    has_hue(row.locator("td.state .st"), "grey")
    expect(row.get_by_role("checkbox")).to_be_disabled()
    expect(row.locator("td.last")).to_contain_text("Succeeded")
    expect(row.locator("td.state")).to_have_text("Ready")


@pytest.mark.parametrize(
    ("behaviour", "tweaks", "title", "evidence"),
    [
        ("rejects", {}, "Refused by the charger.", "The charger answered “Rejected”. It did not restart."),
        ("not-supported", {}, "Failed.", "NotSupported"),
        (
            "accepts-does-nothing",
            {},
            "Accepted, but did not restart.",
            "neither left its connection nor announced a boot",
        ),
        ("never-back", {"drop_after_s": 0.3}, "Did not come back.", "It accepted, left its connection"),
        ("no-boot", {"drop_after_s": 0.3, "away_s": 0.5}, "Unknown, probably restarted.", "announced no boot"),
        ("never-answers", {}, "Unknown.", "neither answered the command nor left"),
        ("firmware-b", {}, "Succeeded.", "It never answered the command; the boot is the proof."),
        ("back-faulted", {}, "Restarted, not ready.", "came back with a fault on connector 1"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_verdicts_in_a_sentence_with_their_evidence(browse, yard, add, behaviour, tweaks, title, evidence):
    charger = yard.connect(add(location="North"), behaviour, tweaks=tweaks)
    page = browse.open(f"/chargers/{charger.id}", SAM)
    okay(page, charger)
    expect(sentence(page)).to_contain_text(title, timeout=15_000)
    expect(sentence(page)).to_contain_text(evidence)
    expect(page.locator("#last-restarts")).to_contain_text(title.rstrip("."))
    assert charger.resets == 1


def test_icon_is_green_again_at_once_after_a_refusal(browse, yard, add):
    charger = yard.connect(add(location="North"), "rejects")
    page = browse.open(f"/chargers/{charger.id}", SAM)
    okay(page, charger)
    expect(sentence(page)).to_contain_text("Refused by the charger.", timeout=2_500)
    expect(icon_of(page, charger.name)).to_have_attribute("data-restart", "available")


def test_first_verdict_stays_where_a_late_return_raises_it(browse, yard, add):
    charger = yard.connect(add(location="North"), "late-return", scale=1, tweaks={"drop_after_s": 0.2, "away_s": 7.0})
    page = browse.open(f"/chargers/{charger.id}", SAM)
    okay(page, charger)
    expect(sentence(page)).to_contain_text("Did not come back.", timeout=8_000)
    expect(page.locator("[data-first-verdict]")).to_contain_text("Did not come back.", timeout=10_000)
    expect(sentence(page)).to_contain_text("It came back")


# ---- one click, one Reset ----------------------------------------------------------------------------------------


def test_two_people_at_once_are_one_restart(browse, site, charger):
    first = browse.open(f"/chargers/{charger.id}", SAM)
    second = browse.open(f"/chargers/{charger.id}", NORA)
    modals = [ask(page, charger.name) for page in (first, second)]
    for modal in modals:
        modal.get_by_role("button", name="OKAY").click(no_wait_after=True)
    for page in (first, second):
        expect(modal_of(page)).to_have_count(0)
        expect(status(page)).to_have_text("Restarting")
    for page in (first, second):
        expect(sentence(page)).to_contain_text("Succeeded.")
    asked = [page.locator(".story li").first.inner_text() for page in (first, second)]
    assert asked[0] == asked[1]  # whoever was first
    assert charger.resets == 1
    assert len(site.verdicts(charger.id)) == 1


def test_double_click_is_one_restart(browse, site, charger):
    page = browse.open(f"/chargers/{charger.id}", SAM)
    ask(page, charger.name).get_by_role("button", name="OKAY").dblclick()
    expect(sentence(page)).to_contain_text("Succeeded.")
    assert charger.resets == 1
    assert len(site.verdicts(charger.id)) == 1


def test_the_same_form_sent_again_is_one_restart(browse, site, charger):
    """Also after its end: a retry of a request whose answer was lost."""
    page = browse.open(f"/chargers/{charger.id}", SAM)
    assert send(page, f"/chargers/{charger.id}/restart", key="once", when="now") == 200
    wait_until(lambda: site.verdicts(charger.id)[-1][0] == "succeeded", "the verdict")
    assert send(page, f"/chargers/{charger.id}/restart", key="once", when="now") == 200
    page.wait_for_timeout(500)
    assert charger.resets == 1
    assert len(site.verdicts(charger.id)) == 1


def test_borne_away_at_okay_says_so_and_once_is_once(browse, charger):
    browse.watch.expect("ERR_CONNECTION|ERR_FAILED|Failed to fetch|net::|TypeError")
    page = browse.open(f"/chargers/{charger.id}", SAM)
    modal = ask(page, charger.name)
    page.route("**/restart", lambda route: route.abort() if route.request.method == "POST" else route.continue_())
    modal.get_by_role("button", name="OKAY").click()
    expect(modal.locator("[data-problem]")).to_contain_text("Borne did not answer. Press OKAY again")
    page.unroute("**/restart")
    modal.get_by_role("button", name="OKAY").click()
    expect(sentence(page)).to_contain_text("Succeeded.")
    assert charger.resets == 1


# ---- later -------------------------------------------------------------------------------------------------------


def test_when_it_is_free(browse, charger):
    charger.begin_session()
    page = browse.open(f"/chargers/{charger.id}", SAM)
    modal = ask(page, charger.name)
    modal.get_by_role("radio", name="When it is free").check()
    modal.get_by_role("button", name="OKAY").click()
    panel = page.locator("#restart-panel")
    expect(panel).to_contain_text("Waits until the charger is free.")
    assert charger.resets == 0
    charger.end_session()
    wait_until(lambda: charger.resets == 1, "the Reset once the session had ended")
    expect(sentence(page)).to_contain_text("Succeeded.")


def test_at_a_time_and_withdrawn(browse, site, charger):
    page = browse.open(f"/chargers/{charger.id}", SAM)
    modal = ask(page, charger.name)
    expect(modal.get_by_text("in the time zone Europe/Paris")).not_to_be_visible()
    modal.get_by_role("radio", name="At a time").check()
    expect(modal.get_by_text("in the time zone Europe/Paris")).to_be_visible()
    modal.get_by_role("textbox", name="Why").fill("too slow <b>again</b>")
    modal.get_by_role("button", name="OKAY").click()
    panel = page.locator("#restart-panel")
    expect(panel).to_contain_text("Planned.")
    expect(panel).to_contain_text("“too slow <b>again</b>”")
    expect(status(page)).to_have_text("Ready")  # planned is not restarting
    panel.get_by_role("button", name="Withdraw").click()
    expect(panel).to_contain_text("It was withdrawn before anything was sent to the charger.")
    assert charger.resets == 0
    assert site.verdicts(charger.id) == [("not_sent", "withdrawn")]


def test_another_one_beside_a_waiting_one_is_offered_as_withdrawing(browse, charger):
    page = browse.open(f"/chargers/{charger.id}", SAM)
    ask(page, charger.name).get_by_role("radio", name="At a time").check()
    modal_of(page).get_by_role("button", name="OKAY").click()
    expect(page.locator("#restart-panel")).to_contain_text("Planned.")
    modal = ask(page, charger.name)
    expect(modal).to_contain_text(f"A restart of {charger.name} is waiting already")
    modal.get_by_role("button", name="Withdraw").click()
    expect(modal).to_have_count(0)
    expect(page.locator("#restart-panel")).to_contain_text("Withdrawn.")
    assert charger.resets == 0


def test_a_time_that_is_past_is_refused_in_words(browse, charger):
    browse.watch.expect("status of 422")
    page = browse.open(f"/chargers/{charger.id}", SAM)
    modal = ask(page, charger.name)
    modal.get_by_role("radio", name="At a time").check()
    past = datetime.now(ZoneInfo("Europe/Paris")) - timedelta(hours=1)
    modal.locator("#restart-at").fill(past.strftime("%Y-%m-%dT%H:%M"))
    modal.get_by_role("button", name="OKAY").click()
    expect(modal.get_by_role("alert")).to_contain_text("That time is already past.")
    modal.get_by_role("radio", name="Now").check()
    modal.get_by_role("button", name="OKAY").click()
    wait_until(lambda: charger.resets == 1, "the Reset after the correction")
