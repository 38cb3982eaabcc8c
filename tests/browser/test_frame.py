"""The portal's frame in a real browser: the policy holds, htmx works under it, theme, language, phone."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from litestar import Response, get, post
from playwright.async_api import Browser, ConsoleMessage, async_playwright
from playwright.async_api import Page as Tab

from borne.portal.errors import PageError
from borne.portal.forms import Form, text_of
from borne.portal.frame import Page
from borne.portal.services import PortalSettings
from borne.store import logins
from tests.support import chromium
from tests.support.portal import PASSWORD, Portal, running_portal

pytestmark = pytest.mark.anyio
CAMILLE = "camille@demo.test"


@get("/try", may="member")
async def try_page(page: Page) -> Response[str]:
    return page.show("error.html", title="Try", text="<b>text</b>", number=0)


@post("/try/echo", may="member")
async def echo(page: Page, data: Form) -> Response[str]:
    if text_of(data, "word") == "fail":
        raise PageError(409, "Not <b>now</b>")
    return page.part("parts/mark.html", toast="Done <b>well</b>")


class More:
    ROUTES = (try_page, echo)


@contextlib.asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[Portal, str]]:
    """A portal with one person, on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    settings = PortalSettings(csrf_secret="s", public_url=address)
    async with running_portal(folder, [More], settings=settings) as portal:
        one, _ = await portal.add_organisation("Atelier")
        two, _ = await portal.add_organisation("Port")
        await portal.add_person(CAMILLE, (one, "super-admin"), (two, "admin"), operates=True)
        server = uvicorn.Server(uvicorn.Config(portal.app, host="127.0.0.1", port=port, log_level="warning"))
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield portal, address
        finally:
            server.should_exit = True
            await task


@contextlib.asynccontextmanager
async def browsing(path: str) -> AsyncIterator[Browser]:
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=path, args=list(chromium.FLAGS))
        yield browser
        await browser.close()


def watch(tab: Tab) -> list[str]:
    """What the console complains about, but for answers that say so by their status."""
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    tab.on("console", note)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints


async def log_in(tab: Tab, address: str) -> None:
    await tab.goto(address)
    await tab.fill("#email", CAMILLE)
    await tab.fill("#password", PASSWORD)
    await tab.press("#password", "Enter")
    await tab.wait_for_url(lambda url: "/login" not in url)


async def test_every_page_of_the_frame_obeys_the_policy(tmp_path: Path, chromium_path: str) -> None:
    async with served(tmp_path) as (_, address), browsing(chromium_path) as browser:
        tab = await browser.new_page()
        complaints = watch(tab)
        await log_in(tab, address)
        for path in ("/account", "/installation/attempts", "/installation/outbox", "/nothing", "/try"):
            await tab.goto(address + path)
            assert await tab.evaluate("document.querySelector('svg.i use').getBoundingClientRect().width") > 0
        assert await tab.locator("main b").count() == 0
        assert complaints == []


async def test_htmx_sends_the_token_and_shows_errors_as_toasts(tmp_path: Path, chromium_path: str) -> None:
    async with served(tmp_path) as (portal, address), browsing(chromium_path) as browser:
        tab = await browser.new_page()
        complaints = watch(tab)
        await log_in(tab, address)
        await tab.goto(address + "/try")
        await tab.evaluate(
            """() => {
              document.querySelector('main').innerHTML = `<form hx-post="/try/echo" hx-target="#here">
                <input name="word" value="go"><button type="submit">Send</button></form><div id="here">before</div>`;
              htmx.process(document.querySelector('main'));
            }"""
        )
        await tab.click("main button")
        await tab.wait_for_selector("#here svg.mark")
        assert await tab.locator(".toast").inner_text() == "Done <b>well</b>"
        await tab.fill("main input", "fail")
        await tab.click("main button")
        await tab.wait_for_selector(".toast.bad")
        assert await tab.locator(".toast.bad").inner_text() == "Not <b>now</b>"
        assert await tab.locator("#here svg.mark").count() == 1  # an error swaps nothing
        await tab.evaluate("window.kept = document.body.getAttribute('hx-headers:inherited')")
        await tab.evaluate("document.body.removeAttribute('hx-headers:inherited')")
        await tab.click("main button")
        await tab.wait_for_selector(".toast.bad:has-text('no longer valid')")
        await tab.evaluate("document.body.setAttribute('hx-headers:inherited', window.kept)")
        async with portal.db.transaction() as tx:
            await logins.end_others(tx, 1, b"")
        await asyncio.sleep(1.05)
        await tab.click("main button")
        await tab.wait_for_url("**/login")  # a fragment asked without a login leads there
        assert [text for text in complaints if "Content Security" in text or "eval" in text] == []


async def test_theme_language_and_menu_without_and_with_a_phone(tmp_path: Path, chromium_path: str) -> None:
    async with served(tmp_path) as (_, address), browsing(chromium_path) as browser:
        phone = await browser.new_context(viewport={"width": 390, "height": 844}, locale="fr-FR", has_touch=True)
        tab = await phone.new_page()
        complaints = watch(tab)
        await log_in(tab, address)
        await tab.goto(address + "/account")
        assert await tab.evaluate("document.documentElement.lang") == "fr"
        rail = await tab.locator("nav.rail").bounding_box()
        assert rail
        assert rail["y"] + rail["height"] > 840  # the bar is at the bottom
        assert await tab.evaluate("document.documentElement.scrollWidth") <= 390
        await tab.click("nav.rail .me > summary")
        await tab.get_by_role("button", name="Port").click()
        await tab.wait_for_load_state()
        await tab.goto(address + "/account")
        await tab.click("nav.rail .me > summary")
        small = await tab.evaluate(
            """() => [...document.querySelectorAll('nav a, nav button, nav summary, main button')]
                .filter(one => one.offsetParent && !one.closest('.segments'))
                .filter(one => Math.round(one.getBoundingClientRect().height) < 44)
                .map(one => one.textContent.trim())"""
        )
        assert small == []
        await tab.get_by_role("button", name="Sombre").click()
        await tab.wait_for_selector("html[data-theme=dark]")
        assert await tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 20, 19)"
        await tab.click("nav.rail .me > summary")
        await tab.get_by_role("button", name="English").click()
        await tab.wait_for_selector("html[lang=en]")
        await tab.keyboard.press("Escape")
        assert complaints == []


async def test_colours_are_readable_in_both_themes(tmp_path: Path, chromium_path: str) -> None:
    """WCAG AA: 4.5 for text, in light and dark."""
    async with served(tmp_path) as (_, address), browsing(chromium_path) as browser:
        for scheme in ("light", "dark"):
            context = await browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
            tab = await context.new_page()
            await tab.goto(address + "/login")
            ratios = await tab.evaluate(CONTRASTS)
            assert {pair: ratio for pair, ratio in ratios.items() if ratio < 4.5} == {}
            assert len(ratios) > 20


CONTRASTS = """() => {
  const probe = document.body.appendChild(document.createElement('span'));
  const rgb = name => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color.match(/[\\d.]+/g).map(Number);
  };
  const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = name => rgb(name).reduce((sum, v, i) => sum + linear(v / 255) * [.2126, .7152, .0722][i], 0);
  const ratio = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + .05) / (y + .05);
  };
  const found = {};
  for (const [text, ground] of [['accent-ink', 'accent'], ['ink', 'accent-soft'], ['paper', 'ink']])
    found[`${text} on ${ground}`] = ratio(text, ground);
  for (const text of ['ink', 'ink-2', 'accent', 'ready', 'charging', 'waiting', 'locked', 'fault', 'gone'])
    for (const ground of ['card', 'paper', 'sunk']) found[`${text} on ${ground}`] = ratio(text, ground);
  return found;
}"""
