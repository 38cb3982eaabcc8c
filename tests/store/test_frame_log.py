"""The log of raw frames: what is read back, its bounds, and what a crash leaves."""

import time
from pathlib import Path

import pytest

from borne.store import frame_log
from borne.store.frame_log import CUT_MARK, TEXT_CHARS, Frame, FrameLog

pytestmark = pytest.mark.anyio

NOW_MS = time.time_ns() // 1_000_000


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.frames"))


async def opened(folder: Path, **bounds: float) -> FrameLog:
    frames = FrameLog(folder, **bounds)
    await frames.open()
    return frames


async def test_the_newest_frames_of_one_charger_come_back_unflushed_and_flushed(tmp_path: Path) -> None:
    frames = await opened(tmp_path)
    for number in range(500):
        frames.record(number % 5, NOW_MS + number, "in" if number % 2 else "out", f'[2,"{number}","Heartbeat",{{}}]')
    found = await frames.read(3, limit=2)
    assert found == [
        Frame(NOW_MS + 498, "out", '[2,"498","Heartbeat",{}]'),
        Frame(NOW_MS + 493, "in", '[2,"493","Heartbeat",{}]'),
    ]
    frames.record(3, NOW_MS + 500, "in", "newer")
    assert [frame.text for frame in await frames.read(3, limit=1)] == ["newer"]
    assert len(await frames.read(3, limit=1000)) == 101
    await frames.close()


async def test_pages_go_back_through_segments_and_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_log, "SEGMENT_MS", 10)
    monkeypatch.setattr(frame_log, "BLOCK_BYTES", 100)
    for start in range(3):
        frames = await opened(tmp_path)
        for number in range(40):
            frames.record(number % 2 + 1, NOW_MS + start * 40 + number, "in", f"{start} {number} " + "x" * (number * 7))
            await frames.read(0)  # flushes
        await frames.close()
    assert len(segments(tmp_path)) >= 12
    frames = await opened(tmp_path)
    seen: list[int] = []
    before_ms = NOW_MS + 1000
    while page := await frames.read(2, before_ms, limit=7):
        seen += [frame.at_ms - NOW_MS for frame in page]
        before_ms = page[-1].at_ms
    assert seen == [number for number in range(119, -1, -1) if number % 2 == 1]
    await frames.close()


async def test_a_page_does_not_end_within_a_millisecond(tmp_path: Path) -> None:
    frames = await opened(tmp_path)
    for number in range(6):
        frames.record(1, NOW_MS + number // 3, "in", str(number))
    assert [frame.text for frame in await frames.read(1, limit=2)] == ["5", "4", "3"]
    assert [frame.text for frame in await frames.read(1, NOW_MS + 1, limit=2)] == ["2", "1", "0"]
    await frames.close()


async def test_long_and_odd_texts_stay_one_line(tmp_path: Path) -> None:
    frames = await opened(tmp_path)
    frames.record(1, NOW_MS, "in", "[2,\n1 9 in fake\r\n]")
    frames.record(1, NOW_MS + 1, "in", "é" * (TEXT_CHARS + 1))
    frames.record(1, NOW_MS + 2, "out", "\ud800 and \x00")
    found = await frames.read(1)
    assert [frame.text for frame in found] == ["? and \x00", "é" * TEXT_CHARS + CUT_MARK, "[2, 1 9 in fake\r ]"]
    await frames.close()


async def test_a_line_torn_by_a_crash_is_left_out(tmp_path: Path) -> None:
    frames = await opened(tmp_path)
    frames.record(1, NOW_MS, "in", "whole")
    frames.record(1, NOW_MS + 1, "in", "torn in the middle")
    await frames.close()
    [path] = segments(tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    frames = await opened(tmp_path)
    frames.record(1, NOW_MS + 2, "in", "after")
    assert [frame.text for frame in await frames.read(1)] == ["after", "whole"]
    await frames.close()


async def test_the_oldest_go_when_it_gets_too_large(tmp_path: Path) -> None:
    frames = await opened(tmp_path, megabytes=1)
    for number in range(4000):
        frames.record(number % 10, NOW_MS + number, "in", "x" * 1000)
        if number % 50 == 0:
            await frames.read(0)
            assert sum(path.stat().st_size for path in segments(tmp_path)) <= 2**20
    found = await frames.read(9, limit=1000)
    assert found[0].at_ms == NOW_MS + 3999
    assert 70 < len(found) <= 105
    await frames.close()


async def test_the_old_go_with_time_and_at_the_start(tmp_path: Path) -> None:
    frames = await opened(tmp_path, hours=1)
    frames.record(1, NOW_MS - 4 * 3_600_000, "in", "old")
    await frames.read(0)
    frames.record(1, NOW_MS - 2 * 3_600_000, "in", "newer")
    await frames.read(0)
    frames.record(1, NOW_MS, "in", "new")
    assert [frame.text for frame in await frames.read(1)] == ["new"]
    await frames.close()
    kept = await opened(tmp_path, hours=1)
    assert [frame.text for frame in await kept.read(1)] == ["new"]
    await kept.close()
    assert len(segments(tmp_path)) == 1
    await kept.close()


async def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    frames = await opened(tmp_path / "frames")
    frames.record(1, NOW_MS, "in", "private")
    await frames.close()
    assert (tmp_path / "frames").stat().st_mode & 0o777 == 0o700
    assert segments(tmp_path / "frames")[0].stat().st_mode & 0o777 == 0o600


async def test_a_full_disk_and_a_full_buffer_lose_frames_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_log, "BUFFER_CHARS", 100)
    frames = await opened(tmp_path)
    for number in range(30):
        frames.record(1, NOW_MS + number, "in", "0123456789")
    assert frames.dropped == 20
    assert len(await frames.read(1)) == 10

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(frame_log._Segments, "write", full)
    frames.record(1, NOW_MS + 40, "in", "lost")
    assert len(await frames.read(1)) == 10
    assert frames.dropped == 21
    await frames.close()
