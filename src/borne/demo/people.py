"""Who lives in the demo, and what they hold before its chargers."""

from __future__ import annotations

import msgspec

PASSWORD = "borne-demo"


class DemoPerson(msgspec.Struct, frozen=True):
    """Somebody to log in as. `locations`: those an admin or operator runs. `chargers`: how many of the organisation's a user
    may use. `tags`: what they hold before a charger."""

    email: str
    name: str
    organisation: str
    role: str
    says: str
    locations: tuple[str, ...] = ()
    chargers: int = 0
    operates: bool = False
    tags: tuple[str, ...] = ()


PEOPLE = (
    DemoPerson(
        "camille@demo.test",
        "Camille Roux",
        "Atelier Lumière",
        "super-admin",
        "super-admin, Business",
        operates=True,
        tags=("04A1B2C3D4", "04C0FFEE02"),
    ),
    DemoPerson(
        "ali@demo.test",
        "Ali Benali",
        "Atelier Lumière",
        "admin",
        "admin of Nantes, Entrepôt",
        locations=("Nantes, Entrepôt",),
        tags=("VAN-01",),
    ),
    DemoPerson(
        "olivia@demo.test",
        "Olivia Petit",
        "Atelier Lumière",
        "operator",
        "operator of both places in Lyon",
        locations=("Lyon, Atelier", "Lyon, Siège"),
        tags=("04A1B2C3D6",),
    ),
    DemoPerson(
        "zoe@demo.test",
        "Zoé Martin",
        "Atelier Lumière",
        "user",
        "user with three chargers",
        chargers=3,
        tags=("04A1B2C3D5", "04C0FFEE01"),
    ),
    DemoPerson(
        "malik@demo.test", "Malik Diallo", "Atelier Lumière", "user", "driver of a van, by a group", tags=("VAN-03",)
    ),
    DemoPerson(
        "lea@demo.test", "Léa Garnier", "Atelier Lumière", "user", "driver of a van, by a group", tags=("VAN-04",)
    ),
    DemoPerson("hugo@demo.test", "Hugo Leroy", "Hôtel du Parc", "super-admin", "super-admin, Standard"),
    DemoPerson(
        "ines@demo.test", "Inès Durand", "Maison Durand", "super-admin", "super-admin, Basic", tags=("MAISON-1",)
    ),
)

# Tags that belong to nobody: who holds one charges anywhere in the organisation.
SHARED_TAGS = (
    ("Atelier Lumière", "VAN-02", "Van 2"),
    ("Hôtel du Parc", "GUEST-CARD", "Reception"),
)
