"""Many chargers by a CSV file: what is read, what is wrong with it, and that it is all or nothing, and once."""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from borne.portal import charger_lines
from borne.portal.csv_file import text_of_file
from borne.store import charger_imports
from borne.store.schema import audit_log, chargers, events, locations
from borne.store.secrets import matches
from tests.support.portal import csrf, log_in
from tests.support.restart_site import Site, running_site

pytestmark = pytest.mark.anyio
KEY = b"k" * 32
HEAD = "name,serial,model,location,identity,password"
TWO = f'{HEAD}\nQuai 1,100,Pulsar Max,"Nantes, Entrepôt",,\nQuai 2,200,,"Nantes, Entrepôt",CP-2,abcdefgh12345678\n'


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as running:
        running.portal.services.charger_key = KEY
        yield running


@asynccontextmanager
async def browser(site: Site, who: str = "camille", language: str = "en") -> AsyncIterator[httpx.AsyncClient]:
    async with site.portal.client(**{"accept-language": language}) as client:
        await log_in(client, f"{who}@a.test")
        yield client


async def send(client: httpx.AsyncClient, path: str, file: bytes | None = None, **fields: str) -> httpx.Response:
    """As a browser sends such a form."""
    data = {"_csrf_token": await csrf(client), **fields}
    files = {"file": ("chargers.csv", file or b"", "text/csv")}
    return await client.post(path, data=data, files=files, follow_redirects=False)


async def look(client: httpx.AsyncClient, text: str | bytes) -> httpx.Response:
    if isinstance(text, bytes):
        return await send(client, "/chargers/import", text)
    return await send(client, "/chargers/import", csv=text)


def fields_of(page: str) -> dict[str, str]:
    """The confirmation that a page offers, as its form would send it."""
    found = {name: re.search(rf'name="{name}" value="([^"]*)"', page) for name in ("key", "count")}
    return {name: match[1] for name, match in found.items() if match}


async def confirm(client: httpx.AsyncClient, text: str, page: str, **changes: str) -> httpx.Response:
    return await send(client, "/chargers/import/add", csv=text, **(fields_of(page) | changes))


def downloaded(page: str) -> list[list[str]]:
    found = re.search(r'href="data:text/csv;charset=utf-8;base64,([^"]+)"', page)
    assert found
    text = base64.b64decode(found[1]).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text), delimiter=";" if ";" in text.splitlines()[0] else ","))


async def rows(site: Site) -> list[Any]:
    return await site.portal.db.all(select(chargers).order_by(chargers.c.id))


# ---- reading -------------------------------------------------------------------------------------------------------


FILES = {
    "UTF-8": "nom;série;modèle;site\nQuai é;1;Pulsar Max;Nantes, Entrepôt\n".encode(),
    "with a mark": "nom;série;modèle;site\nQuai é;1;Pulsar Max;Nantes, Entrepôt\n".encode("utf-8-sig"),
    "Windows": "nom;série;modèle;site\r\nQuai é;1;Pulsar Max;Nantes, Entrepôt\r\n".encode("cp1252"),
    "UTF-16": "Nom du chargeur;N° de série;Modèle;Emplacement\nQuai é;1;pulsar-max;NANTES,  ENTREPOT\n".encode(
        "utf-16"
    ),
    "commas": 'Location,Charger,Model,Serial number\n"Nantes, Entrepôt",Quai é,PULSAR MAX,1\n\n\n'.encode(),
    "tabs": "serial\tname\tlocation\tmodel\n1\tQuai é\tNantes, Entrepôt\tPulsar  max".encode(),
}


async def test_files_are_read_whatever_wrote_them(site: Site) -> None:
    async with browser(site) as camille:
        for kind, raw in FILES.items():
            page = (await look(camille, raw)).text
            assert "1 charger would be added" in page, kind
            for said in ("Quai é", "Pulsar Max", "Nantes, Entrepôt"):
                assert said in page, kind
        assert await rows(site) == []
        answer = await confirm(camille, text_of_file(FILES["UTF-16"]), page)
        assert answer.status_code == 200, answer.text
    [row] = await rows(site)
    assert (row.name, row.serial, row.model, row.location_id) == ("Quai é", "1", "pulsar-max", site.nantes_id)


BAD = (
    (",,,Nantes,,", "Name", "Give it a name, or at least its serial number."),
    ("x" * 101 + ",1,,Nantes,,", "Name", "100 characters at most."),
    ("A,2,Warp drive,Nantes,,", "Model", "“Warp drive” is not in the catalogue."),
    ("A,3,,Atlantis,,", "Location", "There is no location “Atlantis”"),
    ("A,4,,,,", "Location", "Name the location where it stands."),
    ("A,5,,Twin,,", "Location", "There are several locations “Twin”."),
    ("A,6,,Nantes,a b,", "Identity", "1 to 48 letters"),
    ("A,7,,Nantes," + "x" * 49 + ",", "Identity", "1 to 48 letters"),
    ("A,8,,Nantes,id-Known-1,", "Identity", "This identity cannot be used."),
    ("A,9,,Nantes,,short", "Password", "16 to 40 letters"),
    ("A,10,,Nantes,,=cmd|calc'!A1-0000000", "Password", "16 to 40 letters"),
    ("A,S-known,,Nantes,,", "Serial number", "A charger with this serial number is there already."),
    ("A,11,,Nantes,ID,", "", ""),  # this one is good
    ("A,11,,Nantes,,", "Serial number", "“11” stands in line 14 already."),
    ("A,12,,Nantes,ID,", "Identity", "“ID” stands in line 14 already."),
)


async def test_each_bad_line_is_named(site: Site) -> None:
    known = await site.add_charger("Known", location_id=site.nantes_id)
    async with site.portal.db.transaction() as tx:
        await tx.run(update(chargers).where(chargers.c.id == known).values(serial="S-known", identity="id-Known-1"))
        await tx.run(update(locations).where(locations.c.id == site.nantes_id).values(name="Nantes"))
        for _ in range(2):
            await tx.insert(locations, {"organisation_id": site.organisation_id, "name": "Twin", "created_ms": 1})
    async with browser(site) as camille:
        page = (await look(camille, "\n".join((HEAD, *(line for line, _, _ in BAD))))).text
    named = re.findall(r'num at">(\d+)</td><td class="nowrap">([^<]+)</td><td class="said">([^<]+)', page)
    wanted = [(number, column, said) for number, (_, column, said) in enumerate(BAD, 2) if column]
    assert [(int(number), column) for number, column, _ in named] == [(number, column) for number, column, _ in wanted]
    assert all(one[2].startswith(other[2]) for one, other in zip(named, wanted, strict=True)), named
    assert "Add 1 charger" in page
    assert len(await rows(site)) == 1


NO_FILES = (
    ("", "Choose a file of one megabyte at most"),
    ("\n \n", "Choose a file of one megabyte at most"),
    ("x" * 1_000_001, "Choose a file of one megabyte at most"),
    ("hello world", "The first line must name the columns"),
    ("\0\0\0name", "The file names its columns, and no charger."),
    ("model,location\nPulsar,Nantes", "The first line must name the columns"),
    ('name,serial\n"' + "x" * 200_000 + '"', "There is nothing to read."),
    (HEAD + "\nA,1,,Nantes,," * 5001, "A file holds 5,000 chargers at most."),
)


async def test_what_is_no_such_file_is_said(site: Site) -> None:
    async with browser(site) as camille:
        for text, said in NO_FILES:
            answer = await look(camille, text)
            assert answer.status_code == 422
            assert said in answer.text
        assert "hello world" in (await look(camille, "hello world")).text, "what was pasted is kept"
        for large in ("hello world\n" * 80_000, HEAD + "\nA,1,,Nowhere,," * 3_000):
            page = (await look(camille, large)).text
            assert len(page) < 200_000, "a file that is no use does not come back"
    assert await rows(site) == []


# ---- adding --------------------------------------------------------------------------------------------------------


async def test_all_are_added_and_told_once(site: Site) -> None:
    async with browser(site) as camille:
        page = (await look(camille, TWO)).text
        assert "2 chargers would be added" in page
        assert "abcdefgh12345678" not in page.partition("<textarea")[0], "a password is not shown"
        answer = await confirm(camille, TWO, page)
        assert "2 chargers were added" in answer.text
        head, *told = downloaded(answer.text)
        assert head[3:5] == ["Identity", "Password"]
        first, second = await rows(site)
        assert [line[3] for line in told] == [first.identity, "CP-2"]
        assert matches(KEY, told[0][4], first.secret_hash)
        assert matches(KEY, "abcdefgh12345678", second.secret_hash)
        assert told[1][4] == "abcdefgh12345678"
        assert told[0][5].endswith("/" + first.identity)
        for path in ("/chargers", f"/chargers/{first.id}", f"/chargers/{first.id}/edit", "/chargers/import"):
            assert told[0][4] not in (await camille.get(path)).text
        assert "Quai 1" in (await camille.get("/chargers?q=nantes")).text
    kinds = await site.portal.db.all(select(events.c.kind).where(events.c.charger_id == second.id))
    assert [row.kind for row in kinds] == ["added"]
    details = await site.portal.db.value(select(audit_log.c.details).where(audit_log.c.action == "charger.many_added"))
    assert json.loads(details)["count"] == 2
    assert told[0][4] not in details


async def test_confirmed_twice_adds_once_and_tells_the_same(site: Site) -> None:
    async with browser(site) as camille:
        page = (await look(camille, TWO)).text
        one, two = await asyncio.gather(confirm(camille, TWO, page), confirm(camille, TWO, page))
        again = await confirm(camille, TWO, page)
        assert {one.status_code, two.status_code, again.status_code} == {200}
        assert downloaded(one.text)[1] == downloaded(two.text)[1] == downloaded(again.text)[1]
        assert len(await rows(site)) == 2
        site.later(16 * 60)
        late = await confirm(camille, TWO, page)
        assert late.headers["location"] == "/chargers"
    async with browser(site, "ali") as ali:
        other = await confirm(ali, TWO, page)
        assert "data:text/csv" not in other.text
    assert len(await rows(site)) == 2


async def test_good_lines_alone_only_when_that_was_confirmed(site: Site) -> None:
    text = TWO + "Quai 3,300,Warp,Nowhere,,\n"
    async with browser(site) as camille:
        page = (await look(camille, text)).text
        assert "1 line is not right" in page
        assert "Add 2 chargers" in page
        changed = await confirm(camille, text, page, count="3")
        assert changed.status_code == 409
        assert await rows(site) == []
        assert (await confirm(camille, text, page)).status_code == 200
    assert [row.name for row in await rows(site)] == ["Quai 1", "Quai 2"]


async def test_what_was_taken_meanwhile_is_said_and_nothing_is_added(site: Site) -> None:
    async with browser(site) as camille:
        page = (await look(camille, TWO)).text
        other = await site.add_charger("Faster", location_id=site.lyon_id)
        async with site.portal.db.transaction() as tx:
            await tx.run(update(chargers).where(chargers.c.id == other).values(identity="CP-2"))
        answer = await confirm(camille, TWO, page)
        assert answer.status_code == 409
        assert "Something changed meanwhile" in answer.text
        assert "This identity cannot be used." in answer.text
    assert [row.name for row in await rows(site)] == ["Faster"]


async def test_a_failure_in_the_middle_adds_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charger_imports, "SLICE", 1)
    create, calls = charger_imports.charger_store.create_some, 0

    async def fails_at_the_second(*arguments: Any) -> list[int]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError("the disk is gone")
        return await create(*arguments)

    monkeypatch.setattr(charger_imports.charger_store, "create_some", fails_at_the_second)
    async with browser(site) as camille:
        page = (await look(camille, TWO)).text
        assert (await confirm(camille, TWO, page)).status_code == 500
        assert await rows(site) == []
        assert (await confirm(camille, TWO, page)).status_code == 200
    assert len(await rows(site)) == 2


async def test_no_cell_is_a_formula_and_no_text_is_markup(site: Site) -> None:
    text = f'{HEAD}\n=HYPERLINK("http://x"),1,,Nantes,,\n<img src=x onerror=alert(1)>,+2,,Nantes,@SUM,\n'
    async with site.portal.db.transaction() as tx:
        await tx.run(update(locations).where(locations.c.id == site.nantes_id).values(name="Nantes"))
    async with browser(site) as camille:
        page = (await look(camille, text)).text
        assert "<img src" not in page
        answer = await confirm(camille, text, page)
        _, first, second = downloaded(answer.text)
        assert first[0].startswith("'=HYPERLINK")
        assert (second[1], second[3]) == ("'+2", "'@SUM")
        assert "<img src" not in answer.text


async def test_an_admin_adds_to_the_own_location_alone(site: Site) -> None:
    async with browser(site, "ali") as ali:
        page = (await look(ali, TWO)).text
        assert "There is no location “Nantes, Entrepôt” where you may add chargers." in page
        unnamed = f"{HEAD}\nQuai 1,1,,,,\n"
        page = (await look(ali, unnamed)).text  # there is but one
        assert (await confirm(ali, unnamed, page)).status_code == 200
    assert [row.location_id for row in await rows(site)] == [site.lyon_id]
    async with browser(site, "zoe") as zoe:
        assert (await zoe.get("/chargers/import")).status_code == 404


async def test_five_thousand_are_taken(site: Site) -> None:
    text = "name;location\n" + "".join(f"Quai {n};Nantes, Entrepôt\n" for n in range(charger_lines.ROWS_BOUND))
    async with browser(site, language="fr") as camille:
        page = (await look(camille, text)).text
        assert "et 4\u202f900 autres" in page.replace("\u00a0", "\u202f")
        answer = await confirm(camille, text, page)
        assert len(downloaded(answer.text)) == 5001
        assert downloaded(answer.text)[0][4] == "Mot de passe"
    assert await site.portal.db.value(select(func.count(func.distinct(chargers.c.identity)))) == 5000
