"""The embedded outbox."""

from pathlib import Path

import pytest

from borne.store import mails
from tests.support.portal import log_in, running_portal

pytestmark = pytest.mark.anyio


async def test_who_operates_the_installation_reads_the_mails_and_nobody_else(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as other:
        organisation_id, _ = await portal.add_organisation()
        await portal.add_person("op@demo.test", operates=True)
        await portal.add_person("camille@demo.test", (organisation_id, "super-admin"))
        async with portal.db.transaction() as tx:
            for number in range(2):
                await mails.add(
                    tx, recipient=f"{number}@x.test", subject="<b>Hi</b>", body="http://l.test/?a&b", now_ms=number
                )
            await mails.mark_failed(tx, 1, "refused by <server>")
        await log_in(browser, "op@demo.test")
        page = (await browser.get("/installation/outbox")).text
        assert page.index("1@x.test") < page.index("0@x.test")
        assert "&lt;b&gt;Hi&lt;/b&gt;" in page
        assert "http://l.test/?a&amp;b" in page
        assert "refused by &lt;server&gt;" in page
        await log_in(other, "camille@demo.test")
        assert (await other.get("/installation/outbox")).status_code == 404


async def test_an_empty_outbox_says_when_it_fills(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await portal.add_person("op@demo.test", operates=True)
        await log_in(browser, "op@demo.test")
        assert "No mail yet" in (await browser.get("/installation/outbox")).text
