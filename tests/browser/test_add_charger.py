"""Adding a charger: what to type into it, shown once, and a page that waits for it and names each usual mistake as it happens."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from tests.support.server import Credentials

SAM, NORA, OTTO = "sam@lumen.test", "nora@lumen.test", "otto@lumen.test"


def add_in_browser(page: Page, name: str, location: str = "North") -> Credentials:
    """Fill in the form as a person does; what the page then shows to type."""
    page.goto("/chargers")
    page.get_by_role("link", name="Add charger").first.click()
    page.get_by_role("textbox", name="Name").fill(name)
    page.get_by_role("combobox", name="Model").select_option("commander-2")
    page.get_by_role("textbox", name="Serial number").fill(f"SN {name}")
    if page.get_by_role("combobox", name="Location").locator("option").count() > 1:
        page.get_by_role("combobox", name="Location").select_option(label=location)
    page.get_by_role("button", name="Add", exact=True).click()
    page.locator("#charger-password").wait_for()
    identity, password, url = (
        page.locator(f"#charger-{what}").inner_text() for what in ("identity", "password", "url")
    )
    charger_id = page.get_by_role("link", name="To the charger’s page").get_attribute("href")
    return Credentials(int(charger_id.rpartition("/")[2]), name, identity, password, url)


def test_credentials_once_and_waiting_becomes_connected(browse, yard):
    page = browse.open("/chargers", SAM)
    credentials = add_in_browser(page, "Cellar")
    assert credentials.url == f"{browse.site.gateway_url}/{credentials.identity}"
    expect(page.locator("svg.qr")).to_be_visible()
    expect(page.locator("main")).to_contain_text("The password is shown only now.")
    waiting = page.locator("#waiting")
    expect(waiting).to_contain_text("Waiting for it…")
    yard.connect(credentials)
    expect(waiting).to_contain_text("Connected")
    expect(waiting).to_contain_text("Cellar speaks OCPP 1.6 with Borne.")
    waiting.get_by_role("link", name="Open Cellar").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Cellar")
    assert credentials.password not in page.content()
    page.goto(f"/chargers/{credentials.id}/edit")
    assert credentials.password not in page.content()


def test_each_usual_mistake_is_named_live_then_success(browse, yard):
    page = browse.open("/chargers", SAM)
    credentials = add_in_browser(page, "Roof")
    waiting = page.locator("#waiting")
    gateway = browse.site.gateway_url
    mistakes = [
        ({"password": "wrong-password-entirely"}, "The password was wrong."),
        ({"password": ""}, "It sent no password."),
        ({"url": gateway.replace("/ocpp", "/wrong")}, "It reached Borne, but under a wrong path."),
        ({"offers": ["mqtt"]}, "It offered no OCPP version that Borne speaks."),
    ]
    for mistaken, said in mistakes:
        charger = yard.connect(credentials, wait=False, **mistaken)
        expect(waiting).to_contain_text(said)
        expect(waiting).to_contain_text("Waiting for it…")
        charger.stop()
    yard.connect(credentials)
    expect(waiting).to_contain_text("Connected")


def test_no_subprotocol_works_and_says_so(browse, yard):
    page = browse.open("/chargers", SAM)
    credentials = add_in_browser(page, "Yard")
    yard.connect(credentials, wait=False, offers=[])
    waiting = page.locator("#waiting")
    expect(waiting).to_contain_text("Connected")
    expect(waiting).to_contain_text("It named no OCPP version; Borne takes it for 1.6J.")


def test_mistyped_identity_is_named(browse, yard):
    page = browse.open("/chargers", SAM)
    credentials = add_in_browser(page, "Gate")
    typed = credentials.identity[:-1] + ("2" if credentials.identity[-1] != "2" else "3")
    yard.connect(Credentials(0, "", typed, credentials.password, credentials.url), wait=False)
    expect(page.locator("#waiting")).to_contain_text(f"It named the identity “{typed}”, which is not this charger’s.")


def test_secret_in_the_path_serves_a_charger_without_a_password(browse, yard):
    page = browse.open("/chargers", SAM)
    credentials = add_in_browser(page, "Shed")
    page.get_by_text("The charger has no field for a password").click()
    secret_url = page.locator("#charger-secret-url").inner_text()
    assert credentials.password in secret_url
    yard.connect(credentials, password="", url=secret_url.removesuffix(f"/{credentials.identity}"))
    expect(page.locator("#waiting")).to_contain_text("Connected")


def test_copy_puts_the_text_on_the_clipboard(browse):
    context = browse.context(SAM)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    credentials = add_in_browser(page, "Loft")
    page.get_by_role("button", name="Copy Password").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == credentials.password


def test_form_says_what_is_missing_and_keeps_the_rest(browse):
    browse.watch.expect("status of 422")
    page = browse.open("/chargers/add", SAM)
    page.get_by_role("textbox", name="Name").fill("Half")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was added yet.")
    expect(page.get_by_role("textbox", name="Name")).to_have_value("Half")
    expect(page.get_by_role("combobox", name="Model")).to_have_attribute("aria-invalid", "true")


def test_sent_twice_adds_one(browse, site):
    page = browse.open("/chargers/add", SAM)
    page.get_by_role("textbox", name="Name").fill("Twice only")
    page.get_by_role("combobox", name="Model").select_option("copper")
    page.get_by_role("combobox", name="Location").select_option(label="North")
    page.get_by_role("button", name="Add", exact=True).dblclick()
    page.wait_for_load_state()
    page.wait_for_timeout(500)
    assert site.sql("SELECT count(*) FROM chargers WHERE name = 'Twice only'") == [(1,)]


def test_admin_adds_to_the_own_location_only(browse):
    page = browse.open("/chargers/add", NORA)
    assert page.get_by_role("combobox", name="Location").locator("option").all_inner_texts() == ["North"]


@pytest.mark.parametrize("path", ["/chargers/add"])
def test_operator_adds_none(browse, path):
    browse.watch.expect("404")
    page = browse.open("/chargers", OTTO)
    expect(page.get_by_role("link", name="Add charger")).to_have_count(0)
    assert page.goto(path).status == 404


def test_admin_on_the_command_line_beside_the_running_server(browse, site, yard):
    """`borne admin add-charger --json` prints what to type; the running server takes the charger at once."""
    made = json.loads(
        site.admin("add-charger", "--name", "Shell", "--model", "copper", "--organisation", "Lumen", "--json")
    )
    assert set(made) == {"identity", "password", "url"}
    (charger_id,) = site.sql("SELECT id FROM chargers WHERE identity = ?", made["identity"])[0]
    page = browse.open(f"/chargers/{charger_id}", SAM)
    yard.connect(Credentials(charger_id, "Shell", **made))
    expect(page.locator(".st.big")).to_have_text("Ready")
