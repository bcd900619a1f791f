"""Random points: drawn once a seed, and what counts as lying on a kink."""

from __future__ import annotations

import numpy as np
import pytest

from backproof.calculus.model import Model, build_model
from backproof.calculus.points import MOST_SHARED, draw_points, on_kink
from backproof.errors import Source
from backproof.language.sheet import parse_sheet

SHEET = """
given x in R[n], y in onehot[n]
h = relu(x)
s = step(h)
k = step(y)
m = max(h, 0)
"""


def model() -> Model:
    return build_model(parse_sheet(Source("points.sheet", SHEET)))


def test_the_points_of_a_seed_are_always_the_same() -> None:
    once, again = model(), model()
    first = draw_points(once, 3, seed=5)
    more = draw_points(once, 6, seed=5)
    assert more[:3] == first and len(more) == 6
    for a, b in zip(more, draw_points(again, 6, seed=5), strict=True):
        assert a.sizes == b.sizes
        assert all(np.array_equal(a.exact[n], b.exact[n]) for n in a.exact)


def test_fixed_values_are_kept() -> None:
    fixed = {"x": np.array([[1], [2], [3]], dtype=object)}
    for point in draw_points(model(), 3, fixed=fixed):
        assert point.exact["x"] is fixed["x"]


def test_who_only_reads_values_shares_an_evaluator() -> None:
    sheet = model()
    (point,) = draw_points(sheet, 1)
    run = point.shared(sheet, exact=False)
    assert point.shared(sheet, exact=False) is run
    assert point.shared(sheet, exact=True) is not run
    assert point.shared(model(), exact=False) is not run
    assert point.evaluator(sheet, exact=False) is not run
    run.entries = MOST_SHARED + 1  # it holds enough; another begins
    assert point.shared(sheet, exact=False) is not run


def test_the_largest_number_is_looked_for_below_the_nodes_asked_about() -> None:
    sheet = build_model(parse_sheet(Source("p", "given x in R[3]\nh = 2*x\nb = 1000000*h\n")))
    (point,) = draw_points(sheet, 1)
    run = point.shared(sheet, exact=False)
    run.value(sheet.leaves["b"])
    top = float(np.abs(point.floats["x"]).max())
    assert run.largest([sheet.leaves["h"]]) == pytest.approx(max(2.0, 2 * top))
    assert run.largest([sheet.leaves["b"]]) == pytest.approx(max(1e6, 2e6 * top))
    assert run.largest() == run.largest([sheet.leaves["b"]])


@pytest.mark.parametrize(("name", "kink"), [("h", False), ("s", False), ("k", True), ("m", True)])
def test_kinks(name: str, kink: bool) -> None:
    """The zeros of relu(x) are no kinks of step; those of a label are, and of max(relu(x), 0)."""
    sheet = model()
    zeros = [p for p in draw_points(sheet, 8) if (p.floats["x"] < 0).any()]
    assert zeros
    for point in zeros:
        assert on_kink(point.evaluator(sheet, exact=False), [sheet.leaves[name]]) == kink
