"""A second factor in a real browser: passkeys with Chromium's virtual authenticator, an authenticator app, recovery codes."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pyotp
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.support.browser import PHONE, log_in, overflows
from tests.support.server import PASSWORD, Site, running_site

PHONE_DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server whose public address has a name: browsers give no passkeys to a number."""
    portal = {"public_url": "http://localhost:{port}"}
    with running_site(tmp_path_factory.mktemp("named"), portal=portal) as running:
        running.add_organisation("Lumen", "business", "North")
        running.add_organisation("Strict", "business", "Main")
        running.sql("UPDATE organisations SET requires_second_factor = 1 WHERE name = 'Strict'")
        for person in ("pia", "theo"):
            running.add_person(f"{person}@lumen.test", "super-admin", "Lumen", name=person.title())
        running.add_person("sid@strict.test", "admin", "Strict", name="Sid", locations=("Main",))
        yield running


def url_of(site: Site) -> str:
    return f"http://localhost:{site.portal_port}"


def with_device(context: BrowserContext, page: Page) -> tuple[Any, str]:
    """Give the browser an authenticator; the session that steers it, and its id."""
    cdp = context.new_cdp_session(page)
    cdp.send("WebAuthn.enable")
    made = cdp.send("WebAuthn.addVirtualAuthenticator", {"options": PHONE_DEVICE})
    return cdp, made["authenticatorId"]


def log_out(page: Page) -> None:
    page.locator("details.me summary").click()
    page.locator("form[action='/logout'] button").click()
    expect(page).to_have_url(re.compile("/login$"))


def code_of(app: pyotp.TOTP, after: str = "") -> str:
    """The code of now; a new one, where one was used."""
    while app.now() == after:
        time.sleep(0.2)
    return app.now()


def test_a_passkey_from_its_making_to_its_end(browse, named: Site):
    browse.watch.expect("status of 422")
    context = browse.context(base_url=url_of(named))
    page = context.new_page()
    cdp, device = with_device(context, page)
    log_in(page, url_of(named), "pia@lumen.test")
    page.wait_for_url("**/chargers")
    page.goto("/account")
    page.get_by_role("link", name="Add, Passkeys").click()
    page.get_by_label("Name").fill("Laptop")
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_text("Keep these codes")).to_be_visible()
    codes = page.locator("#codes").inner_text().split()
    assert len(codes) == 10
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("1 passkey", exact=True)).to_be_visible()

    log_out(page)
    page.get_by_role("button", name="Log in with a passkey").click()  # no e-mail, no password
    page.wait_for_url("**/chargers")

    log_out(page)
    log_in(page, url_of(named), "pia@lumen.test")
    expect(page.get_by_role("heading", level=1)).to_have_text("One more step")
    cdp.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})  # a stranger's finger
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("alert")).to_have_text("No passkey was used. Try again when you are ready.")
    cdp.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": True})
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/chargers")

    page.goto("/account/passkeys")
    page.get_by_label("Name").fill("The same device again")
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_role("alert")).to_have_text("This device has a passkey for your account already.")
    page.get_by_role("button", name="Remove, Laptop").click()
    expect(page.locator(".toast")).to_contain_text("The passkey is removed.")
    log_out(page)
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(page.get_by_role("alert").first).to_contain_text("That passkey was not accepted.")
    assert "pia@lumen.test" in named.admin("outbox")


def test_an_authenticator_app_in_french_on_a_phone(browse, named: Site):
    browse.watch.expect("status of 422")
    page = browse.context(base_url=url_of(named), locale="fr-FR", viewport=PHONE).new_page()
    log_in(page, url_of(named), "theo@lumen.test")
    page.wait_for_url("**/chargers")
    page.goto("/account")
    assert overflows(page) <= 0
    page.get_by_role("link", name="Configurer, Application d’authentification").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Application d’authentification")
    expect(page.locator(".qr-box svg")).to_be_visible()
    page.get_by_text("L’application ne peut pas scanner").click()
    app = pyotp.TOTP(page.locator("#totp-key").inner_text().replace(" ", ""))
    assert overflows(page) <= 0
    field = page.get_by_label("Saisissez le code affiché")
    field.fill("000000")
    page.get_by_role("button", name="Activer").click()
    expect(page.locator("#code-note")).to_contain_text("Ce n’est pas le code du moment.")
    used = code_of(app)
    page.get_by_label("Saisissez le code affiché").fill(used)
    page.get_by_role("button", name="Activer").click()
    expect(page.get_by_text("Conservez ces codes")).to_be_visible()
    assert overflows(page) <= 0
    code = page.locator("#codes").inner_text().split()[0]
    page.get_by_role("link", name="Je les ai conservés").click()
    expect(page.get_by_text("Activée")).to_be_visible()

    page.goto("about:blank")  # what a page still fetches would bring cookies anew
    page.context.clear_cookies()
    log_in(page, url_of(named), "theo@lumen.test")
    expect(page.get_by_role("heading", level=1)).to_have_text("Encore une étape")
    assert overflows(page) <= 0
    page.get_by_label("Code de votre application d’authentification").fill(used)
    page.get_by_role("button", name="Se connecter", exact=True).click()
    expect(page.locator("#code-note")).to_have_text("Ce code a déjà servi. Attendez le suivant.")
    page.get_by_text("Rien sous la main").click()
    page.get_by_label("Code de secours").fill(code.upper())
    page.get_by_role("button", name="Se connecter avec ce code").click()
    page.wait_for_url("**/chargers")
    page.goto("/account")
    expect(page.get_by_text("il en reste 9")).to_be_visible()


def test_an_organisation_that_asks_for_a_second_factor(browse, named: Site):
    context = browse.context(base_url=url_of(named))
    page = context.new_page()
    with_device(context, page)
    log_in(page, url_of(named), "sid@strict.test")
    expect(page.get_by_role("heading", level=1)).to_have_text("A second factor, please")
    expect(page.get_by_text("Strict asks everybody for a second factor")).to_be_visible()
    expect(page.get_by_role("link", name="Chargers")).to_have_count(0)
    page.get_by_role("link", name="Add, A passkey").click()
    page.get_by_role("button", name="Make the passkey").click()
    page.get_by_role("link", name="I have kept them").click()
    page.get_by_role("link", name="Chargers").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Chargers")


def test_a_token_is_made_tried_and_revoked(browse, named: Site):
    page = browse.context(base_url=url_of(named)).new_page()
    named.add_person("tom@lumen.test", "super-admin", "Lumen", name="Tom")
    log_in(page, url_of(named), "tom@lumen.test")
    page.wait_for_url("**/chargers")
    page.goto("/account/tokens")
    page.get_by_label("Name").fill("Home automation")
    page.get_by_text("Restart chargers").click()
    page.get_by_role("button", name="Make it").click()
    token = page.locator("#secret").inner_text()
    me = page.request.get("/api/v1/me", headers={"authorization": f"Bearer {token}"})
    assert (me.status, me.json()["scopes"]) == (200, ["read", "restart"])
    assert page.request.get("/api/v1/me").status == 401, "the cookie of this browser opens nothing there"
    assert page.request.get("/api/v1/openapi.json").json()["info"]["title"] == "Borne"
    page.get_by_role("link", name="I have kept it").click()
    row = page.locator("li", has_text="Home automation")
    expect(row).to_contain_text("last used")
    row.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("No program signs in with your account.")).to_be_visible()
    assert page.request.get("/api/v1/me", headers={"authorization": f"Bearer {token}"}).status == 401
    assert PASSWORD not in named.log
    assert token not in named.log
