"""How fast somebody may try: counters in memory, each forgotten after its window, all together bounded.

The portal slows guessing down without letting a stranger lock anybody out: an address, and an address trying one account, are
refused for a while; an account that is tried from everywhere only answers more slowly.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable

MINUTE_MS = 60_000


class Counter:
    """Counts events by key over the last window; at `keys_bound` keys the oldest are forgotten."""

    def __init__(self, limit: int, window_ms: int, now_ms: Callable[[], int], keys_bound: int = 50_000) -> None:
        self.limit = limit
        self.window_ms = window_ms
        self._now_ms = now_ms
        self._keys_bound = keys_bound
        self._windows: OrderedDict[str, tuple[int, int]] = OrderedDict()  # key: (start of window, events in it)

    def count(self, key: str) -> int:
        started_ms, events = self._windows.get(key, (0, 0))
        return events if self._now_ms() - started_ms < self.window_ms else 0

    def add(self, key: str) -> int:
        """Note an event; how many there are now in its window."""
        events = self.count(key) + 1
        started_ms = self._windows[key][0] if events > 1 else self._now_ms()
        self._windows[key] = (started_ms, events)
        self._windows.move_to_end(key)
        while len(self._windows) > self._keys_bound:
            self._windows.popitem(last=False)
        return events

    def wait_s(self, key: str) -> int:
        """Seconds until the key may try again; 0 when it may now."""
        if self.count(key) < self.limit:
            return 0
        left_ms = self._windows[key][0] + self.window_ms - self._now_ms()
        return max(1, math.ceil(left_ms / 1_000))

    def take_back(self, key: str) -> None:
        """One event less in the key's window."""
        if self.count(key):
            started_ms, events = self._windows[key]
            self._windows[key] = (started_ms, events - 1)

    def forget(self, key: str) -> None:
        self._windows.pop(key, None)


class Limits:
    """The limits of everything that a stranger may try."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.address = Counter(60, 5 * MINUTE_MS, now_ms)  # failures; many people may share an address
        self.pair = Counter(8, 10 * MINUTE_MS, now_ms)  # failures of one address with one account
        self.account = Counter(15, 15 * MINUTE_MS, now_ms)  # failures of one account: slow from here on, never shut
        self.forgotten = Counter(3, 15 * MINUTE_MS, now_ms)  # mails to one account
        self.forgotten_address = Counter(20, 60 * MINUTE_MS, now_ms)
        self.setup = Counter(20, 5 * MINUTE_MS, now_ms)
        self._slow = 0

    def login_wait_s(self, address: str, email: str) -> int:
        """Seconds that this address has to wait before it may try this account; 0: now."""
        network = network_of(address)
        return max(self.address.wait_s(network), self.pair.wait_s(f"{network} {email}"))

    def login_tried(self, address: str, email: str) -> None:
        """Count a failure, before the password is looked at: a hundred guesses sent at once are a hundred guesses."""
        network = network_of(address)
        self.address.add(network)
        self.pair.add(f"{network} {email}")
        self.account.add(email)

    def login_succeeded(self, address: str, email: str) -> None:
        """It was no failure, and forgives those of this address with this account."""
        self.login_unjudged(address, email)
        self.pair.forget(f"{network_of(address)} {email}")

    def login_unjudged(self, address: str, email: str) -> None:
        """The password was not looked at after all."""
        network = network_of(address)
        self.address.take_back(network)
        self.pair.take_back(f"{network} {email}")
        self.account.take_back(email)

    async def slow_down(self, email: str) -> bool:
        """Wait a little where an account is under attack. False: too many wait already, try later."""
        over = self.account.count(email) - self.account.limit
        if over < 0:
            return True
        if self._slow >= SLOW_BOUND:
            return False
        self._slow += 1
        try:
            await asyncio.sleep(min(SLOWEST_S, SLOW_STEP_S * (over + 1)))
        finally:
            self._slow -= 1
        return True


SLOW_STEP_S = 0.25
SLOWEST_S = 3.0
SLOW_BOUND = 200  # requests waiting at once


def network_of(address: str) -> str:
    """Who an address is: itself in IPv4, its /64 in IPv6 (one subscriber has that many)."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
