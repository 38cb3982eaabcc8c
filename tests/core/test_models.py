"""The catalogue of models, and how long a verdict may take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from borne.core.models import CATALOGUE, MODELS, OTHER, deadline_after_ms, model_of

MINUTE_MS = 60_000
BOUNDS = {"least_ms": 5 * MINUTE_MS, "most_ms": 20 * MINUTE_MS}


def test_every_model_restarts_except_pulsar() -> None:
    assert [model.id for model in CATALOGUE if not model.restarts] == ["pulsar"]


@pytest.mark.parametrize(
    "name",
    ["Pulsar", "Pulsar Plus", "Pulsar Max", "Pulsar Pro", "Copper", "Copper SB", "Commander", "Commander 2", "Quasar", "Quasar 2",
     "Supernova 60", "Supernova 150", "Supernova 180", "Hypernova"],
)  # fmt: skip
def test_the_catalogue_has_the_articles_models(name: str) -> None:
    assert name in {model.name for model in CATALOGUE}


def test_ids_are_unique_and_a_foreign_model_is_any_other_charger() -> None:
    assert len(MODELS) == len(CATALOGUE)
    assert model_of("acme-9000") is OTHER
    assert OTHER.restarts


@pytest.mark.parametrize(
    "model_id", ["quasar", "quasar-2", "supernova-60", "supernova-150", "supernova-180", "hypernova"]
)
def test_dc_chargers_have_15_minutes_until_learnt(model_id: str) -> None:
    model = model_of(model_id)
    assert deadline_after_ms(model, [], **BOUNDS) == 15 * MINUTE_MS
    assert deadline_after_ms(model, [60_000] * 4, **BOUNDS) == 15 * MINUTE_MS
    assert deadline_after_ms(model, [60_000] * 5, **BOUNDS) == 5 * MINUTE_MS


def test_until_learnt_the_catalogues_figure_counts_three_times() -> None:
    model = model_of("pulsar-plus")
    bounds = {"least_ms": 0, "most_ms": 20 * MINUTE_MS}
    assert deadline_after_ms(model, [200_000] * 4, **bounds) == 3 * model.usual_restart_ms


def test_learnt_it_is_three_times_the_95th_percentile() -> None:
    model = model_of("pulsar-plus")
    durations_ms = [100_000] * 18 + [150_000, 300_000]
    assert deadline_after_ms(model, durations_ms, **BOUNDS) == 3 * 150_000
    assert deadline_after_ms(model, list(reversed(durations_ms)), **BOUNDS) == 3 * 150_000
    assert deadline_after_ms(model, [100_000, 110_000, 120_000, 130_000, 200_000], **BOUNDS) == 3 * 200_000


@given(
    model=st.sampled_from(CATALOGUE),
    durations_ms=st.lists(st.integers(0, 10**9), max_size=60),
    least_ms=st.integers(1, 10**6),
    more_ms=st.integers(0, 10**6),
)
def test_it_stays_within_the_bounds(model: object, durations_ms: list[int], least_ms: int, more_ms: int) -> None:
    most_ms = least_ms + more_ms
    after_ms = deadline_after_ms(model, durations_ms, least_ms=least_ms, most_ms=most_ms)  # type: ignore[arg-type]
    assert after_ms <= most_ms
    assert after_ms >= least_ms or after_ms == most_ms
