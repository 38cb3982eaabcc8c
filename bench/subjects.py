"""What is measured, and how each of them is started on one core with its chargers provisioned."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.browsers import Browsers
from bench.certificate import make_certificate
from bench.stage import Running, Stage, ended_on_error, free_port, listens
from bench.wire import Credentials
from tests.support.postgres import running_server

BORNE = str(Path(sys.executable).with_name("borne"))
EMAIL, PASSWORD = "bench@example.test", "a password for the benchmark"
ADMIN_EMAIL = "admin@example.test"
BROWSERS = 50


@dataclass(frozen=True)
class Subject:
    """A name, how to start it with a number of chargers on a core, and how many browsers watch it."""

    name: str
    start: Callable[[int, int], Stage]
    browsers: int = 0

    def company(self, running: Running, core: int) -> AbstractContextManager[object]:
        """The browsers that have the portal open while chargers talk."""
        return Browsers(running, self.browsers, core) if self.browsers else nullcontext()


def start_obvious(core: int, count: int) -> Stage:
    """The obvious server with `count` chargers."""
    with ended_on_error(Stage("obvious", core)) as stage:
        port = free_port()
        names = [f"BENCH-{number:06d}" for number in range(count)]
        url = f"ws://127.0.0.1:{port}/ocpp/"
        chargers = [Credentials(name, secrets.token_urlsafe(24), url + name) for name in names]
        file = stage.folder / "chargers.json"
        file.write_bytes(msgspec.json.encode(chargers))
        command = [sys.executable, "-m", "bench.obvious.server", "--database", str(stage.folder / "obvious.sqlite")]
        pid = stage.spawn([*command, "--chargers", str(file), "--port", str(port)], listens(port))
        stage.running = Running(stage.name, [pid], file)
        return stage


def start_borne(
    name: str, core: int, count: int, postgresql: bool = False, tls: bool = False, program: tuple[str, ...] = (BORNE,)
) -> Stage:
    """Borne as `borne serve` starts it, with one organisation, its administrator and `count` chargers."""
    with ended_on_error(Stage(name, core)) as stage:
        portal_port, gateway_port = free_port(), free_port()
        database_url, pids = f"sqlite:///{stage.folder / 'borne.sqlite3'}", []
        if postgresql:
            database_url, pid = start_postgresql(stage)
            pids.append(pid)
        ca_file = make_certificate(stage.folder) if tls else None
        config = stage.folder / "borne.toml"
        config.write_text(settings(stage.folder, database_url, portal_port, gateway_port, tls), encoding="utf-8")
        pids.append(stage.spawn([*program, "serve", "--config", str(config)], listens(gateway_port)))
        chargers_file = provision(config, stage.folder, count)
        portal_url = f"http://127.0.0.1:{portal_port}"
        login = (EMAIL, PASSWORD)
        stage.running = Running(name, pids, chargers_file, portal_url, ca_file, login, database_url, config)
        return stage


def start_postgresql(stage: Stage) -> tuple[str, int]:
    """A durable PostgreSQL on the core of the stage; gives the URL of an empty database and the process at its root."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {stage.core})
    try:
        server = stage.others.enter_context(running_server(durable=True))
    finally:
        os.sched_setaffinity(0, mine)
    return stage.others.enter_context(server.database()), server.pid


def settings(folder: Path, database_url: str, portal_port: int, gateway_port: int, tls: bool) -> str:
    """The settings file: everything on loopback, nothing else than the defaults."""
    scheme = "wss" if tls else "ws"
    lines = [
        f'data_folder = "{folder}"',
        f'database_url = "{database_url}"',
        "[portal]",
        'host = "127.0.0.1"',
        f"port = {portal_port}",
        f'public_url = "http://127.0.0.1:{portal_port}"',
        "[gateway]",
        'host = "127.0.0.1"',
        f"port = {gateway_port}",
        f'public_url = "{scheme}://127.0.0.1:{gateway_port}/ocpp"',
    ]
    if tls:
        lines += [f'tls_certificate = "{folder}/certificate.pem"', f'tls_key = "{folder}/key.pem"']
    return "\n".join(lines) + "\n"


def provision(config: Path, folder: Path, count: int) -> Path:
    """Make the organisation, its administrator and its chargers beside the running server; gives the chargers' file."""
    file = folder / "chargers.json"
    admin(config, "create-organisation", "--name", "Bench", "--plan", "business")
    admin(config, "create-user", "--email", EMAIL, "--password", PASSWORD, "--role", "super-admin")
    admin(config, "add-chargers", "--count", str(count), "--prefix", "BENCH", "--model", "other", "--json", str(file))
    return file


def admin(config: Path | str, *words: str) -> str:
    """Run `borne admin` with the settings of the running server. Raises RuntimeError with its words when it fails."""
    done = subprocess.run(
        [BORNE, "admin", *words, "--config", str(config)], capture_output=True, text=True, timeout=600
    )
    if done.returncode != 0:
        raise RuntimeError(f"borne admin {words[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def borne(
    name: str, browsers: int = 0, postgresql: bool = False, tls: bool = False, program: tuple[str, ...] = (BORNE,)
) -> Subject:
    """One way to run Borne."""

    def start(core: int, count: int) -> Stage:
        return start_borne(name, core, count, postgresql, tls, program)

    return Subject(name, start, browsers)


OBVIOUS = Subject("obvious", start_obvious)
PLAIN = borne("borne")
POSTGRESQL = borne("borne-postgresql", postgresql=True)
TLS = borne("borne-tls", tls=True)
WATCHED = borne("borne-watched", browsers=BROWSERS)
UNMETERED = borne("borne-unmetered", program=(sys.executable, "-m", "bench.unmetered"))
SUBJECTS = (OBVIOUS, PLAIN, POSTGRESQL, TLS, WATCHED)
