"""The table of who may do what: roles, plans, locations, guests."""

from __future__ import annotations

import pytest

from borne.core.policy import ACTIONS, POLICY, may, missing_feature, permits
from borne.core.scope import Role, Scope

ROLES: tuple[Role, ...] = ("super-admin", "admin", "operator", "user")


def scope(role: Role, plan: str = "business", **more: object) -> Scope:
    fields = {"person_id": 1, "person_name": "C", "organisation_id": 1, "role": role, "plan": plan, **more}
    return Scope(**fields)  # type: ignore[arg-type]


def test_every_action_has_its_rule_and_the_super_admin_may_do_all() -> None:
    assert set(POLICY) == set(ACTIONS)
    assert [action for action in ACTIONS if not may(scope("super-admin"), action)] == []


def test_each_role_may_at_most_what_the_one_above_may() -> None:
    for lower, higher in zip(reversed(ROLES[1:]), reversed(ROLES[:-1]), strict=True):
        more = [a for a in ACTIONS if permits(scope(lower), a) and not permits(scope(higher), a)]
        assert [a for a in more if POLICY[a].roles[lower] != "own"] == [], "what is somebody's own aside"


def test_only_super_admins_reach_beyond_locations() -> None:
    for action, rule in POLICY.items():
        assert rule.roles["super-admin"] == "organisation", action
        assert {rule.roles[role] for role in ROLES[1:] if role in rule.roles} <= {"locations", "own"}, action


@pytest.mark.parametrize("role", ["admin", "operator"])
def test_a_location_that_is_not_theirs_is_refused(role: Role) -> None:
    here = scope(role, location_ids=(7,))
    for action in ACTIONS:
        assert may(here, action, 7) == permits(here, action)
        assert not may(here, action, 8)


def test_a_plan_closes_what_it_lacks_for_everybody() -> None:
    assert missing_feature(scope("super-admin", "basic"), "restart") == "RESTART"
    assert not may(scope("super-admin", "basic"), "restart")
    assert may(scope("super-admin", "standard"), "restart")
    assert not may(scope("super-admin", "standard"), "restart_many")
    assert not may(scope("super-admin", "unknown plan"), "restart")


def test_a_guest_reads_what_is_marked_for_guests_whatever_the_role() -> None:
    for role in ROLES:
        guest = scope(role, guest=True)
        assert {action for action in ACTIONS if permits(guest, action)} == {
            a for a, rule in POLICY.items() if rule.guests
        }
    changing = (
        "change",
        "add",
        "replace",
        "archive",
        "hand",
        "invite",
        "remove",
        "erase",
        "restart",
        "withdraw",
        "answer",
    )
    assert [action for action, rule in POLICY.items() if rule.guests and action.startswith(changing)] == []
