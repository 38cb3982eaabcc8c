"""Coming in and going out: the first account, logging in and out, a forgotten password, and requests that people did not mean."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
from playwright.sync_api import expect

from tests.support.browser import log_in
from tests.support.server import PASSWORD, running_site, wait_until

SAM = "sam@lumen.test"


def test_first_account_with_the_one_time_code(browse, tmp_path: Path):
    """An empty database leads everybody to the setup; only the code of the log opens it, once."""
    browse.watch.expect("status of 4(03|04|22)")
    with running_site(tmp_path / "empty") as empty:
        page = browse.context(base_url=empty.url).new_page()
        page.goto("/chargers")
        expect(page).to_have_url(f"{empty.url}/setup")
        for label, text in (
            ("One-time code", "not-the-code"), ("Organisation", "Atelier"), ("Your name", "Camille"),
            ("E-mail", "camille@home.test"), ("Password", PASSWORD),
        ):  # fmt: skip
            page.get_by_label(label, exact=True).fill(text)
        page.get_by_role("button", name="Make the account").click()
        expect(page.get_by_role("alert").first).to_be_visible()
        assert empty.sql("SELECT count(*) FROM people") == [(0,)]
        page.get_by_label("One-time code").fill(empty.setup_code)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Make the account").click()
        page.wait_for_url("**/chargers")
        expect(page.get_by_role("heading", name="No charger yet")).to_be_visible()
        assert empty.sql("SELECT name, plan FROM organisations") == [("Atelier", "business")]
        assert empty.sql("SELECT role FROM memberships") == [("super-admin",)]
        second = browse.context(base_url=empty.url).new_page()
        second.goto("/setup")
        expect(second).not_to_have_url(f"{empty.url}/setup")


def test_wrong_password_tells_nothing_and_keeps_the_address(browse):
    browse.watch.expect("status of 422")
    said = []
    for email in (SAM, "nobody@lumen.test"):
        page = browse.open("/login")
        log_in(page, browse.site.url, email, "not the password")
        said.append(page.get_by_role("alert").inner_text())
        expect(page.locator("#email")).to_have_value(email)
        expect(page.locator("#password")).to_have_value("")
    assert said[0] == said[1] == "The e-mail address or the password is wrong."


def test_log_in_goes_on_to_where_the_person_wanted(browse, charger):
    page = browse.open(f"/chargers/{charger.id}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    page.locator("#email").fill(SAM)
    page.locator("#password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{browse.site.url}/chargers/{charger.id}")


def test_log_out_ends_the_other_tabs(browse, charger):
    """Within a second, without a click there: what others could read over a shoulder is gone."""
    context = browse.context()
    page, other = context.new_page(), context.new_page()
    log_in(page, browse.site.url, SAM)
    page.wait_for_url("**/chargers")
    other.goto(f"/chargers/{charger.id}")
    expect(other.locator(".st.big")).to_be_visible()
    other.wait_for_timeout(500)
    page.bring_to_front()
    page.locator("details.me summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    expect(other.get_by_role("heading", level=1)).to_have_text("Log in", timeout=3_500)


def test_forgotten_password_by_the_outbox(browse, site):
    """Without a mail server the mail waits in the outbox, for whoever operates the installation."""
    browse.watch.expect("status of 4(04|22)")
    site.add_person("lost@lumen.test", "user", "Lumen", name="Lost")
    page = browse.open("/login")
    page.get_by_role("link", name="Forgot your password?").click()
    page.get_by_label("E-mail").fill("lost@lumen.test")
    page.get_by_role("button").filter(has_text=re.compile("mail|link", re.IGNORECASE)).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Look into your mail")
    wait_until(lambda: site.sql("SELECT count(*) FROM mails WHERE recipient = 'lost@lumen.test'") == [(1,)], "the mail")
    outbox = browse.open("/installation/outbox", SAM)
    text = outbox.locator("details.mail", has_text="lost@lumen.test").locator("pre").inner_text()
    link = re.search(r"http\S+/reset/\S+", text)
    assert link
    page.goto(link[0])
    page.locator("#password").fill("short")
    page.locator("form button.go").click()
    expect(page.locator("#password-note")).to_contain_text("at least")
    page.locator("#password").fill("another long password")
    page.locator("form button.go").click()
    page.wait_for_url("**/home")  # where users begin
    assert page.goto(link[0]).status == 404
    expect(page.get_by_role("heading", level=1)).to_have_text("This link is over")
    assert "lost@lumen.test" in site.admin("outbox")


def test_outbox_and_attempts_are_for_the_operator_of_the_installation(browse):
    browse.watch.expect("404")
    page = browse.open("/chargers", "nora@lumen.test")
    expect(page.get_by_role("link", name="Outbox")).to_have_count(0)
    assert page.goto("/installation/outbox").status == 404
    assert page.goto("/installation/attempts").status == 404


# ---- forged requests ---------------------------------------------------------------------------------------------


def forge(path: str, target: str) -> str:
    """A page of another origin that posts a form to Borne by itself, opened in Sam's browser."""
    return f"""<!doctype html><title>forged</title><form method="post" action="{target}{path}">
      <input name="when" value="now"><input name="key" value="forged"></form><script>document.forms[0].submit()</script>"""


def test_a_foreign_page_restarts_nothing(browse, charger):
    browse.watch.expect("status of 40[134]", "form-action")
    context = browse.context(SAM)
    html = forge(f"/chargers/{charger.id}/restart", browse.site.url)
    context.route("http://evil.test/", lambda route: route.fulfill(body=html, content_type="text/html"))
    page = context.new_page()
    page.goto("http://evil.test/")
    page.wait_for_url(f"{browse.site.url}/**")
    page.wait_for_timeout(500)
    assert charger.resets == 0
    assert browse.site.verdicts(charger.id) == []


def test_a_form_without_its_token_is_refused_in_words(browse, charger):
    browse.watch.expect("status of 403")
    page = browse.open(f"/chargers/{charger.id}", SAM)
    answer = page.evaluate(
        """async path => {
          const answer = await fetch(path, { method: "POST", body: new URLSearchParams({ when: "now", key: "k" }) });
          return [answer.status, await answer.text()]; }""",
        f"/chargers/{charger.id}/restart",
    )
    assert answer[0] == 403
    assert "This form is no longer valid" in answer[1]
    assert charger.resets == 0


def test_a_web_page_opens_no_charger_connection(browse, site, yard, add):
    """A browser always says where its page came from; a charger never does, and is taken with the same address."""
    browse.watch.expect("WebSocket", "content security", "violates", "connect-src", "Refused")
    credentials = add(location="North")
    context = browse.context()
    context.route(
        "http://evil.test/", lambda route: route.fulfill(body="<title>evil</title>", content_type="text/html")
    )
    page = context.new_page()
    page.goto("http://evil.test/")
    base = f"{site.gateway_url}/{credentials.password}"
    yard.connect(credentials, password="", url=base).stop()
    wait_until(lambda: site.sql("SELECT online FROM chargers WHERE id = ?", credentials.id) == [(0,)], "its leaving")
    opened = page.evaluate(
        """url => new Promise((done) => { const socket = new WebSocket(url, "ocpp1.6");
          socket.onopen = () => done(true); socket.onerror = () => done(false); })""",
        f"{base}/{credentials.identity}",
    )
    assert opened is False
    assert site.sql("SELECT online FROM chargers WHERE id = ?", credentials.id) == [(0,)]


def test_nobody_frames_borne(browse):
    browse.watch.expect("frame-ancestors", "X-Frame-Options", "ERR_BLOCKED", "chrome-error", "content security")
    context = browse.context(SAM)
    html = f'<!doctype html><iframe src="{browse.site.url}/chargers"></iframe>'
    context.route("http://evil.test/", lambda route: route.fulfill(body=html, content_type="text/html"))
    page = context.new_page()
    page.goto("http://evil.test/")
    page.wait_for_timeout(300)
    assert page.frames[1].url.startswith("chrome-error:")


def test_headers_on_every_answer(site):
    for path in ("/login", "/nowhere", "/static/nothing", "/chargers"):
        answer = httpx.get(site.url + path)
        assert "script-src 'self'" in answer.headers["content-security-policy"], path
        assert answer.headers["x-content-type-options"] == "nosniff", path
