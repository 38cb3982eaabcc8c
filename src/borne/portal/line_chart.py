"""A session over time: power as an area, energy as a line, the limit as steps. As SVG and rows of a table made by the server, and
as the figures that `js/chart.js` draws in their place."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

import msgspec

from borne.core.metering import Curve
from borne.core.session_limits import Limit
from borne.portal.chart import HEIGHT, WIDTH

POINTS_MOST = 240
PLOTTED_MOST = 500  # of each line
ROWS_MOST = 48
LABELS = 5
Points = Sequence[tuple[int, int]]


class Moment(msgspec.Struct, frozen=True):
    """A row of the table; None where nothing is known."""

    at: str
    power_w: int | None
    energy_wh: int | None
    limit_w: int | None = None


class LineChart(msgspec.Struct, frozen=True):
    """`area`, `line` and `limit`: points of SVG polygons and polylines, "" where there is nothing to draw."""

    area: str
    line: str
    limit: str
    top_w: int
    top_wh: int
    labels: tuple[str, ...]
    moments: tuple[Moment, ...]


class Plot(msgspec.Struct, frozen=True):
    """Lines over the same instants (seconds, which only grow), in W and Wh; None where a line has no value."""

    times: list[float]
    powers: list[int | None]
    energies: list[int | None]
    limits: list[int | None]


def draw(curve: Curve, label: Callable[[int], str], limit: Limit | None = None) -> LineChart | None:
    """The drawing of a session; None for one without a length or without values. `label` names an instant."""
    if curve.end_ms <= curve.start_ms or not (curve.powers or curve.energies):
        return None
    steps = _steps(curve, limit)
    top_w = max((value for _, value in (*curve.powers, *steps)), default=0)
    top_wh = max((value for _, value in curve.energies), default=0)
    length_ms = curve.end_ms - curve.start_ms
    area = _points(_fewer(curve.powers), curve, top_w)
    if area:
        first, last = area[0].partition(",")[0], area[-1].partition(",")[0]
        area = [f"{first},{HEIGHT}", *area, f"{last},{HEIGHT}"]
    return LineChart(
        area=" ".join(area),
        line=" ".join(_points(_fewer(curve.energies), curve, top_wh)),
        limit=" ".join(_points(steps, curve, top_w)),
        top_w=top_w,
        top_wh=top_wh,
        labels=tuple(label(curve.start_ms + length_ms * n // (LABELS - 1)) for n in range(LABELS)),
        moments=_moments(curve, label, steps),
    )


def _steps(curve: Curve, limit: Limit | None) -> Points:
    """A limit within the session: both ends of each step."""
    found: list[tuple[int, int]] = []
    for told_ms, power_w in () if limit is None else limit.steps:
        at_ms = min(max(told_ms, curve.start_ms), curve.end_ms)
        if found:
            found.append((at_ms, found[-1][1]))
        found.append((at_ms, power_w))
    return [*found, (curve.end_ms, found[-1][1])] if found else []


def plot(curve: Curve, limit: Limit | None = None) -> Plot:
    """The same for `js/chart.js`."""
    lines = [_growing(_fewer(points, PLOTTED_MOST)) for points in (curve.powers, curve.energies, _steps(curve, limit))]
    times = sorted({at_ms for line in lines for at_ms, _ in line})
    powers, energies, limits = (_between(line, times) for line in lines)
    return Plot([at_ms / 1_000 for at_ms in times], powers, energies, limits)


def _growing(points: Points) -> Points:
    """Where two values have one instant, the second comes a millisecond later."""
    found: list[tuple[int, int]] = []
    for at_ms, value in points:
        found.append((max(at_ms, found[-1][0] + 1) if found else at_ms, value))
    return found


def _between(points: Points, instants: Sequence[int]) -> list[int | None]:
    """The values at these instants as lines between the points have them."""
    known = [at_ms for at_ms, _ in points]
    found: list[int | None] = []
    for at_ms in instants:
        after = bisect_right(known, at_ms)
        if not after or at_ms > known[-1]:
            found.append(None)
            continue
        from_ms, value = points[after - 1]
        until_ms, other = points[min(after, len(points) - 1)]
        share = (at_ms - from_ms) / (until_ms - from_ms) if until_ms > from_ms else 0
        found.append(round(value + (other - value) * share))
    return found


def _points(points: Points, curve: Curve, top: int) -> list[str]:
    length_ms = curve.end_ms - curve.start_ms
    return [
        f"{(at_ms - curve.start_ms) * WIDTH / length_ms:.1f},{HEIGHT - value * HEIGHT / (top or 1):.1f}"
        for at_ms, value in points
    ]


def _fewer(points: Points, most: int = POINTS_MOST) -> Points:
    """As many as can be told apart; the highest of each stretch stays, and both ends."""
    if len(points) <= most:
        return points
    size = -(-len(points) // most)
    inner = [max(points[n : n + size], key=lambda point: point[1]) for n in range(1, len(points) - 1, size)]
    return [points[0], *inner, points[-1]]


def _moments(curve: Curve, label: Callable[[int], str], steps: Points) -> tuple[Moment, ...]:
    instants = sorted({at_ms for at_ms, _ in (*curve.powers, *curve.energies)})
    step = max(1, -(-len(instants) // ROWS_MOST))
    chosen = [*instants[:-1:step], instants[-1]]
    powers, energies, limits = (_held(points, chosen) for points in (curve.powers, curve.energies, steps))
    return tuple(map(Moment, map(label, chosen), powers, energies, limits))


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
