"""The second witness: derivatives checked by numeric differentiation in high precision.

Central differences along random directions, in decimals of fifty digits: with steps of 1e-14 the
difference quotient is right to some 28 digits, so that agreement leaves no room for a wrong rule.
Knows nothing of how the derivative was derived.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np

from backproof.calculus.derive import Derived
from backproof.calculus.evaluate import Evaluator, defined
from backproof.calculus.model import Model
from backproof.calculus.points import Point, draw_points, on_kink
from backproof.errors import InternalContradiction
from backproof.operators.arithmetic import decimal_context
from backproof.operators.node import Node, postorder, quantities

Array = Any
STEP = Decimal("1e-14")
FINER = (Decimal("1e-18"), Decimal("1e-22"))
NEAR = Decimal("1e-20")


@dataclass(frozen=True, slots=True)
class Witnessed:
    """How many points were tried and how many failed."""

    points: int
    failed: int


def verify_gradient(
    model: Model, root: Node, wrt: str, node: Node, points: int = 3, seed: int = 7
) -> Witnessed:
    """Checks *node* against numeric differentiation of the number *root* by *wrt*.

    At each point a random direction v is drawn; the sum of node * v must equal the slope of
    *root* along v. Points that are undefined or exactly on a kink are left out.
    """
    return _verify(model, root, wrt, points, seed, lambda run, v: _inner(run.value(node), v))


def verify_jacobian(
    model: Model,
    root: Node,
    wrt: str,
    node: Node,
    denominator: bool = True,
    points: int = 2,
    seed: int = 7,
) -> Witnessed:
    """Checks a Jacobian, in either layout, against numeric differentiation along directions."""

    def along(run: Evaluator, v: Array) -> Array:
        jacobian = run.value(node)
        inner = v.size
        outer = jacobian.size // inner
        flat = jacobian.reshape(inner, outer) if denominator else jacobian.reshape(outer, inner).T
        return flat.T @ v.ravel()

    return _verify(model, root, wrt, points, seed, along)


def check_derived(model: Model, derived: Iterable[Derived]) -> None:
    """Verifies derivatives; a contradiction is our bug and is raised loudly."""
    for d in derived:
        if d.kind == "gradient":
            seen = verify_gradient(model, d.root, d.wrt, d.result, points=1)
        else:
            seen = verify_jacobian(model, d.root, d.wrt, d.result, d.denominator, points=1)
        if seen.failed:
            raise contradiction(f"the derivative of {d.root!r} by {d.wrt}")


def contradiction(what: str) -> InternalContradiction:
    return InternalContradiction(
        f"{what} contradicts numeric differentiation. This is a bug in backproof.",
        hint="please report the sheet that showed it",
    )


def _inner(a: Array, b: Array) -> Array:
    return np.array([np.sum(np.broadcast_to(a, b.shape) * b)], dtype=object)


def _verify(model: Model, root: Node, wrt: str, points: int, seed: int, along: Any) -> Witnessed:
    tried = failed = 0
    rng = random.Random(seed)
    with decimal_context(), np.errstate(all="ignore"):
        for point in _drawn(model, points, seed):
            if tried == points or point.large:
                break
            outcome = _slope(model, point, root, wrt, rng)
            if outcome is None:
                continue
            run, direction, slope = outcome
            derived = np.asarray(along(run, direction), dtype=object).ravel()
            if not defined(derived):
                continue
            rise = partial(_rise, model, point, root, wrt, run)
            agrees = _agrees(run, derived, slope, direction, rise)
            if agrees is None:
                continue
            tried += 1
            failed += not agrees
    return Witnessed(tried, failed)


def _agrees(
    run: Evaluator, derived: Array, slope: Array, direction: Array, rise: Rise
) -> bool | None:
    """Whether the derived slope is the numeric one; None where no step is small enough to tell.

    Close to a pole, such as the logarithm of a tiny probability, a finer step is taken; the two
    quotients then say how far the finer one can still be off.
    """
    before = slope.ravel()
    near = NEAR * max(np.abs(derived).max(), np.abs(before).max(), 1)
    if (np.abs(derived - before) <= near).all():
        return True
    for step in FINER:
        finer = (rise(step * direction) / (2 * step)).ravel()
        if not defined(finer):
            return None
        doubt = np.abs(finer - before)
        if (np.abs(derived - finer) <= near + doubt / 10**4).all():
            return True
        if (doubt <= near).all():
            return False
        before = finer
    return None


def _drawn(model: Model, points: int, seed: int) -> Iterator[Point]:
    """Random points, and a few more only where the first are not enough."""
    yield from draw_points(model, points, seed)
    yield from draw_points(model, points + 4, seed)[points:]


Rise = Callable[[Array], Array]


def _slope(
    model: Model, point: Point, root: Node, wrt: str, rng: random.Random
) -> tuple[Evaluator, Array, Array] | None:
    """(evaluator at the point, direction, slope of root along it), or None where undefined."""
    run = point.evaluator(model, exact=True)
    base = run.named(wrt)
    if not defined(run.value(root)) or on_kink(run, [root], jumps=True):
        return None
    direction = np.empty(base.shape, dtype=object)
    for index in np.ndindex(*base.shape):
        direction[index] = Decimal(rng.randint(-1000, 1000)) / 1000
    slope = _rise(model, point, root, wrt, run, STEP * direction) / (2 * STEP)
    return (run, direction, slope) if defined(slope) else None


def _rise(model: Model, point: Point, root: Node, wrt: str, run: Evaluator, move: Array) -> Array:
    """root at wrt + move, less root at wrt - move."""
    held = held_fixed(model, run, root)
    base = run.named(wrt)
    sides = []
    for sign in (1, -1):
        values = {**point.exact, wrt: base + sign * move}
        moved = Evaluator(point.sizes, values, model.definitions, exact=True)
        moved.hold(held)
        sides.append(moved.value(root))
    rise: Array = sides[0] - sides[1]
    return rise


def held_fixed(model: Model, run: Evaluator, root: Node) -> dict[int, Array]:
    """The values of everything that derivatives hold fixed (`stop`)."""
    found: dict[int, Array] = {}
    pending, seen = [root], set[str]()
    while pending:
        nodes = postorder(pending)
        names = quantities(pending) - seen
        pending = [model.definitions[n] for n in names if n in model.definitions]
        seen |= names
        for node in nodes:
            if node.op.holds:
                found[node.id] = run.value(node)
    return found
