"""Reading CSV files as people's programs write them: any of the usual encodings and separators, headers in both languages."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence

from litestar.datastructures import UploadFile

from borne.portal.forms import seen
from borne.store.charger_list import fold


def text_of_file(raw: bytes) -> str:
    """The text, whatever wrote it: UTF-8 with or without a mark, UTF-16 with one, else Windows-1252."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


async def uploaded(file: object, most_bytes: int) -> str | None:
    """The text of a form's file; None for none, an empty one, or one that is too large."""
    if not isinstance(file, UploadFile):
        return None
    raw = await file.read(most_bytes + 1)
    return text_of_file(raw) if 0 < len(raw) <= most_bytes else None


def lines_of(text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines that say something, with their numbers (of the last one, where a cell goes over several). Raises csv.Error."""
    clean = seen(text)
    head = clean.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(clean, newline=""), delimiter=delimiter)
    for row in reader:
        if any(cell.strip() for cell in row):
            yield reader.line_num, [" ".join(cell.split()) for cell in row]


def key_of(word: str) -> str:
    """A word as headers and names of models are compared: letters and digits alone, without capitals and accents."""
    return re.sub(r"[^a-z0-9]", "", fold(word))


def columns_of(head: Sequence[str], names: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Where each known column stands; `names`: the keys that its header may have."""
    found: dict[str, int] = {}
    for place, word in enumerate(head):
        name = next((name for name, keys in names.items() if key_of(word) in keys), None)
        if name is not None:
            found.setdefault(name, place)
    return found
