"""Settings: a TOML file, then the environment (`BORNE_DATABASE_URL`, `BORNE_PORTAL_PORT`, …), then defaults.

Whatever cannot be read is one sentence that names the setting and says why (SettingsError).
"""

from __future__ import annotations

import ipaddress
import itertools
import os
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from borne.core.plans import PLANS

PREFIX = "BORNE_"
DEMO_FOLDER = "var/demo"
RUNNING = "running.json"
FOR_EVER = 2**62


class SettingsError(Exception):
    """A setting that cannot be used; the text is one sentence for people."""


class Portal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The pages. `public_url` is what people type; links in mails start with it. `trusted_proxies` are addresses or networks.

    `private_providers`: identity providers may be in this machine's own network, and without TLS.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str = ""
    trusted_proxies: list[str] = []
    tls_certificate: str = ""
    tls_key: str = ""
    private_providers: bool = False


class Gateway(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The OCPP listener. `public_url` is what is typed into chargers, without the identity."""

    host: str = "127.0.0.1"
    port: int = 9000
    public_url: str = ""
    trusted_proxies: list[str] = []
    tls_certificate: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""
    ping_s: float = 15.0
    settle_s: float = 30.0
    heartbeat_s: int = 60
    opens_a_minute: int = 6


class RestartRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of a verdict's deadline, and how many chargers of a location a batch restarts at once."""

    deadline_least_s: int = 300
    deadline_most_s: int = 1200
    at_once: int = 5


class Mail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Mail through SMTP; without a host it stays in the embedded outbox (`borne admin outbox`, Installation / Outbox)."""

    host: str = ""
    port: int = 587
    security: typing.Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: str = ""
    sender: str = "borne@localhost"


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Counters for Prometheus, at `/metrics` of a listener of their own. Port 0: none."""

    host: str = "127.0.0.1"
    port: int = 0


class Frames(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of the raw OCPP talk is kept."""

    hours: int = 24
    megabytes: int = 256


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many days what is behind sessions, and their sums, are kept; 0: for ever. Sessions stay."""

    readings_days: Annotated[int, msgspec.Meta(ge=0)] = 90
    messages_days: Annotated[int, msgspec.Meta(ge=0)] = 400
    curves_days: Annotated[int, msgspec.Meta(ge=0)] = 400
    slots_days: Annotated[int, msgspec.Meta(ge=0)] = 1096
    day_sums_days: Annotated[int, msgspec.Meta(ge=0)] = 0
    month_sums_days: Annotated[int, msgspec.Meta(ge=0)] = 0


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set. `data_folder` holds the SQLite file, the keys and the frames."""

    data_folder: str = "var"
    database_url: str = ""
    default_plan: str = "business"
    log_level: typing.Literal["debug", "info", "warning", "error"] = "info"
    log_format: typing.Literal["text", "json"] = "text"
    portal: Portal = Portal()
    gateway: Gateway = Gateway()
    restarts: RestartRules = RestartRules()
    mail: Mail = Mail()
    frames: Frames = Frames()
    retention: Retention = Retention()
    metrics: Metrics = Metrics()

    @property
    def database(self) -> str:
        """The database's URL; by default a SQLite file in the data folder."""
        return self.database_url or f"sqlite:///{Path(self.data_folder) / 'borne.sqlite3'}"

    @property
    def portal_url(self) -> str:
        """What people type, without a slash at its end."""
        scheme = "https" if self.portal.tls_certificate else "http"
        return (self.portal.public_url or f"{scheme}://{_shown(self.portal.host)}:{self.portal.port}").rstrip("/")

    @property
    def gateway_url(self) -> str:
        """What is typed into chargers, without the identity and the slash before it."""
        scheme = "wss" if self.gateway.tls_certificate else "ws"
        return (self.gateway.public_url or f"{scheme}://{_shown(self.gateway.host)}:{self.gateway.port}/ocpp").rstrip(
            "/"
        )


def load(path: str | None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings. Raises SettingsError."""
    values = _read_file(path) if path else {}
    _overlay(values, os.environ if environment is None else environment)
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"settings: {_sentence(error)}") from None
    _check(settings)
    return settings


def _sentence(error: msgspec.ValidationError) -> str:
    """`Expected `int`, got `str` - at `$.portal.port`` says the same as `portal.port: expected int, got str`."""
    what, _, where = str(error).replace("`", "").partition(" - at ")
    return f"{where.removeprefix('$.')}: {what[0].lower()}{what[1:]}" if where else what


class RunningDemo(msgspec.Struct, frozen=True):
    """A demo that runs from this folder: `borne admin` without settings of its own works on it."""

    pid: int
    settings: Settings

    def write(self) -> None:
        """Let `borne admin` find it."""
        file = Path(DEMO_FOLDER) / RUNNING
        file.touch(mode=0o600)
        file.write_bytes(msgspec.json.encode(self))

    @staticmethod
    def forget() -> None:
        """It ends."""
        (Path(DEMO_FOLDER) / RUNNING).unlink(missing_ok=True)

    @staticmethod
    def find() -> RunningDemo | None:
        """The demo that runs now; what a killed one left behind does not count."""
        try:
            found = msgspec.json.decode((Path(DEMO_FOLDER) / RUNNING).read_bytes(), type=RunningDemo)
            os.kill(found.pid, 0)
        except (OSError, msgspec.DecodeError):
            return None
        return found


def _read_file(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"settings: {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings: {path} is not TOML: {error}") from None


def _overlay(values: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Put BORNE_SECTION_KEY and BORNE_KEY over the file's values."""
    for section, kind in typing.get_type_hints(Settings).items():
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            if (text := environment.get(PREFIX + section.upper())) is not None:
                values[section] = text
            continue
        for key, key_kind in typing.get_type_hints(kind).items():
            text = environment.get(f"{PREFIX}{section}_{key}".upper())
            if text is None:
                continue
            inner = values.setdefault(section, {})
            if isinstance(inner, dict):
                inner[key] = _words(text) if typing.get_origin(key_kind) is list else text


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _check(settings: Settings) -> None:
    if settings.default_plan not in PLANS:
        raise SettingsError(f"settings: default_plan is one of {', '.join(PLANS)}, not {settings.default_plan!r}")
    for name, part in (("portal", settings.portal), ("gateway", settings.gateway)):
        if not 0 < part.port < 65536:
            raise SettingsError(f"settings: {name}.port is a number from 1 to 65535, not {part.port}")
        if bool(part.tls_certificate) != bool(part.tls_key):
            raise SettingsError(f"settings: {name}.tls_certificate and {name}.tls_key go together")
        for proxy in part.trusted_proxies:
            _check_network(f"{name}.trusted_proxies", proxy)
        for key in ("tls_certificate", "tls_key", "tls_client_ca"):
            file = getattr(part, key, "")
            if file and not os.access(file, os.R_OK):
                raise SettingsError(f"settings: {name}.{key}: {file} cannot be read")
    rules = settings.restarts
    if not 0 < rules.deadline_least_s <= rules.deadline_most_s:
        raise SettingsError("settings: restarts.deadline_least_s is positive and at most restarts.deadline_most_s")
    if rules.at_once < 1:
        raise SettingsError("settings: restarts.at_once is at least 1")
    _check_retention(settings.retention)
    if not settings.database.startswith(("sqlite:///", "postgresql://", "postgres://")):
        raise SettingsError("settings: database_url starts with sqlite:/// or postgresql://")


def _check_retention(kept: Retention) -> None:
    """A session is measured anew as long as it has a curve: what that changes has to be there."""
    order = ("curves_days", "slots_days", "day_sums_days", "month_sums_days")
    for shorter, longer in itertools.pairwise(order):
        if (getattr(kept, longer) or FOR_EVER) < (getattr(kept, shorter) or FOR_EVER):
            raise SettingsError(f"settings: retention.{longer} is 0 (for ever) or at least retention.{shorter}")


def _check_network(name: str, text: str) -> None:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise SettingsError(f"settings: {name}: {text!r} is no address or network") from None


def _shown(host: str) -> str:
    """A listening address as others would type it."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
