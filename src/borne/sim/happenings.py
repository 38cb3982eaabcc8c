"""What may happen in a simulated world: one function for each kind of step, `do_` and its name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import TYPE_CHECKING, Any

from borne.core.actor import Actor
from borne.core.scope import Scope
from borne.engine import onboarding
from borne.engine.outcome import Outcome
from borne.engine.restarts import NewRestart
from borne.sim.dialling import Connection, ConnectionLost
from borne.sim.founding import PEOPLE
from borne.sim.ocpp_package import call16, call201
from borne.sim.records import Charger, Click
from borne.sim.scenario import Step
from borne.sim.talk import Talk
from borne.store.chargers import Description

if TYPE_CHECKING:
    from borne.sim.world import World

RETRY_CLICK_S = 3.0


def happen(world: World, step: Step) -> None:
    """Let a step happen now."""
    globals()[f"do_{step.do}"](world, world.chargers[step.charger], step)


def scope_of(world: World, person: int) -> Scope:
    """What this person's login may do."""
    return Scope(
        person_id=world.people[person],
        person_name=PEOPLE[person],
        organisation_id=world.organisation_id,
        role="super-admin" if person == 0 else "admin",
        plan="business",
        location_ids=None if person == 0 else (world.locations[0],),
    )


def actor_of(world: World, person: int) -> Actor:
    """Who acts, as the audit log names them."""
    return Actor(world.people[person], PEOPLE[person])


def _for_a_while(world: World, step: Step, begin: Callable[[], None], finish: Callable[[], None]) -> None:
    begin()
    world.loop.call_later(step.details.get("for_s", 10.0), finish, context=Context())


def do_click(world: World, charger: Charger, step: Step) -> None:
    world.spawn(_click(world, charger, step.details))


async def _click(world: World, charger: Charger, details: Mapping[str, Any]) -> None:
    for _ in range(40):
        click = Click(world.now_s, charger.id, details.get("key"))
        if world.is_up:
            world.clicks.append(click)
            _ask(world, charger, click, details)
        await asyncio.sleep(RETRY_CLICK_S)
        if click.outcome is not None or click.failed or not (details.get("retry") and click.key):
            return


def _ask(world: World, charger: Charger, click: Click, details: Mapping[str, Any]) -> None:
    server = world.server
    assert server is not None
    when = details.get("when", "now")
    new = NewRestart(
        kind=details.get("kind"),
        evse=details.get("evse"),
        when=when if when in ("now", "free") else server.clock.now_ms() + int(when * 1000),
        idempotency_key=click.key,
    )
    task = server.run(server.restarts.request(scope_of(world, details.get("person", 0)), charger.id, new))

    def answered(task: asyncio.Task[Outcome]) -> None:
        if task.cancelled() or (error := task.exception()) is not None:
            click.failed = "cancelled" if task.cancelled() else repr(error)
            return
        click.outcome = task.result()
        world.say("click", f"on {charger.identity}: {told(click.outcome)}")

    task.add_done_callback(answered)


def do_withdraw(world: World, charger: Charger, step: Step) -> None:
    rows = world.rows("SELECT id FROM restarts WHERE charger_id = ? AND verdict IS NULL", charger.id)
    if rows and world.is_up:
        assert world.server is not None
        world.server.run(
            world.server.restarts.withdraw(charger.id, rows[0][0], actor_of(world, step.details.get("person", 0)))
        )


def do_batch(world: World, charger: Charger, step: Step) -> None:
    if world.is_up:
        assert world.server is not None
        scope, ids = scope_of(world, step.details.get("person", 0)), [other.id for other in world.chargers]
        work = world.server.batches.request(scope, ids, why="", kind=None, idempotency_key=None)
        world.server.run(work)


def do_demote(world: World, charger: Charger, step: Step) -> None:
    change = "UPDATE memberships SET role = ? WHERE person_id = ?"
    _for_a_while(
        world,
        step,
        lambda: world.write(change, "user", world.people[1]),
        lambda: world.write(change, "admin", world.people[1]),
    )


def do_plan(world: World, charger: Charger, step: Step) -> None:
    change = "UPDATE organisations SET plan = ?"
    _for_a_while(world, step, lambda: world.write(change, "basic"), lambda: world.write(change, "business"))


def do_disable(world: World, charger: Charger, step: Step) -> None:
    charger.shaken.append(world.now_s)
    _for_a_while(world, step, lambda: _set_disabled(world, charger, True), lambda: _set_disabled(world, charger, False))


def _set_disabled(world: World, charger: Charger, disabled: bool) -> None:
    server = world.server
    if server is None or not server.listening:
        change = "UPDATE chargers SET disabled = ?, changed_ms = ? WHERE id = ?"
        world.write(change, int(disabled), world.wall_ns() // 1_000_000, charger.id)
        return
    work = onboarding.set_disabled(
        server.db, server.bus, organisation_id=world.organisation_id, charger_id=charger.id, disabled=disabled,
        now_ms=server.clock.now_ms(), audit=server.audit, by=actor_of(world, 0),
    )  # fmt: skip
    server.run(work)


def do_move(world: World, charger: Charger, step: Step) -> None:
    server = world.server
    if server is not None and server.listening:
        there = Description(name=charger.identity, location_id=world.locations[1], model=charger.plan.model)
        work = onboarding.describe(
            server.engine, audit=server.audit, by=actor_of(world, 0), organisation_id=world.organisation_id,
            charger_id=charger.id, what=there,
        )  # fmt: skip
        server.run(work)


def do_trigger(world: World, charger: Charger, step: Step) -> None:
    server = world.server
    if server is not None and server.links is not None and (link := server.links.of(charger.id)) is not None:
        world.loop.call_soon(link.commands.trigger_boot, context=server.process.context)


def do_firmware(world: World, charger: Charger, step: Step) -> None:
    _for_a_while(
        world, step, lambda: _firmware(world, charger, "Installing"), lambda: _firmware(world, charger, "Installed")
    )


def _firmware(world: World, charger: Charger, status: str) -> None:
    talk = charger.bot.talk_if_ready()
    if talk is not None:
        words = call16 if charger.plan.protocol == "1.6" else call201
        charger.bot.spawn(_tell_firmware(talk, words, status))


def do_reboot(world: World, charger: Charger, step: Step) -> None:
    charger.shaken.append(world.now_s)
    charger.bot.reboot("own")


def do_power_cut(world: World, charger: Charger, step: Step) -> None:
    charger.shaken.append(world.now_s)
    if charger.wire is not None:
        charger.wire.cut(charger_learns_s=None, server_learns_s=None)
    charger.bot.reboot("own")


def do_lose_network(world: World, charger: Charger, step: Step) -> None:
    charger.shaken.append(world.now_s)
    charger.bot.lose_network("abort", step.details.get("away_s"))


def do_cut(world: World, charger: Charger, step: Step) -> None:
    world.cut(charger, step)


def do_cut_at_reset(world: World, charger: Charger, step: Step) -> None:
    charger.cut_at_reset = step


def do_lag(world: World, charger: Charger, step: Step) -> None:
    charger.shaken.append(world.now_s)
    wire, usual_s = charger.wire, charger.plan.latency_s
    if wire is not None:
        _for_a_while(world, step, lambda: wire.lag(step.details["latency_s"]), lambda: wire.lag(usual_s))


def do_outage(world: World, charger: Charger, step: Step) -> None:
    charger.shaken.append(world.now_s)
    charger.outage_until_s = world.now_s + step.details["for_s"]


def do_repeat_call(world: World, charger: Charger, step: Step) -> None:
    wire = charger.wire
    calls = [said.text for said in charger.said[-40:] if said.direction == "sent" and said.text.startswith("[2,")]
    if wire is None or not calls or charger.bot.talk_if_ready() is None:
        return
    frame = json.loads(calls[-1])
    if frame[2] == "BootNotification":  # that would be another boot, which the charger's log does not know
        return
    if step.details.get("fresh"):
        frame[1] = f"again-{world.rng.getrandbits(32):x}"
    world.spawn(_send(wire.charger, json.dumps(frame, separators=(",", ":"))))


def do_kill(world: World, charger: Charger, step: Step) -> None:
    if step.details.get("where", "now") != "now":
        world.armed.append((step, [step.details.get("nth", 1)]))
    elif world.server is not None and world.server.alive:
        world.die(step)


def do_stop(world: World, charger: Charger, step: Step) -> None:
    if world.is_up:
        world.spawn(_stop(world, step.details["down_s"]))


async def _stop(world: World, down_s: float) -> None:
    server = world.server
    assert server is not None
    task = server.run(server.stop())
    while not task.done() and server.alive:
        await asyncio.sleep(0.05)
    if server.alive:  # else it was killed while it stopped
        server.kill()
        world.go_down(down_s)


def do_clock_step(world: World, charger: Charger, step: Step) -> None:
    world.stepped_ms += int(step.details["by_s"] * 1000)
    world.clock_steps.append(world.now_s)


async def _send(connection: Connection, text: str) -> None:
    try:
        await connection.send(text)
    except ConnectionLost:
        return


async def _tell_firmware(talk: Talk, words: Any, status: str) -> None:
    await talk.ask(words.FirmwareStatusNotification(status=status))


def told(outcome: Outcome) -> str:
    """An outcome in few words."""
    if outcome.restart_id is not None:
        return f"restart {outcome.restart_id}{' (followed already)' if outcome.existing else ''}"
    return "ignored" if outcome.ignored else f"refused: {', '.join(outcome.reasons)}"
