"""The icon, the modal CHARGER RESTART, OKAY, withdrawing, the live story."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.portal import log_in, post
from tests.support.restart_site import Site, running_site

HTMX = {"hx-request": "true"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        yield running


@pytest.fixture
async def camille(site: Site) -> AsyncIterator[Any]:
    async with site.portal.client() as client:
        await log_in(client, "camille@a.test")
        yield client


def key_of(text: str) -> str:
    found = re.search(r'name="key" value="([^"]+)"', text)
    assert found is not None
    return found[1]


async def test_icon_is_green_where_a_restart_is_available(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    text = (await camille.get(f"/chargers/{charger_id}/restart/icon")).text
    assert "Restart Available" in text
    assert 'data-restart="available"' in text
    assert "aria-disabled" not in text


async def test_modal_and_okay(site: Site, camille: Any) -> None:
    charger_id = await site.online_charger()
    shown = await camille.get(f"/chargers/{charger_id}/restart", headers=HTMX)
    assert "CHARGER RESTART" in shown.text
    assert "Restart Quai 4?" in shown.text
    assert "catalogue’s figure" in shown.text
    answer = await post(camille, f"/chargers/{charger_id}/restart", key=key_of(shown.text), when="now", why="hangs", kind="soft")
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == f"/chargers/{charger_id}"
    (row,) = await site.rows()
    assert (row.phase, row.why, row.kind, row.person_name) == ("requested", "hangs", "soft", "Camille")
