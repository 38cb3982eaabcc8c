"""The table of roles says what the guards do."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from borne.core import policy
from borne.core.people import ROLES
from borne.core.plans import PLANS
from borne.core.policy import ACTIONS, POLICY
from borne.core.scope import Role, Scope
from borne.portal.roles import ACTION_WORDS, PARTS
from tests.support.portal import log_in, running_portal

pytestmark = pytest.mark.anyio
HERE, ELSEWHERE, CHARGER = 1, 2, 7
CELL = re.compile(r'data-role="([^"]+)" data-reach="([^"]+)"')


def scope(role: Role, plan: str = "business", **more: object) -> Scope:
    whole = {"super-admin": {}, "admin": {"location_ids": (HERE,)}, "operator": {"location_ids": (HERE,)}}
    reach = whole.get(role, {"charger_ids": (CHARGER,)})
    return Scope(person_id=1, person_name="", organisation_id=1, role=role, plan=plan, **(reach | more))  # type: ignore[arg-type]


def rows_of(html: str) -> Iterator[tuple[str, dict[str, str], str, bool]]:
    """action, {role: reach}, plan, whether a guest may."""
    for action, body in re.findall(r'<tr data-action="(\w+)">(.*?)</tr>', html, re.S):
        plan = re.search(r'data-plan="([^"]*)"', body)
        assert plan
        yield action, dict(CELL.findall(body)), plan[1], "data-guest" in body


async def page(tmp_path: Path, role: Role) -> str:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        organisation_id, _ = await portal.add_organisation()
        await portal.add_person("a@b.test", (organisation_id, role))
        await log_in(browser, "a@b.test")
        answer = await browser.get("/roles")
        assert answer.status_code == 200
        return answer.text


def test_every_action_has_words_and_stands_once() -> None:
    assert set(ACTION_WORDS) == set(ACTIONS) == set(POLICY)
    named = [action for _, actions in PARTS for action in actions]
    assert len(named) == len(set(named))


async def test_the_page_shows_what_the_policy_answers(tmp_path: Path) -> None:
    shown = {action: (reaches, plan, guest) for action, reaches, plan, guest in rows_of(await page(tmp_path, "user"))}
    assert set(shown) == set(ACTIONS)
    for action in ACTIONS:
        reaches, plan, guest = shown[action]
        assert set(reaches) == set(ROLES)
        for role in ROLES:
            one, reach = scope(role), reaches[role]
            assert policy.may(one, action) == (reach != "no"), (action, role)
            assert policy.may(one, action, ELSEWHERE) == (reach in {"organisation", "own"}), (action, role)
            if reach == "own":  # its chargers are the limit, wherever they stand
                assert one.charger_ids == (CHARGER,)
        assert policy.permits(scope("operator", guest=True, location_ids=None), action) == guest, action
        able = [known.name for known in PLANS.values() if policy.may(scope("super-admin", known.id), action)]
        assert able[0] == (plan or "Basic"), action


async def test_drivers_may_look_at_it_too(tmp_path: Path) -> None:
    text = await page(tmp_path, "user")
    assert 'href="/users"' not in text, "there is no way to the people for who may not see them"
