"""Errors as programs read them: application/problem+json (RFC 9457). What is out of reach is not there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec

from borne.store.db import BadValue, StoreError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
DETAILS = {
    400: "The request does not make sense.",
    401: "Sign in with an API token, or with an e-mail address and an app password.",
    404: "There is nothing here, or nothing that this token reaches.",
    405: "This cannot be done here.",
    413: "That is too large.",
    500: "Borne made a mistake. It has been written to its log.",
    503: "Borne cannot do that right now. Try again in a moment.",
}
AnyRequest = Request[Any, Any, Any]


class Problem(msgspec.Struct, frozen=True):
    """What every error says; some say more."""

    type: str
    title: str
    status: int
    detail: str


def responses(*more: int) -> dict[int, ResponseSpec]:
    """The errors of a route, for the description of the API. Those of signing in are part of each."""
    texts = {400: "It makes no sense", 401: "Not signed in", 403: "Not allowed", 404: "Not there, or out of reach",
             409: "Not now", 422: "Cannot be done", 429: "Too many failures"}  # fmt: skip
    return {
        status: ResponseSpec(Problem, media_type=MEDIA_TYPE, description=texts[status], generate_examples=False)
        for status in sorted({400, 401, 403, 429, *more})
    }


class ProblemError(Exception):
    """An error with words of its own. `more`: members beside those that every problem has."""

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more


def answer(status: int, detail: str = "", headers: Mapping[str, str] | None = None, **more: Any) -> Response[bytes]:
    detail = detail or DETAILS.get(status, "")
    told = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return Response(msgspec.json.encode(told), status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def on_problem(_request: AnyRequest, error: ProblemError) -> Response[bytes]:
    return answer(error.status, error.detail, error.headers, **error.more)


def on_http(_request: AnyRequest, error: HTTPException) -> Response[bytes]:
    if error.status_code >= 500:
        return answer(500)
    extra = error.extra if error.status_code == 400 and isinstance(error.extra, list) else []
    faults = [{"at": one.get("key", ""), "fault": one.get("message", "")} for one in extra if isinstance(one, dict)]
    headers = {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"}
    detail = error.detail if isinstance(error, ValidationException) else ""
    return answer(error.status_code, detail, headers, **({"errors": faults} if faults else {}))


def on_impossible_value(_request: AnyRequest, _error: BadValue) -> Response[bytes]:
    """An id of 30 digits: there is nothing of that name."""
    return answer(404)


def on_nested(_request: AnyRequest, _error: RecursionError) -> Response[bytes]:
    """A body of brackets in brackets."""
    return answer(400)


def on_store(request: AnyRequest, error: StoreError) -> Response[bytes]:
    log.error("the API could not answer %s: %s", _route_of(request), error)
    return answer(503, headers={"retry-after": "5"})


def on_any(request: AnyRequest, error: Exception) -> Response[bytes]:
    log.error("the API failed: %s", _route_of(request), exc_info=error)
    return answer(500)


def _route_of(request: AnyRequest) -> str:
    return f"{request.method} {request.scope.get('path_template') or 'an unknown address'}"


HANDLERS: dict[int | type[Exception], Callable[[Any, Any], Response[Any]]] = {
    HTTPException: on_http,
    ProblemError: on_problem,
    BadValue: on_impossible_value,
    RecursionError: on_nested,
    StoreError: on_store,
    500: on_any,
}
