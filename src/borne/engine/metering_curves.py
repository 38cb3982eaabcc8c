"""Samples that are measured and not in their session's curve yet. A curve is written as a whole, and so only now and then.

Until then they are here alone, and among the readings, from where they are read again after a crash: `oldest_ms` says since when.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from borne.core.metering import Sample, order
from borne.engine.metering_follow import Followed
from borne.store import metering as store
from borne.store.db import Database

SAMPLES_MOST = 3_000  # of a session; one of ten days with a value every five minutes
WRITTEN_EVERY_S = 120.0  # where there are more
FEW = 50  # open sessions: then no sample waits, and a page shows the last value


class Curves:
    """Keeps and writes them."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: dict[int, _Waiting] = {}  # by session; who waits longest is the first

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest of what waits was received."""
        return min((one.oldest_ms for one in self._waiting.values()), default=None)

    async def complete(self, followed: Sequence[Followed]) -> None:
        """Give sessions their whole curves, to be written with them."""
        old = await store.curves(self._db, [one.session.id for one in followed])
        for one in followed:
            samples = self.whole(old, one.session.id, one.samples)
            one.curve = samples if len(samples) <= SAMPLES_MOST else None

    def add(self, followed: Followed, now_s: float) -> None:
        """Keep the new samples of a session that was saved without its curve."""
        row = followed.session
        if followed.curve is not None:
            self.forget(row.id)
        elif followed.samples:
            self._waiting.setdefault(row.id, _Waiting(row.organisation_id, now_s)).samples += followed.samples

    def whole(self, curves: Mapping[int, Sequence[Sample]], session_id: int, more: Sequence[Sample]) -> list[Sample]:
        """All samples of a session: of its curve, of those that wait, and these."""
        waiting = self._waiting.get(session_id)
        return merged(curves.get(session_id, ()), [*(waiting.samples if waiting else ()), *more])

    def forget(self, session_id: int) -> None:
        """The curve was written with all that waits."""
        self._waiting.pop(session_id, None)

    def due(self, before_s: float) -> list[int]:
        """The sessions whose samples wait since then, the longest first."""
        return [session_id for session_id, one in self._waiting.items() if one.since_s <= before_s]

    async def write(self, ids: Sequence[int]) -> list[int]:
        """Write the curves of these sessions. Returns those of which samples were left out, to keep within the bound."""
        ids = [session_id for session_id in ids if session_id in self._waiting]
        old = await store.curves(self._db, ids)
        whole = {session_id: self.whole(old, session_id, ()) for session_id in ids}
        kept = {session_id: within_bound(samples) for session_id, samples in whole.items()}
        async with self._db.transaction() as tx:
            rows = [(one, self._waiting[one].organisation_id, samples) for one, samples in kept.items()]
            await store.save_curves(tx, rows)
        for session_id in ids:
            self.forget(session_id)
        return [session_id for session_id in ids if len(kept[session_id]) < len(whole[session_id])]


class _Waiting:
    """Samples of a session. `since_s`: since when, on the loop's clock."""

    __slots__ = ("organisation_id", "samples", "since_s")

    def __init__(self, organisation_id: int, since_s: float) -> None:
        self.organisation_id = organisation_id
        self.samples: list[Sample] = []
        self.since_s = since_s

    @property
    def oldest_ms(self) -> int:
        return min(sample.received_ms for sample in self.samples)


def merged(old: Sequence[Sample], new: Sequence[Sample]) -> list[Sample]:
    """All samples in the order of their receipt, each once; `old` is so."""
    if not new:
        return list(old)
    cut = bisect_left(old, min(one.received_ms for one in new), key=lambda one: one.received_ms)
    return [*old[:cut], *sorted({*old[cut:], *new}, key=_receipt)]


def within_bound(samples: list[Sample]) -> list[Sample]:
    """Beyond the bound every other one in between is left out: the ends and the sums stay."""
    if len(samples) > SAMPLES_MOST and all(one.interval_wh is None for one in samples):
        while len(samples) > SAMPLES_MOST:
            samples = [*samples[: -SAMPLES_MOST // 2 : 2], *samples[-SAMPLES_MOST // 2 :]]
    return samples


def _receipt(sample: Sample) -> tuple[int, ...]:
    return sample.received_ms, *order((sample.device_ms or 0, sample))
