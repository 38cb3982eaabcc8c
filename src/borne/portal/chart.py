"""Charts made by the server: shapes for SVG, with the same figures as a table behind each, for print and for who does not see."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

WIDTH = 1_000  # of the drawing, stretched to its place
HEIGHT = 100
LABELS_MOST = 7


class Point(msgspec.Struct, frozen=True):
    """A bar to be: `text` is its value in words, `before` the value of the period before (None: there is none)."""

    label: str
    value: int
    text: str
    before: int | None = None
    before_text: str = ""


class Bar(msgspec.Struct, frozen=True):
    """A rectangle, and where the period before reached (a line across it)."""

    x: int
    y: int
    width: int
    height: int
    title: str
    before_y: int | None


class Chart(msgspec.Struct, frozen=True):
    """Bars, the label at the top of the axis, some labels below, and all points as rows."""

    bars: tuple[Bar, ...]
    top: str
    labels: tuple[str, ...]
    points: tuple[Point, ...]

    @property
    def is_empty(self) -> bool:
        return not any(point.value for point in self.points)


def bars(points: Sequence[Point], top_text: str) -> Chart:
    """Bars side by side; the highest value, now or before, fills the height."""
    highest = max((max(point.value, point.before or 0) for point in points), default=0) or 1
    step = WIDTH / max(len(points), 1)
    made = []
    for number, point in enumerate(points):
        height = round(HEIGHT * point.value / highest)
        made.append(
            Bar(
                x=round(number * step + step * 0.12),
                y=HEIGHT - height,
                width=max(1, round(step * 0.76)),
                height=height,
                title=f"{point.label}: {point.text}",
                before_y=None if point.before is None else HEIGHT - round(HEIGHT * point.before / highest),
            )
        )
    return Chart(tuple(made), top_text, _some([point.label for point in points]), tuple(points))


def _some(labels: list[str]) -> tuple[str, ...]:
    """Labels at even distances, the first and the last among them."""
    if len(labels) <= LABELS_MOST:
        return tuple(labels)
    last = len(labels) - 1
    return tuple(labels[round(number * last / (LABELS_MOST - 1))] for number in range(LABELS_MOST))


def shade(value: int, highest: int, levels: int = 8) -> int:
    """How dark a cell of a heat map is: 0 for nothing, 1 to `levels`."""
    if value <= 0 or highest <= 0:
        return 0
    return min(levels, 1 + value * levels // (highest + 1))
