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
from backproof.calculus.witness import NEAR, STEP, Witnessed, held_fixed
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
            direction, passed = _random(base.shape, rng), _random(run.value(node).shape, rng)
            held = held_fixed(model, run, node)
            sides = []
            for sign in (1, -1):
                moved = Evaluator(
                    sizes, {**here, found.by: base + sign * STEP * direction}, {}, exact=True
                )
                moved.hold(held)
                sides.append(moved.value(node))
            slope = (sides[0] - sides[1]) / (2 * STEP)
            derived, wanted = _along(model, sizes, here, found, direction, passed, slope)
            if not defined(derived) or not defined(slope):
                continue
            tried += 1
            top = max([Decimal(1), *(abs(x) for x in slope.flat)])
            failed += bool((np.abs(derived.ravel() - wanted.ravel()) > NEAR * top).any())
    return Witnessed(tried, failed)


def _random(shape: tuple[int, ...], rng: random.Random) -> Array:
    out = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        out[index] = Decimal(rng.randint(-1000, 1000)) / 1000
    return out


def _along(
    model: Model,
    sizes: Any,
    here: dict[str, Array],
    found: Local,
    direction: Array,
    passed: Array,
    slope: Array,
) -> tuple[Array, Array]:
    """What the derivative says of the direction, and what the slope says."""
    if found.matrix is not None:
        run = Evaluator(sizes, here, model.definitions, exact=True)
        jacobian = np.asarray(run.value(found.matrix), dtype=object)
        flat = jacobian.reshape(direction.size, -1)
        if not model.denominator:
            flat = jacobian.reshape(-1, direction.size).T
        return flat.T @ direction.ravel(), slope
    assert found.rule is not None and found.passed is not None and found.passed.name is not None
    values = {**here, found.passed.name: passed}
    rule = Evaluator(sizes, values, model.definitions, exact=True).value(found.rule)
    return np.array([np.sum(rule * direction)]), np.array([np.sum(passed * slope)])
