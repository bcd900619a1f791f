"""L-BFGS and Newton's method on all samples at once, for small smooth problems.

One epoch is one iteration: a direction, and a line search that halves until the loss falls by
Armijo's rule. Newton solves with the Hessian's matrix where its structure gives one, else with
derived Hessian-vector products by conjugate gradients; parameters are one long column.
Nocedal and Wright, "Numerical Optimization" (2006), algorithms 7.4 and 7.1 and section 3.4; near
the end the loss is flat to rounding, and the rule is Hager and Zhang's (2005), of the slope.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = Any
MEMORY = 10
FLAT = 1e-14  # a change of the loss of this share of it is rounding
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


def newton(f: Both, now: Iterate, direction: Array) -> Iterate:
    """One iteration of Newton's method along a direction: a line search, else along -g."""
    found = _search(f, now, direction)
    if found is None and not _flat_enough(now):
        g = now.gradient
        found = _search(f, now, -g / max(1.0, float(np.linalg.norm(g))))
    if found is None:
        return Iterate(now.x, now.loss, now.gradient, done=True)
    found.done = _flat_enough(found)
    return found


def solved(matrix: Array, g: Array) -> Array:
    """p with H p = -g; where that does not go down, what is added to the diagonal grows."""
    try:
        p: Array = np.linalg.solve(matrix, -g)
        if -math.inf < float(p @ g) < 0:  # also says that p is finite
            return p
    except np.linalg.LinAlgError:
        pass
    damping = 1e-10 * max(float(np.abs(np.diagonal(matrix)).max(initial=0)), 1e-30)
    for _ in range(16):
        damped = matrix + damping * np.eye(len(g))
        try:
            np.linalg.cholesky(damped)
            return -np.linalg.solve(damped, g)
        except np.linalg.LinAlgError:
            damping *= 30
    return -g


def truncated(times: Callable[[Array], Array], g: Array) -> Array:
    """p with H p ≈ -g by conjugate gradients on products H d."""
    size = float(np.linalg.norm(g))
    p, r = np.zeros_like(g), g.copy()
    d = -r
    for k in range(min(250, 2 * g.size)):
        Hd = times(d)
        bend = float(d @ Hd)
        if bend <= 1e-14 * float(d @ d):
            return -g if k == 0 else p
        a = float(r @ r) / bend
        p = p + a * d
        new = r + a * Hd
        if float(np.linalg.norm(new)) < min(0.1, math.sqrt(size)) * 1e-2 * size:
            break
        d = -new + float(new @ new) / float(r @ r) * d
        r = new
    return p


def _flat_enough(at: Iterate) -> bool:
    return not at.gradient.size or float(abs(at.gradient).max()) < 1e-9


def _search(f: Both, now: Iterate, direction: Array) -> Iterate | None:
    """The first point along the direction, halving, whose loss is lower by Armijo's rule."""
    slope = float(now.gradient @ direction)
    if not slope < 0:
        return None
    size = 1.0
    for _ in range(40):
        x = now.x + size * direction
        loss, g = f(x)
        if math.isfinite(loss) and (
            loss <= now.loss + 1e-4 * size * slope
            or (loss <= now.loss + FLAT * abs(now.loss) and abs(float(g @ direction)) < -slope)
        ):
            return Iterate(x, loss, g)
        size /= 2
    return None
