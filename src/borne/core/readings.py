"""Readings: one metered value at one instant, as an integer in the unit of its quantity."""

from __future__ import annotations

import msgspec


class Reading(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One sampled value.

    `quantity` is a word with its unit in the name: `energy_import_wh`, `energy_export_wh`, `power_import_w`,
    `current_import_ma`, `voltage_mv`, `soc_permille`, `temperature_mc`, `frequency_mhz`, … or the charger's own
    measurand, unchanged, where Borne has no word. `value` is the exact or rounded integer; `raw` keeps the charger's
    text (value and unit) wherever the integer does not say it all, or when there is no integer at all (`value` None).
    `device_ms` is the charger's own clock, None if unreadable; `phase` like "L1", "L1-N"; `context` and `location` in
    the OCPP words, None when they are the defaults (Sample.Periodic, Outlet).
    """

    quantity: str
    value: int | None
    device_ms: int | None = None
    phase: str | None = None
    context: str | None = None
    location: str | None = None
    raw: str | None = None
