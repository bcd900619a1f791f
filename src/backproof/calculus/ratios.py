"""Exact arithmetic of fractions of polynomials, kept in factors so that what cancels is seen.

A `Ratio` is a rational number times powers of polynomials over atoms (any hashable integers).
Sums are put over one denominator, expanded, and divided again by every factor that they may
contain. Knows nothing of nodes.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import gcd

Monomial = tuple[tuple[int, int], ...]  # (atom, exponent), sorted by atom
Poly = tuple[tuple[Monomial, int], ...]  # sorted; no zeros, no common divisor, so integers do
WIDEST = 60  # monomials that a sum may be expanded to


class TooWide(Exception):
    """An expansion would have more than `WIDEST` monomials."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """coefficient * product of polynomial**exponent; every polynomial is primitive."""

    coefficient: Fraction
    factors: tuple[tuple[Poly, int], ...] = ()


def constant(value: Fraction | int) -> Ratio:
    return Ratio(Fraction(value))


def atom(name: int) -> Ratio:
    return Ratio(Fraction(1), (((((((name, 1),), 1),)), 1),))


def times(a: Ratio, b: Ratio, idempotent: Container[int] = ()) -> Ratio:
    """The product; powers of idempotent atoms are those atoms."""
    if not a.coefficient or not b.coefficient:
        return Ratio(Fraction(0))
    exponents = dict(a.factors)
    for poly, e in b.factors:
        exponents[poly] = exponents.get(poly, 0) + e
    for poly, e in exponents.items():
        if e > 1 and (name := _single(poly)) is not None and name in idempotent:
            exponents[poly] = 1
    return _cancelled(Ratio(a.coefficient * b.coefficient, _ordered(exponents)))


def _cancelled(r: Ratio) -> Ratio:
    """Sums above the line divided by sums below it, where that is exact."""
    for top, e in r.factors:
        for bottom, f in r.factors if e > 0 and len(top) > 1 else ():
            if f < 0 and len(bottom) > 1 and (found := _divided(dict(top), bottom)):
                left = {**dict(r.factors), top: e - 1, bottom: f + 1}
                return times(Ratio(r.coefficient, _ordered(left)), _from_poly(found))
    return r


def to_power(a: Ratio, k: int) -> Ratio:
    """The k-th power; ZeroDivisionError for a negative power of zero."""
    return Ratio(a.coefficient**k, _ordered({p: e * k for p, e in a.factors}))


def common(terms: Sequence[Ratio]) -> Ratio:
    """What can be taken out of every term: content, shared factors, and denominators."""
    shared: dict[Poly, int] = {}
    for poly in {p for t in terms for p, _ in t.factors}:
        least = min(dict(t.factors).get(poly, 0) for t in terms)
        if least:
            shared[poly] = least
    content = _content([t.coefficient for t in terms])
    if all(t.coefficient < 0 for t in terms):
        content = -content
    return Ratio(content, _ordered(shared))


def shared(terms: Sequence[Ratio]) -> Ratio:
    """What every term has: content, common factors, and denominators that all of them have."""
    exponents: dict[Poly, int] = {}
    for poly, first in terms[0].factors:
        found = [dict(t.factors).get(poly, 0) for t in terms]
        if all(e * first > 0 for e in found):
            exponents[poly] = min(found, key=abs)
    content = _content([t.coefficient for t in terms])
    if all(t.coefficient < 0 for t in terms):
        content = -content
    return Ratio(content, _ordered(exponents))


def plus(terms: Sequence[Ratio], idempotent: Container[int] = ()) -> Ratio:
    """The sum over one denominator, with everything cancelled that divides it."""
    terms = [t for t in terms if t.coefficient]
    if not terms:
        return Ratio(Fraction(0))
    if len(terms) == 1:
        return terms[0]
    outside = common(terms)
    inverse = to_power(outside, -1)
    total: dict[Monomial, Fraction] = {}
    for t in terms:
        part = times(t, inverse)
        for monomial, k in _expanded(part, idempotent).items():
            total[monomial] = total.get(monomial, 0) + k * part.coefficient
    total = {m: c for m, c in total.items() if c}
    if not total:
        return Ratio(Fraction(0))
    result = outside
    for poly, e in outside.factors:
        while e < 0 and (quotient := _divided(total, poly)) is not None:
            total, e = quotient, e + 1
            result = times(result, Ratio(Fraction(1), ((poly, 1),)))
    return times(result, _from_poly(total), idempotent)


def polynomial(poly: Poly) -> list[tuple[int, Monomial]]:
    """The terms of a factor as one writes them: `1 - a`, `a - y`, `s - m + 1`."""
    terms = [(c, m) for m, c in poly]
    lone = sum(c > 0 for c, _ in terms) == 1

    def place(term: tuple[int, Monomial]) -> tuple[bool, bool, list[int]]:
        c, m = term
        return not m and not (lone and c > 0), c < 0, [name for name, _ in m]

    return sorted(terms, key=place)


def merged(terms: Sequence[Ratio]) -> list[Ratio]:
    """The terms with those of equal factors added up."""
    total: dict[tuple[tuple[Poly, int], ...], Fraction] = {}
    for t in terms:
        total[t.factors] = total.get(t.factors, Fraction(0)) + t.coefficient
    return [Ratio(c, f) for f, c in total.items() if c]


def _single(poly: Poly) -> int | None:
    if len(poly) == 1 and len(poly[0][0]) == 1 and poly[0][0][0][1] == 1:
        return poly[0][0][0][0]
    return None


def _ordered(exponents: Mapping[Poly, int]) -> tuple[tuple[Poly, int], ...]:
    return tuple(sorted((p, e) for p, e in exponents.items() if e))


def _content(values: Sequence[Fraction]) -> Fraction:
    top = reduce(gcd, (v.numerator for v in values))
    bottom = reduce(lambda a, b: a * b // gcd(a, b), (v.denominator for v in values))
    return Fraction(abs(top), bottom)


def _from_poly(total: Mapping[Monomial, Fraction]) -> Ratio:
    """A polynomial as a ratio: content, powers of atoms common to all, and what is left."""
    content = _content(list(total.values()))
    names = set.intersection(*(({n for n, _ in m}) for m in total)) if total else set()
    factors: dict[Poly, int] = {}
    rest = dict(total)
    for name in names:
        least = min(dict(m)[name] for m in rest)
        rest = {_less(m, name, least): c for m, c in rest.items()}
        factors[((((name, 1),), 1),)] = least
    if len(rest) == 1:
        (c,) = rest.values()
        return Ratio(c, _ordered(factors))
    first = min(rest)
    if rest[first] < 0:
        content = -content
    factors[tuple(sorted((m, int(c / content)) for m, c in rest.items()))] = 1
    return Ratio(content, _ordered(factors))


def _less(m: Monomial, name: int, k: int) -> Monomial:
    return tuple((n, e - k if n == name else e) for n, e in m if n != name or e != k)


def _joined(a: Monomial, b: Monomial, idempotent: Container[int]) -> Monomial:
    exponents = dict(a)
    for name, e in b:
        exponents[name] = exponents.get(name, 0) + e
    return tuple(sorted((n, 1 if n in idempotent else e) for n, e in exponents.items()))


def _expanded(r: Ratio, idempotent: Container[int]) -> dict[Monomial, int]:
    """The factors multiplied out, without the coefficient."""
    total: dict[Monomial, int] = {(): 1}
    for poly, e in r.factors:
        assert e > 0
        for _ in range(e):
            step: dict[Monomial, int] = {}
            for m, c in total.items():
                for n, d in poly:
                    key = _joined(m, n, idempotent)
                    step[key] = step.get(key, 0) + c * d
            total = step
            if len(total) > WIDEST:
                raise TooWide
    return total


def _divided(
    top: Mapping[Monomial, Fraction | int], bottom: Poly
) -> dict[Monomial, Fraction] | None:
    """The exact quotient of two polynomials, or None."""
    names = sorted({n for m in (*top, *(m for m, _ in bottom)) for n, _ in m})

    def order(m: Monomial) -> tuple[int, ...]:
        powers = dict(m)
        return tuple(powers.get(n, 0) for n in names)

    lead, first = max(bottom, key=lambda term: order(term[0]))
    rest, quotient = dict(top), dict[Monomial, Fraction]()
    while rest:
        m = max(rest, key=order)
        powers = dict(m)
        for name, e in lead:
            powers[name] = powers.get(name, 0) - e
        if any(e < 0 for e in powers.values()):
            return None
        part = tuple(sorted((n, e) for n, e in powers.items() if e))
        c = Fraction(rest[m], first)
        quotient[part] = quotient.get(part, Fraction(0)) + c
        for n, d in bottom:
            key = _joined(part, n, ())
            left = rest.get(key, 0) - c * d
            if left:
                rest[key] = left
            else:
                rest.pop(key, None)
    return quotient
