"""Money as integers: millionths of a currency's unit, so that a price for a kWh is exact."""

from __future__ import annotations

import re

MICROS = 1_000_000
_DECIMAL = re.compile(r"(\d{0,9})(?:[.,](\d{0,12}))?", re.ASCII)


def micros_of(text: str) -> int:
    """Read a decimal as people type it, `0.2516` or `0,2516`, without grouping: 251600.

    Raises ValueError for what is no such number, or says more than millionths.
    """
    found = _DECIMAL.fullmatch("".join(text.split()))
    whole, part = (found[1], (found[2] or "").rstrip("0")) if found else ("", "")
    if found is None or not (found[1] or found[2]) or len(part) > 6:
        raise ValueError(f"no decimal with six places at most: {text[:40]!r}")
    return int(whole or 0) * MICROS + int(part.ljust(6, "0"))


def decimal_text(micros: int, sign: str = ".") -> str:
    """The decimal to type again: 251600 is `0.2516`, or with a comma as its sign `0,2516`."""
    whole, part = divmod(micros, MICROS)
    digits = f"{part:06}".rstrip("0")
    return f"{whole}{sign}{digits.ljust(2, '0')}" if digits else str(whole)
