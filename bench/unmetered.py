"""The same server, whose readings nobody measures, to see what measuring costs: `python -m bench.unmetered serve …`."""

from borne.cli import main
from borne.engine.metering import Meter


def start(self: Meter) -> None:
    """Begin nothing."""


def take(self: Meter, rows: list[tuple[object, ...]]) -> None:
    """Forget what was stored."""


if __name__ == "__main__":
    Meter.start = start
    Meter.take = take
    main()
