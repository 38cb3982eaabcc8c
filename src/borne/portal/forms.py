"""Reading forms: every field is text of a bounded length, whatever was sent."""

from __future__ import annotations

import re
from typing import Annotated, Any

from litestar.enums import RequestEncodingType
from litestar.params import Body

from borne.engine.passwords import LONGEST

Form = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)]

EMAIL_BOUND = 254
# Nobody sees them, and they make a name look like another, or turn the rest of a line (and of a mail) around. What joins the
# letters of some scripts, and emoji, stays (U+200C, U+200D).
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)


def _value(form: dict[str, Any], name: str) -> str:
    value = form.get(name, "")
    if isinstance(value, list):
        value = value[0] if value else ""
    if not isinstance(value, str):
        return ""
    return value.replace("\0", "").encode("utf-8", "ignore").decode()  # no NUL, no lone surrogate reaches the database


def seen(text: str) -> str:
    """The text without characters that nobody sees; "" where nothing else is in it."""
    kept = _UNSEEN.sub("", text)
    return kept if kept.strip(" \t\r\n\u200c\u200d") else ""


def text_of(form: dict[str, Any], name: str, bound: int = 200) -> str:
    """A field as one line of text without space at its ends, cut at its bound; "" when it is missing."""
    return " ".join(seen(_value(form, name)).split())[:bound]


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
