"""OpenID Connect against providers that lie: every attack on the token, the keys and the answers is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from borne.engine.oidc import ALGORITHMS, Claims, Client, Flight, OidcError, Providers
from borne.engine.outgoing import FetchError, Outgoing
from tests.support.house import TestClock

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")]
ISSUER = "https://id.test"
CLIENT = Client(ISSUER, "borne", "s3cret:/?", "https://portal.test/login/with/x/back")
FLIGHT = Flight.of("a secret of the browser", "the state")
RSA = RSAKey.generate_key(2048, {"kid": "one"})
OTHER = RSAKey.generate_key(2048, {"kid": "one"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
EDWARDS = OKPKey.generate_key("Ed25519", {"kid": "ed"})


class Fake(Outgoing):
    """A provider whose answers a test writes."""

    def __init__(self) -> None:
        super().__init__()
        self.metadata: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize?tenant=1",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
            "userinfo_endpoint": f"{ISSUER}/userinfo",
        }
        self.keys: list[Any] = [RSA.as_dict(private=False), EC.as_dict(private=False), EDWARDS.as_dict(private=False)]
        self.token: Any = ""
        self.userinfo: dict[str, Any] = {}
        self.asked: list[tuple[str, Any, Any]] = []

    async def json(self, url: str, *, form: Any = None, headers: Any = None) -> dict[str, Any]:
        self.asked.append((url, form, headers))
        match urlsplit(url).path:
            case "/keys":
                return {"keys": self.keys}
            case "/token":
                return {"id_token": self.token, "access_token": "access"}
            case "/userinfo":
                return self.userinfo
        return self.metadata

    def times(self, path: str) -> int:
        return sum(urlsplit(url).path == path for url, _, _ in self.asked)


class Site:
    def __init__(self) -> None:
        self.clock = TestClock()
        self.fake = Fake()
        self.providers = Providers(self.fake, self.clock)

    @property
    def now_s(self) -> int:
        return self.clock.at_ms // 1000

    def claims(self, **changes: Any) -> dict[str, Any]:
        usual = {"iss": ISSUER, "aud": "borne", "sub": "u-1", "nonce": FLIGHT.nonce, "iat": self.now_s, "exp": self.now_s + 300,
                 "email": "Zoe@A.test", "email_verified": True, "name": "Zoé"}  # fmt: skip
        return {name: value for name, value in (usual | changes).items() if value is not ...}

    async def identify(self, token: Any = None, iss: str | None = None, **changes: Any) -> Claims:
        self.fake.token = signed(self.claims(**changes)) if token is None else token
        return await self.providers.identify(CLIENT, FLIGHT, "a code", iss)

    async def fault(self, token: Any = None, iss: str | None = None, **changes: Any) -> str:
        with pytest.raises(OidcError) as caught:
            await self.identify(token, iss, **changes)
        return caught.value.fault


def signed(claims: dict[str, Any], key: Any = RSA, algorithm: str = "RS256", **header: Any) -> str:
    whole = {"alg": algorithm, "kid": key.kid} | header
    return jwt.encode({k: v for k, v in whole.items() if v is not ...}, claims, key, algorithms=[algorithm])


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.fixture
def site() -> Site:
    return Site()


# ---- what is right -----------------------------------------------------------------------------------------------------


async def test_the_way_there_has_all_that_binds_the_answer(site: Site) -> None:
    address = await site.providers.way_there(CLIENT, FLIGHT)
    asked = {name: value[0] for name, value in parse_qs(urlsplit(address).query).items()}
    assert asked == {
        "tenant": "1",
        "response_type": "code",
        "client_id": "borne",
        "redirect_uri": CLIENT.redirect_uri,
        "scope": "openid email profile",
        "state": "the state",
        "nonce": FLIGHT.nonce,
        "code_challenge": text(hashlib.sha256(FLIGHT.verifier.encode()).digest()),
        "code_challenge_method": "S256",
    }
    assert FLIGHT.verifier not in address
    assert len({FLIGHT.verifier, FLIGHT.nonce, Flight.of("a secret of the browser", "another").nonce}) == 3


async def test_a_right_token_names_somebody(site: Site) -> None:
    assert await site.identify() == Claims("u-1", "zoe@a.test", "Zoé")
    _, form, headers = next(one for one in site.fake.asked if one[0].endswith("/token"))
    assert form["code_verifier"] == FLIGHT.verifier
    assert form["redirect_uri"] == CLIENT.redirect_uri
    assert base64.b64decode(headers["authorization"].split()[1]) == b"borne:s3cret%3A%2F%3F"
    assert "client_secret" not in form


@pytest.mark.parametrize(("key", "algorithm"), [(EC, "ES256"), (EDWARDS, "EdDSA"), (RSA, "PS256"), (RSA, "RS512")])
async def test_other_signatures_that_only_the_provider_can_make(site: Site, key: Any, algorithm: str) -> None:
    assert (await site.identify(signed(site.claims(), key, algorithm))).subject == "u-1"


async def test_a_key_without_a_name_is_found(site: Site) -> None:
    site.fake.keys = [{k: v for k, v in one.items() if k != "kid"} for one in site.fake.keys]
    assert (await site.identify(signed(site.claims(), kid=...))).subject == "u-1"


@pytest.mark.parametrize("told", [..., False, "true", 1, None])
async def test_an_address_that_is_not_verified_counts_for_nothing(site: Site, told: Any) -> None:
    found = await site.identify(email_verified=told)
    assert (found.email, found.unverified_email) == (None, True)


async def test_the_address_may_come_from_the_userinfo_of_the_same_subject(site: Site) -> None:
    site.fake.userinfo = {"sub": "u-1", "email": "a@b.test", "email_verified": True, "iss": "x", "nonce": "y"}
    assert (await site.identify(email=..., email_verified=...)).email == "a@b.test"
    site.fake.userinfo["sub"] = "u-2"
    assert await site.fault(email=..., email_verified=...) == "subject"


async def test_secrets_are_sent_as_the_provider_takes_them(site: Site) -> None:
    site.fake.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    await site.identify()
    _, form, headers = next(one for one in site.fake.asked if one[0].endswith("/token"))
    assert (form["client_secret"], "authorization" in headers) == ("s3cret:/?", False)


# ---- attacks on the token ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"nonce": ...}, "nonce"),
        ({"nonce": ["x"]}, "nonce"),
        ({"aud": "another"}, "audience"),
        ({"aud": ...}, "audience"),
        ({"aud": ["another"]}, "audience"),
        ({"aud": ["borne", "another"]}, "audience"),
        ({"aud": ["borne", "another"], "azp": "another"}, "audience"),
        ({"azp": "another"}, "audience"),
        ({"iss": "https://evil.test"}, "other_issuer"),
        ({"iss": ISSUER + "/"}, "other_issuer"),
        ({"iss": ...}, "other_issuer"),
        ({"exp": ...}, "expired"),
        ({"exp": "soon"}, "expired"),
        ({"exp": True}, "expired"),
        ({"iat": ...}, "expired"),
        ({"sub": ...}, "subject"),
        ({"sub": ""}, "subject"),
        ({"sub": 7}, "subject"),
        ({"sub": "x" * 256}, "subject"),
        ({"sub": "a\x00b"}, "subject"),
    ],
)
async def test_wrong_claims(site: Site, changes: dict[str, Any], fault: str) -> None:
    assert await site.fault(**changes) == fault


async def test_two_audiences_with_this_client_named(site: Site) -> None:
    assert (await site.identify(aud=["borne", "another"], azp="borne")).subject == "u-1"


async def test_times_are_taken_with_a_minute_of_leeway(site: Site) -> None:
    now_s = site.now_s
    assert await site.identify(exp=now_s - 59)
    assert await site.fault(exp=now_s - 60) == "expired"
    assert await site.identify(iat=now_s + 60)
    assert await site.fault(iat=now_s + 61) == "not_yet"
    assert await site.fault(nbf=now_s + 61) == "not_yet"
    assert await site.fault(iat=now_s - 3_601) == "expired"


async def test_no_signature_is_no_signature(site: Site) -> None:
    body = text(json.dumps(site.claims()).encode())
    for algorithm in ("none", "None", "NONE", "", None, 5):
        head = text(json.dumps({"alg": algorithm}).encode())
        assert await site.fault(f"{head}.{body}.") == "algorithm"
    right = signed(site.claims())
    assert await site.fault(right.rpartition(".")[0] + ".") == "signature"


async def test_a_public_key_is_no_secret(site: Site) -> None:
    """HS256 "signed" with the text of the provider's public key, which anybody can read; or with the client's secret."""
    head, body = text(b'{"alg":"HS256","kid":"one"}'), text(json.dumps(site.claims()).encode())
    for secret in (RSA.as_pem(private=False), b"s3cret:/?"):
        token = f"{head}.{body}.{text(hmac.digest(secret, f'{head}.{body}'.encode(), 'sha256'))}"
        assert await site.fault(token) == "algorithm"
    assert not any(name.startswith("HS") or name.lower() == "none" for name in ALGORITHMS)


async def test_a_secret_key_among_the_providers_keys_is_not_used(site: Site) -> None:
    site.fake.keys = [{"kty": "oct", "k": text(b"x" * 32), "kid": "one"}]
    assert await site.fault() == "signature"


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "RSA", "kid": "one"},
        {"kty": "RSA", "kid": "one", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "kid": "one", "n": 5, "e": None},
        {**RSA.as_dict(private=False), "use": "enc"},
        {**RSA.as_dict(private=False), "alg": "RS512"},
        {**RSA.as_dict(private=False), "kid": "two"},
        "nonsense",
        None,
    ],
)
async def test_keys_that_cannot_be_meant(site: Site, key: Any) -> None:
    site.fake.keys = [key]
    assert await site.fault() == "signature"


async def test_a_short_key_is_refused(site: Site) -> None:
    short = RSAKey.generate_key(1024, {"kid": "one"})
    site.fake.keys = [short.as_dict(private=False)]
    assert await site.fault(signed(site.claims(), short)) == "signature"


async def test_another_keys_signature_and_a_changed_token(site: Site) -> None:
    assert await site.fault(signed(site.claims(), OTHER)) == "signature"
    head, _, signature = signed(site.claims()).split(".")
    changed = text(json.dumps(site.claims(sub="admin")).encode())
    assert await site.fault(f"{head}.{changed}.{signature}") == "signature"


async def test_a_key_that_the_token_brings_along_is_not_looked_at(site: Site) -> None:
    brought = OTHER.as_dict(private=False)
    token = jws.serialize_compact(
        {"alg": "RS256", "kid": "mine", "jwk": brought}, json.dumps(site.claims()), OTHER, algorithms=["RS256"]
    )
    assert await site.fault(token) == "signature"


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é.é.é", "." * 50, "eyJ.eyJ.x", 7, None, {"a": 1}, "A" * 40_000])
async def test_what_is_no_token(site: Site, token: Any) -> None:
    assert await site.fault("" if token is None else token) in {"token", "no_token", "algorithm"}


async def test_the_answer_of_another_provider_is_refused(site: Site) -> None:
    """Mix-up (RFC 9207): the code came from somewhere else; it is not even sent to the token endpoint."""
    assert await site.fault(iss="https://evil.test") == "other_issuer"
    assert site.fake.times("/token") == 0
    assert await site.identify(iss=ISSUER)
    site.fake.metadata["authorization_response_iss_parameter_supported"] = True
    await site.providers.metadata(ISSUER, fresh=True)
    assert await site.fault(iss=None) == "other_issuer"


# ---- keys change ---------------------------------------------------------------------------------------------------------


async def test_new_keys_are_fetched_for_a_name_that_is_not_known_but_not_for_every_one(site: Site) -> None:
    await site.identify()
    await site.identify()
    assert (site.fake.times("/keys"), site.fake.times("/.well-known/openid-configuration")) == (1, 1)
    new = RSAKey.generate_key(2048, {"kid": "new"})
    site.fake.keys = [new.as_dict(private=False)]
    site.clock.pass_s(31)
    assert (await site.identify(signed(site.claims(), new))).subject == "u-1"
    for number in range(20):  # a flood of made-up names is no flood of requests
        assert await site.fault(signed(site.claims(), OTHER, kid=f"made up {number}")) == "signature"
    assert site.fake.times("/keys") == 2
    site.clock.pass_s(3_601)  # after an hour everything is asked anew
    assert (await site.identify(signed(site.claims(), new))).subject == "u-1"
    assert (site.fake.times("/keys"), site.fake.times("/.well-known/openid-configuration")) == (3, 2)


# ---- what it says of itself ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"issuer": "https://evil.test"}, "issuer"),
        ({"issuer": ISSUER + "/"}, "issuer"),
        ({"token_endpoint": ...}, "metadata"),
        ({"token_endpoint": 5}, "metadata"),
        ({"token_endpoint": "http://id.test/token"}, "endpoint"),
        ({"jwks_uri": "file:///etc/passwd"}, "endpoint"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "endpoint"),
        ({"authorization_endpoint": "https://id.test/a\r\nSet-Cookie: x=1"}, "endpoint"),
        ({"authorization_endpoint": "https://u:p@id.test/"}, "endpoint"),
        ({"userinfo_endpoint": "gopher://id.test"}, "endpoint"),
    ],
)
async def test_a_description_that_is_wrong(site: Site, changes: dict[str, Any], fault: str) -> None:
    whole = site.fake.metadata | changes
    site.fake.metadata = {name: value for name, value in whole.items() if value is not ...}
    with pytest.raises(OidcError) as caught:
        await site.providers.probe(ISSUER)
    assert caught.value.fault == fault


async def test_a_test_says_how_many_keys_there_are(site: Site) -> None:
    assert await site.providers.probe(ISSUER) == 3
    site.fake.keys = []
    with pytest.raises(OidcError, match="keys"):
        await site.providers.probe(ISSUER)


async def test_a_code_that_was_used_is_said_to_be_so(site: Site) -> None:
    async def refuse(url: str, **_: Any) -> dict[str, Any]:
        if url.endswith("/token"):
            raise FetchError("status", "invalid_grant")
        return site.fake.metadata

    site.fake.json = refuse  # type: ignore[method-assign]
    with pytest.raises(OidcError, match="code invalid_grant"):
        await site.providers.identify(CLIENT, FLIGHT, "used", None)
