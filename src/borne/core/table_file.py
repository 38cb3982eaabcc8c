"""Files of values over time: CSV whose first line names its columns, or a JSON list of objects. Rows of named cells come out."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

FileWord = Literal["header", "empty", "large", "json", "cells"]
Rows: TypeAlias = list[tuple[int, Mapping[str, object]]]  # (line, or number of the object from 1; its cells by column)


class BadFileError(ValueError):
    """A file that cannot be read at all, or from a line on; line 0: the whole of it."""

    def __init__(self, line: int, word: FileWord, text: str = "") -> None:
        super().__init__(word)
        self.line = line
        self.word: FileWord = word
        self.text = text


def rows_of(text: str, columns: Collection[str], needed: Sequence[Collection[str]], lines_most: int) -> Rows:
    """Read a file of either kind: JSON begins with a bracket. Raises BadFileError.

    `columns`: those that are known, others are left aside; of each group of `needed` a CSV must have one. A line with more
    cells than columns has no cells here. An empty cell is None.
    """
    text = text.replace("\0", "").lstrip("\ufeff").strip()
    if not text:
        raise BadFileError(0, "empty")
    rows = _json_rows(text, columns) if text[0] in "[{" else _csv_rows(text, columns, needed, lines_most)
    if not rows:
        raise BadFileError(0, "empty")
    if len(rows) > lines_most:
        raise BadFileError(0, "large")
    return rows


def _csv_rows(text: str, columns: Collection[str], needed: Sequence[Collection[str]], lines_most: int) -> Rows:
    head = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    found: Rows = []
    try:
        names = [cell.strip().casefold() for cell in next(reader)]
        if any(not set(group) & set(names) for group in needed):
            raise BadFileError(1, "header", head[:60])
        places = {name: names.index(name) for name in columns if name in names}
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            cells = [cell.strip() or None for cell in row] + [None] * (len(names) - len(row))
            is_whole = len(row) <= len(names)
            found.append((reader.line_num, {name: cells[at] for name, at in places.items()} if is_whole else {}))
            if len(found) > lines_most:
                break
    except csv.Error:
        raise BadFileError(reader.line_num, "cells") from None
    return found


def _json_rows(text: str, columns: Collection[str]) -> Rows:
    try:
        said = msgspec.json.decode(text.encode("utf-8", "ignore"), type=list[dict[str, object]], strict=True)
    except (msgspec.DecodeError, RecursionError):
        raise BadFileError(0, "json") from None
    # An object that says nothing of ours still has its number, and lacks what is needed.
    return [(number, {name: one.get(name) for name in columns}) for number, one in enumerate(said, 1)]


def instant_ms(value: object) -> int | None:
    """An ISO 8601 instant with its offset, in this or the next century; None for anything else."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) and len(value) <= 40 else None
    except ValueError:
        return None
    if found is None or found.tzinfo is None or not 2000 <= found.year < 2200:
        return None
    return round(found.timestamp() * 1_000)


def lacks_offset(value: object) -> bool:
    """Whether it would be an instant, had it said its offset."""
    return instant_ms(value) is None and isinstance(value, str) and instant_ms(f"{value}+00:00") is not None
