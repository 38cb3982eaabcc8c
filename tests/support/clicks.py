"""A person without a browser: logs in to a running site over HTTP and confirms restarts."""

from __future__ import annotations

import re

import httpx

from tests.support.server import PASSWORD, Site

_INPUT = re.compile(r"<input\b[^>]*>")
_ATTRIBUTE = re.compile(r'(\w[\w-]*)="([^"]*)"')


def log_in(site: Site, email: str) -> httpx.Client:
    """A client with this person's login."""
    client = httpx.Client(base_url=site.url, follow_redirects=True, timeout=20)
    form = {**fields(client.get("/login").text), "email": email, "password": PASSWORD}
    answer = client.post("/login", data=form)
    assert answer.status_code == 200, answer.text
    assert "/login" not in str(answer.url), "the log-in was refused"
    return client


def restart(client: httpx.Client, charger_id: int, **more: str) -> httpx.Response:
    """Open the modal, choose what `more` says, press OKAY."""
    modal = client.get(f"/chargers/{charger_id}/restart", headers={"HX-Request": "true"})
    assert modal.status_code == 200, modal.text
    form = {**fields(modal.text), "when": "now", **more}
    return client.post(f"/chargers/{charger_id}/restart", data=form, headers={"HX-Request": "true"})


def fields(html: str) -> dict[str, str]:
    """Hidden inputs of a page's forms."""
    found = {}
    for tag in _INPUT.findall(html):
        attributes = dict(_ATTRIBUTE.findall(tag))
        if attributes.get("type") == "hidden" and "name" in attributes:
            found[attributes["name"]] = attributes.get("value", "")
    return found
