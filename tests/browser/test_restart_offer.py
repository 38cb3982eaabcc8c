"""Who may restart a charger, when, and what the icon and the modal then show (the help article's conditions and steps)."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.browser import ask, has_hue, icon_of, log_in, modal_of, row_of, send, tip_of
from tests.support.server import wait_until

SAM, NORA, SOL, OTTO, UMA = (f"{name}@lumen.test" for name in ("sam", "nora", "sol", "otto", "uma"))
STAN, BEA = "stan@standing.test", "bea@plain.test"


# ---- who ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("person", [SAM, NORA], ids=["super-admin", "admin-of-the-location"])
def test_super_admin_and_admin_of_the_location_restart(browse, charger, person):
    page = browse.open(f"/chargers/{charger.id}", person)
    ask(page, charger.name).get_by_role("button", name="OKAY").click()
    wait_until(lambda: charger.resets == 1, "the Reset at the charger")


def test_admin_of_another_location_does_not_find_the_charger(browse, charger):
    browse.watch.expect("404")
    page = browse.open("/chargers", SOL)
    expect(page.get_by_role("link", name=charger.name, exact=True)).to_have_count(0)
    assert page.goto(f"/chargers/{charger.id}").status == 404
    assert page.goto(f"/chargers/{charger.id}/restart").status == 404
    assert send(page, f"/chargers/{charger.id}/restart", when="now", key="x1") == 404
    assert charger.resets == 0


def test_another_organisation_does_not_find_the_charger(browse, charger):
    browse.watch.expect("404")
    page = browse.open("/chargers", STAN)
    assert page.goto(f"/chargers/{charger.id}").status == 404
    assert send(page, f"/chargers/{charger.id}/restart", when="now", key="x2") == 404
    assert charger.resets == 0


@pytest.mark.parametrize("person", [OTTO, UMA], ids=["operator", "user"])
def test_operator_and_user_see_grey_and_why(browse, site, charger, person):
    browse.watch.expect("status of 40[49]")
    if person == UMA:
        site.assign(UMA, charger.id)
    page = browse.open(f"/chargers/{charger.id}", person)
    icon = icon_of(page, charger.name)
    expect(icon).to_have_attribute("aria-disabled", "true")
    icon.hover()
    expect(tip_of(page, charger.id)).to_contain_text("Only the super-admin, or an admin of this charger’s location")
    icon.click(force=True)
    expect(modal_of(page)).to_have_count(0)
    assert send(page, f"/chargers/{charger.id}/restart", when="now", key=f"x3{person}") in (404, 409)
    assert charger.resets == 0


def test_user_without_the_charger_does_not_find_it(browse, charger):
    browse.watch.expect("404")
    page = browse.open(f"/chargers/{charger.id}", UMA)
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here")


# ---- plan, connection, model -------------------------------------------------------------------------------------


def test_standard_plan_restarts(browse, yard, add):
    charger = yard.connect(add(organisation="Standing"))
    page = browse.open(f"/chargers/{charger.id}", STAN)
    ask(page, charger.name).get_by_role("button", name="OKAY").click()
    wait_until(lambda: charger.resets == 1, "the Reset at the charger")


def test_basic_plan_does_not(browse, yard, add):
    browse.watch.expect("status of 409")
    charger = yard.connect(add(organisation="Plain"))
    page = browse.open(f"/chargers/{charger.id}", BEA)
    expect(icon_of(page, charger.name)).to_have_attribute("aria-disabled", "true")
    said = "The Basic plan does not include remote restarts. The Standard plan does."
    expect(tip_of(page, charger.id)).to_have_text(said)
    expect(page.locator("main")).to_contain_text(f"No restart available. {said}")
    assert send(page, f"/chargers/{charger.id}/restart", when="now", key="x4") == 409
    assert charger.resets == 0


def test_offline_is_grey_and_connecting_makes_it_green(browse, yard, add):
    """The icon tells by itself: grey while away, green once the charger is connected, grey when it leaves."""
    credentials = add(location="North")
    page = browse.open(f"/chargers/{credentials.id}", SAM)
    expect(icon_of(page, credentials.name)).to_have_attribute("data-restart", "grey")
    expect(tip_of(page, credentials.id)).to_have_text("This charger has never connected to Borne.")
    charger = yard.connect(credentials)
    expect(icon_of(page, charger.name)).to_have_attribute("data-restart", "available")
    expect(tip_of(page, charger.id)).to_have_text("Restart Available")
    charger.stop()
    expect(icon_of(page, charger.name)).to_have_attribute("data-restart", "grey")
    expect(tip_of(page, charger.id)).to_contain_text("This charger is offline.")


def test_pulsar_cannot_be_restarted(browse, yard, add):
    browse.watch.expect("status of 409")
    charger = yard.connect(add(model="pulsar", location="North"))
    page = browse.open(f"/chargers/{charger.id}", SAM)
    expect(icon_of(page, charger.name)).to_have_attribute("data-restart", "grey")
    expect(tip_of(page, charger.id)).to_have_text("The Pulsar cannot be restarted remotely.")
    assert send(page, f"/chargers/{charger.id}/restart", when="now", key="x5") == 409
    assert charger.resets == 0


@pytest.mark.parametrize("model", ["pulsar-plus", "commander-2", "quasar", "supernova-150", "other"])
def test_other_models_can(browse, yard, add, model):
    charger = yard.connect(add(model=model, location="North"))
    page = browse.open(f"/chargers/{charger.id}", SAM)
    expect(icon_of(page, charger.name)).to_have_attribute("data-restart", "available")


def test_disabled_charger_cannot(browse, charger):
    page = browse.open(f"/chargers/{charger.id}/edit", SAM)
    page.get_by_role("button", name="Disable").click()
    expect(tip_of(page, charger.id)).to_contain_text("disabled")
    expect(icon_of(page, charger.name)).to_have_attribute("data-restart", "grey")


# ---- the steps ---------------------------------------------------------------------------------------------------


def test_the_steps_of_the_article(browse, charger):
    """Log in; Chargers; click the charger; its page; green icon; tooltip; click; the modal with the details; OKAY."""
    page = browse.context().new_page()
    log_in(page, browse.site.url, SAM)
    expect(page).to_have_url(f"{browse.site.url}/chargers")
    expect(page.get_by_role("heading", level=1)).to_have_text("Chargers")
    page.get_by_role("searchbox").fill(charger.name)
    page.get_by_role("link", name=charger.name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(charger.name)
    icon = icon_of(page, charger.name)
    tip = tip_of(page, charger.id)
    expect(tip).not_to_be_visible()
    icon.hover()
    expect(tip).to_be_visible()
    expect(tip).to_have_text("Restart Available")
    icon.click()
    modal = modal_of(page)
    expect(modal.get_by_role("heading")).to_have_text("CHARGER RESTART")
    modal.get_by_role("button", name="OKAY").click()
    expect(modal).to_have_count(0)
    wait_until(lambda: charger.resets == 1, "the Reset at the charger")


def test_colours_of_the_icon(browse, charger, add):
    away = add(location="North")
    page = browse.open(f"/chargers/{charger.id}", SAM)
    has_hue(icon_of(page, charger.name), "green")
    page.goto(f"/chargers/{away.id}")
    has_hue(icon_of(page, away.name), "grey")


def test_icon_of_the_list_does_the_same(browse, charger):
    page = browse.open(f"/chargers?q={charger.name}", SAM)
    icon = icon_of(page, charger.name)
    expect(icon).not_to_be_visible()  # a row has only its checkbox until it is ticked
    row_of(page, charger.name).get_by_role("checkbox").check()
    icon.hover()
    expect(tip_of(page, charger.id)).to_have_text("Restart Available")
    ask(page, charger.name).get_by_role("button", name="OKAY").click()
    wait_until(lambda: charger.resets == 1, "the Reset at the charger")
    expect(row_of(page, charger.name)).to_contain_text("Restarting")


def test_details_of_the_modal(browse, yard, add):
    charger = yard.connect(add(location="North", model="quasar-2", serial="SN-4711"))
    page = browse.open(f"/chargers/{charger.id}", SAM)
    modal = ask(page, charger.name)
    for said in (
        f"Restart {charger.name}?", "It becomes unavailable and usually comes back within", "Quasar 2 · SN-4711", "North",
        "none running", "catalogue’s figure, too few restarts here yet", "Click outside to cancel",
    ):  # fmt: skip
        expect(modal).to_contain_text(said)
    expect(modal.get_by_role("radio", name="Now")).to_be_checked()
    expect(modal.get_by_role("button", name="OKAY")).to_be_focused()
    modal.get_by_text("Advanced").click()
    expect(modal.get_by_role("radio", name="Soft")).to_be_checked()
    expect(modal.get_by_role("radio", name="Hard")).to_be_visible()


def test_running_session_is_a_warning_not_a_refusal(browse, charger):
    charger.begin_session()
    page = browse.open(f"/chargers/{charger.id}", SAM)
    modal = ask(page, charger.name)
    expect(modal.locator("[data-session-warning]")).to_contain_text("A session runs on this charger.")
    expect(modal.get_by_role("radio", name="When it is free")).to_be_checked()
    modal.get_by_role("radio", name="Now").check()
    modal.get_by_role("button", name="OKAY").click()
    wait_until(lambda: charger.resets == 1, "the Reset at the charger")


# ---- conditions that lapse between modal and OKAY ----------------------------------------------------------------


def test_plan_lapses_between_modal_and_okay(browse, site, yard, add, new_organisation):
    browse.watch.expect("status of 409")
    name = new_organisation("standard")
    charger = yard.connect(add(organisation=name))
    page = browse.open(f"/chargers/{charger.id}", f"boss@{name}.test")
    modal = ask(page, charger.name)
    site.sql("UPDATE organisations SET plan = 'basic' WHERE name = ?", name)
    modal.get_by_role("button", name="OKAY").click()
    expect(modal).to_contain_text("Nothing was sent to the charger.")
    expect(modal).to_contain_text("plan does not include remote restarts")
    assert charger.resets == 0


def test_role_is_taken_between_modal_and_okay(browse, site, yard, add, new_organisation):
    browse.watch.expect("status of 40[49]")
    name = new_organisation("standard")
    charger = yard.connect(add(organisation=name))
    page = browse.open(f"/chargers/{charger.id}", f"boss@{name}.test")
    modal = ask(page, charger.name)
    site.sql(
        "UPDATE memberships SET role = 'operator' WHERE person_id = (SELECT id FROM people WHERE email = ?)",
        f"boss@{name}.test",
    )
    modal.get_by_role("button", name="OKAY").click()
    page.wait_for_timeout(1_000)
    assert charger.resets == 0
    assert [verdict for verdict, _ in site.verdicts(charger.id)] in ([], ["not_sent"])


def test_model_turns_out_a_pulsar_between_modal_and_okay(browse, charger):
    browse.watch.expect("status of 409")
    page = browse.open(f"/chargers/{charger.id}", SAM)
    modal = ask(page, charger.name)
    other = page.context.new_page()
    other.goto(f"/chargers/{charger.id}/edit")
    other.locator("#model").select_option("pulsar")
    other.get_by_role("button", name="Save").click()
    other.wait_for_url(f"**/chargers/{charger.id}")
    modal.get_by_role("button", name="OKAY").click()
    expect(modal).to_contain_text("The Pulsar cannot be restarted remotely.")
    assert charger.resets == 0


def test_charger_leaves_between_modal_and_okay(browse, charger):
    browse.watch.expect("status of 409")
    page = browse.open(f"/chargers/{charger.id}", SAM)
    modal = ask(page, charger.name)
    charger.stop()
    expect(page.locator(".st.big").first).to_have_text("Offline")
    modal.get_by_role("button", name="OKAY").click()
    expect(modal).to_contain_text("This charger is offline.")
    assert charger.resets == 0
