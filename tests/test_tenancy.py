"""No statement of Borne reaches two tenants without saying so: what is planted is refused, by the lint and when it runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    MetaData,
    Table,
    and_,
    bindparam,
    case,
    delete,
    exists,
    false,
    func,
    insert,
    literal,
    literal_column,
    not_,
    or_,
    select,
    text,
    true,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import UnaryExpression
from sqlalchemy.sql.operators import custom_op

import borne
from borne.store.schema import (
    access_group_chargers,
    access_groups,
    api_tokens,
    assignments,
    batches,
    chargers,
    events,
    identities,
    identity_providers,
    jobs,
    locations,
    logins,
    memberships,
    metadata,
    notices,
    organisations,
    people,
    readings,
    restarts,
    sessions,
    tags,
)
from borne.store.sqlite import SqliteDatabase
from borne.store.tenancy import across
from tests.support import tenancy, tenancy_lint
from tests.support.tenants import TABLES, Tables

ROOT = Path(__file__).parent.parent
ORGANISATION = bindparam("organisation_id")
OURS = chargers.c.organisation_id == ORGANISATION
SOME_ID = bindparam("charger_id")
twin = chargers.alias("twin")
of_charger = chargers.c.id == events.c.charger_id
of_restart = chargers.c.id == restarts.c.charger_id
own_restarts = restarts.c.organisation_id == ORGANISATION


def recursive(*, ours: bool) -> Any:
    start = select(chargers.c.id, chargers.c.location_id).where(OURS if ours else chargers.c.id == SOME_ID)
    tree = start.cte("tree", recursive=True)
    near = select(twin.c.id, twin.c.location_id).join(tree, tree.c.location_id == twin.c.location_id)
    return select(tree.union_all(near).c.id)


REFUSED = {
    "a select": select(chargers.c.id),
    "any row": select(chargers.c.id).where(or_(OURS, true()), not_(false())),
    "by its own id": select(chargers.c.name).where(chargers.c.id == SOME_ID),
    "by a list of ids": select(chargers.c.name).where(chargers.c.id.in_(bindparam("ids", expanding=True))),
    "by something unique": select(chargers.c.id).where(chargers.c.identity == bindparam("identity")),
    "a count": select(func.count()).select_from(chargers),
    "not this organisation": select(chargers.c.id).where(chargers.c.organisation_id != ORGANISATION),
    "all but": select(chargers.c.id).where(not_(OURS)),
    "a list of organisations": select(chargers.c.id).where(
        chargers.c.organisation_id.in_(bindparam("organisation_ids", expanding=True))
    ),
    "a tuple": select(chargers.c.id).where(tuple_(chargers.c.organisation_id).in_([(1,), (2,)])),
    "the column itself": select(chargers.c.id).where(chargers.c.organisation_id == chargers.c.organisation_id),
    "another column's parameter": select(chargers.c.id).where(chargers.c.organisation_id == bindparam("person_id")),
    "an arm of an or": select(chargers.c.id).where(or_(OURS, chargers.c.status == "fault")),
    "a condition within a case": select(chargers.c.id).where(case((OURS, true()), else_=true())),
    "a join by an unrelated key": select(sessions.c.id)
    .join(tags, tags.c.tag == sessions.c.tag)
    .where(sessions.c.organisation_id == ORGANISATION),
    "a join by a person": select(restarts.c.id, memberships.c.role)
    .join(memberships, memberships.c.person_id == restarts.c.person_id)
    .where(own_restarts),
    "a charger that may have gone elsewhere": select(chargers.c.name).join(restarts, of_restart).where(own_restarts),
    "a join of what hangs on what is loose": select(events.c.id).join(chargers, of_charger),
    "a cross join": select(chargers.c.id, events.c.id).where(OURS),
    "a left join whose ON forgets": select(restarts.c.id, chargers.c.name)
    .outerjoin(chargers, of_restart)
    .where(own_restarts),
    "a left join that binds the other side": select(chargers.c.id)
    .outerjoin(locations, and_(locations.c.id == chargers.c.location_id, OURS)),
    "a left join whose right side would bind the left": select(chargers.c.id).outerjoin(
        locations, and_(locations.c.id == chargers.c.location_id, locations.c.organisation_id == ORGANISATION)
    ),
    "a full join": select(chargers.c.id)
    .outerjoin(locations, locations.c.id == chargers.c.location_id, full=True)
    .where(OURS),
    "an alias": select(twin.c.id, chargers.c.id).where(OURS),
    "two organisations": select(chargers.c.id, locations.c.id).where(
        chargers.c.organisation_id == 1, locations.c.organisation_id == 2
    ),
    "an arm of a union": union_all(select(chargers.c.id).where(OURS), select(restarts.c.charger_id)),
    "a union as a table": select(
        union_all(select(chargers.c.id).where(OURS), select(twin.c.id)).subquery("them").c.id
    ),
    "in the rows of others": select(chargers.c.id).where(chargers.c.id.in_(select(restarts.c.charger_id)), OURS),
    "in itself": select(chargers.c.id).where(OURS, chargers.c.id.in_(select(chargers.c.restart_id))),
    "in the first rows of others": select(chargers.c.id).where(
        OURS, chargers.c.id.in_(select(events.c.charger_id).limit(10))
    ),
    "a subquery": select(select(chargers.c.id, OURS.label("ours")).subquery("all_of_them").c.id),
    "a subquery that only its surroundings bind": select(chargers.c.id)
    .join(select(events.c.charger_id).subquery("told"), OURS)
    .where(OURS),
    "a scalar subquery": select(
        chargers.c.id, select(func.count()).select_from(restarts).where(restarts.c.model == chargers.c.model).scalar_subquery()
    ).where(OURS),
    "exists": select(chargers.c.id).where(OURS, exists().where(restarts.c.model == chargers.c.model)),
    "not exists does not bind": select(events.c.id).where(not_(exists().where(of_charger, OURS))),
    "order by": select(chargers.c.id).where(OURS).order_by(select(func.max(restarts.c.id)).scalar_subquery()),
    "a cte": select(select(chargers.c.id).cte("every").c.id),
    "a recursive cte": recursive(ours=False),
    "the same parameter in a row that need not be there": select(events.c.id)
    .outerjoin(chargers, and_(OURS, chargers.c.id == SOME_ID))
    .where(events.c.charger_id == SOME_ID),
    "the same parameter inside only": select(events.c.id, exists().where(OURS, chargers.c.id == SOME_ID)).where(
        events.c.charger_id == SOME_ID
    ),
    "the same parameter in an arm": select(chargers.c.id, exists().where(events.c.charger_id == SOME_ID)).where(
        OURS, or_(chargers.c.id == SOME_ID, chargers.c.online == 1)
    ),
    "the same parameter around a subquery": select(
        select(events.c.id).where(events.c.charger_id == SOME_ID).subquery("told").c.id
    ).where(exists().where(OURS, chargers.c.id == SOME_ID)),
    "an update": update(chargers).values(disabled=1),
    "an update by id": update(chargers).where(chargers.c.id == SOME_ID).values(disabled=1),
    "an update from another table": update(chargers)
    .where(chargers.c.location_id == locations.c.id, locations.c.name == "x")
    .values(disabled=1),
    "an update's value": update(chargers).where(OURS).values(name=select(func.max(restarts.c.model)).scalar_subquery()),
    "an update's returning": update(jobs).values(payload="").returning(select(func.max(chargers.c.id)).scalar_subquery()),
    "a move to another organisation": update(chargers).where(OURS).values(organisation_id=bindparam("to_id")),
    "a delete": delete(events).where(events.c.charger_id == SOME_ID),
    "a delete of a subquery's": delete(events).where(events.c.id.in_(select(events.c.id).limit(10))),
    "insert from select": insert(events).from_select(["charger_id"], select(chargers.c.id)),
    "an insert's value": insert(jobs).values(kind="x", payload=select(func.max(chargers.c.name)).scalar_subquery()),
    "text": text("SELECT * FROM chargers"),
    "text as a column": select(literal_column("(SELECT name FROM chargers)")),
    "text within": select(jobs.c.id).where(text("id IN (SELECT id FROM chargers)")),
    "organisations": select(organisations.c.name),
    "everybody": select(people.c.email),
    "everybody by a word": select(people.c.id).where(people.c.name.like(bindparam("word"))),
    "what a person's own rows name": select(identity_providers.c.name)
    .join(identities, identities.c.provider_id == identity_providers.c.id)
    .where(identities.c.person_id == bindparam("me")),
    "sweeping people": delete(logins).where(logins.c.expires_ms < bindparam("now_ms")),
    "a token": select(api_tokens.c.person_id).where(api_tokens.c.token_hash == bindparam("token_hash")),
    "across without a reason": across(select(chargers.c.id), "needed"),
    "across in one arm": union_all(
        across(select(chargers.c.id), "the engine steps them all"), select(restarts.c.charger_id)
    ),
}  # fmt: skip

GOOD = {
    "a parameter": select(chargers.c.id).where(OURS),
    "a value": select(chargers.c.id).where(chargers.c.organisation_id == 7, chargers.c.status == "fault"),
    "the other way round": select(chargers.c.id).where(literal(7) == chargers.c.organisation_id),
    "without its index": select(chargers.c.id).where(
        UnaryExpression(chargers.c.organisation_id, operator=custom_op("+")) == ORGANISATION
    ),
    "the same parameter": select(chargers.c.id, exists().where(events.c.charger_id == SOME_ID)).where(
        OURS, and_(chargers.c.id == SOME_ID, chargers.c.online == 1)
    ),
    "an organisation": select(organisations.c.name).where(organisations.c.id == ORGANISATION),
    "no row": select(chargers.c.id).where(false()),
    "no row either": select(chargers.c.id).where(and_(OURS, false())).where(chargers.c.id > 3),
    "both arms of an or": select(chargers.c.id).where(
        or_(and_(OURS, chargers.c.status == "fault"), and_(OURS, chargers.c.online == 1))
    ),
    "what hangs on it": select(events.c.id).join(chargers, of_charger).where(OURS),
    "through several": select(readings.c.value)
    .join(events, events.c.charger_id == readings.c.charger_id)
    .join(chargers, of_charger)
    .where(OURS),
    "through the organisation": select(sessions.c.id)
    .join(tags, and_(tags.c.tag == sessions.c.tag, tags.c.organisation_id == sessions.c.organisation_id))
    .where(sessions.c.organisation_id == ORGANISATION),
    "a left join that says it": select(restarts.c.id, chargers.c.name)
    .outerjoin(chargers, and_(of_restart, chargers.c.organisation_id == restarts.c.organisation_id))
    .where(own_restarts),
    "a left join to where it stands": select(chargers.c.id)
    .outerjoin(locations, locations.c.id == chargers.c.location_id)
    .where(OURS),
    "an alias that says it": select(twin.c.id).join(chargers, twin.c.location_id == chargers.c.location_id).where(OURS),
    "a union": union_all(select(chargers.c.id).where(OURS), select(restarts.c.charger_id).where(own_restarts)),
    "a union as a table": select(events.c.id).join(
        (
            them := union_all(
                select(chargers.c.id).where(OURS),
                select(assignments.c.charger_id).join(twin, twin.c.id == assignments.c.charger_id).where(
                    twin.c.organisation_id == ORGANISATION
                ),
            ).subquery("them")
        ),
        them.c.id == events.c.charger_id,
    ),
    "in the rows of ours": select(events.c.id).where(events.c.charger_id.in_(select(chargers.c.id).where(OURS))),
    "in itself": select(chargers.c.id).where(OURS, chargers.c.id.in_(select(chargers.c.restart_id).where(OURS))),
    "a scalar subquery": select(
        chargers.c.id,
        select(func.count())
        .select_from(locations)
        .where(locations.c.id == chargers.c.location_id)
        .scalar_subquery(),
    ).where(OURS),
    "equal to a scalar subquery": select(locations.c.name).where(
        locations.c.id == select(chargers.c.location_id).where(OURS, chargers.c.id == SOME_ID).scalar_subquery()
    ),
    "exists": select(batches.c.id).where(
        batches.c.organisation_id == ORGANISATION, exists().where(restarts.c.batch_id == batches.c.id)
    ),
    "exists binds": select(events.c.id).where(exists().where(of_charger, OURS)),
    "only those of ours in the rows of others": select(chargers.c.id).where(
        OURS, not_(chargers.c.id.in_(select(events.c.charger_id))), chargers.c.id.not_in(select(assignments.c.charger_id))
    ),
    "a recursive cte": recursive(ours=True),
    "a number": select(literal_column("1")).where(OURS),
    "an update": update(chargers).where(OURS, chargers.c.id == SOME_ID).values(disabled=1),
    "an update from another table": update(chargers)
    .where(chargers.c.location_id == locations.c.id, locations.c.organisation_id == ORGANISATION)
    .values(disabled=1),
    "a delete": delete(access_group_chargers).where(
        access_group_chargers.c.access_group_id == access_groups.c.id, access_groups.c.organisation_id == ORGANISATION
    ),
    "an insert": insert(tags).values(organisation_id=bindparam("into"), tag=literal("x")),
    "the house's own": select(jobs.c.id),
    "a person's own": select(people.c.name, logins.c.agent)
    .join(logins, logins.c.person_id == people.c.id)
    .where(people.c.email == bindparam("email")),
    "identities of ours": select(identities.c.subject)
    .join(identity_providers, identities.c.provider_id == identity_providers.c.id)
    .where(identity_providers.c.organisation_id == ORGANISATION),
    "people of ours": select(people.c.name).join(memberships, memberships.c.person_id == people.c.id).where(
        memberships.c.organisation_id == ORGANISATION
    ),
    "notices": select(notices.c.id).where(notices.c.organisation_id == ORGANISATION, notices.c.person_id == bindparam("me")),
    "across": across(select(chargers.c.id), "the engine steps them all").where(chargers.c.online == 1),
    "across within": select(events.c.id).join(chargers, of_charger).where(
        OURS, events.c.at_ms > across(select(func.min(restarts.c.sent_ms)), "the oldest of all").scalar_subquery()
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_may_reach_another_tenant_is_refused(name: str) -> None:
    assert tenancy.faults(REFUSED[name]), REFUSED[name]


@pytest.mark.parametrize("name", GOOD)
def test_what_keeps_to_one_organisation_passes(name: str) -> None:
    assert tenancy.faults(GOOD[name]) == [], GOOD[name]


def test_every_way_to_touch_a_table_is_refused_for_each_table_of_tenants() -> None:
    theirs = [table for table in metadata.sorted_tables if table in TABLES]
    assert {"chargers", "audit_log", "people", "identities"} <= {table.name for table in theirs}
    for table in theirs:
        for statement in (select(table), update(table).values({table.c[0]: 1}), delete(table), select(table.alias())):
            assert tenancy.faults(statement), table.name


def test_the_message_says_what_to_do() -> None:
    with pytest.raises(tenancy.UnscopedError) as error:
        tenancy.check(select(twin.c.id), "borne.store.planted._all")
    said = str(error.value)
    assert said.startswith("borne.store.planted._all: chargers as twin is not bound to one organisation")
    assert 'across(statement, "why")' in said
    assert "FROM chargers AS twin" in said


def test_a_table_of_which_nobody_said_whose_its_rows_are() -> None:
    planted = MetaData()
    Table("planted", planted, Column("name", BigInteger))
    with pytest.raises(LookupError, match="whose rows are in the table 'planted'"):
        Tables(planted)


# ---- the lint --------------------------------------------------------------------------------------------------------


def lint(source: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "tests.support.tenancy_lint"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_store_keeps_to_it() -> None:
    report = lint(ROOT / "src")
    assert report.returncode == 0, report.stderr


HEAD = """
from sqlalchemy import bindparam, delete, select, update
from borne.store.schema import chargers, restarts
from borne.store.tenancy import across
"""
PLANTED = {
    "a statement": ("_all = select(chargers.c.id)", "planted._all: chargers is not bound"),
    "one of several": ("_two = {'one': [delete(restarts)]}", "planted._two['one'][0]: restarts is not bound"),
    "sql as text": ("from sqlalchemy import text", "SQL made by text cannot be read"),
    "a statement that is run": (
        "_old = select(chargers.c.id)\n_gone = delete(chargers).where(chargers.c.id.in_(_old))\n"
        "async def old(db):\n    return await db.all(_old)",
        "planted._old: chargers is not bound",
    ),
    "a driver": ("def read():\n    import sqlite3", "only store.sqlite and store.postgres speak to a driver"),
    "a function without a scope": (
        "_ours = select(chargers.c.id).where(chargers.c.organisation_id == bindparam('organisation_id'))\n"
        "async def ours(db):\n    return await db.all(_ours, {'organisation_id': 1})",
        "ours asks for rows of tenants (_ours): it must take scope or organisation_id",
    ),
    "a function that makes its own": (
        "async def ours(db, of):\n    return await db.all(select(chargers.c.id).where(chargers.c.organisation_id == of))",
        "ours asks for rows of tenants (a statement of its own)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_the_lint_catches_what_is_planted(name: str, tmp_path: Path) -> None:
    planted, said = PLANTED[name]
    assert any(said in fault for fault in faults_of(tmp_path, planted))


@pytest.mark.parametrize(
    "planted",
    [
        "_all = across(select(chargers.c.id), 'the gateway knows them all')\nasync def every(db):\n    return await db.all(_all)",
        "def ours(scope):\n    return select(chargers.c.id).where(chargers.c.organisation_id == scope.organisation_id)",
        "_old = select(chargers.c.id)\n_gone = across(delete(chargers).where(chargers.c.id.in_(_old)), 'a sweep of all')",
        "class New:\n    organisation_id: int\ndef of(new: New):\n    return delete(chargers).where(chargers.c.id == 1)",
        "def every():\n    return across(update(chargers), 'each of them once a day')",
    ],
)
def test_the_lint_lets_pass(planted: str, tmp_path: Path) -> None:
    assert faults_of(tmp_path, planted) == []


def faults_of(folder: Path, planted: str) -> list[str]:
    path, module = folder / "planted.py", ModuleType("planted")
    module.__file__ = str(path)
    path.write_text(HEAD + planted)
    exec(path.read_text(), vars(module))
    return tenancy_lint.module_faults(module) + tenancy_lint.source_faults(path, module)


def test_what_is_planted_in_the_store_fails_the_build(tmp_path: Path) -> None:
    """The command of `make lint`, on a copy of the package."""
    package = shutil.copytree(
        Path(borne.__file__).parent, tmp_path / "borne", ignore=shutil.ignore_patterns("static", "__pycache__")
    )
    (package / "store" / "planted.py").write_text(HEAD + PLANTED["a statement"][0])
    report = lint(tmp_path)
    assert report.returncode == 1
    assert "borne.store.planted._all: chargers is not bound to one organisation" in report.stderr
    assert "python -m tests.support.tenancy_lint" in (ROOT / "Makefile").read_text().replace("$(BIN)/", "")


# ---- the guard -------------------------------------------------------------------------------------------------------


def planted_function(source: str) -> Any:
    """A function that seems to stand in a file of the store."""
    names: dict[str, Any] = {"chargers": chargers, "select": select}
    exec(compile(source, str(tenancy_lint.STORE / "planted.py"), "exec"), names)
    return names["planted"]


@pytest.mark.anyio
async def test_the_guard_reads_what_functions_make(tmp_path: Path) -> None:
    guard = tenancy_lint.installed()
    database = SqliteDatabase(str(tmp_path / "guarded.sqlite3"))
    planted = planted_function("async def planted(db):\n    return await db.first(select(chargers.c.id))")
    await database.open()
    try:
        with pytest.raises(tenancy.UnscopedError, match=r"borne/store/planted.py:2 planted: chargers is not bound"):
            await planted(database)
        assert "planted: chargers is not bound" in guard.taken()[-1]
        with pytest.raises(Exception, match="no such table"):  # the tests' own are their own affair
            await database.all(select(chargers.c.id))
    finally:
        await database.close()


@pytest.mark.anyio
async def test_the_guard_reads_the_keys_by_which_rows_are_changed(tmp_path: Path) -> None:
    guard = tenancy_lint.installed()
    database = SqliteDatabase(str(tmp_path / "guarded.sqlite3"))
    change = planted_function(
        "async def planted(tx):\n    await tx.update_many(chargers, ('identity',), ('name',), [('x', 'y')])"
    )
    put = planted_function(
        "async def planted(tx):\n    await tx.upsert_many(chargers, ('identity',), ('name',), [('x', 'y')])"
    )
    await database.open()
    try:
        for planted in (change, put):
            with pytest.raises(tenancy.UnscopedError, match="rows of chargers are changed by identity"):
                async with database.transaction() as tx:
                    await planted(tx)
        assert len(guard.taken()) == 2
    finally:
        await database.close()


def test_saying_across_makes_no_other_statement() -> None:
    plain = select(chargers.c.id)
    said = across(plain, "the engine steps them all")
    assert str(said) == str(plain)
    assert not isinstance(said, UpdateBase)
