"""The raw OCPP frames of the last hours, for whoever looks into a charger's talk.

Not in the database: frames are many, are read seldom, and may be lost in a crash (the last second of them). They go to
segment files, one line each (`charger_id at_ms direction text`), which are deleted whole, the oldest first. Secrets are
masked before they come here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from borne.store.threads import Threads

SEGMENT_MS = 600_000
FLUSH_S = 1.0
LOOK_EVERY = 60  # flushes between two looks for what is too old
NEWEST_MS = 2**62
TEXT_CHARS = 8192
CUT_MARK = " …[cut]"
BUFFER_CHARS = 32 * 2**20  # what waits while the disk is slow; more is dropped
BLOCK_BYTES = 2**18  # one search holds Python's lock for some 0.2 ms
SEGMENTS = 16  # at least so many, so that deleting one does not empty the log

Direction = Literal["in", "out"]
log = logging.getLogger(__name__)


class Frame(NamedTuple):
    """A frame as it was on the wire, cut where it was very long. `in`: the charger said it."""

    at_ms: int
    direction: Direction
    text: str


class FrameLog:
    """Frames of all chargers, in `folder`, for at most `hours` and `megabytes`."""

    def __init__(self, folder: Path, *, hours: float = 24, megabytes: float = 256) -> None:
        self._segments = _Segments(folder, round(hours * 3_600_000), round(megabytes * 2**20))
        self._threads: Threads[_Segments] | None = None
        self._lines: list[str] = []
        self._chars = 0
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0  # frames that were not kept, since the start

    async def open(self) -> None:
        """Begin to write. Raises OSError when the folder cannot be made."""
        self._segments.open()
        self._threads = Threads("borne-frames", [self._segments])
        self._task = asyncio.create_task(self._flush_often())

    async def close(self) -> None:
        """Write what waits, and end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._threads is not None:
            await self._flush()
            await self._threads.stop()
        self._task = self._threads = None
        self._segments.close()

    def record(self, charger_id: int, at_ms: int, direction: Direction, text: str) -> None:
        """Keep a frame. Costs about a microsecond; never fails."""
        if len(text) > TEXT_CHARS:
            text = text[:TEXT_CHARS] + CUT_MARK
        if "\n" in text:
            text = text.replace("\n", " ")  # in JSON nothing but white space
        self._chars += len(text)
        if self._chars > BUFFER_CHARS:
            self._chars -= len(text)
            self.dropped += 1
            return
        self._lines.append(f"{charger_id} {at_ms} {direction} {text}\n")

    async def read(self, charger_id: int, before_ms: int = NEWEST_MS, limit: int = 100) -> list[Frame]:
        """Return a charger's frames from before an instant, newest first.

        A page never ends between frames of the same millisecond, so it may be a little longer than `limit`.
        """
        if self._threads is None:
            return []
        writing = self._write(self._threads)
        reading = self._threads.call(lambda segments: segments.read(charger_id, before_ms, limit))
        await writing
        return await reading

    async def _flush_often(self) -> None:
        count = 0
        while True:
            await asyncio.sleep(FLUSH_S)
            count += 1
            if self._lines or count % LOOK_EVERY == 0:
                await self._flush()

    async def _flush(self) -> None:
        if self._threads is not None:
            await self._write(self._threads)

    def _write(self, threads: Threads[_Segments]) -> asyncio.Future[None]:
        lines, self._lines, self._chars = self._lines, [], 0

        def work(segments: _Segments) -> None:
            try:
                segments.write(lines, _now_ms())
            except OSError as error:
                self.dropped += len(lines)
                log.warning("%d frames were not kept: %s", len(lines), error)

        return threads.call(work)


class _Segments:
    """The files. Used by one thread at a time."""

    def __init__(self, folder: Path, keep_ms: int, keep_bytes: int) -> None:
        self._folder = folder
        self._keep_ms = keep_ms
        self._keep_bytes = keep_bytes
        self._known: list[tuple[Path, int, int]] = []  # path, start, size: oldest first, without the one being written
        self._file: BinaryIO | None = None
        self._path = folder
        self._start_ms = 0
        self._size = 0
        self._number = 0

    def open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._known = [
            (path, int(path.stem.split("-")[1]), path.stat().st_size)
            for path in sorted(self._folder.glob("*-*.frames"))
        ]
        self._number = int(self._known[-1][0].stem.split("-")[0]) if self._known else 0
        self._forget(_now_ms())

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._known.append((self._path, self._start_ms, self._size))
            self._file = None

    def write(self, lines: list[str], now_ms: int) -> None:
        if lines:
            data = "".join(lines).encode(errors="replace")
            too_large = self._size + len(data) > self._keep_bytes // SEGMENTS
            # The frames' own clock names the segment: pages ask by it, and the system's may be set meanwhile.
            first_ms = int(lines[0].split(" ", 2)[1])
            if self._file is None or too_large or not 0 <= first_ms - self._start_ms < SEGMENT_MS:
                self._begin(first_ms)
            assert self._file is not None
            self._file.write(data)
            self._size += len(data)
        self._forget(now_ms)

    def read(self, charger_id: int, before_ms: int, limit: int) -> list[Frame]:
        found: list[Frame] = []
        paths = [path for path, start_ms, _ in self._known if start_ms < before_ms]
        if self._file is not None:
            paths.append(self._path)
        for path in reversed(paths):
            with contextlib.suppress(OSError):
                if _search(path, b"\n%d " % charger_id, before_ms, limit, found):
                    break
        return found

    def _begin(self, start_ms: int) -> None:
        # Always a new file, also after a start: the last line of an old one may be torn.
        self.close()
        self._number += 1
        self._path = self._folder / f"{self._number:09d}-{start_ms}.frames"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file = open(descriptor, "wb", buffering=0)  # noqa: SIM115 - stays open
        self._file.write(b"\n")  # every line then begins after a line's end
        self._start_ms, self._size = start_ms, 1

    def _forget(self, now_ms: int) -> None:
        old_ms = now_ms - self._keep_ms - SEGMENT_MS  # a segment that began by then ended before what is kept
        if self._file is not None and self._start_ms <= old_ms:
            self.close()
        total = self._size * (self._file is not None) + sum(size for _, _, size in self._known)
        while self._known:
            path, start_ms, size = self._known[0]
            if total <= self._keep_bytes and start_ms > old_ms:
                return
            with contextlib.suppress(OSError):
                path.unlink()
            del self._known[0]
            total -= size


def _search(path: Path, needle: bytes, before_ms: int, limit: int, found: list[Frame]) -> bool:
    """Add the lines of one charger from the end of a file on; True: enough was found."""
    with path.open("rb") as file:
        start = file.seek(0, os.SEEK_END)
        rest = b""
        while start > 0:
            end, start = start, max(0, start - BLOCK_BYTES)
            file.seek(start)
            block = file.read(end - start) + rest
            first = 0 if start == 0 else block.find(b"\n")
            if first < 0:
                rest = block
                continue
            rest = block[: first + 1]
            if _search_block(block, first, needle, before_ms, limit, found):
                return True
            time.sleep(0)  # lets the loop have Python's lock
    return False


def _search_block(block: bytes, first: int, needle: bytes, before_ms: int, limit: int, found: list[Frame]) -> bool:
    at = len(block)
    while (at := block.rfind(needle, first, at)) >= 0:
        line_end = block.find(b"\n", at + 1)
        if line_end < 0:
            continue  # torn by a crash
        frame = _frame(block[at + len(needle) : line_end])
        if frame is None or frame.at_ms >= before_ms:
            continue
        if len(found) >= limit and frame.at_ms != found[-1].at_ms:
            return True
        found.append(frame)
    return False


def _frame(line: bytes) -> Frame | None:
    at_ms, _, rest = line.decode(errors="replace").partition(" ")
    direction, _, text = rest.partition(" ")
    if not at_ms.isdigit() or direction not in ("in", "out"):
        return None
    return Frame(int(at_ms), "in" if direction == "in" else "out", text)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
