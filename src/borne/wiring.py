"""Wiring: from settings to running objects, by hand, in one place. The only one that knows SQLite from PostgreSQL.

Order matters: the lock, the database, the engine with its machines told of our absence, the gateway, the portal;
and back at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from borne.api.app import beside, create_api
from borne.api.services import ApiServices
from borne.bus.memory import MemoryBus
from borne.core.tags import TagAnswer
from borne.engine import batches as batches_module
from borne.engine import charger_changes, erasure, house, locations, mail, measure_again, price_lists
from borne.engine import invitations as invitations_module
from borne.engine import plans as plans_module
from borne.engine import reports as reports_module
from borne.engine.apply import Engine
from borne.engine.audit import Audit
from borne.engine.audit_watch import AuditWatch
from borne.engine.batches import Batches
from borne.engine.charger_changes import ChargerChanges
from borne.engine.clock import Clock
from borne.engine.invitations import Invitations
from borne.engine.jobs import Jobs
from borne.engine.locations import Locations
from borne.engine.metering import Meter
from borne.engine.notice_mail import NoticeMail
from borne.engine.notifications import Notifications
from borne.engine.outgoing import Outgoing
from borne.engine.partitions import Partitions
from borne.engine.passwords import Passwords
from borne.engine.plans import Plans
from borne.engine.price_lists import PriceLists
from borne.engine.prices import Prices
from borne.engine.reports import Reports
from borne.engine.restarts import Restarts, RestartSettings
from borne.engine.retention import Kept, Retention
from borne.engine.sessions import Sessions
from borne.engine.site_meter import SiteMeter
from borne.engine.sweep import Sweep
from borne.engine.timers import Timers
from borne.gateway.attempts import Attempts
from borne.gateway.directory import Directory, Follower
from borne.gateway.links import Links
from borne.gateway.schema_files import load_dialects
from borne.gateway.server import Gateway
from borne.gateway.settings import GatewaySettings
from borne.gateway.signs import flush_signs
from borne.portal import invitation_mail, report_words
from borne.portal.app import create_app
from borne.portal.connection import Connection
from borne.portal.live import close_streams
from borne.portal.notice_words import composer
from borne.portal.services import Health, PortalSettings, Services
from borne.settings import Settings, SettingsError
from borne.store import chargers, people
from borne.store.box import Box
from borne.store.db import Database, create_database
from borne.store.frame_log import FrameLog
from borne.store.keys import key_from
from borne.store.lock import server_lock

SHUTDOWN_S = 5
BROWSERS_MOST = 8_000  # connections of the portal; more are told 503, so that chargers keep room
KEEP_ALIVE_S = (
    75  # longer than a page is quiet: a connection that ends just when a browser uses it again is a failed request
)
BACKLOG = 4096
GC_THRESHOLD = 50_000  # a commit group holds some thousand objects for a moment: looking for cycles in them is in vain


class Server:
    """Borne, one process: `async with Server(settings)` starts it, `stopped` is set when it must end."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stopped = asyncio.Event()
        self.failure: str | None = None  # why it ended by itself
        self.setup_code: str | None = None
        folder = Path(settings.data_folder)
        self.charger_key = key_from(folder, "chargers")
        self.clock = Clock()
        self._started_ms = self.clock.now_ms()
        self.audit = Audit(key_from(folder, "audit"), self.clock)
        self.box = Box(key_from(folder, "secrets"))
        self.bus = MemoryBus()
        self.db: Database = create_database(settings.database)
        self.frames = FrameLog(folder / "frames", hours=settings.frames.hours, megabytes=settings.frames.megabytes)
        self.passwords = Passwords()
        self.attempts = Attempts(self.bus)
        self.links: Links | None = None
        self._build_engine()
        self.timers = Timers(self.engine, self.clock, self._heard_ms)
        self._exit = contextlib.AsyncExitStack()
        self._web: uvicorn.Server | None = None

    def _build_engine(self) -> None:
        rules = self.settings.restarts
        restart_settings = RestartSettings(
            deadline_least_s=rules.deadline_least_s, deadline_most_s=rules.deadline_most_s, at_once=rules.at_once
        )
        self.sessions = Sessions(self.clock, lambda: secrets.randbelow(2**31 - 1) + 1)
        self.engine = Engine(self.db, self.bus, self.clock, preparers=self.sessions.preparers(), on_broken=self._broken)
        self.restarts = Restarts(self.engine, restart_settings, self.audit)
        self.batches = Batches(self.engine, self.restarts, restart_settings)
        self.engine.after = self.batches.follow
        self.mail = mail.Mail(self.db, self.bus, self.clock, mail_settings(self.settings))
        handlers = {batches_module.JOB_KIND: self.batches.fill, mail.KIND: self.mail.deliver}
        places = Locations(self.db, self.bus, self.clock, self.audit)
        changes = ChargerChanges(self.engine, self.audit)
        handlers |= {locations.KIND: places.name_chargers, charger_changes.KIND: changes.carry_out}
        self.plans = Plans(self.db, self.bus, self.clock, self.audit, self.restarts, self.batches)
        handlers |= {plans_module.CHANGE_KIND: self.plans.carry_out, plans_module.DAYS_KIND: self.plans.write_down}
        write = invitation_mail.writer(self.settings.portal_url)
        invited = Invitations(self.db, self.bus, self.clock, self.mail, self.audit, write)
        handlers |= {invitations_module.JOB_KIND: invited.deliver}
        erasing = erasure.Erasure(self.db, self.bus, self.clock, self.audit, self.engine)
        handlers |= {erasure.KIND: erasing.follow_traces}
        report_of = report_words.composer(self.settings.portal_url, self.clock.now_ms)
        self.reports = Reports(self.db, self.bus, self.clock, self.mail, report_of)
        handlers |= {reports_module.KIND: self.reports.send}
        outgoing = Outgoing(self.settings.portal.private_providers)
        self.price_lists = PriceLists(self.db, self.bus, self.clock, outgoing)
        handlers |= {price_lists.KIND: self.price_lists.fetch_all}
        handlers |= {measure_again.KIND: measure_again.MeasureAgain(self.db).carry_out}
        self.jobs = Jobs(self.db, self.bus, self.clock, handlers)
        self.meter = Meter(self.db, self.bus, self.clock, Prices(self.db, self.clock))
        self.engine.metered = self.meter.take
        self.engine.partitions = self.partitions = Partitions(self.db, self.clock)
        kept = self.settings.retention
        retention = Retention(
            self.db,
            self.clock,
            Kept(**msgspec.structs.asdict(kept)),
            self.partitions,
        )
        self.sweep = Sweep(self.db, self.clock, [lambda: self.sessions.end_silent(self.engine), retention.once])
        self.notifications = Notifications(self.db, self.bus, self.clock)
        notice_key = key_from(Path(self.settings.data_folder), "notices")
        compose = composer(self.settings.portal_url, self.clock.now_ms)
        self.notice_mail = NoticeMail(self.db, self.clock, self.mail, notice_key, compose)
        self.audit_watch = AuditWatch(self.db, self.audit, Path(self.settings.data_folder), self.clock)

    async def _authorise(self, charger_id: int, tag: str) -> TagAnswer:
        return await self.sessions.authorise(self.db, self.engine.room(charger_id), tag)

    def _heard_ms(self, charger_id: int) -> int | None:
        return None if self.links is None else self.links.heard_ms(charger_id)

    async def _flush_signs(self, rows: Sequence[tuple[int, int]]) -> None:
        async with self.db.transaction() as tx:
            await chargers.flush_last_seen(tx, rows)

    def _broken(self, error: BaseException) -> None:
        self.stop(f"the database failed, Borne must start anew: {error}")

    def stop(self, failure: str | None = None) -> None:
        """Ask for an orderly end; with the sentence that says why, if it is no wish."""
        self.failure = self.failure or failure
        self.stopped.set()

    async def __aenter__(self) -> Server:
        portal_socket = _bind("portal", self.settings.portal.host, self.settings.portal.port)
        async with contextlib.AsyncExitStack() as exits:
            exits.callback(portal_socket.close)
            lost = "another server may have taken the database"
            await exits.enter_async_context(server_lock(self.settings.database, lambda: self.stop(lost)))
            await self.db.open()
            exits.push_async_callback(self.db.close)
            await self.frames.open()
            exits.push_async_callback(self.frames.close)
            await self._start_engine(exits)
            await self._start_gateway(exits)
            await self._start_portal(exits, portal_socket)
            self._exit = exits.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()

    async def _start_engine(self, exits: contextlib.AsyncExitStack) -> None:
        await self.partitions.make(self.clock.now_ms())
        self.engine.start()
        exits.push_async_callback(self.engine.stop)
        await house.begin(self.engine)
        exits.push_async_callback(self._end_house)
        await self.plans.begin()
        await self.reports.begin()
        await self.price_lists.begin()
        for part in (
            self.timers,
            self.jobs,
            self.meter,
            self.sweep,
            self.audit_watch,
            self.notifications,
            self.notice_mail,
        ):
            part.start()
            exits.push_async_callback(part.stop)
        if not await people.exist(self.db):
            self.setup_code = "-".join(secrets.token_hex(2) for _ in range(3))

    async def _start_gateway(self, exits: contextlib.AsyncExitStack) -> None:
        settings = gateway_settings(self.settings)
        links = self.links = Links(
            self.engine,
            self.restarts.take,
            self._authorise,
            settings,
            incarnation=self.engine.incarnation,
            rng=random.Random(secrets.randbits(128)),
            loop=asyncio.get_running_loop(),
            record=self.frames.record,
        )
        exits.callback(links.listen(self.bus))
        directory = Directory(self.charger_key, links.remove)
        follower = Follower(directory, self.db, self.bus, self.clock, settings.directory_poll_s)
        await follower.load()
        gateway = Gateway(links, directory, self.attempts, load_dialects(), settings)
        exits.push_async_callback(self._cancel, asyncio.create_task(follower.follow(), name="directory"))
        exits.push_async_callback(
            self._cancel, asyncio.create_task(flush_signs(links, self._flush_signs), name="signs")
        )
        try:
            await gateway.start()
        except OSError as error:
            raise _taken("gateway", settings.host, settings.port, error) from None
        exits.push_async_callback(gateway.stop)
        self._start_metrics(exits, links)

    def _start_metrics(self, exits: contextlib.AsyncExitStack, links: Links) -> None:
        part = self.settings.metrics
        if not part.port:
            return
        import prometheus_client

        registry = prometheus_client.CollectorRegistry()
        for collector in (links.counts, self.engine.counts):
            registry.register(collector)
        prometheus_client.ProcessCollector(registry=registry)
        try:
            server, thread = prometheus_client.start_http_server(part.port, part.host, registry)
        except OSError as error:
            raise _taken("metrics", part.host, part.port, error) from None
        exits.callback(thread.join, 1)
        exits.callback(server.shutdown)

    async def _cancel(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _end_house(self) -> None:
        if not self.engine.failing:
            await house.end(self.engine)

    async def _start_portal(self, exits: contextlib.AsyncExitStack, sock: socket.socket) -> None:
        portal = self.settings.portal
        app = create_app(self._services())
        config = uvicorn.Config(
            beside(app, create_api(self._api_services())),
            lifespan="on",
            http=Connection,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the portal reads X-Forwarded-For itself, from trusted proxies only
            timeout_graceful_shutdown=SHUTDOWN_S,
            timeout_keep_alive=KEEP_ALIVE_S,
            limit_concurrency=BROWSERS_MOST,
            ssl_certfile=portal.tls_certificate or None,
            ssl_keyfile=portal.tls_key or None,
        )
        self._web = _QuietServer(config)
        task = asyncio.create_task(self._web.serve(sockets=[sock]), name="portal")
        task.add_done_callback(self._portal_ended)
        exits.push_async_callback(self._stop_portal, task)
        exits.callback(close_streams, app)  # first: uvicorn waits for open answers, and streams never end by themselves
        while not self._web.started and not task.done():
            await asyncio.sleep(0.01)

    def _portal_ended(self, task: asyncio.Task[None]) -> None:
        if not self.stopped.is_set():
            self.stop("the portal ended unexpectedly")

    async def _stop_portal(self, task: asyncio.Task[None]) -> None:
        self.stopped.set()
        if self._web is not None:
            self._web.should_exit = True
        await asyncio.gather(task, return_exceptions=True)

    def _health(self) -> Health:
        folder, url = Path(self.settings.data_folder), self.settings.database
        file = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None
        gateway, engine = (self.links.counts if self.links else None), self.engine.counts
        return Health(
            started_ms=self._started_ms,
            database=self.db.dialect,
            database_bytes=file.stat().st_size if file and file.exists() else None,
            free_bytes=shutil.disk_usage(folder).free,
            links=gateway.links if gateway else 0,
            frames_in=gateway.frames_in if gateway else 0,
            refused_links=sum(gateway.refused_links.values()) if gateway else 0,
            facts=engine.facts,
            waiting=engine.waiting,
            dead_letters=engine.dead_letters,
        )

    def _api_services(self) -> ApiServices:
        return ApiServices(
            db=self.db,
            clock=self.clock,
            restarts=self.restarts,
            site_meter=SiteMeter(self.db, self.bus, self.clock, self.audit),
            trusted_proxies=tuple(self.settings.portal.trusted_proxies),
        )

    def _services(self) -> Services:
        return Services(
            db=self.db,
            bus=self.bus,
            clock=self.clock,
            settings=portal_settings(self.settings),
            passwords=self.passwords,
            mail=self.mail,
            engine=self.engine,
            restarts=self.restarts,
            batches=self.batches,
            attempts=self.attempts,
            frame_log=self.frames,
            audit=self.audit,
            audit_watch=self.audit_watch,
            box=self.box,
            notice_mail=self.notice_mail,
            reports=self.reports,
            charger_key=self.charger_key,
            setup_code=self.setup_code,
            health=self._health,
            storage_failing=lambda: self.engine.failing,
        )


class _QuietServer(uvicorn.Server):
    """uvicorn without its own handling of signals: one place decides when Borne ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def portal_settings(settings: Settings) -> PortalSettings:
    """What the pages need of the settings."""
    key = key_from(Path(settings.data_folder), "portal")
    return PortalSettings(
        public_url=settings.portal_url,
        gateway_url=settings.gateway_url,
        csrf_secret=key.hex(),
        trusted_proxies=tuple(settings.portal.trusted_proxies),
        default_plan=settings.default_plan,
        private_providers=settings.portal.private_providers,
    )


def gateway_settings(settings: Settings) -> GatewaySettings:
    """What the gateway needs of the settings."""
    part = settings.gateway
    return GatewaySettings(
        host=part.host,
        port=part.port,
        trusted_proxies=tuple(part.trusted_proxies),
        tls_certificate=part.tls_certificate or None,
        tls_key=part.tls_key or None,
        tls_client_ca=part.tls_client_ca or None,
        ping_s=part.ping_s,
        settle_s=part.settle_s,
        heartbeat_s=part.heartbeat_s,
        opens_a_minute=part.opens_a_minute,
    )


def mail_settings(settings: Settings) -> mail.MailSettings:
    """How mail leaves; without a host it stays in the embedded outbox."""
    part = settings.mail
    return mail.MailSettings(
        host=part.host or None,
        port=part.port,
        username=part.user or None,
        password=part.password or None,
        sender=part.sender,
        security=part.security,
    )


def _bind(name: str, host: str, port: int) -> socket.socket:
    """A listening socket. Raises SettingsError that says which port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _taken(name, host, port, error) from None
    sock.setblocking(False)
    return sock


def _taken(name: str, host: str, port: int, error: OSError) -> SettingsError:
    why = os.strerror(error.errno) if error.errno else str(error)
    variable = f"BORNE_{name.upper()}_PORT"
    return SettingsError(f"the {name} cannot listen on {host}:{port}: {why}; stop what uses it or set {variable}")


def run_loop(main: Any) -> None:
    """Run a coroutine on the fastest loop there is, with as many open files as the system allows: each link is one."""
    if sys.platform == "win32":
        asyncio.run(main)
        return
    import resource

    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (most, 65_536, 10_240):  # some systems allow less than they say
        if wanted > now or wanted == resource.RLIM_INFINITY:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
                break
    import uvloop

    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 50)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
