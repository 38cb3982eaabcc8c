"""Instants, durations and numbers in words."""

import pytest

from borne.portal.formats import Formats, iso
from borne.portal.language import Language

NOW_MS = 1_780_000_000_000  # 2026-05-28 20:26:40 UTC


def formats(language: Language) -> Formats:
    return Formats(language, lambda: NOW_MS)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ")


@pytest.mark.parametrize(
    ("duration_ms", "english", "french"),
    [
        (None, "–", "–"),
        (0, "0 s", "0 s"),
        (310, "0.31 s", "0,31 s"),
        (4, "0.01 s", "0,01 s"),
        (2_500, "2.5 s", "2,5 s"),
        (3_000, "3 s", "3 s"),
        (92_000, "1 min 32 s", "1 min 32 s"),
        (60_000, "1 min", "1 min"),
        (7_500_000, "2 h 5 min", "2 h 5 min"),
        (172_804_000, "2 d", "2 j"),
    ],
)
def test_durations(duration_ms: int | None, english: str, french: str) -> None:
    assert plain(formats("en").duration(duration_ms)) == english
    assert plain(formats("fr").duration(duration_ms)) == french


@pytest.mark.parametrize(
    ("since_ms", "english", "french"),
    [
        (0, "now", "maintenant"),
        (4_000, "now", "maintenant"),
        (12_000, "12 s ago", "il y a 12 s"),
        (3 * 60_000 + 20_000, "3 min ago", "il y a 3 min"),
        (-90_000, "in 1 min", "dans 1 min"),
    ],
)
def test_fresh_instants_are_relative(since_ms: int, english: str, french: str) -> None:
    assert plain(formats("en").ago(NOW_MS - since_ms)) == english
    assert plain(formats("fr").ago(NOW_MS - since_ms)) == french


def test_old_instants_are_dates_and_all_say_exactly_when_on_hover() -> None:
    old = plain(formats("fr").when(NOW_MS - 10 * 86_400_000))
    assert ">18 mai, 20:26</time>" in old
    assert 'datetime="2026-05-18T20:26:40.000Z"' in old
    assert 'title="18 mai 2026' in old
    assert ">18 May, 20:26</time>" in formats("en").when(NOW_MS - 10 * 86_400_000)
    assert "28 May 2026" in formats("en").at(NOW_MS)
    assert ">20:26:40</time>" in formats("en").clock(NOW_MS)
    assert formats("en").when(None) == "–"


def test_numbers_follow_the_language() -> None:
    assert formats("en").number(12_345) == "12,345"
    assert plain(formats("fr").number(12_345)) == "12 345"
    assert formats("fr").number(7.25, 1) == "7,2"
    assert formats("en").number(None) == "–"


def test_machines_read_iso() -> None:
    assert iso(NOW_MS + 7) == "2026-05-28T20:26:40.007Z"
