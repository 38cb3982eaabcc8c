"""Every route of the portal and who gets what there: what the generated matrix (tests/portal/test_matrix.py) holds the pages to.

A new route needs its row here. `{…_id}` of an address is filled from `Estate.thing`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from borne.core import policy
from borne.core.scope import Role

SUPER, ADMIN, ADMIN_ELSEWHERE = "camille@a.test", "ali@a.test", "nadia@a.test"
OPERATOR, OPERATOR_ELSEWHERE = "oscar@a.test", "olga@a.test"
ASSIGNED, UNASSIGNED = "uma@a.test", "zoe@a.test"
STRANGER, NOBODY, INSTALLER, ANONYMOUS = "eve@b.test", "noor@c.test", "ines@c.test", ""
GUEST = "greta@c.test"  # as INSTALLER, and looks into the organisation with its consent: what she gets follows from core.policy
ROLES: dict[str, Role] = {
    SUPER: "super-admin", ADMIN: "admin", ADMIN_ELSEWHERE: "admin", OPERATOR: "operator", OPERATOR_ELSEWHERE: "operator",
    ASSIGNED: "user", UNASSIGNED: "user", STRANGER: "super-admin",
}  # fmt: skip
EVERYBODY = (
    SUPER, ADMIN, ADMIN_ELSEWHERE, OPERATOR, OPERATOR_ELSEWHERE, ASSIGNED, UNASSIGNED, STRANGER, NOBODY, INSTALLER, ANONYMOUS,
)  # fmt: skip

PERSONS = frozenset(EVERYBODY) - {ANONYMOUS}
MEMBERS = PERSONS - {NOBODY, INSTALLER}
ADMINS = frozenset((SUPER, ADMIN, ADMIN_ELSEWHERE, STRANGER))  # of something
REACH = frozenset((SUPER, ADMIN, OPERATOR, ASSIGNED))  # the charger in Lyon
REACH_AS_STAFF = REACH - {ASSIGNED}
REACH_AS_ADMIN = frozenset((SUPER, ADMIN))
STAFF = ADMINS | {OPERATOR, OPERATOR_ELSEWHERE}
DRIVERS = frozenset((ASSIGNED, UNASSIGNED))
OWNERS = frozenset((SUPER, STRANGER))
MISSING = 999_999
FIRST_ID = 700_000  # so large that no other number on a page is an id


@dataclass(frozen=True)
class Rule:
    """Who gets `status`; `says`: who may see the page and is told why they may not do that; everybody else: not there."""

    who: frozenset[str]
    status: int = 200
    says: dict[str, int] = field(default_factory=dict)
    form: dict[str, str] = field(default_factory=dict)
    query: str = ""


ANYONE = frozenset(EVERYBODY)
THE_CHARGER = {"charger": "{charger_id}"}
PROVIDER = {"name": "Other", "issuer": "https://id.invalid", "client_id": "c"}
EDIT = {"name": "Renamed", "model": "other", "location": "{home_id}"}
PLACE = {"name": "Place {charger_id}", "time_zone": "UTC", "currency": "EUR"}
NONE_CHOSEN = dict.fromkeys(ADMINS, 422)
NOT_ADMINS = dict.fromkeys(MEMBERS - ADMINS, 403)
POLICY: dict[str, Rule] = {
    "GET /": Rule(PERSONS, 303),
    "GET /static/{tree}/{path}": Rule(frozenset(), 404),  # no such file; the real ones are for everybody
    "GET /favicon.ico": Rule(ANYONE),
    "GET /healthz": Rule(ANYONE),
    "GET /{path}": Rule(frozenset(), 404),
    "POST /{path}": Rule(frozenset(), 404),
    "GET /login": Rule(frozenset((ANONYMOUS,)), says=dict.fromkeys(PERSONS, 303)),
    "POST /login": Rule(ANYONE, 422),
    "POST /logout": Rule(PERSONS, 303),
    "GET /forgotten": Rule(ANYONE),
    "POST /forgotten": Rule(ANYONE),
    "GET /reset/{token}": Rule(frozenset(), 404),
    "POST /reset/{token}": Rule(frozenset(), 404),
    "GET /setup": Rule(ANYONE, 303),
    "POST /setup": Rule(ANYONE, 303),
    "GET /login/second": Rule(ANYONE, 303),  # no step of a login: back to its beginning
    "POST /login/second": Rule(ANYONE, 303),
    "POST /login/second/passkey/options": Rule(ANYONE, 403),
    "POST /login/second/passkey": Rule(ANYONE, 303),
    "POST /login/passkey/options": Rule(ANYONE),
    "POST /login/passkey": Rule(ANYONE, 422),
    "GET /account": Rule(PERSONS),
    "GET /account/confirm": Rule(PERSONS),
    "POST /account/confirm": Rule(PERSONS, 422),
    "POST /account/confirm/passkey/options": Rule(PERSONS),
    "POST /account/confirm/passkey": Rule(PERSONS, 422),
    "GET /account/password": Rule(PERSONS),
    "GET /account/second-factor": Rule(PERSONS),
    "GET /account/totp": Rule(PERSONS),
    "POST /account/totp": Rule(PERSONS, 303),  # no set-up on its way
    "POST /account/totp/remove": Rule(PERSONS, 303),
    "GET /account/passkeys": Rule(PERSONS),
    "POST /account/passkeys/options": Rule(PERSONS),
    "POST /account/passkeys": Rule(PERSONS, 422),
    "POST /account/passkeys/remove": Rule(frozenset(), 404),  # none of one's own is named
    "GET /account/recovery-codes": Rule(PERSONS, 303),  # without a second factor there are none
    "POST /account/recovery-codes": Rule(PERSONS, 303),
    "GET /account/tokens": Rule(PERSONS),
    "POST /account/tokens": Rule(MEMBERS, form={"name": "Program", "kind": "token", "days": "90"}),
    "POST /account/tokens/revoke": Rule(frozenset(), 404),
    "POST /account/name": Rule(PERSONS, 303, form={"name": "Other"}),
    "POST /account/language": Rule(PERSONS, 303),
    "POST /look": Rule(ANYONE, 303),
    "POST /account/password": Rule(PERSONS, 422),
    "POST /account/logins/end": Rule(PERSONS, 303, form={"login": "others"}),
    "POST /organisation": Rule(frozenset(), 404),  # no organisation of one's own is named
    "GET /organisation": Rule(STAFF),
    "POST /organisation/settings": Rule(OWNERS, 303, form={"name": "Renamed"}),
    "GET /installation/attempts": Rule(frozenset((INSTALLER,))),
    "GET /installation/outbox": Rule(frozenset((INSTALLER,))),
    "GET /installation/organisations": Rule(frozenset((INSTALLER,))),
    "GET /installation/organisations/new": Rule(frozenset((INSTALLER,))),
    "POST /installation/organisations/new": Rule(frozenset((INSTALLER,)), 422),
    "GET /installation/health": Rule(frozenset((INSTALLER,))),
    "GET /installation/organisations/{organisation_id}": Rule(frozenset((INSTALLER,))),
    "POST /installation/organisations/{organisation_id}/ask": Rule(frozenset((INSTALLER,)), 422),
    "POST /installation/organisations/{organisation_id}/leave": Rule(frozenset((INSTALLER,)), 303),
    "POST /installation/organisations/{organisation_id}/people/{super_admin_id}/reset": Rule(
        frozenset((INSTALLER,)), 303
    ),
    "POST /installation/organisations/{organisation_id}/people/{super_admin_id}/factors": Rule(
        frozenset(), says={INSTALLER: 409}
    ),
    "GET /organisation/consents": Rule(frozenset((SUPER, STRANGER))),
    "POST /organisation/consents/{consent_id}/allow": Rule(frozenset((SUPER,)), 303),
    "POST /organisation/consents/{consent_id}/refuse": Rule(frozenset((SUPER,)), 303),
    "POST /organisation/consents/{consent_id}/end": Rule(frozenset((SUPER,)), 303),
    "GET /notices": Rule(MEMBERS),
    "GET /notices/bell": Rule(MEMBERS),
    "GET /notices/settings": Rule(MEMBERS),
    "POST /notices/settings": Rule(MEMBERS, 303),
    "POST /notices/read": Rule(MEMBERS, 303, form={"newest": "1"}),
    "GET /notices/{notice_id}": Rule(frozenset((SUPER,)), 303),  # her own
    "POST /notices/{notice_id}/read": Rule(frozenset((SUPER,)), 303),
    "GET /unsubscribe/{token}": Rule(frozenset(), 404),
    "POST /unsubscribe/{token}": Rule(frozenset(), 404),
    "GET /dashboard": Rule(STAFF),
    "GET /dashboard/now": Rule(STAFF),
    "GET /dashboard/figures": Rule(STAFF),
    "GET /dashboard/savings": Rule(STAFF),
    "GET /statistics": Rule(MEMBERS),
    "GET /statistics.csv": Rule(MEMBERS),
    "GET /statistics/rankings": Rule(MEMBERS),
    "GET /statistics/utilisation": Rule(MEMBERS),
    "GET /reports": Rule(MEMBERS),
    "POST /reports": Rule(MEMBERS, 303, form={"about": "person", "format": "pdf"}),
    "GET /reports/month": Rule(MEMBERS, query="?about=person&format=csv"),
    "POST /reports/{report_id}/send": Rule(frozenset((SUPER,)), 303),  # her own
    "POST /reports/{report_id}/delete": Rule(frozenset((SUPER,)), 303),
    "GET /live": Rule(MEMBERS, 400, query="?topics=nonsense"),
    "GET /locations": Rule(STAFF),
    "POST /locations": Rule(OWNERS, 303, form=PLACE),
    "GET /locations/add": Rule(OWNERS),
    "GET /locations/{location_id}": Rule(REACH_AS_STAFF),
    "GET /locations/{location_id}/tiles": Rule(REACH_AS_STAFF),
    "GET /locations/{location_id}/edit": Rule(REACH_AS_ADMIN),
    "POST /locations/{location_id}/edit": Rule(REACH_AS_ADMIN, 303, form=PLACE),
    "GET /locations/{location_id}/delete": Rule(frozenset((SUPER,))),
    "POST /locations/{location_id}/delete": Rule(frozenset(), says={SUPER: 409}),  # chargers stand there
    "GET /locations/{location_id}/prices": Rule(REACH_AS_STAFF),
    "GET /locations/{location_id}/prices/add": Rule(REACH_AS_ADMIN),
    "POST /locations/{location_id}/prices": Rule(
        REACH_AS_ADMIN, 303, form={"kind": "fixed", "price": "0.2", "when": "day", "day": "2027-03-01"}
    ),
    "POST /locations/{location_id}/prices/{price_id}/withdraw": Rule(REACH_AS_ADMIN, 303),
    "GET /locations/{location_id}/site-meter": Rule(REACH_AS_STAFF),
    "POST /locations/{location_id}/site-meter": Rule(REACH_AS_ADMIN, 422),
    "POST /locations/{location_id}/site-meter/keep": Rule(REACH_AS_ADMIN, 422),
    "GET /savings": Rule(MEMBERS),
    "GET /savings/assumptions": Rule(MEMBERS),
    "POST /savings/assumptions": Rule(
        OWNERS, 303, form={"kind": "pump_price", "value": "1.8", "currency": "EUR", "day": "2026-01-01", "source": "x"}
    ),
    "GET /vehicles": Rule(MEMBERS),
    "GET /vehicles/add": Rule(ADMINS | DRIVERS),
    "POST /vehicles": Rule(ADMINS | DRIVERS, 303, form={"name": "Zebra car"}),
    "GET /vehicles/{vehicle_id}": Rule(REACH_AS_STAFF),
    "POST /vehicles/{vehicle_id}": Rule(REACH_AS_ADMIN, 303, form={"name": "Zebra car"}),
    "POST /vehicles/{vehicle_id}/archive": Rule(REACH_AS_ADMIN, 303),
    "POST /sessions/{session_id}/vehicle": Rule(REACH_AS_ADMIN, 303, form={"vehicle": "none"}),
    "GET /price-lists": Rule(ADMINS),
    "POST /price-lists": Rule(OWNERS, 303, form={"name": "List {charger_id}", "currency": "EUR"}),
    "GET /price-lists/{price_list_id}": Rule(frozenset((SUPER, ADMIN, ADMIN_ELSEWHERE))),
    "POST /price-lists/{price_list_id}": Rule(frozenset((SUPER,)), 303, form={"name": "List {charger_id}"}),
    "POST /price-lists/{price_list_id}/prices": Rule(frozenset((SUPER,)), 422),
    "POST /price-lists/{price_list_id}/fetch": Rule(frozenset((SUPER,)), 303),
    "GET /chargers/import": Rule(ADMINS),
    "POST /chargers/import": Rule(ADMINS, 422),
    "POST /chargers/import/add": Rule(ADMINS, 422),
    # whoever reaches none of the chargers chose nothing
    "POST /chargers/change": Rule(REACH_AS_ADMIN, says=NONE_CHOSEN, form=THE_CHARGER),
    "POST /chargers/change/review": Rule(REACH_AS_ADMIN, says=NONE_CHOSEN, form={**THE_CHARGER, "what": "disable"}),
    "POST /chargers/changes": Rule(REACH_AS_ADMIN, 303, says=NONE_CHOSEN, form={**THE_CHARGER, "what": "disable"}),
    "GET /chargers/changes/{change_id}": Rule(frozenset((SUPER,))),  # her own
    "GET /chargers/add": Rule(ADMINS),
    "POST /chargers/add": Rule(ADMINS, 422),
    "GET /chargers": Rule(MEMBERS),
    "GET /chargers/tiles": Rule(MEMBERS),
    "GET /chargers/rows": Rule(MEMBERS),
    "GET /chargers/{charger_id}": Rule(REACH),
    "GET /chargers/{charger_id}/top": Rule(REACH),
    "GET /chargers/{charger_id}/timeline": Rule(REACH),
    "GET /chargers/{charger_id}/frames": Rule(REACH_AS_STAFF),
    "GET /chargers/{charger_id}/waiting": Rule(REACH_AS_ADMIN),
    "GET /chargers/{charger_id}/edit": Rule(REACH_AS_ADMIN),
    "POST /chargers/{charger_id}/edit": Rule(REACH_AS_ADMIN, 303, form=EDIT),
    "POST /chargers/{charger_id}/password": Rule(REACH_AS_ADMIN),
    "POST /chargers/{charger_id}/disable": Rule(REACH_AS_ADMIN, 303),
    "POST /chargers/{charger_id}/enable": Rule(REACH_AS_ADMIN, 303),
    "GET /chargers/{charger_id}/delete": Rule(REACH_AS_ADMIN),
    "POST /chargers/{charger_id}/delete": Rule(REACH_AS_ADMIN, 303),
    "GET /chargers/{charger_id}/replace": Rule(REACH_AS_ADMIN),
    "POST /chargers/{charger_id}/replace": Rule(REACH_AS_ADMIN, form={"name": "New", "model": "copper"}),
    "GET /chargers/{charger_id}/archive": Rule(REACH_AS_ADMIN),
    "POST /chargers/{charger_id}/archive": Rule(REACH_AS_ADMIN, 303),
    "GET /chargers/{charger_id}/hand-over": Rule(frozenset((SUPER,))),
    "POST /chargers/{charger_id}/hand-over": Rule(frozenset((SUPER,))),
    "POST /chargers/{charger_id}/hand-over/cancel": Rule(frozenset((SUPER,)), 303),
    "GET /chargers/take": Rule(ADMINS),
    "POST /chargers/take": Rule(ADMINS, 422),
    "GET /chargers/archived": Rule(STAFF),
    "GET /chargers/archived/{archived_id}": Rule(REACH_AS_STAFF),
    "POST /chargers/archived/{archived_id}/restore": Rule(REACH_AS_ADMIN, form={"location": "{home_id}"}),
    "GET /chargers/{charger_id}/restart": Rule(REACH),
    "POST /chargers/{charger_id}/restart": Rule(frozenset(), says=dict.fromkeys(REACH, 409), form={"when": "now"}),
    "GET /chargers/{charger_id}/restart/icon": Rule(REACH),
    "GET /chargers/{charger_id}/restarts": Rule(REACH),
    "GET /chargers/{charger_id}/restarts/last": Rule(REACH),
    "GET /restarts": Rule(MEMBERS),
    "GET /restarts.csv": Rule(MEMBERS),
    "GET /restarts/rows/{columns}": Rule(MEMBERS),
    "GET /restarts/{restart_id}/panel": Rule(REACH),
    "POST /restarts/{restart_id}/withdraw": Rule(REACH_AS_ADMIN, 303),
    "POST /restarts/batch/new": Rule(ADMINS, says=NOT_ADMINS, form=THE_CHARGER),
    # whoever reaches none of the chargers chose nothing
    "POST /restarts/batch": Rule(
        REACH_AS_ADMIN, 303, says={**dict.fromkeys(MEMBERS, 422), **dict.fromkeys(REACH, 403)}, form=THE_CHARGER
    ),
    "GET /batches/{batch_id}": Rule(REACH),
    "GET /batches/{batch_id}/summary": Rule(REACH),
    "GET /batches/{batch_id}/items": Rule(REACH),
    "POST /batches/{batch_id}/answer": Rule(frozenset((SUPER,)), 303, form={"answer": "continue"}),  # her own
    "GET /home": Rule(frozenset((ASSIGNED, UNASSIGNED)), says=dict.fromkeys(STAFF, 303)),
    "GET /home/chargers": Rule(MEMBERS),
    "GET /sessions": Rule(MEMBERS),
    "GET /sessions/rows": Rule(MEMBERS),
    "GET /sessions/newer": Rule(MEMBERS, 204, query="?after=999999999"),
    "GET /sessions/{session_id}": Rule(REACH_AS_STAFF),
    "GET /sessions.csv": Rule(MEMBERS),
    "GET /sessions/tidy.csv": Rule(MEMBERS),
    "GET /sessions.xlsx": Rule(MEMBERS),
    "GET /sessions.pdf": Rule(MEMBERS),
    "GET /sessions/exports": Rule(MEMBERS),
    "POST /sessions/views": Rule(MEMBERS, 303, form={"name": "Zebra {charger_id}", "query": "kind=running"}),
    "POST /sessions/views/{view_id}/delete": Rule(frozenset((SUPER,)), 303),
    "GET /access-groups": Rule(ADMINS),
    "POST /access-groups": Rule(ADMINS, 303, form={"name": "Group {charger_id}"}),
    "GET /access-groups/{access_group_id}": Rule(REACH_AS_ADMIN),
    "POST /access-groups/{access_group_id}": Rule(REACH_AS_ADMIN, 303, form={"name": "Other {charger_id}"}),
    "GET /access-groups/{access_group_id}/chargers/add": Rule(REACH_AS_ADMIN),
    "POST /access-groups/{access_group_id}/chargers": Rule(REACH_AS_ADMIN, 303, form=THE_CHARGER | {"do": "add"}),
    "GET /access-groups/{access_group_id}/people": Rule(REACH_AS_ADMIN),
    "GET /access-groups/{access_group_id}/people/add": Rule(REACH_AS_ADMIN),
    "POST /access-groups/{access_group_id}/people": Rule(REACH_AS_ADMIN, 303, form={"person": "{person_id}"}),
    "GET /access-groups/{access_group_id}/delete": Rule(REACH_AS_ADMIN),
    "POST /access-groups/{access_group_id}/delete": Rule(REACH_AS_ADMIN, 303),
    "GET /users": Rule(ADMINS),
    "GET /users/invite": Rule(OWNERS),
    "POST /users/invite": Rule(OWNERS, 422),
    "GET /users/import": Rule(OWNERS),
    "POST /users/import": Rule(OWNERS, 422),
    "GET /users/{person_id}": Rule(REACH_AS_ADMIN),
    "POST /users/{person_id}/role": Rule(frozenset((SUPER,)), 303, form={"role": "user"}),
    "POST /users/{person_id}/end": Rule(frozenset((SUPER,)), 303),
    "GET /users/{person_id}/remove": Rule(frozenset((SUPER,))),
    "POST /users/{person_id}/remove": Rule(frozenset((SUPER,)), 303),
    "POST /users/invitations/{invitation_id}/resend": Rule(frozenset((SUPER,)), 303),
    "POST /users/invitations/{invitation_id}/revoke": Rule(frozenset((SUPER,)), 303),
    "GET /invitations/{token}": Rule(frozenset(), 404),
    "POST /invitations/{token}": Rule(frozenset(), 404),
    "POST /invitations/{token}/switch": Rule(frozenset(), 404),
    "GET /roles": Rule(MEMBERS),
    "GET /users/{person_id}/erase": Rule(frozenset((SUPER,))),
    "POST /users/{person_id}/erase": Rule(frozenset((SUPER,)), 422),
    "GET /account/data": Rule(PERSONS),
    "POST /account/data/download": Rule(PERSONS),
    "GET /account/erase": Rule(PERSONS),
    "POST /account/erase": Rule(PERSONS, 422),
    "GET /users/{person_id}/chargers": Rule(REACH_AS_ADMIN),
    "GET /users/{person_id}/chargers/add": Rule(REACH_AS_ADMIN),
    "POST /users/{person_id}/chargers": Rule(REACH_AS_ADMIN, 303, form=THE_CHARGER),
    "GET /users/{person_id}/groups": Rule(REACH_AS_ADMIN),
    "POST /users/{person_id}/groups": Rule(REACH_AS_ADMIN, 303, form={"group": "{access_group_id}"}),
    "GET /users/{person_id}/tags": Rule(REACH_AS_ADMIN),
    "POST /users/{person_id}/tags": Rule(REACH_AS_ADMIN, 303, form={"tags": "N{charger_id}"}),
    "GET /tags": Rule(ADMINS),
    "GET /tags/owners": Rule(ADMINS),
    "GET /tags/add": Rule(ADMINS),
    "POST /tags/add": Rule(ADMINS, 422),
    "GET /tags/{tag_id}": Rule(REACH_AS_ADMIN),
    "POST /tags/{tag_id}": Rule(REACH_AS_ADMIN, 303, form={"email": "driver{tag_id}@a.test"}),
    "POST /tags/{tag_id}/block": Rule(REACH_AS_ADMIN, 303),
    "POST /tags/{tag_id}/unblock": Rule(REACH_AS_ADMIN, 303),
    "GET /tags/{tag_id}/delete": Rule(REACH_AS_ADMIN),
    "POST /tags/{tag_id}/delete": Rule(REACH_AS_ADMIN, 303),
    "GET /plan": Rule(OWNERS),
    "GET /plan/change": Rule(OWNERS, query="?to=standard"),
    "POST /plan": Rule(OWNERS, 303, form={"plan": "business", "from": "business"}),
    "POST /plan/keep": Rule(OWNERS, 303),
    "GET /login/organisation": Rule(ANYONE),
    "POST /login/organisation": Rule(ANYONE),
    "GET /login/with/{slug}": Rule(frozenset(), 404),
    "GET /login/with/{slug}/go": Rule(frozenset(), 404),
    "GET /login/with/{slug}/back": Rule(frozenset(), 404),
    "GET /organisation/sign-in": Rule(OWNERS),
    "GET /organisation/sign-in/add": Rule(OWNERS),
    "POST /organisation/sign-in": Rule(OWNERS, 422),
    "GET /organisation/sign-in/{provider_id}": Rule(frozenset((SUPER,))),
    "POST /organisation/sign-in/{provider_id}": Rule(frozenset((SUPER,)), 303, form=PROVIDER),
    "POST /organisation/sign-in/{provider_id}/test": Rule(frozenset((SUPER,))),
    "POST /organisation/sign-in/{provider_id}/enable": Rule(frozenset((SUPER,)), 303),
    "POST /organisation/sign-in/{provider_id}/disable": Rule(frozenset((SUPER,)), 303),
    "POST /organisation/sign-in/{provider_id}/forget": Rule(frozenset((SUPER,)), 422),
    "POST /organisation/sign-in/{provider_id}/remove": Rule(frozenset((SUPER,)), 303),
    "GET /audit": Rule(OWNERS),
    "GET /audit.csv": Rule(OWNERS),
}


def expected(who: str, name: str, may: str) -> int | None:
    """The status that somebody gets at a route (whose handler says `may`) for what is there; None: it is not there for them."""
    rule = POLICY[name]
    if who == GUEST and may not in ("anyone", "person", "installation"):
        looks = name.startswith("GET ") and (may == "member" or policy.POLICY[may].guests)  # type: ignore[index]
        return expected(SUPER, name, may) if looks else None
    who = INSTALLER if who == GUEST else who
    return rule.status if who in rule.who else rule.says.get(who)


def is_permitted(who: str, name: str, may: str) -> bool:
    """Whether the role alone may do what a route is for, whatever the plan and the thing."""
    rule = policy.POLICY[may]  # type: ignore[index]
    return rule.guests and name.startswith("GET ") if who == GUEST else ROLES.get(who) in rule.roles


OF_A_THING = [name for name in POLICY if "_id}" in name]
# Open to strangers too, and there is nothing there.
NOT_FOUND_BY_ANYONE = {
    "GET /login/with/{slug}",
    "GET /login/with/{slug}/go",
    "GET /login/with/{slug}/back",
    "GET /{path}",
    "POST /{path}",
    "GET /static/{tree}/{path}",
    "GET /reset/{token}",
    "POST /reset/{token}",
    "GET /unsubscribe/{token}",
    "POST /unsubscribe/{token}",
    "GET /invitations/{token}",
    "POST /invitations/{token}",
}
