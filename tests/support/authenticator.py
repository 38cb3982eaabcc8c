"""A passkey authenticator in software: it makes keys and signs challenges as a phone would, and lies where a test wants it to."""

from __future__ import annotations

import hashlib
import json
import secrets
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.portal import csrf, post

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def text_of(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def bytes_of(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """One device with one passkey. `verifies`: it asks for the finger; `counts`: its sign count goes up."""

    origin: str = "http://portal.test"
    verifies: bool = True
    counts: bool = True
    count: int = 0
    user_handle: bytes = b""
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def create(self, options: dict[str, Any]) -> str:
        """What navigator.credentials.create would give, as JSON."""
        self.user_handle = bytes_of(options["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + struct.pack(">H", len(self.credential_id)) + self.credential_id + cbor2.dumps(public)
        data = self._data(options["rp"]["id"], ATTESTED) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        told = {"attestationObject": text_of(attestation), "transports": ["internal"]}
        return self._told("webauthn.create", options, told)

    def get(self, options: dict[str, Any]) -> str:
        """What navigator.credentials.get would give, as JSON."""
        if self.counts:
            self.count += 1
        data = self._data(options["rpId"], 0)
        client = self._client("webauthn.get", options)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        told = {
            "authenticatorData": text_of(data),
            "signature": text_of(signature),
            "userHandle": text_of(self.user_handle),
        }
        return self._told("webauthn.get", options, told)

    def _data(self, rp_id: str, flags: int) -> bytes:
        flags |= PRESENT | (VERIFIED if self.verifies else 0)
        return hashlib.sha256(rp_id.encode()).digest() + struct.pack(">BI", flags, self.count)

    def _client(self, kind: str, options: dict[str, Any]) -> bytes:
        told = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return json.dumps(told).encode()

    def _told(self, kind: str, options: dict[str, Any], response: dict[str, Any]) -> str:
        response |= {"clientDataJSON": text_of(self._client(kind, options))}
        named = text_of(self.credential_id)
        return json.dumps({"id": named, "rawId": named, "type": "public-key", "response": response})


async def options_of(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    """Ask the portal for the options of a passkey."""
    answer = await client.post(f"{path}/options", headers={"x-csrftoken": await csrf(client)})
    assert answer.status_code == 200, answer.text
    options: dict[str, Any] = answer.json()
    return options


async def add_passkey(client: httpx.AsyncClient, device: Authenticator, name: str = "Phone") -> httpx.Response:
    credential = device.create(await options_of(client, "/account/passkeys"))
    return await post(client, "/account/passkeys", credential=credential, name=name)


async def use_passkey(
    client: httpx.AsyncClient, device: Authenticator, path: str = "/login/passkey", **more: str
) -> httpx.Response:
    credential = device.get(await options_of(client, path))
    return await post(client, path, credential=credential, **more)
