"""Facts that would make a refuted claim true: "true if A is symmetric".

Every real name that the claim depends on is drawn again with one more fact, weaker facts first;
where the sides are then equal at every point, the fact is named.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from backproof.calculus.compare import Sides, aligned
from backproof.calculus.evaluate import Evaluator, defined
from backproof.calculus.model import Model
from backproof.calculus.points import Point, draw_points

Array = Any
Draw = Callable[[Array, Any], Array]
Redraw = Callable[[list[Point]], Iterator[Mapping[str, Array]]]
MORE_POINTS = 16  # a fact is only named when it helps at these too
LARGEST = 400  # entries of a name that is tried
MOST_NAMES = 8


def _symmetric(a: Array, rng: Any) -> Array:
    return (a + a.T) / 2


def _orthonormal(a: Array, rng: Any) -> Array:
    return np.linalg.qr(a)[0]


def _rows_to_one(a: Array, rng: Any) -> Array:
    return a / a.sum(axis=1, keepdims=True)


def _to_one(a: Array, rng: Any) -> Array:
    return a / a.sum()


def _one_hot(a: Array, rng: Any) -> Array:
    return np.eye(a.shape[1])[rng.integers(0, a.shape[1], a.shape[0])]


def _diagonal(a: Array, rng: Any) -> Array:
    return a * np.eye(len(a))


def _unit(a: Array, rng: Any) -> Array:
    return a / np.linalg.norm(a)


def _positive(a: Array, rng: Any) -> Array:
    return np.abs(a) + 0.1


def _labels(a: Array, rng: Any) -> Array:
    return rng.integers(0, 2, a.shape).astype(float)


def _signs(a: Array, rng: Any) -> Array:
    return rng.integers(0, 2, a.shape) * 2.0 - 1.0


_SQUARE: tuple[tuple[str, Draw], ...] = (
    ("{} is symmetric", _symmetric),
    ("{} is orthogonal", _orthonormal),
    ("{} is diagonal", _diagonal),
)
_MATRIX: tuple[tuple[str, Draw], ...] = (
    ("the rows of {} sum to one", _rows_to_one),
    ("the rows of {} are one-hot", _one_hot),
)
_COLUMN: tuple[tuple[str, Draw], ...] = (
    ("{} sums to one", _to_one),
    ("{} has length 1", _unit),
    ("{} is positive", _positive),
    ("the entries of {} are 0 or 1", _labels),
    ("the entries of {} are −1 or 1", _signs),
)
_NUMBER: tuple[tuple[str, Draw], ...] = (
    ("{} is positive", _positive),
    ("{} is 0 or 1", _labels),
    ("{} is −1 or 1", _signs),
)
# What a set already promises leaves less to try.
_TRIED_IN = {"real": None, "pos": ("sum", "one-hot", "length"), "sym": ("orthogonal", "diagonal"),
             "labels": ("one-hot",)}  # fmt: skip


def missing_fact(model: Model, sides: Sides, points: list[Point]) -> str | None:
    """The fact under which the sides would be equal, as "A is symmetric", or None."""
    used = [n for n in model.declared if n in _depends(model, sides)][:MOST_NAMES]
    for text, changed in _trials(model, used, points):
        if _helps(model, sides, points, changed):
            more = draw_points(model, MORE_POINTS, seed=29)
            if _helps(model, sides, more, changed):
                return text
    return None


def _helps(model: Model, sides: Sides, points: list[Point], changed: Redraw) -> bool:
    """Whether the sides are equal at every point once it has been redrawn."""
    redrawn = zip(points, changed(points), strict=True)
    return bool(points) and all(_equal(model, sides, p, new) for p, new in redrawn)


def _depends(model: Model, sides: Sides) -> set[str]:
    names: set[str] = set()
    for node in sides.nodes:
        names |= model.depends_on(node)
    return names


def _trials(model: Model, used: list[str], points: list[Point]) -> Iterator[tuple[str, Redraw]]:
    for name in used:
        array = points[0].floats[name]
        if array.ndim != 2 or array.size > LARGEST:
            continue
        allowed = _TRIED_IN.get(model.declared[name].kind, ())
        for text, draw in _facts_for(array):
            if allowed is not None and not any(word in text for word in allowed):
                continue
            yield text.format(name), partial(_redrawn, name, draw)
    square = [
        n for n in used
        if points[0].floats[n].ndim == 2 and model.declared[n].kind in ("real", "sym")
        and points[0].floats[n].shape[0] == points[0].floats[n].shape[1] > 1
    ]  # fmt: skip
    for a, b in combinations(square, 2):
        if points[0].floats[a].shape == points[0].floats[b].shape:
            yield f"{a} and {b} commute", partial(_commuting, a, b)


def _facts_for(array: Array) -> Iterator[tuple[str, Draw]]:
    rows, columns = array.shape
    if rows == columns == 1:
        yield from _NUMBER
    elif columns == 1:
        yield from _COLUMN
    else:
        if rows == columns:
            yield from _SQUARE
        elif rows > columns:
            yield "the columns of {} are orthonormal", _orthonormal
        yield from _MATRIX


def _redrawn(name: str, draw: Draw, points: list[Point]) -> Iterator[Mapping[str, Array]]:
    rng = np.random.default_rng(random.Random(3).getrandbits(32))
    for point in points:
        yield {**point.floats, name: draw(point.floats[name], rng)}


def _commuting(a: str, b: str, points: list[Point]) -> Iterator[Mapping[str, Array]]:
    for point in points:
        x = point.floats[a]
        yield {**point.floats, b: 0.7 * np.eye(len(x)) - 0.4 * x + 0.3 * x @ x}


def _equal(model: Model, sides: Sides, point: Point, floats: Mapping[str, Array]) -> bool:
    run = Evaluator(point.sizes, floats, model.definitions)
    left, right, mask = aligned(run, sides)
    if mask is not None:
        left, right = np.where(mask != 0, left, 0), np.where(mask != 0, right, 0)
    if not (defined(left) and defined(right)):
        return False
    near = 1e-7 * max(1e-3, float(np.abs(left).max()))
    return bool(np.abs(left - right).max() <= near)
