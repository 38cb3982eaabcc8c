"""How a simulated charger tells of its sessions otherwise than by the book: what chargers in the field were seen to do.

Numbers in brackets are rows of the catalogue of faults: O order and repetition, M meters.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

UNKNOWN_TRANSACTION = 2**31 - 7
OTHER_STOP_WH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddities:
    """All are off by default. Times in seconds."""

    start_again: Literal["", "same", "fresh"] = ""
    """[O1] A confirmed start is sent once more, with the same or a fresh message id."""
    stop_again: Literal["", "same", "other"] = ""
    """[O2, O3] A confirmed stop is sent once more; other: with another register value."""
    stop_id: Literal["", "none", "zero", "unknown"] = ""
    """[O4] 1.6: the stop names the transaction -1, 0, or one that nobody knows."""
    start_lost: bool = False
    """[O5] The start is never told; in 1.6 the transaction is the charger's own invention."""
    ended_first: bool = False
    """[O8] 2.0.1: the end is told before the start and the updates, which follow it."""
    seq_gap: bool = False
    """[O8] 2.0.1: sequence numbers leave one out."""
    stop_late_s: float = 0.0
    """[O9] The connector says Available so long before the end is told."""
    stop_below_start: bool = False
    """[M1] The register at the stop lies below the one at the start."""
    relative_between: bool = False
    """[M2] 1.6: registers in between count from the session's start."""
    register_resets: Literal["", "session", "midway"] = ""
    """[M3] The register begins at nought with each session, or once in the middle of each."""
    forgets_stop: bool = False
    """[M6] The end is never told; the next start, or boot, shows it."""
    meter_after_stop: bool = False
    """[M7] Meter values come after the stop."""

    def named(self) -> list[str]:
        """Which are on."""
        return [f"{one.name}={getattr(self, one.name)}" for one in fields(self) if getattr(self, one.name)]


BY_THE_BOOK = Oddities()
