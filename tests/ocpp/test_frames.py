"""Frames: what is one, what is not, and that no text whatever brings the parser down."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from borne.ocpp import frames
from borne.ocpp.frames import Bad, Call, Error, Result, parse, payload_text, print_call, print_error, print_result

CALL = '[2,"7","Heartbeat",{}]'


def test_a_call_a_result_and_an_error() -> None:
    assert parse(CALL) == Call("7", "Heartbeat", {}, CALL)
    assert parse('[3,"7",{"status":"Accepted"}]') == Result("7", {"status": "Accepted"})
    assert parse('[4,"7","NotSupported","no",{}]') == Error("7", "NotSupported", "no", "")


@pytest.mark.parametrize(
    ("text", "why", "call_id"),
    [
        ("", "not_json", None),
        ("hello", "not_json", None),
        ("{}", "not_a_frame", None),
        ("[]", "not_a_frame", None),
        ("[2]", "not_a_frame", None),
        ('"2"', "not_a_frame", None),
        ('[2,"7"]', "arity", "7"),
        ('[2,"7","Heartbeat"]', "arity", "7"),
        ('[2,"7","Heartbeat",{},1]', "arity", "7"),
        ('[2,"7","Heartbeat",[]]', "bad_payload", "7"),
        ('[2,"7",8,{}]', "bad_action", "7"),
        ('[2,"7","",{}]', "bad_action", "7"),
        ('[2,7,"Heartbeat",{}]', "bad_id", None),
        ('[2,"","Heartbeat",{}]', "bad_id", None),
        ('[2,"' + "7" * 200 + '","Heartbeat",{}]', "bad_id", None),
        ('[1,"7","Heartbeat",{}]', "message_type", "7"),
        ('[99,"7",{}]', "message_type", "7"),
        ('[true,"7",{}]', "message_type", "7"),
        ('["2","7","Heartbeat",{}]', "message_type", "7"),
        ('[3,"7"]', "arity", None),
        ('[2,"7","Heartbeat",{]', "not_json", "7"),
    ],
)
def test_f1_what_is_no_frame_is_told_apart_and_answered_if_its_id_is_known(
    text: str, why: str, call_id: str | None
) -> None:
    assert parse(text) == Bad(why, call_id)


@pytest.mark.parametrize(
    "odd", ["NaN", "Infinity", "-Infinity", "9" * 5000, "[" * 100_000, '"\x00"', '"\x01"', "1e", "01"]
)
def test_f2_what_json_does_not_hold_is_refused(odd: str) -> None:
    assert parse(f'[2,"7","DataTransfer",{{"data":{odd}}}]') == Bad("not_json", "7")


@pytest.mark.parametrize(
    "payload",
    [
        '{"a":1,"a":2}',
        '{"a":1,"b":{"c":1,"c":1}}',
        '{"a":[{"b":1,"b":1}]}',
        '{"a":1,"\\u0061":2}',
        '{"a":1,"a":"\\u003a"}',
        '{"a":1,"a":"\\u003A:"}',
        '{ "a" : 1 , "a" : 2 }',
    ],
)
def test_f2_duplicate_keys_are_seen_wherever_they_hide(payload: str) -> None:
    frame = parse(f'[2,"7","DataTransfer",{payload}]')
    assert isinstance(frame, Call)
    assert "duplicate_key" in frame.flags


@pytest.mark.parametrize(
    "payload", ['{"a":"::","b":"\\u003a"}', '{"a":{"a":1}}', '[2,"a:b","c:",{"x":"y"}]', '{"é":1.50,"x":-0}']
)
def test_payloads_without_duplicates_are_not_suspected(payload: str) -> None:
    text = payload if payload.startswith("[") else f'[2,"7","DataTransfer",{payload}]'
    frame = parse(text)
    assert isinstance(frame, Call)
    assert frame.flags == ()


def test_f2_nul_and_lone_surrogates_are_replaced_and_pairs_kept() -> None:
    frame = parse('[2,"7","DataTransfer",{"data":"a\\u0000b\\ud800c\\udc00d\\ud83d\\ude00e\\\\u0000"}]')
    assert isinstance(frame, Call)
    assert frame.payload["data"] == "a\ufffdb\ufffdc\ufffdd\U0001f600e\\u0000"
    assert frame.flags == ("replaced_text",)


def test_numbers_are_kept_exactly() -> None:
    frame = parse('[2,"7","MeterValues",{"value":0.10,"big":1e30,"whole":18446744073709551616}]')
    assert isinstance(frame, Call)
    assert frame.payload == {"value": Decimal("0.10"), "big": Decimal("1e30"), "whole": 2**64}
    assert str(frame.payload["value"]) == "0.10"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[4,"7"]', Error("7", "GenericError", "", "")),
        ('[4,"7","Odd Code"]', Error("7", "Odd Code", "", "")),
        ('[4,"7",null,null,null]', Error("7", "GenericError", "", "")),
        ('[4,"7",12,["x"],{"a":1}]', Error("7", "12", "['x']", '{"a":1}')),
        ('[4,"7","' + "x" * 999 + '","",{},"more"]', Error("7", "x" * 255, "", "")),
    ],
)
def test_f11_errors_with_odd_codes_and_details_are_taken(text: str, expected: Error) -> None:
    assert parse(text) == expected


def test_the_payload_is_given_back_as_received() -> None:
    text = '[2,"7","StopTransaction",{ "transactionId":1.0,  "x":"\\u0000" }]'
    assert payload_text(text) == '{ "transactionId":1.0,  "x":"\\u0000" }'


def test_printing_keeps_the_order_of_fields() -> None:
    payload = {"listVersion": 1, "localAuthorizationList": [], "updateType": "Full"}
    assert print_call("7", "SendLocalList", payload) == (
        '[2,"7","SendLocalList",{"listVersion":1,"localAuthorizationList":[],"updateType":"Full"}]'
    )
    assert print_result('a"b', {}) == '[3,"a\\"b",{}]'
    assert json.loads(print_error("7", "InternalError", "x" * 999)) == [4, "7", "InternalError", "x" * 255, {}]


@given(st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_no_text_brings_the_parser_down(text: str) -> None:
    assert isinstance(parse(text), Call | Result | Error | Bad)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=6), json_values, max_size=5), st.booleans())
@settings(max_examples=200, deadline=None)
def test_every_payload_comes_through_whole_and_unsuspected(payload: dict[str, object], ascii_only: bool) -> None:
    text = json.dumps([2, "7", "DataTransfer", payload], ensure_ascii=ascii_only)
    frame = parse(text)
    clean = text.replace("\\u0000", "")
    if "\\ud" not in text.lower() and clean == text:
        assert isinstance(frame, Call)
        assert frame.payload == payload
        assert "duplicate_key" not in frame.flags


@given(st.lists(st.integers(0, len(CALL) - 1), max_size=6), st.binary(min_size=6, max_size=6))
@settings(max_examples=200, deadline=None)
def test_a_damaged_frame_is_something_or_other_but_never_an_exception(places: list[int], junk: bytes) -> None:
    damaged = list('[2,"7","BootNotification",{"chargePointVendor":"a\\u0041","n":[1,2.5]}]')
    for place, byte in zip(places, junk, strict=False):
        damaged[place] = chr(byte)
    assert isinstance(frames.parse("".join(damaged)), Call | Result | Error | Bad)
