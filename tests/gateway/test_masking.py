"""Secrets in frames are masked; everything else is left alone."""

import json

import pytest

from borne.gateway.masking import masked

SECRET = "hunter2-hunter2-hunter2"


@pytest.mark.parametrize(
    "frame",
    [
        [2, "1", "ChangeConfiguration", {"key": "AuthorizationKey", "value": SECRET}],
        [3, "1", {"configurationKey": [{"key": "AuthorizationKey", "readonly": False, "value": SECRET}], "unknownKey": []}],
        [2, "1", "SetVariables", {"setVariableData": [
            {"attributeValue": SECRET, "component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}]}],
        [2, "1", "SetNetworkProfile", {"connectionData": {"vpn": {"password": SECRET}, "apn": {"apnPassword": SECRET}}}],
        [2, "1", "DataTransfer", {"vendorId": "v", "data": json.dumps({"wifiPassword": SECRET})}],
        [2, "1", "X", {"clientSecret": SECRET}],
    ],
)  # fmt: skip
def test_secrets_are_masked(frame: list[object]) -> None:
    shown = masked(json.dumps(frame))
    assert SECRET not in shown
    assert "***" in shown
    assert json.loads(shown)[1] == "1"


def test_what_is_broken_and_suspicious_is_not_shown() -> None:
    assert SECRET not in masked('[2,"1","X",{"password":"' + SECRET)


def test_the_names_stay_and_ordinary_frames_are_untouched() -> None:
    frame = '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"x"}]'
    assert json.loads(masked(frame))[3] == {"key": "AuthorizationKey", "value": "***"}
    plain = '[2, "1", "StatusNotification", {"info":"key","value":"5"}]'
    assert masked(plain) is plain
