"""What consistent rounding can produce: every value as the interval that it may lie in.

Each operator says by a table how an interval goes through it. Most are isotone (no entry of the
result falls where an entry of an argument rises), so that the two ends are evaluated like any two
numbers; products and quotients take the corners; what is linear in each of its arguments is
enclosed by midpoint and radius. The few operators that are none of these are *sampled* at corners
and random points of the box, and the result is labelled so: an enclosure that was not proved.

Float64 throughout; ends are compared with `SLACK`, far below any digit that is written by hand.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backproof.calculus.evaluate import align, defined
from backproof.operators.arithmetic import FLOAT64
from backproof.operators.node import Node, postorder

Array = Any
Ends = tuple[Array, Array]
Rule = Callable[["IntervalEvaluator", Node, list[Ends]], Ends]
SLACK = 1e-9
SAMPLES = 64


def widened(ends: Ends, by: Array | float) -> Ends:
    """The interval with a margin on either side."""
    return ends[0] - by, ends[1] + by


class IntervalEvaluator:
    """Evaluates nodes over a box of values.

    sizes         dimension name -> integer
    values        name -> (low, high) arrays of its core shape
    definitions   name -> right-hand side of its equation
    after         called with (name, ends) after each equation; what it returns is carried on
    sampled       the nodes whose enclosure was sampled, not proved
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        values: Mapping[str, Ends],
        definitions: Mapping[str, Node],
        after: Callable[[str, Ends], Ends] | None = None,
    ) -> None:
        self.xp: Any = _Sized(sizes)
        self.definitions = definitions
        self.after = after
        self.sampled = False
        self._names: dict[str, Ends] = dict(values)
        self._given = frozenset(values)
        self._held: set[int] = set()
        self._done: dict[int, Ends] = {}

    def hold(self, node: Node, ends: Ends) -> None:
        """Fixes a node at ends found elsewhere."""
        self._done[node.id] = ends
        self._held.add(node.id)

    def named(self, name: str) -> Ends:
        """The ends of a name; KeyError names a leaf that has no value."""
        stack = [name]
        while stack:
            top = stack[-1]
            if top in self._names:
                stack.pop()
                continue
            if top not in self.definitions:
                raise KeyError(top)
            missing = self._missing(self.definitions[top])
            if missing:
                if top in missing:
                    raise KeyError(top)
                stack.extend(missing)
                continue
            ends = self._run(self.definitions[top])
            self._names[top] = self.after(top, ends) if self.after else ends
            stack.pop()
        return self._names[name]

    def value(self, node: Node) -> Ends:
        """The ends of a node."""
        for name in self._missing(node):
            self.named(name)
        return self._run(node)

    def ends_of(self, node: Node) -> Ends | None:
        """The ends of a node that was evaluated, or None."""
        return self._done.get(node.id)

    def _missing(self, root: Node) -> list[str]:
        return [n for n in self._leaves(root) if n not in self._names]

    def _leaves(self, root: Node) -> list[str]:
        """The names that evaluating a node needs, without what lies below held nodes."""
        names: list[str] = []
        seen: set[int] = set()
        stack = [root]
        while stack:
            node = stack.pop()
            if node.id in seen or node.id in self._done:
                continue
            seen.add(node.id)
            if node.op.name == "name":
                names.append(node.params[0])
            stack.extend(node.args)
        return names

    def leaves_of(self, root: Node) -> set[str]:
        """The names that a node was computed from, through equations that were not given."""
        found: set[str] = set()
        pending = self._leaves_below(root)
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                if name not in self._given and name in self.definitions:
                    pending.extend(self._leaves_below(self.definitions[name]))
        return found

    def _leaves_below(self, root: Node) -> list[str]:
        """The names in a node, without what lies below held nodes."""
        names: list[str] = []
        seen: set[int] = set()
        stack = [root]
        while stack:
            node = stack.pop()
            if node.id in seen or node.id in self._held:
                continue
            seen.add(node.id)
            if node.op.name == "name":
                names.append(node.params[0])
            stack.extend(node.args)
        return names

    def _run(self, root: Node) -> Ends:
        done = self._done
        if root.id in done:
            return done[root.id]
        for node in postorder([root]):
            if node.id in done:
                continue
            if node.op.name == "name":
                name = node.params[0]
                if name in self._names:
                    done[node.id] = self._names[name]
                continue
            if any(a.id not in done for a in node.args):
                continue  # below a held node
            done[node.id] = self.apply(node, [done[a.id] for a in node.args])
        return done[root.id]

    def apply(self, node: Node, args: list[Ends]) -> Ends:
        """One operator over intervals."""
        if len(args) > 1:
            lows = align(node, [low for low, _ in args])
            highs = align(node, [high for _, high in args])
            args = list(zip(lows, highs, strict=True))
        if all(low is high for low, high in args):
            value = node.op.numeric(self.xp, node, [low for low, _ in args])
            return value, value
        low, high = RULES.get(node.op.name, _sampled)(self, node, args)
        low = np.where(np.isnan(low) & ~np.isnan(high), -np.inf, low)
        return low, np.where(np.isnan(high) & np.isfinite(low), np.inf, high)


class _Sized:
    """Float64 with the sizes of the dimension names."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = dict(sizes)
        for name in ("exact", "const", "array", "full", "apply", "power", "truth", "inv", "det"):
            setattr(self, name, getattr(FLOAT64, name))


# --- how intervals go through operators --------------------------------------------------------


def _isotone(run: IntervalEvaluator, node: Node, args: list[Ends]) -> Ends:
    numeric = node.op.numeric
    return (
        numeric(run.xp, node, [low for low, _ in args]),
        numeric(run.xp, node, [high for _, high in args]),
    )


def _neg(run: IntervalEvaluator, node: Node, args: list[Ends]) -> Ends:
    ((low, high),) = args
    return -high, -low


def _sub(run: IntervalEvaluator, node: Node, args: list[Ends]) -> Ends:
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


def _mul(run: IntervalEvaluator, node: Node, args: list[Ends]) -> Ends:
    (a, b), (c, d) = args
    if node.args[0] is node.args[1]:
        return _even(a, b, lambda x: x * x)
    return _corners(_times(a, c), _times(a, d), _times(b, c), _times(b, d))


def _div(run: IntervalEvaluator, node: Node, args: list[Ends]) -> Ends:
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


def _abs(run: IntervalEvaluator, node: Node, args: list[Ends]) -> Ends:
    return _even(*args[0], np.abs)


def _pow(run: IntervalEvaluator, node: Node, args: list[Ends]) -> Ends:
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
        return _sampled(run, node, args)
    return _corners(np.power(a, c), np.power(a, d), np.power(b, c), np.power(b, d))


def _softmax(run: IntervalEvaluator, node: Node, args: list[Ends]) -> Ends:
    """Entry i rises with its own score and falls with every other."""
    ((low, high),) = args
    axis = node.params[0] - len(node.shape)
    top = np.max(high, axis=axis, keepdims=True)
    a, b = np.exp(low - top), np.exp(high - top)
    sa, sb = np.sum(a, axis=axis, keepdims=True), np.sum(b, axis=axis, keepdims=True)
    return a / (a + (sb - b)), b / (b + (sa - a))


def _where(run: IntervalEvaluator, node: Node, args: list[Ends]) -> Ends:
    (p, q), (a, b), (c, d) = args
    true, false = (p != 0) & (q != 0), (p == 0) & (q == 0)
    low = np.where(true, a, np.where(false, c, np.minimum(a, c)))
    return low, np.where(true, b, np.where(false, d, np.maximum(b, d)))


def _compare(run: IntervalEvaluator, node: Node, args: list[Ends]) -> Ends:
    (a, b), (c, d) = args
    always, never = {
        "gt": (a > d, b <= c), "ge": (a >= d, b < c), "lt": (b < c, a >= d), "le": (b <= c, a > d),
        "eq": ((a == b) & (c == d) & (a == c), (b < c) | (a > d)),
        "ne": ((b < c) | (a > d), (a == b) & (c == d) & (a == c)),
    }[node.op.name]  # fmt: skip
    return np.where(always, 1.0, 0.0), np.where(never, 0.0, 1.0)


def _matmul(run: IntervalEvaluator, node: Node, args: list[Ends]) -> Ends:
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


def _multilinear(run: IntervalEvaluator, node: Node, args: list[Ends]) -> Ends:
    """Linear in each argument: f(m) ± (f(|m| + r) − f(|m|)), with midpoints m and radii r."""
    middle = [(low + high) / 2 for low, high in args]
    size = [np.abs(m) for m in middle]
    reach = [s + (high - low) / 2 for s, (low, high) in zip(size, args, strict=True)]
    numeric = node.op.numeric
    centre = numeric(run.xp, node, middle)
    radius = numeric(run.xp, node, reach) - numeric(run.xp, node, size)
    return centre - radius, centre + radius


def _reduce(run: IntervalEvaluator, node: Node, args: list[Ends]) -> Ends:
    if node.params[0] == "prod" and (args[0][0] < 0).any():
        return _sampled(run, node, args)
    if len(args) == 2 and (args[1][0] != args[1][1]).any():
        return _sampled(run, node, args)
    return _isotone(run, node, args)


def _prod(run: IntervalEvaluator, node: Node, args: list[Ends]) -> Ends:
    return _isotone(run, node, args) if (args[0][0] >= 0).all() else _sampled(run, node, args)


def _sampled(run: IntervalEvaluator, node: Node, args: list[Ends]) -> Ends:
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
        if defined(found):
            low, high = np.minimum(low, found), np.maximum(high, found)
    return low, high


RULES: dict[str, Rule] = {
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
