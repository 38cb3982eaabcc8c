"""Charts made by the server: shapes for SVG, with the same figures as a table behind each, for print and for who does not see."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

WIDTH = 1_000  # of the drawing, stretched to its place
HEIGHT = 100
LABELS_MOST = 7
NICE = (1, 2, 3, 4, 5, 6, 8, 10)  # what the top of an axis begins with, so that its half is a plain number too


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


class Label(msgspec.Struct, frozen=True):
    """What stands below a bar: `x` in thousandths of the width; `css`: how it hangs there, and whether a phone has room."""

    x: int
    text: str
    css: str


class Chart(msgspec.Struct, frozen=True):
    """Bars, the label at the top of the axis (and at its middle, where it has one), labels below, and all points as rows."""

    bars: tuple[Bar, ...]
    top: str
    labels: tuple[Label, ...]
    points: tuple[Point, ...]
    middle: str = ""
    is_scaled: bool = False  # an axis stands beside the bars

    @property
    def is_empty(self) -> bool:
        return not any(point.value for point in self.points)

    @property
    def has_before(self) -> bool:
        return any(point.before is not None for point in self.points)


def bars(points: Sequence[Point], top_text: str) -> Chart:
    """Bars side by side; the highest value, now or before, fills the height."""
    return _drawn(points, _highest(points) or 1, top_text, "")


def scaled(
    points: Sequence[Point], unit: int, say: Callable[[int], str], marks: Sequence[tuple[int, str]] = ()
) -> Chart:
    """The same under an axis whose top is a plain number of `unit`; `say` gives a value in words.

    `marks`: (number of the bar, text) of what stands below; none: some of the points' own labels.
    """
    top = nice_top(_highest(points), unit)
    middle = say(top // 2) if top % (2 * unit) == 0 or unit > 1 else ""
    made = _drawn(points, top, say(top), middle)
    labels = tuple(_label(len(points), number, text, n) for n, (number, text) in enumerate(marks)) or made.labels
    return msgspec.structs.replace(made, is_scaled=True, labels=labels)


def nice_top(highest: int, unit: int) -> int:
    """The next plain number of units that nothing is higher than: one of NICE, times a power of ten."""
    if highest <= 0:
        return unit
    power = 1
    while highest > 10 * power * unit:
        power *= 10
    return next(nice * power * unit for nice in NICE if highest <= nice * power * unit)


def _highest(points: Sequence[Point]) -> int:
    return max((max(point.value, point.before or 0) for point in points), default=0)


def _drawn(points: Sequence[Point], top: int, top_text: str, middle: str) -> Chart:
    step = WIDTH / max(len(points), 1)
    made = []
    for number, point in enumerate(points):
        height = round(HEIGHT * point.value / top)
        made.append(
            Bar(
                x=round(number * step + step * 0.12),
                y=HEIGHT - height,
                width=max(1, round(step * 0.76)),
                height=height,
                title=_title(point),
                before_y=None if point.before is None else HEIGHT - round(HEIGHT * point.before / top),
            )
        )
    return Chart(tuple(made), top_text, _labels(points), tuple(points), middle)


def _title(point: Point) -> str:
    return f"{point.label}: {point.text}"


def _labels(points: Sequence[Point]) -> tuple[Label, ...]:
    """Labels at even distances, the last among them."""
    step = -(-len(points) // LABELS_MOST) or 1
    numbers = list(range(len(points) - 1, -1, -step))
    found = [_label(len(points), number, points[number].label, n) for n, number in enumerate(numbers)]
    return tuple(reversed(found))


def _label(count: int, number: int, text: str, n: int) -> Label:
    """A label, the `n`th from an end, below bar `number` of `count`; at the edges it hangs from a side where bars are narrow."""
    hangs = ""
    if count > LABELS_MOST:
        hangs = "first" if number == 0 else "last" if number == count - 1 else ""
    is_near = n % 2 == 0 or count <= LABELS_MOST - 3
    return Label(round((number + 0.5) * WIDTH / count), text, f"{hangs} {'' if is_near else 'far'}".strip())


def shade(value: int, highest: int, levels: int = 8) -> int:
    """How dark a cell of a heat map is: 0 for nothing, 1 to `levels`."""
    if value <= 0 or highest <= 0:
        return 0
    return min(levels, 1 + value * levels // (highest + 1))
