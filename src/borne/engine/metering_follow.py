"""Open sessions that go on: their last quarters of an hour are kept in memory, so that a sample in order costs next to nothing.

What is kept is thrown away as soon as it may not be all: the session is then measured anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from borne.core.metering import Sample
from borne.core.metering_fold import Fold
from borne.core.statistics import Counted, PricedSlot
from borne.core.tariff import EnergyPrice
from borne.engine.metering_whole import Whole, cost_of, zone_of
from borne.store.db import Row

SESSIONS_MOST = 20_000  # some 2 KB each


class Kept:
    """What is known of an open session since it was measured last."""

    __slots__ = ("_cost_nanos", "_tariffs", "_times", "closed", "fold", "is_settled", "slots")

    def __init__(self, fold: Fold, whole: Whole) -> None:
        self.fold = fold
        self.slots: tuple[PricedSlot, ...] = ()  # those that may still change, as they are stored
        self.closed: PricedSlot | None = None  # the last one before them
        self.is_settled = True  # whether what those before them cost is the last word
        self._cost_nanos: int | None = 0  # of all before them
        self._tariffs = whole.tariffs
        self._times = whole.session.measured  # how often it was measured
        self.saved(whole.after)

    def goes_on(self, row: Row, samples: Iterable[Sample]) -> bool:
        """Whether the session is as it was, and these samples follow it."""
        is_same = row.dirty == 0 and row.measured == self._times and row.ended_ms is None
        return is_same and self.fold.take(samples)

    def is_priced_by(self, tariffs: Sequence[EnergyPrice]) -> bool:
        """Whether its location has the tariffs that it had, as the same object."""
        return self._tariffs is tariffs

    def cost_with(self, slots: Sequence[PricedSlot]) -> int | None:
        """What these slots and all before them cost."""
        cost_nanos = cost_of(slots)
        return None if cost_nanos is None or self._cost_nanos is None else self._cost_nanos + cost_nanos

    def saved(self, slots: Sequence[PricedSlot]) -> None:
        """The session was measured once more, and these are its last slots: from now on fewer of them may change."""
        self._times += 1
        self.fold.close()
        still_open = {slot.slot_ms for slot in self.fold.slots}
        closing = [slot for slot in slots if slot.slot_ms not in still_open]
        self.slots = tuple(slot for slot in slots if slot.slot_ms in still_open)
        if closing:
            self._cost_nanos = self.cost_with(closing)
            self.is_settled = self.is_settled and all(map(_is_settled, closing))
            self.closed = closing[-1]


def _is_settled(slot: PricedSlot) -> bool:
    """Whether no tariff that comes later gives it another price."""
    return (
        slot.price_micros is not None
        and not slot.is_provisional
        and not (slot.solar_wh and slot.feed_in_micros is None)
    )


class Followed:
    """A session that went on since it was measured last, and how it was counted before."""

    def __init__(self, session: Row, kept: Kept, samples: list[Sample], after: tuple[PricedSlot, ...]) -> None:
        self.session = session
        self.kept = kept
        self.samples = samples  # the new ones
        self.before = kept.slots
        self.after = after
        self.curve: list[Sample] | None = None  # all samples, if they are to be written now
        self.zone = zone_of(session.zone)

    def counted(self) -> tuple[Counted, Counted]:
        """How its last slots were counted before, and are now; one that is the same says that it began before them."""
        person_id, begun = self.session.person_id, () if self.kept.closed is None else (self.kept.closed,)
        return Counted(person_id, (*begun, *self.before), False), Counted(person_id, (*begun, *self.after), False)

    def row(self) -> tuple[object, ...]:
        """As store.metering.save_followed wants it."""
        row, fold = self.session, self.kept.fold
        return (
            row.id, row.organisation_id, row.dirty, row.measured,
            row.measured + 1, fold.end_ms, fold.energy_wh, fold.charging_ms, fold.peak_w, fold.power_w,
            self.kept.cost_with(self.after),
        )  # fmt: skip


class Following:
    """The sessions that are followed, as many as memory is given for."""

    def __init__(self) -> None:
        self._kept: dict[int, Kept] = {}  # who was measured longest ago is the first

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, session_id: int) -> bool:
        return session_id in self._kept

    def take(self, session_id: int) -> Kept | None:
        """Take it out: it is put back when what was done with it is saved."""
        return self._kept.pop(session_id, None)

    def begin(self, whole: Whole) -> None:
        """Follow a session that was measured and saved, if it goes on in the plain way."""
        if whole.fold is not None:
            self._put(whole.session.id, Kept(whole.fold, whole))

    def go_on(self, followed: Followed) -> None:
        """Follow it further: it was saved."""
        followed.kept.saved(followed.after)
        self._put(followed.session.id, followed.kept)

    def _put(self, session_id: int, kept: Kept) -> None:
        self._kept[session_id] = kept
        if len(self._kept) > SESSIONS_MOST:
            del self._kept[next(iter(self._kept))]
