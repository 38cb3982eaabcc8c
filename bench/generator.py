"""The load generator: a process of its own on a core of its own, driven by JSON lines on its standard input.

Each line is an object with `do` and its arguments; each gets one line in return. `Generator` is the other end: it starts
the process and asks it. Instants are nanoseconds of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import functools
import json
import os
import random
import resource
import ssl
import subprocess
import sys
import time
from array import array
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import msgspec
import uvloop
from picows import WSError, ws_connect

from bench.wire import Charger, Credentials, Tally

# A closed socket keeps its port for a minute, and the kernel finds a free one slowly where most are taken: so each
# generator takes source addresses of its own, and few links share one.
LINKS_PER_SOURCE = 4_000
TICK_S = 0.001
OPEN_TIMEOUT_S = 120


class Generator:
    """A running generator process."""

    def __init__(self, core: int, ca_file: str | None = None) -> None:
        command = [sys.executable, "-m", "bench.generator", "--core", str(core)]
        self.process = subprocess.Popen(
            command + (["--ca", ca_file] if ca_file else []), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Send one command and wait for its result. Raises RuntimeError when the generator died or failed."""
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("the generator has no pipes")
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the generator died while asked to {do}")
        answer = cast(dict[str, Any], json.loads(line))
        if "error" in answer:
            raise RuntimeError(f"{do}: {answer['error']}")
        return answer

    def __enter__(self) -> Generator:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()


class Load:
    """All chargers of this process and the ways to let them talk."""

    def __init__(self, ca_file: str | None) -> None:
        self.tally = Tally()
        self.chargers: list[Charger] = []
        self.opened = 0
        self.retries = 0
        self.chance = random.Random()
        self.network = f"127.{self.chance.randrange(1, 255)}.{self.chance.randrange(256)}"
        self.pacing: asyncio.Task[dict[str, Any]] | None = None
        self.tls = ssl.create_default_context(cafile=ca_file) if ca_file else None

    async def open(self, file: str, first: int, count: int, concurrency: int) -> dict[str, Any]:
        """Connect and boot the chargers `first` to `first + count` of `file`; returns when all boots are answered."""
        everyone = msgspec.json.decode(Path(file).read_bytes(), type=list[Credentials])
        wanted = iter(everyone[first : first + count])
        started_ns, cpu_s = time.monotonic_ns(), time.process_time()
        self.retries = 0

        async def worker() -> None:
            for credentials in wanted:
                await self.open_one(credentials)

        async with asyncio.timeout(OPEN_TIMEOUT_S):
            await asyncio.gather(*(worker() for _ in range(min(concurrency, count))))
        seconds = (time.monotonic_ns() - started_ns) / 1e9
        return {"seconds": seconds, "retries": self.retries, "busy": (time.process_time() - cpu_s) / seconds}

    async def open_one(self, credentials: Credentials) -> None:
        """Connect one charger, trying again as chargers do, and wait until its boot is answered."""
        loop = asyncio.get_running_loop()
        secret = base64.b64encode(f"{credentials.identity}:{credentials.password}".encode()).decode()
        headers = {"Authorization": f"Basic {secret}", "Sec-WebSocket-Protocol": "ocpp1.6"}
        self.opened += 1
        source = f"{self.network}.{1 + self.opened // LINKS_PER_SOURCE}"
        booted: asyncio.Future[None] = loop.create_future()
        while True:
            charger = Charger(self.tally, credentials.identity, self.opened, lambda: booted.set_result(None))
            try:
                await self.dial(charger, credentials.url, headers, source)
                break
            except (OSError, WSError, TimeoutError):
                self.retries += 1
                await asyncio.sleep(self.chance.uniform(0.1, 0.5))
        await booted
        self.chargers.append(charger)

    async def dial(self, charger: Charger, url: str, headers: dict[str, str], source: str) -> None:
        """Open the link of one charger from an address of our own."""
        await ws_connect(
            lambda: charger,
            url,
            ssl_context=self.tls if url.startswith("wss:") else None,
            extra_headers=headers,
            read_buffer_init_size=1024,
            use_aiofastnet=False,
            websocket_handshake_timeout=60,
            local_addr=(source, 0),
        )

    async def charge(self) -> dict[str, Any]:
        """Every charger begins a session; returns when all have."""
        loop = asyncio.get_running_loop()
        waiting: list[asyncio.Future[None]] = []
        for charger in self.chargers:
            started: asyncio.Future[None] = loop.create_future()
            charger.start(functools.partial(started.set_result, None))
            waiting.append(started)
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            await asyncio.gather(*waiting)
        return {}

    async def saturate(self) -> dict[str, Any]:
        """Every charger sends its next message as soon as the last one is answered, until `pause`."""
        self.tally.keep_sending = True
        for charger in self.chargers:
            charger.send_next()
        return {}

    async def count(self) -> dict[str, Any]:
        """The counters at this instant."""
        tally = self.tally
        return {
            "answered": tally.answered,
            "refused": tally.refused,
            "lost": tally.lost,
            "at_ns": time.monotonic_ns(),
            "cpu_s": time.process_time(),
        }

    async def pause(self) -> dict[str, Any]:
        """Send nothing more and wait until all is answered, 60 s at most."""
        self.tally.keep_sending = False
        deadline = time.monotonic() + 60
        while any(charger.expected and not charger.gone for charger in self.chargers):
            if time.monotonic() > deadline:
                raise TimeoutError("calls without an answer")
            await asyncio.sleep(0.01)
        return await self.count()

    async def pace(self, rate: float, seconds: float) -> dict[str, Any]:
        """Start sending `rate` messages a second for `seconds`, whatever the server does; `paced` gives the result."""
        self.pacing = asyncio.create_task(self.run_pace(rate, seconds))
        return {}

    async def paced(self) -> dict[str, Any]:
        """Wait for the end of `pace` and give its latencies."""
        if self.pacing is None:
            raise RuntimeError("no pace was asked for")
        return await self.pacing

    async def run_pace(self, rate: float, seconds: float) -> dict[str, Any]:
        """Send each message when it is due; its latency counts from then, also while it has to wait for a turn."""
        tally, chargers = self.tally, self.chargers
        tally.latencies_ns = array("q")
        order = list(range(len(chargers)))
        random.Random(1).shuffle(order)
        total, sent, worst_lag_ns = int(rate * seconds), 0, 0
        started_ns, cpu_s = time.monotonic_ns(), time.process_time()
        while sent < total:
            now_ns = time.monotonic_ns()
            due = min(total, int((now_ns - started_ns) * rate / 1e9) + 1)
            if sent < due:
                worst_lag_ns = max(worst_lag_ns, now_ns - started_ns - int(sent * 1e9 / rate))
            while sent < due:
                chargers[order[sent % len(order)]].send_due(started_ns + int(sent * 1e9 / rate))
                sent += 1
            await asyncio.sleep(TICK_S)
        busy = (time.process_time() - cpu_s) / seconds
        await self.drain(total)
        result = describe(tally.latencies_ns)
        tally.latencies_ns = None
        return {**result, "sent": sent, "busy": busy, "worst_lag_ms": worst_lag_ns / 1e6}

    async def drain(self, total: int) -> None:
        """Wait for the last answers, 30 s at most: what is missing then shows in the count."""
        deadline = time.monotonic() + 30
        while self.tally.latencies_ns is not None and len(self.tally.latencies_ns) < total:
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(0.01)

    async def resets(self, count: int, timeout_s: float) -> dict[str, Any]:
        """Wait for `count` Reset frames; gives who got one and when, then lets those chargers boot again."""
        deadline = time.monotonic() + timeout_s
        while len(self.tally.resets) < count and time.monotonic() < deadline:
            await asyncio.sleep(TICK_S)
        arrived, self.tally.resets = self.tally.resets, []
        who = {identity for identity, _ in arrived}
        for charger in self.chargers:
            if charger.identity in who:
                charger.boot_again()
        return {"resets": arrived}

    async def close(self) -> dict[str, Any]:
        """Hang up all links."""
        for charger in self.chargers:
            charger.transport.disconnect(graceful=False)
        self.chargers.clear()
        await asyncio.sleep(0.2)
        self.tally = Tally()
        return {}


def describe(latencies_ns: array[int]) -> dict[str, Any]:
    """Percentiles in milliseconds of a list of nanoseconds."""
    ordered = sorted(latencies_ns)
    if not ordered:
        return {"answered": 0}
    marks = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999, "max_ms": 1.0}
    last = len(ordered) - 1
    return {"answered": len(ordered)} | {name: ordered[int(last * part)] / 1e6 for name, part in marks.items()}


async def obey(load: Load) -> None:
    """Read commands until the input ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)
        try:
            answer = await getattr(load, command.pop("do"))(**command)
        except Exception as error:  # the other end must learn of any failure
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def main() -> None:
    """Pin this process, allow it many sockets, and obey."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--core", type=int, required=True)
    parser.add_argument("--ca", help="file of the certificate authority that wss links trust")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {arguments.core})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(obey(Load(arguments.ca)))


if __name__ == "__main__":
    main()
