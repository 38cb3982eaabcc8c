"""One run of a server: its processes on their core, its folder, and the end of both."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

START_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Running:
    """A server that listens, with the chargers it knows."""

    name: str
    pids: list[int]
    chargers_file: Path
    portal_url: str | None = None
    ca_file: str | None = None
    login: tuple[str, str] | None = None
    database_url: str | None = None
    config: Path | None = None


class Stage:
    """The processes and the folder of one run; all gone at its end."""

    def __init__(self, name: str, core: int) -> None:
        self.name = name
        self.core = core
        self.folder = Path(tempfile.mkdtemp(prefix="borne-bench-", dir=scratch_folder()))
        self.processes: list[subprocess.Popen[str]] = []
        self.others = ExitStack()
        self.running: Running | None = None

    def spawn(self, command: list[str], ready: Callable[[], bool], environment: dict[str, str] | None = None) -> int:
        """Start a process on this stage's core and wait until `ready`. Raises RuntimeError if it dies or takes too long."""
        log = (self.folder / f"process-{len(self.processes)}.log").open("w")
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(environment or {})},
            preexec_fn=lambda: os.sched_setaffinity(0, {self.core}),
        )
        self.processes.append(process)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{' '.join(command)} did not start:\n{Path(log.name).read_text()[-2000:]}")
            time.sleep(0.05)
        return process.pid

    def __enter__(self) -> Running:
        if self.running is None:
            raise RuntimeError("nothing was started")
        return self.running

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def end(self) -> None:
        """Stop the processes, the last one started first, and delete the folder."""
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.others.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def scratch_folder() -> str:
    """Where databases go: BENCH_FOLDER, or `.bench` of the checkout: /tmp is often not a disk."""
    folder = Path(os.environ.get("BENCH_FOLDER", ".bench")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> Callable[[], bool]:
    """A check that something accepts connections on a loopback port."""

    def check() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
            return True
        return False

    return check


@contextmanager
def ended_on_error(stage: Stage) -> Iterator[Stage]:
    """Leave nothing behind when a start fails half-way."""
    try:
        yield stage
    except BaseException:
        stage.end()
        raise
