"""Lines made by the server: power as an area and energy as a line over time, with the same figures as rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from borne.core.metering import Curve
from borne.portal.chart import HEIGHT, WIDTH

POINTS_MOST = 240
ROWS_MOST = 48
LABELS = 5
Points = Sequence[tuple[int, int]]


class Moment(msgspec.Struct, frozen=True):
    """A row of the table; None where nothing is known."""

    at: str
    power_w: int | None
    energy_wh: int | None


class LineChart(msgspec.Struct, frozen=True):
    """`area` and `line`: points of SVG polygons and polylines, "" where there is nothing to draw."""

    area: str
    line: str
    top_w: int
    top_wh: int
    labels: tuple[str, ...]
    moments: tuple[Moment, ...]


def draw(curve: Curve, label: Callable[[int], str]) -> LineChart | None:
    """The drawing of a session; None for one without a length or without values. `label` names an instant."""
    if curve.end_ms <= curve.start_ms or not (curve.powers or curve.energies):
        return None
    top_w = max((value for _, value in curve.powers), default=0)
    top_wh = max((value for _, value in curve.energies), default=0)
    length_ms = curve.end_ms - curve.start_ms
    area = _points(_fewer(curve.powers), curve, top_w)
    if area:
        first, last = area[0].partition(",")[0], area[-1].partition(",")[0]
        area = [f"{first},{HEIGHT}", *area, f"{last},{HEIGHT}"]
    return LineChart(
        area=" ".join(area),
        line=" ".join(_points(_fewer(curve.energies), curve, top_wh)),
        top_w=top_w,
        top_wh=top_wh,
        labels=tuple(label(curve.start_ms + length_ms * n // (LABELS - 1)) for n in range(LABELS)),
        moments=_moments(curve, label),
    )


def _points(points: Points, curve: Curve, top: int) -> list[str]:
    length_ms = curve.end_ms - curve.start_ms
    return [
        f"{(at_ms - curve.start_ms) * WIDTH / length_ms:.1f},{HEIGHT - value * HEIGHT / (top or 1):.1f}"
        for at_ms, value in points
    ]


def _fewer(points: Points) -> Points:
    """As many as can be told apart; the highest of each stretch stays, and both ends."""
    if len(points) <= POINTS_MOST:
        return points
    size = -(-len(points) // POINTS_MOST)
    inner = [max(points[n : n + size], key=lambda point: point[1]) for n in range(1, len(points) - 1, size)]
    return [points[0], *inner, points[-1]]


def _moments(curve: Curve, label: Callable[[int], str]) -> tuple[Moment, ...]:
    instants = sorted({at_ms for at_ms, _ in (*curve.powers, *curve.energies)})
    step = max(1, -(-len(instants) // ROWS_MOST))
    chosen = [*instants[:-1:step], instants[-1]]
    powers, energies = _held(curve.powers, chosen), _held(curve.energies, chosen)
    return tuple(map(Moment, map(label, chosen), powers, energies))


def _held(points: Points, instants: Sequence[int]) -> list[int | None]:
    """The last value at each of these instants, which are in order."""
    found: list[int | None] = []
    value: int | None = None
    rest = iter([*points, (instants[-1] + 1, 0)])
    following = next(rest)
    for at_ms in instants:
        while following[0] <= at_ms:
            value, following = following[1], next(rest)
        found.append(value)
    return found
