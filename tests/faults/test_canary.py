"""Secrets go through the whole system; afterwards they are in no file and on no page (A13, A17).

The one place is the link that resets a password, in the mail of the embedded outbox. What a secret is known by (its hash) is
looked for too, so that the test notices when it looks in the wrong place.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.support.clicks import fields, restart
from tests.support.server import PASSWORD, Credentials, Site, running_site, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

NEW_PASSWORD = "canary-of-a-person-7d1f"
WRONG_PASSWORD = "canary-typed-wrongly-41c9"
AUTHORIZATION_KEY = "canary-authorization-key-9e2b"
BASIC_PASSWORD = "canary-basic-auth-password-5a60"
MARK = "canary-mark-of-a-kept-frame"  # no secret: shows that frames are looked at
BOSS = "boss@test.example"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("canary") / "site", gateway={"settle_s": 0.3}) as running:
        yield running


class Aviary:
    """What was sent through, by name, and every page that was seen afterwards."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.pages: dict[str, str] = {}


def set_up(site: Site, birds: Aviary) -> httpx.Client:
    """The first account, with the code of the log."""
    wait_until(lambda: "type the code" in site.log, "the code")
    birds.secrets["setup code"] = site.setup_code
    client = httpx.Client(base_url=site.url, follow_redirects=True, timeout=20)
    form = {
        **fields(client.get("/setup").text), "code": site.setup_code, "organisation": "Lumen", "name": "Boss", "location": "Lyon",
        "email": BOSS, "password": PASSWORD,
    }  # fmt: skip
    assert client.post("/setup", data=form).status_code == 200
    birds.secrets["first login"] = client.cookies["borne_login"]
    birds.secrets["first password"] = PASSWORD
    return client


def forget_and_reset(site: Site, birds: Aviary) -> httpx.Client:
    """Guess wrongly, ask for a link, spend it."""
    client = httpx.Client(base_url=site.url, follow_redirects=True, timeout=20)
    form = {**fields(client.get("/login").text), "email": BOSS, "password": WRONG_PASSWORD}
    assert client.post("/login", data=form).status_code == 422
    birds.secrets["wrong password"] = WRONG_PASSWORD
    form = {**fields(client.get("/forgotten").text), "email": BOSS}
    client.post("/forgotten", data=form)
    wait_until(lambda: site.sql("SELECT body FROM mails"), "the mail")
    found = re.search(r"/reset/(\S+)", site.sql("SELECT body FROM mails")[0][0])
    assert found
    birds.secrets["reset token"] = found[1]
    page = client.get(f"/reset/{found[1]}")
    answer = client.post(f"/reset/{found[1]}", data={**fields(page.text), "password": NEW_PASSWORD})
    assert answer.status_code == 200
    birds.secrets["new password"] = NEW_PASSWORD
    birds.secrets["second login"] = client.cookies["borne_login"]
    return client


def add_charger(client: httpx.Client, site: Site, birds: Aviary) -> Credentials:
    """Through the form; its password is shown once."""
    places = re.findall(r'name="location"[^>]*value="(\d+)"', (form_page := client.get("/chargers/add").text))
    location = places[0] if places else str(site.sql("SELECT id FROM locations")[0][0])
    form = {**fields(form_page), "name": "Bird", "model": "other", "location": location}
    shown = client.post("/chargers/add", data=form)
    charger_id, identity = site.sql("SELECT id, identity FROM chargers")[0]
    password = next(word for word in re.findall(r"\b[a-km-z2-9]{20}\b", shown.text))
    birds.secrets["charger password"] = password
    return Credentials(charger_id, "Bird", identity, password, "")


async def talk(site: Site, who: Credentials, birds: Aviary) -> None:
    """Log in by Basic and by the address, wrongly too; then say secrets in every way there is."""
    token = base64.b64encode(f"{who.identity}:{who.password}".encode()).decode()
    birds.secrets["Basic header"] = token
    birds.secrets["authorization key"] = AUTHORIZATION_KEY
    birds.secrets["basic auth password"] = BASIC_PASSWORD
    options: Any = {"subprotocols": ["ocpp1.6"], "compression": None, "proxy": None}
    for path, headers in (
        (f"{who.password}/{who.identity}", {}),
        (f"{WRONG_PASSWORD}/{who.identity}", {}),
        (f"{who.identity}?password={WRONG_PASSWORD}", {"Authorization": "Basic " + token[:-4]}),
        (who.identity, {"Authorization": f"Bearer {WRONG_PASSWORD}"}),
    ):
        try:
            async with connect(f"{site.gateway_url}/{path}", additional_headers=headers, **options) as socket:
                await socket.send('[2,"h","Heartbeat",{}]')
                await socket.recv()
        except Exception:
            continue
    headers = {"Authorization": "Basic " + token}
    async with connect(f"{site.gateway_url}/{who.identity}", additional_headers=headers, **options) as socket:
        boot = {"chargePointVendor": MARK, "chargePointModel": "M"}
        key = {"key": "AuthorizationKey", "readonly": False, "value": AUTHORIZATION_KEY}
        nested = {"configurationKey": [key], "unknownKey": []}
        component = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
        told = {"attributeValue": BASIC_PASSWORD, **component}
        for frame in (
            [2, "1", "BootNotification", boot],
            [2, "2", "StatusNotification", {"connectorId": 1, "status": "Available", "errorCode": "NoError"}],
            [3, "3", nested],
            [2, "4", "ChangeConfiguration", {"key": "AuthorizationKey", "value": AUTHORIZATION_KEY}],
            [2, "5", "DataTransfer", {"vendorId": "v", "data": json.dumps(nested)}],
            [2, "6", "DataTransfer", {"vendorId": "v", "data": f"AuthorizationKey={AUTHORIZATION_KEY}"}],
            [2, "7", "SetVariables", {"setVariableData": [told]}],
            [3, "8", {"getVariableResult": [{"attributeStatus": "Accepted", **told}]}],
            [4, "9", "InternalError", f"password {BASIC_PASSWORD}", {"password": BASIC_PASSWORD}],
        ):
            await socket.send(json.dumps(frame))
        await socket.send(f'[2,"10","ChangeConfiguration",{{"key":"AuthorizationKey","value":"{AUTHORIZATION_KEY}"')
        await socket.send('[2,"end","Heartbeat",{}]')
        while json.loads(await asyncio.wait_for(socket.recv(), 10))[1] != "end":
            pass


def look_everywhere(client: httpx.Client, who: Credentials, birds: Aviary) -> None:
    restart(client, who.id)
    for path in (
        "/chargers", f"/chargers/{who.id}", f"/chargers/{who.id}/frames", f"/chargers/{who.id}/timeline",
        f"/chargers/{who.id}/edit",
        f"/chargers/{who.id}/waiting", "/restarts", "/restarts.csv", "/account", "/installation/attempts", "/nowhere", "/login",
    ):  # fmt: skip
        birds.pages[path] = client.get(path).text


def files_of(site: Site) -> dict[str, bytes]:
    """Database, frames and logs, as whoever steals the disk finds them; keys lie apart."""
    kept = [path for path in Path(site.folder).rglob("*") if path.is_file() and path.suffix != ".key"]
    return {str(path.relative_to(site.folder)): path.read_bytes() for path in kept}


@pytest.fixture(scope="module")
def flown(site: Site) -> Aviary:
    """All of it, once."""
    birds = Aviary()
    with closing(set_up(site, birds)), closing(forget_and_reset(site, birds)) as client:
        who = add_charger(client, site, birds)
        asyncio.run(talk(site, who, birds))
        look_everywhere(client, who, birds)
        with closing(httpx.Client(base_url=site.url, timeout=20)) as other:
            form = {**fields(other.get("/login").text), "email": BOSS, "password": NEW_PASSWORD}
            assert other.post("/login", data=form).status_code == 303
            birds.secrets["third login"] = other.cookies["borne_login"]
            form = {"_csrf_token": fields(other.get("/account").text)["_csrf_token"]}
            other.post("/account/password", data={**form, "password": NEW_PASSWORD, "new_password": NEW_PASSWORD + "x"})
            shown = other.post(f"/chargers/{who.id}/password", data=form)
            birds.secrets["new charger password"] = next(iter(re.findall(r"\b[a-km-z2-9]{20}\b", shown.text)), "")
            birds.secrets["csrf key"] = (site.folder / "data" / "portal.key").read_bytes().hex()
    wait_until(lambda: MARK.encode() in b"".join(files_of(site).values()), "frames are written")
    site.stop()  # whatever is still in memory is written now
    return birds


def test_everything_was_sent_through(flown: Aviary) -> None:
    assert len(flown.secrets) == 14
    assert all(len(secret) >= 14 for secret in flown.secrets.values()), flown.secrets
    assert len(flown.pages) == 12


def test_no_file_holds_a_secret(flown: Aviary, site: Site) -> None:
    for name, secret in flown.secrets.items():
        for file, content in files_of(site).items():
            if (name, file) == ("setup code", "log"):
                continue  # printed on purpose, worth nothing after its use
            searched = without_mails(content, secret) if name == "reset token" else content
            assert secret.encode() not in searched, f"{name} is in {file}"
            assert secret.encode().hex().encode() not in searched, f"{name} is in {file}, as hexadecimal"


def without_mails(content: bytes, token: str) -> bytes:
    """The outbox holds the link: the token may stand in the mail's text and nowhere else."""
    return content.replace(f"/reset/{token}\n\nThe link works once".encode(), b"")


def test_the_link_of_the_outbox_is_in_the_mail_alone(flown: Aviary, site: Site) -> None:
    tables = [name for (name,) in site.sql("SELECT name FROM sqlite_master WHERE type = 'table'")]
    token = flown.secrets["reset token"]
    found = {table for table in tables for row in site.sql(f"SELECT * FROM {table}") if token in repr(row)}
    assert found == {"mails"}


def test_no_page_shows_a_secret(flown: Aviary) -> None:
    for path, text in flown.pages.items():
        for name, secret in flown.secrets.items():
            assert secret not in text, f"{name} is on {path}"
    assert MARK in flown.pages[next(path for path in flown.pages if path.endswith("/frames"))], "frames were looked at"


def test_keys_are_the_owners_alone(site: Site, flown: Aviary) -> None:
    for path in (site.folder / "data").rglob("*"):
        if path.suffix in {".key", ".sqlite3", ".frames"}:
            assert path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0, path


def test_the_hashes_are_where_they_are_looked_for(flown: Aviary, site: Site) -> None:
    """The control: the database that is searched is the one that knows the secrets."""
    import hashlib

    kept = site.sql("SELECT token_hash FROM logins")
    assert hashlib.sha256(flown.secrets["third login"].encode()).digest() not in {row[0] for row in kept}, (
        "it was changed"
    )
    (person,) = site.sql("SELECT password_hash FROM people")
    assert person[0].startswith("$argon2id$")
    (charger,) = site.sql("SELECT secret_hash FROM chargers")
    assert len(charger[0]) == 32
    log = (site.folder / "log").read_text()
    assert flown.secrets["setup code"] in log
