"""The list of people: members and open invitations in one order, and who of them an admin of locations sees."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import sqlite

from borne.core.scope import Scope
from borne.store import invitations, organisations, people, people_list, tags
from borne.store.charger_list import words_of
from borne.store.chargers import NewCharger, create
from borne.store.db import Database, create_database
from borne.store.invitations import NewInvitation
from borne.store.people_list import Entry, Filter, Sort
from borne.store.schema import access_group_chargers, access_group_people, access_groups
from tests.support.portal import prepare

pytestmark = pytest.mark.anyio
NOW_MS = 1_780_000_000_000
DAY_MS = 86_400_000


@dataclass
class House:
    """An organisation with two locations and a stranger's organisation beside it."""

    db: Database
    organisation_id: int = 0
    here: int = 0
    there: int = 0
    people: dict[str, int] = field(default_factory=dict)

    def scope(self, role: str = "super-admin", location_ids: tuple[int, ...] | None = None) -> Scope:
        return Scope(
            person_id=0, person_name="", organisation_id=self.organisation_id, role=role, plan="business",
            location_ids=location_ids,
        )  # type: ignore[arg-type]  # fmt: skip

    async def add(
        self,
        name: str,
        role: str = "user",
        places: Sequence[int] = (),
        until_ms: int | None = None,
        of: int | None = None,
    ) -> int:
        organisation_id = of or self.organisation_id
        async with self.db.transaction() as tx:
            person_id = await people.add_person(
                tx, email=f"{name.split(maxsplit=1)[0].casefold()}@b.test", name=name, password_hash="h", language=None,
                operates_installation=False, now_ms=NOW_MS,
            )  # fmt: skip
            await people.add_membership(
                tx, person_id=person_id, organisation_id=organisation_id, role=role, now_ms=NOW_MS, expires_ms=until_ms
            )
            await people.set_locations(tx, person_id=person_id, organisation_id=organisation_id, location_ids=places)
        self.people[name] = person_id
        return person_id

    async def charger(self, location_id: int, identity: str) -> int:
        async with self.db.transaction() as tx:
            new = NewCharger(
                organisation_id=self.organisation_id, location_id=location_id, name=identity, identity=identity,
                secret_hash=b"", serial="", model="other", vendor="", model_name="",
            )  # fmt: skip
            return await create(tx, new, NOW_MS)

    async def names(
        self, scope: Scope | None = None, sort: Sort = "name", descending: bool = False, **chosen: object
    ) -> list[str]:
        page = await people_list.page(
            self.db,
            scope or self.scope(),
            Filter(**chosen),
            NOW_MS,
            sort=sort,
            descending=descending,  # type: ignore[arg-type]
        )
        assert page.total == len(page.entries)
        return [entry.row.name or entry.row.email for entry in page.entries]

    async def entry(self, name: str, scope: Scope | None = None) -> Entry:
        page = await people_list.page(self.db, scope or self.scope(), Filter(), NOW_MS)
        return next(entry for entry in page.entries if entry.row.name == name)


@pytest.fixture
async def house(database: Database) -> House:
    found = House(database)
    async with database.transaction() as tx:
        found.organisation_id = await organisations.create(tx, name="Own", plan="business", now_ms=NOW_MS)
        other = await organisations.create(tx, name="Other", plan="business", now_ms=NOW_MS)
        found.here = await organisations.create_location(tx, found.organisation_id, name="Here", now_ms=NOW_MS)
        found.there = await organisations.create_location(tx, found.organisation_id, name="There", now_ms=NOW_MS)
        elsewhere = await organisations.create_location(tx, other, name="Elsewhere", now_ms=NOW_MS)
    await found.add("Zoé Martin", "super-admin")
    await found.add("Ali 10", "admin", [found.here])
    await found.add("Ali2 2", "operator", [found.there])
    await found.add("Uma", "user")
    await found.add("Ines", "user", until_ms=NOW_MS + DAY_MS)
    await found.add("Ousmane", "user", until_ms=NOW_MS)
    await found.add("Stranger", "admin", [elsewhere], of=other)
    wanted = [
        NewInvitation(email="mona@b.test", role="admin", location_ids=(found.here,), tags=("a1", "b2")),
        NewInvitation(email="late@b.test", role="user", name="Bea Late", membership_expires_ms=NOW_MS),
    ]
    async with database.transaction() as tx:
        await invitations.add_many(
            tx, found.organisation_id, wanted, [b"1", b"2"], person_id=1, person_name="Zoé", now_ms=NOW_MS - 1,
            expires_ms=NOW_MS + DAY_MS,
        )  # fmt: skip
    return found


async def test_members_and_invitations_stand_in_one_order(house: House) -> None:
    everybody = ["Ali 10", "Ali2 2", "Bea Late", "Ines", "mona@b.test", "Ousmane", "Uma", "Zoé Martin"]
    assert await house.names() == everybody
    assert await house.names(descending=True) == everybody[::-1]
    by_role = await house.names(sort="role")
    assert by_role[:4] == ["Zoé Martin", "Ali 10", "mona@b.test", "Ali2 2"]
    async with house.db.transaction() as tx:
        await people.saw(tx, house.organisation_id, house.people["Uma"], NOW_MS)
    assert (await house.names(sort="seen", descending=True))[0] == "Uma"


async def test_filters_and_words_hold_together(house: House) -> None:
    assert await house.names(words=words_of("zoe")) == ["Zoé Martin"]
    assert await house.names(words=words_of("ALI b.test")) == ["Ali 10", "Ali2 2"]
    assert await house.names(words=words_of("100%")) == []
    assert await house.names(role="admin") == ["Ali 10", "mona@b.test"]
    assert await house.names(state="temporary") == ["Ines"]
    assert await house.names(state="over") == ["Ousmane"]
    assert await house.names(state="active") == ["Ali 10", "Ali2 2", "Ines", "Uma", "Zoé Martin"]
    assert await house.names(state="invited") == ["mona@b.test"]
    assert await house.names(state="expired") == ["Bea Late"]
    assert await house.names(location_id=house.here) == ["Ali 10", "mona@b.test"]
    counted = await people_list.counts(house.db, house.scope(), NOW_MS)
    for chosen in (Filter(), Filter(words=("zebra",)), Filter(location_id=1), Filter(state="invited")):
        page = await people_list.page(house.db, house.scope(), chosen, NOW_MS, with_counts=True)
        assert page.counts == counted, "whatever the list is filtered by"
    assert (counted.members, counted.invited) == (5, 1)


async def test_an_admin_sees_who_touches_the_own_locations(house: House) -> None:
    """By belonging there, by a charger assigned there, by an access group with a charger there; nobody else."""
    ali = house.scope("admin", (house.here,))
    assert await house.names(ali) == ["Ali 10", "mona@b.test"]
    assert await house.names(ali, location_id=house.there) == []
    assert await house.names(house.scope("admin", ())) == []
    near, far = await house.charger(house.here, "N"), await house.charger(house.there, "F")
    own = house.organisation_id
    async with house.db.transaction() as tx:
        await people.assign(tx, person_id=house.people["Uma"], charger_ids=[near])
        await people.assign(tx, person_id=house.people["Ousmane"], charger_ids=[far])
        group = await tx.insert(access_groups, {"organisation_id": own, "name": "Fleet", "created_ms": 0})
        columns = ("organisation_id", "access_group_id", "charger_id")
        await tx.insert_many(access_group_chargers, columns, [(own, group, near)])
        columns = ("organisation_id", "access_group_id", "person_id")
        await tx.insert_many(access_group_people, columns, [(own, group, house.people["Ines"])])
    assert await house.names(ali) == ["Ali 10", "Ines", "mona@b.test", "Uma"]
    sees = {name for name, one in house.people.items() if await people_list.sees(house.db, ali, one, NOW_MS)}
    assert sees == {"Ali 10", "Ines", "Uma"}
    everybody = {
        name for name, one in house.people.items() if await people_list.sees(house.db, house.scope(), one, NOW_MS)
    }
    assert everybody == set(house.people) - {"Stranger"}


async def test_a_line_says_where_with_which_groups_and_how_many_tags(house: House) -> None:
    async with house.db.transaction() as tx:
        await people.set_locations(
            tx,
            person_id=house.people["Ali 10"],
            organisation_id=house.organisation_id,
            location_ids=[house.there, house.here],
        )
        await tags.put(tx, house.organisation_id, "04AB", person_id=house.people["Ali 10"])
    entry = await house.entry("Ali 10")
    assert (entry.locations, entry.groups, entry.tags) == (("Here", "There"), (), 1)
    seen_by_another = await house.entry("Ali 10", house.scope("admin", (house.here,)))
    assert seen_by_another.locations == ("Here",), "locations out of reach are not told"
    invited = await people_list.page(house.db, house.scope(), Filter(state="invited"), NOW_MS)
    assert [(one.is_invitation, one.locations, one.tags) for one in invited.entries] == [(True, ("Here",), 2)]


async def test_a_new_name_is_found_and_ordered(house: House) -> None:
    async with house.db.transaction() as tx:
        await people.set_name(tx, house.people["Uma"], "Éloïse")
    assert await house.names(words=words_of("eloise")) == ["Éloïse"]
    assert (await house.names())[3] == "Éloïse"


async def test_pages_walk_the_indexes_alone(tmp_path: Path) -> None:
    """No page reads the rows of all: SQLite's plan of each statement names the indexes that cover it."""
    await prepare(tmp_path)
    db = create_database(f"sqlite:///{tmp_path / 'portal.sqlite3'}", durable=False)
    await db.open()
    scope = Scope(person_id=0, person_name="", organisation_id=1, role="super-admin", plan="business")
    shape = people_list._shape(scope, Filter(words=("a",), role="user"))
    for statement in (people_list._ids(shape), people_list._count(shape)):
        sql = re.sub(r"\?", "1", str(statement.compile(dialect=sqlite.dialect())))
        plan = " ".join(row[-1] for row in await db.all(text(f"EXPLAIN QUERY PLAN {sql}")))
        assert "COVERING INDEX memberships_by_name" in plan
        assert "COVERING INDEX invitations_by_name" in plan
    await db.close()
