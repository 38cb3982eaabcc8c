"""Charts made by the server: axes with plain numbers, bars to scale, labels below their bars."""

import pytest

from borne.portal.chart import HEIGHT, Point, bars, nice_top, scaled


@pytest.mark.parametrize(
    ("highest", "unit", "top"),
    [(0, 1, 1), (1, 1, 1), (7, 1, 8), (21_800, 1, 30_000), (100, 1, 100), (101, 1, 200), (3_700, 3_600, 7_200)],
)
def test_the_top_of_an_axis_is_a_plain_number(highest: int, unit: int, top: int) -> None:
    assert nice_top(highest, unit) == top


def points(*values: int, before: int | None = None) -> list[Point]:
    return [Point(f"d{n}", value, str(value), before) for n, value in enumerate(values)]


def test_bars_are_to_scale_and_never_higher_than_the_axis() -> None:
    made = scaled(points(0, 500, 750, before=900), 1, str)
    assert [bar.height for bar in made.bars] == [0, 50, 75]
    assert [bar.before_y for bar in made.bars] == [HEIGHT - 90] * 3
    assert (made.top, made.middle) == ("1000", "500")
    assert scaled(points(3), 1, str).middle == "", "nobody counts half a session"
    assert max(bar.height for bar in bars(points(1, 7), "7").bars) == HEIGHT


def test_labels_stand_below_their_bars() -> None:
    few = scaled(points(1, 2), 1, str).labels
    assert [(one.x, one.text) for one in few] == [(250, "d0"), (750, "d1")]
    many = scaled(points(*range(100)), 1, str).labels
    assert len(many) == 7
    assert (many[0].text, many[1].text, many[-1].text) == ("d9", "d24", "d99")
    assert [one.text for one in scaled(points(*range(12)), 1, str).labels] == [f"d{n}" for n in range(1, 12, 2)]
    marked = scaled(points(*range(48)), 1, str, [(0, "Mon"), (24, "Tue")]).labels
    assert [(one.x, one.text) for one in marked] == [(10, "Mon"), (510, "Tue")]


def test_nothing_at_all_is_empty() -> None:
    assert scaled(points(0, 0), 1, str).is_empty
    assert scaled([], 1, str).labels == ()
