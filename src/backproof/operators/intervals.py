"""How an interval goes through each operator: the `interval` rules of the entries.

Most operators are isotone (no entry of the result falls where an entry of an argument rises), so
that the two ends are evaluated like any two numbers; products and quotients take the corners; what
is linear in each of its arguments is enclosed by midpoint and radius. The few operators that are
none of these are *sampled* at corners and random points of the box, and the run is told so: an
enclosure that was not proved.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from backproof.operators.base import Array, Boxes, Ends, IntervalRule, Operator
from backproof.operators.node import Node

SAMPLES = 64


def _isotone(run: Boxes, node: Node, args: list[Ends]) -> Ends:
    numeric = node.op.numeric
    return (
        numeric(run.xp, node, [low for low, _ in args]),
        numeric(run.xp, node, [high for _, high in args]),
    )


def _neg(run: Boxes, node: Node, args: list[Ends]) -> Ends:
    ((low, high),) = args
    return -high, -low


def _sub(run: Boxes, node: Node, args: list[Ends]) -> Ends:
    (a, b), (c, d) = args
    return a - d, b - c


def _corners(*products: Array) -> Ends:
    low, high = products[0], products[0]
    for p in products[1:]:
        low, high = np.minimum(low, p), np.maximum(high, p)
    return low, high


def _times(a: Array, b: Array) -> Array:
    """A product in which zero times infinity is zero: the factor is exactly zero there."""
    product = a * b
    return np.where(np.isnan(product) & ((a == 0) | (b == 0)), 0.0, product)


def _mul(run: Boxes, node: Node, args: list[Ends]) -> Ends:
    (a, b), (c, d) = args
    if node.args[0] is node.args[1]:
        return _even(a, b, lambda x: x * x)
    return _corners(_times(a, c), _times(a, d), _times(b, c), _times(b, d))


def _div(run: Boxes, node: Node, args: list[Ends]) -> Ends:
    (a, b), (c, d) = args
    with np.errstate(all="ignore"):
        low, high = _corners(a / c, a / d, b / c, b / d)
    crosses = (c <= 0) & (d >= 0)
    undefined = (c == 0) & (d == 0)
    low, high = np.where(crosses, -np.inf, low), np.where(crosses, np.inf, high)
    return np.where(undefined, np.nan, low), np.where(undefined, np.nan, high)


def _even(a: Array, b: Array, f: Callable[[Array], Array]) -> Ends:
    """A function that falls up to zero and rises from there."""
    inside = (a <= 0) & (b >= 0)
    low, high = np.minimum(f(a), f(b)), np.maximum(f(a), f(b))
    return np.where(inside, f(np.zeros_like(low)), low), high


def _abs(run: Boxes, node: Node, args: list[Ends]) -> Ends:
    return _even(*args[0], np.abs)


def _pow(run: Boxes, node: Node, args: list[Ends]) -> Ends:
    (a, b), (c, d) = args
    k = node.args[1].fill
    if k is not None and k.denominator == 1:
        n = int(k)
        if n >= 0 and n % 2 == 0:
            return _even(a, b, lambda x: np.power(x, float(n)))
        if n > 0:
            return np.power(a, float(n)), np.power(b, float(n))
        crosses = (a <= 0) & (b >= 0)
        low, high = _corners(np.power(a, float(n)), np.power(b, float(n)))
        return np.where(crosses, -np.inf, low), np.where(crosses, np.inf, high)
    if (a < 0).any():
        return sampled(run, node, args)
    return _corners(np.power(a, c), np.power(a, d), np.power(b, c), np.power(b, d))


def _softmax(run: Boxes, node: Node, args: list[Ends]) -> Ends:
    """Entry i rises with its own score and falls with every other."""
    ((low, high),) = args
    axis = node.params[0] - len(node.shape)
    top = np.max(high, axis=axis, keepdims=True)
    a, b = np.exp(low - top), np.exp(high - top)
    sa, sb = np.sum(a, axis=axis, keepdims=True), np.sum(b, axis=axis, keepdims=True)
    return a / (a + (sb - b)), b / (b + (sa - a))


def _where(run: Boxes, node: Node, args: list[Ends]) -> Ends:
    (p, q), (a, b), (c, d) = args
    true, false = (p != 0) & (q != 0), (p == 0) & (q == 0)
    low = np.where(true, a, np.where(false, c, np.minimum(a, c)))
    return low, np.where(true, b, np.where(false, d, np.maximum(b, d)))


def _compare(run: Boxes, node: Node, args: list[Ends]) -> Ends:
    (a, b), (c, d) = args
    always, never = {
        "gt": (a > d, b <= c), "ge": (a >= d, b < c), "lt": (b < c, a >= d), "le": (b <= c, a > d),
        "eq": ((a == b) & (c == d) & (a == c), (b < c) | (a > d)),
        "ne": ((b < c) | (a > d), (a == b) & (c == d) & (a == c)),
    }[node.op.name]  # fmt: skip
    return np.where(always, 1.0, 0.0), np.where(never, 0.0, 1.0)


def _matmul(run: Boxes, node: Node, args: list[Ends]) -> Ends:
    x, y = node.args
    if x.is_number or y.is_number:
        return _mul(run, node, args)
    if len(x.shape) != 2 or len(y.shape) != 2:
        return _multilinear(run, node, args)
    (a, b), (c, d) = args
    a, b = a[..., :, :, None], b[..., :, :, None]
    c, d = c[..., None, :, :], d[..., None, :, :]
    low, high = _corners(_times(a, c), _times(a, d), _times(b, c), _times(b, d))
    return low.sum(axis=-2), high.sum(axis=-2)


def _multilinear(run: Boxes, node: Node, args: list[Ends]) -> Ends:
    """Linear in each argument: f(m) ± (f(|m| + r) − f(|m|)), with midpoints m and radii r."""
    middle = [(low + high) / 2 for low, high in args]
    size = [np.abs(m) for m in middle]
    reach = [s + (high - low) / 2 for s, (low, high) in zip(size, args, strict=True)]
    numeric = node.op.numeric
    centre = numeric(run.xp, node, middle)
    radius = numeric(run.xp, node, reach) - numeric(run.xp, node, size)
    return centre - radius, centre + radius


def _reduce(run: Boxes, node: Node, args: list[Ends]) -> Ends:
    if node.params[0] == "prod" and (args[0][0] < 0).any():
        return sampled(run, node, args)
    if len(args) == 2 and (args[1][0] != args[1][1]).any():
        return sampled(run, node, args)
    return _isotone(run, node, args)


def _prod(run: Boxes, node: Node, args: list[Ends]) -> Ends:
    return _isotone(run, node, args) if (args[0][0] >= 0).all() else sampled(run, node, args)


def sampled(run: Boxes, node: Node, args: list[Ends]) -> Ends:
    """Corners and random points of the box: no proof, and labelled so."""
    run.sampled = True
    rng = random.Random(node.id)
    numeric = node.op.numeric
    low = high = numeric(run.xp, node, [(a + b) / 2 for a, b in args])
    for k in range(SAMPLES):
        point = []
        for a, b in args:
            t = np.array([rng.random() for _ in range(a.size)]).reshape(a.shape)
            if k % 2 == 0:
                t = np.round(t)
            point.append(a + (b - a) * t)
        found = numeric(run.xp, node, point)
        if np.isfinite(found).all():
            low, high = np.minimum(low, found), np.maximum(high, found)
    return low, high


_RULES: dict[str, IntervalRule] = {
    **dict.fromkeys(
        (
            "add", "exp", "log", "sqrt", "sigmoid", "tanh", "softplus", "erf", "relu", "step",
            "sign", "floor", "ceil", "maximum", "minimum", "stop", "transpose", "trace", "diag_of",
            "diag_part", "tril", "triu", "slice", "embed", "concat", "reshape", "collect",
            "spread", "sum", "amax", "amin", "logsumexp",
        ),
        _isotone,
    ),
    **dict.fromkeys(("gt", "ge", "lt", "le", "eq", "ne"), _compare),
    **dict.fromkeys(("einsum", "kron"), _multilinear),
    "neg": _neg, "sub": _sub, "mul": _mul, "div": _div, "abs": _abs, "pow": _pow,
    "softmax": _softmax, "where": _where, "matmul": _matmul, "reduce": _reduce, "prod": _prod,
}  # fmt: skip


def interval_rule(operator: Operator) -> IntervalRule:
    """The rule of an operator: its own, or sampling."""
    return _RULES.get(operator.name, sampled)
