"""Names of people as pages show them: in the place of one that was erased stands a word of the page's language."""

from __future__ import annotations

from borne.core.actor import ERASED
from borne.portal.language import N_, Language, translations

_ERASED_WORD = N_("erased person")


def shown_name(name: str, language: Language) -> str:
    """The name, or the word for one that was erased."""
    return translations(language).gettext(_ERASED_WORD) if name == ERASED else name
