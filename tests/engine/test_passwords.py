"""Password hashes, made away from the loop."""

import asyncio
import threading
import time

import pytest
from argon2 import PasswordHasher

from borne.engine import passwords
from borne.engine.passwords import Passwords, TooBusyError, is_acceptable

pytestmark = pytest.mark.anyio
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


async def test_a_password_is_known_by_its_argon2id_hash() -> None:
    keeper = Passwords(QUICK)
    password_hash = await keeper.hash("correct horse")
    assert password_hash.startswith("$argon2id$")
    assert await keeper.verify(password_hash, "correct horse")
    assert not await keeper.verify(password_hash, "correct horsf")
    assert not await keeper.verify(None, "correct horse")
    assert not await keeper.verify("no hash at all", "correct horse")
    keeper.close()


async def test_two_keyboards_type_the_same_password() -> None:
    keeper = Passwords(QUICK)
    assert await keeper.verify(await keeper.hash("caf\u00e9 au lait"), "cafe\u0301 au lait")
    keeper.close()


async def test_the_loop_goes_on_and_one_hash_is_made_at_a_time() -> None:
    threads: set[str] = set()
    at_once = most = 0

    class Slow(PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            threads.add(threading.current_thread().name)
            time.sleep(0.05)
            at_once -= 1
            return "hash"

    keeper = Passwords(Slow())
    work = [asyncio.ensure_future(keeper.hash("x" * 10)) for _ in range(4)]
    began = time.perf_counter()
    await asyncio.sleep(0)
    assert time.perf_counter() - began < 0.04
    await asyncio.gather(*work)
    assert most == 1
    assert len(threads) == 1
    assert threading.current_thread().name not in threads
    keeper.close()


async def test_at_the_bound_the_next_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "WAITING_BOUND", 2)
    keeper = Passwords(QUICK)
    results = await asyncio.gather(*(keeper.hash("x" * 10) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [str, str, TooBusyError]
    assert await keeper.hash("x" * 10)  # there is room again
    keeper.close()


@pytest.mark.parametrize(("length", "acceptable"), [(9, False), (10, True), (1_000, True), (1_001, False)])
def test_the_length_is_the_rule(length: int, acceptable: bool) -> None:
    assert is_acceptable("x" * length) is acceptable


def test_weaker_parameters_are_noticed() -> None:
    keeper = Passwords()
    assert keeper.is_outdated(QUICK.hash("x"))
    keeper.close()
