"""`borne simulate`: chargers on the command line."""

import asyncio
import contextlib
import logging
import random
import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from borne.sim.behaviours import BEHAVIOURS
from borne.sim.journal import LogEntry
from borne.sim.members import DEFAULT_URL, FleetMember, load_fleet

NAME_WIDTH = 26
IDENTITY_WIDTH = 18


@click.command(name="simulate", short_help="Run simulated chargers.")
@click.option("--url", default=DEFAULT_URL, show_default=True, help="OCPP endpoint, without the identity.")
@click.option("--identity", help="Identity of the charger.")
@click.option("--password", default="", help="Its password; none where the URL carries a secret.")
@click.option("--protocol", type=click.Choice(["1.6", "2.0.1"]), default="1.6", show_default=True)
@click.option("--behaviour", default="by-the-book", show_default=True, help="A name shown by --list.")
@click.option("--scale", type=click.FloatRange(min=0), default=1.0, help="Multiplies the behaviour's durations.")
@click.option("--vendor", default="Borne", show_default=True)
@click.option("--model", default="Simulated", show_default=True)
@click.option("--serial", default="", help="By default the identity.")
@click.option("--firmware", default="1.0.0", show_default=True)
@click.option("--connectors", type=click.IntRange(1, 16), default=1, show_default=True)
@click.option("--charging", is_flag=True, help="Somebody charges at connector 1, again and again.")
@click.option("--fleet", type=click.Path(path_type=Path), help="TOML or JSON file with many chargers (members).")
@click.option("--seed", type=int, help="Of all chance; by default each run is different.")
@click.option("--frames", is_flag=True, help="Show the OCPP frames too.")
@click.option("--list", "show_list", is_flag=True, help="Show the behaviours and end.")
def simulate(
    url: str,
    identity: str | None,
    fleet: Path | None,
    seed: int | None,
    frames: bool,
    show_list: bool,
    charging: bool,
    **described: object,
) -> None:
    """Run one simulated charger (--identity), or many (--fleet), until Ctrl-C.

    They speak OCPP 1.6J or 2.0.1 over real sockets, and take a restart well or badly as --behaviour says.
    """
    if show_list:
        click.echo(behaviour_table())
        return
    members = _members(url, identity, fleet, charging, described)
    if frames:
        _show_frames()
    seed = random.SystemRandom().getrandbits(32) if seed is None else seed
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(members, seed))
    click.echo("stopped")


def behaviour_table() -> str:
    """One line for each behaviour."""
    return "\n".join(f"{name:{NAME_WIDTH}} {behaviour.summary}" for name, behaviour in BEHAVIOURS.items())


def _members(
    url: str, identity: str | None, fleet: Path | None, charging: bool, described: dict[str, object]
) -> list[FleetMember]:
    import msgspec

    from borne.sim.behaviour import Habits

    if (identity is None) == (fleet is None):
        raise click.UsageError("give --identity, or --fleet FILE, or --list")
    if fleet is not None:
        try:
            return load_fleet(fleet)
        except ValueError as error:
            raise click.ClickException(str(error)) from error
    if described["behaviour"] not in BEHAVIOURS:
        raise click.BadParameter("no such behaviour; --list shows them", param_hint="--behaviour")
    habits = Habits() if charging else None
    return [msgspec.convert({**described, "url": url, "identity": identity, "habits": habits}, FleetMember)]


async def _run(members: Sequence[FleetMember], seed: int) -> None:
    from borne.sim.fleet import Fleet
    from borne.sim.websocket_dial import dial_websocket

    fleet = Fleet(members, dial=dial_websocket, now=lambda: datetime.now(UTC), seed=seed, tell=_tell)
    life = asyncio.create_task(fleet.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, life.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await life


def _tell(identity: str, entry: LogEntry) -> None:
    click.echo(f"{datetime.now():%H:%M:%S} {identity:{IDENTITY_WIDTH}} {entry}")  # noqa: DTZ005 - for whoever looks on


def _show_frames() -> None:
    logger = logging.getLogger("borne.sim.frames")
    logger.addHandler(logging.StreamHandler())
    logger.setLevel(logging.INFO)
