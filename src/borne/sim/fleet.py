"""Many simulated chargers at once."""

import asyncio
import random
from collections.abc import Callable, Iterable
from datetime import datetime

from borne.sim.behaviours import behaviour_named
from borne.sim.charger_bot import ChargerBot
from borne.sim.dialling import Dial
from borne.sim.journal import LogEntry
from borne.sim.members import FleetMember
from borne.sim.talk import Device

Tell = Callable[[str, LogEntry], None]
"""Hears each log entry with the charger's identity."""


def bot_of(
    member: FleetMember, *, dial: Dial, now: Callable[[], datetime], rng: random.Random, tell: Tell | None = None
) -> ChargerBot:
    """Make the charger that a fleet member describes. Raises ValueError for an unknown behaviour."""
    return ChargerBot(
        identity=member.identity,
        password=member.password,
        url=member.url,
        protocol=member.protocol,
        behaviour=behaviour_named(member.behaviour, member.scale, member.tweaks),
        device=Device(
            vendor=member.vendor,
            model=member.model,
            serial=member.serial or member.identity[:25],
            firmware=member.firmware,
            connectors=member.connectors,
        ),
        habits=member.habits,
        idle_status=member.idle_status,
        dial=dial,
        now=now,
        rng=rng,
        tell=None if tell is None else lambda entry: tell(member.identity, entry),
    )


class Fleet:
    """All the chargers of some members; each has its own chance, drawn from `seed` and its identity."""

    def __init__(
        self,
        members: Iterable[FleetMember],
        *,
        dial: Dial,
        now: Callable[[], datetime],
        seed: int = 0,
        stagger_s: float = 0.1,
        tell: Tell | None = None,
    ) -> None:
        self.bots = {
            member.identity: bot_of(
                member, dial=dial, now=now, rng=random.Random(f"{seed}:{member.identity}"), tell=tell
            )
            for member in members
        }
        self._stagger_s = stagger_s

    async def run(self) -> None:
        """Start the chargers one after the other and let them live. Ends when cancelled, all of them with a goodbye."""
        lives: list[asyncio.Task[None]] = []
        try:
            for bot in self.bots.values():
                lives.append(bot.start())
                await asyncio.sleep(self._stagger_s)
            await asyncio.gather(*lives)
        finally:
            await asyncio.gather(*(bot.stop() for bot in self.bots.values()), return_exceptions=True)
