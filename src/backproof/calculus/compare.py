"""Compares two nodes by evaluating them: the witness under every verdict.

Double precision looks for points where the sides differ; decimals of fifty digits decide. A
difference is only ever reported from a point where the decimals confirm it, and agreement needs
at least one point in decimals (unless the arrays are too large for them, which is said).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from backproof.calculus.evaluate import Evaluator, defined
from backproof.calculus.model import Model
from backproof.calculus.points import Point, draw_points, on_kink
from backproof.operators.arithmetic import DIGITS, decimal_context
from backproof.operators.node import Loop, Node, merged_loops

Array = Any
FLOAT_POINTS = 5
EXACT_POINTS = 2
TELLS_APART = 50  # 1 - tanh(50) is larger than what decimals lose
RELATIONS = {
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A point where two sides differ.

    point        leaf name -> nested lists of numbers, for the leaves that the sides depend on
    left, right  the sides' values there
    entry        the entry that differs most, counted from one, or None for a number
    """

    point: Mapping[str, Any]
    left: Any
    right: Any
    entry: tuple[int, ...] | None
    left_entry: float
    right_entry: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What evaluating two sides found.

    points      how many points were compared
    undefined   how many were left out because a side is undefined there
    kinks       how many were left out because they lie exactly on a kink
    counter     a confirmed counterexample, or None
    failed      how many points differed
    exact       whether decimals took part
    """

    points: int
    undefined: int = 0
    kinks: int = 0
    counter: Counterexample | None = None
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Sides:
    """Two nodes and the relation claimed between them, over common loops.

    mask   a 0/1 node: only where it is 1 is anything claimed
    """

    left: Node
    right: Node
    relation: str = "eq"
    mask: Node | None = None

    @property
    def nodes(self) -> tuple[Node, ...]:
        parts = (self.left, self.right)
        return parts if self.mask is None else (*parts, self.mask)


def compare(
    model: Model,
    sides: Sides,
    *,
    fixed: Mapping[str, Array] | None = None,
    seed: int = 0,
    float_points: int = FLOAT_POINTS,
    exact_points: int = EXACT_POINTS,
) -> Comparison:
    """Evaluates both sides at random points of the declared domain.

    fixed   leaves that keep the value the sheet gives (arrays of decimals)
    """
    used = {n for node in sides.nodes for n in model.depends_on(node)}
    if fixed is not None and used <= set(fixed):  # nothing is left to vary
        float_points, exact_points = 0, 1
    total = float_points + exact_points
    check_kinks = fixed is not None or any(
        model.declared[n].kind in ("labels", "onehot", "range") for n in used
    )
    points = undefined = kinks = 0
    exact_seen = False
    wanted_exact = exact_points
    with decimal_context(), np.errstate(all="ignore"):
        pool = draw_points(model, total * (3 if check_kinks else 1) + 4, seed, fixed=fixed)
        for point in pool:
            if points >= total:
                break
            use_exact = wanted_exact > 0 and not point.large
            run = point.shared(model, exact=use_exact)
            run.final = point.large
            outcome = _look(run, sides)
            if outcome is None:
                undefined += 1
                continue
            if check_kinks and on_kink(run, sides.nodes) and fixed is None:
                kinks += 1
                continue
            if outcome.differs and not use_exact and not point.large:
                run = point.shared(model, exact=True)
                outcome = _look(run, sides)
                exact_seen = True
            if outcome is not None and outcome.doubtful:
                outcome = _looked_closer(model, point, sides, outcome, used)
            if outcome is None:
                undefined += 1
                continue
            points += 1
            if use_exact:
                wanted_exact -= 1
                exact_seen = True
            if outcome.differs:
                counter = _counterexample(model, point, sides, outcome, used)
                return Comparison(points, undefined, kinks, counter, exact_seen)
    return Comparison(points, undefined, kinks, None, exact_seen)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What the sides are at one point.

    doubtful   the gap is no larger than what the largest numbers on the way may have lost
    """

    differs: bool
    doubtful: bool
    left: Array
    right: Array
    worst: tuple[int, ...]
    over: Any  # by how much the relation fails in the worst entry


INEXACT_FACTS = ("prob", "orthogonal")  # drawn so that they hold to fifty digits, no more


def _looked_closer(
    model: Model, point: Point, sides: Sides, before: _Outcome, used: set[str]
) -> _Outcome | None:
    """The outcome with twice the digits, where fifty cannot tell a difference from their loss.

    None where that cannot tell either, since what was drawn is exact to fifty digits only.
    """
    if model.sheet.assumes or any(model.declared[n].kind in INEXACT_FACTS for n in used):
        return None
    with decimal_context(2 * DIGITS):
        after = _look(point.evaluator(model, exact=True), sides, Decimal("1e-80"))
        if after is None:
            return None
        was = np.abs(before.left - before.right).max()
        gap = np.abs(after.left - after.right).max()
        persists = gap > was * Decimal("1e-6")
        return replace(after, differs=after.differs and bool(persists), doubtful=False)


@dataclass(frozen=True, slots=True)
class Excess:
    """By how much a relation fails at a point (below zero: it holds), and whether that counts."""

    over: float
    differs: bool


def excess(run: Evaluator, sides: Sides) -> Excess | None:
    """What one evaluation says of the sides; None where one of them is undefined."""
    outcome = _look(run, sides)
    return None if outcome is None else Excess(float(outcome.over), outcome.differs)


def confirmed(model: Model, point: Point, sides: Sides, used: set[str]) -> Counterexample | None:
    """The counterexample that decimals find at a point, if it is one.

    Two sides that meet refute a strict relation only where the numbers on the way are small: far
    out, sigmoid(x) is 1 to any number of digits. Call inside `decimal_context()`.
    """
    run = point.evaluator(model, exact=True)
    outcome = _look(run, sides)
    if outcome is None or not outcome.differs or on_kink(run, sides.nodes):
        return None
    if outcome.doubtful:
        outcome = _looked_closer(model, point, sides, outcome, used)
    elif sides.relation in ("lt", "gt") and outcome.over <= Decimal("1e-30"):
        outcome = None if outcome.over or run.largest() > TELLS_APART else outcome
    if outcome is None or not outcome.differs:
        return None
    return _counterexample(model, point, sides, outcome, used)


def aligned(run: Evaluator, sides: Sides) -> tuple[Array, Array, Array | None]:
    """Both sides' values over the same loop axes, and the mask."""
    loops = merged_loops(sides.nodes)
    rank = max(len(sides.left.shape), len(sides.right.shape))
    arrays = [_spread(run, n, loops, rank) for n in sides.nodes]
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    full = [np.broadcast_to(a, shape) for a in arrays]
    return full[0], full[1], full[2] if len(full) > 2 else None


def _spread(run: Evaluator, node: Node, loops: Sequence[Loop], rank: int) -> Array:
    a = run.value(node)
    core = len(node.shape)
    sizes = dict(zip(node.loops, a.shape[: a.ndim - core], strict=True))
    lead = [sizes.get(v, 1) for v in loops]
    return a.reshape(*lead, *[1] * (rank - core), *a.shape[a.ndim - core :])


def _look(run: Evaluator, sides: Sides, near: Decimal = Decimal("1e-32")) -> _Outcome | None:
    """The sides at one point; None where one of them is undefined.

    near   how far apart equal values may come out in decimals, relative to the sides themselves
    """
    left, right, mask = aligned(run, sides)
    if mask is not None:
        keep = mask != 0
        zero = left * 0 if defined(left) else np.zeros(left.shape, dtype=left.dtype)
        left, right = np.where(keep, left, zero), np.where(keep, right, zero)
    if not (defined(left) and defined(right)):
        return None
    relative = near if run.xp.exact else 1e-8
    gap = left - right
    if sides.relation in ("eq", "ne"):
        over = np.abs(gap)
    else:
        over = gap if sides.relation in ("le", "lt") else -gap
    strict = sides.relation in ("lt", "gt")
    size = max(np.abs(left).max(), np.abs(right).max(), 1)
    if strict:
        differs = bool(((over >= 0) if mask is None else (over >= 0) & (mask != 0)).any())
    else:
        differs = bool((over > relative * size).any())
    doubtful = False
    if differs and not strict and (run.xp.exact or run.final):
        lost = relative * max(run.largest(sides.nodes), 1)
        if run.xp.exact:
            doubtful = bool(np.abs(gap).max() <= lost)
        else:  # double precision only looks; where it decides, gently
            differs = bool((over > lost).any())
    worst = np.unravel_index(int(np.argmax(over)), over.shape) if over.ndim else ()
    return _Outcome(differs, doubtful, left, right, tuple(int(i) for i in worst), over[worst])


def _counterexample(
    model: Model, point: Point, sides: Sides, outcome: _Outcome, used: set[str]
) -> Counterexample:
    left, right = outcome.left, outcome.right
    entry = tuple(i + 1 for i, n in zip(outcome.worst, left.shape, strict=True) if n > 1)
    shown = {n: to_lists(point.floats[n]) for n in model.declared if n in used}
    return Counterexample(
        point=shown,
        left=to_lists(left),
        right=to_lists(right),
        entry=entry or None,
        left_entry=float(left[outcome.worst]),
        right_entry=float(right[outcome.worst]),
    )


def to_lists(array: Array) -> Any:
    """Nested lists as people write them: a number, a flat list for a column, rows otherwise."""
    a = np.asarray(array, dtype=np.float64)
    if a.size == 1:
        return float(a.reshape(-1)[0])
    if a.ndim == 2 and a.shape[1] == 1:
        return [float(x) for x in a[:, 0]]
    return a.tolist()
