"""How fast strangers may try."""

import pytest

from borne.portal import rate_limit
from borne.portal.rate_limit import Counter, Limits, network_of
from tests.support.portal import TestClock

pytestmark = pytest.mark.anyio


def test_a_counter_forgets_after_its_window() -> None:
    clock = TestClock()
    counter = Counter(3, 60_000, clock.now_ms)
    for _ in range(3):
        assert counter.wait_s("a") == 0
        counter.add("a")
    assert counter.wait_s("a") == 60
    assert counter.wait_s("b") == 0
    clock.at_ms += 59_500
    assert counter.wait_s("a") == 1
    clock.at_ms += 500
    assert counter.wait_s("a") == 0
    assert counter.add("a") == 1


def test_a_million_keys_add_nothing_after_the_bound() -> None:
    counter = Counter(3, 60_000, TestClock().now_ms, keys_bound=100)
    for number in range(1_000):
        counter.add(str(number))
    assert len(counter._windows) == 100
    assert counter.count("999") == 1


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_an_ipv6_subscriber_is_one(address: str, network: str) -> None:
    assert network_of(address) == network


def test_success_forgives_the_pair_but_not_the_address() -> None:
    limits = Limits(TestClock().now_ms)
    for _ in range(8):
        limits.login_tried("192.0.2.7", "a@b.c")
    assert limits.login_wait_s("192.0.2.7", "a@b.c") > 0
    assert limits.login_wait_s("192.0.2.7", "other@b.c") == 0
    limits.login_succeeded("192.0.2.7", "a@b.c")
    assert limits.login_wait_s("192.0.2.7", "a@b.c") == 0
    for number in range(60):
        limits.login_tried("192.0.2.7", f"{number}@b.c")
    assert limits.login_wait_s("192.0.2.7", "new@b.c") > 0


async def test_those_who_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "SLOW_BOUND", 0)
    limits = Limits(TestClock().now_ms)
    assert await limits.slow_down("a@b.c")
    for _ in range(16):
        limits.login_tried("192.0.2.7", "a@b.c")
    assert not await limits.slow_down("a@b.c")
