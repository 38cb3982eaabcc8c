"""Who may change whom: every pair of roles, and what an organisation must never be without."""

import itertools

import pytest

from borne.core.people import ROLES, Member, change_refused, may_give, removal_refused
from borne.core.scope import Role, Scope

ME, OTHER, UNTIL_MS = 1, 2, 5


def scope(role: Role, guest: bool = False) -> Scope:
    return Scope(person_id=ME, person_name="", organisation_id=1, role=role, plan="business", guest=guest)


def member(role: Role, person_id: int = OTHER, expires_ms: int | None = None) -> Member:
    return Member(person_id=person_id, role=role, expires_ms=expires_ms)


@pytest.mark.parametrize(("mine", "theirs", "wanted"), list(itertools.product(ROLES, ROLES, ROLES)))
def test_only_a_super_admin_gives_roles(mine: Role, theirs: Role, wanted: Role) -> None:
    refusal = change_refused(scope(mine), member(theirs), wanted, None, others_keep=True)
    assert (refusal is None) == (mine == "super-admin")
    assert may_give(scope(mine), wanted) == (mine == "super-admin")
    assert (removal_refused(scope(mine), member(theirs), others_keep=True) is None) == (mine == "super-admin")


@pytest.mark.parametrize("wanted", ROLES)
def test_nobody_changes_their_own_role(wanted: Role) -> None:
    assert change_refused(scope("super-admin"), member("super-admin", ME), wanted, None, others_keep=True) == "self"


def test_who_looks_in_changes_nothing() -> None:
    guest = scope("super-admin", guest=True)
    assert change_refused(guest, member("user"), "user", None, others_keep=True) == "role"
    assert removal_refused(guest, member("user"), others_keep=True) == "role"
    assert not may_give(guest, "user")


def test_the_last_super_admin_stays_what_they_are() -> None:
    mine, last = scope("super-admin"), member("super-admin")
    for role, until_ms in [("admin", None), ("user", None), ("super-admin", UNTIL_MS)]:
        assert change_refused(mine, last, role, until_ms, others_keep=False) == "last"  # type: ignore[arg-type]
        assert change_refused(mine, last, role, until_ms, others_keep=True) is None  # type: ignore[arg-type]
    assert change_refused(mine, last, "super-admin", None, others_keep=False) is None
    assert removal_refused(mine, last, others_keep=False) == "last"
    assert removal_refused(mine, member("super-admin", ME), others_keep=False) == "last"
    assert removal_refused(mine, member("super-admin", ME), others_keep=True) is None, "who is not the last may leave"


def test_a_super_admin_with_an_end_keeps_no_house() -> None:
    temporary = member("super-admin", expires_ms=UNTIL_MS)
    assert removal_refused(scope("super-admin"), temporary, others_keep=False) is None
    assert change_refused(scope("super-admin"), temporary, "user", None, others_keep=False) is None
