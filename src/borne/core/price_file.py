"""Lists of energy prices as files: CSV with `start,price` or JSON, as docs/price-lists.md says. Slots of 15 minutes come out.

A price counts from its start until its end; without one until the next start, for an hour at most; the last as long as the one
before it. Nothing of a file is taken when one of its lines is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from borne.core.metering_slots import HOUR_MS, SLOT_MS
from borne.core.money import MICROS
from borne.core.table_file import BadFileError, Rows, instant_ms, lacks_offset, rows_of

LINES_MOST = 40_000  # a year of quarters of an hour, and some
PROBLEMS_MOST = 20
COLUMNS = ("start", "end", "price")
NEEDED = (("start",), ("price",))
LONGEST_MS = 24 * HOUR_MS
PRICE_MOST = 1_000 * MICROS
_PRICE = re.compile(r"([+-]?)(\d{1,6})(?:[.,](\d{0,12}))?", re.ASCII)

Word = Literal["header", "empty", "large", "json", "cells", "start", "offset", "quarter", "end", "price", "twice"]


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with a line (JSON: with an entry, from 1); line 0: with the whole file."""

    line: int
    word: Word
    text: str = ""


class PriceFile(msgspec.Struct, frozen=True):
    """Slots with their micros a kWh, in order; or what is wrong, and then no slot."""

    slots: tuple[tuple[int, int], ...] = ()
    problems: tuple[Problem, ...] = ()


class _Line(msgspec.Struct, frozen=True):
    number: int
    start_ms: int
    end_ms: int | None
    micros: int


class _BadLineError(ValueError):
    def __init__(self, word: Word, text: object = "") -> None:
        super().__init__(word)
        self.word: Word = word
        self.text = str(text)[:60]


def read(text: str) -> PriceFile:
    """Read a file of either kind: JSON begins with a bracket."""
    try:
        rows = rows_of(text, COLUMNS, NEEDED, LINES_MOST)
    except BadFileError as error:
        return PriceFile(problems=(Problem(error.line, error.word, error.text),))
    return _slots_of(rows)


def _slots_of(rows: Rows) -> PriceFile:
    lines: list[_Line] = []
    problems: list[Problem] = []
    for number, cells in rows:
        try:
            lines.append(_line(number, cells))
        except _BadLineError as error:
            problems.append(Problem(number, error.word, error.text))
            if len(problems) >= PROBLEMS_MOST:
                break
    if problems:
        return PriceFile(problems=tuple(problems))
    return _expanded(sorted(lines, key=lambda line: line.start_ms))


def _expanded(lines: Sequence[_Line]) -> PriceFile:
    found: dict[int, int] = {}
    problems: list[Problem] = []
    lasted_ms = HOUR_MS
    for line, after in zip(lines, [*lines[1:], None], strict=True):
        if after is not None and after.start_ms > line.start_ms:
            lasted_ms = min(after.start_ms - line.start_ms, HOUR_MS)
        end_ms = line.start_ms + lasted_ms if line.end_ms is None else line.end_ms
        for slot_ms in range(line.start_ms, end_ms, SLOT_MS):
            if found.setdefault(slot_ms, line.micros) != line.micros:
                problems.append(Problem(line.number, "twice"))
                break
        if len(problems) >= PROBLEMS_MOST:
            break
    return PriceFile(problems=tuple(problems)) if problems else PriceFile(tuple(sorted(found.items())))


def _line(number: int, cells: Mapping[str, object]) -> _Line:
    if not cells:
        raise _BadLineError("cells")
    end, start_ms = cells.get("end"), _quarter_ms(cells.get("start"), "start")
    end_ms = None if end is None else _quarter_ms(end, "end")
    if end_ms is not None and not 0 < end_ms - start_ms <= LONGEST_MS:
        raise _BadLineError("end", end)
    return _Line(number, start_ms, end_ms, _micros(cells.get("price")))


def _quarter_ms(value: object, word: Word) -> int:
    """An instant on a quarter of an hour."""
    at_ms = instant_ms(value)
    if at_ms is None:
        raise _BadLineError("offset" if lacks_offset(value) else word, "" if value is None else value)
    if at_ms % SLOT_MS:
        raise _BadLineError("quarter", value)
    return at_ms


def _micros(value: object) -> int:
    """A decimal with six places at most, negative where energy is given away: 0.0812 is 81200."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _BadLineError("price", "" if value is None else value)
    # A float of JSON is written with the digits that it was read from (repr), or is too small to matter.
    text = f"{value:.6f}" if isinstance(value, float) and "e" in repr(value) else str(value)
    found = _PRICE.fullmatch(text.strip())
    part = (found[3] or "").rstrip("0") if found else ""
    if found is None or len(part) > 6:
        raise _BadLineError("price", value)
    micros = int(found[2]) * MICROS + int(part.ljust(6, "0"))
    if micros > PRICE_MOST:
        raise _BadLineError("price", value)
    return -micros if found[1] == "-" else micros
