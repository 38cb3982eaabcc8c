"""The routes of version 1: pages, restarts that happen once, errors that programs can read, a description that holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.api import api_of, client, make_token
from tests.support.restart_site import Site, running_site

pytestmark = pytest.mark.anyio


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as one:
        yield one


@pytest.fixture
async def program(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    token = await make_token(site.portal, site.camille_id, site.organisation_id)
    async with client(api_of(site.portal), f"Bearer {token}") as one:
        yield one


async def restart(program: httpx.AsyncClient, charger_id: int, key: str = "one", **body: Any) -> httpx.Response:
    return await program.post(f"/chargers/{charger_id}/restart", headers={"idempotency-key": key}, json=body or None)


async def test_pages_follow_each_other_by_name_and_nothing_is_twice(site: Site, program: httpx.AsyncClient) -> None:
    names = [f"Quai {number}" for number in (10, 9, 2, 1)] + ["Éclair", "quai 2"]
    for number, name in enumerate(names):
        await site.add_charger(name, location_id=site.lyon_id if number % 2 else site.nantes_id)
    found: list[str] = []
    address = "/chargers?limit=2"
    for _ in range(3):
        page = (await program.get(address)).json()
        found += [one["name"] for one in page["chargers"]]
        assert len(page["chargers"]) == 2
        address = (page["next"] or "").removeprefix("/api/v1")
    assert address == ""
    assert sorted(found) == sorted(names)
    assert found == [one["name"] for one in (await program.get("/chargers")).json()["chargers"]]


async def test_a_page_has_bounds_and_a_cursor_is_looked_at(site: Site, program: httpx.AsyncClient) -> None:
    await site.add_charger("A")
    for limit in ("0", "-5", "999999999999999999999"):
        assert len((await program.get(f"/chargers?limit={limit}")).json()["chargers"]) == 1
    assert (await program.get("/chargers?limit=ten")).status_code == 400
    for after in ("x", "W10", "WyJhIiwgImIiXQ", "%00", "WyIiLDk5OTk5OTk5OTk5OTk5OTk5OTk5OTldX", "A" * 5_000):
        answer = await program.get(f"/chargers?after={after}")
        assert answer.status_code in {400, 404}, after
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_charger_is_told_with_its_last_restart(site: Site, program: httpx.AsyncClient) -> None:
    charger_id = await site.online_charger("Quai 4")
    restart_id = await site.request(charger_id)
    told = (await program.get(f"/chargers/{charger_id}")).json()
    assert (told["name"], told["model"], told["online"], told["status"]) == (
        "Quai 4",
        "commander-2",
        True,
        "restarting",
    )
    assert told["location"] == {"id": site.lyon_id, "name": "Atelier Lumière, Lyon"}
    assert told["last_seen_at"].endswith("Z")
    assert told["restart"] == {"id": restart_id, "phase": "requested", "verdict": None}


async def test_a_restart_is_asked_for_followed_and_judged(site: Site, program: httpx.AsyncClient) -> None:
    charger_id = await site.online_charger()
    asked = await restart(program, charger_id, why="It hangs")
    assert asked.status_code == 202
    address = asked.headers["location"]
    assert address == f"/api/v1/restarts/{asked.json()['id']}"
    assert (asked.json()["phase"], asked.json()["why"], asked.json()["requested_by"]) == (
        "requested",
        "It hangs",
        "Camille",
    )
    await site.send(charger_id)
    await site.succeed(charger_id)
    told = (await program.get(address.removeprefix("/api/v1"))).json()
    assert (told["phase"], told["verdict"]) == ("ended", "succeeded")
    assert told["duration_ms"] > 80_000
    assert told["ended_at"] > told["sent_at"] > "2026"


async def test_the_same_key_restarts_once_and_means_one_thing(site: Site, program: httpx.AsyncClient) -> None:
    charger_id, other_id = await site.online_charger("A"), await site.online_charger("B")
    first = await restart(program, charger_id, why="A")
    again = await restart(program, charger_id, why="A")
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["id"] == again.json()["id"]
    await site.send(charger_id)
    await site.succeed(charger_id)
    late = await restart(program, charger_id, why="A")  # a retry after it was over is still the same one
    assert (late.status_code, late.json()["id"], late.json()["verdict"]) == (200, first.json()["id"], "succeeded")
    assert (await restart(program, charger_id, why="B")).status_code == 422
    assert (await restart(program, other_id, why="A")).status_code == 202  # another charger is another request
    followed = await restart(program, other_id, key="two")
    assert followed.status_code == 200, "one is under way: it is followed"
    assert len(await site.rows()) == 2


async def test_keys_of_two_people_are_two(site: Site, program: httpx.AsyncClient) -> None:
    charger_id = await site.online_charger()
    await restart(program, charger_id)
    await site.send(charger_id)
    await site.succeed(charger_id)
    token = await make_token(site.portal, site.ali_id, site.organisation_id)
    async with client(api_of(site.portal), f"Bearer {token}") as ali:
        assert (await restart(ali, charger_id)).status_code == 202


async def test_without_a_key_nothing_restarts(site: Site, program: httpx.AsyncClient) -> None:
    """No page of another origin can send this header: what a browser remembers of Basic is no way in."""
    charger_id = await site.online_charger()
    for headers in ({}, {"idempotency-key": ""}, {"idempotency-key": "x" * 81}):
        answer = await program.post(f"/chargers/{charger_id}/restart", headers=headers)
        assert answer.status_code == 400
    assert await site.rows() == []


NO_REQUESTS: list[dict[str, Any]] = [
    {"when": "soon"}, {"when": "2026-05-28T21:00:00"}, {"when": "2020-01-01T00:00:00Z"}, {"when": "2027-01-01T00:00:00Z"},
    {"evse": 1}, {"kind": "brutal"}, {"why": "x" * 501}, {"organisation_id": 2}, {"when": 5}, {"evse": 10**30},
    {"when": "9999-99-99T99:99:99+99:99"},
]  # fmt: skip


async def test_what_cannot_be_meant_is_refused(site: Site, program: httpx.AsyncClient) -> None:
    charger_id = await site.online_charger()
    for body in NO_REQUESTS:
        answer = await restart(program, charger_id, **body)
        assert answer.status_code in {400, 422}, body
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["title"]
    assert await site.rows() == []


async def test_a_restart_can_wait(site: Site, program: httpx.AsyncClient) -> None:
    charger_id = await site.online_charger()
    told = (await restart(program, charger_id, when="2026-05-29T06:00:00+02:00")).json()
    assert (told["phase"], told["not_before"]) == ("waiting", "2026-05-29T04:00:00.000Z")


async def test_reasons_are_words_and_sentences(site: Site, program: httpx.AsyncClient) -> None:
    pulsar = await site.add_charger("P", model="pulsar")
    answer = await restart(program, pulsar)
    assert answer.status_code == 409
    assert [one["reason"] for one in answer.json()["reasons"]] == ["model", "never_connected"]
    await site.set_plan("basic")
    refused = await restart(program, await site.online_charger())
    assert refused.status_code == 403
    assert [one["reason"] for one in refused.json()["reasons"]] == ["plan"]


async def test_hostile_text_is_text(site: Site, program: httpx.AsyncClient) -> None:
    charger_id = await site.online_charger()
    told = (await restart(program, charger_id, why="<b>\0 \n x\u202e")).json()
    assert told["why"] == "<b> x\u202e"


async def test_what_is_not_there(program: httpx.AsyncClient) -> None:
    for path in ("/nothing", "/chargers/x", f"/chargers/{10**30}", "/restarts/-1", "/restarts/0"):
        answer = await program.get(path)
        assert answer.status_code == 404, path
        assert answer.json()["status"] == 404


async def test_a_method_that_there_is_not_and_a_body_too_large(site: Site, program: httpx.AsyncClient) -> None:
    charger_id = await site.online_charger()
    wrong = await program.delete(f"/chargers/{charger_id}")
    assert wrong.status_code == 405
    assert wrong.headers["content-type"] == "application/problem+json"
    huge = await restart(program, charger_id, why="x" * 200_000)
    assert huge.status_code == 413
    nonsense = await program.post(
        f"/chargers/{charger_id}/restart", headers={"idempotency-key": "k"}, content=b'{"when": NaN'
    )
    assert nonsense.status_code == 400
    assert await site.rows() == []


async def test_the_description_is_open_and_names_every_route(site: Site) -> None:
    async with client(api_of(site.portal)) as anybody:
        told = (await anybody.get("/openapi.json")).json()
    assert told["openapi"].startswith("3.")
    assert set(told["paths"]) == {
        "/api/v1/me", "/api/v1/chargers", "/api/v1/chargers/{charger_id}", "/api/v1/chargers/{charger_id}/restart",
        "/api/v1/restarts/{restart_id}", "/api/v1/locations/{location_id}/site-meter",
    }  # fmt: skip
    posted = told["paths"]["/api/v1/chargers/{charger_id}/restart"]["post"]
    assert {"202", "400", "401", "403", "404", "409", "422", "429"} <= set(posted["responses"])
    assert "application/problem+json" in posted["responses"]["400"]["content"]
    assert [one["name"] for one in posted["parameters"] if one["in"] == "header"] == ["Idempotency-Key"]
    assert told["security"] == [{"token": []}, {"app_password": []}]


async def test_storage_that_fails_is_said_as_a_problem(site: Site, program: httpx.AsyncClient) -> None:
    await site.portal.db.close()
    answer = await program.get("/me")
    assert answer.status_code in {500, 503}
    assert answer.headers["content-type"] == "application/problem+json"
    await site.portal.db.open()
