"""Rational powers, logarithms and exponentials.

A sum under a power is made *primitive* first: what all its terms share is taken out, so that
`1 + exp(-z)` and `1 + exp(z)` meet in one base. Exponentials are products of one generator for
each term of the exponent, so `exp(a)*exp(b) = exp(a + b)` is merging exponents. `log` stands for
log|.|, a homomorphism without conditions; both sides of a claim are compared only where defined.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from math import gcd, isqrt, lcm

from backproof.calculus.index.algebra import (
    ipow,
    mul,
    normal,
    opened,
    opened_over,
    power_hook,
    product,
    rebuilders,
    rename,
    sum_over,
)
from backproof.calculus.index.atoms import prime_head
from backproof.calculus.index.budget import tick
from backproof.calculus.index.canonical import components
from backproof.calculus.index.closing import close
from backproof.calculus.index.labels import loosened, renumbered
from backproof.calculus.index.signs import (
    POSITIVE,
    UNKNOWN,
    atom_sign,
    is_closed,
    sign_of,
    zero_one,
)
from backproof.calculus.index.terms import (
    BOUND,
    ONE,
    ZERO,
    Args,
    Expr,
    Factor,
    Head,
    Mono,
    Number,
    const,
    magnitude,
    number,
    single,
    total,
    var,
)


class Undefined(Exception):
    """The expression has no value anywhere, such as 1/0."""


MOST_CASES = 5
LARGEST_TRIAL = 5000
LARGEST_POWER = 24


# --- content -------------------------------------------------------------------------------------


def rational_content(expr: Expr) -> Number:
    """The positive rational that leaves coprime whole coefficients."""
    above, below = 0, 1
    for c in expr.terms.values():
        above = gcd(above, c.numerator)
        below = lcm(below, c.denominator)
    return number(Fraction(above, below))


@lru_cache(maxsize=8_000)
def content(expr: Expr, full: bool) -> tuple[Number, tuple[Factor, ...], tuple[Mono, ...], Expr]:
    """(rational, common atoms, common sums, primitive rest), whose product is the expression.

    Without *full* only what is certainly positive is taken out, as fractional powers need.
    """
    rational = rational_content(expr)
    expr = expr.scaled(number(Fraction(1) / rational))
    common: dict[tuple[Head, Args], Number] = {}
    first = True
    for _, factors in expr.terms:
        mine = {(h, a): e for h, a, e in factors if is_closed(a) and not zero_one(h)}
        if first:
            common, first = mine, False
            continue
        for key, e in list(common.items()):
            common[key] = min(e, mine.get(key, 0))
        for key, e in mine.items():
            if key not in common:
                common[key] = min(e, 0)
    taken: list[Factor] = []
    for (h, a), e in common.items():
        if e and (full or atom_sign(h, a, 1) == POSITIVE or (h.kind == "P" and e < 0)):
            if not full and h.kind == "P" and atom_sign(h, a, e) == UNKNOWN:
                continue
            taken.append((h, a, e))
    if taken:
        inverse = normal((), tuple([(h, a, -e) for h, a, e in taken]))
        expr = mul(expr, inverse)
        more: Number = rational_content(expr) if expr.terms else 1
        if more != 1:
            rational = number(rational * more)
            expr = expr.scaled(number(Fraction(1) / more))
    sums: tuple[Mono, ...] = ()
    if len(expr.terms) > 1:
        sums, expr = _common_sums(expr, full)
    return rational, tuple(taken), sums, expr


def parts_of(mono: Mono) -> tuple[list[Mono], tuple[Factor, ...]]:
    """(the connected sums of a monomial, each on its own; the factors outside all sums)."""
    parts, loose = components(mono[0], mono[1])
    out: list[Mono] = []
    for labels, factors in parts:
        names = {b: k for k, b in enumerate(labels)}
        made = normal(tuple(mono[0][b] for b in labels), renumbered(tuple(factors), names))
        if len(made.terms) != 1:
            return [mono], ()
        ((own, c),) = made.terms.items()
        if c != 1:
            return [mono], ()
        out.append(own)
    return out, tuple(loose)


def _common_sums(expr: Expr, full: bool) -> tuple[tuple[Mono, ...], Expr]:
    if not all(m[0] for m in expr.terms):
        return (), expr
    rows = [(parts_of(m), c) for m, c in expr.terms.items()]
    shared = list(rows[0][0][0])
    for (parts, _), _c in rows[1:]:
        left = list(parts)
        kept: list[Mono] = []
        for part in shared:
            if part in left:
                left.remove(part)
                kept.append(part)
        shared = kept
    shared = [m for m in shared if full or sign_of(Expr({m: 1})) != UNKNOWN]
    if not shared:
        return (), expr
    out: list[Expr] = []
    for (parts, loose), c in rows:
        left = list(parts)
        for part in shared:
            left.remove(part)
        pieces = [Expr({m: 1}) for m in left]
        out.append(mul(normal((), loose), product(pieces)).scaled(c))
    return tuple(shared), total(out)


# --- cases ---------------------------------------------------------------------------------------


def by_cases(expr: Expr, f: Callable[[Expr], Expr]) -> Expr | None:
    """f of an expression with {0,1}-valued atoms, split by their values; None if it has none.

    f(A + q B) = q f(A + B) + (1 - q) f(A), and f(sum_k y_k g_k + A) = sum_k y_k f(g_k + A) for a
    one-hot row y. A case in which f has no value leaves the whole unsplit.
    """
    picks: list[tuple[Head, Args]] = []
    rows: list[tuple[Head, Args]] = []
    for sizes, factors in expr.terms:
        for h, a, e in factors:
            if e != 1:
                continue
            if is_closed(a) and (zero_one(h) or (h.kind == "T" and "signs" in h.facts)):
                if (h, a) not in picks:
                    picks.append((h, a))
            elif h.kind == "T" and "onehot" in h.facts and is_closed(a[:-1]):
                last = a[-1]
                whole = last[0] == BOUND and not last[2] and sizes[last[1]] == h.sizes[-1]
                if whole and (h, a[:-1]) not in rows:
                    rows.append((h, a[:-1]))
    if (not picks and not rows) or len(picks) > MOST_CASES:
        return None
    tick()
    try:
        if picks:
            head, args = min(picks)
            if head.kind == "T" and "signs" in head.facts:
                plus, minus = f(_at(expr, head, args, 1)), f(_at(expr, head, args, -1))
                half = mul(single(head, args), plus - minus) + plus + minus
                return half.scaled(Fraction(1, 2))
            one, none = f(_at(expr, head, args, 1)), f(_at(expr, head, args, 0))
            return mul(normal((), ((head, args, 1),)), one - none) + none
        return _selected(expr, min(rows), f)
    except Undefined:
        return None


def _at(expr: Expr, head: Head, args: Args, value: int) -> Expr:
    """The expression with one atom set to a value."""
    kept: list[Expr] = []
    for (sizes, factors), c in expr.terms.items():
        rest = tuple([f for f in factors if f[0] != head or f[1] != args])
        if len(rest) == len(factors):
            kept.append(Expr({(sizes, factors): c}))
        elif value:
            kept.append(normal(sizes, rest).scaled(c * value))
    return total(kept)


def _selected(expr: Expr, row: tuple[Head, Args], f: Callable[[Expr], Expr]) -> Expr:
    head, lead = row
    chosen: list[Expr] = []
    label = "%0"
    taken = expr.free
    k = 0
    while label in taken:
        k += 1
        label = f"%{k}"
    for mono, c in expr.terms.items():
        labels, loose = loosened(mono, *taken, label)
        at = next(
            (
                k
                for k, (h, a, e) in enumerate(loose)
                if h == head and a[:-1] == lead and e == 1 and a[-1][1] in labels
            ),
            None,
        )
        if at is None:
            chosen.append(Expr({mono: c}))
            continue
        mine = loose[at][1][-1][1]
        rest = tuple(x for k, x in enumerate(loose) if k != at)
        part = normal((), rest)
        for name, extent in zip(labels, mono[0], strict=True):
            if name != mine:
                part = sum_over(part, name, extent)
        chosen.append(rename(part, {mine: var(label)}).scaled(c))
    inner = f(total(chosen))
    picked = normal((), ((head, (*lead, var(label)), 1),))
    return sum_over(mul(picked, inner), label, head.sizes[-1])


# --- powers --------------------------------------------------------------------------------------


@lru_cache(maxsize=8_000)
def power(expr: Expr, r: Number) -> Expr:
    """expr ** r for a rational r, wherever that is defined."""
    r = number(r)
    if isinstance(r, int) and 0 <= r <= LARGEST_POWER:
        return ipow(expr, r)
    if not expr.terms:
        if r < 0:
            raise Undefined
        return ZERO
    tick()
    k = expr.constant
    if k is not None:
        return _number_power(k, r)
    if len(expr.terms) == 1:
        ((mono, c),) = expr.terms.items()
        return _term_power(mono, c, r)
    cases = by_cases(expr, lambda e: power(e, r))
    if cases is not None:
        return cases
    whole = isinstance(r, int)
    rational, common, sums, prim = content(expr, whole)
    result = _number_power(rational, r)
    for h, a, e in common:
        result = mul(result, _factor_power(h, a, e, r))
    for mono in sums:
        result = mul(result, _base_power(Expr({mono: 1}), r))
    if len(prim.terms) <= 1:
        return mul(result, power(prim, r))
    root = square_root(prim)
    if root is not None:
        return mul(result, _square_power(root, r))
    return mul(result, _base_power(prim, r))


def _square_power(root: Expr, r: Number) -> Expr:
    """(root ** 2) ** r = |root| ** 2r."""
    up = number(2 * r)
    if isinstance(up, int):
        raised_ = power(root, up)
        return raised_ if up % 2 == 0 else mul(raised_, sign_hook[0](root))
    if sign_of(root) != UNKNOWN:
        return power(root, up)
    if sign_of(-root) != UNKNOWN:
        return power(-root, up)
    return _base_power(ipow(root, 2), r)


LONGEST_ROOT = 5


def square_root(expr: Expr) -> Expr | None:
    """q with q ** 2 = expr, found from the terms that are squares; None if there is no such sum."""
    if len(expr.terms) > LONGEST_ROOT * (LONGEST_ROOT + 1) // 2:
        return None
    roots = [q for q in (_term_root(m, c) for m, c in expr.terms.items()) if q is not None]
    if len(roots) * (len(roots) + 1) // 2 < len(expr.terms) or not len(roots) >= 2:
        return None
    if len(roots) > LONGEST_ROOT:
        return None
    first = roots[0]
    found = first
    for q in roots[1:]:
        cross = mul(first, q)
        if len(cross.terms) != 1:
            return None
        ((mono, _),) = cross.terms.items()
        c = expr.terms.get(mono)
        if c is None:
            return None
        found = found + (q if c > 0 else -q)
    return found if mul(found, found) == expr else None


def _term_root(mono: Mono, c: Number) -> Expr | None:
    if c <= 0:
        return None
    above, below = isqrt(c.numerator), isqrt(c.denominator)
    if above * above != c.numerator or below * below != c.denominator:
        return None
    sums, loose = parts_of(mono)
    if any(not isinstance(e, int) or e % 2 for _, _, e in loose):
        return None
    half: list[Expr] = [normal((), tuple([(h, a, number(e // 2)) for h, a, e in loose]))]
    for part in dict.fromkeys(sums):
        count = sums.count(part)
        if count % 2:
            return None
        half += [Expr({part: 1})] * (count // 2)
    return product(half).scaled(number(Fraction(above, below)))


def _factor_power(head: Head, args: Args, e: Number, r: Number) -> Expr:
    """(atom ** e) ** r: of an even power of something of either sign, the absolute value."""
    up = number(e * r)
    even = isinstance(e, int) and e % 2 == 0
    if isinstance(r, int) or not even or atom_sign(head, args, 1) != UNKNOWN:
        return normal((), ((head, args, up),))
    atom = normal((), ((head, args, 1),))
    if not isinstance(up, int):
        return power(ipow(atom, 2), number(up / 2))
    made = normal((), ((head, args, up),))
    return mul(made, sign_hook[0](atom)) if up % 2 else made


def _base_power(prim: Expr, r: Number) -> Expr:
    """A primitive sum as the base of a power."""
    whole = isinstance(r, int)
    body, args, sign, perms = close(prim, signed=whole)
    full = True
    if not whole and len(prim.terms) > 1:
        rational, common, sums, _ = content(prim, True)
        full = rational == 1 and not common and not sums
    head = Head.make("P", body=body, perms=perms, full=full)
    made = normal((), ((head, args, r),))
    return made if sign > 0 or r % 2 == 0 else -made


def _term_power(mono: Mono, c: Number, r: Number) -> Expr:
    whole = isinstance(r, int)
    sums, loose = parts_of(mono)
    if not whole and any(h.kind in "IBQLS" for h, _, _ in loose):
        cases = by_cases(Expr({mono: c}), lambda e: power(e, r))
        if cases is not None:
            return cases
    out = _number_power(magnitude(c), r)
    if whole:
        if c < 0 and r % 2:
            out = -out
        done = [(h, a, number(e * r)) for h, a, e in loose]
        if loose:
            out = mul(out, normal((), tuple(done)))
        for part in sums:
            out = mul(out, _base_power(Expr({part: 1}), r))
        return out
    unknown: list[Factor] = []
    for h, a, e in loose:
        up = number(e * r)
        known = atom_sign(h, a, e)
        if isinstance(e, int) and e % 2 == 0 and atom_sign(h, a, 1) == UNKNOWN:
            if h.kind != "P" and not isinstance(up, int):
                unknown.append((h, a, e))
                continue
            out = mul(out, _factor_power(h, a, e, r))
        elif known == UNKNOWN:
            unknown.append((h, a, e))
        else:
            out = mul(out, normal((), ((h, a, up),)))
    doubtful = [m for m in sums if sign_of(Expr({m: 1})) == UNKNOWN]
    for part in sums:
        if part not in doubtful:
            out = mul(out, _base_power(Expr({part: 1}), r))
    pieces = len(unknown) + len(doubtful)
    if pieces == 0:
        if c < 0:
            raise Undefined
        return out
    if pieces == 1 and c > 0:
        if unknown:
            ((h, a, e),) = unknown
            if h.kind in "TFVXRP" and e % 2:
                return mul(out, normal((), ((h, a, number(e * r)),)))
            return mul(out, _base_power(normal((), tuple(unknown)), r))
        return mul(out, _base_power(Expr({doubtful[0]: 1}), r))
    left = normal((), tuple(unknown))
    for part in doubtful:
        left = mul(left, Expr({part: 1}))
    return mul(out, _base_power(left if c > 0 else -left, r))


# sign(u), set by `functions`, which builds indicators on top of this module.
sign_hook: list[Callable[[Expr], Expr]] = []


def prime_factors(n: int) -> dict[int, int]:
    """The prime factorisation; a large part without small factors is left as it is."""
    found: dict[int, int] = {}
    p = 2
    while p * p <= n and p < LARGEST_TRIAL:
        while n % p == 0:
            found[p] = found.get(p, 0) + 1
            n //= p
        p += 1 if p == 2 else 2
    if n > 1:
        found[n] = found.get(n, 0) + 1
    return found


def _number_power(c: Number, r: Number) -> Expr:
    if c == 1:
        return ONE
    if c == 0 and r < 0:
        raise Undefined
    if isinstance(r, int):
        return const(number(Fraction(c) ** r))
    if c < 0:
        raise Undefined
    factors = [(prime_head(p), (), number(k * r)) for p, k in prime_factors(c.numerator).items()]
    factors += [
        (prime_head(p), (), number(-k * r)) for p, k in prime_factors(c.denominator).items()
    ]
    return normal((), tuple(factors))


# --- exp and log ---------------------------------------------------------------------------------


@lru_cache(maxsize=8_000)
def exp(expr: Expr) -> Expr:
    """The exponential: one generator for each term, its coefficient as the exponent."""
    cases = by_cases(expr, exp)
    if cases is not None:
        return cases
    return product([_exp_term(mono, c) for mono, c in expr.terms.items()])


def _exp_term(mono: Mono, c: Number) -> Expr:
    sizes, factors = mono
    if not sizes and len(factors) == 1:
        h, a, e = factors[0]
        if h.kind == "F" and h.name == "log" and e == 1:
            u = opened(h, a)
            if sign_of(u) != UNKNOWN or (isinstance(c, int) and c % 2 == 0):
                return power(u, c)
            if isinstance(c, int):
                return mul(power(u, c), sign_hook[0](u))
    body, args, _, perms = close(Expr({mono: 1}))
    return normal((), ((Head.make("F", "exp", body=body, perms=perms), args, c),))


@lru_cache(maxsize=8_000)
def log(expr: Expr) -> Expr:
    """log|expr|, spread over products and powers."""
    if not expr.terms:
        raise Undefined
    cases = by_cases(expr, log)
    if cases is not None:
        return cases
    rational, common, sums, prim = content(expr, True)
    out = [_log_number(rational)]
    out += [_log_atom(h, a).scaled(e) for h, a, e in common]
    out += [_log_opaque(Expr({m: 1})) for m in sums]
    if len(prim.terms) == 1:
        ((mono, c),) = prim.terms.items()
        parts, loose = parts_of(mono)
        out.append(_log_number(magnitude(c)))
        out += [_log_atom(h, a).scaled(e) for h, a, e in loose]
        out += [_log_opaque(Expr({m: 1})) for m in parts]
    else:
        out.append(_log_opaque(prim))
    return total(out)


def _log_number(c: Number) -> Expr:
    parts = []
    for n, sign in ((c.numerator, 1), (c.denominator, -1)):
        for p, k in prime_factors(n).items():
            parts.append(_log_opaque(const(p)).scaled(sign * k))
    return total(parts)


def _log_atom(head: Head, args: Args) -> Expr:
    if head.kind == "P":
        return _log_opaque(opened(head, args))
    if head.kind == "F" and head.name == "exp":
        return opened(head, args)
    if "signs" in head.facts:
        return ZERO
    if head.kind == "R" and head.name == "prod":
        labels, body = opened_over(head, args)
        over = log(body)
        for label, extent in zip(labels, head.sizes, strict=True):
            over = sum_over(over, label, extent)
        return over
    if head.kind == "N":
        return _log_opaque(const(int(head.name)))
    return _log_opaque(single(head, args))


def _log_opaque(expr: Expr) -> Expr:
    body, args, _, perms = close(expr, signed=True)
    perms = tuple((p, 1) for p, _ in perms)
    return normal((), ((Head.make("F", "log", body=body, perms=perms), args, 1),))


power_hook.append(power)
rebuilders["P"] = lambda head, labels, body, args: body
