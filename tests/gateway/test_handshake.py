"""The request of a charger, read strictly."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from borne.gateway.handshake import (
    IDENTITY,
    Asked,
    Refused,
    has_token,
    hide_secret,
    is_foreign_origin,
    read_basic,
    read_path,
    subprotocols,
)

SECRET = "abcdefghjkmnpqrstuvw"


def test_paths() -> None:
    assert read_path(b"/ocpp/CP1", "/ocpp") == Asked("CP1")
    assert read_path(b"/ocpp/CP1?x=/y", "/ocpp/") == Asked("CP1")
    assert read_path(f"/ocpp/{SECRET}/CP1".encode(), "/ocpp") == Asked("CP1", SECRET)
    assert read_path(b"/ocpp/short/CP1", "/ocpp") == Refused(404, "path", "CP1")
    assert read_path(b"/CP1", "/ocpp") == Refused(404, "path", "CP1")
    assert read_path(b"/ocpp/C%20P", "/ocpp") == Refused(400, "identity", "C P")


@given(st.binary(max_size=60))
@settings(max_examples=300, deadline=None)
def test_t13_no_path_gives_an_identity_that_could_leave_its_place(rest: bytes) -> None:
    asked = read_path(b"/ocpp/" + rest, "/ocpp")
    if isinstance(asked, Asked):
        assert IDENTITY.fullmatch(asked.identity)
        assert asked.identity not in (".", "..")
    assert hide_secret(b"/ocpp/" + rest).isprintable()


def test_a13_a_secret_in_the_path_is_masked_in_logs() -> None:
    shown = hide_secret(f"/ocpp/{SECRET}/CP1".encode())
    assert SECRET not in shown
    assert shown.endswith("/CP1")
    assert hide_secret(b"/ocpp/CP1") == "/ocpp/CP1"


def token(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


def test_basic() -> None:
    assert read_basic(token(b"CP1:pass:word"), "CP1") == ("CP1", "pass:word")
    assert read_basic(token(b"CP:1:pass"), "CP:1") == ("CP:1", "pass")
    assert read_basic(token(b":pass"), "CP1") == ("", "pass")
    assert read_basic("basic " + base64.b64encode(b"a:b").decode(), "CP1") == ("a", "b")
    for odd in (None, "", "Basic", "Basic ???", "Digest x", token(b"none"), token(b"\xff:\xff")):
        assert read_basic(odd, "CP1") is None


def test_subprotocols_and_tokens() -> None:
    assert subprotocols(["ocpp2.0.1, ocpp1.6", " x "]) == ["ocpp2.0.1", "ocpp1.6", "x"]
    assert subprotocols([]) == []
    assert len(subprotocols([",".join("a" * 50)])) == 16
    assert has_token("keep-alive, Upgrade", "upgrade")
    assert not has_token("keep-alive", "upgrade")
    assert not has_token(None, "upgrade")


@pytest.mark.parametrize(
    ("origin", "host", "foreign"),
    [
        (None, "a", False),
        ("file://", "a", False),
        ("http://a:9000", "a:9000", False),
        ("HTTP://A:9000", "a:9000", False),
        ("http://a:9000", "a", True),
        ("https://b", "a", True),
        ("null", "a", True),
        ("https://a.evil", None, True),
    ],
)
def test_a6_origins(origin: str | None, host: str | None, foreign: bool) -> None:
    assert is_foreign_origin(origin, host) is foreign
