"""OpenID Connect, from Borne's side: what a provider says of itself, the way there, and whom its ID token names.

Authorization code flow with PKCE (RFC 7636), state and nonce. Sources: OpenID Connect Core 1.0 section 3.1, Discovery 1.0,
RFC 9207 (`iss` in the answer), RFC 8725 (algorithms are chosen here, never by the token).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Literal, TypeGuard
from urllib.parse import quote, urlencode

import msgspec

from borne.engine.clock import NowMs
from borne.engine.outgoing import FetchError, Outgoing

if TYPE_CHECKING:
    from joserfc.jwk import Key

log = logging.getLogger(__name__)

WELL_KNOWN = "/.well-known/openid-configuration"
SCOPES = "openid email profile"
METADATA_MS = 3_600_000  # how long what a provider says of itself is believed
AGAIN_MS = 30_000  # its keys are not fetched again sooner, whatever tokens name
PROVIDERS_KEPT = 200
LEEWAY_S = 60
OLDEST_S = 3_600  # a token is used within minutes of its making
KEYS_MOST = 30
TOKEN_BOUND = 32_000
SUBJECT_BOUND = 255
RSA_LEAST_BITS = 2_048
# Signatures with a key that only the provider has: "none" is none, nor is HS256 (a secret, or a public key taken for one).
ALGORITHMS: dict[str, str] = {
    "RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
    "ES256": "EC", "ES384": "EC", "ES512": "EC", "EdDSA": "OKP", "Ed25519": "OKP",
}  # fmt: skip

Fault = Literal[
    "metadata", "issuer", "endpoint", "keys", "code", "no_token", "token", "algorithm", "signature", "other_issuer", "audience",
    "expired", "not_yet", "nonce", "subject",
]  # fmt: skip


class OidcError(Exception):
    """A provider, or its answer, is not as it has to be. `detail`: a word for whoever sets it up."""

    def __init__(self, fault: Fault, detail: str = "") -> None:
        super().__init__(f"{fault} {detail}".strip())
        self.fault = fault
        self.detail = detail


class Metadata(msgspec.Struct, frozen=True):
    """What a provider says of itself (Discovery 1.0, section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class Client(msgspec.Struct, frozen=True):
    """What Borne is to a provider. Without a secret it is a public client (PKCE alone)."""

    issuer: str
    client_id: str
    secret: str | None
    redirect_uri: str


class Flight(msgspec.Struct, frozen=True):
    """The secrets of one visit to a provider, all made of one that the browser keeps: none of them lies in the database."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def of(cls, secret: str, state: str) -> Flight:
        def made(what: str) -> str:
            return _text(hmac.digest(secret.encode(), f"{what} {state}".encode(), hashlib.sha256))

        return cls(state, made("nonce"), made("verifier"))


class Claims(msgspec.Struct, frozen=True):
    """Whom a provider names. `email`: casefolded, and verified by the provider; None when it does not say so."""

    subject: str
    email: str | None
    name: str
    unverified_email: bool = False  # it named one, and did not say that it is verified


class _Known:
    """A provider's own description and its keys, as last fetched."""

    __slots__ = ("fetched_ms", "keys", "keys_ms", "metadata", "turn")

    def __init__(self, metadata: Metadata, fetched_ms: int) -> None:
        self.metadata = metadata
        self.fetched_ms = fetched_ms
        self.keys: list[dict[str, Any]] = []
        self.keys_ms: int | None = None
        self.turn = asyncio.Lock()  # two who need the keys at once wait for the same ones


class Providers:
    """Talks to identity providers, and remembers for an hour what they say of themselves."""

    def __init__(self, outgoing: Outgoing, clock: NowMs) -> None:
        self.outgoing = outgoing
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def metadata(self, issuer: str, *, fresh: bool = False) -> Metadata:
        """What the provider says of itself. Raises FetchError, OidcError."""
        return (await self._find(issuer, fresh=fresh)).metadata

    async def probe(self, issuer: str) -> int:
        """Look at a provider anew, as far as one can without logging in; how many keys it has that can be used."""
        known = await self._find(issuer, fresh=True)
        await self._fetch_keys(known)
        usable = [one for one in known.keys if _usable(one, None)]
        if not usable:
            raise OidcError("keys")
        return len(usable)

    async def way_there(self, client: Client, flight: Flight) -> str:
        """The address at the provider to send the browser to."""
        metadata = await self.metadata(client.issuer)
        asked = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": client.redirect_uri,
            "scope": SCOPES,
            "state": flight.state,
            "nonce": flight.nonce,
            "code_challenge": _text(hashlib.sha256(flight.verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in metadata.authorization_endpoint else "?"
        return metadata.authorization_endpoint + joint + urlencode(asked, quote_via=quote)

    async def identify(self, client: Client, flight: Flight, code: str, iss: str | None) -> Claims:
        """Exchange the code that the browser brought back; whom the token names. `iss`: the answer's, if it had one.

        Raises FetchError, OidcError.
        """
        known = await self._find(client.issuer)
        if iss != client.issuer and (iss is not None or known.metadata.authorization_response_iss_parameter_supported):
            raise OidcError("other_issuer")
        answer = await self._exchange(known.metadata, client, flight, code)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise OidcError("no_token")
        claims = await self._verified(known, client, flight, token)
        if "email" not in claims:
            claims = await self._with_userinfo(known.metadata, claims, answer.get("access_token"))
        return _claims(claims)

    # ---- what it says of itself

    async def _find(self, issuer: str, *, fresh: bool = False) -> _Known:
        now_ms, known = self._clock.now_ms(), self._known.get(issuer)
        if known is not None and not fresh and 0 <= now_ms - known.fetched_ms < METADATA_MS:
            return known
        found = _Known(await self._fetch_metadata(issuer), now_ms)
        self._known[issuer] = found
        self._known.move_to_end(issuer)
        while len(self._known) > PROVIDERS_KEPT:
            self._known.popitem(last=False)
        return found

    async def _fetch_metadata(self, issuer: str) -> Metadata:
        told = await self.outgoing.json(issuer.rstrip("/") + WELL_KNOWN)
        try:
            metadata = msgspec.convert(told, Metadata)
        except msgspec.ValidationError as error:
            raise OidcError("metadata", str(error).partition(" - at ")[2].strip("`$.")[:60]) from None
        if metadata.issuer != issuer:
            raise OidcError("issuer", metadata.issuer[:200])
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"):
            address = getattr(metadata, name)
            try:
                if address is not None:
                    self.outgoing.check(address)
            except FetchError:
                raise OidcError("endpoint", name) from None
        return metadata

    async def _fetch_keys(self, known: _Known) -> None:
        known.keys_ms = self._clock.now_ms()
        told = (await self.outgoing.json(known.metadata.jwks_uri)).get("keys")
        if not isinstance(told, list):
            raise OidcError("keys")
        known.keys = [one for one in told if isinstance(one, dict)][:KEYS_MOST]

    async def _keys_for(self, known: _Known, header: dict[str, Any]) -> list[dict[str, Any]]:
        """The keys that may have signed a token with this header. An unknown name: the keys were changed, fetch them."""
        async with known.turn:
            now_ms = self._clock.now_ms()
            found = [one for one in known.keys if _usable(one, header)]
            is_stale = known.keys_ms is None or now_ms - known.keys_ms >= METADATA_MS
            if is_stale or (not found and now_ms - (known.keys_ms or 0) >= AGAIN_MS):
                await self._fetch_keys(known)
                found = [one for one in known.keys if _usable(one, header)]
            return found

    # ---- the code and the token

    async def _exchange(self, metadata: Metadata, client: Client, flight: Flight, code: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": client.redirect_uri,
            "code_verifier": flight.verifier,
        }
        headers: dict[str, str] = {}
        methods = metadata.token_endpoint_auth_methods_supported
        if client.secret is None:
            form["client_id"] = client.client_id
        elif "client_secret_basic" not in methods and "client_secret_post" in methods:
            form |= {"client_id": client.client_id, "client_secret": client.secret}
        else:
            pair = f"{quote(client.client_id, safe='')}:{quote(client.secret, safe='')}"
            headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        try:
            return await self.outgoing.json(metadata.token_endpoint, form=form, headers=headers)
        except FetchError as error:
            if error.why == "status":
                raise OidcError("code", error.detail) from None
            raise

    async def _verified(self, known: _Known, client: Client, flight: Flight, token: str) -> dict[str, Any]:
        header = header_of(token)
        keys = await self._keys_for(known, header)
        claims = signed(token, header, keys)
        check_claims(
            claims,
            issuer=known.metadata.issuer,
            client_id=client.client_id,
            nonce=flight.nonce,
            now_s=self._clock.now_ms() // 1_000,
        )
        return claims

    async def _with_userinfo(self, metadata: Metadata, claims: dict[str, Any], access_token: object) -> dict[str, Any]:
        """A token that names nobody's address: the provider is asked for it, and must speak of the same subject."""
        if metadata.userinfo_endpoint is None or not isinstance(access_token, str) or not _is_visible(access_token):
            return claims
        told = await self.outgoing.json(metadata.userinfo_endpoint, headers={"authorization": f"Bearer {access_token}"})
        if told.get("sub") != claims["sub"]:
            raise OidcError("subject")
        kept = {name: told[name] for name in ("email", "email_verified", "name") if name in told}
        return kept | claims


def header_of(token: str) -> dict[str, Any]:
    """The header of a token, with an algorithm of ALGORITHMS. Raises OidcError."""
    first, _, _ = token.partition(".")
    try:
        header = msgspec.json.decode(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)), type=dict[str, Any])
    except (ValueError, RecursionError):
        raise OidcError("token") from None
    if len(token) > TOKEN_BOUND:
        raise OidcError("token")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise OidcError("algorithm", str(algorithm)[:20])
    return header


def signed(token: str, header: dict[str, Any], keys: list[dict[str, Any]]) -> dict[str, Any]:
    """The claims of a token that one of the keys signed. Raises OidcError."""
    from joserfc import jws
    from joserfc.errors import JoseError

    for told in keys:
        key = _key(told)
        if key is None:
            continue
        try:
            payload = jws.deserialize_compact(token, key, algorithms=[header["alg"]]).payload
            return msgspec.json.decode(payload, type=dict[str, Any])
        except (JoseError, ValueError, TypeError, RecursionError):
            continue
    raise OidcError("signature")


def _usable(told: dict[str, Any], header: dict[str, Any] | None) -> bool:
    """Whether a key of a provider may have signed a token with this header (None: any token)."""
    kind, use = told.get("kty"), told.get("use", "sig")
    if use != "sig" or kind not in ALGORITHMS.values():
        return False
    if header is None:
        return True
    if ALGORITHMS[header["alg"]] != kind or told.get("alg", header["alg"]) != header["alg"]:
        return False
    return header.get("kid") is None or told.get("kid") == header["kid"]


def _key(told: dict[str, Any]) -> Key | None:
    """A public key; None for what is none, or too short."""
    from joserfc import jwk
    from joserfc.errors import JoseError

    public: dict[str, Any] = {name: told[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in told}
    try:
        if public.get("kty") == "RSA" and len(_bytes(public["n"])) * 8 < RSA_LEAST_BITS:
            return None
        return jwk.import_key(public)
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def check_claims(claims: dict[str, Any], *, issuer: str, client_id: str, nonce: str, now_s: int) -> None:
    """Who it is from, whom it is for, when, and that it answers this very visit (Core 1.0, section 3.1.3.7). Raises OidcError."""
    if claims.get("iss") != issuer:
        raise OidcError("other_issuer")
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    authorized = claims.get("azp", client_id if len(named) == 1 else None)
    if client_id not in named or authorized != client_id:
        raise OidcError("audience")
    expires_s, issued_s, from_s = claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)
    if not _is_number(expires_s) or now_s >= expires_s + LEEWAY_S:
        raise OidcError("expired")
    if not _is_number(issued_s) or issued_s < now_s - OLDEST_S:
        raise OidcError("expired")
    if issued_s > now_s + LEEWAY_S or not _is_number(from_s) or from_s > now_s + LEEWAY_S:
        raise OidcError("not_yet")
    answered = claims.get("nonce")
    if not isinstance(answered, str) or not hmac.compare_digest(answered.encode(), nonce.encode()):
        raise OidcError("nonce")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_BOUND or not subject.isprintable():
        raise OidcError("subject")


def _claims(claims: dict[str, Any]) -> Claims:
    email, name = claims.get("email"), claims.get("name")
    is_email = isinstance(email, str) and "@" in email and len(email) <= 254 and email.isprintable()
    is_verified = claims.get("email_verified") is True
    return Claims(
        subject=claims["sub"],
        email=str(email).strip().casefold() if is_email and is_verified else None,
        name=" ".join(name.split())[:100] if isinstance(name, str) and name.isprintable() else "",
        unverified_email=is_email and not is_verified,
    )


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_visible(text: str) -> bool:
    return text.isascii() and all("!" <= sign <= "~" for sign in text)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
