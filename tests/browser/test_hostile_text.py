"""A charger that lies: markup in everything it says about itself is shown as text, on every page, and runs nowhere."""

from __future__ import annotations

import json
from base64 import b64encode

from playwright.sync_api import Page, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.support.browser import ask
from tests.support.server import Credentials, Site, wait_until

SAM = "sam@lumen.test"
IMG = "<img src=x onerror=alert(1)>"  # 28 characters: firmware and info take 50
TINY = "<b onclick=a()>x</b>"  # 20 characters: what vendor and model take in OCPP 1.6
SCRIPT = "</pre></script><script>document.title='owned'</script>"
QUOTES = '" onmouseover="alert(1)" \' x=\''


class Liar:
    """A charger on a bare socket that says what it likes."""

    def __init__(self, site: Site, credentials: Credentials) -> None:
        basic = b64encode(f"{credentials.identity}:{credentials.password}".encode()).decode()
        self._address = f"{site.gateway_url}/{credentials.identity}"
        self._headers = {"Authorization": f"Basic {basic}"}
        self._number = 0
        wait_until(self._connects, "a connection: the server looks at new chargers once a second")

    def _connects(self) -> bool:
        try:
            self._socket = connect(
                self._address, subprotocols=["ocpp1.6"], additional_headers=self._headers, proxy=None, legacy=True
            )
        except InvalidStatus:
            return False
        return True

    def call(self, action: str, **payload: object) -> object:
        """Say something and wait for the answer."""
        self._number += 1
        self._socket.send(json.dumps([2, str(self._number), action, payload]))
        while True:
            frame = json.loads(self._socket.recv(10))
            if frame[0] in (3, 4) and frame[1] == str(self._number):
                return frame

    def refuse_next(self) -> None:
        """Answer the next request of Borne with an error made of markup."""
        while True:
            frame = json.loads(self._socket.recv(10))
            if frame[0] == 2:
                self._socket.send(json.dumps([4, frame[1], "InternalError", SCRIPT, {"why": IMG}]))
                return

    def close(self) -> None:
        self._socket.close()


def nothing_ran(page: Page) -> None:
    """No element was made of what the charger said, and the page is still itself."""
    assert page.locator("main img, main script, main b[onclick], main [onmouseover], main [onerror]").count() == 0
    assert "owned" not in page.title()


def test_lies_are_shown_as_text_everywhere(browse, site, add):
    credentials = add("Liar", location="North")
    liar = Liar(site, credentials)
    liar.call(
        "BootNotification",
        chargePointVendor=TINY,
        chargePointModel=TINY,
        firmwareVersion=IMG,
        chargePointSerialNumber=TINY,
    )
    liar.call(
        "StatusNotification", connectorId=1, status="Faulted", errorCode="OtherError", info=IMG, vendorErrorCode=IMG,
        vendorId=SCRIPT[:255],
    )  # fmt: skip
    liar.call("DataTransfer", vendorId=IMG, messageId=TINY, data=SCRIPT + QUOTES)
    liar.call("Authorize", idTag=TINY)
    liar.call("StartTransaction", connectorId=1, idTag=TINY, meterStart=0, timestamp="2026-01-01T00:00:00Z")
    page = browse.open(f"/chargers/{credentials.id}", SAM)
    expect(page.locator("#facts")).to_contain_text(IMG)
    expect(page.locator("#facts")).to_contain_text(TINY)
    expect(page.locator("#connectors")).to_contain_text(IMG)
    nothing_ran(page)
    page.get_by_text("OCPP frames").click()
    expect(page.locator("#frames")).to_contain_text("DataTransfer")
    expect(page.locator("#frames")).to_contain_text("document.title='owned'")
    nothing_ran(page)
    modal = ask(page, credentials.name)
    modal.get_by_role("radio", name="Now").check()
    modal.get_by_role("button", name="OKAY").click()
    liar.refuse_next()
    expect(page.locator(".story")).to_contain_text("InternalError")
    expect(page.locator(".story")).to_contain_text(SCRIPT)
    nothing_ran(page)
    for path in ("/chargers", "/restarts", f"/chargers/{credentials.id}/restarts"):
        page.goto(path)
        expect(page.get_by_role("link", name=credentials.name, exact=True).first).to_be_visible()
        nothing_ran(page)
    liar.close()


def test_names_given_by_people_are_text_too(browse, site, yard, add):
    """Also in what the page puts together in attributes, messages and the announcements for screen readers."""
    charger = yard.connect(add(f"{IMG}{QUOTES}", location="North", serial=QUOTES))
    page = browse.open(f"/chargers/{charger.id}", SAM)
    expect(page.get_by_role("heading", level=1)).to_contain_text(IMG)
    modal = ask(page, charger.name)
    expect(modal).to_contain_text(IMG)
    nothing_ran(page)
    modal.get_by_role("textbox", name="Why").fill(SCRIPT)
    modal.get_by_role("button", name="OKAY").click()
    expect(page.locator("#restart-panel")).to_contain_text(SCRIPT)
    expect(page.locator("#restart-said")).to_contain_text(IMG)
    expect(page.locator("[data-sentence]")).to_contain_text("Succeeded.")
    assert page.locator("body img, body b[onclick], body [onerror]").count() == 0
    for path in ("/chargers?q=%3Cimg", "/restarts", f"/chargers/{charger.id}/edit", f"/chargers/{charger.id}/delete"):
        page.goto(path)
        expect(page.locator("main")).to_contain_text(IMG) if "edit" not in path else None
        nothing_ran(page)


def test_refused_identity_is_text(browse, site, yard):
    """The page of refused attempts shows what strangers typed."""
    yard.connect(Credentials(0, "", "<img src=x onerror=alert(1)>", "nothing", ""), wait=False)
    yard.connect(Credentials(0, "", "nobody-here", "nothing", ""), wait=False)
    page = browse.open("/chargers", SAM)
    page.wait_for_timeout(300)
    page.goto("/installation/attempts")
    expect(page.locator("main")).to_contain_text("nobody-here")
    nothing_ran(page)


def test_hostile_search_and_addresses(add, browse):
    add("Court")  # where there are none, there is nothing to search
    browse.watch.expect("status of 4..")
    page = browse.open("/chargers?q=%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E", SAM)
    expect(page.get_by_role("searchbox")).to_have_value('"><img src=x onerror=alert(1)>')
    nothing_ran(page)
    page.goto("/%3Cscript%3Edocument.title='owned'%3C/script%3E")
    nothing_ran(page)
    page.goto("/login?next=javascript:alert(1)")
    nothing_ran(page)
