"""Random points: drawn once a seed, and what counts as lying on a kink."""

from __future__ import annotations

import numpy as np
import pytest

from backproof.calculus.model import Model, build_model
from backproof.calculus.points import draw_points, on_kink
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


@pytest.mark.parametrize(("name", "kink"), [("h", False), ("s", False), ("k", True), ("m", True)])
def test_kinks(name: str, kink: bool) -> None:
    """The zeros of relu(x) are no kinks of step; those of a label are, and of max(relu(x), 0)."""
    sheet = model()
    zeros = [p for p in draw_points(sheet, 8) if (p.floats["x"] < 0).any()]
    assert zeros
    for point in zeros:
        assert on_kink(point.evaluator(sheet, exact=False), [sheet.leaves[name]]) == kink
