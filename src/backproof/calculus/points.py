"""Random points of the declared domain: sizes for the dimensions, values for the leaves.

Symbolic dimensions get different sizes, none of them 1 and none equal to a number that stands in
the sheet. Values are drawn as decimals, so that the high-precision witness and double precision
look at exactly the same point, and so that what a set promises holds to the last digit.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from backproof.calculus.evaluate import Evaluator
from backproof.calculus.model import Fact, Model
from backproof.operators.arithmetic import DECIMALS, decimal_context
from backproof.operators.dims import Dim
from backproof.operators.node import Node

Array = Any
MOST_SHARED = 50_000  # numbers that a shared evaluator may hold when it is asked again


@dataclass(frozen=True, slots=True)
class Point:
    """One point: sizes of the dimension names, and the leaves' arrays in both arithmetics.

    `large` points hold arrays too big for decimals; they exist in double precision only.
    """

    sizes: Mapping[str, int]
    exact: Mapping[str, Array]
    floats: Mapping[str, Array]
    large: bool = False
    _shared: dict[Any, Evaluator] = field(default_factory=dict, compare=False, repr=False)

    def evaluator(self, model: Model, *, exact: bool) -> Evaluator:
        """An evaluator at this point (use exact ones inside `decimal_context()`)."""
        values = self.exact if exact else self.floats
        return Evaluator(self.sizes, values, model.definitions, exact=exact)

    def shared(self, model: Model, *, exact: bool) -> Evaluator:
        """The evaluator at this point that all who only read values share.

        Exact ones belong inside `decimal_context()`, with its usual digits.
        """
        key = (id(model.definitions), exact)
        run = self._shared.get(key)
        if run is None or run.entries > MOST_SHARED:
            run = self.evaluator(model, exact=exact)
            if not self.large:
                self._shared[key] = run
        return run


def draw_sizes(model: Model, rng: random.Random, turn: int) -> dict[str, int]:
    """Different sizes of two or more for every dimension name that has no number.

    Over the *turn*s every name gets every size of a pool that has even and odd ones: what holds
    for even sizes only, such as det(-A) = det(A), is found out.
    """
    names: set[str] = set()
    taken: set[int] = set()
    for leaf in model.leaves.values():
        for d in model.graph.resolve_shape(leaf.shape):
            names |= d.names()
            if (n := d.as_int()) is not None:
                taken.add(n)
    names |= set(model.sheet.dimensions)
    sizes = model.number_sizes()
    free = sorted(n for n in names if n not in sizes)
    count = len(free) + 1
    pool = [k for k in range(2, 4 + count + len(taken)) if k not in taken]
    if len({k % 2 for k in pool[:count]}) == 2:
        chosen = pool[:count]
    else:
        chosen = [*pool[: count - 1], next(k for k in pool[count:] if (k + pool[0]) % 2)]
    rounds, start = divmod(turn, len(chosen))
    if rounds:
        rng.shuffle(chosen)
    sizes.update(zip(free, chosen[start:] + chosen[:start], strict=False))
    _make_positive(model, sizes, free)
    return sizes


def _make_positive(model: Model, sizes: dict[str, int], free: list[str]) -> None:
    """Raises sizes until every dimension, such as n - 2, is positive."""
    dims = {d for leaf in model.leaves.values() for d in model.graph.resolve_shape(leaf.shape)}
    for _ in range(12):
        low = [d for d in dims if d.names() and d.evaluate(sizes) < 1]
        if not low:
            return
        for name in {n for d in low for n in d.names()} & set(free):
            sizes[name] += 2


def draw_points(
    model: Model,
    count: int,
    seed: int = 0,
    *,
    fixed: Mapping[str, Array] | None = None,
) -> list[Point]:
    """At most *count* random points where the sheet's assumptions hold.

    fixed   exact arrays of leaves that keep their value
    """
    if fixed:
        return _Pool(model, seed, fixed).first(count)
    key = (seed, tuple(model.declared.items()))
    if key not in model.pools:
        model.pools[key] = _Pool(model, seed, {})
    return list(model.pools[key].first(count))


class _Pool:
    """The points of one seed, drawn when they are first asked for."""

    def __init__(self, model: Model, seed: int, fixed: Mapping[str, Array]) -> None:
        self.model, self.fixed = model, fixed
        self.rng = random.Random(seed)
        self.points: list[Point] = []
        self.tries = 0
        with decimal_context():
            self.conditions = conditions(model)

    def first(self, count: int) -> list[Point]:
        """The first *count* points, or fewer where the assumptions are hard to meet."""
        with decimal_context():
            while len(self.points) < count and self.tries < 60 * count:
                self.tries += 1
                point = self._next()
                if point is not None:
                    self.points.append(point)
        return self.points[:count]

    def _next(self) -> Point | None:
        model, fixed = self.model, self.fixed
        sizes = draw_sizes(model, self.rng, self.tries)
        exact = {
            name: fixed[name]
            if name in fixed
            else draw(fact, shape_at(model, name, sizes), self.rng, sizes)
            for name, fact in model.declared.items()
        }
        if self.conditions:
            from backproof.calculus.assumptions import satisfy

            moved = satisfy(model, self.conditions, sizes, exact, frozenset(fixed))
            if moved is None:
                return None
            exact = moved
        floats = {n: a.astype(np.float64) for n, a in exact.items()}
        return Point(sizes, exact, floats, large=any(a.dtype != object for a in exact.values()))


def conditions(model: Model) -> list[tuple[str, Node, Node]]:
    """The sheet's assumptions as (relation, left, right)."""
    result = []
    for assume in model.sheet.assumes:
        condition = assume.condition
        left, right = (model.node(a) for a in condition.args)  # type: ignore[union-attr]
        result.append((condition.op, left, right))  # type: ignore[union-attr]
    return result


def shape_at(model: Model, name: str, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(d.evaluate(sizes) for d in model.shape(name))


def _real(rng: random.Random) -> Decimal:
    return Decimal(round(rng.gauss(0, rng.choice(SPREADS)) * 10**5) or 1) / 10**5


def _fill(shape: tuple[int, ...], one: Any) -> Array:
    out = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        out[index] = one()
    return out


def draw(fact: Fact, shape: tuple[int, ...], rng: random.Random, sizes: Mapping[str, int]) -> Array:
    """A random array of decimals in a declared set. Call inside `decimal_context()`.

    Arrays of more than `LARGE` entries are float64.
    """
    if np.prod(shape) > LARGE:
        return _draw_large(fact, shape, rng)
    return _DRAW[fact.kind](fact, shape, rng, sizes)


LARGE = 4_000
SPREADS = (1.3, 0.9, 0.4)  # small numbers too, so that exponentials of sums stay in reach


def _draw_large(fact: Fact, shape: tuple[int, ...], rng: random.Random) -> Array:
    """The same in double precision, for shapes like 1000 × 2353."""
    fast = np.random.default_rng(rng.getrandbits(63))
    if fact.kind == "pos":
        return fast.uniform(0.15, 2.5, shape)
    if fact.kind == "interval":
        low, high = (float(b) for b in fact.bounds)
        return low + (high - low) * fast.uniform(0.04, 0.96, shape)
    if fact.kind == "labels":
        return fast.choice([float(b) for b in fact.bounds], shape)
    if fact.kind in ("onehot", "prob"):
        rows = np.atleast_2d(fast.uniform(0.15, 2.5, shape if shape[1] > 1 else (1, shape[0])))
        if fact.kind == "onehot":
            rows = np.eye(rows.shape[1])[rows.argmax(axis=1)]
        return (rows / rows.sum(axis=1, keepdims=True)).reshape(shape)
    x = fast.normal(0, 1.1, shape)
    if fact.kind == "sym":
        return (x + x.T) / 2
    if fact.kind == "posdef":
        return x @ x.T / shape[0] + np.eye(shape[0]) / 2
    if fact.kind == "diagonal":
        return x * np.eye(shape[0])
    if fact.kind == "orthogonal":
        return np.linalg.qr(x)[0]
    return x


def _draw_positive(f: Fact, s: tuple[int, ...], rng: random.Random, z: Any) -> Array:
    return _fill(s, lambda: Decimal(rng.randint(15_000, 250_000)) / 10**5)


def _draw_interval(f: Fact, s: tuple[int, ...], rng: random.Random, z: Any) -> Array:
    low, high = (DECIMALS.const(b) for b in f.bounds)
    return _fill(s, lambda: low + (high - low) * Decimal(rng.randint(4_000, 96_000)) / 10**5)


def _draw_labels(f: Fact, s: tuple[int, ...], rng: random.Random, z: Any) -> Array:
    return _fill(s, lambda: DECIMALS.const(Fraction(rng.choice(f.bounds))))


def _draw_onehot(f: Fact, s: tuple[int, ...], rng: random.Random, z: Any) -> Array:
    rows, classes = (1, s[0]) if s[1] == 1 else s
    out = np.full((rows, classes), Decimal(0), dtype=object)
    for r in range(rows):
        out[r, rng.randrange(classes)] = Decimal(1)
    return out.reshape(s)


def _draw_prob(f: Fact, s: tuple[int, ...], rng: random.Random, z: Any) -> Array:
    rows, classes = (1, s[0]) if s[1] == 1 else s
    out = _draw_positive(f, (rows, classes), rng, z)
    out = out / out.sum(axis=1, keepdims=True)
    out[:, -1] = 1 - out[:, :-1].sum(axis=1)
    return out.reshape(s)


def _draw_sym(f: Fact, s: tuple[int, ...], rng: random.Random, z: Any) -> Array:
    a = _fill(s, lambda: _real(rng))
    return (a + a.T) / 2


def _draw_posdef(f: Fact, s: tuple[int, ...], rng: random.Random, z: Any) -> Array:
    a = _fill(s, lambda: _real(rng))
    return a @ a.T + _identity(s[0]) / 2


def _draw_diagonal(f: Fact, s: tuple[int, ...], rng: random.Random, z: Any) -> Array:
    return _fill(s, lambda: _real(rng)) * _identity(s[0])


def _draw_orthogonal(f: Fact, s: tuple[int, ...], rng: random.Random, z: Any) -> Array:
    """A product of reflections, which is orthogonal to the last digit carried."""
    q = _identity(s[0])
    for _ in range(rng.choice((2, 3))):
        v = _fill((s[0], 1), lambda: _real(rng))
        q = q - 2 * (q @ v) @ v.T / (v.T @ v)[0, 0]
    return q


def _draw_range(f: Fact, s: tuple[int, ...], rng: random.Random, sizes: Any) -> Array:
    low, high = (b.evaluate(sizes) if isinstance(b, Dim) else int(b) for b in f.bounds)
    return _fill(s, lambda: Decimal(rng.randint(low, high)))


_DRAW: dict[str, Any] = {
    "real": lambda f, s, rng, z: _fill(s, lambda: _real(rng)),
    "pos": _draw_positive,
    "interval": _draw_interval,
    "labels": _draw_labels,
    "onehot": _draw_onehot,
    "prob": _draw_prob,
    "sym": _draw_sym,
    "posdef": _draw_posdef,
    "diagonal": _draw_diagonal,
    "orthogonal": _draw_orthogonal,
    "range": _draw_range,
}


def _identity(n: int) -> Array:
    out = np.full((n, n), Decimal(0), dtype=object)
    for k in range(n):
        out[k, k] = Decimal(1)
    return out


def on_kink(run: Evaluator, nodes: Iterable[Node], *, jumps: bool = False) -> bool:
    """Whether any piecewise operator below the nodes is evaluated exactly at its kink.

    jumps   points where an order of two numbers flips count too
    """
    from backproof.operators.node import postorder, quantities

    seen: set[str] = set()
    pending = list(nodes)
    while pending:
        batch, pending = pending, []
        for node in postorder(batch):
            if node.op.kinks is not None and not _rectified(run, node):
                for zero in node.op.kinks(node):
                    if (run.value(zero) == 0).any():
                        return True
            flips = node.op.jumps(node) if jumps and node.op.jumps is not None else ()
            if any((run.value(zero) == 0).any() for zero in flips):
                return True
        for name in quantities(batch) - seen:
            seen.add(name)
            if name in run.definitions:
                pending.append(run.definitions[name])
    return False


def _rectified(run: Evaluator, node: Node) -> bool:
    """Whether the argument is relu(z), by name or not: no kink but where z is zero."""
    if len(node.args) != 1:
        return False
    (inner,) = node.args
    while inner.name is not None and inner.name in run.definitions:
        inner = run.definitions[inner.name]
    return inner.op.rectifies
