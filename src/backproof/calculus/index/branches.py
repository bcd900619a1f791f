"""Two fallbacks of the zero test: all sign patterns of indicators, and equal radicals.

An expression in indicators [u > 0], [v > 0], … vanishes if it does for every pattern of zeros and
ones that can occur; a pattern is left out only when its inequalities contradict each other, as
u > 0, v > 0, u + v < 0 do. Two products of roots are equal when both are positive and their
squares are: sqrt(A) sqrt(B) = sqrt(AB).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import combinations
from math import lcm

from backproof.calculus.index.algebra import ipow, mul, normal, opened, power_hook
from backproof.calculus.index.budget import tick
from backproof.calculus.index.signs import UNKNOWN, is_closed, sign_of
from backproof.calculus.index.terms import (
    ONE_MONO,
    Args,
    Expr,
    Factor,
    Head,
    Number,
    number,
    total,
)

MOST_SIGNS = 7


def every_pattern(expr: Expr, holds: Callable[[Expr], bool]) -> bool:
    """Whether *holds* is true of the expression under every possible pattern of its indicators."""
    atoms: list[tuple[Head, Args]] = []
    for _, factors in expr.terms:
        for h, a, e in factors:
            if h.kind == "B" and e == 1 and is_closed(a) and (h, a) not in atoms:
                atoms.append((h, a))
    if not 2 <= len(atoms) <= MOST_SIGNS:
        return False
    atoms.sort()
    bodies = [opened(h, a) for h, a in atoms]

    def branch(at: int, current: Expr, positive: list[Expr]) -> bool:
        tick()
        if current.is_zero:
            return True
        if at == len(atoms):
            return holds(current)
        for value in (1, 0):
            known = bodies[at] if value else -bodies[at]
            if _contradicts(known, positive):
                continue
            if not branch(at + 1, _set(current, atoms[at], value), [*positive, known]):
                return False
        return True

    return branch(0, expr, [])


def _contradicts(new: Expr, known: list[Expr]) -> bool:
    """Whether new > 0 together with one or two of the known positives is impossible."""
    for count in (1, 2):
        for chosen in combinations(known, count):
            for scale in _scales(new, chosen):
                if sign_of(-(total([new.scaled(scale), *chosen]))) != UNKNOWN:
                    return True
    return False


def _scales(new: Expr, chosen: tuple[Expr, ...]) -> list[Number]:
    scales: list[Number] = [1]
    for mono, c in new.terms.items():
        if mono == ONE_MONO:
            continue
        for other in chosen:
            k = other.terms.get(mono)
            if k is not None and (k > 0) != (c > 0):
                scale = number(Fraction(-k) / c)
                if scale not in scales:
                    scales.append(scale)
    return scales[:4]


def _set(expr: Expr, atom: tuple[Head, Args], value: int) -> Expr:
    parts: list[Expr] = []
    for (sizes, factors), c in expr.terms.items():
        rest = tuple([f for f in factors if f[:2] != atom])
        if len(rest) == len(factors):
            parts.append(Expr({(sizes, factors): c}))
        elif value:
            parts.append(normal(sizes, rest).scaled(c))
    return total(parts)


def one_radical_each(expr: Expr) -> Expr:
    """The expression with products of roots that are equal written as one."""
    groups: dict[tuple[Factor, ...], list[Expr]] = {}
    for (sizes, factors), c in expr.terms.items():
        roots = tuple(
            f
            for f in factors
            if f[0].kind in "PN" and not isinstance(f[2], int) and is_closed(f[1])
        )
        rest = tuple(f for f in factors if f not in roots)
        groups.setdefault(roots, []).append(normal(sizes, rest).scaled(c))
    if len(groups) < 2:
        return expr
    keys = list(groups)
    representative: dict[tuple[Factor, ...], tuple[Factor, ...]] = {}
    for k, roots in enumerate(keys):
        representative[roots] = roots
        for other in keys[:k]:
            if representative[other] == other and _same(roots, other):
                representative[roots] = other
                break
    if all(a == b for a, b in representative.items()):
        return expr
    return total(
        [mul(normal((), representative[roots]), total(parts)) for roots, parts in groups.items()]
    )


def _same(one: tuple[Factor, ...], two: tuple[Factor, ...]) -> bool:
    if not one or not two:
        return False
    whole = lcm(*[Fraction(e).denominator for _, _, e in (*one, *two)])
    if whole > 4:
        return False
    tick()
    sides: list[Expr] = []
    for above, below in ((one, two), (two, one)):
        side = [(h, a, number(e * whole)) for h, a, e in above if e > 0]
        side += [(h, a, number(-e * whole)) for h, a, e in below if e < 0]
        value = normal((), ())
        for h, a, e in side:
            base = opened(h, a) if h.kind == "P" else normal((), ((h, a, 1),))
            value = mul(value, ipow(base, int(e)) if h.kind == "P" else power_hook[0](base, e))
        sides.append(value)
    return sides[0] == sides[1]
