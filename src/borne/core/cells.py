"""Cells of files that spreadsheets open: text stays text."""

from __future__ import annotations

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def neutral(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe goes before what starts like one."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
