"""What the pages stand on. Wiring builds one `Services` and gives it to `create_app`; nothing in the portal reaches round it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from borne.bus.port import Bus
from borne.engine.apply import Engine
from borne.engine.audit import Audit
from borne.engine.audit_watch import AuditWatch
from borne.engine.batches import Batches
from borne.engine.clock import NowMs
from borne.engine.mail import Mail
from borne.engine.notice_mail import NoticeMail
from borne.engine.passwords import Passwords
from borne.engine.reports import Reports
from borne.engine.restarts import Restarts
from borne.store.box import Box
from borne.store.db import Database
from borne.store.frame_log import FrameLog


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


class PortalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that pages depend on."""

    public_url: str = "http://127.0.0.1:8080"  # without a slash at its end; links in mails start with it
    gateway_url: str = "ws://127.0.0.1:9000/ocpp"  # the charger's identity is added to it
    csrf_secret: str
    trusted_proxies: tuple[str, ...] = ()  # networks whose X-Forwarded-For is believed
    default_plan: str = "business"  # a key of core.plans.PLANS
    login_days: int = 14  # without a visit
    reset_minutes: int = 60
    private_providers: bool = False  # identity providers may be in our own network, and without TLS

    @property
    def is_https(self) -> bool:
        return self.public_url.startswith("https://")


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How this process is: what it counted since `started_ms`, and what waits now."""

    started_ms: int
    database: str  # sqlite, postgresql
    database_bytes: int | None  # of the file; None: not ours to measure
    free_bytes: int  # where the data folder lies
    links: int
    frames_in: int
    facts: int
    waiting: int  # facts that are not stored yet
    dead_letters: int
    refused_links: int


@dataclass(slots=True)
class Services:
    """What a page may use, and nothing else. `attempts` is a protocol because the gateway is a ring beside this one."""

    db: Database
    bus: Bus
    clock: NowMs
    settings: PortalSettings
    passwords: Passwords
    mail: Mail
    engine: Engine
    restarts: Restarts
    batches: Batches
    attempts: Attempts
    frame_log: FrameLog
    audit: Audit
    box: Box
    notice_mail: NoticeMail
    reports: Reports
    charger_key: bytes  # of the hashes of chargers' passwords; it lies outside the database
    health: Callable[[], Health]
    storage_failing: Callable[[], bool]  # True: what people do cannot be kept at the moment
    setup_code: str | None = None  # the one-time code of an empty database
    audit_watch: AuditWatch | None = None  # what the last verification of the audit log found
