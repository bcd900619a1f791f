"""When an error is not carried forward: a value that makes the rest trivial earns nothing.

A student who writes zeros, ones or enormous numbers would have nothing left to work out. Whether
a value does that is judged by what it does to the rest: everything zero, units saturated or dead,
a line that only repeats what stands above it. A mistake made in earnest does none of this.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backproof.operators.node import Node, postorder
from backproof.papers.intervals import IntervalEvaluator

Array = Any
FAR = 1000.0  # times the largest right entry: no slip goes that far


def trivial_value(value: Array, truth: Array, unit: float, *, named: bool = False) -> str:
    """Why a wrong written value is not carried on; "" where it is.

    named   whether it comes from a mistake that the repair search can name
    """
    if not np.isfinite(value).all():
        return "it is not finite"
    zeros, right = np.abs(value) <= unit, np.abs(truth) <= unit
    if zeros.all() and not right.all():
        return "it is all zero"
    if value.size > 1:
        if value.size > 2 and np.ptp(value) <= unit < np.ptp(truth) and not named:
            return "all its entries are the same"
        if zeros.sum() - right.sum() >= value.size / 2 and not named:
            return "most of its entries are zero"
        whole = np.isin(value, (-1.0, 0.0, 1.0))
        if whole.all() and not np.isin(truth, (-1.0, 0.0, 1.0)).all():
            return "its entries are only zeros and ones"
    if np.abs(value).max() > FAR * max(1.0, np.abs(truth).max()):
        return "it is far outside of what the question is about"
    return ""


def trivial_rest(
    run: IntervalEvaluator,
    right: IntervalEvaluator,
    node: Node,
    own: Array,
    truth: Array,
    unit: float,
) -> str:
    """Why a line that follows from a student's own values earns nothing; "" where it does.

    run, right   the evaluations with the student's values and with the right ones
    """
    if not np.isfinite(own).all():
        return "with it the value is undefined"
    zeros, good = np.abs(own) <= unit, np.abs(truth) <= unit
    if zeros.all() and not good.all():
        return "with it everything is zero"
    if (~zeros).sum() <= (~good).sum() // 4:
        return "with it nearly everything is zero"
    for part in postorder([node]):
        ours, theirs = run.ends_of(part), right.ends_of(part)
        if ours is None or theirs is None:
            continue
        name = part.op.name
        if part.op.spans is not None:
            low, high = part.op.spans
            edge = min(unit, 1e-3)
            flat = _near(ours, low, high, edge)
            if flat.all() and not _near(theirs, low, high, edge).all():
                return f"with it every {name} is saturated"
        elif part.op.rectifies and (ours[1] <= unit).all() and not (theirs[1] <= unit).all():
            return "with it every unit is dead"
        elif part.name is not None and part is not node:
            mine, real = (ours[0] + ours[1]) / 2, (theirs[0] + theirs[1]) / 2
            if (
                mine.shape == own.shape
                and (np.abs(mine - own) <= unit).all()
                and not (np.abs(real - truth) <= 2 * unit).all()
            ):
                return f"with it the line only repeats {part.name}"
    return ""


def _near(ends: tuple[Array, Array], low: float, high: float, edge: float) -> Array:
    middle = (ends[0] + ends[1]) / 2
    return (middle <= low + edge) | (middle >= high - edge)
