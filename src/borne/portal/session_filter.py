"""What the address of the list of sessions asks for: the list, its files and its saved views share it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import cast
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

from borne.core import policy
from borne.portal.forms import number_of
from borne.portal.frame import PageView
from borne.store import charger_list, organisations, session_list
from borne.store.charger_list import Filter as ChargerFilter
from borne.store.session_list import KINDS, Filter, Kind

QUERY_BOUND = 100
CHARGERS_MOST = 50  # that a search looks at
NAMES = ("q", "who", "location", "charger", "person", "kind", "from", "to")


async def wanted(page: PageView) -> Filter:
    """The filter that the address names. What makes no sense in it is left aside."""
    asked = page.request.query_params
    location_id = number_of(asked.get("location", ""))
    sees_people = policy.permits(page.scope, "see_people")
    tags, people_ids = await _who(page, asked.get("who", "")[:QUERY_BOUND], sees_people)
    zone = ZoneInfo(await organisations.zone_of_scope(page.services.db, page.scope, location_id))
    kind = asked.get("kind")
    return Filter(
        charger_ids=await _chargers(page, asked.get("q", "")[:QUERY_BOUND], number_of(asked.get("charger", ""))),
        location_id=location_id,
        person_id=number_of(asked.get("person", "")) if sees_people else None,
        tags=tags,
        people_ids=people_ids,
        kind=cast(Kind, kind) if kind in KINDS else None,
        from_ms=_midnight_ms(asked.get("from", ""), 0, zone),
        to_ms=_midnight_ms(asked.get("to", ""), 1, zone),
    )


async def _chargers(page: PageView, query: str, charger_id: int | None) -> tuple[int, ...] | None:
    """Those of a search, or the one that is named."""
    words = charger_list.words_of(query)
    if not words:
        return None if charger_id is None else (charger_id,)
    found = await charger_list.matching_ids(page.services.db, page.scope, ChargerFilter(words=words), CHARGERS_MOST)
    return tuple(one for one in found if charger_id is None or one == charger_id)


async def _who(page: PageView, query: str, sees_people: bool) -> tuple[tuple[str, ...] | None, tuple[int, ...]]:
    """A badge as chargers may have said it, and members who are called so."""
    text = " ".join(query.replace("\0", "").split()).encode("utf-8", "ignore").decode()
    if not text:
        return None, ()
    words = charger_list.words_of(text)
    people_ids = await session_list.people_called(page.services.db, page.scope, words) if sees_people and words else ()
    return tuple(dict.fromkeys((text, text.casefold(), text.upper()))), people_ids


def _midnight_ms(text: str, days: int, zone: ZoneInfo) -> int | None:
    """The start of a day there, `days` later. Nothing for what is no day."""
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    if not 1970 < day.year < 9000:
        return None
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def kept(page: PageView) -> str:
    """The address's filter as a query, in an order that is always the same."""
    return clean([(name, value) for name, value in page.request.query_params.items() if isinstance(value, str)])


def clean(pairs: list[tuple[str, str]]) -> str:
    """A query with the names of a filter alone, each of a bounded length."""
    said = {name: value[:QUERY_BOUND] for name, value in pairs if name in NAMES and value}
    return urlencode([(name, said[name]) for name in NAMES if name in said], errors="ignore")


def cleaned(query: str) -> str:
    """The same of a query that somebody sent."""
    return clean(parse_qsl(query[:2_000], max_num_fields=100) if query.count("&") < 100 else [])


def address(path: str, query: str, **more: str) -> str:
    """A path with the filter, and more."""
    extra = urlencode(more)
    joined = "&".join(part for part in (query, extra) if part)
    return f"{path}?{joined}" if joined else path
