"""What a charger is answered: every cause that decides, each alone."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from borne.core.tags import INVALID, Owner, Tag, TagAnswer, answer, state

NOW_MS = 1_000
DRIVER = Owner(role="user", assigned=True)


def said(tag: Tag | None, *, accepts_unknown: bool = False) -> TagAnswer:
    return answer(tag, accepts_unknown=accepts_unknown, now_ms=NOW_MS)


def test_unknown_tags_by_the_location() -> None:
    assert said(None) == INVALID
    assert said(None, accepts_unknown=True) == TagAnswer("accepted")


def test_a_tag_without_an_owner_charges_anywhere() -> None:
    assert said(Tag(expires_ms=2_000, group="G")) == TagAnswer("accepted", "G", 2_000)


@pytest.mark.parametrize("owner", [None, DRIVER])
@pytest.mark.parametrize("accepts_unknown", [False, True])
def test_blocked_and_expired_come_first(owner: Owner | None, accepts_unknown: bool) -> None:
    tag = Tag(owner=owner, group="G")
    for changes, word in (({"blocked": True, "expires_ms": 1}, "blocked"), ({"expires_ms": NOW_MS}, "expired")):
        assert said(replace(tag, **changes), accepts_unknown=accepts_unknown) == TagAnswer(word, "G")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "accepted"),
        ({"assigned": False}, "not_here"),
        ({"assigned": False, "runs": True}, "not_here"),  # a user runs no location
        ({"role": "admin", "runs": True}, "accepted"),
        ({"role": "operator", "runs": True, "assigned": False}, "accepted"),
        ({"role": "operator", "runs": False}, "not_here"),
        ({"role": "super-admin", "assigned": False}, "accepted"),
        ({"role": None}, "invalid"),
        ({"disabled": True}, "invalid"),
        ({"role": "super-admin", "disabled": True}, "invalid"),
        ({"until_ms": NOW_MS}, "invalid"),
        ({"until_ms": NOW_MS + 1}, "accepted"),
    ],
)
def test_the_owner_decides(changes: dict[str, Any], word: str) -> None:
    for accepts_unknown in (False, True):  # a tag that is known is never an unknown one
        assert said(Tag(owner=replace(DRIVER, **changes)), accepts_unknown=accepts_unknown).status == word


def test_a_charger_forgets_it_when_tag_or_membership_end() -> None:
    assert said(Tag(expires_ms=5_000, owner=replace(DRIVER, until_ms=4_000))).until_ms == 4_000
    assert said(Tag(expires_ms=3_000, owner=replace(DRIVER, until_ms=4_000))).until_ms == 3_000
    assert said(Tag(owner=DRIVER)).until_ms is None


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "accepted"),
        ({"person_id": None}, "unassigned"),
        ({"expires_ms": NOW_MS, "person_id": None}, "expired"),
        ({"expires_ms": NOW_MS + 1}, "accepted"),
        ({"blocked": True, "expires_ms": 1}, "blocked"),
    ],
)
def test_the_word_in_a_list(changes: dict[str, Any], word: str) -> None:
    known: dict[str, Any] = {"blocked": False, "expires_ms": None, "person_id": 3, "now_ms": NOW_MS}
    assert state(**{**known, **changes}) == word
