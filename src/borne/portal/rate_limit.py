"""How fast somebody may try.

The portal slows guessing down without letting a stranger lock anybody out: an address, and an address trying one account, are
refused for a while; an account that is tried from everywhere only answers more slowly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from borne.engine.rate_limit import MINUTE_MS, Counter, network_of


class Limits:
    """The limits of everything that a stranger may try."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.address = Counter(60, 5 * MINUTE_MS, now_ms)  # failures; many people may share an address
        self.pair = Counter(8, 10 * MINUTE_MS, now_ms)  # failures of one address with one account
        self.account = Counter(15, 15 * MINUTE_MS, now_ms)  # failures of one account: slow from here on, never shut
        self.forgotten = Counter(3, 15 * MINUTE_MS, now_ms)  # mails to one account
        self.forgotten_address = Counter(20, 60 * MINUTE_MS, now_ms)
        self.handover = Counter(10, 15 * MINUTE_MS, now_ms)  # codes that took no charger
        self.setup = Counter(20, 5 * MINUTE_MS, now_ms)
        self.provider = Counter(60, 5 * MINUTE_MS, now_ms)  # visits to identity providers from one address
        self.provider_test = Counter(20, 5 * MINUTE_MS, now_ms)  # looks at a provider for one organisation
        # Codes of a second factor: only who knows the password gets that far, so that these shut for a while.
        self.code = Counter(10, 15 * MINUTE_MS, now_ms)  # of one person, from wherever
        self.code_of_day = Counter(40, 24 * 60 * MINUTE_MS, now_ms)
        self.challenge = Counter(60, 5 * MINUTE_MS, now_ms)  # passkey challenges for one address
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

    def code_wait_s(self, address: str, person_id: int) -> int:
        """Seconds until a code of this person's second factor may be tried from this address; 0: now."""
        key = str(person_id)
        return max(self.address.wait_s(network_of(address)), self.code.wait_s(key), self.code_of_day.wait_s(key))

    def code_tried(self, address: str, person_id: int) -> int:
        """Count a failure before the code is looked at; how many there were of this person's."""
        self.address.add(network_of(address))
        self.code_of_day.add(str(person_id))
        return self.code.add(str(person_id))

    def code_fitted(self, address: str, person_id: int) -> None:
        """It was no failure. Earlier ones stay: whoever guesses is not forgiven because the owner came by."""
        self.address.take_back(network_of(address))
        for counter in (self.code, self.code_of_day):
            counter.take_back(str(person_id))

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
