"""Every verdict has its sentence in every language, with the evidence that it claims."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from borne.core import access, verdict
from borne.core.facts import LossHow
from borne.core.restart_state import RestartState
from borne.portal.language import LANGUAGES, Language, read_catalogue, translations
from borne.portal.reasons import REASON_TEXTS, REQUEST_TEXTS, reason_text
from borne.portal.verdicts import _HOW, DOUBTS, TEXTS, first_sentence, leaving_word, sentence

T0 = 1_780_000_000_000
PAIRS = {
    *(("succeeded", reason) for reason in verdict.SUCCESS_REASONS),
    *(("failed", reason) for reason in verdict.FAILED_REASONS),
    *(("unknown", reason) for reason in verdict.UNKNOWN_REASONS),
    *(("not_sent", reason) for reason in verdict.NOT_SENT_REASONS),
}


def ended(word: str, reason: str, **known: object) -> RestartState:
    """A restart that was sent at T0 and judged; `known` replaces what is known of it."""
    fields: dict[str, object] = {
        "id": 1,
        "charger_id": 1,
        "kind": "soft",
        "phase": "ended",
        "requested_ms": T0 - 20,
        "sent_ms": T0 - 5,
        "written_ms": T0,
        "answer": "accepted",
        "answered_ms": T0 + 310,
        "answer_code": "InternalError",
        "left_ms": T0 + 10_000,
        "left_how": "dropped",
        "back_ms": T0 + 98_000,
        "booted_ms": T0 + 99_000,
        "boot_doubt": "solicited",
        "ready_ms": T0 + 99_000,
        "boots": (T0 + 99_000,),
        "down_ms": 42_000,
        "deadline_ms": T0 + 300_000,
        "ended_ms": T0 + 300_000,
        "verdict": word,
        "reason": reason,
    }
    return RestartState(**(fields | known))  # type: ignore[arg-type]


def test_every_pair_of_the_core_has_a_sentence() -> None:
    assert set(TEXTS) == PAIRS


def test_every_word_of_the_core_has_its_words() -> None:
    assert set(DOUBTS) == set(verdict.DOUBTS)
    assert set(_HOW) == set(get_args(LossHow))
    assert set(REASON_TEXTS) == set(access.REASONS)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("pair", sorted(PAIRS))
def test_sentence_is_complete(pair: tuple[str, str], language: Language) -> None:
    said = sentence(ended(*pair), language)
    assert said.title
    assert said.text.endswith((".", "!"))
    assert "%(" not in said.text
    assert "–" not in said.text, "it quotes what is not known"


@pytest.mark.parametrize(
    "message",
    sorted({*TEXTS.values(), *DOUBTS.values(), *_HOW.values(), *REASON_TEXTS.values(), *REQUEST_TEXTS.values()}),
)
def test_french_is_there_and_quotes_the_same(message: str) -> None:
    french = translations("fr").gettext(message)
    assert french != message
    assert sorted(re.findall(r"%\(\w+\)s", french)) == sorted(re.findall(r"%\(\w+\)s", message))


def test_success_says_when_it_left_and_booted() -> None:
    said = sentence(ended("succeeded", "booted_after_loss", boot_reason="PowerUp"), "en")
    assert (said.title, said.tone) == ("Succeeded", "ready")
    assert said.text == (
        "It left its connection 10 s after the command and announced a boot after 1 min 39 s. Boot reason: PowerUp."
    )


def test_a_held_up_restart_counts_from_the_end_of_its_session() -> None:
    said = sentence(ended("succeeded", "booted_same_link", idle_ms=T0 + 60_000), "en")
    assert "a boot 39 s after" in said.text


def test_success_without_an_answer_says_so() -> None:
    said = sentence(ended("succeeded", "booted_after_loss", answer=None, answered_ms=None), "fr")
    assert "Il n’a jamais répondu à la commande" in said.text


def test_unstable_and_not_ready_are_no_plain_success() -> None:
    loop = sentence(ended("succeeded", "booted_after_loss", unstable=True, boots=(T0, T0 + 1, T0 + 2)), "en")
    assert (loop.title, loop.tone) == ("Restarted, unstable", "locked")
    assert loop.text.startswith("It has booted 3 times")
    faulted = sentence(ended("succeeded", "booted_after_loss", not_ready=("1.0", "2.1"), ready_status="faulted"), "en")
    assert (faulted.title, faulted.tone) == ("Restarted, not ready", "locked")
    assert "a fault on connector 1, 2.1." in faulted.text


def test_a_loss_of_our_making_is_not_called_a_downtime() -> None:
    said = sentence(ended("unknown", "borne_was_down", left_ours=True, down_ms=0), "en")
    assert said.text.startswith("Borne itself ended the charger’s connection")


def test_upgraded_keeps_the_first_verdict() -> None:
    state = ended(
        "succeeded",
        "came_back_late",
        first_verdict="failed",
        first_reason="did_not_come_back",
        first_ended_ms=T0 + 300_000,
        booted_ms=T0 + 2_460_000,
        boots=(T0 + 2_460_000,),
        ended_ms=T0 + 2_460_000,
    )
    assert "a boot 41 min after" in sentence(state, "en").text
    first = first_sentence(state, "en")
    assert first is not None
    assert first.title == "Did not come back"
    assert "was not back after 5 min" in first.text
    assert first_sentence(ended("unknown", "no_sign"), "en") is None


def test_words_of_other_places() -> None:
    assert leaving_word("dropped", "fr") == "connexion coupée sans adieu"
    assert leaving_word("something new", "fr") == "something new"
    assert "Basic" in reason_text("plan", "en", plan="basic")
    assert "Standard" in reason_text("plan", "fr", plan="basic")
    assert reason_text("something new", "en") == "something new"
    assert read_catalogue("fr").get("Restart Available").string == "Redémarrage disponible"
