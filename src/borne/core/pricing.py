"""Slots of a session with their prices and their solar share.

A price is given once: what came from a tariff or from a list stays. Only a provisional one, where the list had a gap, gives way
to the list. The solar share follows the location's meter, whenever it says something.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from borne.core.metering_slots import Slot
from borne.core.site_meter import SiteSlot, solar_of
from borne.core.statistics import PricedSlot
from borne.core.tariff import SlotPrice

NO_PRICE = SlotPrice(None, None, False)


def to_ask(slots: Iterable[Slot], before: Mapping[int, PricedSlot], site: Mapping[int, SiteSlot]) -> list[int]:
    """The slots whose prices are not final, or which lack what their solar energy would have earned."""
    return [slot.slot_ms for slot in slots if _is_asked(before.get(slot.slot_ms), slot, site)]


def _is_asked(known: PricedSlot | None, slot: Slot, site: Mapping[int, SiteSlot]) -> bool:
    if known is None or known.price_micros is None or known.is_provisional:
        return True
    return known.feed_in_micros is None and solar_of(slot.energy_wh, site.get(slot.slot_ms)) > 0


def priced(
    slots: Sequence[Slot],
    before: Mapping[int, PricedSlot],
    prices: Mapping[int, SlotPrice],
    site: Mapping[int, SiteSlot],
) -> tuple[PricedSlot, ...]:
    """The slots as they are kept. `prices`: those of `to_ask` that are known."""
    made = []
    for slot in slots:
        known, of_meter = before.get(slot.slot_ms), site.get(slot.slot_ms)
        price = _price(known, prices.get(slot.slot_ms, NO_PRICE))
        if of_meter is None and known is not None:  # what the meter said is gone with its location, or with its age
            solar_wh = min(known.solar_wh, slot.energy_wh)
        else:
            solar_wh = solar_of(slot.energy_wh, of_meter)
        made.append(
            PricedSlot(
                slot.slot_ms, slot.energy_wh, slot.charging_ms, slot.plugged_ms, slot.peak_w, price.micros, solar_wh,
                price.feed_in_micros, int(price.is_provisional),
            )
        )  # fmt: skip
    return tuple(made)


def _price(known: PricedSlot | None, found: SlotPrice) -> SlotPrice:
    """What counts for a slot: the price it was given, unless that was provisional and the list has one by now."""
    if known is None or (known.price_micros is None and not known.is_provisional):
        return found
    if known.is_provisional and found.micros is not None and not found.is_provisional:
        return found
    feed_in_micros = found.feed_in_micros if known.feed_in_micros is None else known.feed_in_micros
    return SlotPrice(known.price_micros, feed_in_micros, bool(known.is_provisional))
