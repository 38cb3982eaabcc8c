"""A person at the portal, as far as speed is concerned: logs in, fetches pages, presses OKAY. HTTP over loopback."""

import http.client
import re
import time
from urllib.parse import urlencode, urlsplit

from bench.stage import Running

CSRF_FIELD = re.compile(r'name="_csrf_token"[^>]*value="([^"]+)"|value="([^"]+)"[^>]*name="_csrf_token"')
CHARGER_LINK = re.compile(r'href="/chargers/(\d+)"')


class PortalError(Exception):
    """The portal answered something else than a person would expect."""


class Browser:
    """One connection that is kept, one set of cookies."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self.connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=60)
        self.cookies: dict[str, str] = {}
        self.token = ""

    @classmethod
    def of(cls, running: Running) -> "Browser":
        """A browser in which the administrator of a running server is logged in."""
        if running.portal_url is None or running.login is None:
            raise PortalError(f"{running.name} has no portal")
        browser = cls(running.portal_url)
        browser.log_in(*running.login)
        return browser

    def request(self, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, str]:
        """Send a request, keep its cookies; gives the status and the text. Redirects are not followed."""
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        text = response.read().decode()
        for cookie in response.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return response.status, text

    def get(self, path: str, fragment_of: str | None = None) -> str:
        """Fetch a page, or the part of it that htmx would ask for. Raises PortalError unless the status is 200."""
        headers = {"Accept": "text/html"}
        if fragment_of is not None:
            headers |= {"HX-Request": "true", "HX-Target": fragment_of}
        status, text = self.request("GET", path, None, **headers)
        if status != 200:
            raise PortalError(f"GET {path}: {status}")
        if found := CSRF_FIELD.search(text):
            self.token = found[1] or found[2]
        return text

    def post(self, path: str, **fields: str) -> tuple[int, str]:
        """Send a form with the token of the last page."""
        body = urlencode({"_csrf_token": self.token, **fields})
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
        return self.request("POST", path, body, **headers)

    def log_in(self, email: str, password: str) -> None:
        """Fill in the form of the log-in page."""
        self.get("/login")
        status, text = self.post("/login", email=email, password=password)
        if status not in (302, 303):
            raise PortalError(f"no log-in: {status} {text[:300]}")

    def charger_ids(self, count: int) -> list[str]:
        """The ids of the first chargers of the list, as its links name them."""
        found: dict[str, None] = {}
        page = 1
        while len(found) < count:
            before = len(found)
            found.update(dict.fromkeys(CHARGER_LINK.findall(self.get(f"/chargers?page={page}"))))
            if len(found) == before:
                break
            page += 1
        return list(found)[:count]

    def restart(self, charger_id: str) -> int:
        """Open the modal of a charger and press OKAY; gives the monotonic instant of the click in nanoseconds."""
        self.get(f"/chargers/{charger_id}/restart", fragment_of="modal")
        at_ns = time.monotonic_ns()
        status, text = self.post(f"/chargers/{charger_id}/restart", when="now")
        if status >= 400:
            raise PortalError(f"restart of {charger_id}: {status} {text[:300]}")
        return at_ns
