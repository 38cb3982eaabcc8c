"""Lists to tick in: the chargers or people that an access group or a user has, or could get. Searched, by pages, added or taken
many at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from borne.portal.charger_counts import overview
from borne.portal.forms import number_of, text_of, values_of
from borne.portal.frame import PageView
from borne.portal.statuses import status_look
from borne.store import charger_list, choice
from borne.store.charger_list import Place
from borne.store.choice import MOST, PAGE_ROWS, Holder, Wanted
from borne.store.db import Row

QUERY_BOUND = 100
MAX_PAGE = 10_000


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a list. `total`: in all pages. `places`: locations to choose from, none for people."""

    rows: Sequence[Row]
    total: int
    at: int
    q: str
    path: str
    location_id: int | None = None
    places: Sequence[Place] = ()

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE_ROWS))

    @property
    def first(self) -> int:
        return (self.at - 1) * PAGE_ROWS + 1

    @property
    def is_filtered(self) -> bool:
        return bool(self.q) or self.location_id is not None

    def address(self, at: int = 1) -> str:
        """This list at another page."""
        fields = {"q": self.q, "location": self.location_id, "page": at if at > 1 else None}
        query = urlencode({name: value for name, value in fields.items() if value})
        return f"{self.path}?{query}" if query else self.path


def _asked(page: PageView) -> tuple[str, int | None, int]:
    """Words, location and page that the address names."""
    asked = page.request.query_params
    query = " ".join(asked.get("q", "").replace("\0", "").split())[:QUERY_BOUND]
    return query, number_of(asked.get("location", "")), min(max(number_of(asked.get("page", ""), 6) or 1, 1), MAX_PAGE)


def _wanted(held: bool, q: str, location_id: int | None = None) -> Wanted:
    return Wanted(held=held, words=charger_list.words_of(q), location_id=location_id)


async def chargers(page: PageView, holder: Holder, held: bool, path: str) -> Listed:
    """The chargers within reach that the holder has, or has not."""
    db, scope, (q, location_id, at) = page.services.db, page.scope, _asked(page)
    wanted = _wanted(held, q, location_id)
    known = await overview(page)
    if held or wanted.words:
        total = await choice.charger_count(db, scope, holder, wanted)
    else:  # a count of all but a few need not walk them all
        has = await choice.charger_count(db, scope, holder, _wanted(True, "", location_id))
        total = max(0, known.counts.of(charger_list.Filter(location_id=location_id)) - has)
    at = min(at, max(1, -(-total // PAGE_ROWS)))
    rows = await choice.charger_rows(db, scope, holder, wanted, (at - 1) * PAGE_ROWS)
    places = known.places
    return Listed(rows=rows, total=total, at=at, q=q, path=path, location_id=location_id, places=places)


async def people(page: PageView, group_id: int, held: bool, path: str) -> Listed:
    """The people of a group, or the users that could be."""
    db, scope, (q, _, at) = page.services.db, page.scope, _asked(page)
    wanted, now_ms = _wanted(held, q), page.services.clock.now_ms()
    total = await choice.person_count(db, scope, group_id, wanted, now_ms)
    at = min(at, max(1, -(-total // PAGE_ROWS)))
    rows = await choice.person_rows(db, scope, group_id, wanted, now_ms, (at - 1) * PAGE_ROWS)
    return Listed(rows=rows, total=total, at=at, q=q, path=path)


def show(page: PageView, template: str, found: Listed, **context: Any) -> Any:
    """The page with the list, or for htmx the list alone."""
    context |= {"listed": found, "most": MOST, "look": lambda status: status_look(status, page.language)}
    return page.part("choice/list.html", **context) if page.is_part else page.show(template, **context)


# ---- what was ticked ---------------------------------------------------------------------------------------------


def _numbers(data: dict[str, Any], name: str) -> list[int]:
    """The ids of a field, each once."""
    found = (number_of(one) for one in values_of(data, name, MOST))
    return list(dict.fromkeys(one for one in found if one is not None))


async def ticked_chargers(page: PageView, data: dict[str, Any], holder: Holder, held: bool) -> list[int]:
    """The chargers that a form names, or all that its search found; those within reach alone."""
    db, scope = page.services.db, page.scope
    if text_of(data, "all"):
        wanted = _wanted(held, text_of(data, "q", QUERY_BOUND), number_of(text_of(data, "location")))
        return await choice.charger_ids(db, scope, holder, wanted)
    asked = _numbers(data, "charger")
    return await choice.chosen_chargers(db, scope, asked) if asked else []


async def ticked_people(page: PageView, data: dict[str, Any], group_id: int, held: bool) -> list[int]:
    """The people that a form names, or all that its search found. Whoever is to come in must be a user of the organisation."""
    db, scope, now_ms = page.services.db, page.scope, page.services.clock.now_ms()
    if text_of(data, "all"):
        wanted = _wanted(held, text_of(data, "q", QUERY_BOUND))
        return await choice.person_ids(db, scope, group_id, wanted, now_ms)
    asked = _numbers(data, "person")
    return asked if held or not asked else await choice.chosen_people(db, scope, asked, now_ms)
