"""Proofs of bounds: a certificate that an index expression is never negative.

What is tried, each step sound on its own: signs of the terms (squares, declared positive names,
exponentials); a name in (0, 1) written as s/(1 + s) with s positive; positive denominators
multiplied away; the terms of a sum over one index taken one by one; and negative terms covered
by two positive ones through x² + y² ≥ 2xy.
"""

from __future__ import annotations

from fractions import Fraction

from backproof.calculus.index import algebra, build
from backproof.calculus.index.budget import tick
from backproof.calculus.index.functions import ind
from backproof.calculus.index.labels import loosened
from backproof.calculus.index.powers import power
from backproof.calculus.index.signs import POSITIVE, UNKNOWN, atom_sign, mono_sign, sign_of
from backproof.calculus.index.terms import (
    FREE,
    LITERAL,
    ONE,
    ONE_MONO,
    Args,
    Expr,
    Factor,
    Head,
    Mono,
    Number,
    const,
    number,
)

MOST_TERMS = 120


def never_negative(expr: Expr, *, strictly: bool = False, cases: int = 4) -> bool:
    """Whether a certificate was found that *expr* >= 0 (> 0) at every point of the domain."""
    if _plainly(expr, strictly):
        return True
    if cases:
        for candidate in (expr, _term_by_term(expr)):
            split = None if candidate is None else _by_cases(candidate)
            if split is not None:
                return all(never_negative(c, strictly=strictly, cases=cases - 1) for c in split)
    return False


def _by_cases(expr: Expr) -> list[Expr] | None:
    """What *expr* is where a label is 0 or 1, or where a plain entry is positive or negative."""
    for _, factors in expr.terms:
        for head, args, _ in factors:
            if any(a[0] not in (FREE, LITERAL) for a in args):
                continue
            if head.kind == "T" and "binary" in head.facts:
                return [_with(expr, head, args, const(k)) for k in (0, 1)]
            entry = _entry_inside(head, args)
            if entry is not None:
                size = build.entry(
                    f"{entry[0].name}|", entry[1], entry[0].sizes, frozenset(("positive",))
                )
                return [_with(expr, *entry, size), _with(expr, *entry, -size)]
    return None


def _entry_inside(head: Head, args: Args) -> tuple[Head, Args] | None:
    """The entry whose sign an indicator asks for, where it is a plain one."""
    if head.kind != "B":
        return None
    body = algebra.opened(head, args)
    if len(body) != 1:
        return None
    ((sizes, factors),) = body.terms
    if sizes or len(factors) != 1 or factors[0][0].kind != "T" or factors[0][2] != 1:
        return None
    return factors[0][0], factors[0][1]


def _with(expr: Expr, head: Head, args: Args, value: Expr) -> Expr:
    """*expr* with one entry replaced, also inside indicators of that entry."""
    result = const(0)
    for (sizes, factors), c in expr.items():
        term = const(c)
        kept: list[Factor] = []
        for h, a, e in factors:
            if h == head and a == args and isinstance(e, int) and e > 0:
                term = algebra.mul(term, algebra.ipow(value, e))
            elif _entry_inside(h, a) == (head, args):
                term = algebra.mul(term, ind(value))
            else:
                kept.append((h, a, e))
        result = result + algebra.mul(algebra.normal(sizes, tuple(kept)), term)
    return result


def _plainly(expr: Expr, strictly: bool) -> bool:
    if _certain(expr, strictly):
        return True
    opened = _term_by_term(expr)
    if opened is not None and not strictly and _certain(opened, False):
        return True
    for candidate in (expr, opened):
        if candidate is None or len(candidate) > MOST_TERMS:
            continue
        cleared = _cleared(_without_units(candidate))
        if cleared is not None and _certain(cleared, strictly and candidate is expr):
            return True
    return False


def _certain(expr: Expr, strictly: bool) -> bool:
    if strictly:
        return _strict(expr)
    return sign_of(expr) != UNKNOWN or _covered(expr)


def _strict(expr: Expr) -> bool:
    """All terms are nonnegative, and one is positive at every point (not only almost all)."""
    if any(mono_sign(m, c) == UNKNOWN for m, c in expr.items()):
        return False
    return any(all(_always_positive(f) for f in m[1]) and c > 0 for m, c in expr.items())


def _always_positive(factor: Factor) -> bool:
    head, _args, _e = factor
    if head.kind == "T":
        return bool(head.facts & {"positive", "unit", "prob"})
    if head.kind in "DN" or (head.kind == "F" and head.name == "exp"):
        return True
    if head.kind == "P" and head.body is not None:
        return _strict(head.body)
    return False


def _term_by_term(expr: Expr) -> Expr | None:
    """What is summed, where every term is a sum over the same indices."""
    sizes = {m[0] for m in expr.terms}
    if len(sizes) != 1 or sizes == {()}:
        return None
    result = const(0)
    for mono, c in expr.items():
        _, factors = loosened(mono)
        result = result + algebra.normal((), factors).scaled(c)
    return result


def _without_units(expr: Expr) -> Expr:
    """Every name u in (0, 1) written as s/(1 + s), and the powers of 1 + s multiplied away."""
    units: dict[tuple[object, object], tuple[Factor, int]] = {}
    for _, factors in expr.terms:
        for head, args, e in factors:
            closed = all(a[0] in (FREE, LITERAL) for a in args)
            if (
                head.kind == "T"
                and "unit" in head.facts
                and closed
                and isinstance(e, int)
                and e > 0
            ):
                key = (head, args)
                top = max(e, units[key][1] if key in units else 0)
                units[key] = ((head, args, 1), top)
    for (head, args, _), top in units.values():
        s = build.entry(f"{head.name}~", args, head.sizes, frozenset(("positive",)))
        plus = ONE + s
        result = const(0)
        for (sizes, factors), c in expr.items():
            degree = sum(int(e) for h, a, e in factors if h == head and a == args)
            rest = tuple(f for f in factors if not (f[0] == head and f[1] == args))
            tick(len(result))
            term = Expr({(sizes, rest): c})
            term = algebra.mul(term, algebra.ipow(s, degree))
            result = result + algebra.mul(term, algebra.ipow(plus, top - degree))
        expr = result
    return expr


def _cleared(expr: Expr) -> Expr | None:
    """*expr* times positive powers of its positive denominators."""
    for _ in range(6):
        worst: tuple[Factor, Number] | None = None
        for _, factors in expr.terms:
            for head, args, e in factors:
                closed = all(a[0] in (FREE, LITERAL) for a in args)
                if head.kind == "P" and e < 0 and closed and atom_sign(head, args, 1) == POSITIVE:
                    worst = ((head, args, 1), e)
        if worst is None:
            return expr
        (head, args, _), e = worst
        up = number(-Fraction(e).__floor__())
        expr = algebra.mul(expr, power(algebra.opened(head, args), up))
        if len(expr) > MOST_TERMS:
            return None
    return expr


def _covered(expr: Expr) -> bool:
    """Negative terms covered by pairs of positive ones: a x² + b y² >= 2 √(ab) xy."""
    positive: dict[Mono, Fraction] = {}
    negative: list[tuple[Mono, Fraction]] = []
    for mono, c in expr.items():
        if mono[0]:
            return False
        if c > 0 and mono_sign(mono, c) != UNKNOWN:
            positive[mono] = Fraction(c)
        elif c < 0:
            negative.append((mono, Fraction(-c)))
        else:
            return False
    for mono, need in negative:
        square = _powers(mono, 2)
        for first in list(positive):
            second = _quotient(square, first)
            if second is None or second not in positive or first == second:
                continue
            a, b = positive[first], positive[second]
            # 2 √(a b) must reach `need`; take shares that multiply to need²/4
            if 4 * a * b < need * need:
                continue
            share = need * need / (4 * b)
            positive[first] -= share
            positive[second] -= b
            if positive[first] < 0:
                return False
            break
        else:
            return False
    return True


def _powers(mono: Mono, k: int) -> dict[tuple[object, object], Number]:
    return {(h, a): e * k for h, a, e in mono[1]}


def _quotient(square: dict[tuple[object, object], Number], by: Mono) -> Mono | None:
    left = dict(square)
    for h, a, e in by[1]:
        left[(h, a)] = number(left.get((h, a), 0) - e)
    factors = tuple(sorted((h, a, e) for (h, a), e in left.items() if e))
    return ((), factors) if factors else ONE_MONO  # type: ignore[return-value]
