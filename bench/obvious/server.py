"""An OCPP 1.6J server built in the obvious way: the `ocpp` package, `websockets` and `sqlite3`.

It is meant to be good: passwords are checked, every message is validated, stored in its own transaction with a full
fsync, and answered only after the commit. Nothing is batched and nothing is clever. Run it with
`python -m bench.obvious.server --database FILE --chargers FILE --port N`; it prints `ready` once it listens.
"""

import argparse
import asyncio
import hashlib
import hmac
import json
import logging
import resource
import signal
import sqlite3
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.enums import Action, RegistrationStatus
from websockets.asyncio.server import ServerConnection, basic_auth, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

SCHEMA = """
CREATE TABLE IF NOT EXISTS chargers (
    identity TEXT PRIMARY KEY,
    password_hash TEXT NOT NULL,
    vendor TEXT,
    model TEXT,
    firmware TEXT,
    booted_ms INTEGER,
    last_seen_ms INTEGER
);
CREATE TABLE IF NOT EXISTS connectors (
    identity TEXT NOT NULL REFERENCES chargers (identity),
    connector INTEGER NOT NULL,
    status TEXT NOT NULL,
    error_code TEXT NOT NULL,
    changed_ms INTEGER NOT NULL,
    PRIMARY KEY (identity, connector)
);
CREATE TABLE IF NOT EXISTS readings (
    id INTEGER PRIMARY KEY,
    identity TEXT NOT NULL REFERENCES chargers (identity),
    connector INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    measured_at TEXT NOT NULL,
    measurand TEXT NOT NULL,
    unit TEXT,
    value TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS readings_by_charger ON readings (identity, received_ms);
"""


def now_ms() -> int:
    """The present as integer milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000


def utc_text() -> str:
    """The present in the form that OCPP wants, for example `2026-11-22T10:15:00.123Z`."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def hash_password(password: str) -> str:
    """SHA-256 is enough: the passwords of chargers are long random secrets."""
    return hashlib.sha256(password.encode()).hexdigest()


class Database:
    """One SQLite connection; each call of `write` is one durable transaction."""

    def __init__(self, path: str) -> None:
        self.connection = sqlite3.connect(path)
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=FULL")
        self.connection.executescript(SCHEMA)

    def add_chargers(self, chargers: list[dict[str, str]]) -> None:
        """Store who may connect. Each entry has `identity` and `password`."""
        rows = [(charger["identity"], hash_password(charger["password"])) for charger in chargers]
        with self.connection:
            self.connection.executemany("INSERT OR IGNORE INTO chargers (identity, password_hash) VALUES (?, ?)", rows)

    def password_is_right(self, identity: str, password: str) -> bool:
        """True if this charger is known and this is its password."""
        row = self.connection.execute("SELECT password_hash FROM chargers WHERE identity = ?", (identity,)).fetchone()
        return row is not None and hmac.compare_digest(row[0], hash_password(password))

    def write(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        """Run one statement for each row and commit."""
        with self.connection:
            self.connection.executemany(statement, rows)


class Charger(ChargePoint):
    """One connected charger: each handler stores what it was told, then returns the answer."""

    def __init__(self, identity: str, connection: ServerConnection, database: Database) -> None:
        super().__init__(identity, connection)
        self.database = database

    @on(Action.boot_notification)
    def on_boot(self, charge_point_vendor: str, charge_point_model: str, **extra: Any) -> call_result.BootNotification:
        """Remember what the charger is."""
        now = now_ms()
        self.database.write(
            "UPDATE chargers SET vendor = ?, model = ?, firmware = ?, booted_ms = ?, last_seen_ms = ? "
            "WHERE identity = ?",
            [(charge_point_vendor, charge_point_model, extra.get("firmware_version"), now, now, self.id)],
        )
        return call_result.BootNotification(current_time=utc_text(), interval=300, status=RegistrationStatus.accepted)

    @on(Action.heartbeat)
    def on_heartbeat(self) -> call_result.Heartbeat:
        """Remember that the charger is alive."""
        self.database.write("UPDATE chargers SET last_seen_ms = ? WHERE identity = ?", [(now_ms(), self.id)])
        return call_result.Heartbeat(current_time=utc_text())

    @on(Action.status_notification)
    def on_status(
        self, connector_id: int, error_code: str, status: str, **_extra: Any
    ) -> call_result.StatusNotification:
        """Remember the state of one connector."""
        self.database.write(
            "INSERT INTO connectors VALUES (?, ?, ?, ?, ?) ON CONFLICT (identity, connector) DO UPDATE SET "
            "status = excluded.status, error_code = excluded.error_code, changed_ms = excluded.changed_ms",
            [(self.id, connector_id, status, error_code, now_ms())],
        )
        return call_result.StatusNotification()

    @on(Action.meter_values)
    def on_meter_values(
        self, connector_id: int, meter_value: list[dict[str, Any]], **_extra: Any
    ) -> call_result.MeterValues:
        """Keep every sampled value as a row."""
        received_ms = now_ms()
        rows = [
            (
                self.id,
                connector_id,
                received_ms,
                meter["timestamp"],
                sample.get("measurand", "Energy.Active.Import.Register"),
                sample.get("unit"),
                sample["value"],
            )
            for meter in meter_value
            for sample in meter["sampled_value"]
        ]
        self.database.write(
            "INSERT INTO readings (identity, connector, received_ms, measured_at, measurand, unit, value) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        return call_result.MeterValues()


def identity_of(path: str) -> str:
    """The last part of the path: `/ocpp/CP-1` gives `CP-1`."""
    return path.rstrip("/").rpartition("/")[2]


async def run(database: Database, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""

    async def talk(connection: ServerConnection) -> None:
        request = connection.request
        if request is None or connection.username != identity_of(request.path):
            return
        with suppress(ConnectionClosed):
            await Charger(connection.username, connection, database).start()

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    check = basic_auth(realm="chargers", check_credentials=database.password_is_right)
    server = serve(
        talk,
        "127.0.0.1",
        port,
        subprotocols=[Subprotocol("ocpp1.6")],
        process_request=check,
        compression=None,
        max_size=65_536,
        backlog=1_024,
        open_timeout=60,
    )
    async with server:
        print("ready", flush=True)
        await stop.wait()


def main() -> None:
    """Read the arguments, store the chargers and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", required=True)
    parser.add_argument("--chargers", required=True, help="JSON list of objects with identity and password")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    database = Database(arguments.database)
    chargers = cast(list[dict[str, str]], json.loads(Path(arguments.chargers).read_text(encoding="utf-8")))
    database.add_chargers(chargers)
    asyncio.run(run(database, arguments.port))


if __name__ == "__main__":
    main()
