"""What a slot keeps and what it takes when it is priced again."""

from __future__ import annotations

import pytest

from borne.core.metering_slots import Slot
from borne.core.pricing import priced, to_ask
from borne.core.site_meter import SiteSlot
from borne.core.statistics import PricedSlot
from borne.core.tariff import SlotPrice

HALF = SiteSlot(0, 1_000, 500, 1_500)
Known = tuple[int | None, int, int | None, int]  # price, solar energy, feed-in, provisional


def again(known: Known | None, price: SlotPrice | None, site: SiteSlot | None = None) -> tuple[bool, Known]:
    """Whether the price of a slot of 1 kWh is asked for, and what it then has."""
    slots = [Slot(0, 1_000, 0, 900_000, 0)]
    before = {} if known is None else {0: PricedSlot(0, 1_000, 0, 900_000, 0, *known)}
    of_meter = {} if site is None else {0: site}
    is_asked = bool(to_ask(slots, before, of_meter))
    (found,) = priced(slots, before, {} if price is None else {0: price}, of_meter)
    return is_asked, (found.price_micros, found.solar_wh, found.feed_in_micros, found.is_provisional)


LISTED, GAP, NEW_GAP = SlotPrice(200, 80, False), SlotPrice(300, 80, True), SlotPrice(999, 99, True)


@pytest.mark.parametrize(
    ("known", "price", "is_asked", "then"),
    [
        (None, LISTED, True, (200, 0, 80, 0)),
        (None, None, True, (None, 0, None, 0)),
        (None, GAP, True, (300, 0, 80, 1)),
        ((None, 0, None, 0), LISTED, True, (200, 0, 80, 0)),
        ((None, 0, 80, 1), SlotPrice(200, 5, False), True, (200, 0, 5, 0)),
        ((300, 0, 80, 1), LISTED, True, (200, 0, 80, 0)),
        ((300, 0, 80, 1), NEW_GAP, True, (300, 0, 80, 1)),  # another price for gaps gives way to nothing
        ((300, 0, 80, 1), None, True, (300, 0, 80, 1)),
        ((200, 0, 80, 0), SlotPrice(7, 7, False), False, (200, 0, 80, 0)),
    ],
)
def test_a_price_is_final_unless_it_was_provisional(
    known: Known | None, price: SlotPrice | None, is_asked: bool, then: Known
) -> None:
    assert again(known, price) == (is_asked, then)


def test_what_was_priced_before_it_had_a_meter_learns_what_feeding_in_would_have_earned() -> None:
    assert again((200, 0, None, 0), None) == (False, (200, 0, None, 0))
    assert again((200, 0, None, 0), SlotPrice(7, 80, False), HALF) == (True, (200, 500, 80, 0)), "its price stays"


def test_the_share_follows_the_meter_and_stays_when_that_is_gone() -> None:
    assert again((200, 0, 80, 0), None, HALF) == (False, (200, 500, 80, 0))
    assert again((200, 900, 80, 0), None, HALF) == (False, (200, 500, 80, 0))
    assert again((200, 900, 80, 0), None) == (False, (200, 900, 80, 0))
    assert again((200, 900, 80, 0), None, SiteSlot(0, 0, 0, 0)) == (False, (200, 0, 80, 0))
