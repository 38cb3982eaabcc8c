"""The modal in a real browser where the network or the rights fail at OKAY, and for whoever sees no screen."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Page as Tab
from playwright.async_api import async_playwright, expect

from tests.support import chromium
from tests.support.portal import PASSWORD
from tests.support.restart_site import Site, running_site

pytestmark = pytest.mark.slow

OPEN = "dialog.restart-modal[open]"


@asynccontextmanager
async def served(site: Site) -> AsyncIterator[str]:
    """The site's portal on a free port of loopback."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(site.portal.app, log_level="warning", lifespan="off"))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        server.force_exit = True
        await running


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        yield running


@pytest.fixture
async def tab(site: Site, chromium_path: str) -> AsyncIterator[Tab]:
    """A browser in which Camille looks at a green charger, coming from the list."""
    charger_id = await site.online_charger()
    async with served(site) as address, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=list(chromium.FLAGS))
        page = await browser.new_page(base_url=address, locale="en-GB")
        await page.goto("/login")
        await page.fill("[name=email]", "camille@a.test")
        await page.fill("[name=password]", PASSWORD)
        await page.press("[name=password]", "Enter")
        await page.wait_for_url("**/chargers")
        await page.goto(f"/chargers/{charger_id}")
        yield page
        await browser.close()


async def open_modal(tab: Tab) -> None:
    await tab.click(".restart-icon")
    await tab.wait_for_selector(OPEN)


async def test_keyboard_alone_restarts_and_the_story_is_live_and_spoken(site: Site, tab: Tab) -> None:
    await tab.focus(".restart-icon")
    await tab.keyboard.press("Enter")
    await tab.wait_for_selector(OPEN)
    for _ in range(20):
        await tab.keyboard.press("Tab")
        assert await tab.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
    await tab.focus("[data-okay]")
    await tab.keyboard.press("Enter")
    await expect(tab.locator("#restart-panel")).to_be_visible()
    (row,) = await site.rows()
    await site.send(row.charger_id, answer="rejected")
    await expect(tab.locator("#restart-panel")).to_have_attribute("data-verdict", "failed", timeout=3_000)
    await expect(tab.locator("#restart-said")).to_have_text("Restart of Quai 4: Refused by the charger")
    await expect(tab.locator(".restart-icon.on")).to_be_visible()


async def test_refusal_at_okay_is_said_in_the_modal(site: Site, tab: Tab) -> None:
    await open_modal(tab)
    await site.set_plan("basic")
    await tab.click("[data-okay]")
    await expect(tab.locator(f"{OPEN} [role=alert]")).to_contain_text("Nothing was sent to the charger.")
    await expect(tab.locator(OPEN)).to_contain_text("The Basic plan does not include remote restarts.")
    assert await site.rows() == []


async def test_no_answer_at_okay_is_said_and_a_second_try_is_the_same_restart(site: Site, tab: Tab) -> None:
    await open_modal(tab)

    async def lose(route: Any) -> None:
        await route.fetch()  # the server has it
        await route.abort()  # the browser never hears of it

    await tab.route("**/restart", lose)
    await tab.click("[data-okay]")
    await expect(tab.locator(f"{OPEN} [data-problem]")).to_contain_text("Borne did not answer.")
    await tab.unroute("**/restart")
    await tab.click("[data-okay]")
    await expect(tab.locator("dialog")).to_have_count(0)
    assert len(await site.rows()) == 1
