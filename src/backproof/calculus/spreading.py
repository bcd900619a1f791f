"""Sums in a proof of a bound: taken one term at a time, or averaged over the orders of indices."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import permutations
from math import factorial

from backproof.calculus.index import algebra
from backproof.calculus.index.labels import fresh, loosened
from backproof.calculus.index.powers import power
from backproof.calculus.index.signs import is_closed
from backproof.calculus.index.terms import (
    BOUND,
    ONE_MONO,
    Args,
    Expr,
    Head,
    Mono,
    Number,
    Size,
    const,
    number,
    single,
    total,
    var,
)

MOST_ORDERS = 24


def term_by_term(expr: Expr) -> Expr | None:
    """What is summed, where every term is a sum over the same indices."""
    sizes = {m[0] for m in expr.terms}
    if len(sizes) != 1 or sizes == {()}:
        return None
    result = const(0)
    for mono, c in expr.items():
        _, factors = loosened(mono)
        result = result + algebra.normal((), factors).scaled(c)
    return result


def one_by_one(expr: Expr) -> Iterator[Expr]:
    """What is summed over all indices, or over one that every term has."""
    opened = term_by_term(expr)
    if opened is not None:
        yield opened
    common = {s for s in next(iter(expr.terms), ONE_MONO)[0]}
    for size in sorted(common, key=str):
        if any(m[0].count(size) != 1 for m in expr.terms):
            continue
        (label,) = fresh(1, tuple(f for m in expr.terms for f in m[1]))
        parts = [freed_at(m, m[0].index(size), label).scaled(c) for m, c in expr.items()]
        result = total(parts)
        if result != opened:
            yield result


def freed_at(mono: Mono, at: int, label: str) -> Expr:
    """A term without its sum over the index *at*, which is called *label*."""
    labels, loose = loosened(mono, label)
    inner = algebra.normal((), loose)
    for b, (other, extent) in enumerate(zip(labels, mono[0], strict=True)):
        if b != at:
            inner = algebra.sum_over(inner, other, extent)
    return algebra.rename(inner, {labels[at]: var(label)})


def averaged(expr: Expr) -> Iterator[Expr]:
    """What is summed once every term is a sum over as many indices, averaged over their orders.

    A term with fewer indices takes n = Σ 1 or, beside a probability p, 1 = Σ p for the others.
    """
    expr = _times_sizes(expr)
    most: dict[Size, int] = {}
    for sizes, _ in expr.terms:
        for size in set(sizes):
            most[size] = max(most.get(size, 0), sizes.count(size))
    for more in (None, *most):
        counts = {size: n + (size == more) for size, n in most.items()}
        done = _average(expr, counts)
        if done is not None:
            yield done


def _average(expr: Expr, most: dict[Size, int]) -> Expr | None:
    wanted = [size for size, n in sorted(most.items(), key=str) for _ in range(n)]
    orders = 1
    for n in most.values():
        orders *= factorial(n)
    if not wanted or orders > MOST_ORDERS:
        return None
    labels = fresh(len(wanted), tuple(f for m in expr.terms for f in m[1]))
    first = dict(zip(reversed(wanted), reversed(labels), strict=True))
    weights: dict[tuple[Head, Args], None] = {}
    for m in expr.terms:
        for h, args, _ in m[1]:
            if h.kind == "T" and "prob" in h.facts and args[-1][0] == BOUND and not args[-1][2]:
                others = [var(first[m[0][a[1]]]) if a[0] == BOUND else a for a in args[:-1]]
                weights[(h, (*others, args[-1]))] = None
    parts: list[Expr] = []
    for mono, c in expr.items():
        spread = _spread(mono, wanted, labels, list(weights))
        if spread is None:
            return None
        parts.append(spread.scaled(c))
    inside = total(parts)
    groups = [[x for x, s in zip(labels, wanted, strict=True) if s == size] for size in most]
    turned = [inside]
    for group in groups:
        turned = [
            algebra.rename(e, {x: var(y) for x, y in zip(group, order, strict=True)})
            for e in turned
            for order in permutations(group)
        ]
    result = total(turned)
    return None if result == expr else result


def _times_sizes(expr: Expr) -> Expr:
    """*expr* times the dimensions that it is divided by."""
    lowest: dict[Head, Number] = {}
    for _, factors in expr.terms:
        for h, _, e in factors:
            if h.kind == "D" and e < 0:
                lowest[h] = min(e, lowest.get(h, 0))
    for h, e in lowest.items():
        expr = algebra.mul(expr, single(h, (), number(-e)))
    return expr


def _spread(
    mono: Mono, wanted: list[Size], labels: list[str], weights: list[tuple[Head, Args]]
) -> Expr | None:
    """The summand of a term as a sum over all of the *wanted* sizes."""
    own, loose = loosened(mono, *labels)
    left = list(zip(wanted, labels, strict=True))
    names: dict[str, str] = {}
    for label, size in zip(own, mono[0], strict=True):
        at = next((k for k, (s, _) in enumerate(left) if s == size), None)
        if at is None:
            return None
        names[label] = left.pop(at)[1]
    made = algebra.rename(algebra.normal((), loose), {x: var(y) for x, y in names.items()})
    for size, label in left:
        made_in = _with_index(made, size, label, weights)
        if made_in is None:
            return None
        made = made_in
    return made


def _with_index(
    made: Expr, size: Size, label: str, weights: list[tuple[Head, Args]]
) -> Expr | None:
    """A factor for one more index: 1/n for n terms, or probabilities that sum to one."""
    if isinstance(size, int):
        return made.scaled(Fraction(1, size))
    by = power(algebra.dim_expr(size), -1)
    divided = algebra.mul(made, by)
    if all(e > 0 for m in divided.terms for h, _, e in m[1] if h.kind == "D") and len(
        divided
    ) == len(made):
        return divided
    fitting = [
        single(head, (*args[:-1], var(label)))
        for head, args in weights
        if head.sizes[-1] == size and is_closed(args[:-1])
    ]
    fitting = list(dict.fromkeys(fitting))
    if not fitting:
        return None
    return algebra.mul(made, total(fitting)).scaled(Fraction(1, len(fitting)))
