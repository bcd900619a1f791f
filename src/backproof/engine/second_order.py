"""L-BFGS and Newton's method on all samples at once, for small smooth problems.

One epoch is one iteration: a direction, and a line search that halves until the loss falls by
Armijo's rule. Newton solves with Hessian-vector products, taken as central differences of the
derived gradient, by conjugate gradients; parameters are handled as one long column.
Nocedal and Wright, "Numerical Optimization" (2006), algorithms 7.4 and 7.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = Any
MEMORY = 10
Both = Callable[[Array], tuple[float, Array]]  # flat parameters -> (loss, flat gradient)


def flat(arrays: Mapping[str, Array]) -> Array:
    """All arrays as one column."""
    return np.concatenate([np.asarray(a, np.float64).reshape(-1) for a in arrays.values()])


def unflat(column: Array, like: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays of a column, in the shapes of *like*."""
    found, at = {}, 0
    for name, array in like.items():
        found[name] = column[at : at + array.size].reshape(array.shape).copy()
        at += array.size
    return found


@dataclass
class Iterate:
    """Where a method stands.

    steps, changes   L-BFGS's memory: moves and changes of the gradient, one a row
    """

    x: Array
    loss: float
    gradient: Array
    steps: list[Array] = field(default_factory=list)
    changes: list[Array] = field(default_factory=list)
    done: bool = False


def lbfgs(f: Both, now: Iterate, first: float) -> Iterate:
    """One iteration of L-BFGS.

    first   the length of the very first step, over the norm of the gradient
    """
    g = now.gradient
    q, alphas = g.copy(), []
    pairs = list(zip(now.steps, now.changes, strict=True))
    for s, y in reversed(pairs):
        a = float(s @ q) / float(s @ y)
        alphas.append(a)
        q = q - a * y
    if pairs:
        s, y = pairs[-1]
        q = q * (float(s @ y) / float(y @ y))
    else:
        q = q * (first / max(1.0, float(np.linalg.norm(g))))
    for (s, y), a in zip(pairs, reversed(alphas), strict=True):
        q = q + (a - float(y @ q) / float(s @ y)) * s
    new = _search(f, now, -q)
    if new is None and pairs:  # the memory misled: once more along the gradient
        return lbfgs(f, Iterate(now.x, now.loss, g), first)
    if new is None:
        return Iterate(now.x, now.loss, g, done=True)
    s, y = new.x - now.x, new.gradient - g
    steps, changes = now.steps, now.changes
    if float(s @ y) > 1e-12 * float(np.linalg.norm(s) * np.linalg.norm(y)):
        steps, changes = [*steps, s][-MEMORY:], [*changes, y][-MEMORY:]
    return Iterate(new.x, new.loss, new.gradient, steps, changes, _flat_enough(new))


def newton(f: Both, now: Iterate, first: float) -> Iterate:
    """One iteration of truncated Newton: conjugate gradients on H p = -g, then a line search."""
    g = now.gradient
    size = float(np.linalg.norm(g))
    p, r = np.zeros_like(g), g.copy()
    d = -r
    for k in range(min(250, 2 * g.size)):
        reach = 1e-5 * (1 + float(np.linalg.norm(now.x))) / max(1e-30, float(np.linalg.norm(d)))
        Hd = (f(now.x + reach * d)[1] - f(now.x - reach * d)[1]) / (2 * reach)
        bend = float(d @ Hd)
        if bend <= 1e-14 * float(d @ d):
            p = -g if k == 0 else p
            break
        a = float(r @ r) / bend
        p = p + a * d
        new = r + a * Hd
        if float(np.linalg.norm(new)) < min(0.1, math.sqrt(size)) * 1e-2 * size:
            break
        d = -new + float(new @ new) / float(r @ r) * d
        r = new
    found = _search(f, now, p)
    if found is None:
        return Iterate(now.x, now.loss, g, done=True)
    found.done = _flat_enough(found)
    return found


def _flat_enough(at: Iterate) -> bool:
    return float(np.abs(at.gradient).max(initial=0)) < 1e-9


def _search(f: Both, now: Iterate, direction: Array) -> Iterate | None:
    """The first point along the direction, halving, whose loss is lower by Armijo's rule."""
    slope = float(now.gradient @ direction)
    if not slope < 0:
        return None
    size = 1.0
    for _ in range(40):
        x = now.x + size * direction
        loss, g = f(x)
        if math.isfinite(loss) and loss <= now.loss + 1e-4 * size * slope:
            return Iterate(x, loss, g)
        size /= 2
    return None


METHODS: dict[str, Callable[[Both, Iterate, float], Iterate]] = {"lbfgs": lbfgs, "newton": newton}
