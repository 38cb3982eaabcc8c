"""The meter of a location: what came from the grid, went into it, and what its own roof gave, by quarters of an hour.

Whatever takes energy there takes the same mixture: of what is used in a slot, the own share is what the roof gave less what was
fed in. A charging session gets that share of its energy, in whole Wh, never more than it took.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Literal

import msgspec

from borne.core.metering_slots import SLOT_MS
from borne.core.table_file import BadFileError, FileWord, Rows, instant_ms, lacks_offset, rows_of

LINES_MOST = 40_000  # a year of quarters of an hour, and some
PROBLEMS_MOST = 100
SLOT_WH_MOST = 25_000_000  # a connection of 100 MW
OLDEST_MS = 1_577_836_800_000  # 2020-01-01
AHEAD_MS = 120_000  # a program's clock may be ahead of ours by this
SLACK_WH, SLACK_PERMILLE = 100, 20  # two meters differ by so much
MINUTE_MS = 60_000
MINUTES = (1, 3, 5, 15)
ENERGIES = ("import", "export", "solar")
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:[.,]\d{0,15})?", re.ASCII)
COLUMNS = ("start", "minutes", *(f"{name}_{unit}" for name in ENERGIES for unit in ("wh", "kwh")))
NEEDED = (("start",), ("import_wh", "import_kwh"), ("solar_wh", "solar_kwh"))

Word = Literal[
    FileWord, "start", "offset", "quarter", "minutes", "number", "negative", "absurd", "twice", "part", "export", "future", "old"
]  # fmt: skip


class SiteSlot(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A quarter of an hour of a location's meter."""

    slot_ms: int
    import_wh: int
    export_wh: int
    solar_wh: int

    @property
    def own_wh(self) -> int:
        """What the roof gave and nobody outside got."""
        return max(0, self.solar_wh - self.export_wh)

    @property
    def used_wh(self) -> int:
        return self.own_wh + self.import_wh


def solar_of(energy_wh: int, site: SiteSlot | None) -> int:
    """How much of some energy of a slot was the location's own, in whole Wh; nothing where no meter says it."""
    if site is None or not site.used_wh:
        return 0
    return energy_wh * site.own_wh // site.used_wh


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with a line (or with a value of a list, from 1), and where; line 0: with the whole file."""

    line: int
    word: Word
    column: str = ""
    text: str = ""


class SiteFile(msgspec.Struct, frozen=True):
    """Slots in order; or what is wrong, and then no slot."""

    slots: tuple[SiteSlot, ...] = ()
    problems: tuple[Problem, ...] = ()


class _Part(msgspec.Struct, frozen=True):
    """One value, of a slot or of a part of it."""

    line: int
    start_ms: int
    minutes: int
    energies: tuple[int, int, int]  # import, export, solar

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.minutes * MINUTE_MS


class _BadCellError(ValueError):
    def __init__(self, word: Word, column: str, text: object = "") -> None:
        super().__init__(word)
        self.word: Word = word
        self.column = column
        # A whole number may be too large for a float.
        self.text = "" if text is None else f"{text:.6g}" if isinstance(text, float) else str(text)[:60]


def read(text: str, now_ms: int) -> SiteFile:
    """Read a file, CSV or JSON, as docs/site-meter.md says."""
    try:
        rows = rows_of(text, COLUMNS, NEEDED, LINES_MOST)
    except BadFileError as error:
        return SiteFile(problems=(Problem(error.line, error.word, "", error.text),))
    return slots_of(rows, now_ms)


def slots_of(rows: Rows, now_ms: int) -> SiteFile:
    """The slots of these values; finer ones are added up. A slot is there as a whole or not at all."""
    parts: list[_Part] = []
    problems: list[Problem] = []
    for number, cells in rows:
        try:
            parts.append(_part(number, cells, now_ms))
        except _BadCellError as error:
            problems.append(Problem(number, error.word, error.column, error.text))
            if len(problems) >= PROBLEMS_MOST:
                break
    if problems:
        return SiteFile(problems=tuple(problems))
    return _whole(parts)


def _whole(parts: Iterable[_Part]) -> SiteFile:
    by_slot: dict[int, list[_Part]] = {}
    for part in parts:
        by_slot.setdefault(part.start_ms // SLOT_MS * SLOT_MS, []).append(part)
    slots: list[SiteSlot] = []
    problems: list[Problem] = []
    for slot_ms, some in sorted(by_slot.items()):
        try:
            slots.append(_slot(slot_ms, some))
        except _BadCellError as error:
            problems.append(Problem(some[0].line, error.word, error.column, error.text))
    if problems:
        return SiteFile(problems=tuple(sorted(problems, key=lambda one: one.line)[:PROBLEMS_MOST]))
    return SiteFile(tuple(slots))


def _slot(slot_ms: int, parts: list[_Part]) -> SiteSlot:
    known: dict[int, _Part] = {}
    for part in parts:
        before = known.setdefault(part.start_ms, part)
        if (before.minutes, before.energies) != (part.minutes, part.energies):  # said twice alike is said once
            raise _BadCellError("twice", "start")
    ordered = [known[start_ms] for start_ms in sorted(known)]
    if any(one.end_ms > other.start_ms for one, other in pairwise(ordered)):
        raise _BadCellError("twice", "start")
    minutes = sum(part.minutes for part in ordered)
    if minutes * MINUTE_MS != SLOT_MS:
        raise _BadCellError("part", "start", minutes)
    found = SiteSlot(slot_ms, *(sum(values) for values in zip(*(part.energies for part in ordered), strict=True)))
    for name, energy_wh in zip(ENERGIES, (found.import_wh, found.export_wh, found.solar_wh), strict=True):
        if energy_wh > SLOT_WH_MOST:
            raise _BadCellError("absurd", name, energy_wh)
    if found.export_wh > found.solar_wh + SLACK_WH + found.solar_wh * SLACK_PERMILLE // 1_000:
        raise _BadCellError("export", "export", found.export_wh)
    return found


def _part(line: int, cells: Mapping[str, object], now_ms: int) -> _Part:
    if not cells:
        raise _BadCellError("cells", "")
    minutes, start = _minutes(cells.get("minutes")), cells.get("start")
    start_ms = instant_ms(start)
    if start_ms is None:
        raise _BadCellError("offset" if lacks_offset(start) else "start", "start", start)
    if start_ms % (minutes * MINUTE_MS):
        raise _BadCellError("quarter", "start", start)
    if start_ms < OLDEST_MS:
        raise _BadCellError("old", "start", start)
    if start_ms + minutes * MINUTE_MS > now_ms + AHEAD_MS:
        raise _BadCellError("future", "start", start)
    imported, exported, solar = (_energy_wh(cells, name) for name in ENERGIES)
    return _Part(line, start_ms, minutes, (imported, exported, solar))


def _minutes(value: object) -> int:
    if value is None:
        return MINUTES[-1]
    found = next((minutes for minutes in MINUTES if str(value) == str(minutes)), None)
    if found is None:
        raise _BadCellError("minutes", "minutes", value)
    return found


def _energy_wh(cells: Mapping[str, object], name: str) -> int:
    """Whole Wh of a cell in Wh or kWh, the nearest; nothing said of what was fed in means that nothing was."""
    column = f"{name}_kwh" if cells.get(f"{name}_wh") is None else f"{name}_wh"
    value = cells.get(column)
    if value is None and name == "export":
        return 0
    exact = _number(value)
    if exact is None:
        raise _BadCellError("number", name, value)
    exact *= 1_000 if column.endswith("_kwh") else 1
    if exact < 0:
        raise _BadCellError("negative", name, value)
    if exact > SLOT_WH_MOST:
        raise _BadCellError("absurd", name, value)
    return int(exact + Fraction(1, 2))


def _number(value: object) -> Fraction | None:
    """A decimal number; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Fraction(value)
    if isinstance(value, float):
        return Fraction(value) if math.isfinite(value) else None
    if not isinstance(value, str) or _NUMBER.fullmatch(value) is None:
        return None
    return Fraction(value.replace(",", "."))
