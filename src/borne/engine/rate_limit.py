"""How often something was tried: counters in memory, each forgotten after its window, all together bounded."""

from __future__ import annotations

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
