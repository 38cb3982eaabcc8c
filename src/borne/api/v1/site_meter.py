"""What the meter of a location says, from a program: docs/site-meter.md."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, JSONBody
from msgspec.structs import asdict

from borne.api.problems import AnyRequest, ProblemError, responses
from borne.api.sign_in import SignedIn, address_in, services_of
from borne.api.v1.words import instant
from borne.core import policy
from borne.core.actor import Actor
from borne.core.metering_slots import SLOT_MS
from borne.core.site_meter import Problem, Word, slots_of
from borne.engine.site_meter import GoneError
from borne.store import locations

VALUES_MOST = 700  # a week of quarters of an hour; a body of 100 kB holds them however they are written
FAULTS: dict[Word, str] = {
    "start": "It is no instant like 2026-03-01T00:00:00Z.",
    "offset": "The instant has no offset, like +01:00 or Z.",
    "quarter": "The instant is no multiple of the value's minutes.",
    "minutes": "A value is one of 1, 3, 5 or 15 minutes.",
    "number": "It is no number of Wh.",
    "negative": "Energy is never negative: what flows out is export_wh.",
    "absurd": "This is more than 25 MWh in a quarter of an hour.",
    "twice": "Another value says something else of the same time.",
    "part": "The quarter of an hour is not whole: send all its values together.",
    "export": "More was fed in than the roof gave.",
    "future": "It is not over yet.",
    "old": "It is before 2020.",
}


class SiteValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`start`: an instant (RFC 3339) on a multiple of `minutes` (1, 3, 5, 15). Energy of these minutes, in Wh: from the grid,
    into it, and what the roof gave before anybody used it."""

    start: str
    import_wh: int | float
    solar_wh: int | float
    export_wh: int | float = 0
    minutes: int = 15


class SiteValuesIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Finer values than 15 minutes are added up: all those of a quarter of an hour come in one request."""

    values: Annotated[list[SiteValue], msgspec.Meta(min_length=1, max_length=VALUES_MOST)]


class SiteValuesOut(msgspec.Struct, frozen=True):
    """Quarters of an hour that are new, that replace other values, that were known just so; the end of the newest one sent."""

    new: int
    replaced: int
    same: int
    until: str | None


@post(
    "/locations/{location_id:int}/site-meter",
    scope="meter",
    operation_id="site_meter",
    summary="What the meter of a location says",
    status_code=200,
    responses=responses(404, 422),
)
async def site_meter(
    request: AnyRequest, caller: SignedIn, location_id: FromPath[int], data: JSONBody[SiteValuesIn]
) -> SiteValuesOut:
    """Keep values of the meter of a location, all of them or none. The same again changes nothing; other values replace.

    Sessions of that time are measured anew: their solar share follows, the prices that they were given stay.
    """
    services, scope = services_of(request), caller.scope
    if not policy.permits(scope, "see_locations") or await locations.row(services.db, scope, location_id) is None:
        raise NotFoundException
    if not policy.may(scope, "change_prices", location_id):
        raise ProblemError(403, "Only the super-admin, or an admin of this location, gives values of its meter.")
    file = slots_of([(number, asdict(one)) for number, one in enumerate(data.values)], services.clock.now_ms())
    if file.problems:
        raise ProblemError(422, "Nothing was kept.", errors=[_fault(one) for one in file.problems])
    actor = Actor(scope.person_id, scope.person_name, address_in(request))
    try:
        kept = await services.site_meter.take(scope.organisation_id, location_id, actor, file.slots, by_file=False)
    except GoneError:
        raise NotFoundException from None
    return SiteValuesOut(kept.new, kept.replaced, kept.same, instant(file.slots[-1].slot_ms + SLOT_MS))


def _fault(problem: Problem) -> dict[str, str]:
    column = f"{problem.column}_wh" if problem.column in {"import", "export", "solar"} else problem.column
    said = FAULTS.get(problem.word, problem.word)
    return {"at": f"values/{problem.line}/{column}", "fault": f"{said} ({problem.text})" if problem.text else said}


ROUTES = [site_meter]
