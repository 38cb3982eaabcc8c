"""What a page says when something is wrong: in the frame, in the visitor's language, with what to do next."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from litestar import Response
from litestar.enums import MediaType
from litestar.exceptions import HTTPException, InternalServerException

from borne.engine.passwords import TooBusyError
from borne.engine.plans import NoRoomError
from borne.portal.access import (
    ConfirmationNeededError,
    LoginNeededError,
    OwnLoginNeededError,
    PlanNeededError,
    SecondFactorNeededError,
    SetupNeededError,
)
from borne.portal.frame import AnyRequest, PageView, toast_event
from borne.portal.language import N_
from borne.portal.plan_words import needed_of, needed_text, no_room_text
from borne.store.db import BadValue

log = logging.getLogger(__name__)

# status: (title, what happened and what to do)
WORDS = {
    400: (N_("That request does not make sense"), N_("The address or the form is incomplete. Go back and try again.")),
    403: (
        N_("This form is no longer valid"),
        N_("Nothing was changed. Open the page again and repeat what you did; your browser must accept cookies."),
    ),
    404: (
        N_("There is nothing here"),
        N_("The address is wrong, what it showed is gone, or your account does not reach it."),
    ),
    405: (N_("That cannot be done here"), N_("Nothing was changed. Go back and try again from the page itself.")),
    413: (N_("That is too large"), N_("Nothing was kept. Send less at once.")),
    429: (N_("Too many attempts"), N_("Nothing was changed. Wait a few minutes, then try again.")),
    500: (
        N_("Borne made a mistake"),
        N_("It has been written to the log. Try again; if it stays, tell your operator."),
    ),
    503: (
        N_("Borne cannot do that right now"),
        N_("Nothing was changed. It is busy or its storage is not writable. Try again in a moment."),
    ),
}


class PageError(Exception):
    """An error with words of its own, shown as an error page or as a toast."""

    def __init__(self, status_code: int, text: str, retry_after_s: int | None = None) -> None:
        super().__init__(text)
        self.status_code = status_code
        self.text = text
        self.retry_after_s = retry_after_s


def _answer(request: AnyRequest, status_code: int, text: str | None = None) -> Response[str]:
    page = PageView(request)
    known = status_code if status_code in WORDS else (500 if status_code >= 500 else 400)
    title, explanation = (page._(words) for words in WORDS[known])
    text = text or explanation
    if page.is_part:
        response = Response(text, media_type=MediaType.TEXT, status_code=status_code)
        response.headers["hx-reswap"] = "none"
        response.headers["hx-trigger"] = toast_event(f"{title}. {text}" if text == explanation else text, "bad")
        return response
    try:
        return page.show("error.html", status_code, title=title, text=text, number=status_code)
    except Exception:
        log.exception("the error page itself failed")
        return Response(f"{title}. {text}", media_type=MediaType.TEXT, status_code=status_code)


def on_http(request: AnyRequest, error: HTTPException) -> Response[str]:
    response = _answer(request, error.status_code)
    for name, value in (error.headers or {}).items():
        if name.lower() == "allow":
            response.headers["allow"] = value
    return response


def on_page_error(request: AnyRequest, error: PageError) -> Response[str]:
    response = _answer(request, error.status_code, error.text)
    if error.retry_after_s is not None:
        response.headers["retry-after"] = str(error.retry_after_s)
    return response


def on_busy(request: AnyRequest, _error: TooBusyError) -> Response[str]:
    response = _answer(request, 503)
    response.headers["retry-after"] = "5"
    return response


def on_impossible_value(request: AnyRequest, error: BadValue) -> Response[str]:
    """A number or a text that no row can have (an id of 30 digits): there is nothing of that name."""
    log.info("%s of %s: %s", request.method, route_of(request), error)
    return _answer(request, 404)


def on_any(request: AnyRequest, error: Exception) -> Response[str]:
    if (
        isinstance(error, InternalServerException) and "disconnected" in error.detail
    ):  # within its body: nobody hears this
        log.info("%s %s: the browser went away", request.method, route_of(request))
        return _answer(request, 400)
    log.error("a page failed: %s %s", request.method, route_of(request), exc_info=error)
    return _answer(request, 503 if PageView(request).services.storage_failing() else 500)


def route_of(request: AnyRequest) -> str:
    """The pattern of the address, for logs: the address itself may hold a secret (the link that resets a password)."""
    return str(request.scope.get("path_template") or "an unknown address")


def on_login_needed(request: AnyRequest, _error: LoginNeededError) -> Response[str]:
    """A page leads to the login and back; a fragment tells htmx to go there; anything else is refused."""
    page = PageView(request)
    here = page._here()
    target = f"/login?next={quote(here, safe='/')}" if here != "/" else "/login"
    if page.is_part:
        return Response("", media_type=MediaType.TEXT, status_code=401, headers={"hx-redirect": "/login"})
    if request.method not in {"GET", "HEAD"} or "text/event-stream" in request.headers.get("accept", ""):
        return _answer(request, 401, page._("Log in first."))
    return page.go(target)


def on_plan_needed(request: AnyRequest, error: PlanNeededError) -> Response[str]:
    """The plan lacks what the page is for: which one has it, and who can change it."""
    page = PageView(request)
    found = needed_of(page, error.feature, error.ask)
    if page.is_part:
        return _answer(request, 403, needed_text(page, found))
    return page.show("plan/needed.html", 403, needed=found)


def on_no_room(request: AnyRequest, error: NoRoomError) -> Response[str]:
    """The plan has no room for more people or locations: nothing was added."""
    page = PageView(request)
    text = no_room_text(page, error)
    if page.is_part:
        return _answer(request, 409, text)
    return page.show("error.html", 409, title=page._("No room for more"), text=text, number=409)


def on_second_factor_needed(request: AnyRequest, _error: SecondFactorNeededError) -> Response[str]:
    """The organisation wants more than a password: to the page that asks for it, or helps to set one up."""
    page = PageView(request)
    if page.is_part:
        return Response(
            "", media_type=MediaType.TEXT, status_code=403, headers={"hx-redirect": "/account/second-factor"}
        )
    if request.method not in {"GET", "HEAD"} or "text/event-stream" in request.headers.get("accept", ""):
        return _answer(request, 403, page._("Your organisation asks for a second factor. Nothing was changed."))
    return page.go(f"/account/second-factor?next={quote(page._here(), safe='/')}")


def on_own_login_needed(request: AnyRequest, _error: OwnLoginNeededError) -> Response[str]:
    """What is the person's own asks for the person's own login."""
    page = PageView(request)
    if page.is_part:
        return _answer(
            request, 403, page._("Your account is your own: log in with your password or a passkey to see it.")
        )
    return page.show("own_login.html", 403)


def on_confirmation_needed(request: AnyRequest, error: ConfirmationNeededError) -> Response[str]:
    """What follows is for whoever has just shown who they are."""
    return PageView(request).go(f"/account/confirm?next={quote(error.onward, safe='/')}")


def on_setup_needed(request: AnyRequest, _error: SetupNeededError) -> Response[str]:
    return PageView(request).go("/setup")


HANDLERS: dict[int | type[Exception], Callable[[Any, Any], Response[Any]]] = {
    HTTPException: on_http,
    PageError: on_page_error,
    TooBusyError: on_busy,
    BadValue: on_impossible_value,
    LoginNeededError: on_login_needed,
    PlanNeededError: on_plan_needed,
    NoRoomError: on_no_room,
    SecondFactorNeededError: on_second_factor_needed,
    OwnLoginNeededError: on_own_login_needed,
    ConfirmationNeededError: on_confirmation_needed,
    SetupNeededError: on_setup_needed,
    500: on_any,
}
