"""Passwords: argon2id, one at a time in a thread of its own, so that neither the loop nor the memory suffers from a crowd."""

from __future__ import annotations

import asyncio
import functools
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

Result = TypeVar("Result")

WAITING_BOUND = 32  # at some 50 ms each: nobody waits longer than about 2 s
SHORTEST = 10
LONGEST = 1_000  # characters; longer ones are refused before they cost anything


class TooBusyError(Exception):
    """So many passwords wait to be checked that another one would wait too long. Nothing was checked."""


def is_acceptable(password: str) -> bool:
    """Whether somebody may choose this password: its length is the only rule that helps."""
    return SHORTEST <= len(password) <= LONGEST


class Passwords:
    """Hashes and checks passwords. `close` ends the thread."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="argon2")
        self._waiting = 0
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        return await self._in_thread(functools.partial(self._hasher.hash, _normal(password)))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is the one of the hash. Takes the same time for None: there is no such person."""
        return await self._in_thread(functools.partial(self._verify, password_hash, _normal(password)))

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password_hash: str | None, password: str) -> bool:
        if self._decoy is None:
            self._decoy = self._hasher.hash(secrets.token_hex())
        is_real = password_hash is not None and len(password) <= LONGEST
        try:
            self._hasher.verify(password_hash if is_real and password_hash else self._decoy, password[:LONGEST])
        except VerifyMismatchError:
            return False
        except (VerificationError, InvalidHashError):
            return False
        return is_real

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        if self._waiting >= WAITING_BOUND:
            raise TooBusyError
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting -= 1


def _normal(password: str) -> str:
    """The same password typed on two keyboards may be two sequences of code points; this makes them one."""
    return unicodedata.normalize("NFC", password)
