"""Words and colours of the states that chargers and connectors are in, and the lines of a charger's timeline."""

from __future__ import annotations

import msgspec

from borne.portal.formats import Formats
from borne.portal.language import N_, Language, translations
from borne.portal.names import shown_name
from borne.portal.verdicts import leaving_word

Details = dict[str, str | int | None]


class Look(msgspec.Struct, frozen=True):
    """A state as people see it: its word, and the classes of base.css that give its dot."""

    word: str
    css: str


_STATUSES: dict[str, Look] = {
    "fault": Look(N_("Fault"), "fault"),
    "offline": Look(N_("Offline"), "gone hollow"),
    "restarting": Look(N_("Restarting"), "gone busy"),
    "updating": Look(N_("Updating"), "waiting busy"),
    "unavailable": Look(N_("Out of service"), "locked"),
    "charging": Look(N_("Charging"), "charging"),
    "waiting": Look(N_("Waiting for the car"), "waiting"),
    "reserved": Look(N_("Reserved"), "locked"),
    "ready": Look(N_("Ready"), "ready"),
    "never": Look(N_("Never connected"), "gone hollow"),
}
_CONNECTORS: dict[str, Look] = {
    "available": Look(N_("Free"), "ready"),
    "preparing": Look(N_("Preparing"), "waiting"),
    "charging": Look(N_("Charging"), "charging"),
    "suspended": Look(N_("Paused"), "waiting"),
    "finishing": Look(N_("Finishing"), "waiting"),
    "reserved": Look(N_("Reserved"), "locked"),
    "unavailable": Look(N_("Out of service"), "locked"),
    "faulted": Look(N_("Fault"), "fault"),
    "occupied": Look(N_("Occupied"), "waiting"),
}
_SECURITY: dict[str, str] = {
    "none": N_("not encrypted"),
    "tls": N_("TLS"),
    "mutual_tls": N_("TLS, with the charger’s own certificate"),
}
_EVENTS: dict[str, tuple[str, str]] = {  # kind: (words, classes of the dot)
    "link_opened": (N_("Connected"), "ready"),
    "link_lost": (N_("Connection ended"), "gone"),
    "booted": (N_("Booted"), "charging"),
    "status": (N_("Connector %(where)s: %(status)s"), ""),
    "firmware": (N_("Firmware update: %(status)s"), "waiting"),
    "odd_connector": (N_("Named a connector that cannot be: %(where)s"), "locked"),
    "link_storm": (N_("Reconnected too often: told to wait"), "locked"),
    "link_intruder": (N_("Somebody else dialled as this charger, without proof"), "fault"),
    "unknown_transaction": (N_("Ended a session that it never began"), "locked"),
    "security_event": (N_("Security event"), "locked"),
    "diagnostics": (N_("Diagnostics: %(status)s"), "gone"),
    "restart_ended": (N_("Restart: %(verdict)s"), ""),
    "restart_upgraded": (N_("It came back: the verdict on the restart was raised"), "ready"),
    "restart_requested": (N_("Restart requested by %(by)s"), "waiting"),
    "edited": (N_("Details changed by %(by)s"), "gone"),
    "moved": (N_("Moved by %(by)s"), "gone"),
    "secret_changed": (N_("New password made by %(by)s"), "locked"),
    "disabled": (N_("Disabled by %(by)s"), "locked"),
    "enabled": (N_("Enabled by %(by)s"), "ready"),
    "added": (N_("Added by %(by)s"), "gone"),
    "replaced": (N_("Another device put in its place by %(by)s"), "charging"),
    "deleted": (N_("Deleted by %(by)s"), "gone"),
    "archived": (N_("Archived by %(by)s"), "gone"),
    "restored": (N_("Brought back from the archive by %(by)s"), "ready"),
    "offered": (N_("Code to hand it over made by %(by)s"), "locked"),
    "offer_cancelled": (N_("Code to hand it over cancelled by %(by)s"), "gone"),
    "handed_over": (N_("Handed over to another organisation"), "gone"),
    "taken": (N_("Taken over from another organisation by %(by)s"), "ready"),
}
SAID = ("error", "code", "text", "names", "address", "type", "info")  # details that are shown as they are
_VERDICTS: dict[str, tuple[str, str]] = {
    "succeeded": (N_("succeeded"), "ready"),
    "failed": (N_("failed"), "fault"),
    "unknown": (N_("not known how it went"), "gone"),
    "not_sent": (N_("not sent"), "gone"),
}


class EventLine(msgspec.Struct, frozen=True):
    """A line of the timeline: its words, what was said with it, and its dot."""

    at_ms: int
    kind: str
    words: str
    said: str
    css: str


def status_look(status: str, language: Language) -> Look:
    """The one word of a charger."""
    return _said(_STATUSES.get(status, Look(status, "gone")), language)


def connector_look(status: str, language: Language) -> Look:
    """The word of a connector."""
    return _said(_CONNECTORS.get(status, Look(status, "gone")), language)


def security_word(security: str, language: Language) -> str:
    """How a link is protected."""
    return translations(language).gettext(_SECURITY.get(security, security))


def _said(look: Look, language: Language) -> Look:
    return Look(translations(language).gettext(look.word), look.css)


def event_line(kind: str, at_ms: int, details: Details, language: Language, formats: Formats) -> EventLine:
    """A line of the timeline in words. A kind without words of its own is shown as it is named."""
    say = translations(language).gettext
    words, css = _EVENTS.get(kind, (kind.replace("_", " ").replace("%", "%%"), "gone"))
    values = {
        "where": _where(details),
        "status": str(details.get("status") or ""),
        "by": shown_name(str(details.get("by") or "–"), language),
        "verdict": "",
    }
    if kind == "status":
        look = connector_look(values["status"], language)
        values["status"], css = look.word, look.css
        if not details.get("evse") and not details.get("connector"):
            words = N_("Whole charger: %(status)s")
    if "verdict" in details:
        verdict, css = _VERDICTS.get(str(details["verdict"]), (str(details["verdict"]), "gone"))
        values["verdict"] = say(verdict)
    return EventLine(at_ms, kind, say(words) % values, _evidence(kind, details, language, formats), css)


def _where(details: Details) -> str:
    evse, connector = details.get("evse"), details.get("connector")
    return str(evse or connector) if connector in (evse, 1, 0, None) or not evse else f"{evse}.{connector}"


def _evidence(kind: str, details: Details, language: Language, formats: Formats) -> str:
    """What was said with it, in a few words."""
    say = translations(language).gettext
    parts: list[str] = []
    if kind == "link_opened":
        parts = [f"OCPP {details.get('protocol')}"]
    elif kind == "link_lost":
        parts = [leaving_word(str(details.get("how")), language)]
        lasted_ms = details.get("lasted_ms")
        if isinstance(lasted_ms, int):
            parts.append(say(N_("after %(duration)s")) % {"duration": formats.duration(lasted_ms)})
    elif kind == "booted":
        parts = [str(details[name]) for name in ("firmware", "reason") if details.get(name)]
        if details.get("solicited"):
            parts.append(say(N_("Borne had asked for it")))
    elif kind in _EVENTS:
        parts = [str(details[name]) for name in SAID if details.get(name)]
    else:
        parts = [f"{name} {value}" for name, value in details.items() if value not in (None, "")][:6]
    return " · ".join(parts)
