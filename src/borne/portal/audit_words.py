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
    "charger.many_added": N_("Many chargers added"),
    "login.started": N_("Logged in"),
    "login.failed": N_("Login failed"),
    "login.ended": N_("Logged out"),
    "login.one_ended": N_("Another browser logged out"),
    "login.others_ended": N_("Logged out everywhere else"),
    "token.made": N_("API token made"),
    "token.revoked": N_("API token revoked"),
    "people.invited": N_("People invited"),
    "person.invited": N_("Person invited"),
    "person.joined": N_("Invitation accepted"),
    "person.created": N_("Account made"),
    "person.changed": N_("Access of a person changed"),
    "person.access_ended": N_("Access of a person ended"),
    "person.removed": N_("Person removed"),
    "person.exported": N_("Own data downloaded"),
    "person.erased": N_("Person erased"),
    "person.password_changed": N_("Password changed"),
    "person.password_reset": N_("Password chosen by a link in a mail"),
    "person.reset_sent": N_("Link for a new password sent"),
    "person.factors_removed": N_("Second factors removed"),
    "person.totp_added": N_("Authenticator app added"),
    "person.totp_removed": N_("Authenticator app removed"),
    "person.passkey_added": N_("Passkey added"),
    "person.passkey_removed": N_("Passkey removed"),
    "person.recovery_codes_made": N_("Recovery codes made"),
    "person.recovery_code_used": N_("Recovery code used"),
    "person.notices_changed": N_("Choice of notices changed"),
    "person.unsubscribed": N_("Mails turned off by the link in one"),
    "invitation.resent": N_("Invitation sent again"),
    "invitation.revoked": N_("Invitation revoked"),
    "location.added": N_("Location added"),
    "location.changed": N_("Location changed"),
    "location.deleted": N_("Location deleted"),
    "location.price_added": N_("Energy price added"),
    "location.price_withdrawn": N_("Planned energy price taken back"),
    "price_list.added": N_("Price list added"),
    "price_list.changed": N_("Price list changed"),
    "price_list.filled": N_("Prices of a list brought"),
    "location.unknown_tags": N_("Answer to unknown tags changed"),
    "tag.changed": N_("Tag changed"),
    "tag.added": N_("Tag added"),
    "tags.added": N_("Many tags added"),
    "tag.blocked": N_("Tag blocked"),
    "tag.unblocked": N_("Tag accepted again"),
    "tag.deleted": N_("Tag removed"),
    "access_group.added": N_("Access group added"),
    "access_group.renamed": N_("Access group renamed"),
    "access_group.deleted": N_("Access group deleted"),
    "access_group.chargers_added": N_("Chargers added to an access group"),
    "access_group.chargers_removed": N_("Chargers removed from an access group"),
    "access_group.people_added": N_("Users added to an access group"),
    "access_group.people_removed": N_("Users removed from an access group"),
    "person.chargers_added": N_("Chargers given to a user"),
    "person.chargers_removed": N_("Chargers taken from a user"),
    "plan.changed": N_("Plan changed"),
    "plan.chosen": N_("Smaller plan chosen for next month"),
    "plan.kept": N_("Choice of a smaller plan taken back"),
    "organisation.created": N_("Organisation made"),
    "organisation.changed": N_("Organisation changed"),
    "provider.added": N_("Identity provider added"),
    "provider.changed": N_("Identity provider changed"),
    "provider.enabled": N_("Identity provider turned on"),
    "provider.disabled": N_("Identity provider turned off"),
    "provider.removed": N_("Identity provider removed"),
    "person.identity_linked": N_("Recognised by an identity provider"),
    "person.identity_forgotten": N_("Forgotten by an identity provider"),
    "consent.asked": N_("The installation’s operator asks to look in"),
    "consent.allowed": N_("Looking in allowed"),
    "consent.refused": N_("Looking in refused"),
    "consent.ended": N_("Looking in ended"),
    "consent.left": N_("The installation’s operator left"),
    "consent.looked": N_("The installation’s operator looked in"),
    "report.added": N_("Monthly report ordered"),
    "report.removed": N_("Monthly report ended"),
    "report.asked": N_("Report of a month sent"),
    "audit.texts_erased": N_("Texts that name an erased person removed"),
    "audit.accepted": N_("A restored database was accepted by the audit log"),
}

# The choices of the filter: a word, and with what the actions begin.
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "chargers": (N_("Chargers"), ("charger",)),
    "restarts": (N_("Restarts"), ("restart", "restarts")),
    "people": (N_("People"), ("person", "people", "invitation")),
    "logins": (N_("Logins and tokens"), ("login", "token", "provider")),
    "places": (N_("Locations and tags"), ("location", "price_list", "tag", "tags")),
    "access": (N_("Access groups"), ("access_group",)),
    "organisation": (N_("Organisation and plan"), ("organisation", "plan", "report", "audit")),
    "consents": (N_("Looking in"), ("consent",)),
}

DETAILS: dict[str, str] = {
    "name": N_("Name"),
    "address": N_("Address"),
    "location": N_("Location"),
    "serial": N_("Serial number"),
    "model": N_("Model"),
    "vendor": N_("Manufacturer"),
    "model_name": N_("Model name"),
    "identity": N_("Identity"),
    "why": N_("Reason"),
    "count": N_("Number"),
    "owner": N_("Owner"),
    "provider": N_("Identity provider"),
    "through": N_("Through"),
    "issuer": N_("Issuer"),
    "client": N_("Client ID"),
    "covers": N_("Second factor there"),
    "new_secret": N_("New secret"),
    "group": N_("Group"),
    "role": N_("Role"),
    "roles": N_("Roles"),
    "locations": N_("Locations"),
    "until_ms": N_("Until"),
    "plan": N_("Plan"),
    "kind": N_("Kind"),
    "to": N_("To"),
    "from": N_("From"),
    "days": N_("Days"),
    "hours": N_("Hours"),
    "scopes": N_("Rights"),
    "label": N_("Name"),
    "blocked": N_("Blocked"),
    "tags": N_("Badges"),
    "chargers": N_("Chargers"),
    "names": N_("Chargers"),
    "person": N_("Person"),
    "people": N_("People"),
    "events": N_("Events"),
    "passkey": N_("Passkey"),
    "left": N_("Left over"),
    "time_zone": N_("Time zone"),
    "currency": N_("Currency"),
    "supply_a": N_("Main breaker, amperes"),
    "supply_phases": N_("Phases"),
    "price": N_("Energy price"),
    "from_ms": N_("From"),
    "url": N_("Address"),
    "energy_cost_micros": N_("Energy cost, millionths a kWh"),
    "accepts_unknown_tags": N_("Unknown badges charge"),
    "requires_second_factor": N_("Second factor required"),
    "before_restoring": N_("Head before restoring"),
    "left_out": N_("Characters left out"),
}

INTERNAL = ("restart", "rows", "first_id", "last_id")  # numbers of rows, which say nothing to people

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
