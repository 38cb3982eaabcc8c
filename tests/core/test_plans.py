"""Plans as data."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest

from borne.core.plans import COMING, LIMITED, PLANS, Feature, cheapest_with, has, limit, lost, rank
from borne.core.policy import POLICY


def test_what_is_said_to_come_is_not_there_and_the_rest_is() -> None:
    there = {rule.feature for rule in POLICY.values() if rule.feature} | {"CHARGER_SUBGROUPS"}
    assert there == set(get_args(Feature)) - COMING


@pytest.mark.parametrize(("plan", "expected"), [("basic", False), ("standard", True), ("business", True)])
def test_restarting_is_in_standard_and_business(plan: str, expected: bool) -> None:
    assert has(plan, "RESTART") is expected


@pytest.mark.parametrize(("plan", "expected"), [("basic", False), ("standard", False), ("business", True)])
def test_restarting_many_is_in_business(plan: str, expected: bool) -> None:
    assert has(plan, "BULK_ACTIONS") is expected


@pytest.mark.parametrize("feature", ["PAYMENTS", "DYNAMIC_POWER_SHARING", "AUTOMATIC_REPORTING", "BILLING"])
def test_what_only_business_has(feature: Feature) -> None:
    assert [plan for plan in PLANS if has(plan, feature)] == ["business"]


def test_each_plan_includes_the_one_before() -> None:
    features = [plan.features for plan in PLANS.values()]
    assert features == sorted(features, key=len)
    assert all(less < more for less, more in itertools.pairwise(features))


def test_an_unknown_plan_includes_nothing() -> None:
    assert not any(has("gold", feature) for feature in get_args(Feature))


def test_the_cheapest_plan_with_a_feature_is_named() -> None:
    assert cheapest_with("RESTART").id == "standard"
    assert cheapest_with("BULK_ACTIONS").id == "business"
    assert all(feature in cheapest_with(feature).features for feature in get_args(Feature))


def test_a_larger_plan_never_has_less() -> None:
    for smaller, larger in itertools.pairwise(PLANS.values()):
        assert smaller.price_cents < larger.price_cents
        assert rank(smaller.id) < rank(larger.id)
        for what in LIMITED:
            assert (limit(smaller.id, what) or 10**9) <= (limit(larger.id, what) or 10**9)


def test_an_unknown_plan_has_room_for_nothing() -> None:
    assert limit("gold", "people") == 0
    assert rank("gold") < rank("basic")


def test_what_a_downgrade_loses() -> None:
    assert "BULK_ACTIONS" in lost("business", "standard")
    assert "RESTART" not in lost("business", "standard")
    assert lost("basic", "business") == ()
