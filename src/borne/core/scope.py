"""Scope: what one logged-in person may see in one organisation. Every query about chargers takes it."""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["super-admin", "admin", "operator", "user"]
STAFF: tuple[Role, ...] = ("super-admin", "admin", "operator")
ADMINS: tuple[Role, ...] = ("super-admin", "admin")


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, where, and which rows that reaches.

    `location_ids`: None is every location of the organisation, a tuple is those alone (an empty one: none).
    `charger_ids`: None is every charger of those locations; a tuple is those alone (the chargers assigned to a user).
    """

    person_id: int
    person_name: str
    organisation_id: int
    role: Role
    plan: str  # a key of core.plans.PLANS
    location_ids: tuple[int, ...] | None = None
    charger_ids: tuple[int, ...] | None = None
    guest: bool = False  # the installation's operator, who looks in with the organisation's consent and changes nothing

    def reaches(self, *, organisation_id: int, location_id: int, charger_id: int) -> bool:
        """Whether a charger's row may be shown to this person."""
        if organisation_id != self.organisation_id:
            return False
        if self.location_ids is not None and location_id not in self.location_ids:
            return False
        return self.charger_ids is None or charger_id in self.charger_ids
