"""Fifty people who look at the Chargers page: each holds an event stream and fetches again what an event names.

A process of its own beside the load generator. It does what the page's script does, without drawing anything.
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
from types import TracebackType
from urllib.parse import urlencode, urlsplit

from bench.portal import Browser
from bench.stage import Running

TOPIC = re.compile(r'data-live="([^"]+)"')
PAGE = "/chargers"


class Browsers:
    """The process with all browsers, for the length of a `with`."""

    def __init__(self, running: Running, count: int, core: int) -> None:
        email, password = running.login or ("", "")
        words = ["--url", running.portal_url or "", "--email", email, "--password", password]
        command = [sys.executable, "-m", "bench.browsers", *words, "--count", str(count), "--core", str(core)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.fetched = 0

    def __enter__(self) -> "Browsers":
        line = self.process.stdout.readline() if self.process.stdout else ""
        if line.strip() != "watching":
            raise RuntimeError("the browsers could not open the Chargers page")
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        out, _ = self.process.communicate("stop\n")
        self.fetched = int(out or 0)
        print(f"  browsers fetched {self.fetched} fragments")


class Watcher:
    """One browser: a stream, and a connection for fragments."""

    def __init__(self, base_url: str, cookie: str, stream_path: str) -> None:
        parts = urlsplit(base_url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.cookie, self.stream_path = cookie, stream_path
        self.wanted = asyncio.Event()
        self.changed: set[str] = set()
        self.fetched = 0

    def head(self, path: str, accept: str, more: str = "") -> bytes:
        """A GET request."""
        host = f"{self.host}:{self.port}"
        text = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\nCookie: {self.cookie}\r\n{more}\r\n"
        return text.encode()

    async def watch(self, opened: asyncio.Event) -> None:
        """Read the event stream; each event asks for the fragment."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(self.head(self.stream_path, "text/event-stream"))
        status = await reader.readline()
        if b" 200 " not in status:
            raise RuntimeError(f"{self.stream_path}: {status.decode().strip()}")
        opened.set()
        while line := await reader.readline():
            if line.startswith(b"data:"):
                self.changed.update(line[5:].decode().split())
                self.wanted.set()
        raise RuntimeError("the event stream ended")

    async def refetch(self) -> None:
        """Fetch the rows and the counts that an event names, one at a time, at most once a second as the page does."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        while True:
            await self.wanted.wait()
            self.wanted.clear()
            changed, self.changed = self.changed, set()
            for path in fragments(changed):
                writer.write(self.head(path, "text/html", "HX-Request: true\r\n"))
                await read_response(reader)
                self.fetched += 1
            await asyncio.sleep(1)


def fragments(changed: set[str]) -> list[str]:
    """What the Chargers page fetches after these topics changed."""
    ids = [topic.partition(":")[2] for topic in changed if topic.startswith("charger:")]
    rows = [f"{PAGE}/rows?ids={','.join(ids)}"] if ids else []
    return rows + ([f"{PAGE}/tiles"] if "chargers" in changed else [])


async def read_response(reader: asyncio.StreamReader) -> bytes:
    """The body of one response, by its length or in chunks. Raises RuntimeError unless the status is 200."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise RuntimeError(head.partition(b"\r\n")[0].decode())
    if found := re.search(rb"(?i)content-length: *(\d+)", head):
        return await reader.readexactly(int(found[1]))
    body = b""
    while size := int((await reader.readline()).strip() or b"0", 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


async def watch_all(base_url: str, email: str, password: str, count: int) -> int:
    """Open `count` browsers, watch until the standard input says something; gives the number of fragments fetched."""
    person = Browser(base_url)
    person.log_in(email, password)
    topics = sorted(set(TOPIC.findall(person.get(PAGE))))
    if not topics:
        raise RuntimeError("the Chargers page names nothing to watch")
    stream = "/live?" + urlencode({"topics": ",".join(topics)})
    cookie = "; ".join(f"{name}={value}" for name, value in person.cookies.items())
    watchers = [Watcher(base_url, cookie, stream) for _ in range(count)]
    opened = [asyncio.Event() for _ in watchers]
    tasks = [asyncio.create_task(w.watch(event)) for w, event in zip(watchers, opened, strict=True)]
    tasks += [asyncio.create_task(w.refetch()) for w in watchers]
    await asyncio.wait_for(asyncio.gather(*(event.wait() for event in opened)), 30)
    print("watching", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    failed = [task.exception() for task in tasks if task.done()]
    for task in tasks:
        task.cancel()
    if failed:
        raise RuntimeError(f"{len(failed)} browsers failed: {failed[0]}")
    return sum(watcher.fetched for watcher in watchers)


def main() -> None:
    """Pin this process and watch."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--url", "--email", "--password"):
        parser.add_argument(name, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--core", type=int, required=True)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {arguments.core})
    print(asyncio.run(watch_all(arguments.url, arguments.email, arguments.password, arguments.count)))


if __name__ == "__main__":
    main()
