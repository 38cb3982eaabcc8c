"""Languages: which one a page speaks, and its catalogue of words.

The source language is English: its catalogue is empty. Others stand as `locale/LANGUAGE/LC_MESSAGES/borne.po` and are compiled
in memory at start, so that no binary is kept beside its source.
"""

from __future__ import annotations

import gettext
import io
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

Language = Literal["en", "fr"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
SOURCE_LANGUAGE: Language = "en"
NAMES: dict[Language, str] = {"en": "English", "fr": "Français"}  # each in its own words
COOKIE = "borne_language"
LOCALE_FOLDER = Path(__file__).parent / "locale"
ASKED_BOUND = 1_000  # characters of Accept-Language that are read


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for "translate this later"
    """Mark a message for extraction where no page is at hand yet."""
    return message


def catalogue_path(language: Language) -> Path:
    return LOCALE_FOLDER / language / "LC_MESSAGES" / "borne.po"


def read_catalogue(language: Language) -> Catalog:
    with catalogue_path(language).open("rb") as file:
        return read_po(file, locale=language)


@cache
def translations(language: Language) -> gettext.NullTranslations:
    """The words of a language. A message without a translation stays English."""
    if language == SOURCE_LANGUAGE:
        return gettext.NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, read_catalogue(language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


@cache
def locale(language: Language) -> Locale:
    """Rules for dates and numbers. English here is the international one: 24 hours, day before month."""
    return Locale.parse("en_GB" if language == "en" else language)


def known(word: str | None) -> Language | None:
    """The language that a word of a cookie, a form or the database names, if the pages speak it."""
    return next((language for language in LANGUAGES if language == word), None)


def choose(person: str | None, cookie: str | None, asked: str) -> Language:
    """The person's own choice, else this browser's, else the best of its Accept-Language, else English."""
    return known(person) or known(cookie) or _best(asked[:ASKED_BOUND]) or SOURCE_LANGUAGE


def _best(asked: str) -> Language | None:
    weighed: list[tuple[float, int, Language]] = []
    for position, part in enumerate(asked.split(",")):
        tag, _, parameters = part.strip().partition(";")
        language = known(tag.strip().split("-")[0].lower())
        weight = _weight(parameters)
        if language is not None and weight > 0:
            weighed.append((-weight, position, language))
    return min(weighed)[2] if weighed else None


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(float(value), 1.0)
    except ValueError:
        return 0.0
