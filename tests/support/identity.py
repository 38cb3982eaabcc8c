"""A real OpenID Connect provider on loopback, and what a person does there."""

from __future__ import annotations

import asyncio
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it is made of
    from oidc_provider_mock import User, run_server_in_thread


@contextmanager
def running_provider() -> Iterator[str]:
    """The provider inside the block; its issuer. It knows `zoe` (verified), `ali` (not verified), and whom a test puts there."""
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # it speaks plain HTTP, on loopback
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    users = [
        User(sub="zoe", claims={"email": "Zoe@A.test", "email_verified": True, "name": "Zoé Martin"}),
        User(sub="ali", claims={"email": "ali@a.test", "email_verified": False, "name": "Ali"}),
    ]
    with run_server_in_thread(user_claims=users) as server:
        yield f"http://localhost:{server.server_port}"


async def put_user(issuer: str, subject: str, **claims: object) -> None:
    """Let the provider know somebody."""
    async with httpx.AsyncClient() as client:
        answer = await client.put(f"{issuer}/users/{subject}", json=claims)
    assert answer.is_success, answer.text


async def log_in_there(address: str, subject: str) -> str:
    """Be this user at the provider and say yes; the address that the browser is sent back to."""
    async with httpx.AsyncClient() as client:
        await asyncio.sleep(0)
        answer = await client.post(address, data={"sub": subject}, follow_redirects=False)
    assert answer.status_code == 302, answer.text
    return str(answer.headers["location"])
