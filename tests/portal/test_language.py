"""Languages: which one is spoken, and that every word exists in each."""

import re
import string
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg

from borne.portal import language
from borne.portal.frame import TEMPLATE_FOLDER
from borne.portal.language import choose, read_catalogue, translations

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "borne"
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2)}


@pytest.fixture(scope="module")
def wanted() -> list[str | tuple[str, ...]]:
    """Every message of the source, as extraction finds it."""
    methods, options = parse_mapping_cfg((ROOT / "babel.cfg").open())
    found = extract_from_dir(str(SOURCE), methods, options, KEYWORDS)
    return [message for _, _, message, _, _ in found]


@pytest.fixture(scope="module")
def french() -> Catalog:
    return read_catalogue("fr")


def is_complete(message: Message | None) -> bool:
    if message is None or "fuzzy" in message.flags:
        return False
    strings = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
    return all(strings)


def test_every_message_is_in_french(wanted: list[str | tuple[str, ...]], french: Catalog) -> None:
    assert len(wanted) > 100
    missing = [key for key in wanted if not is_complete(french.get(key[0] if isinstance(key, tuple) else key))]
    assert missing == []


def test_translations_keep_the_placeholders_of_their_message(french: Catalog) -> None:
    pattern = re.compile(r"%\(\w+\)[sd]")
    for message in french:
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        strings = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
        if not message.id:
            continue
        known = {name for one in ids for name in pattern.findall(one)}
        for text in strings:
            assert set(pattern.findall(text)) <= known, text
        assert set(pattern.findall(strings[-1])) == set(pattern.findall(ids[-1])), message.id


def test_plurals_follow_french_rules() -> None:
    one, many = "median of the last %(n)s success here", "median of the last %(n)s successes here"
    spoken = [translations("fr").ngettext(one, many, n) for n in (0, 1, 2)]
    assert spoken[0] == spoken[1] != spoken[2]


@pytest.mark.parametrize(
    ("person", "cookie", "asked", "spoken"),
    [
        (None, None, "", "en"),
        (None, None, "fr-FR,fr;q=0.9,en;q=0.8", "fr"),
        (None, None, "de, en;q=0.3, fr;q=0.7", "fr"),
        (None, None, "de-DE", "en"),
        (None, None, "fr;q=0", "en"),
        (None, None, "fr;q=banana, *", "en"),
        (None, "fr", "en", "fr"),
        ("en", "fr", "fr", "en"),
        ("xx", "../../etc", "fr", "fr"),
        (None, None, "x," * 100_000 + "fr", "en"),
    ],
)
def test_who_decides_the_language(person: str | None, cookie: str | None, asked: str, spoken: str) -> None:
    assert choose(person, cookie, asked) == spoken


# ---- no bare words in templates

BARE = {"Borne", "OCPP", "EN", "FR"}
SPOKEN_ATTRIBUTES = {"title", "aria-label", "placeholder", "alt", "data-tip", "data-copied"}


class Words(HTMLParser):
    """Collects the text that a template shows without asking for its translation."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in {"script", "style", "code"}
        self.found += [value or "" for name, value in attrs if name in SPOKEN_ATTRIBUTES]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in {"script", "style", "code"}

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(data)


def bare_words(template: str) -> list[str]:
    text = re.sub(r"\{#.*?#\}", "", template, flags=re.DOTALL)
    text = re.sub(r"\{%-?\s*trans\b.*?endtrans\s*-?%\}", "", text, flags=re.DOTALL)
    text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", text, flags=re.DOTALL)
    reader = Words()
    reader.feed(text)
    words = {word.strip(string.punctuation + "·–—…") for found in reader.found for word in found.split()}
    return sorted(word for word in words if re.search(r"[^\W\d_]{2}", word) and word not in BARE)


def test_the_search_for_bare_words_finds_them() -> None:
    assert bare_words('<p>Hello {{ name }}</p><a title="There">{{ _("Go") }}</a>') == ["Hello", "There"]
    assert bare_words("{% trans %}Hello{% endtrans %}{# note #}") == []


@pytest.mark.parametrize("path", sorted(TEMPLATE_FOLDER.rglob("*.html")), ids=lambda path: path.name)
def test_no_template_speaks_one_language_only(path: Path) -> None:
    assert bare_words(path.read_text(encoding="utf-8")) == []


def test_a_message_without_translation_stays_english() -> None:
    assert language.translations("fr").gettext("never translated") == "never translated"
