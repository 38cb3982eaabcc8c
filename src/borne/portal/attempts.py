"""The connections that the gateway refused, for whoever operates this installation."""

from __future__ import annotations

from litestar import Response, get

from borne.portal.frame import Page
from borne.portal.language import N_

SHOWN = 1_000

# What a refusal's word means, and what to do about it.
WHY = {
    "path": N_("The address has no charger identity, or a wrong path"),
    "identity": N_("The identity is unknown"),
    "password": N_("The password is wrong"),
    "no_password": N_("No password was sent"),
    "subprotocol": N_("No OCPP version that Borne speaks was offered"),
    "no_subprotocol": N_("No OCPP version was named; it was accepted as 1.6J"),
    "disabled": N_("The charger is disabled"),
    "certificate": N_("Its certificate was not accepted"),
    "origin": N_("It came from a web page"),
    "limit": N_("Too many attempts from there"),
    "busy": N_("Borne was busy: it was told to come back"),
    "not_websocket": N_("It was no WebSocket request"),
}


def why_words(page: Page, reason: str) -> str:
    return page._(WHY[reason]) if reason in WHY else reason


@get("/installation/attempts", may="installation")
async def attempts(page: Page) -> Response[str]:
    rows = list(page.services.attempts.recent())[:SHOWN]
    return page.show("attempts.html", attempts=rows, why=lambda reason: why_words(page, reason), shown=SHOWN)


ROUTES = [attempts]
