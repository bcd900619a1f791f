"""Elementwise functions: everything piecewise through indicators, everything sigmoid through exp.

`relu(u) = u [u > 0]`, `abs(u) = u (2 [u > 0] - 1)`, `max(u, v) = v + (u - v) [u - v > 0]`, and so
on. An indicator's argument is canonical up to a positive factor, `[-u > 0] = 1 - [u > 0]` (points
on the kink take no part in comparisons), and the indicator of a product is spelled out by its
factors. `sigmoid(u) = 1 - 1/(1 + exp(u))` and `tanh(u) = 1 - 2/(1 + exp(2u))`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

from backproof.calculus.index.algebra import (
    ipow,
    mul,
    normal,
    opened,
    pair_hook,
    rebuilders,
)
from backproof.calculus.index.budget import tick
from backproof.calculus.index.closing import close
from backproof.calculus.index.powers import (
    by_cases,
    content,
    exp,
    log,
    parts_of,
    power,
    sign_hook,
)
from backproof.calculus.index.signs import POSITIVE, UNKNOWN, atom_sign, sign_of, zero_one
from backproof.calculus.index.terms import (
    ONE,
    ONE_MONO,
    ZERO,
    Args,
    Expr,
    Head,
    Number,
    const,
    magnitude,
    number,
    var,
)

ODD = frozenset({"sin", "erf", "sinh", "asinh", "atan", "atanh", "asin"})
EVEN = frozenset({"cos", "cosh"})
MOST_ANGLES = 3
LARGEST_ANGLE = 4


# --- indicators ----------------------------------------------------------------------------------


@lru_cache(maxsize=8_000)
def ind(expr: Expr) -> Expr:
    """[expr > 0]."""
    k = expr.constant
    if k is not None:
        return ONE if k > 0 else ZERO
    cases = by_cases(expr, ind)
    if cases is not None:
        return cases
    if sign_of(expr) == POSITIVE:
        return ONE
    if sign_of(-expr) == POSITIVE:
        return ZERO
    _, common, sums, prim = content(expr, True)
    units: list[Expr] = []
    for h, a, e in common:
        if atom_sign(h, a, e) != POSITIVE:
            units.append(_unit(h, a, e))
    units += [_indicator(Expr({m: 1})) for m in sums]
    if len(prim.terms) == 1:
        ((mono, c),) = prim.terms.items()
        parts, loose = parts_of(mono)
        for h, a, e in loose:
            if zero_one(h):
                return _indicator(expr)
            if atom_sign(h, a, e) != POSITIVE:
                units.append(_unit(h, a, e))
        units += [_indicator(Expr({m: 1})) for m in parts]
        flip = c < 0
    else:
        flip = False
        units.append(_indicator(prim))
    result = ONE
    for unit in units:  # [ab > 0] = [a > 0][b > 0] + (1 - [a > 0])(1 - [b > 0])
        both = mul(result, unit)
        result = ONE - result - unit + both + both
    return ONE - result if flip else result


def _unit(head: Head, args: Args, e: Number) -> Expr:
    """The indicator of one atom to a power: an odd one has the sign of the atom."""
    if isinstance(e, int) and e % 2 == 0:  # zero where the atom is, which may be everywhere
        return _indicator(normal((), ((head, args, 2),)))
    atom = normal((), ((head, args, 1),))
    return ind(atom) if len(atom.terms) > 1 else _indicator(atom)


def _indicator(expr: Expr) -> Expr:
    known = sign_of(expr)
    if known == POSITIVE:
        return ONE
    body, args, sign, perms = close(expr, signed=True)
    made = normal((), ((Head.make("B", body=body, perms=perms), args, 1),))
    return made if sign > 0 else ONE - made


@lru_cache(maxsize=8_000)
def _pair(h1: Head, a1: Args, h2: Head, a2: Args) -> str:
    names = {a: k for k, a in enumerate(dict.fromkeys([*a1, *a2]))}
    first = opened(h1, tuple(var(f"%{names[a]}") for a in a1))
    second = opened(h2, tuple(var(f"%{names[a]}") for a in a2))
    shared = [m for m in first.terms if m in second.terms and m != ONE_MONO]
    scales: list[Number] = [1]
    for m in shared[:3]:
        ratio = number(Fraction(second.terms[m]) / first.terms[m])
        if magnitude(ratio) not in scales:
            scales.append(magnitude(ratio))
    for scale in scales:
        u, v = first.scaled(scale), second
        gap, sum_ = u - v, u + v
        if sign_of(gap) == POSITIVE:
            return "second"
        if sign_of(-gap) == POSITIVE:
            return "first"
        if sign_of(-sum_) == POSITIVE:
            return "zero"
        if sign_of(sum_) == POSITIVE:
            return "cover"
    return ""


pair_hook.append(_pair)


@lru_cache(maxsize=8_000)
def eq(expr: Expr) -> Expr:
    """[expr == 0]."""
    k = expr.constant
    if k is not None:
        return ZERO if k else ONE
    cases = by_cases(expr, eq)
    if cases is not None:
        return cases
    if sign_of(expr) == POSITIVE or sign_of(-expr) == POSITIVE:
        return ZERO
    body, args, _, perms = close(content(expr, False)[3], signed=True)
    perms = tuple((p, 1) for p, _ in perms)
    return normal((), ((Head.make("Q", body=body, perms=perms), args, 1),))


def sign(expr: Expr) -> Expr:
    """1 where positive, -1 where negative."""
    return ind(expr).scaled(2) - ONE


def absolute(expr: Expr) -> Expr:
    """|expr|."""
    if sign_of(expr) != UNKNOWN:
        return expr
    return mul(expr, sign(expr))


def relu(expr: Expr) -> Expr:
    """max(0, expr)."""
    return mul(expr, ind(expr))


def maximum(a: Expr, b: Expr) -> Expr:
    """The larger of two."""
    return b + relu(a - b)


def minimum(a: Expr, b: Expr) -> Expr:
    """The smaller of two."""
    return a - relu(a - b)


def where(condition: Expr, a: Expr, b: Expr) -> Expr:
    """a where the {0,1}-valued condition holds, else b."""
    return b + mul(condition, a - b)


sign_hook.append(sign)


# --- sigmoid and its relatives --------------------------------------------------------------------


def sigmoid(expr: Expr) -> Expr:
    """1/(1 + exp(-u)), kept as 1 - 1/(1 + exp(u))."""
    cases = by_cases(expr, sigmoid)
    return cases if cases is not None else ONE - power(ONE + exp(expr), -1)


def tanh(expr: Expr) -> Expr:
    """2 sigmoid(2u) - 1."""
    return sigmoid(expr.scaled(2)).scaled(2) - ONE


def softplus(expr: Expr) -> Expr:
    """log(1 + exp(u))."""
    return log(ONE + exp(expr))


# --- functions that stay atoms -------------------------------------------------------------------


def func(name: str, expr: Expr) -> Expr:
    """A named elementwise function. Unknown names are opaque: equal only on equal arguments."""
    known = _KNOWN.get(name)
    return known(expr) if known is not None else _atom(name, expr)


@lru_cache(maxsize=8_000)
def _atom(name: str, expr: Expr) -> Expr:
    k = expr.constant
    if k is not None:
        if k == 0 and name in ODD:
            return ZERO
        if k == 0 and name in EVEN:
            return ONE
        if name == "floor":
            return const(k.__floor__())
    cases = by_cases(expr, lambda e: _atom(name, e))
    if cases is not None:
        return cases
    if name in ("sin", "cos"):
        return _angles(name, expr)
    both = name in ODD or name in EVEN
    body, args, sign_, perms = close(expr, signed=both)
    if name in EVEN:
        perms, sign_ = tuple((p, 1) for p, _ in perms), 1
    made = normal((), ((Head.make("F", name, body=body, perms=perms), args, 1),))
    return made if sign_ > 0 else -made


def _angles(name: str, expr: Expr) -> Expr:
    """Sine or cosine of a sum of few terms with small whole multiples, by the addition formulas."""
    terms = list(expr.terms.items())
    if len(terms) > MOST_ANGLES:
        return _trig(name, expr)
    if len(terms) == 1:
        ((mono, c),) = terms
        times = abs(c.numerator)
        if times > LARGEST_ANGLE:
            return _trig(name, expr)
        unit = Expr({mono: Fraction(1, c.denominator)})
        s, co = _trig("sin", unit), _trig("cos", unit)
        if c < 0:
            s = -s
        sn, cn = ZERO, ONE
        for _ in range(times):
            tick()
            sn, cn = mul(sn, co) + mul(cn, s), mul(cn, co) - mul(sn, s)
        return sn if name == "sin" else cn
    first, rest = Expr(dict(terms[:1])), Expr(dict(terms[1:]))
    s1, c1 = _angles("sin", first), _angles("cos", first)
    s2, c2 = _angles("sin", rest), _angles("cos", rest)
    return mul(s1, c2) + mul(c1, s2) if name == "sin" else mul(c1, c2) - mul(s1, s2)


def _trig(name: str, expr: Expr) -> Expr:
    expr = Expr({m: number(c) for m, c in expr.terms.items()})
    body, args, sign_, perms = close(expr, signed=True)
    if name == "cos":
        perms, sign_ = tuple((p, 1) for p, _ in perms), 1
    made = normal((), ((Head.make("F", name, body=body, perms=perms), args, 1),))
    return made if sign_ > 0 else -made


def _ceil(expr: Expr) -> Expr:
    return -_atom("floor", -expr)


def _sqrt(expr: Expr) -> Expr:
    return power(expr, Fraction(1, 2))


_KNOWN: dict[str, Callable[[Expr], Expr]] = {
    "exp": exp,
    "log": log,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "softplus": softplus,
    "relu": relu,
    "abs": absolute,
    "sign": sign,
    "step": ind,
    "sqrt": _sqrt,
    "square": lambda e: ipow(e, 2),
    "ceil": _ceil,
    "cosh": lambda e: (exp(e) + exp(-e)).scaled(Fraction(1, 2)),
    "sinh": lambda e: (exp(e) - exp(-e)).scaled(Fraction(1, 2)),
}


def symbolic_power(base: Expr, exponent: Expr) -> Expr:
    """base ** exponent = exp(exponent * log base) for a base that is positive, else opaque."""
    k = exponent.constant
    if k is not None:
        return power(base, k)
    if sign_of(base) == UNKNOWN:
        cases = by_cases(base, lambda e: symbolic_power(e, exponent))
        if cases is not None:
            return cases
    size = exp(mul(exponent, log(base)))
    if sign_of(base) != UNKNOWN:
        return size
    parity = _parity(exponent)
    if parity is None:
        # Where a power with an exponent that is not a whole number is defined, its base is
        # positive; at the remaining points nothing is claimed.
        return size
    # For a whole n and s = ±1: s ** n = (1 + (-1)**n)/2 + s (1 - (-1)**n)/2.
    even, odd = (ONE + parity).scaled(Fraction(1, 2)), (ONE - parity).scaled(Fraction(1, 2))
    return mul(size, even + mul(sign(base), odd))


def _parity(exponent: Expr) -> Expr | None:
    """(-1) ** exponent, for a polynomial of dimensions with whole coefficients."""
    result = ONE
    for (sizes, factors), c in exponent.terms.items():
        whole = all(h.kind == "D" and isinstance(e, int) and e > 0 for h, _, e in factors)
        if sizes or not whole or not isinstance(c, int):
            return None
        if c % 2 and not factors:
            result = -result
        elif c % 2:  # n ** 2 is odd where n is
            name = "(-1)^" + "·".join(str(h) for h, _, _ in factors)
            head = Head.make("T", name, facts=frozenset(("signs",)))
            result = mul(result, normal((), ((head, (), 1),)))
    return result


rebuilders["F"] = lambda head, labels, body, args: func(head.name, body)
rebuilders["B"] = lambda head, labels, body, args: ind(body)
rebuilders["Q"] = lambda head, labels, body, args: eq(body)
