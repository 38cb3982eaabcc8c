"""Who may do what: every role, plan, place and state of the charger against the help article's conditions."""

from __future__ import annotations

import itertools

import pytest

from borne.core.access import (
    REASONS,
    ChargerFacts,
    administers,
    may_add_charger,
    may_restart,
    may_restart_many,
    may_see_frames,
    not_restartable,
)
from borne.core.charger import STATUSES
from borne.core.scope import Role, Scope

ROLES: tuple[Role, ...] = ("super-admin", "admin", "operator", "user")
PLANS = ("basic", "standard", "business")


def scope(role: Role = "super-admin", plan: str = "business", **more: object) -> Scope:
    return Scope(person_id=1, person_name="Camille", organisation_id=1, role=role, plan=plan, **more)  # type: ignore[arg-type]


def charger(**known: object) -> ChargerFacts:
    facts = {
        "organisation_id": 1,
        "location_id": 10,
        "charger_id": 7,
        "restarts": True,
        "status": "ready",
        "online": True,
    }
    return ChargerFacts(**{**facts, **known})  # type: ignore[arg-type]


@pytest.mark.parametrize(("role", "plan"), [*itertools.product(ROLES, PLANS)])
def test_super_admins_and_admins_restart_on_standard_and_business(role: Role, plan: str) -> None:
    reasons = may_restart(scope(role, plan), charger())
    expected = {"role"} if role not in ("super-admin", "admin") else set()
    expected |= {"plan"} if plan == "basic" else set()
    assert set(reasons) == expected


def test_an_admin_restarts_in_the_own_locations_only() -> None:
    ali = scope("admin", location_ids=(10, 11))
    assert may_restart(ali, charger(location_id=10)) == ()
    assert may_restart(ali, charger(location_id=12)) == ("role",)
    assert may_restart(scope("admin", location_ids=()), charger()) == ("role",)


@pytest.mark.parametrize("role", ROLES)
def test_nobody_restarts_in_another_organisation(role: Role) -> None:
    assert "role" in may_restart(scope(role), charger(organisation_id=2))


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({"restarts": False}, "model"),
        ({"disabled": True}, "disabled"),
        ({"status": "never", "online": False}, "never_connected"),
        ({"status": "offline", "online": False}, "offline"),
        ({"status": "updating"}, "updating"),
        ({"status": "restarting"}, "restarting"),
        ({"status": "restarting", "online": False}, "restarting"),
    ],
)
def test_the_charger_must_be_able_and_connected_and_idle(known: dict[str, object], reason: str) -> None:
    assert may_restart(scope(), charger(**known)) == (reason,)
    assert not_restartable(charger(**known)) == (reason,)


@pytest.mark.parametrize("status", ["fault", "charging", "waiting", "unavailable", "reserved", "ready"])
def test_whatever_a_connected_charger_does_it_may_be_restarted(status: str) -> None:
    assert may_restart(scope(), charger(status=status)) == ()


def test_all_that_stands_in_the_way_is_said() -> None:
    reasons = may_restart(scope("user", "basic"), charger(restarts=False, status="offline", online=False))
    assert set(reasons) == {"role", "plan", "model", "offline"}


def test_reasons_are_words_of_the_list() -> None:
    for role, plan, status, online, restarts, disabled in itertools.product(
        ROLES, (*PLANS, "unknown"), STATUSES, (True, False), (True, False), (True, False)
    ):
        facts = charger(status=status, online=online, restarts=restarts, disabled=disabled)
        assert set(may_restart(scope(role, plan), facts)) <= set(REASONS)


@pytest.mark.parametrize(("role", "plan"), [*itertools.product(ROLES, PLANS)])
def test_many_are_restarted_by_admins_on_business(role: Role, plan: str) -> None:
    assert may_restart_many(scope(role, plan)) == (role in ("super-admin", "admin") and plan == "business")


@pytest.mark.parametrize("role", ROLES)
def test_raw_frames_are_not_for_drivers(role: Role) -> None:
    assert may_see_frames(scope(role)) == (role != "user")


def test_chargers_are_added_by_who_administers_the_location() -> None:
    assert may_add_charger(scope(), 10)
    assert may_add_charger(scope("admin", location_ids=(10,)), 10)
    assert not may_add_charger(scope("admin", location_ids=(11,)), 10)
    assert not may_add_charger(scope("operator"), 10)


def test_administering_is_of_one_organisation() -> None:
    assert administers(scope(), 1, 10)
    assert not administers(scope(), 2, 10)


def test_a_scope_reaches_its_own_rows_only() -> None:
    everything = {"organisation_id": 1, "location_id": 10, "charger_id": 7}
    assert scope().reaches(**everything)
    assert not scope().reaches(**{**everything, "organisation_id": 2})
    assert not scope(location_ids=(11,)).reaches(**everything)
    assert not scope(location_ids=()).reaches(**everything)
    assert not scope("user", charger_ids=(8,)).reaches(**everything)
    assert scope("user", charger_ids=(7, 8)).reaches(**everything)
