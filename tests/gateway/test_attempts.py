"""Attempts and failures are bounded, and what strangers wrote is escaped."""

import asyncio

import pytest

from borne.bus.memory import MemoryBus
from borne.bus.port import Hint
from borne.gateway.attempts import MAX_ATTEMPTS, Attempts, Failures
from borne.gateway.directory import Directory
from tests.gateway.fakes import KEY, FakeRow

pytestmark = pytest.mark.anyio


async def test_attempts_are_escaped_bounded_and_told_to_whoever_waits() -> None:
    bus = MemoryBus()
    hints: list[Hint] = []
    bus.listen("charger", hints.append)
    attempts, directory = Attempts(bus), Directory(KEY, lambda *_: None)
    directory.take([FakeRow(1, "CP1", organisation_id=5)])
    attempts.note(1, "203.0.113.9", "CP1", "password", directory.find("CP1"))
    attempts.note(2, "203.0.113.9", "evil\r\n\x1b[31m\u202e" + "x" * 500, "identity", None)
    await asyncio.sleep(0)
    assert [(hint.id, hint.organisation_id) for hint in hints] == [(1, 5)]
    newest, oldest = attempts.recent()
    assert newest.identity.isprintable()
    assert newest.identity.isascii()
    assert len(newest.identity) == 64
    assert (oldest.reason, oldest.charger_id) == ("password", 1)
    for number in range(3 * MAX_ATTEMPTS):
        attempts.note(number, "203.0.113.9", "x", "identity", None)
    assert len(attempts.recent()) == MAX_ATTEMPTS


def test_a11_failures_count_within_a_minute_and_are_forgotten() -> None:
    failures = Failures(2)
    assert [failures.add(at_s, "a", "b") for at_s in (0, 1, 2)] == [False, False, True]
    assert failures.add(3, "a", "c")
    assert not failures.add(3, "d", "e")
    assert not failures.add(70, "a", "b")
