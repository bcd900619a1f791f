"""Every value once more, in double precision: the second witness of a forward pass.

An equation is recomputed from the values that went into it, so rounding does not add up. Where
double precision cannot tell (a jump exactly at its edge, a cancellation of nearly all digits),
nothing is said; where it contradicts, that is our bug.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backproof.calculus.evaluate import Evaluator
from backproof.calculus.values import SheetValues
from backproof.errors import InternalContradiction
from backproof.operators.arithmetic import decimal_context
from backproof.operators.node import Node, postorder, quantities

Array = Any
NEAR = 1e-9
CONTRADICTS = 1e-4


def recompute(values: SheetValues, what: str, node: Node, value: Array) -> bool:
    """Whether double precision gives the same value (False: it cannot tell)."""
    if values.evaluator.rough:  # the value is of double precision itself
        return False
    used = quantities([node])
    floats = {n: values.named(n).astype(np.float64) for n in used}
    sizes = values.model.number_sizes()
    with decimal_context(), np.errstate(all="ignore"):
        run = Evaluator(sizes, floats, {})
        got = run.value(node)
        want = np.asarray(value).astype(np.float64)
        if not (np.isfinite(got).all() and np.isfinite(want).all()):
            return False
        scale = max(float(run.largest()), 1.0)
        gap = float(np.abs(got - want).max()) if want.size else 0.0
        if gap <= NEAR * scale:
            return True
        moved = {n: run_array(a) for n, a in floats.items()}
        near = Evaluator(sizes, moved, {}, exact=True).value(node).astype(np.float64)
        spread = float(np.abs(near - want).max())
    jumps = any(n.op.abrupt or n.op.kinks for n in postorder([node]))
    if gap > CONTRADICTS * scale + 100 * spread and not jumps:
        raise InternalContradiction(
            f"the value of {what} contradicts the one recomputed in double precision. "
            "This is a bug in backproof.",
            hint="please report the sheet that showed it",
        )
    return False


def run_array(a: Array) -> Array:
    """A float64 array as decimals, digit for digit."""
    from decimal import Decimal

    return np.frompyfunc(lambda x: Decimal(float(x)), 1, 1)(a)
