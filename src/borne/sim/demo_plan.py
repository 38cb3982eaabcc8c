"""The demo's chargers as data: who they belong to, what they are, and how each takes a restart.

Every verdict can be watched within about 90 s where a restart's deadline is 60 s and a new link settles in 5 s: the
behaviours that last longer in the field are shortened here. The name in brackets tells what the charger does.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from borne.sim.behaviour import Habits
from borne.sim.members import FleetMember

DEMO_TAG = "DEMO-TAG"
"""The tag that every demo session uses: each demo organisation must know it, or accept unknown tags."""

Plan = Literal["Business", "Standard", "Basic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoCharger:
    """One charger of the demo. `model` is an id of the catalogue; False in `connects`: it is never started."""

    plan: Plan
    organisation: str
    location: str
    name: str
    model: str
    serial: str = ""
    behaviour: str = "by-the-book"
    scale: float = 1.0
    tweaks: dict[str, str | int | float | bool] = field(default_factory=dict)
    protocol: Literal["1.6", "2.0.1"] = "1.6"
    connectors: int = 1
    habits: Habits | None = None
    idle_status: str = "Available"
    connects: bool = True

    def member(self, identity: str, password: str, url: str) -> FleetMember:
        """Return the simulated charger, once Borne has given it an identity and a password."""
        vendor, model, firmware = BOOT_WORDS[self.model]
        return FleetMember(
            identity=identity,
            password=password,
            url=url,
            protocol=self.protocol,
            vendor=vendor,
            model=model,
            serial=self.serial,
            firmware=firmware,
            behaviour=self.behaviour,
            scale=self.scale,
            tweaks=self.tweaks,
            connectors=self.connectors,
            habits=self.habits,
            idle_status=self.idle_status,
        )


BOOT_WORDS = {
    # id in the catalogue: vendor, model and firmware as announced in BootNotification
    "pulsar": ("Wallbox Chargers", "Pulsar", "3.2.1"),
    "pulsar-plus": ("Wallbox Chargers", "Pulsar Plus", "5.17.72"),
    "pulsar-max": ("Wallbox Chargers", "Pulsar Max", "6.4.15"),
    "pulsar-pro": ("Wallbox Chargers", "Pulsar Pro", "6.4.15"),
    "copper-sb": ("Wallbox Chargers", "Copper SB", "5.17.72"),
    "commander-2": ("Wallbox Chargers", "Commander 2", "5.17.72"),
    "quasar-2": ("Wallbox Chargers", "Quasar 2", "1.9.4"),
    "supernova-60": ("Wallbox Chargers", "Supernova 60", "2.8.0"),
    "hypernova": ("Wallbox Chargers", "Hypernova", "1.3.0"),
    "other": ("Volta Libre", "VL-22", "0.9.7"),
}


def _charging(
    first_after_s: float = 4.0, lasts_s: float = 1200.0, power_w: int = 7400, offered_w: int | None = None
) -> Habits:
    return Habits(
        first_after_s=first_after_s,
        lasts_s=lasts_s,
        pause_s=45.0,
        meter_every_s=10.0,
        power_w=power_w,
        offered_w=offered_w,
        tag=DEMO_TAG,
    )


def demo_fleet_plan() -> list[DemoCharger]:
    """All chargers of the demo, each with a serial of its own."""
    chargers = [*_lyon_workshop(), *_nantes_depot(), *_lyon_office(), *_hotel(), *_home()]
    return [replace(charger, serial=str(700_100 + 37 * number)) for number, charger in enumerate(chargers)]


def _workshop(location: str, name: str, model: str, behaviour: str, **more: Any) -> DemoCharger:
    return DemoCharger(
        plan="Business",
        organisation="Atelier Lumière",
        location=location,
        name=name,
        model=model,
        behaviour=behaviour,
        **more,
    )


def _lyon_workshop() -> list[DemoCharger]:
    place = "Lyon, Atelier"
    return [
        _workshop(place, "Cour nord 1 (reboots in 14 s)", "pulsar-plus", "firmware-a"),
        _workshop(
            place,
            "Cour nord 2 (stops its session first)",
            "pulsar-plus",
            "firmware-a-session",
            habits=_charging(),
        ),
        _workshop(place, "Cour nord 3 (refuses)", "pulsar-max", "rejects", idle_status="SuspendedEV"),
        _workshop(place, "Cour sud 1 (accepts, does nothing)", "pulsar-max", "accepts-does-nothing"),
        _workshop(place, "Cour sud 2 (never comes back)", "copper-sb", "never-back"),
        _workshop(place, "Cour sud 3 (back after 80 s)", "commander-2", "late-return", tweaks={"away_s": 80.0}),
        _workshop(
            place,
            "Établi (comes back faulted)",
            "pulsar-pro",
            "back-faulted",
            protocol="2.0.1",
            tweaks={"drop_after_s": 3.0, "away_s": 5.0},
        ),
    ]


def _nantes_depot() -> list[DemoCharger]:
    place = "Nantes, Entrepôt"
    return [
        _workshop(place, "Quai 1 (reboots without an answer)", "pulsar-plus", "firmware-b", habits=_charging(9.0)),
        _workshop(
            place,
            "Quai 2 (back without a boot)",
            "pulsar-max",
            "no-boot",
            tweaks={"drop_after_s": 4.0, "away_s": 16.0},
        ),
        _workshop(place, "Quai 3 (reboot loop)", "copper-sb", "reboot-loop"),
        _workshop(
            place,
            "Quai 4 (boots at every reconnect)",
            "commander-2",
            "boots-on-reconnect",
            tweaks={"loses_network_every_s": 90.0},
        ),
        _workshop(
            place,
            "Quai 5 (dead behind a proxy)",
            "hypernova",
            "dead-behind-proxy",
            protocol="2.0.1",
            connectors=2,
        ),
        _workshop(
            place,
            "Quai 6 (waits for its session)",
            "supernova-60",
            "simulator-c-201",
            protocol="2.0.1",
            connectors=2,
            habits=_charging(6.0, lasts_s=50.0, power_w=48_000),
        ),
    ]


def _lyon_office() -> list[DemoCharger]:
    place = "Lyon, Siège"
    return [
        _workshop(place, "Parking 1 (away 40 s)", "pulsar-plus", "wallbox-90s", tweaks={"away_s": 40.0}),
        _workshop(place, "Parking 2 (loses its network only)", "pulsar-max", "drops-without-reboot"),
        _workshop(
            place,
            "Parking 3 (by the book)",
            "quasar-2",
            "by-the-book",
            protocol="2.0.1",
            habits=_charging(12.0, power_w=11_000, offered_w=11_500),
        ),
        _workshop(place, "Parking 4 (never connected)", "commander-2", "by-the-book", connects=False),
        _workshop(place, "Accueil (no remote restart)", "pulsar", "by-the-book", idle_status="Preparing"),
    ]


def _hotel() -> list[DemoCharger]:
    def at_hotel(name: str, model: str, behaviour: str, **more: Any) -> DemoCharger:
        return DemoCharger(
            plan="Standard",
            organisation="Hôtel du Parc",
            location="Annecy, Hôtel",
            name=name,
            model=model,
            behaviour=behaviour,
            **more,
        )

    return [
        at_hotel(
            "Garage 1 (reboots by itself)", "other", "reboots-by-itself", tweaks={"reboots_by_itself_every_s": 90.0}
        ),
        at_hotel("Garage 2 (boots on the same socket)", "other", "simulator-c-soft"),
        at_hotel("Garage 3 (says Unavailable first)", "other", "simulator-e", protocol="2.0.1"),
        at_hotel("Terrasse 1 (back before it is missed)", "pulsar-plus", "silent-reboot", habits=_charging(15.0)),
        at_hotel("Terrasse 2 (faulted)", "pulsar-max", "by-the-book", idle_status="Faulted"),
    ]


def _home() -> list[DemoCharger]:
    def at_home(name: str, model: str, behaviour: str, **more: Any) -> DemoCharger:
        return DemoCharger(
            plan="Basic",
            organisation="Maison Durand",
            location="Dijon, Maison",
            name=name,
            model=model,
            behaviour=behaviour,
            **more,
        )

    return [
        at_home("Carport (by the book)", "pulsar-plus", "by-the-book", habits=_charging(8.0, power_w=3_700)),
        at_home("Grange (slow first boot)", "pulsar-max", "slow-first-boot", tweaks={"boot_delay_s": 12.0}),
        at_home("Cave (boots twice)", "other", "boot-repeated", protocol="2.0.1"),
    ]
