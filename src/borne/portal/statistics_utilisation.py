"""Utilisation in words: kWh / (Pmax x hours), with what it is made of."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from borne.core.models import model_of
from borne.core.statistics import day_start_ms
from borne.core.utilisation import could_deliver_wh, max_power_w, permille
from borne.portal.frame import PageView
from borne.portal.periods import number_of_day
from borne.portal.statistics_view import View
from borne.store import utilisation


class Kind(msgspec.Struct, frozen=True):
    """Chargers of a model on as many phases: `existed_ms` is their time added up."""

    name: str
    chargers: int
    power_w: int
    existed_ms: int
    energy_wh: int


class Utilisation(msgspec.Struct, frozen=True):
    """`permille` None: of no charger is known what it could deliver. `left_out`: chargers of which it is not known."""

    permille: int | None
    energy_wh: int
    could_wh: int
    kinds: tuple[Kind, ...]
    left_out: int


async def of(page: PageView, view: View) -> Utilisation | None:
    """Of the chargers that the view chooses, until now; None of what one person charged, and where there is no charger."""
    if not view.has_utilisation:
        return None
    db, scope, chosen = page.services.db, page.scope, view.chosen(view.period)
    from_ms = day_start_ms(number_of_day(view.period.first), view.zone)
    end_ms = day_start_ms(number_of_day(view.period.last + timedelta(days=1)), view.zone)
    until_ms = min(end_ms, page.services.clock.now_ms())
    if until_ms <= from_ms:
        return None
    rows = await utilisation.existed(db, scope, chosen, from_ms, until_ms)
    if not rows:
        return None
    known = {(row.model, row.phases): max_power_w(row.model, row.phases) for row in rows}
    energies: dict[tuple[str, int | None], int] = {}
    if any(known.values()):
        delivered = await utilisation.delivered(db, scope, chosen)
        energies = {(row.model, row.phases): row.energy_wh for row in delivered}
    kinds = tuple(
        Kind(model_of(row.model).name, row.chargers, power_w, row.existed_ms, energies.get((row.model, row.phases), 0))
        for row in rows
        if (power_w := known[row.model, row.phases]) is not None
    )
    energy_wh = sum(kind.energy_wh for kind in kinds)
    could_wh = sum(could_deliver_wh(kind.power_w, kind.existed_ms) for kind in kinds)
    left_out = sum(row.chargers for row in rows if known[row.model, row.phases] is None)
    return Utilisation(permille(energy_wh, could_wh), energy_wh, could_wh, kinds, left_out)
