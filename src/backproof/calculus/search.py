"""Looks for a counterexample where ordinary random points do not go.

`sigmoid(x) <= 0.999` fails only far out, `p + 1/p >= 2.001` only near one point, and
`clip(x, -9, 9) == x` only beyond a kink. A claim that no proof was found for is therefore also
tried at zero, with equal entries, far out, and along climbs: towards a larger violation of a
bound, and towards the far side of every kink that the sides have. Double precision climbs;
what it finds counts only where decimals confirm it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np

from backproof.calculus.assumptions import satisfy
from backproof.calculus.compare import Counterexample, Sides, confirmed, excess
from backproof.calculus.evaluate import Evaluator, defined
from backproof.calculus.model import Fact, Model
from backproof.calculus.points import Point, conditions, draw_points
from backproof.operators.arithmetic import decimal_context
from backproof.operators.node import Node, postorder, quantities

Array = Any
STARTS = 3
WIDE = 16
TRIES = 70
DOUBLINGS = 24
MOST_CONFIRMATIONS = 8
MOST_ENTRIES = 400
FAR = 13.0  # coordinates of positive numbers, intervals and probabilities stay within this
SHOWN_DIGITS = (2, 4, 17)


def counterexample(model: Model, sides: Sides, *, seconds: float = 1.0) -> Counterexample | None:
    """A confirmed point where the claim fails, or None when none was found in time."""
    with decimal_context(), np.errstate(all="ignore"):
        return _Search(model, sides, time.thread_time() + seconds).found()


class _Search:
    """One claim's search. Call inside `decimal_context()`."""

    def __init__(self, model: Model, sides: Sides, deadline: float) -> None:
        self.model, self.sides, self.deadline = model, sides, deadline
        self.names = sorted({n for node in sides.nodes for n in model.depends_on(node)})
        self.conditions = conditions(model)
        self.equations = any(relation == "eq" for relation, _, _ in self.conditions)
        self.rng = Random(17)
        self.bound = sides.relation not in ("eq", "ne")
        self.left = MOST_CONFIRMATIONS

    def found(self) -> Counterexample | None:
        """Special points first, then wide draws, then climbs, from a few starting points."""
        goals: list[Callable[[Evaluator], float]] = []
        for point in draw_points(self.model, STARTS):
            chart = _Chart(self.model, point, self.names)
            if point.large or not chart.size or chart.size > MOST_ENTRIES:
                return None
            for places in self._places(chart):
                seen = self._at(chart, places)
                if seen is not None:
                    return seen
                if self.left == 0 or time.thread_time() > self.deadline:
                    return None
            if self.equations:
                continue
            goals = goals or ([self._violation] if self.bound else list(self._far_sides(chart)))
            for goal in goals:
                seen = self._climb(chart, goal)
                if seen is not None:
                    return seen
                if self.left == 0 or time.thread_time() > self.deadline:
                    return None
        return None

    def _places(self, chart: _Chart) -> Iterator[Array]:
        """Coordinates worth trying: far out, and for a bound at zero and with equal entries.

        Two sides may well differ there without a fault: derivatives of max and min have no value
        where entries are equal.
        """
        if self.bound and not self.equations:
            yield np.zeros(chart.size)
            yield chart.levelled()
        for k in range(WIDE):
            stretch = chart.per_leaf(lambda: self.rng.choice((0.05, 1.0, 3.0, 10.0, 30.0)))
            places = chart.start * stretch
            if k % 4 == 1:
                places = np.abs(places)
            elif k % 4 == 2:
                places = -np.abs(places)
            yield places

    def _at(self, chart: _Chart, places: Array) -> Counterexample | None:
        """The counterexample at these coordinates, if there is one."""
        floats = chart.floats(places)
        run = Evaluator(chart.point.sizes, floats, self.model.definitions)
        if not self._allowed(run):
            return None
        gap = excess(run, self.sides)
        return self._confirmed(chart, places) if gap is not None and gap.differs else None

    def _allowed(self, run: Evaluator) -> bool:
        """Whether the assumed inequalities hold (equations are met when a point is confirmed)."""
        for relation, a, b in self.conditions:
            over = run.value(a) - run.value(b)
            if relation in ("lt", "le") and not (over < 0).all():
                return False
            if relation in ("gt", "ge") and not (over > 0).all():
                return False
        return True

    def _confirmed(self, chart: _Chart, places: Array) -> Counterexample | None:
        self.left -= 1
        for digits in SHOWN_DIGITS:
            exact: dict[str, Array] | None = chart.exact(places, digits, not self.bound)
            if exact is not None and self.conditions:
                exact = satisfy(self.model, self.conditions, chart.point.sizes, exact, frozenset())
            if exact is None:
                continue
            floats = {n: a.astype(np.float64) for n, a in exact.items()}
            counter = confirmed(
                self.model, Point(chart.point.sizes, exact, floats), self.sides, set(self.names)
            )
            if counter is not None:
                return counter
        return None

    # --- climbs ------------------------------------------------------------------------------

    def _violation(self, run: Evaluator) -> float:
        gap = excess(run, self.sides)
        return -np.inf if gap is None else gap.over

    def _far_sides(self, chart: _Chart) -> Iterator[Callable[[Evaluator], float]]:
        """For every kink of the sides: how far on the side where no entry has been yet."""
        run = Evaluator(chart.point.sizes, chart.floats(chart.start), self.model.definitions)
        for zero in _borders(self.model, self.sides.nodes):
            value = run.value(zero)
            if not defined(value):
                continue
            if not (value > 0).any():
                yield lambda run, zero=zero: _top(run.value(zero))  # type: ignore[misc]
            if not (value < 0).any():
                yield lambda run, zero=zero: _top(-run.value(zero))  # type: ignore[misc]

    def _climb(self, chart: _Chart, goal: Callable[[Evaluator], float]) -> Counterexample | None:
        """Steps that raise *goal*, each good one repeated at twice the length."""
        rng = np.random.default_rng(self.rng.getrandbits(32))
        at, step = chart.start, 0.5
        best = self._goal(chart, at, goal)[0]
        for k in range(TRIES):
            if k % 16 == 0 and time.thread_time() > self.deadline:
                return None
            move = rng.normal(size=chart.size) * step
            if k % 3 == 1:
                move *= np.arange(chart.size) == rng.integers(chart.size)
            elif k % 3 == 2:
                move *= chart.leaf_of == rng.integers(len(chart.leaves))
            improved = False
            for _ in range(DOUBLINGS):
                value, differs = self._goal(chart, at + move, goal)
                if differs:
                    seen = self._confirmed(chart, at + move)
                    if seen is not None or self.left == 0:
                        return seen
                if not value > best:
                    break
                at, best, improved = at + move, value, True
                move = move * 2
            step = min(step * 1.4, 4.0) if improved else max(step * 0.85, 1e-3)
        return None

    def _goal(
        self, chart: _Chart, places: Array, goal: Callable[[Evaluator], float]
    ) -> tuple[float, bool]:
        """(what is climbed, whether the sides differ) at these coordinates."""
        run = Evaluator(chart.point.sizes, chart.floats(places), self.model.definitions)
        if not self._allowed(run):
            return -np.inf, False
        gap = excess(run, self.sides)
        return goal(run), gap is not None and gap.differs


def _top(value: Array) -> float:
    return float(value.max()) if defined(value) else -np.inf


def _borders(model: Model, nodes: tuple[Node, ...]) -> list[Node]:
    """The arguments of piecewise operators at whose zeros something changes."""
    found: dict[int, Node] = {}
    seen: set[str] = set()
    pending = list(nodes)
    while pending:
        batch, pending = pending, []
        for node in postorder(batch):
            for rule in (node.op.kinks, node.op.jumps):
                for zero in rule(node) if rule is not None else ():
                    found.setdefault(zero.id, zero)
        for name in quantities(batch) - seen:
            seen.add(name)
            if name in model.definitions:
                pending.append(model.definitions[name])
    return list(found.values())


# --- free coordinates of the declared sets -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A leaf that can move: where its coordinates start, and how they become its value."""

    name: str
    fact: Fact
    shape: tuple[int, ...]
    start: int
    count: int


class _Chart:
    """Free coordinates for the leaves that a claim depends on, around one random point.

    Real numbers are their own coordinates; positive ones are exponentials, numbers in an interval
    sigmoids, probabilities softmaxes, and positive definite matrices L Lᵀ of theirs. Labels,
    one-hot rows, indices and orthogonal matrices stay where they are.
    """

    def __init__(self, model: Model, point: Point, names: list[str]) -> None:
        self.point = point
        self.leaves: list[_Leaf] = []
        parts: list[Array] = []
        at = 0
        for name in names:
            fact, value = model.declared[name], point.floats[name]
            places = _coordinates(fact, value)
            if places is None:
                continue
            self.leaves.append(_Leaf(name, fact, value.shape, at, places.size))
            parts.append(places.ravel())
            at += places.size
        self.size = at
        self.start = np.concatenate(parts) if parts else np.zeros(0)
        self.leaf_of = np.repeat(np.arange(len(parts)), [p.size for p in parts])

    def per_leaf(self, one: Callable[[], float]) -> Array:
        """One number for each leaf, for all of its coordinates."""
        return np.array([one() for _ in self.leaves])[self.leaf_of]

    def levelled(self) -> Array:
        """Every leaf with equal coordinates."""
        return np.concatenate(
            [np.full(x.count, self.start[x.start : x.start + x.count].mean()) for x in self.leaves]
        )

    def floats(self, places: Array) -> dict[str, Array]:
        """The leaves' values in double precision."""
        moved = {
            x.name: _value(x.fact, places[x.start : x.start + x.count], x.shape)
            for x in self.leaves
        }
        return {**self.point.floats, **moved}

    def exact(self, places: Array, digits: int, apart: bool) -> dict[str, Array] | None:
        """The leaves' values in decimals, written with that many digits.

        None where these are not in the set, or not all different though they are to stay *apart*.
        """
        moved = {
            x.name: _exact(x.fact, places[x.start : x.start + x.count], x.shape, digits)
            for x in self.leaves
        }
        for x in self.leaves:
            value = moved[x.name]
            if value is None or (apart and len(set(value.flat)) < x.count):
                return None
        return {**self.point.exact, **moved}


def _coordinates(fact: Fact, value: Array) -> Array | None:
    if fact.kind in ("real", "sym"):
        return value
    if fact.kind == "pos":
        return np.log(value)
    if fact.kind == "interval" and None not in fact.bounds:
        low, high = (float(b) for b in fact.bounds)
        share = (value - low) / (high - low)
        return np.log(share / (1 - share))
    if fact.kind == "prob":
        return np.log(value)
    if fact.kind == "posdef":
        return np.linalg.cholesky(value)
    return np.diag(value) if fact.kind == "diagonal" else None


def _value(fact: Fact, places: Array, shape: tuple[int, ...]) -> Array:
    kind = fact.kind
    if kind == "diagonal":
        return np.diag(places)
    x = places.reshape(shape)
    if kind == "real":
        return x
    if kind == "sym":
        return (x + x.T) / 2
    if kind == "posdef":
        return x @ x.T + np.eye(shape[0]) * 1e-6
    x = FAR * np.tanh(x / FAR)
    if kind == "pos":
        return np.exp(x)
    if kind == "interval":
        low, high = (float(b) for b in fact.bounds)
        return low + (high - low) / (1 + np.exp(-x))
    weights = np.exp(x)
    return weights / weights.sum(axis=0 if shape[1] == 1 else 1, keepdims=True)


def _exact(fact: Fact, places: Array, shape: tuple[int, ...], digits: int) -> Array | None:
    kind = fact.kind
    if kind == "posdef":
        lower = _decimals(places.reshape(shape), digits)
        small = np.frompyfunc(Decimal, 1, 1)(np.eye(shape[0], dtype=int)) / 10**6
        return lower @ lower.T + small
    value = _decimals(_value(fact, places, shape), digits)
    if kind == "sym":
        return (value + value.T) / 2
    if kind == "prob":
        rows = value.reshape(1, -1) if shape[1] == 1 else value
        rows = rows / rows.sum(axis=1, keepdims=True)
        rows[:, -1] = 1 - rows[:, :-1].sum(axis=1)
        return rows.reshape(shape) if (rows >= 0).all() else None
    if kind == "interval":
        low, high = fact.bounds
        inside = all(low < Fraction(x) < high for x in value.flat)
        return value if inside else None
    return value


def _decimals(value: Array, digits: int) -> Array:
    return np.frompyfunc(lambda x: Decimal(f"{x:.{digits}g}"), 1, 1)(value)
