"""The pages that set an identity provider up: what is kept and what is never shown, the test, and who may."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import select

from borne.store import identity_providers as store
from borne.store.schema import audit_log, identities, identity_providers, logins
from tests.support.identity import running_provider
from tests.support.portal import SETTINGS, Portal, log_in, post, running_portal

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib")]
PATH = "/organisation/sign-in"
SECRET = "a client secret nobody reads"


@dataclass
class Office:
    portal: Portal
    browser: httpx.AsyncClient
    organisation_id: int
    camille_id: int

    async def add(self, **changes: str) -> httpx.Response:
        form = {"name": "Atelier ID", "issuer": "https://id.invalid", "client_id": "borne", "client_secret": SECRET}
        return await post(self.browser, PATH, **{**form, **changes})

    async def rows(self) -> list[Any]:
        return list(await self.portal.db.all(select(identity_providers).order_by(identity_providers.c.id)))

    async def page(self, path: str) -> str:
        return re.sub(r"\s+", " ", (await self.browser.get(path)).text)

    async def know(self, provider_id: int) -> None:
        """The provider knows Camille, who is logged in by it elsewhere."""
        now_ms = self.portal.clock.at_ms
        async with self.portal.db.transaction() as tx:
            await store.link(tx, provider_id, "camille", self.camille_id, now_ms)
            row = {"token_hash": b"x", "person_id": self.camille_id, "created_ms": now_ms, "seen_ms": now_ms,
                   "expires_ms": now_ms + 10**9, "provider_id": provider_id}  # fmt: skip
            await tx.insert_many(logins, tuple(row), [tuple(row.values())])

    async def known(self) -> tuple[int, int]:
        """How many identities, and logins through providers, there are."""
        db = self.portal.db
        by_provider = select(logins.c.person_id).where(logins.c.provider_id.is_not(None))
        return len(await db.all(select(identities.c.subject))), len(await db.all(by_provider))


@pytest.fixture
async def office(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Office]:
    settings = msgspec.structs.replace(SETTINGS, private_providers=getattr(request, "param", False))
    async with running_portal(tmp_path, settings=settings) as portal, portal.client() as browser:
        portal.clock.at_ms = time.time_ns() // 1_000_000
        organisation_id, _ = await portal.add_organisation()
        camille_id = await portal.add_person("camille@a.test", (organisation_id, "super-admin"))
        await log_in(browser, "camille@a.test")
        yield Office(portal, browser, organisation_id, camille_id)


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with running_provider() as address:
        yield address


async def test_a_provider_is_added_off_and_its_secret_is_never_shown(office: Office) -> None:
    assert "Everybody logs in with a password or a passkey" in await office.page(PATH)
    answer = await office.add()
    (row,) = await office.rows()
    assert answer.headers["location"] == f"{PATH}/{row.id}"
    assert (row.disabled, row.organisation_id) == (1, office.organisation_id)
    assert SECRET.encode() not in row.client_secret
    assert office.portal.services.box.open(row.client_secret) == SECRET
    assert len(row.slug) >= 20
    page = await office.page(f"{PATH}/{row.id}")
    assert f"http://portal.test/login/with/{row.slug}/back<" in page
    assert SECRET not in page
    assert "Off: nobody logs in with it" in page
    assert (await office.browser.get(f"/login/with/{row.slug}")).status_code == 404
    assert (await post(office.browser, f"{PATH}/{row.id}/enable")).status_code == 303
    assert (await office.browser.get(f"/login/with/{row.slug}")).status_code == 200
    details = await office.portal.db.all(select(audit_log.c.details))
    assert not any(SECRET in (one.details or "") for one in details)


WRONG = (
    ("name", "", "Please fill this in."),
    ("name", "x" * 61, "60 characters at most."),
    ("client_id", "", "Please fill this in."),
    ("issuer", "", "Please fill this in."),
    ("issuer", "http://id.example.com", "The address has to begin with https://."),
    ("issuer", "id.example.com", "This is no address that can be asked"),
    ("issuer", "javascript:alert(1)", "This is no address that can be asked"),
    ("issuer", "https://id.example.com/?x=1", "This is no address that can be asked"),
    ("issuer", "https://a:b@id.example.com", "This is no address that can be asked"),
    ("issuer", "https://x" * 100, "300 characters at most."),
    ("client_secret", "x" * 301, "300 characters at most."),
)


async def test_what_is_wrong_is_said_at_the_field_and_the_rest_is_kept(office: Office) -> None:
    for field, value, said in WRONG:
        answer = await office.add(**{field: value})
        assert answer.status_code == 422
        assert said in answer.text, value
        assert field == "client_id" or 'value="borne"' in answer.text
        assert SECRET not in answer.text
    assert await office.rows() == []


async def test_an_empty_secret_keeps_the_old_one_and_a_new_name_forgets_nobody(office: Office) -> None:
    await office.add()
    (row,) = await office.rows()
    await office.know(row.id)
    form = {"name": "New name", "issuer": "https://id.invalid", "client_id": "borne", "client_secret": ""}
    assert (await post(office.browser, f"{PATH}/{row.id}", covers_second_factor="1", **form)).status_code == 303
    (after,) = await office.rows()
    assert (after.name, after.covers_second_factor) == ("New name", 1)
    assert office.portal.services.box.open(after.client_secret) == SECRET
    assert await office.known() == (1, 1)


@pytest.mark.parametrize("change", [{"issuer": "https://other.invalid"}, {"client_id": "another"}])
async def test_another_issuer_or_client_knows_nobody_and_logs_everybody_out(
    office: Office, change: dict[str, str]
) -> None:
    """Another provider's "camille" may be anybody."""
    await office.add()
    (row,) = await office.rows()
    await office.know(row.id)
    form = {"name": "Atelier ID", "issuer": "https://id.invalid", "client_id": "borne"} | change
    assert (await post(office.browser, f"{PATH}/{row.id}", **form)).status_code == 303
    assert await office.known() == (0, 0)


async def test_one_is_forgotten_and_all_with_the_provider(office: Office) -> None:
    await office.add()
    (row,) = await office.rows()
    await office.know(row.id)
    answer = await post(office.browser, f"{PATH}/{row.id}/forget", email="nobody@a.test")
    assert (answer.status_code, "knows nobody by this address" in answer.text) == (422, True)
    assert (await post(office.browser, f"{PATH}/{row.id}/forget", email=" Camille@A.test ")).status_code == 303
    assert await office.known() == (0, 0)
    await office.know(row.id)
    assert (await post(office.browser, f"{PATH}/{row.id}/remove")).status_code == 303
    assert (await office.known(), await office.rows()) == ((0, 0), [])
    rows = await office.portal.db.all(select(audit_log.c.action).order_by(audit_log.c.seq))
    actions = [one.action for one in rows if one.action.startswith(("provider.", "person.identity"))]
    assert actions == ["provider.added", "person.identity_forgotten", "provider.removed"]


async def test_whoever_finds_an_open_browser_sets_up_no_way_in(office: Office) -> None:
    await office.add()
    (row,) = await office.rows()
    office.portal.clock.at_ms += 11 * 60_000
    for path in (
        PATH,
        f"{PATH}/{row.id}",
        f"{PATH}/{row.id}/enable",
        f"{PATH}/{row.id}/disable",
        f"{PATH}/{row.id}/remove",
    ):
        form = {"name": "Mine", "issuer": "https://evil.invalid", "client_id": "x"}
        answer = await post(office.browser, path, **form)
        assert answer.headers["location"].startswith("/account/confirm"), path
    (after,) = await office.rows()
    assert tuple(after) == tuple(row)


async def test_the_number_of_providers_is_bounded(office: Office) -> None:
    for _ in range(10):
        assert (await office.add()).status_code == 303
    assert (await office.add()).status_code == 409
    assert len(await office.rows()) == 10


# ---- the test --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("office", [True], indirect=True)
async def test_the_test_says_what_is_wrong(office: Office, issuer: str) -> None:
    await office.add(issuer=issuer)
    await office.add(issuer=issuer + "/")
    await office.add(issuer="http://127.0.0.1:9")
    await office.add(issuer=f"{issuer}/nothing")
    good, slash, nobody, missing = (row.id for row in await office.rows())
    for provider_id, said in (
        (good, "The provider answers as it should. It has 1 key for its signatures."),
        (slash, f"It calls itself {issuer}. Type the issuer exactly so."),
        (nobody, "Nobody answers there."),
        (missing, "It answered 404 instead of its description."),
    ):
        answer = await post(office.browser, f"{PATH}/{provider_id}/test")
        assert said in re.sub(r"\s+|</?b>", " ", answer.text).replace("  ", " "), said


async def test_private_addresses_are_not_asked_unless_the_installation_allows_it(office: Office, issuer: str) -> None:
    await office.add(issuer=issuer.replace("http:", "https:"))
    await office.add(issuer="https://169.254.169.254")
    for row in await office.rows():
        assert "leads into a private network" in (await post(office.browser, f"{PATH}/{row.id}/test")).text


async def test_tests_are_bounded(office: Office) -> None:
    await office.add(issuer="https://127.0.0.1")
    (row,) = await office.rows()
    answers = [await post(office.browser, f"{PATH}/{row.id}/test") for _ in range(21)]
    assert [answer.status_code for answer in answers] == [200] * 20 + [429]
