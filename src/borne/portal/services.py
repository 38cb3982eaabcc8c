"""What the pages stand on. Wiring builds one `Services` and gives it to `create_app`; nothing in the portal reaches round it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from borne.bus.port import Bus


class Clock(Protocol):
    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC; immune to steps of the wall clock within a run."""
        ...


class Attempt(Protocol):
    """A connection that the gateway refused."""

    @property
    def at_ms(self) -> int: ...
    @property
    def address(self) -> str: ...
    @property
    def identity(self) -> str: ...
    @property
    def charger_id(self) -> int:
        """The charger that has this identity; 0 where none has."""
        ...

    @property
    def reason(self) -> str:
        """A word: path, identity, password, … (`portal.attempts.WHY` says each in a sentence)."""
        ...


class Attempts(Protocol):
    """The last refused connections, in memory (bounded)."""

    def recent(self) -> Sequence[Attempt]:
        """Newest first."""
        ...


class Passwords(Protocol):
    """Slow hashes, made away from the loop. Raises `engine.passwords.TooBusyError` at the bound of its queue."""

    async def hash(self, password: str) -> str: ...

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """False for None too, after the same time."""
        ...

    def is_outdated(self, password_hash: str) -> bool: ...


class Mail(Protocol):
    async def enqueue(self, transaction: Any, *, recipient: str, subject: str, body: str, key: str) -> None:
        """Mail `body` (plain text) once for each `key`, if the transaction commits."""
        ...


class PortalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that pages depend on."""

    public_url: str = "http://127.0.0.1:8080"  # without a slash at its end; links in mails start with it
    gateway_url: str = "ws://127.0.0.1:9000/ocpp"  # the charger's identity is added to it
    csrf_secret: str
    trusted_proxies: tuple[str, ...] = ()  # networks whose X-Forwarded-For is believed
    default_plan: str = "business"  # a key of core.plans.PLANS
    login_days: int = 14  # without a visit
    reset_minutes: int = 60

    @property
    def is_https(self) -> bool:
        return self.public_url.startswith("https://")


async def _always() -> bool:
    return True


def _never() -> bool:
    return False


@dataclass(slots=True)
class Services:
    """`engine`, `frame_log` and `attempts` belong to other rings; pages use only the methods that their docstrings name."""

    db: Any  # store.db.Database
    bus: Bus
    clock: Clock
    settings: PortalSettings
    passwords: Passwords
    mail: Mail
    engine: Any = None  # engine.Engine
    restarts: Any = None  # engine.restarts.Restarts: request, withdraw
    batches: Any = None  # engine.batches.Batches: request, answer
    attempts: Attempts | None = None
    frame_log: Any = None  # raw frames of a charger
    charger_key: bytes = b""  # the key of the hashes of chargers' passwords; it lies outside the database
    setup_code: str | None = None  # the one-time code of an empty database
    storage_failing: Callable[[], bool] = _never  # True: what people do cannot be kept at the moment
    ready: Callable[[], Awaitable[bool]] = field(default=_always)  # what /healthz asks
