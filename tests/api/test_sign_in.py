"""What opens the API and what does not: tokens and app passwords alone, while they and their person's membership last."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import delete, select, update

from borne.store.schema import api_tokens, audit_log, memberships, organisations, people
from tests.support.api import api_of, basic, client, make_token
from tests.support.portal import PASSWORD, Portal, log_in, post, running_portal

pytestmark = pytest.mark.anyio
CAMILLE = "camille@demo.test"


class House:
    """A portal, its API, Camille in Atelier."""

    def __init__(self, portal: Portal, api: Litestar, organisation_id: int, person_id: int) -> None:
        self.portal, self.api = portal, api
        self.organisation_id, self.person_id = organisation_id, person_id

    async def token(self, **options: Any) -> str:
        return await make_token(self.portal, self.person_id, self.organisation_id, **options)

    async def me(self, authorization: str, address: str = "192.0.2.7") -> httpx.Response:
        async with client(self.api, authorization, address) as program:
            return await program.get("/me")

    async def change(self, statement: Any) -> None:
        async with self.portal.db.transaction() as tx:
            await tx.run(statement)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with running_portal(tmp_path) as portal:
        organisation_id, _ = await portal.add_organisation()
        person_id = await portal.add_person(CAMILLE, (organisation_id, "super-admin"))
        yield House(portal, api_of(portal), organisation_id, person_id)


async def test_a_token_says_whom_it_speaks_for(house: House) -> None:
    answer = await house.me(f"Bearer {await house.token(scopes=['read'])}")
    assert answer.status_code == 200
    told = answer.json()
    assert told["person"] == {"id": house.person_id, "name": "Camille", "email": CAMILLE}
    assert (told["organisation"]["name"], told["role"], told["scopes"]) == ("Atelier", "super-admin", ["read"])
    assert told["expires_at"] == "2026-08-26T20:26:40.000Z"
    row = await house.portal.db.first(select(api_tokens.c.used_ms, api_tokens.c.used_address))
    assert row == (house.portal.clock.at_ms, "192.0.2.7")


async def test_an_app_password_goes_with_the_e_mail_of_its_person(house: House) -> None:
    secret = await house.token(kind="password")
    assert re.fullmatch(r"(\w{5}-){3}\w{5}", secret)
    assert (await house.me(basic(CAMILLE.upper(), secret.upper().replace("-", "")))).status_code == 200
    assert (await house.me(basic("ali@demo.test", secret))).status_code == 401
    assert (await house.me(f"Bearer {secret}")).status_code == 401
    token = await house.token()
    assert (await house.me(basic(CAMILLE, token))).status_code == 401


async def test_nothing_else_opens_it(house: House) -> None:
    """Neither the browser's cookie nor the person's own password."""
    async with house.portal.client() as browser:
        await log_in(browser, CAMILLE)
        async with client(house.api) as program:
            program.cookies.update(browser.cookies)
            refused = await program.get("/me")
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["www-authenticate"].startswith('Bearer realm="Borne", Basic realm="Borne"')
    assert refused.json()["status"] == 401
    assert (await house.me(basic(CAMILLE, PASSWORD))).status_code == 401
    for header in ("Bearer", "Bearer ", "Digest x", "Basic !!", "Basic eA==", "Bearer é",
                   f"Bearer {'x' * 5_000}", basic("", "x"), basic("a\0b", "x")):  # fmt: skip
        assert (await house.me(header)).status_code == 401, header


async def test_only_hashes_are_kept(house: House, tmp_path: Path) -> None:
    secrets = [await house.token(), await house.token(kind="password")]
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    for secret in secrets:
        assert secret.encode() not in files
        assert secret.replace("-", "").encode() not in files


async def test_it_ends_when_its_time_is_over(house: House) -> None:
    short, endless = await house.token(days=30), await house.token(days=None)
    house.portal.clock.at_ms += 30 * 86_400_000
    assert (await house.me(f"Bearer {short}")).status_code == 401
    assert (await house.me(f"Bearer {endless}")).json()["expires_at"] is None


async def test_it_ends_with_the_membership_and_does_not_come_back_with_it(house: House) -> None:
    token = f"Bearer {await house.token(days=None)}"
    mine = memberships.c.person_id == house.person_id
    until = house.portal.clock.at_ms + 1_000
    await house.change(update(memberships).where(mine).values(expires_ms=until))
    assert (await house.me(token)).json()["expires_at"] == "2026-05-28T20:26:41.000Z"
    house.portal.clock.at_ms = until
    assert (await house.me(token)).status_code == 401
    await house.change(delete(memberships).where(mine))
    assert (await house.me(token)).status_code == 401
    row = {"person_id": house.person_id, "organisation_id": house.organisation_id, "role": "user", "created_ms": until}
    await house.change(memberships.insert().values(row))
    assert (await house.me(token)).status_code == 401


async def test_it_has_the_role_that_its_person_has_now(house: House) -> None:
    token = f"Bearer {await house.token()}"
    await house.change(update(memberships).where(memberships.c.person_id == house.person_id).values(role="operator"))
    assert (await house.me(token)).json()["role"] == "operator"
    await house.change(update(people).values(disabled=1))
    assert (await house.me(token)).status_code == 401


async def test_a_required_second_factor_counts_for_programs_too(house: House) -> None:
    token = f"Bearer {await house.token()}"
    await house.change(update(organisations).values(requires_second_factor=1))
    refused = await house.me(token)
    assert refused.status_code == 403
    assert "second factor" in refused.json()["detail"]
    await house.change(update(people).values(totp_secret=b"closed"))
    assert (await house.me(token)).status_code == 200


async def test_a_scope_that_it_lacks_is_named(house: House) -> None:
    async with client(house.api, f"Bearer {await house.token(scopes=['read'])}") as program:
        refused = await program.post("/chargers/1/restart", headers={"idempotency-key": "k"})
    assert refused.status_code == 403
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
    async with client(house.api, f"Bearer {await house.token(scopes=['everything'])}") as program:
        assert (await program.get("/me")).json()["scopes"] == ["read"]  # what is no scope gives nothing


async def test_guessing_is_slowed_for_the_guesser_alone(house: House) -> None:
    secret = await house.token(kind="password")
    codes = [(await house.me(basic(CAMILLE, f"guess-{n}"))).status_code for n in range(12)]
    assert codes == [401] * 10 + [429] * 2
    refused = await house.me(basic(CAMILLE, secret))
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert (await house.me(basic(CAMILLE, secret), "198.51.100.4")).status_code == 200  # its owner, elsewhere
    token = f"Bearer {await house.token()}"
    assert (await house.me(token)).status_code == 200  # a neighbour's program, behind the same address


async def test_many_names_from_one_address_are_slowed_too(house: House) -> None:
    codes = [(await house.me(f"Bearer borne_{n}")).status_code for n in range(61)]
    assert codes == [401] * 60 + [429]
    token = f"Bearer {await house.token()}"
    assert (await house.me(token, "198.51.100.4")).status_code == 200


async def test_one_program_whose_token_is_over_does_not_shut_out_its_neighbours(house: House) -> None:
    for _ in range(100):
        await house.me("Bearer borne_over")
    assert (await house.me(f"Bearer {await house.token()}")).status_code == 200


async def test_no_other_origin_is_answered(house: House) -> None:
    async with client(house.api, f"Bearer {await house.token()}") as program:
        answer = await program.get("/me", headers={"origin": "https://evil.test"})
        asked = await program.options(
            "/me", headers={"origin": "https://evil.test", "access-control-request-method": "GET"}
        )
    for one in (answer, asked):
        assert not [name for name in one.headers if name.startswith("access-control")]
    assert answer.headers["cache-control"] == "no-store"


# ---- the page that makes them -----------------------------------------------------------------------------------------


async def made(browser: httpx.AsyncClient, **fields: Any) -> str:
    page = await post(browser, "/account/tokens", **{"name": "Home", "kind": "token", "days": "30", **fields})
    assert page.status_code == 200
    found = re.search(r'id="secret">([^<]+)<', page.text)
    assert found
    return found[1]


async def test_a_person_makes_one_sees_it_once_and_revokes_it(house: House) -> None:
    async with house.portal.client() as browser:
        await log_in(browser, CAMILLE)
        token = await made(browser, scope="restart")
        answer = await house.me(f"Bearer {token}")
        assert answer.json()["scopes"] == ["read", "restart"]
        password = await made(browser, kind="password", name="Old client", days="0")
        assert (await house.me(basic(CAMILLE, password))).json()["expires_at"] is None
        page = (await browser.get("/account/tokens")).text
        assert token not in page
        assert password not in page
        assert "Old client" in page
        assert "192.0.2.7" in page
        ids = re.findall(r'name="token" value="(\d+)"', page)
        for one in ids:
            assert (await post(browser, "/account/tokens/revoke", token=one)).status_code == 303
        assert (await post(browser, "/account/tokens/revoke", token=ids[0])).status_code == 404
    assert (await house.me(f"Bearer {token}")).status_code == 401
    assert (await house.me(basic(CAMILLE, password))).status_code == 401
    actions = [row.action for row in await house.portal.db.all(select(audit_log.c.action).order_by(audit_log.c.seq))]
    assert actions.count("token.made") == actions.count("token.revoked") == 2
    assert "made for a program" in house.portal.mail.sent[-1]["body"]


async def test_nobody_revokes_what_another_made_and_forms_are_looked_at(house: House) -> None:
    await house.portal.add_person("ali@demo.test", (house.organisation_id, "admin"))
    await house.token()
    async with house.portal.client() as browser:
        await log_in(browser, "ali@demo.test")
        assert (await post(browser, "/account/tokens/revoke", token="1")).status_code == 404
        for fields in ({"kind": "admin"}, {"days": "31"}, {"days": "9" * 30}, {"days": ""}):
            sent = {"name": "X", "kind": "token", "days": "30", **fields}
            assert (await post(browser, "/account/tokens", **sent)).status_code == 404
        nameless = await post(browser, "/account/tokens", name=" ", kind="password", days="365", scope="restart")
        assert nameless.status_code == 422
        assert 'value="password" checked' in nameless.text
        assert '<option value="365" selected' in nameless.text
        everything = await made(browser, scope=["read", "restart", "admin"], organisation_id="99", role="super-admin")
        told = (await house.me(f"Bearer {everything}")).json()
        assert (told["role"], told["scopes"]) == ("admin", ["read", "restart"])


async def test_there_is_an_end_to_how_many(house: House) -> None:
    for _ in range(50):
        await house.token()
    async with house.portal.client() as browser:
        await log_in(browser, CAMILLE)
        answer = await post(browser, "/account/tokens", name="One more", kind="token", days="30")
        assert answer.status_code == 422
        assert "as many as there may be" in answer.text
