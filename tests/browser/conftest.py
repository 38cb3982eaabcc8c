"""A real server, real simulated chargers and a real browser. Every test ends with a look at what went wrong in its pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

from tests.support import chromium
from tests.support.browser import DESKTOP, Watch, storage_of
from tests.support.server import Charger, Credentials, Site, Yard, charger_yard, running_site

RESULTS = Path(__file__).parents[2] / "test-results"
LIVE_MS = 1_000  # a change shows within a second
REPORT = pytest.StashKey[pytest.TestReport]()

expect.set_options(timeout=10_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these are slow."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Remember how a test went, so that its pages can be photographed before they close."""
    report = yield
    if report.when == "call":
        item.stash[REPORT] = report
    return report


# ---- what all tests of a process share ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    """A Chromium for each file: while it runs, its event loop holds this thread, so tests with loops of their own come before."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium_path, args=list(chromium.FLAGS))
        yield running
        running.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with an organisation on each plan: Lumen (Business; North and South), Standing (Standard), Plain (Basic)."""
    with running_site(tmp_path_factory.mktemp("site")) as running:
        running.add_organisation("Lumen", "business", "North", "South")
        running.add_organisation("Standing", "standard", "Main")
        running.add_organisation("Plain", "basic", "Main")
        running.add_person("sam@lumen.test", "super-admin", "Lumen", name="Sam", operates=True)
        running.add_person("nora@lumen.test", "admin", "Lumen", name="Nora", locations=("North",))
        running.add_person("sol@lumen.test", "admin", "Lumen", name="Sol", locations=("South",))
        running.add_person("otto@lumen.test", "operator", "Lumen", name="Otto", locations=("North",))
        running.add_person("uma@lumen.test", "user", "Lumen", name="Uma")
        running.add_person("stan@standing.test", "super-admin", "Standing", name="Stan")
        running.add_person("bea@plain.test", "super-admin", "Plain", name="Bea")
        yield running


@pytest.fixture(scope="session")
def shared_yard(site: Site) -> Iterator[Yard]:
    with charger_yard(site) as yard:
        yield yard


# ---- what each test gets -----------------------------------------------------------------------------------------


@pytest.fixture
def yard(shared_yard: Yard) -> Iterator[Yard]:
    """Where this test's chargers live; they leave at its end."""
    yield shared_yard
    shared_yard.empty()


_numbers = count(1)


@pytest.fixture
def add(site: Site) -> Callable[..., Credentials]:
    """`add("Court", organisation="Lumen", location="North", model="copper")`: a charger whose name no other test has."""

    def make(name: str = "Charger", organisation: str = "Lumen", **more: Any) -> Credentials:
        return site.add_charger(f"{name} {next(_numbers)}", organisation, **more)

    return make


@pytest.fixture
def charger(yard: Yard, add: Callable[..., Credentials]) -> Charger:
    """A charger by the book in Lumen, North: online, and back within seconds after a Reset."""
    return yard.connect(add(location="North", model="copper"))


@pytest.fixture
def new_organisation(site: Site) -> Callable[..., str]:
    """`new_organisation("business", "East")`: an organisation of this test alone, with a super-admin `boss@<name>.test`."""

    def make(plan: str = "business", *locations: str) -> str:
        name = f"org{next(_numbers)}"
        site.add_organisation(name, plan, *locations)
        site.add_person(f"boss@{name}.test", "super-admin", name, name="Boss")
        return name

    return make


class Browsing:
    """Opens browsers for people, and looks after them."""

    def __init__(self, site: Site, browser: Browser) -> None:
        self.site = site
        self.watch = Watch()
        self.contexts: list[BrowserContext] = []
        self._browser = browser

    def context(self, person: str | None = None, *, locale: str = "en-GB", **options: Any) -> BrowserContext:
        """A browser of its own, logged in as this person."""
        base_url = options.pop("base_url", self.site.url)
        storage = storage_of(self.site, self._browser, person) if person else None
        options = {"viewport": DESKTOP, "reduced_motion": "reduce", **options}
        context = self._browser.new_context(locale=locale, storage_state=storage, base_url=base_url, **options)
        self.watch.follow(context)
        self.contexts.append(context)
        return context

    def open(self, path: str, person: str | None = None, **options: Any) -> Page:
        """A page in a browser of its own."""
        page = self.context(person, **options).new_page()
        page.goto(path)
        return page

    def photograph(self, name: str) -> None:
        RESULTS.mkdir(exist_ok=True)
        for number, page in enumerate((page for context in self.contexts for page in context.pages), 1):
            try:
                page.screenshot(path=RESULTS / f"{name}-{number}.png")
            except Error:
                continue

    def leave(self) -> None:
        """Leave every page. Contexts end with their Chromium: closing one now and then never returns."""
        for context in self.contexts:
            for page in context.pages:
                with suppress(Error):
                    page.goto("about:blank")


@pytest.fixture
def browse(site: Site, browser: Browser, yard: Yard, request: pytest.FixtureRequest) -> Iterator[Browsing]:
    """`browse.open("/chargers", "sam@lumen.test", locale="fr-FR")`. At the end: no error in any console, no request that
    failed, no violation of the content security policy, except those that the test named with `browse.watch.expect`.
    (It wants the yard so that it ends before the chargers leave.)"""
    browsing = Browsing(site, browser)
    yield browsing
    report = request.node.stash.get(REPORT, None)
    name = re.sub(r"\W+", "-", request.node.name)
    if report is None or report.failed or browsing.watch.surprises:
        browsing.photograph(name)
    browsing.leave()
    assert browsing.watch.surprises == []


@pytest.fixture
def live_ms() -> int:
    """How long a change may take to show, with a little for a machine that is busy with the tests themselves."""
    return LIVE_MS
