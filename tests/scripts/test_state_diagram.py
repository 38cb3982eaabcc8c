"""The drawn states of a restart are those of the code, and every word of the verdicts can be reached."""

from __future__ import annotations

from functools import cache

import pytest

from borne.core.access import REASONS
from borne.core.restart_state import PHASES
from borne.core.verdict import FAILED_REASONS, NOT_SENT_REASONS, SUCCESS_REASONS, UNKNOWN_REASONS
from scripts import state_diagram

explore = cache(state_diagram.explore)


def test_the_page_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_diagram, "explore", explore)
    page = state_diagram.PAGE.read_text(encoding="utf-8")
    assert page == state_diagram.page(page), "draw it anew: make docs"


def test_every_phase_is_drawn() -> None:
    edges, _ = explore()
    assert {after for _, _, after in edges} == {*PHASES, "succeeded", "failed", "unknown", "not_sent"} - {"ended"}


def test_every_reason_of_a_verdict_can_be_reached() -> None:
    """A word that nothing leads to would be a sentence that nobody ever reads."""
    _, found = explore()
    reached = {(verdict, reason) for verdict, reason, _ in found}
    assert reached >= {("succeeded", reason) for reason in SUCCESS_REASONS}
    assert reached >= {("failed", reason) for reason in FAILED_REASONS}
    assert reached >= {("unknown", reason) for reason in UNKNOWN_REASONS}
    refused = {*REASONS, "offline", "stopped"}  # given with RestartRefused
    assert reached >= {("not_sent", reason) for reason in NOT_SENT_REASONS if reason not in refused}


def test_success_is_reached_from_after_the_sending_only() -> None:
    _, found = explore()
    before = {before for verdict, _, before in found if verdict == "succeeded"}
    assert before <= {"sent", "accepted", "scheduled", "back", "unknown", "failed"}
