"""Meter values of both versions as readings: a word with its unit, an exact integer, and the charger's text where that says more.

Sources: OCPP 1.6 §7.31 to §7.45 (SampledValue, Measurand, UnitOfMeasure), 2.0.1 part 2 §2.46 to §2.48. A measurand left out is
Energy.Active.Import.Register, its unit Wh. Other measurands without a unit have the one everybody means (W, A, V, %, Hz).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from borne.core.readings import Reading
from borne.ocpp.frames import Payload
from borne.ocpp.times import instant_ms
from borne.ocpp.values import integer, items, mapping

ENERGY = "Energy.Active.Import.Register"
MAX_VALUE = 2**53  # beyond what any meter shows; and what a browser's number can hold
MAX_RAW = 2_000

# Measurand -> (word, its unit's symbol in the charger's words, powers of ten from that unit to ours).
_WORDS: dict[str, tuple[str, str, int]] = {
    "Energy.Active.Import.Register": ("energy_import_wh", "Wh", 0),
    "Energy.Active.Export.Register": ("energy_export_wh", "Wh", 0),
    "Energy.Active.Import.Interval": ("energy_import_interval_wh", "Wh", 0),
    "Energy.Active.Export.Interval": ("energy_export_interval_wh", "Wh", 0),
    "Energy.Active.Net": ("energy_net_wh", "Wh", 0),
    "Energy.Reactive.Import.Register": ("energy_reactive_import_varh", "varh", 0),
    "Energy.Reactive.Export.Register": ("energy_reactive_export_varh", "varh", 0),
    "Energy.Reactive.Import.Interval": ("energy_reactive_import_interval_varh", "varh", 0),
    "Energy.Reactive.Export.Interval": ("energy_reactive_export_interval_varh", "varh", 0),
    "Energy.Reactive.Net": ("energy_reactive_net_varh", "varh", 0),
    "Energy.Apparent.Net": ("energy_apparent_net_vah", "VAh", 0),
    "Energy.Apparent.Import": ("energy_apparent_import_vah", "VAh", 0),
    "Energy.Apparent.Export": ("energy_apparent_export_vah", "VAh", 0),
    "Power.Active.Import": ("power_import_w", "W", 0),
    "Power.Active.Export": ("power_export_w", "W", 0),
    "Power.Offered": ("power_offered_w", "W", 0),
    "Power.Reactive.Import": ("power_reactive_import_var", "var", 0),
    "Power.Reactive.Export": ("power_reactive_export_var", "var", 0),
    "Power.Factor": ("power_factor_permille", "", 3),
    "Current.Import": ("current_import_ma", "A", 3),
    "Current.Export": ("current_export_ma", "A", 3),
    "Current.Offered": ("current_offered_ma", "A", 3),
    "Voltage": ("voltage_mv", "V", 3),
    "Frequency": ("frequency_mhz", "Hz", 3),
    "SoC": ("soc_permille", "Percent", 1),
    "RPM": ("speed_rpm", "", 0),
    "Temperature": ("temperature_mc", "Celsius", 3),
}
_PREFIXES = (("k", 3), ("M", 6), ("m", -3))
_SAME_UNIT = {"Percent": ("%",), "Hz": ("Hertz",), "Celsius": ("Celcius", "°C", "C"), "": ("RPM", "rpm")}

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_EXACT = Context(prec=80, rounding=ROUND_HALF_EVEN)


def _scales() -> dict[tuple[str, str], tuple[str, int]]:
    """(measurand, unit as the charger writes it) -> (word, powers of ten)."""
    table: dict[tuple[str, str], tuple[str, int]] = {}
    for measurand, (word, unit, power) in _WORDS.items():
        for name in (unit, "", *_SAME_UNIT.get(unit, ())):
            table[measurand, name] = (word, power)
        if unit not in ("", "Percent", "Celsius"):
            for prefix, more in _PREFIXES:
                table[measurand, prefix + unit] = (word, power + more)
    return table


_SCALES = _scales()
PLAIN_LENGTH = 12  # a text this short, shifted by at most PLAIN_SHIFT, fits 64 bits
PLAIN_SHIFT = 6
_TENS = tuple(10**power for power in range(PLAIN_LENGTH + 1))


def readings_v16(values: list[Any]) -> tuple[Reading, ...]:
    """MeterValue[] of 1.6: every value is a text."""
    found: list[Reading] = []
    for device_ms, sample in _samples(values):
        signed = sample.get("format") == "SignedData"
        found.append(_reading(sample, sample.get("unit"), 0, signed, device_ms))
    return tuple(found)


def readings_v201(values: list[Any]) -> tuple[Reading, ...]:
    """MeterValueType[] of 2.0.1: every value is a number, with a unit and a multiplier (a power of ten) beside it."""
    found: list[Reading] = []
    for device_ms, sample in _samples(values):
        unit = mapping(sample, "unitOfMeasure")
        power = integer(unit, "multiplier") or 0
        found.append(_with_signature(_reading(sample, unit.get("unit"), power, False, device_ms), sample))
    return tuple(found)


def _samples(values: list[Any]) -> Iterator[tuple[int | None, Payload]]:
    """(device time, sample) of each sampled value, in the order of the message."""
    for value in values:
        if type(value) is dict:
            device_ms = instant_ms(value.get("timestamp"))
            for sample in items(value, "sampledValue"):
                if type(sample) is dict:
                    yield device_ms, sample


def _reading(sample: Payload, unit: Any, power: int, signed: bool, device_ms: int | None) -> Reading:
    get = sample.get
    measurand, raw_value = get("measurand") or ENERGY, get("value")
    unit_text = unit if type(unit) is str else ""
    scale = _SCALES.get((measurand, unit_text)) if type(measurand) is str else None
    if scale is not None and not signed:
        word, value, exact = scale[0], *_scaled(raw_value, scale[1] + power)
    else:
        value, exact, word = _unscaled(raw_value, measurand, unit_text, signed)
    raw = None if exact else f"{_shown(raw_value)} {unit_text}".strip()[:MAX_RAW]
    context = get("context")
    if context is not None:
        context = None if context == "Sample.Periodic" else _name(context)
    location = get("location")
    if location is not None:
        location = None if location == "Outlet" else _name(location)
    phase = get("phase")
    if phase is not None:
        phase = _name(phase)
    return Reading(word, value, device_ms, phase, context, location, raw)


def _unscaled(raw: Any, measurand: Any, unit: str, signed: bool) -> tuple[int | None, bool, str]:
    """What the table does not hold: other scales of temperature, signed data, measurands and units of the charger's own."""
    if measurand == "Temperature" and not signed and unit in ("K", "Fahrenheit"):
        number = _decimal(raw)
        if number is not None:
            celsius = number - Decimal("273.15") if unit == "K" else (number - 32) * 5 / 9
            return int((celsius * 1000).to_integral_value(ROUND_HALF_EVEN)), False, "temperature_mc"
    known = _WORDS.get(measurand) if type(measurand) is str else None
    if known is not None and signed:
        return None, False, known[0]
    return None, False, measurand[:100] if type(measurand) is str else "unknown"


def _scaled(raw: Any, power: int) -> tuple[int | None, bool]:
    """The value times ten to the `power` as an integer, and whether that is exactly what the charger said."""
    if type(raw) is str and len(raw) <= PLAIN_LENGTH and raw.isascii():  # the usual case, in plain integers
        whole, point, fraction = raw.partition(".")
        if whole.isdecimal() and (fraction.isdecimal() or not point):
            shift = power - len(fraction)
            if -PLAIN_LENGTH <= shift <= PLAIN_SHIFT:
                return _shifted(int(whole + fraction), shift)
    number = _decimal(raw)
    if number is None or not -40 <= power <= 40 or number.adjusted() + power > 18:
        return None, False
    scaled = _EXACT.scaleb(number, power)
    value = int(_EXACT.to_integral_value(scaled))
    if not -MAX_VALUE <= value <= MAX_VALUE:
        return None, False
    return value, scaled == value


def _shifted(digits: int, shift: int) -> tuple[int, bool]:
    """`digits` times ten to the `shift`, a half to the even neighbour, and whether that is exact."""
    if shift >= 0:
        return digits * _TENS[shift], True
    unit = _TENS[-shift]
    value, rest = divmod(digits, unit)
    if 2 * rest > unit or (2 * rest == unit and value & 1):
        value += 1
    return value, rest == 0


def _decimal(raw: Any) -> Decimal | None:
    """A finite decimal of reasonable size, or None."""
    if type(raw) is int:
        return Decimal(raw) if -MAX_VALUE <= raw <= MAX_VALUE else None
    if type(raw) is str:
        stripped = raw.strip()
        if len(stripped) > 64 or _NUMBER.fullmatch(stripped) is None:
            return None
        raw = Decimal(stripped)
    if type(raw) is not Decimal or not raw.is_finite() or abs(raw.adjusted()) > 40 or len(raw.as_tuple().digits) > 64:
        return None
    return raw


def _shown(raw: Any) -> str:
    return raw if type(raw) is str else "" if raw is None else str(raw)


def _name(value: Any) -> str | None:
    return value[:50] or None if type(value) is str else None


def _with_signature(reading: Reading, sample: Payload) -> Reading:
    data = mapping(sample, "signedMeterValue").get("signedMeterData")
    if type(data) is not str or not data:
        return reading
    raw = data[:MAX_RAW]
    return Reading(
        reading.quantity, reading.value, reading.device_ms, reading.phase, reading.context, reading.location, raw
    )


def register_wh(readings: tuple[Reading, ...], context: str) -> int | None:
    """The import register of the whole EVSE in `context` (Transaction.Begin, Transaction.End); None when not said."""
    for reading in readings:
        if reading.quantity == "energy_import_wh" and reading.context == context and reading.phase is None:
            return reading.value
    return None
