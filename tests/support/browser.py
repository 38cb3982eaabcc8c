"""Looking at pages in a real browser: what went wrong in them, what they look like, who opened them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request

from tests.support.server import PASSWORD, Site, wait_until

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 860}
TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`content security: ${event.violatedDirective} ${event.blockedURI}`));
"""


@dataclass
class Watch:
    """Everything that went wrong in a browser's pages. `expected` are regular expressions of what a test provokes."""

    problems: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def follow(self, context: BrowserContext) -> None:
        """Listen to every page of a context, from its beginning."""
        context.add_init_script(TELL_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.problems.append(f"error: {error.error}"))
        context.on("requestfailed", self._failed)

    def expect(self, *patterns: str) -> None:
        self.expected.extend(patterns)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            where = message.location.get("url", "")
            self.problems.append(f"console {message.type}: {message.text} ({where})")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # leaving a page ends what it was loading
            self.problems.append(f"request failed: {request.method} {request.url}: {request.failure}")

    @property
    def surprises(self) -> list[str]:
        return [one for one in self.problems if not any(re.search(pattern, one) for pattern in self.expected)]


def log_in(page: Page, base_url: str, email: str, password: str = PASSWORD) -> None:
    """Log in as a person does."""
    page.goto(f"{base_url}/login")
    page.locator("#email").fill(email)
    page.locator("#password").fill(password)
    page.locator("form:has(#password) button[type=submit]").click()


def storage_of(site: Site, browser: Any, email: str) -> Any:
    """What a browser keeps once this person has logged in; the same for every test that does not log out."""
    if email not in site.logins:
        context = browser.new_context(locale="en-GB")
        page = context.new_page()
        log_in(page, site.url, email)
        page.wait_for_url(lambda url: "/login" not in url)
        state = context.storage_state()
        state["cookies"] = [one for one in state["cookies"] if "login" in one["name"]]
        site.logins[email] = state
        context.close()
    return site.logins[email]


# ---- colours -----------------------------------------------------------------------------------------------------

# The colour of an element's text, and the one that lies behind it, drawn on a canvas so that every notation is understood.
_COLOURS = """(element) => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (text) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const layers = [];
  for (let node = element; node; node = node.parentElement) {
    const colour = getComputedStyle(node).backgroundColor;
    layers.unshift(colour);
  }
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = "#fff";
  canvas.fillRect(0, 0, 1, 1);
  for (const layer of layers) { canvas.fillStyle = layer; canvas.fillRect(0, 0, 1, 1); }
  const behind = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  return [rgba(getComputedStyle(element).color).slice(0, 3), behind];
}"""


def contrast(element: Locator) -> float:
    """The contrast of an element's text with what lies behind it (WCAG 2: 4.5 is AA for body text)."""
    front, behind = element.evaluate(_COLOURS)
    bright, dark = sorted((_luminance(front), _luminance(behind)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(rgb: list[int]) -> float:
    parts = [one / 255 for one in rgb]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def hue(element: Locator, style: str = "color") -> str:
    """`green`, `grey` or another word for the computed colour of an element."""
    red, green, blue = element.evaluate(
        """(element, style) => { const canvas = new OffscreenCanvas(1, 1).getContext("2d");
          canvas.fillStyle = getComputedStyle(element)[style]; canvas.fillRect(0, 0, 1, 1);
          return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3); }""",
        style,
    )
    if max(red, green, blue) - min(red, green, blue) <= 24:
        return "grey"
    return {red: "red", green: "green", blue: "blue"}[max(red, green, blue)]


def has_hue(element: Locator, word: str) -> None:
    """Wait for a colour: a live change swaps words and classes one after the other."""
    wait_until(lambda: hue(element) == word, f"{word}, not {hue(element)}", timeout_s=3)


def overflows(page: Page) -> float:
    """By how many pixels a page is wider than its window."""
    page.wait_for_load_state()
    return float(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


# ---- the pages of Borne ------------------------------------------------------------------------------------------


def icon_of(page: Page, charger_name: str, language: str = "en") -> Locator:
    """The restart icon of a charger, on its page or in its row."""
    word = "Restart" if language == "en" else "Redémarrer"
    return page.get_by_role("button", name=f"{word} {charger_name}", exact=True)


def tip_of(page: Page, charger_id: int) -> Locator:
    """The tooltip of a restart icon; it stands in the page even where it is not shown."""
    return page.locator(f"#restart-tip-{charger_id}")


def modal_of(page: Page) -> Locator:
    return page.get_by_role("dialog")


def ask(page: Page, charger_name: str) -> Locator:
    """Click the green icon; the modal that opens."""
    icon_of(page, charger_name).click()
    modal = modal_of(page)
    modal.wait_for()
    return modal


def row_of(page: Page, charger_name: str) -> Locator:
    """The row of a charger in a list."""
    return page.locator("tr").filter(has=page.get_by_role("link", name=charger_name, exact=True))


def send(page: Page, path: str, **fields: str) -> int:
    """POST a form as a page's own script could, with the token of the page; the status of the answer."""
    return int(
        page.evaluate(
            """async ([path, fields]) => {
              const token = JSON.parse(document.body.getAttribute("hx-headers:inherited"))["x-csrftoken"];
              const answer = await fetch(path, { method: "POST", body: new URLSearchParams({ _csrf_token: token, ...fields }) });
              return answer.status; }""",
            [path, fields],
        )
    )
