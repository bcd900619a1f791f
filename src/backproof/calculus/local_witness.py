"""The witness of local derivatives: one equation, every other name in it held where it is.

Central differences in decimals along random directions, as in `witness`, of the equation's own
right-hand side. Knows nothing of how the derivative was read off.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np

from backproof.calculus.evaluate import Evaluator, defined
from backproof.calculus.local import Local
from backproof.calculus.model import Model
from backproof.calculus.points import on_kink
from backproof.calculus.witness import (
    Rise,
    Witnessed,
    confirmed,
    held_fixed,
    random_direction,
)
from backproof.operators.arithmetic import decimal_context
from backproof.operators.node import Node, quantities

Array = Any


def verify_local(
    model: Model, node: Node, found: Local, runs: Iterable[Evaluator], seed: int = 5
) -> Witnessed:
    """Checks ∂node/∂by, a matrix or a rule, with the other names of *node* held fixed.

    runs   evaluators at the points to try
    """
    tried = failed = 0
    rng = random.Random(seed)
    with decimal_context(), np.errstate(all="ignore"):
        for run in runs:
            if not run.xp.exact:
                continue
            sizes = run.xp.sizes
            here = {n: run.named(n) for n in quantities([node])}
            if found.of in model.leaves:
                here[found.of] = run.named(found.of)
            base = here[found.by]
            if not defined(run.value(node)) or on_kink(run, [node], jumps=True):
                continue
            direction = random_direction(base.shape, rng)
            passed = random_direction(run.value(node).shape, rng)
            derived = _along(model, sizes, here, found, direction, passed)
            if not defined(derived):
                continue
            held = held_fixed(model, run, node)
            rise = _rising(sizes, here, node, found, held, direction, passed)
            agrees = confirmed(derived.ravel(), rise, base)
            if agrees is None:
                continue
            tried += 1
            failed += not agrees
    return Witnessed(tried, failed)


def _rising(
    sizes: Any,
    here: dict[str, Array],
    node: Node,
    found: Local,
    held: dict[int, Array],
    direction: Array,
    passed: Array,
) -> Rise:
    """How the node rises along the direction; for a rule, weighted with the gradient passed on."""
    base = here[found.by]

    def rise(step: Decimal) -> tuple[Array, Decimal]:
        sides, largest = [], Decimal(0)
        for sign in (1, -1):
            values = {**here, found.by: base + sign * step * direction}
            moved = Evaluator(sizes, values, {}, exact=True)
            moved.hold(held)
            sides.append(moved.value(node))
            largest = max(largest, moved.largest())
        rose = sides[0] - sides[1]
        whole = found.matrix is not None
        return (rose if whole else np.array([np.sum(passed * rose)], dtype=object)), largest

    return rise


def _along(
    model: Model,
    sizes: Any,
    here: dict[str, Array],
    found: Local,
    direction: Array,
    passed: Array,
) -> Array:
    """What the derivative says of the direction; of a rule, for the gradient passed on."""
    if found.matrix is not None:
        run = Evaluator(sizes, here, model.definitions, exact=True)
        jacobian = np.asarray(run.value(found.matrix), dtype=object)
        flat = jacobian.reshape(direction.size, -1)
        if not model.denominator:
            flat = jacobian.reshape(-1, direction.size).T
        return np.asarray(flat.T @ direction.ravel(), dtype=object)
    assert found.rule is not None and found.passed is not None and found.passed.name is not None
    values = {**here, found.passed.name: passed}
    rule = Evaluator(sizes, values, model.definitions, exact=True).value(found.rule)
    return np.array([np.sum(rule * direction)], dtype=object)
