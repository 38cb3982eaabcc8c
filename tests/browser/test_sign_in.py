"""Logging in with the account of one's organisation, in a real browser: set up by a super-admin, used by somebody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import PHONE, log_in, overflows
from tests.support.identity import running_provider
from tests.support.server import Site, running_site

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib")


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with running_provider() as address:
        yield address


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that may ask a provider on loopback."""
    with running_site(tmp_path_factory.mktemp("home"), portal={"private_providers": True}) as running:
        running.add_organisation("Atelier", "business", "Lyon")
        running.add_organisation("Elsewhere", "business", "Nice")
        running.add_person("sam@a.test", "super-admin", "Atelier", name="Sam")
        running.add_person("zoe@a.test", "operator", "Atelier", name="Zoé Martin", locations=("Lyon",))
        yield running


def window(browse, home: Site, **options) -> Page:
    """A browser of its own. (The provider's own pages ask for a style sheet from elsewhere: they go without.)"""
    context = browse.context(base_url=home.url, **options)
    context.route("**/*.min.css", lambda route: route.fulfill(body="", content_type="text/css"))
    browse.watch.expect("403")  # pages that refuse
    return context.new_page()


def come_in(page: Page, address: str, word: str) -> None:
    page.goto(address)
    page.get_by_role("link", name=word).click()
    page.get_by_role("button", name="zoe", exact=True).click()  # at the provider


def set_up(page: Page, home: Site, issuer: str) -> str:
    """As Sam; the address for people."""
    log_in(page, home.url, "sam@a.test")
    page.goto(f"{home.url}/organisation")
    page.get_by_role("link", name="Sign-in").click()
    page.get_by_role("link", name="Add provider").click()
    page.get_by_label("Name").fill("Atelier ID")
    page.get_by_label("Issuer").fill(issuer + "/")
    page.get_by_label("Client ID").fill("borne")
    page.get_by_label("Client secret").fill("secret")
    page.get_by_role("button", name="Add").click()
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_role("alert")).to_contain_text(f"It calls itself {issuer}.")
    page.get_by_label("Issuer").fill(issuer)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_role("status").first).to_contain_text("The provider answers as it should.")
    page.get_by_role("button", name="Turn on").click()
    expect(page.locator("#toasts")).to_contain_text("People can log in with Atelier ID now.")
    return page.locator("#login-address").inner_text()


def test_set_up_and_used_and_remembered(home: Site, issuer: str, browse) -> None:
    page = window(browse, home)
    address = set_up(page, home, issuer)
    zoe = window(browse, home, locale="fr-FR", viewport=PHONE)
    come_in(zoe, address, "Continuer avec Atelier ID")
    zoe.wait_for_url("**/chargers")
    assert overflows(zoe) == 0
    zoe.goto(f"{home.url}/account")
    expect(zoe.get_by_role("heading", level=1)).to_have_text("Votre compte n’appartient qu’à vous")
    zoe.get_by_role("button", name="Se déconnecter").last.click()
    come_in(zoe, f"{home.url}/login", "Continuer avec Atelier ID")
    zoe.wait_for_url("**/chargers")
    somebody_unknown_is_told_why(window(browse, home), home, address)


def somebody_unknown_is_told_why(page: Page, home: Site, address: str) -> None:
    page.goto(address)
    page.get_by_role("link", name="Continue with Atelier ID").click()
    page.get_by_role("button", name="ali", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are not logged in")
    expect(page.locator("main")).to_contain_text("does not say that your e-mail address is verified")
    page.goto(f"{home.url}/login")
    page.get_by_role("link", name="Log in with your organisation").click()
    page.get_by_label("Work e-mail").fill("nobody@a.test")
    page.get_by_role("button", name="Send me the address").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Look into your mail")
