"""What a session could have drawn at most."""

from __future__ import annotations

import pytest

from borne.core.models import MODELS
from borne.core.session_limits import Limit, Offer, of_model, offered, over_ms


def test_a_power_that_is_offered_counts_as_it_is_and_holds_until_the_next() -> None:
    found = offered([Offer(30, power_w=7_400), Offer(10, power_w=11_000), Offer(20, power_w=11_000)], 5_000)
    assert found == Limit("charger", ((10, 11_000), (30, 7_400)))
    assert found.top_w == 11_000


@pytest.mark.parametrize(
    ("offer", "peak_w", "expected"),
    [
        (Offer(0, current_ma=16_000, phases=3), 0, 11_040),
        (Offer(0, current_ma=16_000, phases=1), 3_600, 3_680),
        (Offer(0, current_ma=32_000), 7_300, 7_360),  # one phase explains what was drawn
        (Offer(0, current_ma=32_000), 11_000, 22_080),
        (Offer(0, current_ma=16_000), 30_000, 11_040),  # nothing explains it: no more than three
        (Offer(0, current_ma=10_000, phases=3, voltage_mv=240_000), 0, 7_200),
        (Offer(0, power_w=0, current_ma=16_000), 0, 0),  # paused
    ],
)
def test_a_current_becomes_a_power(offer: Offer, peak_w: int, expected: int) -> None:
    found = offered([offer], peak_w)
    assert found is not None
    assert found.steps == ((0, expected),)


def test_nothing_that_makes_sense_is_no_limit() -> None:
    assert offered([Offer(0), Offer(1, current_ma=-5)], 0) is None


def test_a_model_gives_so_much() -> None:
    assert of_model(MODELS["pulsar-plus"], 7_200, 5) == Limit("model", ((5, 7_360),), 32, 1)
    assert of_model(MODELS["pulsar-plus"], 10_800, 5) == Limit("model", ((5, 22_080),), 32, 3)
    assert of_model(MODELS["supernova-60"], 10, 5) == Limit("model", ((5, 60_000),))
    assert of_model(MODELS["other"], 10, 5) is None


def test_how_long_more_was_drawn_than_allowed() -> None:
    limit = Limit("charger", ((0, 10_000), (100, 5_000)))
    powers = [(0, 10_400), (50, 10_600), (100, 5_100), (150, 6_000), (200, 0)]
    assert over_ms(limit, powers) == 100
