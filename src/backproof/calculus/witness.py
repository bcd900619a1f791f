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
from typing import Any

import numpy as np

from backproof.calculus.derive import Derived
from backproof.calculus.evaluate import Evaluator, defined
from backproof.calculus.model import Model
from backproof.calculus.points import Point, draw_points, on_kink
from backproof.errors import InternalContradiction
from backproof.operators.arithmetic import DIGITS, decimal_context
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

    def along(run: Evaluator, v: Array) -> Array:
        return _inner(run.value(node), v)

    key = (verify_gradient, root.id, wrt, node.id, points, seed)
    return model.once(key, lambda: _verify(model, root, wrt, points, seed, along))


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
            run = point.shared(model, exact=True)
            base = run.named(wrt)
            if not defined(run.value(root)) or on_kink(run, [root], jumps=True):
                continue
            direction = random_direction(base.shape, rng)
            derived = np.asarray(along(run, direction), dtype=object).ravel()
            if not defined(derived):
                continue
            agrees = confirmed(derived, _rising(model, point, root, wrt, run, direction), base)
            if agrees is None:
                continue
            tried += 1
            failed += not agrees
    return Witnessed(tried, failed)


def random_direction(shape: tuple[int, ...], rng: random.Random) -> Array:
    """Entries between -1 and 1 with three decimals."""
    out = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        out[index] = Decimal(rng.randint(-1000, 1000)) / 1000
    return out


# The step along the direction -> (what the value rises by from one side to the other, the
# largest number on the way to either side).
Rise = Callable[[Decimal], tuple[Array, Decimal]]


def confirmed(derived: Array, rise: Rise, base: Array) -> bool | None:
    """Whether the derived slope is the numeric one; None where no step is small enough to tell.

    Close to a pole, such as the logarithm of a tiny probability, finer steps are taken; two
    quotients then say how far the finer one can still be off. Where the digits of large numbers
    swallow the step, nothing is told.
    """
    scale = max(Decimal(1), np.abs(base).max() / 1000)
    before: Array | None = None
    for step in (STEP, *FINER):
        rose, largest = rise(step * scale)
        quotient = (rose / (2 * step * scale)).ravel()
        if not defined(quotient):
            continue
        near = NEAR * max(np.abs(derived).max(), np.abs(quotient).max(), 1)
        gap = np.abs(derived - quotient)
        doubt = gap * 0 if before is None else np.abs(quotient - before)
        if (gap <= near + doubt / 10**4).all():
            return True
        if before is not None and (doubt <= near).all():
            noise = largest * Decimal(10) ** (2 - DIGITS) / (step * scale)
            return None if gap.max() <= noise else False
        before = quotient
    return None


def _drawn(model: Model, points: int, seed: int) -> Iterator[Point]:
    """Random points, and a few more only where the first are not enough."""
    yield from draw_points(model, points, seed)
    yield from draw_points(model, points + 4, seed)[points:]


def _rising(
    model: Model, point: Point, root: Node, wrt: str, run: Evaluator, direction: Array
) -> Rise:
    """How root rises along the direction, from wrt - step to wrt + step."""
    held = held_fixed(model, run, root)
    base = run.named(wrt)
    moving = model.once((_moving, wrt), lambda: _moving(model, wrt))
    still = {name: array for name, array in run.known().items() if name not in moving}

    def rise(step: Decimal) -> tuple[Array, Decimal]:
        sides, largest = [], Decimal(0)
        for sign in (1, -1):
            values = {**still, wrt: base + sign * step * direction}
            moved = Evaluator(point.sizes, values, model.definitions, exact=True)
            moved.hold(held)
            sides.append(moved.value(root))
            largest = max(largest, moved.largest())
        return sides[0] - sides[1], largest

    return rise


def _moving(model: Model, wrt: str) -> frozenset[str]:
    """The names that an equation leads to from *wrt*."""
    found = {wrt}
    for name, node in model.definitions.items():
        if not found.isdisjoint(model.graph.names(node)):
            found.add(name)
    return frozenset(found)


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
