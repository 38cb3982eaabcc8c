"""A real Borne for tests: `borne serve` in its own folder on free ports, filled through `borne admin`; and simulated chargers.

with running_site(folder) as site, charger_yard(site) as yard:
    charger = yard.connect(site.add_charger("Court", organisation="Lumen"), behaviour="rejects")
    charger.resets  # how many Resets have reached it
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import httpx
from click.testing import CliRunner

from borne.admin import admin
from borne.sim.behaviours import behaviour_named
from borne.sim.charger_bot import ChargerBot
from borne.sim.journal import Kind, LogEntry
from borne.sim.talk import Device
from borne.sim.websocket_dial import dial_websocket

T = TypeVar("T")
PASSWORD = "correct horse battery"
START_S = 30.0
STOP_S = 15.0
WAIT_S = 15.0
# Times short enough that a verdict takes seconds.
QUICK: dict[str, Any] = {
    "gateway": {"ping_s": 2.0, "settle_s": 1.0, "heartbeat_s": 1, "opens_a_minute": 200},
    "restarts": {"deadline_least_s": 4, "deadline_most_s": 4},
}


def wait_until(holds: Callable[[], object], what: str, timeout_s: float = WAIT_S) -> None:
    """Poll until `holds()`. Raises AssertionError naming what did not come."""
    deadline_s = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A charger as `borne admin add-charger` made it, and its id in the database."""

    id: int
    name: str
    identity: str
    password: str
    url: str


@dataclass
class Site:
    """A running server and everything it takes to fill it. `sql` reads and writes its database beside it."""

    folder: Path
    portal_port: int
    gateway_port: int
    process: subprocess.Popen[bytes] | None = None
    logins: dict[str, Any] = field(default_factory=dict)  # e-mail: a browser's storage once logged in
    database_url: str | None = None  # None: SQLite in its folder

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.portal_port}"

    @property
    def gateway_url(self) -> str:
        return f"ws://127.0.0.1:{self.gateway_port}/ocpp"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    @property
    def setup_code(self) -> str:
        """The one-time code that the log prints on an empty database."""
        found = re.search(r"type the code (\S+)", self.log)
        assert found, f"the log prints no code:\n{self.log}"
        return found[1]

    # ---- filling it

    def admin(self, *words: str) -> str:
        """Run `borne admin …` beside the server and return what it printed."""

        def run() -> str:
            result = CliRunner().invoke(admin, [*words, "--config", str(self._config)], catch_exceptions=False)
            assert result.exit_code == 0, result.output
            return result.stdout

        return in_thread(run)

    def add_organisation(self, name: str, plan: str, *locations: str, time_zone: str = "Europe/Paris") -> int:
        """An organisation with these locations; its id."""
        first, *others = locations or ("Main",)
        self.admin("create-organisation", "--name", name, "--plan", plan, "--location", first, "--time-zone", time_zone)
        (organisation_id,) = self.sql("SELECT id FROM organisations WHERE name = ?", name)[0]
        for other in others:
            self.sql(
                "INSERT INTO locations (organisation_id, name, address, time_zone, accepts_unknown_tags, created_ms)"
                " VALUES (?, ?, '', ?, 1, 0)",
                organisation_id, other, time_zone,
            )  # fmt: skip
        self.sql("UPDATE locations SET accepts_unknown_tags = 1 WHERE organisation_id = ?", organisation_id)
        return int(organisation_id)

    def add_person(
        self,
        email: str,
        role: str,
        organisation: str,
        *,
        name: str = "",
        locations: tuple[str, ...] = (),
        operates: bool = False,
    ) -> str:
        """An account with PASSWORD; its e-mail."""
        words = ["--email", email, "--password", PASSWORD, "--role", role, "--organisation", organisation]
        words += [word for place in locations for word in ("--location", place)]
        words += ["--name", name] if name else []
        self.admin("create-user", *words, *(["--operates-installation"] if operates else []))
        return email

    def add_charger(
        self, name: str, organisation: str, *, location: str = "", model: str = "other", serial: str = ""
    ) -> Credentials:
        """A charger, and what to type into it."""
        words = ["--name", name, "--organisation", organisation, "--model", model, "--serial", serial, "--json"]
        made = json.loads(self.admin("add-charger", *words, *(["--location", location] if location else [])))
        (charger_id,) = self.sql("SELECT id FROM chargers WHERE identity = ?", made["identity"])[0]
        return Credentials(charger_id, name, **made)

    def assign(self, email: str, *charger_ids: int) -> None:
        """Let a user use these chargers."""
        (person_id,) = self.sql("SELECT id FROM people WHERE email = ?", email)[0]
        for charger_id in charger_ids:
            self.sql("INSERT INTO assignments (person_id, charger_id) VALUES (?, ?)", person_id, charger_id)

    # ---- looking inside

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement on the database, beside the server."""
        if self.database_url is not None:
            return in_thread(lambda: asyncio.run(_ask_postgres(str(self.database_url), statement, values)))
        with closing(sqlite3.connect(self.folder / "data" / "borne.sqlite3", timeout=10)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def verdicts(self, charger_id: int) -> list[tuple[str | None, str | None]]:
        """Verdict and reason of each restart of a charger, oldest first."""
        rows = self.sql("SELECT state FROM restarts WHERE charger_id = ? ORDER BY id", charger_id)
        return [(state.get("verdict"), state.get("reason")) for state in (json.loads(text) for (text,) in rows)]

    # ---- running it

    @property
    def _config(self) -> Path:
        return self.folder / "borne.toml"

    def start(self) -> None:
        """Start the server. Raises AssertionError with its log when it does not answer in time."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("BORNE_")}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "borne", "serve", "--config", str(self._config)],
                stdout=log, stderr=subprocess.STDOUT, env=clean, cwd=self.folder,
            )  # fmt: skip
        wait_until(self._answers, f"the portal on {self.url}\n{self.log}", START_S)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended:\n{self.log}"
        try:
            return httpx.get(f"{self.url}/login", timeout=2).status_code < 500
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        """Stop the server that `start` started."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_S)
        self.process = None


async def _ask_postgres(url: str, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    numbers = iter(range(1, 1 + len(values)))
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(re.sub(r"\?", lambda _: f"${next(numbers)}", statement), *values)
    finally:
        await connection.close()
    return [tuple(row) for row in rows]


@contextmanager
def running_site(folder: Path, database_url: str | None = None, **settings: dict[str, Any]) -> Iterator[Site]:
    """A server inside the block; `settings` are sections of its TOML file, over the quick ones."""
    folder.mkdir(parents=True, exist_ok=True)
    site = Site(folder, free_port(), free_port(), database_url=database_url)
    sections = {name: {**QUICK.get(name, {}), **settings.get(name, {})} for name in {*QUICK, *settings, "portal"}}
    sections["portal"]["port"] = site.portal_port
    if "public_url" in sections["portal"]:  # "http://localhost:{port}"
        sections["portal"]["public_url"] = sections["portal"]["public_url"].format(port=site.portal_port)
    sections["gateway"]["port"] = site.gateway_port
    lines = [f'data_folder = "{folder / "data"}"']
    lines += [f'database_url = "{database_url}"'] if database_url else []
    for name, values in sections.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    (folder / "borne.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    try:
        site.start()
        yield site
    finally:
        site.stop()


def free_port() -> int:
    """A port of the loopback that nobody listens on just now; below those that outgoing connections take."""
    for _ in range(100):
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


def in_thread(work: Callable[[], T]) -> T:
    """Run something that starts an event loop of its own: the browser's holds the main thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


# ---- chargers ----------------------------------------------------------------------------------------------------


class Charger:
    """A simulated charger on a real socket, driven from the test's thread."""

    def __init__(self, yard: Yard, credentials: Credentials, bot: ChargerBot) -> None:
        self.credentials = credentials
        self.bot = bot
        self._yard = yard

    @property
    def id(self) -> int:
        return self.credentials.id

    @property
    def name(self) -> str:
        return self.credentials.name

    def entries(self, kind: Kind) -> list[LogEntry]:
        return [entry for entry in list(self.bot.log) if entry.kind is kind]

    @property
    def resets(self) -> int:
        """How many Resets have reached it."""
        return len(self.entries(Kind.RESET_RECEIVED))

    def wait_online(self) -> Charger:
        """Wait until it has told its statuses and Borne knows it."""
        wait_until(lambda: self.bot.talk_if_ready() is not None, f"{self.name} registered")
        wait_until(lambda: self._yard.site.sql("SELECT online FROM chargers WHERE id = ?", self.id) == [(1,)], "online")
        return self

    def say(self, status: str, connector: int = 1) -> None:
        """A connector changes its status (1.6 words)."""
        self._yard.run(self.bot.set_status(connector, status))

    def begin_session(self) -> None:
        """Somebody charges at connector 1."""

        async def begin() -> None:
            self.bot.sessions.remote_start(1, "TAG-1", None)

        self._yard.run(begin())
        count = "SELECT count(*) FROM sessions WHERE charger_id = ? AND ended_ms IS NULL"
        wait_until(lambda: self._yard.site.sql(count, self.id) == [(1,)], "a session")

    def end_session(self) -> None:
        """…and leaves."""

        async def end() -> None:
            self.bot.sessions.end(1, "Local")

        self._yard.run(end())

    def stop(self) -> None:
        """It goes offline with a goodbye."""
        self._yard.run(self.bot.stop())


class Yard:
    """Where simulated chargers live: a thread with an event loop of its own."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.chargers: list[Charger] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="yard", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T] | Awaitable[T]) -> T:
        """Run a coroutine among the chargers and wait for it."""

        async def wrapped() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(wrapped(), self._loop).result(WAIT_S)

    def connect(
        self,
        credentials: Credentials,
        behaviour: str = "by-the-book",
        *,
        scale: float = 0.25,
        tweaks: dict[str, Any] | None = None,
        wait: bool = True,
        password: str | None = None,
        url: str | None = None,
        device: Device | None = None,
        protocol: Any = "1.6",
        **more: Any,
    ) -> Charger:
        """Let a charger dial in, with times scaled by `scale`; `wait` for its first statuses."""
        changed = {"reconnect_min_s": 0.2, "reconnect_max_s": 1.0, **(tweaks or {})}

        async def begin() -> ChargerBot:
            bot = ChargerBot(
                identity=credentials.identity,
                password=credentials.password if password is None else password,
                url=url or self.site.gateway_url,
                dial=dial_websocket,
                now=lambda: datetime.now(UTC),
                rng=random.Random(credentials.identity),
                behaviour=behaviour_named(behaviour, scale, changed),
                device=device or Device(serial=credentials.identity[:25]),
                protocol=protocol,
                **more,
            )
            bot.start()
            return bot

        charger = Charger(self, credentials, self.run(begin()))
        self.chargers.append(charger)
        return charger.wait_online() if wait else charger

    def empty(self) -> None:
        """Stop every charger."""
        leaving, self.chargers = self.chargers, []
        self.run(asyncio.wait_for(_all(charger.bot.stop() for charger in leaving), WAIT_S))

    def close(self) -> None:
        self.empty()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()


async def _all(works: Iterator[Awaitable[Any]] | Any) -> None:
    await asyncio.gather(*works, return_exceptions=True)


@contextmanager
def charger_yard(site: Site) -> Iterator[Yard]:
    """A yard inside the block."""
    yard = Yard(site)
    try:
        yield yard
    finally:
        yard.close()


# ---- a relay before the portal, that counts ------------------------------------------------------------------------


class Relay:
    """A TCP relay between browser and portal: counts requests by path, and can cut every connection."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.refuse = False  # True: whoever dials is turned away
        self.requests: list[str] = []
        self._streams: set[int] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop
        ).result(WAIT_S)
        self.port = self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def open_streams(self) -> int:
        """Event streams that are open now."""
        return len(self._streams)

    def count(self, path: str) -> int:
        """Requests so far whose address begins with this."""
        return sum(1 for one in list(self.requests) if one.startswith(path))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse:
            writer.transport.abort()
            return
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, up_writer}
        try:
            await asyncio.wait(
                [
                    asyncio.ensure_future(self._pump(reader, up_writer, id(writer))),
                    asyncio.ensure_future(self._pump(up_reader, writer, None)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            self._streams.discard(id(writer))
            for one in (writer, up_writer):
                self._writers.discard(one)
                one.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, watched: int | None) -> None:
        try:
            while data := await reader.read(65536):
                if watched is not None:
                    self._note(data, watched)
                writer.write(data)
                await writer.drain()
        except OSError:
            return

    def _note(self, data: bytes, connection: int) -> None:
        for found in re.finditer(rb"(?:^|\r\n\r\n)(?:GET|POST) (\S+) HTTP/1", data):
            path = found[1].decode("latin-1")
            self.requests.append(path)
            if path.startswith("/live?"):
                self._streams.add(connection)
            else:
                self._streams.discard(connection)

    def cut(self) -> None:
        """Break every connection, as a network that fails does."""

        def abort() -> None:
            for writer in list(self._writers):
                writer.transport.abort()

        self._loop.call_soon_threadsafe(abort)

    def close(self) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._server.close)
        time.sleep(0.05)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
