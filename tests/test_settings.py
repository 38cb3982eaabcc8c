"""Settings: the file, the environment over it, and one sentence for whatever cannot be used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from borne.settings import Settings, SettingsError, load


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "borne.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_defaults_listen_on_loopback_only() -> None:
    settings = load(None, {})
    assert settings == Settings()
    assert (settings.portal_url, settings.gateway_url) == ("http://127.0.0.1:8080", "ws://127.0.0.1:9000/ocpp")
    assert settings.database == "sqlite:///var/borne.sqlite3"


def test_the_environment_goes_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, 'default_plan = "basic"\n[portal]\nport = 1234\nhost = "::1"\n')
    environment = {"BORNE_PORTAL_PORT": "4321", "BORNE_GATEWAY_TRUSTED_PROXIES": "10.0.0.1, 10.1.0.0/16", "OTHER": "x"}
    settings = load(path, environment)
    assert (settings.portal.port, settings.portal.host, settings.default_plan) == (4321, "::1", "basic")
    assert settings.gateway.trusted_proxies == ["10.0.0.1", "10.1.0.0/16"]


def test_tls_changes_what_is_typed(tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("")
    tls = f'tls_certificate = "{tmp_path}/cert.pem"\ntls_key = "{tmp_path}/key.pem"\n'
    settings = load(written(tmp_path, f"[gateway]\n{tls}[portal]\n{tls}"), {})
    assert settings.gateway_url.startswith("wss://")
    assert settings.portal_url.startswith("https://")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("portal = 3", "portal"),
        ("[portal]\nport = 'x'", "portal.port"),
        ("[portal]\nport = 70000", "portal.port"),
        ("[gateway]\nnonsense = 1", "nonsense"),
        ("nonsense = 1", "nonsense"),
        ("not toml", "TOML"),
        ('default_plan = "gold"', "default_plan"),
        ('[gateway]\ntls_key = "x"', "tls_certificate"),
        ('[gateway]\ntls_key = "/nowhere"\ntls_certificate = "/nowhere"', "/nowhere"),
        ('[gateway]\ntrusted_proxies = ["nobody"]', "trusted_proxies"),
        ("[restarts]\ndeadline_least_s = 9\ndeadline_most_s = 8", "deadline_least_s"),
        ("[restarts]\nat_once = 0", "at_once"),
        ("[retention]\nslots_days = 399", "retention.slots_days"),
        ("[retention]\ncurves_days = 0", "retention.slots_days"),
        ("[retention]\nday_sums_days = 1000", "retention.day_sums_days"),
        ("[retention]\nmonth_sums_days = 4000", "retention.month_sums_days"),
        ('database_url = "mysql://x"', "database_url"),
        ('log_level = "loud"', "log_level"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_that_names_it(tmp_path: Path, text: str, names: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, text), {})
    assert names in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("words", [["serve"], ["admin", "outbox"]])
def test_the_program_says_it_in_one_line_and_exits_with_2(tmp_path: Path, words: list[str]) -> None:
    config = written(tmp_path, "[portal]\nport = 'x'")
    done = subprocess.run(
        [sys.executable, "-m", "borne", *words, "--config", config], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "portal.port" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load(str(tmp_path / "missing.toml"), {})
