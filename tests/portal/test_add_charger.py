"""Adding a charger: the form, what is shown once, and the panel that waits and names mistakes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from borne.gateway.attempts import REASONS, Attempts
from borne.portal.add_charger import MISTAKES
from borne.store import chargers as store
from borne.store.schema import chargers
from borne.store.secrets import matches
from tests.support.portal import log_in, post
from tests.support.restart_site import Site, running_site

KEY = b"k" * 32


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        running.portal.services.charger_key = KEY
        running.portal.services.attempts = Attempts()
        yield running


@asynccontextmanager
async def browser(site: Site, who: str = "camille", **headers: str) -> AsyncIterator[Any]:
    async with site.portal.client(**headers) as client:
        await log_in(client, f"{who}@a.test")
        yield client


def shown(text: str, name: str) -> str:
    found = re.search(rf'id="charger-{name}">([^<]+)<', text)
    assert found, name
    return found[1]


async def add(client: Any, site: Site, **others: Any) -> Any:
    fields = {"name": "Quai 9", "serial": "77", "model": "pulsar-max", "location": str(site.lyon_id), **others}
    return await post(client, "/chargers/add", **fields)


async def count(site: Site) -> int:
    return int(await site.portal.db.value(select(func.count()).select_from(chargers)))


async def test_what_to_type_in_is_shown_once(site: Site) -> None:
    async with browser(site) as camille:
        answer = await add(camille, site)
        identity, password = shown(answer.text, "identity"), shown(answer.text, "password")
        gateway = site.portal.services.settings.gateway_url
        assert shown(answer.text, "url") == f"{gateway}/{identity}"
        assert shown(answer.text, "secret-url") == f"{gateway}/{password}/{identity}"
        assert "<svg" in answer.text
        assert 'class="qr-dots"' in answer.text
        assert answer.headers["cache-control"] == "no-store"
        row = await store.by_identity(site.portal.db, identity)
        assert row is not None
        assert matches(KEY, password, row.secret_hash)
        for path in ("", "/edit", "/top", "/waiting"):
            assert password not in (await camille.get(f"/chargers/{row.id}{path}")).text


async def test_a_form_sent_twice_adds_one_charger(site: Site) -> None:
    async with browser(site) as camille:
        form = (await camille.get("/chargers/add")).text
        identity = re.search(r'name="identity" value="([^"]+)"', form)
        assert identity
        assert (await add(camille, site, identity=identity[1])).status_code == 200
        again = await add(camille, site, identity=identity[1])
        assert again.status_code == 303
        assert await count(site) == 1


async def test_an_identity_of_others_is_neither_taken_nor_shown(site: Site) -> None:
    other, place = await site.portal.add_organisation("Other")
    async with site.portal.db.transaction() as tx:
        new = store.NewCharger(organisation_id=other, location_id=place, name="Theirs", identity="AAAA-BBBB")
        await store.create(tx, new, 0)
    async with browser(site) as camille:
        answer = await add(camille, site, identity="AAAA-BBBB")
        assert answer.status_code == 409
        assert "Theirs" not in answer.text
        assert "AAAA-BBBB" not in answer.text
        assert 'value="Quai 9"' in answer.text


async def test_errors_keep_what_was_typed(site: Site) -> None:
    async with browser(site) as camille:
        for fields, words in (
            ({"name": "", "serial": ""}, "Give it a name, or at least its serial number."),
            ({"name": "x" * 101}, "100 characters at most."),
            ({"model": "toaster"}, "Choose the model."),
            ({"model": ""}, "Choose the model."),
            ({"location": ""}, "Choose the location where it stands."),
            ({"location": "99999999999999999999"}, "Choose the location where it stands."),
            ({"model": "other", "vendor": "v" * 61}, "60 characters at most."),
        ):
            answer = await add(camille, site, **{"serial": "KEPT-1", **fields})
            assert answer.status_code == 422, fields
            assert words in answer.text
            assert 'role="alert"' in answer.text
            if "serial" not in fields:
                assert 'value="KEPT-1"' in answer.text
        assert await count(site) == 0


async def test_who_may_add_and_where(site: Site) -> None:
    async with browser(site, "ali") as ali:
        assert (await add(ali, site)).status_code == 200
        assert (await add(ali, site, location=str(site.nantes_id))).status_code == 422
        assert "Nantes" not in (await ali.get("/chargers/add")).text
    await site.portal.add_person("olga@a.test", (site.organisation_id, "operator"), location_ids=(site.lyon_id,))
    for who in ("zoe", "olga"):
        async with browser(site, who) as client:
            assert (await client.get("/chargers/add")).status_code == 404
            assert (await add(client, site)).status_code == 404
    assert await count(site) == 1


async def test_the_panel_waits_then_says_connected(site: Site) -> None:
    async with browser(site) as camille:
        answer = await add(camille, site)
        charger_id = await site.portal.db.value(select(chargers.c.id))
        since_ms = site.now_ms
        assert "Waiting for it…" in answer.text
        panel = (await camille.get(f"/chargers/{charger_id}/waiting?since={since_ms}")).text
        assert "every 1s" in panel
        site.later(20)
        await site.connect(charger_id)
        panel = (await camille.get(f"/chargers/{charger_id}/waiting?since={since_ms}")).text
        assert "Connected" in panel
        assert "OCPP 1.6" in panel
        assert "hx-get" not in panel


async def test_mistakes_are_named_as_they_happen(site: Site) -> None:
    attempts = site.portal.services.attempts
    assert isinstance(attempts, Attempts)
    async with browser(site) as camille:
        identity = shown((await add(camille, site)).text, "identity")
        charger_id = await site.portal.db.value(select(chargers.c.id))
        path = f"/chargers/{charger_id}/waiting?since={site.now_ms}"
        attempts.note(site.now_ms - 60_000, "10.0.0.1", identity, "no_password", None)  # before this page
        site.later(5)
        attempts.note(site.now_ms, "10.0.0.1", identity, "password", None)
        attempts.note(site.now_ms, "10.0.0.2", identity.lower()[:-1], "identity", None)
        attempts.note(site.now_ms, "10.6.6.6", "SOMEBODY-ELSE", "subprotocol", None)
        text = (await camille.get(path)).text
        assert "The password was wrong." in text
        assert f"“{identity.lower()[:-1]}”" in text
        assert "Tried from 10.0.0.1" in text
        assert "10.6.6.6" not in text
        assert "sent no password" not in text
        french = (await camille.get(path, headers={"accept-language": "fr"})).text
        assert "Le mot de passe est faux." in french


def test_every_reason_of_the_gateway_has_its_words() -> None:
    assert set(REASONS) - {"origin"} <= set(MISTAKES)  # a web page is no charger: installation/attempts shows those
