"""A session from its start to its page: live in the list, live on its page, filtered, kept as a view, taken home as a file."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from borne.sim.behaviour import Habits
from tests.browser.conftest import Browsing
from tests.support.browser import PHONE, overflows
from tests.support.server import Credentials, Yard, wait_until

FAST = Habits(first_after_s=1e9, meter_every_s=0.4, power_w=700_000, offered_w=720_000)
PRICE = (
    "INSERT INTO energy_prices (organisation_id, location_id, from_ms, tariff, feed_in_micros, currency, person_name, created_ms)"
    " SELECT organisation_id, id, 0, '{\"type\":\"fixed\",\"micros\":250300}', 0, 'EUR', 'Boss', 0 FROM locations"
    " WHERE organisation_id = (SELECT id FROM organisations WHERE name = ?)"
)
MEASURED = "SELECT energy_wh > 0 FROM sessions WHERE charger_id = ?"
# Whether a canvas shows the colour of an element.
SHOWS = """([canvas, node]) => {
  const dot = new OffscreenCanvas(1, 1).getContext("2d");
  dot.fillStyle = getComputedStyle(node).color; dot.fillRect(0, 0, 1, 1);
  const [red, green, blue] = dot.getImageData(0, 0, 1, 1).data;
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let n = 0; n < data.length; n += 4)
    if (data[n + 3] === 255
      && Math.abs(data[n] - red) + Math.abs(data[n + 1] - green) + Math.abs(data[n + 2] - blue) < 12) found += 1;
  return found; }"""


def shows(page: Page, key: str) -> int:
    """How many dots of the chart have the colour of one of its lines."""
    plot = page.locator(".plot")
    nodes = [plot.locator("canvas").element_handle(), plot.locator(f".plot-{key} i").element_handle()]
    return int(page.evaluate(SHOWS, nodes))


def test_a_session_is_followed_from_the_list_to_its_end(
    yard: Yard,
    browse: Browsing,
    new_organisation: Callable[..., str],
    add: Callable[..., Credentials],
) -> None:
    """At a desk in English, and on a phone in French."""
    name = new_organisation("business", "East")
    yard.site.sql(PRICE, name)
    charger = yard.connect(add("Quay", name, location="East", model="copper"), habits=FAST)
    charger.begin_session()
    page = browse.open("/sessions", f"boss@{name}.test")
    row = page.locator("table.sessions tbody tr")
    expect(row).to_contain_text("Runs")
    expect(row.locator("[data-tick-ms]")).to_have_text(re.compile(r"^\d+:\d\d:\d\d$"))

    page.locator("#session-kind").select_option("running")
    page.wait_for_url("**/sessions?**kind=running**")
    page.locator(".tools summary", has_text="Views").click()
    page.get_by_label("Save this filter as").fill("Now")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/sessions?kind=running")
    page.locator(".tools summary", has_text="Views").click()
    expect(page.get_by_role("link", name="Now", exact=True)).to_have_attribute("aria-current", "true")
    page.get_by_role("button", name="Delete “Now”").click()
    page.wait_for_url("**/sessions")

    for file in ("CSV to compute with", "PDF to read"):
        page.locator(".tools summary", has_text="Export").click()
        with page.expect_download() as taken:
            page.get_by_role("link", name=file).click()
        content = taken.value.path().read_bytes()
        assert content.startswith(b"%PDF") if "PDF" in file else charger.name.encode() in content
        expect(page.locator(".export.good")).to_contain_text("is whole: one session.")
        page.locator(".export [data-dismiss]").click()
    second = yard.connect(add("Dock", name, location="East", model="copper"), habits=FAST)
    second.begin_session()
    expect(row.first).to_contain_text("Dock")  # live, on top
    second.end_session()

    wait_until(lambda: yard.site.sql(MEASURED, charger.id) == [(1,)], "energy", timeout_s=30)
    phone = browse.open("/sessions", f"boss@{name}.test", viewport=PHONE, locale="fr-FR")
    phone.locator("table.sessions tr", has_text="Quay").locator(".when a").click()
    state, plot = phone.locator(".session-figures .st"), phone.locator(".plot")
    expect(state).to_have_text("En cours")
    assert all(shows(phone, key) > 40 for key in ("power", "energy", "limit"))
    expect(phone.locator(".curve-drawn")).to_be_hidden()
    plot.focus()
    phone.keyboard.press("End")
    expect(plot.locator(".plot-limit")).to_contain_text("Limite 720\u00a0kW")
    assert "Limite 720 kW" in (plot.get_attribute("aria-valuetext") or "")
    known = int(plot.get_attribute("aria-valuemax") or 0)
    phone.locator("#saved-at-once summary").click()
    expect(phone.locator("#saved-at-once")).to_contain_text("La comparaison se fait quand la session est terminée.")
    charger.end_session()
    expect(state).to_have_text("Terminée")  # live
    expect(page.locator("table.sessions tbody tr", has_text="Quay")).to_contain_text("Ended")
    expect(plot).not_to_have_attribute("aria-valuemax", str(known))  # what came since is drawn
    expect(phone.locator("#saved-at-once .moved tbody tr").first).to_be_visible()  # open as before
    phone.locator("#saved-inputs summary").click()
    expect(phone.locator("#saved-inputs")).to_contain_text("Ember, 2024")
    expect(phone.get_by_role("heading", name="Ce qui s’est passé")).to_be_visible()
    phone.locator(".curve summary").click()
    expect(phone.locator(".curve table tbody tr").first).to_be_visible()
    assert overflows(phone) == 0
    for path in ("/sessions", phone.url):
        page.goto(path)
        assert overflows(page) == 0, path

    plain = browse.open(phone.url, f"boss@{name}.test", java_script_enabled=False)
    expect(plain.locator(".curve-drawn")).to_be_visible()
    expect(plain.locator(".plot")).to_be_hidden()
