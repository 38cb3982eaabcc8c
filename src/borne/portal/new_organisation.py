"""The installation's operator hosts another organisation: its name, plan and first location, and who is invited to run it."""

from __future__ import annotations

from zoneinfo import available_timezones

from litestar import Response, get, post

from borne.core.plans import PLANS
from borne.engine.invitations import NewOrganisation
from borne.portal import language as languages
from borne.portal.forms import Form, email_of, is_email, text_of
from borne.portal.frame import Page
from borne.portal.invitations import invitations_of

FIELDS = ("name", "plan", "location", "time_zone", "email", "language")


@get("/installation/organisations/new", may="installation")
async def new_organisation(page: Page) -> Response[str]:
    return _show(page, {"plan": page.services.settings.default_plan, "time_zone": "Europe/Paris"}, {})


@post("/installation/organisations/new", may="installation")
async def found(page: Page, data: Form) -> Response[str]:
    values = {name: text_of(data, name, 100) for name in FIELDS} | {"email": email_of(data)}
    problems = _problems(page, values)
    if problems:
        return _show(page, values, problems, 422)
    new = NewOrganisation(
        name=values["name"],
        plan=values["plan"],
        location=values["location"] or page._("Main location"),
        time_zone=values["time_zone"],
        email=values["email"],
        language=languages.known(values["language"]) or page.language,
    )
    made = await invitations_of(page.services).found(page.actor, new)
    toast = page._("%(organisation)s is there. %(email)s is invited to run it.", organisation=new.name, email=new.email)
    return page.go(f"/installation/organisations/{made}", toast=toast)


def _problems(page: Page, values: dict[str, str]) -> dict[str, str]:
    problems = {}
    if not values["name"]:
        problems["name"] = page._("Please fill this in.")
    if values["plan"] not in PLANS:
        problems["plan"] = page._("Choose one of the plans.")
    if values["time_zone"] not in available_timezones():
        problems["time_zone"] = page._("Choose a time zone of the list, for example Europe/Paris.")
    if not is_email(values["email"]):
        problems["email"] = page._("This does not look like an e-mail address.")
    return problems


def _show(page: Page, values: dict[str, str], problems: dict[str, str], status_code: int = 200) -> Response[str]:
    return page.show(
        "installation/new.html",
        status_code,
        values=dict.fromkeys(FIELDS, "") | values,
        problems=problems,
        plans=PLANS,
        zones=sorted(available_timezones()),
    )


ROUTES = [new_organisation, found]
