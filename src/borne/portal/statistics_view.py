"""What the address of the statistics asks for: a period, whose sessions, and how the chart is cut. Page and files share it."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal, cast, get_args
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec

from borne.portal.forms import number_of
from borne.portal.frame import PageView
from borne.portal.language import N_
from borne.portal.periods import Grain, Period, grain_of, grains_of, number_of_day, period_of, today_in
from borne.portal.sessions import zone_of
from borne.store import access_groups, charger_list, organisations
from borne.store.charger_list import Place
from borne.store.db import Row
from borne.store.statistics import Chosen

Measure = Literal["energy", "sessions", "cost", "charging", "idle", "peak"]
MEASURES: dict[Measure, str] = {
    "energy": N_("Energy"),
    "sessions": N_("Sessions"),
    "cost": N_("Cost of energy"),
    "charging": N_("Charging"),
    "idle": N_("Plugged in, not charging"),
    "peak": N_("Highest power"),
}
FIND_BOUND = 100
GRAIN_WORDS: dict[Grain, str] = {"hour": N_("Hour"), "day": N_("Day"), "month": N_("Month"), "year": N_("Year")}


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What is counted: of one charger, of one person or of a group's chargers, or of all; and how it is drawn."""

    period: Period
    today: date
    zone: ZoneInfo
    is_own: bool  # a user's: what they charged themselves
    places: list[Place]
    groups: list[Row]
    location_id: int | None
    group_id: int | None
    charger_id: int | None
    person_id: int | None
    grain: Grain
    measure: Measure
    asked_grain: str
    find: str

    @property
    def is_whole(self) -> bool:
        """Whole locations are counted, so that their sums by slot, peaks and hours of the week answer."""
        return not self.is_own and (self.charger_id, self.person_id, self.group_id) == (None, None, None)

    @property
    def has_utilisation(self) -> bool:
        """It is that of chargers, not of what somebody charged."""
        return not self.is_own and self.person_id is None

    @property
    def grains(self) -> tuple[Grain, ...]:
        return grains_of(self.period, has_hours=self.group_id is None)

    @property
    def measures(self) -> tuple[Measure, ...]:
        known = get_args(Measure)
        return known if self.is_whole and self.grain != "hour" else known[:-1]

    def chosen(self, period: Period) -> Chosen:
        """What the store counts. A location ahead of the zone whose today counts has a day more: it belongs to today."""
        until = number_of_day(period.end) + (1 if period.end > self.today else 0)
        return Chosen(
            from_day=number_of_day(period.first),
            until_day=until,
            location_id=self.location_id,
            charger_id=self.charger_id,
            person_id=self.person_id,
            access_group_id=self.group_id,
        )

    def query(self, **changes: Any) -> str:
        """The query of this view, with changes (None leaves a name out)."""
        fields: dict[str, Any] = {"period": self.period.key}
        if not self.period.key:
            fields |= {"since": self.period.first.isoformat(), "until": self.period.last.isoformat()}
        fields |= {
            "location": self.location_id,
            "group": self.group_id,
            "charger": self.charger_id,
            "person": self.person_id,
            "by": self.asked_grain or None,
            "show": self.measure if self.measure != "energy" else None,
        }
        fields |= changes
        return urlencode({name: value for name, value in fields.items() if value is not None})

    def address(self, path: str = "/statistics", **changes: Any) -> str:
        return f"{path}?{self.query(**changes)}"


async def local_today(page: PageView, location_id: int | None) -> tuple[ZoneInfo, date]:
    """The zone in which the visitor's days begin, and its today."""
    zone = zone_of(await organisations.zone_of_scope(page.services.db, page.scope, location_id))
    return zone, today_in(zone, page.services.clock.now_ms())


async def view_of(page: PageView) -> View:
    """Read the address. What makes no sense in it is left aside; of a charger, a person and a group the first counts."""
    asked, db, scope = page.request.query_params, page.services.db, page.scope
    is_own = scope.role == "user"
    places = await charger_list.places(db, scope)
    location_id = number_of(asked.get("location", ""))
    location_id = location_id if location_id in {place.id for place in places} else None
    zone, today = await local_today(page, location_id)
    period = period_of(asked.get("period", "30"), asked.get("since", ""), asked.get("until", ""), today)
    groups = [] if is_own else await access_groups.listed(db, scope)
    charger_id, person_id, group_id = (
        None if is_own else number_of(asked.get(name, "")) for name in ("charger", "person", "group")
    )
    if charger_id is not None:
        person_id = None
    if charger_id is not None or person_id is not None or group_id not in {group.id for group in groups}:
        group_id = None
    asked_grain = asked.get("by", "")
    grain = grain_of(asked_grain, period, has_hours=group_id is None)
    find = " ".join(asked.get("find", "").replace("\0", "").split())[:FIND_BOUND]
    view = View(
        period=period, today=today, zone=zone, is_own=is_own, places=places, groups=groups, location_id=location_id,
        group_id=group_id, charger_id=charger_id, person_id=person_id, grain=grain, measure="energy",
        asked_grain=asked_grain if asked_grain == grain else "", find=find,
    )  # fmt: skip
    measure = asked.get("show", "")
    return msgspec.structs.replace(view, measure=cast(Measure, measure)) if measure in view.measures else view
