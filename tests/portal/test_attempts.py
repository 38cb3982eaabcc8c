"""The page of refused connections."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from borne.gateway.attempts import REASONS
from borne.portal.attempts import WHY
from tests.support.portal import START_MS, log_in, running_portal

pytestmark = pytest.mark.anyio


@dataclass
class Refused:
    at_ms: int
    address: str
    identity: str
    reason: str


class Known:
    def __init__(self, rows: list[Refused]) -> None:
        self.rows = rows

    def recent(self) -> list[Refused]:
        return self.rows


async def test_each_attempt_says_who_whence_and_why(tmp_path: Path) -> None:
    rows = [Refused(START_MS - 12_000, "192.0.2.9", "<i>CP-7</i>", "password"), Refused(START_MS, "::1", "", "strange")]
    async with running_portal(tmp_path, attempts=Known(rows)) as portal, portal.client() as browser:
        await portal.add_person("op@demo.test", operates=True)
        await log_in(browser, "op@demo.test")
        page = (await browser.get("/installation/attempts")).text
        assert "&lt;i&gt;CP-7&lt;/i&gt;" in page
        assert WHY["password"] in page
        assert "12 s ago" in page
        assert "strange" in page


async def test_no_more_than_a_thousand_are_shown(tmp_path: Path) -> None:
    rows = [Refused(START_MS, "192.0.2.9", f"CP-{number}", "identity") for number in range(1_200)]
    async with running_portal(tmp_path, attempts=Known(rows)) as portal, portal.client() as browser:
        await portal.add_person("op@demo.test", operates=True)
        await log_in(browser, "op@demo.test")
        page = (await browser.get("/installation/attempts")).text
        assert page.count("<code>CP-") == 1_000


def test_every_reason_of_the_gateway_has_its_words() -> None:
    assert set(REASONS) == set(WHY)
