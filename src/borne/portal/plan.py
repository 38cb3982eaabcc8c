"""The plan of an organisation: what each includes, changing it, its history, and the bill day by day."""

from __future__ import annotations

from datetime import date

import msgspec
from babel.dates import format_date
from litestar import Response, get, post
from litestar.params import FromQuery

from borne.core import bill, plans
from borne.core.bill import Bill, BilledDay
from borne.core.plans import COMING, LIMITED, PLANS, Limited
from borne.engine import plans as engine
from borne.portal.access import access_of
from borne.portal.forms import Form, text_of
from borne.portal.frame import Page, PageView
from borne.portal.plan_words import FEATURES, LIMITS, money
from borne.store import plans as store

MONTHS_SHOWN = 13
CHANGES_SHOWN = 50


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A plan at the head of the comparison."""

    id: str
    name: str
    price: str  # for a charger and a month
    yours: str  # for the organisation's chargers and a month
    is_current: bool
    is_next: bool
    is_larger: bool


class Line(msgspec.Struct, frozen=True):
    """A line of the comparison: a feature (True, False for each plan) or a limit (its number; None: any)."""

    title: str
    meaning: str
    cells: tuple[bool | int | None, ...]
    is_limit: bool = False
    is_coming: bool = False  # in none of them yet


class BillLine(msgspec.Struct, frozen=True):
    """A stretch of days that were alike."""

    days: str
    plan: str
    chargers: int
    price: str
    amount: str
    late: bool


class BillView(msgspec.Struct, frozen=True):
    """A month's bill in words."""

    month: str
    total: str
    lines: tuple[BillLine, ...]
    missing: int
    has_late: bool


# ---- what the page shows -------------------------------------------------------------------------------------------------


def _columns(page: PageView, current: str, coming: str | None, chargers: int) -> list[Column]:
    return [
        Column(
            id=plan.id,
            name=plan.name,
            price=money(page.formats, plan.price_cents),
            yours=money(page.formats, plan.price_cents * chargers),
            is_current=plan.id == current,
            is_next=plan.id == coming,
            is_larger=plans.rank(plan.id) > plans.rank(current),
        )
        for plan in PLANS.values()
    ]


def _lines(page: PageView, used: dict[Limited, int]) -> list[Line]:
    """The comparison, made of the plans themselves."""
    lines = [
        Line(
            page._(LIMITS[what]),
            page._("%(n)s now", n=page.formats.number(used[what])),
            tuple(plans.limit(one, what) for one in PLANS),
            is_limit=True,
        )
        for what in LIMITED
    ]
    for feature, (title, meaning) in sorted(FEATURES.items(), key=lambda one: one[0] in COMING):
        cells = tuple(plans.has(one, feature) for one in PLANS)
        lines.append(Line(page._(title), page._(meaning), cells, is_coming=feature in COMING))
    return lines


def _bill_view(page: PageView, of_month: Bill) -> BillView:
    lines = tuple(
        BillLine(
            _days_text(page, line.first, line.last),
            PLANS[line.plan].name if line.plan in PLANS else line.plan,
            line.chargers,
            money(page.formats, line.price_cents),
            money(page.formats, line.amount_cents),
            line.late,
        )
        for line in of_month.stretches
    )
    return BillView(
        _month_text(page, of_month.month),
        money(page.formats, of_month.total_cents),
        lines,
        of_month.missing,
        any(line.late for line in lines),
    )


def _month_text(page: PageView, month: date) -> str:
    return str(format_date(month, "MMMM y", locale=page.formats.locale))


def _days_text(page: PageView, first: date, last: date) -> str:
    text = str(format_date(last, "d MMM", locale=page.formats.locale))
    return text if first == last else f"{first.day}–{text}"  # of one month


async def _bills(page: PageView, organisation_id: int, today: date) -> tuple[BillView | None, list[BillView]]:
    """This month's bill so far (None before its first day), and those of the months before."""
    from_day = date(today.year - 1, today.month, 1)
    rows = await store.days_from(page.services.db, organisation_id, from_day.isoformat())
    days = [
        BilledDay(date.fromisoformat(row.day), row.plan, row.chargers, row.price_cents, bool(row.late)) for row in rows
    ]
    made = bill.bills(days)[:MONTHS_SHOWN]
    this_month = today.replace(day=1)
    now = next((one for one in made if one.month == this_month), None)
    before = [_bill_view(page, one) for one in made if one.month < this_month]
    return (_bill_view(page, now) if now else None), before


@get("/plan", may="see_plan")
async def plan_page(page: Page) -> Response[str]:
    """The plan, what each plan includes, the bill, the history."""
    db, organisation_id, now_ms = page.services.db, page.scope.organisation_id, page.services.clock.now_ms()
    row = await store.of_organisation(db, organisation_id)
    assert row is not None
    chargers, today = await store.charger_count(db, organisation_id), bill.day_of(now_ms)
    used = {what: await engine.used_of(db, organisation_id, what, now_ms) for what in LIMITED}
    this_month, before = await _bills(page, organisation_id, today)
    return page.show(
        "plan/index.html",
        organisation=row,
        current=PLANS.get(row.plan),
        coming=PLANS.get(row.next_plan or ""),
        chargers=chargers,
        columns=_columns(page, row.plan, row.next_plan, chargers),
        lines=_lines(page, used),
        bill=this_month,
        month=_month_text(page, today),
        bills=before,
        changes=await store.changes(db, organisation_id, CHANGES_SHOWN),
        plans=PLANS,
        may_change=page.person.may("change_plan"),
    )


# ---- changing it ---------------------------------------------------------------------------------------------------------


@get("/plan/change", may="change_plan")
async def ask_change(page: Page, to: FromQuery[str] = "") -> Response[str]:
    """What the change brings, or ends, and when: before it is said yes to."""
    db, organisation_id, now_ms = page.services.db, page.scope.organisation_id, page.services.clock.now_ms()
    if to not in PLANS:
        return page.go("/plan")
    row = await store.of_organisation(db, organisation_id)
    if row is None or row.plan == to or row.plan not in PLANS:
        return page.go("/plan")
    chargers, wanted, current = await store.charger_count(db, organisation_id), PLANS[to], PLANS[row.plan]
    is_larger = plans.rank(to) > plans.rank(row.plan)
    changed = plans.lost(to, row.plan) if is_larger else plans.lost(row.plan, to)
    return page.show(
        "plan/change.html",
        current=current,
        wanted=wanted,
        is_larger=is_larger,
        features=[
            (page._(FEATURES[feature][0]), page._(FEATURES[feature][1])) for feature in changed if feature not in COMING
        ],
        ending=await engine.would_end(db, organisation_id, to, now_ms),
        from_ms=bill.next_month_ms(now_ms),
        chargers=chargers,
        price_now=money(page.formats, current.price_cents * chargers),
        price_then=money(page.formats, wanted.price_cents * chargers),
        limits={what: plans.limit(to, what) for what in LIMITED},
        limits_now={what: plans.limit(row.plan, what) for what in LIMITED},
    )


@post("/plan", may="change_plan", status_code=200)
async def change(page: Page, data: Form) -> Response[str]:
    """Upgrade now, or downgrade next month. `from`: the plan that the person saw; if it changed since, they look again."""
    wanted, seen, scope = text_of(data, "plan"), text_of(data, "from"), page.scope
    if wanted not in PLANS:
        return page.go("/plan")
    services, now_ms = page.services, page.services.clock.now_ms()
    async with services.db.transaction() as tx:
        row = await store.locked(tx, scope.organisation_id)
        if row is None or row.plan != seen:
            chosen = None
        else:
            chosen, from_ms = await engine.choose(tx, services.audit, page.actor, scope.organisation_id, wanted, now_ms)
    if chosen is None:
        return page.go(f"/plan/change?to={wanted}", toast=page._("The plan was changed meanwhile. Look again."))
    if chosen == "same":
        return page.go("/plan")
    access_of(page.request).changed(scope.person_id)  # others see it within a second
    said = {"plan": PLANS[wanted].name, "at": page.formats.date(from_ms)}
    text = page._("You are on %(plan)s now.", **said) if chosen == "now" else page._("%(plan)s from %(at)s.", **said)
    return page.go("/plan", toast=text)


@post("/plan/keep", may="change_plan", status_code=200)
async def keep(page: Page) -> Response[str]:
    """Withdraw a downgrade that was chosen."""
    services, organisation_id = page.services, page.scope.organisation_id
    async with services.db.transaction() as tx:
        is_kept = await engine.withdraw(tx, services.audit, page.actor, organisation_id, services.clock.now_ms())
    return page.go("/plan", toast=page._("The plan stays as it is.") if is_kept else None)


ROUTES = [plan_page, ask_change, change, keep]
