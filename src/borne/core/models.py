"""The catalogue of charger models: what each kind can do. Data; a row is all it takes to add one."""

from __future__ import annotations

from typing import Literal

import msgspec

from borne.core.facts import RestartKind


class Model(msgspec.Struct, frozen=True):
    """A kind of charger. `usual_restart_ms` is how long a restart takes, until it is learnt; None in `amps` (of a phase) and
    `max_w`: not known."""

    id: str
    name: str
    restarts: bool = True
    restart_kind: RestartKind = "soft"
    usual_restart_ms: int = 90_000
    current: Literal["AC", "DC"] = "AC"
    link: str = ""
    amps: tuple[int, int] | None = None
    max_w: int | None = None
    protocol: str = ""
    note: str = ""


_DC_RESTART_MS = 240_000

CATALOGUE: tuple[Model, ...] = (
    Model("pulsar", "Pulsar", restarts=False, link="Bluetooth"),
    Model("pulsar-plus", "Pulsar Plus", link="Wi-Fi, Bluetooth", amps=(6, 32), protocol="OCPP 1.6J"),
    Model("pulsar-max", "Pulsar Max", link="Wi-Fi, Bluetooth"),
    Model("pulsar-pro", "Pulsar Pro", note="announces a boot on connecting only when asked"),
    Model("copper", "Copper"),
    Model(
        "copper-sb", "Copper SB", link="Wi-Fi, 3G/4G dongle", note="one message at a time: it drops the link on bursts"
    ),
    Model("commander", "Commander"),
    Model("commander-2", "Commander 2", link="Wi-Fi, 3G/4G dongle"),
    Model(
        "quasar", "Quasar", link="Wi-Fi, Bluetooth, Ethernet, LTE", amps=(6, 32), current="DC", usual_restart_ms=120_000
    ),
    Model(
        "quasar-2", "Quasar 2", link="Wi-Fi, Bluetooth, Ethernet", amps=(6, 32), current="DC", usual_restart_ms=120_000
    ),
    Model("supernova-60", "Supernova 60", current="DC", max_w=60_000, usual_restart_ms=_DC_RESTART_MS),
    Model("supernova-150", "Supernova 150", current="DC", max_w=150_000, usual_restart_ms=_DC_RESTART_MS),
    Model("supernova-180", "Supernova 180", current="DC", max_w=180_000, usual_restart_ms=_DC_RESTART_MS),
    Model("hypernova", "Hypernova", current="DC", max_w=350_000, usual_restart_ms=_DC_RESTART_MS),
    Model("other", "Other OCPP charger", usual_restart_ms=60_000),
)
MODELS: dict[str, Model] = {model.id: model for model in CATALOGUE}
OTHER = MODELS["other"]


def model_of(model_id: str) -> Model:
    """The catalogue's entry; a charger of an unknown model is treated as any other OCPP charger."""
    return MODELS.get(model_id, OTHER)


DEADLINE_TIMES = 3
DC_UNLEARNT_MS = 15 * 60_000
LEARNT_FROM = 5


def deadline_after_ms(model: Model, durations_ms: list[int], *, least_ms: int, most_ms: int) -> int:
    """How long a verdict may take: three times the 95th percentile of the model's last successes (five at least, else the
    catalogue's figure), within the bounds; DC chargers get 15 minutes until learnt."""
    if len(durations_ms) >= LEARNT_FROM:
        ordered = sorted(durations_ms)
        after_ms = DEADLINE_TIMES * ordered[min(len(ordered) - 1, -(-95 * len(ordered) // 100) - 1)]
    elif model.current == "DC":
        after_ms = DC_UNLEARNT_MS
    else:
        after_ms = DEADLINE_TIMES * model.usual_restart_ms
    return max(least_ms, min(most_ms, after_ms))
