"""Meter values: exact integers in our units, and the charger's own text where the integer does not say it all."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from borne.core.readings import Reading
from borne.ocpp.frames import parse
from borne.ocpp.meters import readings_v16, readings_v201, register_wh

AT = "2026-11-22T12:00:00Z"
AT_MS = 1_795_348_800_000


def one16(**sample: Any) -> Reading:
    (reading,) = readings_v16([{"timestamp": AT, "sampledValue": [sample]}])
    return reading


def one201(**sample: Any) -> Reading:
    (reading,) = readings_v201([{"timestamp": AT, "sampledValue": [sample]}])
    return reading


@pytest.mark.parametrize(
    ("sample", "quantity", "value", "raw"),
    [
        ({"value": "1234"}, "energy_import_wh", 1234, None),  # M5: neither measurand nor unit
        ({"value": "1234", "unit": "Wh"}, "energy_import_wh", 1234, None),
        ({"value": "12.345", "unit": "kWh"}, "energy_import_wh", 12345, None),
        ({"value": "12.3456", "unit": "kWh"}, "energy_import_wh", 12346, "12.3456 kWh"),
        ({"value": "-3.5", "measurand": "Power.Active.Import", "unit": "kW"}, "power_import_w", -3500, None),
        ({"value": "+7", "measurand": "Power.Active.Import"}, "power_import_w", 7, None),
        ({"value": "16.05", "measurand": "Current.Import", "unit": "A"}, "current_import_ma", 16050, None),
        ({"value": "230", "measurand": "Voltage", "unit": "V"}, "voltage_mv", 230_000, None),
        ({"value": "80.5", "measurand": "SoC", "unit": "Percent"}, "soc_permille", 805, None),
        ({"value": "25", "measurand": "Temperature", "unit": "Celcius"}, "temperature_mc", 25_000, None),
        ({"value": "298.15", "measurand": "Temperature", "unit": "K"}, "temperature_mc", 25_000, "298.15 K"),
        ({"value": "1e3"}, "energy_import_wh", 1000, None),
        ({"value": "1e30"}, "energy_import_wh", None, "1e30"),
        ({"value": "1e999999999"}, "energy_import_wh", None, "1e999999999"),
        ({"value": "NaN"}, "energy_import_wh", None, "NaN"),
        ({"value": "1_000"}, "energy_import_wh", None, "1_000"),
        ({"value": "12,5", "unit": "kWh"}, "energy_import_wh", None, "12,5 kWh"),
        ({"value": "\u0663"}, "energy_import_wh", None, "\u0663"),
        ({"value": "lots", "unit": "Wh"}, "energy_import_wh", None, "lots Wh"),
        ({"value": ""}, "energy_import_wh", None, ""),
        (
            {"value": "5", "unit": "W"},
            "Energy.Active.Import.Register",
            None,
            "5 W",
        ),  # the unit contradicts the measurand
        ({"value": "5", "measurand": "Smell"}, "Smell", None, "5"),
        ({"value": "AZ09==", "format": "SignedData", "unit": "Wh"}, "energy_import_wh", None, "AZ09== Wh"),
    ],
)
def test_m5_units_signs_text_and_huge_values(
    sample: dict[str, Any], quantity: str, value: int | None, raw: str | None
) -> None:
    reading = one16(**sample)
    assert (reading.quantity, reading.value, reading.raw or None) == (quantity, value, raw or None)
    assert reading.device_ms == AT_MS


def test_context_and_location_are_none_when_they_are_the_defaults() -> None:
    plain = one16(value="1", context="Sample.Periodic", location="Outlet", phase="L1")
    assert (plain.context, plain.location, plain.phase) == (None, None, "L1")
    told = one16(value="1", context="Transaction.End", location="EV")
    assert (told.context, told.location) == ("Transaction.End", "EV")


def test_values_of_201_are_exact_decimals_with_multipliers() -> None:
    text = '[2,"1","MeterValues",{"v":[0.1,12345.125,1e30,3]}]'
    values = parse(text).payload["v"]  # type: ignore[union-attr]
    assert one201(value=values[0], unitOfMeasure={"unit": "kWh"}).value == 100
    odd = one201(value=values[1])
    assert (odd.value, odd.raw) == (12345, "12345.125")
    assert one201(value=values[2]).value is None
    assert one201(value=values[3], unitOfMeasure={"unit": "Wh", "multiplier": 3}).value == 3000
    assert one201(value=values[3], unitOfMeasure={"unit": "Wh", "multiplier": 99999}).value is None


def test_signed_data_of_201_stays_beside_the_value() -> None:
    reading = one201(value=5, signedMeterValue={"signedMeterData": "AZ09==", "signingMethod": "x"})
    assert (reading.value, reading.raw) == (5, "AZ09==")


def test_the_register_at_the_begin_and_the_end() -> None:
    samples = [
        {"value": 5, "context": "Transaction.Begin"},
        {"value": 1, "context": "Transaction.End", "phase": "L1"},
        {"value": 9, "context": "Transaction.End"},
    ]
    readings = readings_v201([{"timestamp": AT, "sampledValue": samples}])
    assert register_wh(readings, "Transaction.Begin") == 5
    assert register_wh(readings, "Transaction.End") == 9
    assert register_wh(readings, "Trigger") is None


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
sample_keys = st.sampled_from(
    ["value", "unit", "measurand", "context", "format", "phase", "location", "unitOfMeasure", "signedMeterValue"]
)


@given(
    st.lists(
        junk
        | st.fixed_dictionaries(
            {"timestamp": junk, "sampledValue": st.lists(st.dictionaries(sample_keys, junk, max_size=5), max_size=3)}
        ),
        max_size=3,
    )
)
@settings(max_examples=200, deadline=None)
def test_nothing_in_a_meter_value_raises(values: list[Any]) -> None:
    for reading in (*readings_v16(values), *readings_v201(values)):
        assert reading.value is None or abs(reading.value) <= 2**53


@given(st.decimals(-(10**9), 10**9, places=6))
@settings(max_examples=200, deadline=None)
def test_kwh_become_wh_exactly_or_keep_their_text(number: Decimal) -> None:
    reading = one16(value=str(number), unit="kWh")
    assert reading.value is not None
    if reading.raw is None:
        assert Decimal(reading.value) == number * 1000
    else:
        assert abs(Decimal(reading.value) - number * 1000) <= Decimal("0.5")
