"""Reading forms: every field is text of a bounded length, whatever was sent."""

from __future__ import annotations

from typing import Annotated, Any

from litestar.enums import RequestEncodingType
from litestar.params import Body

from borne.engine.passwords import LONGEST

Form = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)]

EMAIL_BOUND = 254


def _value(form: dict[str, Any], name: str) -> str:
    value = form.get(name, "")
    if isinstance(value, list):
        value = value[0] if value else ""
    if not isinstance(value, str):
        return ""
    return value.replace("\0", "").encode("utf-8", "ignore").decode()  # no NUL, no lone surrogate reaches the database


def text_of(form: dict[str, Any], name: str, bound: int = 200) -> str:
    """A field as one line of text without space at its ends, cut at its bound; "" when it is missing."""
    return " ".join(_value(form, name).split())[:bound]


def number_of(text: str, digits: int = 18) -> int | None:
    """A whole number of at most so many digits, so that it fits the database; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


def values_of(form: dict[str, Any], name: str, bound: int = 10_000) -> list[str]:
    """All values of a field that may be sent several times (ticked boxes)."""
    value = form.get(name, [])
    found = value if isinstance(value, list) else [value]
    return [one for one in found if isinstance(one, str)][:bound]


def password_of(form: dict[str, Any], name: str = "password") -> str:
    """A password exactly as typed; one character more than allowed is enough to refuse it."""
    return _value(form, name)[: LONGEST + 1]


def email_of(form: dict[str, Any], name: str = "email") -> str:
    """An address as accounts are known by: casefolded."""
    return text_of(form, name, EMAIL_BOUND).casefold()


def is_email(text: str) -> bool:
    """Whether a mail could be sent there. Only a mail shows more."""
    name, at, domain = text.rpartition("@")
    return bool(at and name and " " not in text and "." in domain.strip(".") and not {"<", ">", ",", ";"} & set(text))
