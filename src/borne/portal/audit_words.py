"""The audit log in words: what each recorded action is called, what its details are called, and text made harmless."""

from __future__ import annotations

import re

from borne.portal.language import N_, Language, translations

# Every action that the code records; a test looks for each.
ACTIONS: dict[str, str] = {
    "charger.added": N_("Charger added"),
    "charger.changed": N_("Charger changed"),
    "charger.password_changed": N_("New password of a charger"),
    "charger.disabled": N_("Charger disabled"),
    "charger.enabled": N_("Charger enabled"),
    "charger.deleted": N_("Charger deleted"),
    "charger.replaced": N_("Charger replaced by another device"),
    "charger.archived": N_("Charger archived"),
    "charger.restored": N_("Charger brought back from the archive"),
    "charger.offered": N_("Code made to hand over a charger"),
    "charger.offer_cancelled": N_("Code to hand over a charger cancelled"),
    "charger.handed_over": N_("Charger handed over to another organisation"),
    "charger.taken": N_("Charger taken from another organisation"),
    "restart.requested": N_("Restart requested"),
    "restart.withdrawn": N_("Restart withdrawn"),
    "restarts.requested": N_("Restart of many requested"),
    "restarts.continued": N_("Restart of many continued"),
    "restarts.stopped": N_("Restart of many stopped"),
    "login.started": N_("Logged in"),
    "login.failed": N_("Login failed"),
    "login.ended": N_("Logged out"),
    "login.others_ended": N_("Logged out everywhere else"),
    "password.changed": N_("Password changed"),
    "password.reset": N_("Password chosen by a link in a mail"),
    "person.created": N_("Account made"),
    "person.exported": N_("Own data downloaded"),
    "person.erased": N_("Person erased"),
    "organisation.created": N_("Organisation made"),
    "tag.changed": N_("Tag changed"),
    "location.unknown_tags": N_("Unknown tags accepted or refused"),
    "audit.texts_erased": N_("Texts that name an erased person removed"),
    "audit.accepted": N_("A restored database was accepted by the audit log"),
}

# The choices of the filter: a word, and with what the actions begin.
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "chargers": (N_("Chargers"), ("charger",)),
    "restarts": (N_("Restarts"), ("restart", "restarts")),
}

DETAILS: dict[str, str] = {
    "name": N_("Name"),
    "address": N_("Address"),
    "location": N_("Location"),
    "serial": N_("Serial number"),
    "model": N_("Model"),
    "vendor": N_("Make"),
    "model_name": N_("Model name"),
    "identity": N_("Identity"),
    "why": N_("Reason"),
    "count": N_("Number"),
}

# Characters that would move or hide what stands beside them: controls, marks of writing direction, invisible ones.
_ODD = re.compile("[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")


def visible(text: str) -> str:
    """The text with such characters written out, so that no line says something else than it holds."""
    return _ODD.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def action_words(action: str, language: Language) -> str:
    """What an action is called; one without words is called as it is named."""
    return translations(language).gettext(ACTIONS[action]) if action in ACTIONS else action


def detail_words(name: str, language: Language) -> str:
    """What a detail is called."""
    return translations(language).gettext(DETAILS[name]) if name in DETAILS else name.replace("_", " ")
