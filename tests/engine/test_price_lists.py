"""Fetching price lists: from a real server on loopback; what is refused; the job of each day and its further attempts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from borne.bus.port import Hint
from borne.core import price_file
from borne.core.metering_slots import SLOT_MS
from borne.engine import outgoing, price_lists
from borne.engine.jobs import Jobs
from borne.engine.outgoing import Outgoing
from borne.engine.price_lists import AGAIN_MS, AT_MS, DAY_MS, KIND, PriceLists
from borne.store import energy_prices
from borne.store.db import Row
from borne.store.schema import jobs
from borne.store.schema import price_lists as lists_table
from tests.support.house import House, on_both, until

TODAY = 20_600  # days since 1970-01-01: 2026-05-27
HERE = 1


def csv_of(first_day: int, days: int = 1, price: str = "0.1") -> bytes:
    """An hourly list of whole days of UTC."""
    hours = (datetime.fromtimestamp((first_day * DAY_MS + hour * 3_600_000) / 1_000, UTC) for hour in range(24 * days))
    return ("start,price\n" + "".join(f"{hour:%Y-%m-%dT%H:%MZ},{price}\n" for hour in hours)).encode()


@dataclass
class Server:
    """Answers each request with what `answers` says of its path: a body, or whole bytes after b"raw "."""

    url: str = ""
    answers: dict[str, bytes] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    wait_s: float = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split()[1]
        self.heard.append(path)
        await asyncio.sleep(self.wait_s)
        body = self.answers[path]
        lines = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        writer.write(body[4:] if body.startswith(b"raw ") else lines.encode() + body)
        writer.close()


@asynccontextmanager
async def running_server() -> AsyncIterator[Server]:
    server = Server()
    running = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with running:
        server.url = f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}"
        yield server


@dataclass
class Market:
    """Lists of an organisation, and the server that some of them are fetched from."""

    house: House
    server: Server
    lists: PriceLists

    async def add(self, path: str, url: str = "") -> int:
        async with self.house.db.transaction() as tx:
            return await energy_prices.add_list(
                tx, HERE, name=path, currency="EUR", url=url or self.server.url + path, now_ms=1
            )

    async def row(self, list_id: int) -> Row:
        found = await energy_prices.list_row(self.house.db, HERE, list_id)
        assert found is not None
        return found

    async def fetch(self, list_id: int) -> tuple[str, str | None]:
        """What came of it, and what is noted at the list."""
        done = await self.lists.fetch(await self.row(list_id))
        return done, (await self.row(list_id)).error

    async def span(self, list_id: int) -> tuple[int, int | None, int | None]:
        return await energy_prices.span(self.house.db, HERE, list_id)

    async def waiting(self) -> list[tuple[int, dict[str, Any]]]:
        """The jobs that wait: when, and for what."""
        columns = (jobs.c.run_at_ms, jobs.c.payload)
        wanted = select(*columns).where(jobs.c.kind == KIND, jobs.c.done_ms.is_(None)).order_by(jobs.c.run_at_ms)
        return [(row.run_at_ms, json.loads(row.payload)) for row in await self.house.db.all(wanted)]


@pytest.fixture
async def market(house: House) -> AsyncIterator[Market]:
    house.clock.at_ms = TODAY * DAY_MS + AT_MS
    async with running_server() as server:
        yield Market(house, server, PriceLists(house.db, house.bus, house.clock, Outgoing(allow_private=True)))


@on_both
async def test_a_list_is_fetched_and_fetched_again(market: Market) -> None:
    list_id = await market.add("/prices.csv")
    market.server.answers["/prices.csv"] = csv_of(TODAY, 2)
    assert await market.fetch(list_id) == ("kept", None)
    assert await market.span(list_id) == (192, TODAY * DAY_MS, (TODAY + 2) * DAY_MS - SLOT_MS)
    assert (await market.row(list_id)).fetched_ms == market.house.clock.at_ms
    market.server.answers["/prices.csv"] = (
        b'[{"start": "2026-05-27T00:00Z", "end": "2026-05-27T00:15Z", "price": -0.5}]'
    )
    assert await market.fetch(list_id) == ("kept", None)
    assert (await market.span(list_id))[0] == 192, "what a later answer leaves out stays"
    assert await energy_prices.listed(market.house.db, list_id, [TODAY * DAY_MS]) == {TODAY * DAY_MS: -500_000}


REFUSED = {
    "/redirect": (
        b"raw HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n",
        "redirect 302",
    ),
    "/missing": (b"raw HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "status 404"),
    "/packed": (b"raw HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n\x1f\x8b", "json"),
    "/large": (b"x" * (outgoing.SIZE_BOUND + 1), "large"),
    "/html": (b"<html>", "line 1 header"),
    "/empty": (b"", "line 0 empty"),
    "/brackets": (b"[" * 100_000, "line 0 json"),
    "/bytes": (b"\xff\xfe\x00", "line 1 header"),
    "/twice": (b"start,price\n2026-05-27T00:00Z,1\n2026-05-27T00:00Z,2\n", "line 3 twice"),
    "/price": (b"start,price\n2026-05-27T00:00Z,1\n2026-05-27T01:00Z,1e999999999\n", "line 3 price"),
    "/nothing": (b"raw nonsense\r\n\r\n", "unreachable"),
}


async def test_answers_that_are_refused_are_noted_and_leave_what_was_known(market: Market) -> None:
    """No redirect is followed, nothing is unpacked, nothing of a wrong file is taken."""
    for path, (answer, said) in REFUSED.items():
        list_id = await market.add(path)
        market.server.answers[path] = csv_of(TODAY)
        await market.fetch(list_id)
        known = await market.span(list_id)
        fetched_ms = (await market.row(list_id)).fetched_ms
        market.house.clock.pass_s(60)
        market.server.answers[path] = answer
        assert await market.fetch(list_id) == ("failed", said), path
        assert await market.span(list_id) == known
        assert (await market.row(list_id)).fetched_ms == fetched_ms, "when it last brought prices"


async def test_an_answer_that_does_not_come_is_given_up(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "TIMEOUT_S", 0.05)
    market.server.wait_s, market.server.answers["/slow"] = 0.3, csv_of(TODAY)
    assert await market.fetch(await market.add("/slow")) == ("failed", "slow")


async def test_nothing_of_ones_own_network_is_asked(market: Market) -> None:
    """As it is unless the installation's owner allows it: neither a machine nor what a name leads to."""
    careful = PriceLists(market.house.db, market.house.bus, market.house.clock, Outgoing())
    for url, said in (
        (market.server.url + "/x", "plain"),
        ("https://127.0.0.1/x", "private"),
        ("https://169.254.169.254/latest/meta-data", "private"),
        ("https://[::ffff:10.0.0.1]/x", "private"),
        ("https://localhost/x", "private"),
    ):
        list_id = await market.add(url, url)
        assert await careful.fetch(await market.row(list_id)) == "failed"
        assert (await market.row(list_id)).error == said, url
    assert market.server.heard == []


async def test_prices_of_an_address_that_was_changed_meanwhile_are_not_taken(market: Market) -> None:
    list_id = await market.add("/old")
    market.server.answers["/old"] = csv_of(TODAY)
    row = await market.row(list_id)
    async with market.house.db.transaction() as tx:
        await energy_prices.change_list(tx, HERE, list_id, "New", market.server.url + "/new")
    assert await market.lists.fetch(row) == "gone"
    assert await market.span(list_id) == (0, None, None)


# ---- the job of each day ---------------------------------------------------------------------------------------------


@on_both
async def test_each_day_all_lists_are_fetched_at_one_in_the_afternoon_utc(market: Market) -> None:
    """By the durable jobs themselves: due at its time, done once, and the next day's waits."""
    house = market.house
    house.clock.at_ms = TODAY * DAY_MS + AT_MS - 1
    ids = [await market.add(f"/{number}") for number in range(3)]
    market.server.answers |= {f"/{number}": csv_of(TODAY, 2) for number in range(3)}
    await market.add("/by-hand", url="")
    async with house.db.transaction() as tx:
        await tx.run(lists_table.update().where(lists_table.c.name == "/by-hand").values(url=None))
    await market.lists.begin()
    await market.lists.begin()  # a restart adds none
    assert await market.waiting() == [(TODAY * DAY_MS + AT_MS, {"day": TODAY, "attempt": 0, "ids": None})]
    running = Jobs(house.db, house.bus, house.clock, {KIND: market.lists.fetch_all})
    running.start()
    try:
        house.clock.at_ms += 1
        await until(lambda: _is_next(market, TODAY + 1))
    finally:
        await running.stop()
    assert sorted(market.server.heard) == ["/0", "/1", "/2"]
    assert [(await market.span(one))[0] for one in ids] == [192] * 3
    assert [at_ms for at_ms, _ in await market.waiting()] == [(TODAY + 1) * DAY_MS + AT_MS]


async def _is_next(market: Market, day: int) -> bool:
    market.house.bus.publish(Hint("job", 0))
    return [said["day"] for _, said in await market.waiting()] == [day]


async def test_lists_that_failed_or_know_nothing_of_tomorrow_are_asked_again_that_day(market: Market) -> None:
    good, late, down = await market.add("/good"), await market.add("/late"), await market.add("/down")
    market.server.answers = {"/good": csv_of(TODAY, 2), "/late": csv_of(TODAY), "/down": b"raw x\r\n\r\n"}
    await market.lists.fetch_all(json.dumps({"day": TODAY}))
    assert (await market.row(down)).error == "unreachable"
    again, tomorrow = await market.waiting()
    assert again == (market.house.clock.at_ms + AGAIN_MS[0], {"day": TODAY, "attempt": 1, "ids": [late, down]})
    assert tomorrow[0] == (TODAY + 1) * DAY_MS + AT_MS
    market.server.heard.clear()
    market.server.answers["/late"] = csv_of(TODAY, 2)
    await market.lists.fetch_all(json.dumps(again[1]))
    assert sorted(market.server.heard) == ["/down", "/late"]
    assert (await market.span(late))[0] == 192
    assert [said["ids"] for _, said in await market.waiting() if said["attempt"] == 2] == [[down]]
    assert (await market.span(good))[0] == 192
    last = {"day": TODAY, "attempt": len(AGAIN_MS), "ids": [down]}
    count = len(await market.waiting())
    await market.lists.fetch_all(json.dumps(last))
    assert len(await market.waiting()) == count, "then tomorrow"


async def test_after_days_away_the_day_after_today_is_next(market: Market) -> None:
    market.house.clock.at_ms += 5 * DAY_MS
    await market.lists.fetch_all(json.dumps({"day": TODAY}))
    assert [at_ms for at_ms, _ in await market.waiting()] == [(TODAY + 6) * DAY_MS + AT_MS]


async def test_one_list_that_cannot_be_read_holds_up_no_other(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = await market.add("/bad"), await market.add("/good")
    market.server.answers = {"/bad": b"boom", "/good": csv_of(TODAY, 2)}
    monkeypatch.setattr(price_lists, "read", _failing(price_file.read))
    await market.lists.fetch_all(json.dumps({"day": TODAY}))
    assert (await market.span(good))[0] == 192
    assert [said["ids"] for _, said in await market.waiting() if said["attempt"]] == [[bad]]


def _failing(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def read_or_fail(text: str) -> Any:
        if text == "boom":
            raise RuntimeError(text)
        return read(text)

    return read_or_fail
