"""A charger that moves to another location: what waits for it goes along, or ends, and whom it concerns hears of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from borne.bus.port import Hint
from borne.core.actor import Actor
from borne.core.scope import Scope
from borne.engine import onboarding
from borne.engine.restarts import NewRestart
from borne.store.chargers import Description, UnknownLocationError
from borne.store.schema import audit_log, chargers, events, memberships, restarts
from tests.support.portal import log_in, post
from tests.support.restart_site import Site, running_site

pytestmark = pytest.mark.anyio
DAY_MS = 86_400_000


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        yield running


async def move(site: Site, charger_id: int, location_id: int) -> bool:
    services = site.portal.services
    row = await services.db.first(select(chargers).where(chargers.c.id == charger_id))
    assert row is not None
    return await onboarding.describe(
        services.engine,
        audit=services.audit,
        by=Actor(site.camille_id, "Camille"),
        organisation_id=site.organisation_id,
        charger_id=charger_id,
        what=Description(name=row.name, location_id=location_id, serial=row.serial, model=row.model),
    )


async def asked_by_ali(site: Site, charger_id: int) -> int:
    """A restart for tomorrow, asked for by the admin of Lyon."""
    scope = Scope(
        person_id=site.ali_id, person_name="Ali", organisation_id=site.organisation_id, role="admin", plan="business",
        location_ids=(site.lyon_id,),
    )  # fmt: skip
    outcome = await site.restarts.request(scope, charger_id, NewRestart(when=site.now_ms + DAY_MS))
    assert outcome.restart_id is not None
    return outcome.restart_id


async def test_a_waiting_restart_ends_when_whoever_asked_has_nothing_there(site: Site) -> None:
    charger_id = await site.online_charger()
    await asked_by_ali(site, charger_id)
    assert await move(site, charger_id, site.nantes_id)
    [row] = await site.rows()
    assert (row.verdict, row.reason, row.location_id) == ("not_sent", "role", site.lyon_id)
    shown = await site.portal.db.first(select(chargers).where(chargers.c.id == charger_id))
    assert shown is not None
    assert (shown.location_id, shown.restart_verdict) == (site.nantes_id, "not_sent")
    site.later(2 * 86_400)
    assert await site.restarts.take(charger_id, 1) is None


async def test_a_waiting_restart_of_somebody_who_administers_both_goes_along(site: Site) -> None:
    charger_id = await site.online_charger()
    restart_id = await site.request(charger_id, when=site.now_ms + DAY_MS)  # by the super-admin
    assert await move(site, charger_id, site.nantes_id)
    [row] = await site.rows()
    assert (row.verdict, row.location_id) == (None, site.nantes_id)
    site.later(86_401)
    await site.wake(charger_id, 0)
    due = await site.restarts.take(charger_id, 1)
    assert due is not None
    assert due.restart_id == restart_id


async def test_a_restart_that_was_sent_is_not_touched(site: Site) -> None:
    charger_id = await site.online_charger()
    await asked_by_ali(site, charger_id)
    site.later(86_401)
    await site.wake(charger_id, 0)
    await site.send(charger_id)
    assert await move(site, charger_id, site.nantes_id)
    [row] = await site.rows()
    assert (row.verdict, row.location_id) == (None, site.lyon_id)


async def test_the_old_locations_admin_can_withdraw_no_more(site: Site) -> None:
    charger_id = await site.online_charger()
    restart_id = await site.request(charger_id, when=site.now_ms + DAY_MS)
    async with site.portal.client() as ali:
        await log_in(ali, "ali@a.test")
        assert "/withdraw" in (await ali.get(f"/restarts/{restart_id}/panel")).text
        assert await move(site, charger_id, site.nantes_id)
        assert (await post(ali, f"/restarts/{restart_id}/withdraw")).status_code == 404
    assert (await site.restarts.withdraw(charger_id, restart_id, Actor(site.ali_id, "Ali"))).ignored, "whatever he saw"
    await site.portal.add_person("nadia@a.test", (site.organisation_id, "admin"), location_ids=(site.nantes_id,))
    async with site.portal.client() as nadia:
        await log_in(nadia, "nadia@a.test")
        assert "/withdraw" in (await nadia.get(f"/restarts/{restart_id}/panel")).text
        assert (await post(nadia, f"/restarts/{restart_id}/withdraw")).status_code == 303
    [row] = await site.rows()
    assert (row.verdict, row.reason) == ("not_sent", "withdrawn")


async def test_in_a_batch_it_keeps_its_place_but_only_the_new_admins_withdraw_it(site: Site) -> None:
    charger_id = await site.online_charger()
    batch_id = await site.batches.request(site.scope, [charger_id], why="", kind=None, idempotency_key="b")
    assert batch_id is not None
    restart_id = await site.request(charger_id, when=site.now_ms + DAY_MS)
    async with site.portal.db.transaction() as tx:
        await tx.run(update(restarts).where(restarts.c.id == restart_id).values(batch_id=batch_id))
    site.engine.forget(charger_id)
    assert await move(site, charger_id, site.nantes_id)
    [row] = await site.rows()
    assert (row.verdict, row.location_id) == (None, site.lyon_id)
    async with site.portal.client() as ali:
        await log_in(ali, "ali@a.test")
        assert "/withdraw" not in (await ali.get(f"/restarts/{restart_id}/panel")).text
        await post(ali, f"/restarts/{restart_id}/withdraw")
    assert (await site.rows())[0].verdict is None


async def test_a_demoted_admin_withdraws_nothing(site: Site) -> None:
    charger_id = await site.online_charger()
    restart_id = await site.request(charger_id, when=site.now_ms + DAY_MS)
    async with site.portal.db.transaction() as tx:
        await tx.run(update(memberships).where(memberships.c.person_id == site.ali_id).values(role="operator"))
    assert (await site.restarts.withdraw(charger_id, restart_id, Actor(site.ali_id, "Ali"))).ignored


async def test_both_locations_hear_of_it_and_it_is_written_down(site: Site) -> None:
    charger_id = await site.online_charger()
    heard: list[Hint] = []
    site.portal.services.bus.listen("charger", heard.append)
    assert await move(site, charger_id, site.nantes_id)
    async with site.portal.client() as camille:
        await log_in(camille, "camille@a.test")
        page = (await camille.get(f"/chargers/{charger_id}")).text
    assert {hint.location_id for hint in heard if hint.id == charger_id} >= {site.lyon_id, site.nantes_id}
    assert "Atelier Lumière, Lyon → Nantes, Entrepôt" in page
    kinds = [
        row.kind for row in await site.portal.db.all(select(events.c.kind).where(events.c.charger_id == charger_id))
    ]
    assert "moved" in kinds
    assert "edited" not in kinds
    details = await site.portal.db.value(select(audit_log.c.details).where(audit_log.c.action == "charger.changed"))
    assert '"before":{"location":"Atelier Lumière, Lyon"},"after":{"location":"Nantes, Entrepôt"}' in details


async def test_it_does_not_move_to_where_no_location_is(site: Site) -> None:
    charger_id = await site.online_charger()
    _, foreign_id = await site.portal.add_organisation("Other")
    with pytest.raises(UnknownLocationError):
        await move(site, charger_id, foreign_id)
    where = select(chargers.c.location_id).where(chargers.c.id == charger_id)
    assert await site.portal.db.value(where) == site.lyon_id
