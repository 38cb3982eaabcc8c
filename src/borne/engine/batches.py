"""Batches: filled by a durable job, stepped in the same transaction as the restarts that move them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from borne.bus.port import Hint
from borne.core import batch as machine
from borne.core.access import may_restart_many
from borne.core.actor import Actor
from borne.core.batch import Answered, BatchFact, BatchState, Filled, Moved
from borne.core.facts import RestartKind, RestartReleased
from borne.core.scope import Scope
from borne.engine.apply import Engine
from borne.engine.audit import About
from borne.engine.outcome import OK, Outcome
from borne.engine.reactions import react
from borne.engine.restarts import NewRestart, Restarts, RestartSettings
from borne.engine.writes import VersionConflictError, Writes
from borne.store import batches as store
from borne.store import jobs as job_store
from borne.store import restarts as restart_store
from borne.store import rooms as room_store
from borne.store.db import Transaction

JOB_KIND = "fill_batch"
MOST_CHARGERS = 20_000
_state = msgspec.json.Decoder(BatchState)


class BatchJob(msgspec.Struct):
    """The payload of the job that makes the batch's restarts."""

    batch_id: int
    scope: Scope
    charger_ids: list[int]
    kind: RestartKind | None
    why: str


class Batches:
    """Restarting many."""

    def __init__(self, engine: Engine, restarts: Restarts, settings: RestartSettings) -> None:
        self._engine = engine
        self._restarts = restarts
        self._settings = settings

    async def request(
        self,
        scope: Scope,
        charger_ids: Sequence[int],
        *,
        why: str,
        kind: RestartKind | None,
        idempotency_key: str | None,
        address: str = "",
    ) -> int | None:
        """Begin a batch and return its id (the same one for the same key); None when the plan or the role does not allow it.

        Who cannot be restarted by then is left out, with the reason kept in the batch.
        """
        ids = list(dict.fromkeys(charger_ids))[:MOST_CHARGERS]
        async with self._engine.db.transaction(urgent=True) as tx:
            plan = await room_store.plan_of(tx, scope.organisation_id)
            if not ids or not may_restart_many(msgspec.structs.replace(scope, plan=plan)):
                return None
            if idempotency_key is not None:
                known = await store.by_key(tx, scope.organisation_id, idempotency_key)
                if known is not None:
                    return known
            now_ms = self._engine.clock.now_ms()
            batch_id = await store.create(
                tx,
                organisation_id=scope.organisation_id,
                person_id=scope.person_id,
                person_name=scope.person_name,
                why=why,
                kind=kind,
                idempotency_key=idempotency_key,
                total=len(ids),
                created_ms=now_ms,
            )
            state = BatchState(id=batch_id, total=len(ids), at_once=self._settings.at_once)
            await store.save(tx, batch_id, 0, _text(state), state.phase)
            job = BatchJob(batch_id, scope, ids, kind, why)
            payload = msgspec.json.encode(job).decode()
            await job_store.enqueue(tx, kind=JOB_KIND, payload=payload, run_at_ms=now_ms, idempotency_key=str(batch_id))
            by, about = Actor(scope.person_id, scope.person_name, address), About(kind="batch", id=batch_id)
            await self._restarts.audit.record(
                tx, by, "restarts.requested", about, organisation_id=scope.organisation_id, count=len(ids), why=why
            )
        self._engine.bus.publish(Hint("job", 0))
        return batch_id

    async def fill(self, payload: str) -> None:
        """The job: make each restart (once, whatever happens), then let the machine release the first. May run again."""
        job = msgspec.json.decode(payload, type=BatchJob)
        names = {}
        for start in range(0, len(job.charger_ids), 500):
            chunk = job.charger_ids[start : start + 500]
            names.update(await store.names_of(self._engine.db, job.scope.organisation_id, chunk))
        left_out: list[tuple[int, str, tuple[str, ...]]] = []
        for charger_id in job.charger_ids:
            new = NewRestart(
                kind=job.kind,
                why=job.why,
                batch_id=job.batch_id,
                idempotency_key=f"batch-{job.batch_id}-{charger_id}",
            )
            outcome = await self._restarts.request(job.scope, charger_id, new)
            if outcome.restart_id is None:
                left_out.append((charger_id, names.get(charger_id, ""), outcome.reasons or ("role",)))
            elif outcome.existing and await restart_store.batch_of(self._engine.db, outcome.restart_id) != job.batch_id:
                left_out.append((charger_id, names.get(charger_id, ""), ("restarting",)))
        await self._filled(job, left_out)
        row = await store.load(self._engine.db, job.batch_id)
        if row is not None and _state.decode(row.state).phase == "stopped":  # while it was being filled
            await self._withdraw_rest(Actor(job.scope.person_id, job.scope.person_name), job.batch_id)

    async def answer(self, scope: Scope, batch_id: int, *, go_on: bool, address: str = "") -> bool:
        """Continue a paused batch, or stop it: what still waits is withdrawn. False: not this organisation's."""
        async with self._engine.db.transaction(urgent=True) as tx:
            row = await store.load(tx, batch_id)
            if row is None or row.organisation_id != scope.organisation_id:
                return False
        by = Actor(scope.person_id, scope.person_name, address)
        await self._answered(batch_id, go_on, by, scope.organisation_id)
        if not go_on:
            await self._withdraw_rest(by, batch_id)
        return True

    async def stop(self, organisation_id: int, batch_id: int, by: Actor) -> None:
        """Stop a batch of the organisation because its plan ended."""
        await self._answered(batch_id, False, by, organisation_id)
        await self._withdraw_rest(by, batch_id)

    async def follow(self, tx: Transaction, writes: Writes) -> None:
        """Step the batches whose restarts moved in this group, in its transaction, and release the next."""
        while writes.tells:  # a release may itself move restarts (offline by now): a batch is finite
            held, tell = writes.tells.pop(0)
            assert held.batch_id is not None
            await writes.save_restarts(tx)
            fact = Moved(held.location_id, tell.slot_freed, tell.verdict, tell.left_queue)
            await self._step(tx, writes, held.batch_id, fact)

    # ---- the machine ---------------------------------------------------------------------------------------------

    async def _answered(self, batch_id: int, go_on: bool, by: Actor, organisation_id: int) -> None:
        """Step a batch because a person said something about it."""

        async def turn(tx: Transaction, writes: Writes) -> Outcome:
            await self._step(tx, writes, batch_id, Answered(go_on))
            action, about = "restarts.continued" if go_on else "restarts.stopped", About(kind="batch", id=batch_id)
            writes.record_last(self._restarts.audit, by, action, about, organisation_id=organisation_id)
            return OK

        await self._engine.in_turn(turn)

    async def _step(self, tx: Transaction, writes: Writes, batch_id: int, fact: BatchFact) -> None:
        row = await store.load(tx, batch_id)
        if row is None:
            return
        state, releases = machine.step(_state.decode(row.state), fact)
        if not await store.save(tx, batch_id, row.version, _text(state), state.phase):
            raise VersionConflictError("a batch was changed by somebody else")
        writes.hints.append(Hint("batch", batch_id, row.organisation_id))
        for location_id, count in releases.items():
            await self._release(tx, writes, batch_id, location_id, count)

    async def _release(self, tx: Transaction, writes: Writes, batch_id: int, location_id: int, count: int) -> None:
        rows = await restart_store.queued_in(tx, batch_id, location_id, count)
        rooms = await self._engine.enter(tx, {row.charger_id for row in rows})
        for row in rows:
            room = rooms.get(row.charger_id)
            if room is not None:
                react(room, RestartReleased(charger_id=row.charger_id, at_ms=writes.at_ms, restart_id=row.id), writes)
        await writes.save_restarts(tx)  # so that the next look at the queue does not see them

    async def _filled(self, job: BatchJob, left_out: list[tuple[int, str, tuple[str, ...]]]) -> None:
        async def turn(tx: Transaction, writes: Writes) -> Outcome:
            await store.set_left_out(tx, job.batch_id, msgspec.json.encode(left_out).decode())
            queued = await store.queued_by_location(tx, job.batch_id)
            await self._step(tx, writes, job.batch_id, Filled(queued))
            return OK

        await self._engine.in_turn(turn)

    async def _withdraw_rest(self, by: Actor, batch_id: int) -> None:
        while rows := await restart_store.queued(self._engine.db, batch_id, 200):
            for row in rows:
                await self._restarts.withdraw(row.charger_id, row.id, by, in_batch=True)


def _text(state: BatchState) -> str:
    return msgspec.json.encode(state).decode()
