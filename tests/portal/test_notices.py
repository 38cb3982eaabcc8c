"""The list of notices, the bell, what somebody hears of, and the link in mails."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import select

from borne.bus.port import Hint
from borne.core.scope import Scope
from borne.engine.notice_mail import Unsubscribe
from borne.portal.live import Live, LiveStream, allowed, parsed
from borne.store import consents
from borne.store import notices as store
from borne.store.schema import audit_log, notices, notification_rules, people
from tests.support.portal import Portal, log_in, post, running_portal

pytestmark = pytest.mark.anyio

EMAIL = "camille@a.test"


@pytest.fixture
async def portal(tmp_path: Path) -> AsyncIterator[Portal]:
    async with running_portal(tmp_path) as running:
        yield running


class Desk:
    """Camille, super-admin, logged in; and notices for her."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.client = portal.client()
        self.organisation_id = self.location_id = self.person_id = 0
        self.made = 0

    async def open(self, role: str = "super-admin", **more: Any) -> Desk:
        self.organisation_id, self.location_id = await self.portal.add_organisation()
        self.person_id = await self.portal.add_person(EMAIL, (self.organisation_id, role), **more)
        await log_in(self.client, EMAIL)
        return self

    async def add(self, event: str = "charger_offline", charger: str = "Quai 4", **more: Any) -> int:
        """A notice; its id."""
        details = {"charger": charger, "location": "Lyon", "since_ms": self.portal.clock.at_ms, "said": ""}
        row = {
            "person_id": self.person_id,
            "organisation_id": self.organisation_id,
            "event": event,
            "key": f"offline:7:{self.made}",
            "at_ms": self.portal.clock.at_ms,
            "charger_id": 7,
            "location_id": self.location_id,
            "details": msgspec.json.encode(details | more.pop("said", {})).decode(),
            **more,
        }
        self.made += 1
        async with self.portal.db.transaction() as tx:
            made: int = await tx.insert(notices, row)
        self.portal.services.bus.publish(Hint("notices", self.person_id))
        return made

    async def text(self, path: str = "/notices") -> str:
        answer = await self.client.get(path)
        assert answer.status_code == 200
        return answer.text

    async def titles(self, path: str = "/notices") -> list[str]:
        return re.findall(r'class="notice-title wrap" href="[^"]+">([^<]+)<', await self.text(path))


@pytest.fixture
async def desk(portal: Portal) -> Desk:
    return await Desk(portal).open()


# ---- the list and the bell ---------------------------------------------------------------------------------------------


async def test_an_empty_list_says_what_will_be_there(desk: Desk) -> None:
    text = await desk.text()
    assert "All is quiet" in text
    assert "Mark all as read" not in text
    assert "No notice fits this filter." in await desk.text("/notices?show=unread")


async def test_the_unread_first_and_filters(desk: Desk) -> None:
    first = await desk.add(charger="A")
    await desk.add(charger="B")
    await desk.add("charger_faulted", charger="C", said={"said": "GroundFailure"})
    assert (await post(desk.client, f"/notices/{first}/read", here="/notices?show=unread")).headers["location"] == (
        "/notices?show=unread"
    )
    assert await desk.titles() == ["C has a fault", "B is offline", "A is offline"]
    assert await desk.titles("/notices?show=unread") == ["C has a fault", "B is offline"]
    assert await desk.titles("/notices?event=charger_offline") == ["B is offline", "A is offline"]
    assert await desk.titles("/notices?event=nonsense&page=abc") == await desk.titles()
    assert await desk.titles("/notices?page=999999") == []
    assert "Lyon · GroundFailure" in await desk.text()


async def test_each_event_has_its_words_in_both_languages(desk: Desk) -> None:
    many = {"count": 12, "total": 40}
    await desk.add("many_offline", charger_id=None, key="many:1:1", said=many)
    await desk.add("restart_failed", said={"verdict": "unknown", "reason": "no_answer", "restart_id": 4})
    await desk.add("restart_failed", said={"verdict": "failed", "reason": "rejected", "restart_id": 5})
    batch = {"batch_id": 3, "total": 200, "failed": 12, "unknown": 1}
    await desk.add("restart_failed", key="batch:3", said=batch)
    await desk.add(ended_ms=desk.portal.clock.at_ms + 42 * 60_000)
    text = await desk.text()
    for said in ("12 of 40 chargers at Lyon went offline at once", "Nobody knows whether Quai 4 restarted",
                 "The restart of Quai 4 failed", "Refused by the charger", "Restarting 200 chargers did not succeed everywhere",
                 "failed: 12, not known: 1", "Quai 4 was offline", "over after 42 min"):  # fmt: skip
        assert said in text, said
    await post(desk.client, "/account/language", language="fr")
    text = await desk.text()
    for said in ("12 chargeurs sur 40 à Lyon sont passés hors ligne à la fois", "Le redémarrage de Quai 4 a échoué",
                 "Refusé par le chargeur", "Quai 4 était hors ligne", "terminé après 42"):  # fmt: skip
        assert said in text, said


async def test_opening_one_reads_it_and_goes_there(desk: Desk) -> None:
    places = {
        await desk.add(): "/chargers/7",
        await desk.add(key="batch:3", event="restart_failed"): "/batches/3",
        await desk.add(
            "many_offline", key="many:1:1", charger_id=None
        ): f"/chargers?location={desk.location_id}&status=offline",
    }
    for notice_id, place in places.items():
        answer = await desk.client.get(f"/notices/{notice_id}", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, place)
    assert await desk.titles("/notices?show=unread") == []


async def test_a_notice_that_was_only_mailed_can_be_opened(desk: Desk) -> None:
    notice_id = await desk.add(in_portal=0)
    assert await desk.titles() == []
    answer = await desk.client.get(f"/notices/{notice_id}", follow_redirects=False)
    assert answer.headers["location"] == "/chargers/7"


async def test_all_are_marked_that_were_there(desk: Desk) -> None:
    await desk.add(charger="A")
    seen = await desk.add(charger="B")
    assert f'name="newest" value="{seen}"' in await desk.text()
    await desk.add(charger="C")
    assert (await post(desk.client, "/notices/read", newest=str(seen), here="https://evil.test/")).headers[
        "location"
    ] == "/notices"
    assert await desk.titles("/notices?show=unread") == ["C is offline"]
    for bad in ("", "-1", "x", "9" * 400):
        assert (await post(desk.client, "/notices/read", newest=bad)).status_code == 404


async def test_the_bell_counts_and_pages_know_it_without_asking(desk: Desk) -> None:
    assert 'hx-trigger="load, live"' in await desk.text("/account"), "nobody asked yet"
    await desk.client.get("/notices/bell")
    assert 'hx-trigger="live"' in await desk.text("/account")
    await desk.add()
    await desk.add()
    await asyncio.sleep(0.01)  # hints come soon, not at once
    text = (await desk.client.get("/notices/bell")).text
    assert 'aria-label="Notices, 2 not read"' in text
    assert text.count(">2<") == 3, "the bell, and the two places of a phone"
    assert 'aria-label="Notices, 2 not read"' in await desk.text("/account")
    await post(desk.client, "/notices/read", newest="999999")
    assert 'aria-label="Notices"' in (await desk.client.get("/notices/bell")).text


async def test_text_of_chargers_is_text(desk: Desk) -> None:
    await desk.add("charger_faulted", charger="<b>x</b>", said={"said": "<img src=x onerror=alert(1)>"})
    text = await desk.text()
    assert "&lt;b&gt;x&lt;/b&gt; has a fault" in text
    assert "<img" not in text


async def test_only_ones_own_in_this_organisation_and_in_reach(portal: Portal, desk: Desk) -> None:
    mine = await desk.add(charger="Mine")
    other_id, elsewhere_id = await portal.add_organisation("Other")
    await portal.add_person("ali@a.test", (desk.organisation_id, "admin"), location_ids=(elsewhere_id,))
    await portal.add_person("eve@b.test", (other_id, "super-admin"))
    for email in ("ali@a.test", "eve@b.test"):
        client = portal.client()
        await log_in(client, email)
        assert "Mine" not in (await client.get("/notices")).text
        assert (await client.get(f"/notices/{mine}")).status_code == 404
        assert (await post(client, f"/notices/{mine}/read")).status_code == 404
        await post(client, "/notices/read", newest=str(mine))
    assert await desk.titles("/notices?show=unread") == ["Mine is offline"]


async def test_who_looks_in_with_consent_has_no_notices(portal: Portal, desk: Desk) -> None:
    helper = await portal.add_person("ines@c.test", operates=True)
    now_ms = portal.clock.at_ms
    async with portal.db.transaction() as tx:
        asked = await consents.ask(
            tx, desk.organisation_id, person_id=helper, person_name="Ines", why="", hours=4, now_ms=now_ms
        )
        answered = {
            "answered_by": desk.person_id,
            "answered_name": "C",
            "answered_ms": now_ms,
            "until_ms": now_ms + 10**7,
        }
        await tx.run(consents.consents.update().where(consents.consents.c.id == asked).values(**answered))
    client = portal.client()
    await log_in(client, "ines@c.test")
    await post(client, "/organisation", organisation_id=str(desk.organisation_id))
    page = await client.get("/chargers")
    assert page.status_code == 200
    assert 'id="bell"' not in page.text
    for path in ("/notices", "/notices/bell", "/notices/settings"):
        assert (await client.get(path)).status_code == 404


# ---- live --------------------------------------------------------------------------------------------------------------


async def test_only_their_owner_hears_of_notices(portal: Portal) -> None:
    """The topic names nobody: it is the listener's own."""

    def scope(person_id: int) -> Scope:
        return Scope(person_id=person_id, person_name="", organisation_id=1, role="super-admin", plan="basic")

    live = Live(portal.services.bus)
    mine, other = [LiveStream(scope(one), await allowed(portal.db, scope(one), parsed("notices"))) for one in (1, 2)]
    for stream in (mine, other):
        live.add(stream, None)
    portal.services.bus.publish(Hint("notices", 1))
    await asyncio.sleep(0.01)
    assert (mine.changed, other.changed) == ({"notices"}, set())
    with pytest.raises(Exception, match="no topic"):
        parsed("notices:2")
    again = LiveStream(scope(2), frozenset({"notices"}))
    live._remind(again, 10**15)
    assert again.changed == set()
    live.remove(mine)
    assert live._owners.keys() == {2}


# ---- what somebody hears of ----------------------------------------------------------------------------------------------


async def rules(desk: Desk) -> dict[str, tuple[int, int, int | None]]:
    rows = await desk.portal.db.all(select(notification_rules))
    return {row.event: (row.in_portal, row.by_mail, row.minutes) for row in rows}


DEFAULTS = {f"{event}_{where}": "1" for event in ("many_offline", "charger_offline", "charger_faulted", "restart_failed")
            for where in ("portal", "mail")} | {"minutes": "30"}  # fmt: skip


async def test_only_what_differs_is_kept(desk: Desk) -> None:
    text = await desk.text("/notices/settings")
    assert text.count(" checked") == 8
    assert '<option value="30" selected>' in text
    form = DEFAULTS | {"minutes": "5", "quiet_from": "22:00", "quiet_until": "07:00", "zone": "europe/paris"}
    del form["restart_failed_mail"]
    assert (await post(desk.client, "/notices/settings", **form)).status_code == 303
    assert await rules(desk) == {"charger_offline": (1, 1, 5), "restart_failed": (1, 0, None)}
    row = await store.quiet_of(desk.portal.db, desk.person_id)
    assert tuple(row or ()) == ("Europe/Paris", 1320, 420)
    text = await desk.text("/notices/settings")
    assert text.count(" checked") == 7
    assert '<option value="5" selected>' in text
    assert 'value="22:00"' in text
    assert 'value="Europe/Paris"' in text
    actions = [row[0] for row in await desk.portal.db.all(select(audit_log.c.action))]
    assert actions[-1] == "person.notices_changed"
    assert (await post(desk.client, "/notices/settings", **DEFAULTS)).status_code == 303
    assert await rules(desk) == {}
    row = await store.quiet_of(desk.portal.db, desk.person_id)
    assert tuple(row or ()) == ("UTC", None, None)


@pytest.mark.parametrize(
    ("field", "wrong", "said"),
    [
        ("quiet_from", "25:00", "A time of the day"),
        ("quiet_from", "٢٢:٠٠", "A time of the day"),
        ("quiet_until", "", "Leave both empty"),
        ("quiet_until", "22:00", "They would end as they begin"),
        ("zone", "Mars/Olympus", "Choose a time zone"),
        ("zone", "../etc/passwd\0", "Choose a time zone"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field_and_nothing_is_kept(
    desk: Desk, field: str, wrong: str, said: str
) -> None:
    form = {**DEFAULTS, "minutes": "5", "quiet_from": "22:00", "quiet_until": "07:00", "zone": "UTC", field: wrong}
    answer = await post(desk.client, "/notices/settings", **form)
    assert answer.status_code == 422
    assert said in re.search(rf'id="{field}-note">([^<]+)<', answer.text)[1]  # type: ignore[index]
    assert '<option value="5" selected>' in answer.text, "what was chosen stays"
    assert await rules(desk) == {}


async def test_nobody_hears_of_what_their_role_is_not_offered(portal: Portal) -> None:
    desk = await Desk(portal).open("user")
    text = await desk.text("/notices/settings")
    assert "Restart failed" not in text
    assert text.count(" checked") == 0
    form = {"restart_failed_portal": "1", "nonsense_mail": "1", "charger_offline_mail": "1", "minutes": "7"}
    assert (await post(desk.client, "/notices/settings", **form)).status_code == 303
    assert await rules(desk) == {"charger_offline": (0, 1, 30)}


# ---- the link in mails -----------------------------------------------------------------------------------------------------


def link(desk: Desk, *events: Any) -> str:
    return "/unsubscribe/" + desk.portal.services.notice_mail.token(
        Unsubscribe(desk.person_id, desk.organisation_id, events)
    )


async def test_looking_at_the_link_changes_nothing(desk: Desk) -> None:
    scanner = desk.portal.client()
    answer = await scanner.get(link(desk, "charger_offline", "restart_failed"))
    assert answer.status_code == 200
    assert "Mails from Atelier about: Charger offline, Restart failed or unknown." in answer.text
    assert EMAIL not in answer.text
    assert await rules(desk) == {}


async def test_a_mail_program_turns_it_off_with_one_post(desk: Desk) -> None:
    """No cookie, no token of a form, no login (RFC 8058). What is told in the portal, and all else, stays."""
    async with desk.portal.db.transaction() as tx:
        await store.set_rules(
            tx, desk.person_id, desk.organisation_id, [("charger_offline", 1, 1, 5), ("many_offline", 0, 1, 30)]
        )
    program = desk.portal.client()
    for _ in range(2):
        answer = await program.post(link(desk, "charger_offline"), data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 201 or answer.status_code == 200
        assert "No more of these mails" in answer.text
    assert await rules(desk) == {"charger_offline": (1, 0, 5), "many_offline": (0, 1, 30)}
    rows = await desk.portal.db.all(select(audit_log.c.action, audit_log.c.actor_id))
    assert [tuple(row) for row in rows if row.action == "person.unsubscribed"] == [
        ("person.unsubscribed", desk.person_id)
    ]


async def test_a_forged_link_does_nothing(desk: Desk) -> None:
    token = link(desk, "charger_offline")
    client = desk.portal.client()
    for path in (token[:-1], token + "A", "/unsubscribe/x", "/unsubscribe/" + "A" * 5_000):
        assert (await client.get(path)).status_code == 404
        assert (await client.post(path)).status_code == 404
    assert await rules(desk) == {}


async def test_the_link_of_somebody_who_left_names_nothing(portal: Portal, desk: Desk) -> None:
    async with portal.db.transaction() as tx:
        await tx.run(people.update().where(people.c.id == desk.person_id).values(disabled=1))
    client: httpx.AsyncClient = portal.client()
    assert "Atelier" not in (await client.get(link(desk, "charger_offline"))).text
    assert "No more of these mails" in (await client.post(link(desk, "charger_offline"))).text
    assert await rules(desk) == {}
