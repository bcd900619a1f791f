"""Products, sums over an index, renaming: every monomial is brought into normal form here.

`normal` is the one door: a raw product of atoms with summed indices goes in, a canonical `Expr`
comes out. What it does, each step an identity of real numbers wherever both sides are defined:

* equal atoms merge their exponents; {0,1}-valued atoms are idempotent, {-1,1}-valued ones square to
  one; a sum raised to a positive whole power is expanded;
* deltas are eliminated: `sum_j d(i,j) f(j) = f(i)`, and `d(i,j) f(j) = d(i,j) f(i)`;
* a sum over an index that occurs nowhere is a factor of the dimension;
* declared facts: rows of a `onehot` or `prob` quantity sum to one, `y_k y_l = d(k,l) y_k` for a
  one-hot row, `sum_i Q_ij Q_ik = d(j,k)` for an orthogonal one, and so on;
* with S = lead + rest, `lead * S^e = S^(e+1) - rest * S^e` for negative e.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from fractions import Fraction
from functools import lru_cache

from backproof.calculus.index.atoms import (
    delta_head,
    dim_head,
    order_head,
)
from backproof.calculus.index.budget import tick
from backproof.calculus.index.canonical import canonical, oriented
from backproof.calculus.index.labels import freed, fresh, lifted, loosened, renumbered
from backproof.calculus.index.leads import lead_of, without_lead
from backproof.calculus.index.rules import (
    IDEMPOTENT,
    Raw,
    actual,
    inverse_rule,
    order_rule,
    relation,
    split_rule,
    tensor_rule,
    told,
    unsized,
)
from backproof.calculus.index.terms import (
    BOUND,
    FREE,
    LITERAL,
    ONE,
    ZERO,
    Args,
    Expr,
    Factor,
    Head,
    Ix,
    Mono,
    Number,
    Size,
    const,
    lit,
    number,
    plus_offset,
    put,
    single,
    total,
)

# How an atom with a body is made again after its indices or its body changed; filled by the
# modules that make such atoms. Arguments: the head, the labels that the atom abstracts, the body
# in terms of these and of the atom's own indices, the arguments.
rebuilders: dict[str, Callable[[Head, tuple[str, ...], Expr, Args], Expr]] = {}
# u ** r for any rational r; set by `powers`.
power_hook: list[Callable[[Expr, Number], Expr]] = []
# What two indicators say of each other; set by `functions`: "first" or "second" if their product
# is that one, "zero" if it vanishes, "cover" if one of them always holds, "" if nothing is known.
pair_hook: list[Callable[[Head, Args, Head, Args], str]] = []

_depth: ContextVar[int] = ContextVar("backproof_reduction_depth", default=0)
DEEPEST_REDUCTION = 24


def mul(a: Expr, b: Expr) -> Expr:
    """The product."""
    if len(a.terms) > len(b.terms):
        a, b = b, a
    k = a.constant
    if k is not None:
        return b.scaled(k)
    k = b.constant
    if k is not None:
        return a.scaled(k)
    out: dict[Mono, Number] = {}
    right = list(b.terms.items())
    for (sizes, factors), c in a.terms.items():
        start = len(sizes)
        for (sizes2, factors2), c2 in right:
            if start and sizes2:
                factors2 = lifted(factors2, start)
            tick(len(out))
            product = normal(sizes + sizes2, factors + factors2)
            for mono, c3 in product.terms.items():
                put(out, mono, number(c * c2 * c3))
    return Expr(out)


def product(parts: list[Expr]) -> Expr:
    """The product of many, small ones first."""
    result = ONE
    for part in sorted(parts, key=len):
        result = mul(result, part)
    return result


def ipow(base: Expr, exponent: int) -> Expr:
    """A whole, non-negative power, expanded."""
    result = ONE
    while exponent:
        if exponent & 1:
            result = mul(result, base)
        exponent >>= 1
        if exponent:
            base = mul(base, base)
    return result


def dim_expr(value: Size) -> Expr:
    """A dimension as an expression in its names."""
    if isinstance(value, int):
        return const(value)
    return total(
        product([single(dim_head(name)) for name in names]).scaled(c) for names, c in value.terms
    )


# --- the normal form of one monomial -------------------------------------------------------------


@lru_cache(maxsize=20_000)
def normal(sizes: tuple[Size, ...], factors: tuple[Factor, ...]) -> Expr:
    """The normal form of the product of *factors*, summed over indices of these *sizes*."""
    coefficient: Number = 1
    powers: dict[tuple[Head, Args], Number] = {}
    for head, args, e in factors:
        if head.perms:
            args, sign = oriented(head, args, e)
            if sign == 0:
                return ZERO
            coefficient *= sign
        if head.kind in "IL" and sizes:
            head = actual(head, args, sizes)
        key = (head, args)
        powers[key] = number(powers[key] + e) if key in powers else e
    special = False
    sine: tuple[Head, Args] | None = None
    expand: list[Factor] = []
    for key, e in list(powers.items()):
        head = key[0]
        kind = head.kind
        if e == 0:
            del powers[key]
        elif kind == "N":
            whole = e.__floor__()
            coefficient *= Fraction(int(head.name)) ** whole
            if e == whole:
                del powers[key]
            else:
                powers[key] = number(e - whole)
        elif kind == "P":
            if isinstance(e, int):
                if e > 0 or not head.full:
                    expand.append((head, key[1], e))
                    del powers[key]
            elif e > 1:
                expand.append((head, key[1], e.__floor__()))
                powers[key] = e - e.__floor__()
            special = True
        elif kind in IDEMPOTENT:
            if e > 0:
                powers[key] = 1
            special = True
        elif kind in "TX" and head.facts:
            facts = head.facts
            if e > 0 and ("onehot" in facts or "binary" in facts):
                powers[key] = 1
            elif "signs" in facts and isinstance(e, int):
                if e & 1:
                    powers[key] = 1
                else:
                    del powers[key]
            special = True
        elif kind == "V":
            special = True
        elif kind == "F" and head.name == "sin" and isinstance(e, int) and e > 1:
            sine = key
    if sine is not None and not expand:
        return _sine_squared(sizes, powers, sine).scaled(number(coefficient))
    if expand:
        return _expanded(sizes, powers, expand).scaled(number(coefficient))
    if special:
        simpler = _special(sizes, powers)
        if simpler is not None:
            return simpler.scaled(number(coefficient))
    used = {a[1] for _, args in powers for a in args if a[0] == BOUND}
    if len(used) < len(sizes):
        return _unused(sizes, powers, used).scaled(number(coefficient))
    mono, sign = canonical(sizes, tuple([(h, a, number(e)) for (h, a), e in powers.items()]))
    if not sign:
        return ZERO
    coefficient = number(coefficient * sign)
    if special:
        flipped = _flipped(mono)
        if flipped is not None:
            return flipped.scaled(coefficient)
    return Expr({mono: coefficient})


Powers = dict[tuple[Head, Args], Number]


def _factors(powers: Powers) -> tuple[Factor, ...]:
    return tuple([(h, a, e) for (h, a), e in powers.items()])


def _sine_squared(sizes: tuple[Size, ...], powers: Powers, key: tuple[Head, Args]) -> Expr:
    """sin(u)^2 = 1 - cos(u)^2: every product keeps at most one sine of an argument."""
    head, args = key
    e = powers[key]
    cosine = Head.make("F", "cos", body=head.body, perms=tuple((p, 1) for p, _ in head.perms))
    rest = {k: x for k, x in powers.items() if k != key}
    if e > 2:
        rest[key] = e - 2
    squared = dict(rest)
    squared[(cosine, args)] = squared.get((cosine, args), 0) + 2
    return normal(sizes, _factors(rest)) - normal(sizes, _factors(squared))


def _unused(sizes: tuple[Size, ...], powers: Powers, used: set[int]) -> Expr:
    """Summed indices that occur nowhere become factors of their dimension."""
    names: dict[int, int] = {}
    scale = ONE
    for b, extent in enumerate(sizes):
        if b in used:
            names[b] = len(names)
        else:
            scale = mul(scale, dim_expr(extent))
    kept = tuple(sizes[b] for b in sorted(names))
    return mul(scale, normal(kept, renumbered(_factors(powers), names)))


def _expanded(sizes: tuple[Size, ...], powers: Powers, expand: list[Factor]) -> Expr:
    """Positive whole powers of sums multiplied out."""
    factors = _factors(powers)
    labels = fresh(len(sizes), [*factors, *expand])
    parts = [normal((), freed(factors, labels))]
    for head, args, e in freed(tuple(expand), labels):
        base = opened(head, args)
        parts.append(raised(base, e))
    return _summed(product(parts), labels, sizes)


def _summed(result: Expr, labels: list[str], sizes: tuple[Size, ...]) -> Expr:
    for label, extent in zip(labels, sizes, strict=True):
        result = sum_over(result, label, extent)
    return result


def _special(sizes: tuple[Size, ...], powers: Powers) -> Expr | None:
    """One simplification by a rule, and the normal form of what it gives; None if none applies."""
    for (head, args), e in powers.items():
        if head.kind == "I" and e == 1:
            done = _delta(sizes, powers, head, args)
            if done is not None:
                return done
    raw: Raw | None = None
    for (head, args), e in powers.items():
        kind = head.kind
        if kind == "T" and head.facts:
            raw = tensor_rule(sizes, powers, head, args, e)
        elif kind == "S":
            raw = split_rule(sizes, powers, head, args)
        elif kind == "L":
            raw = order_rule(sizes, powers, head, args)
        elif kind == "V" and e == 1:
            raw = inverse_rule(sizes, powers, head, args)
        if raw is not None:
            return ZERO if raw.zero else normal(raw.sizes, raw.factors)
    indicators = [key for key, e in powers.items() if key[0].kind == "B" and e == 1]
    if len(indicators) > 1:
        done = _indicators(sizes, powers, indicators)
        if done is not None:
            return done
    for (head, args), e in powers.items():
        if head.kind == "P" and e < 0:
            reduced = _lead_rule(sizes, powers, head, args, e)
            if reduced is not None:
                return reduced
    return None


def _indicators(
    sizes: tuple[Size, ...], powers: Powers, found: list[tuple[Head, Args]]
) -> Expr | None:
    """[u > 1][u > 0] = [u > 1], and the other ways in which two indicators decide each other."""
    for k, first in enumerate(found):
        for second in found[k + 1 :]:
            says = pair_hook[0](*first, *second)
            if not says:
                continue
            if says == "zero":
                return ZERO
            one = _factors({key: e for key, e in powers.items() if key != second})
            two = _factors({key: e for key, e in powers.items() if key != first})
            if says == "first":
                return normal(sizes, one)
            if says == "second":
                return normal(sizes, two)
            both = {key: e for key, e in powers.items() if key not in (first, second)}
            return normal(sizes, one) + normal(sizes, two) - normal(sizes, _factors(both))
    return None


def _delta(sizes: tuple[Size, ...], powers: Powers, head: Head, args: Args) -> Expr | None:
    """Eliminates a delta, or puts what it equates in one form everywhere else."""
    found = relation(args[0], head.sizes[0], args[1], head.sizes[1], bool(head.name))
    rest = {key: e for key, e in powers.items() if key != (head, args)}
    if found is True:
        return normal(sizes, _factors(rest))
    if found is False:
        return ZERO
    if found is None:
        return None
    for old, new in found:
        if old[0] == BOUND:
            extent = head.sizes[1] if old[:2] == args[0][:2] else head.sizes[0]
            resized_rest = told(rest, old, extent) if new[0] == FREE else rest
            return replaced(sizes, _factors(resized_rest), old, new, drop=True)
    old, new = max(found, key=lambda choice: str(choice[0][1]))
    if not any(a[0] == old[0] and a[1] == old[1] for _, other in rest for a in other):
        return None
    extent = head.sizes[1] if old[:2] == args[0][:2] else head.sizes[0]
    resized_rest = told(rest, old, extent) if new[0] == FREE else rest
    changed = replaced(sizes, _factors(resized_rest), old, new, drop=False, keep=(head, args, 1))
    return changed


def replaced(
    sizes: tuple[Size, ...],
    factors: tuple[Factor, ...],
    old: Ix,
    new: Ix,
    *,
    drop: bool,
    keep: Factor | None = None,
) -> Expr:
    """The monomial with index *old* replaced by *new*; *drop* removes the summed index *old*."""
    kind, label = old[0], old[1]
    plain = True
    changed: list[Factor] = []
    for h, args, e in factors:
        if any(a[0] == kind and a[1] == label for a in args):
            after = tuple(
                [plus_offset(a, new) if a[0] == kind and a[1] == label else a for a in args]
            )
            if h.body is not None and must_rebuild(h, after):
                plain = False
                break
            changed.append((unsized(h, args, after), after, e))
        else:
            changed.append((h, args, e))
    if plain:
        if keep is not None:
            changed.append(keep)
        out = tuple(changed)
        if not drop:
            return normal(sizes, out)
        names = {b: b - (b > label) for b in range(len(sizes)) if b != label}
        return normal(sizes[:label] + sizes[label + 1 :], renumbered(out, names))
    everything = factors if keep is None else (*factors, keep)
    labels = fresh(len(sizes), everything)
    mapping: dict[str, Ix] = {}
    if kind == BOUND:
        target = freed(((_NOTHING, (new,), 1),), labels)[0][1][0]
        mapping[labels[label]] = target
    else:
        mapping[label] = freed(((_NOTHING, (new,), 1),), labels)[0][1][0]
    parts = [rename(normal((), (f,)), mapping) for f in freed(factors, labels)]
    if keep is not None:
        parts.append(normal((), freed((keep,), labels)))
    result = product(parts)
    for b, (name, extent) in enumerate(zip(labels, sizes, strict=True)):
        if not (drop and kind == BOUND and b == label):
            result = sum_over(result, name, extent)
    return result


_NOTHING = Head.make("T", "")


def _flipped(mono: Mono) -> Expr | None:
    """[E > 0] with E antisymmetric, and an order of two indices, in their one orientation."""
    for k, (head, args, e) in enumerate(mono[1]):
        if head.kind == "B" and e == 1:
            for perm, sign in head.perms:
                if sign < 0:
                    other = tuple([args[p] for p in perm])
                    if other < args:
                        rest = mono[1][:k] + mono[1][k + 1 :]
                        return normal(mono[0], rest) - normal(mono[0], (*rest, (head, other, 1)))
        elif head.kind == "L" and e == 1:
            found = _ordered(mono, k, head, args)
            if found is not None:
                return found
    return None


def _ordered(mono: Mono, k: int, head: Head, args: Args) -> Expr | None:
    """[i < j] where the rest is the same for i and j exchanged, or the other way round."""
    sizes, rest = mono[0], mono[1][:k] + mono[1][k + 1 :]
    back: Factor = (order_head(head.sizes[1], head.sizes[0]), (args[1], args[0]), 1)
    equal: Factor = (delta_head(head.sizes[0], head.sizes[1]), args, 1)
    if args[0][0] == BOUND == args[1][0] and canonical(sizes, (*rest, back)) == (mono, 1):
        both = normal(sizes, rest) - normal(sizes, (*rest, equal))
        return both.scaled(Fraction(1, 2))
    if args[1] < args[0]:
        both = normal(sizes, rest) - normal(sizes, (*rest, equal))
        return both - normal(sizes, (*rest, back))
    return None


# --- the lead rule ------------------------------------------------------------------------------


def _lead_rule(
    sizes: tuple[Size, ...], powers: Powers, head: Head, args: Args, e: Number
) -> Expr | None:
    lead = lead_of(head)
    if lead is None or _depth.get() > DEEPEST_REDUCTION:
        return None
    found = without_lead(lead[0], sizes, powers, args)
    if found is None:
        return None
    rest, gone = found
    del rest[(head, args)]
    return _apply_lead(sizes, rest, head, args, e, lead, gone)


def _apply_lead(
    sizes: tuple[Size, ...],
    rest: Powers,
    head: Head,
    args: Args,
    e: Number,
    lead: tuple[Mono, Number],
    gone: set[int],
) -> Expr:
    assert head.body is not None
    kept = _factors(rest)
    labels = fresh(len(sizes), (*kept, (head, args, e)))
    own_args = freed(((head, args, e),), labels)[0][1]
    others = Expr({m: c for m, c in head.body.terms.items() if m != lead[0]})
    filled = rename(others, {f"${k}": a for k, a in enumerate(own_args)})
    outer = normal((), freed(kept, labels))
    up = normal((), ((head, own_args, number(e + 1)),)) if e != -1 else ONE
    same = normal((), ((head, own_args, e),))
    deeper = _depth.set(_depth.get() + 1)
    try:
        tick()
        result = mul(outer, up - mul(filled, same)).scaled(number(Fraction(1) / lead[1]))
        for b, (label, extent) in enumerate(zip(labels, sizes, strict=True)):
            if b not in gone:
                result = sum_over(result, label, extent)
    finally:
        _depth.reset(deeper)
    return result


# --- sums, renaming, opening ---------------------------------------------------------------------


def sum_over(expr: Expr, label: str, extent: Size) -> Expr:
    """The sum over a free index that runs from one to *extent*."""
    if extent == 1:
        return rename(expr, {label: lit(1)})
    out: dict[Mono, Number] = {}
    for (sizes, factors), c in expr.terms.items():
        mine = (BOUND, len(sizes), "", 0)
        changed = tuple(
            (
                h,
                tuple(
                    [
                        (mine if not a[2] else (BOUND, mine[1], a[2], a[3]))
                        if a[0] == FREE and a[1] == label
                        else a
                        for a in args
                    ]
                ),
                e,
            )
            for h, args, e in factors
        )
        tick(len(out))
        for mono, c2 in normal((*sizes, extent), changed).terms.items():
            put(out, mono, number(c * c2))
    return Expr(out)


def must_rebuild(head: Head, after: Args) -> bool:
    """Whether a closed body may simplify under new arguments (equal ones, literals, offsets)."""
    skip = 2 if head.kind == "V" else 0
    new = after[skip:]
    return len(set(new)) < len(new) or any(a[0] == LITERAL or a[2] for a in new)


def rename(expr: Expr, mapping: Mapping[str, Ix]) -> Expr:
    """Free indices replaced: by other free ones, by literal positions, by shifted ones."""
    mapping = {k: v for k, v in mapping.items() if k in expr.free and v != (FREE, k, "", 0)}
    if not mapping:
        return expr
    return _rename(expr, tuple(sorted(mapping.items())))


@lru_cache(maxsize=8_000)
def _rename(expr: Expr, items: tuple[tuple[str, Ix], ...]) -> Expr:
    mapping = dict(items)
    out: dict[Mono, Number] = {}
    for mono, c in expr.terms.items():
        sizes, factors = mono
        changed: list[Factor] = []
        again = False
        for h, args, e in factors:
            after = tuple(
                [
                    plus_offset(a, mapping[a[1]]) if a[0] == FREE and a[1] in mapping else a
                    for a in args
                ]
            )
            if after != args and h.body is not None and must_rebuild(h, after):
                again = True
                break
            changed.append((unsized(h, args, after), after, e))
        tick(len(out))
        if not again:
            result = normal(sizes, tuple(changed))
        else:
            others = [v[1] for v in mapping.values() if v[0] == FREE]
            labels, loose = loosened(mono, *others, *mapping)
            parts = [_rename_factor(f, mapping) for f in loose]
            result = _summed(product(parts), labels, sizes)
        for m2, c2 in result.terms.items():
            put(out, m2, number(c * c2))
    return Expr(out)


def _rename_factor(factor: Factor, mapping: Mapping[str, Ix]) -> Expr:
    h, args, e = factor
    after = tuple(
        [plus_offset(a, mapping[a[1]]) if a[0] == FREE and a[1] in mapping else a for a in args]
    )
    if h.body is None or not must_rebuild(h, after):
        return normal((), ((unsized(h, args, after), after, e),))
    return rebuilt(h, after, e)


def rebuilt(head: Head, args: Args, e: Number) -> Expr:
    """An atom with a body made again from its constructor, to the power *e*."""
    labels, body = opened_over(head, args)
    return raised(rebuilders[head.kind](head, labels, body, args), e)


def raised(base: Expr, e: Number) -> Expr:
    """base ** e."""
    return ipow(base, e) if isinstance(e, int) and e > 0 else power_hook[0](base, e)


def opened(head: Head, args: Args) -> Expr:
    """The body of a function, power or indicator with its parameters filled in."""
    assert head.body is not None
    return rename(head.body, {f"${k}": a for k, a in enumerate(args)})


def opened_over(head: Head, args: Args) -> tuple[tuple[str, ...], Expr]:
    """(labels, body) of any head: the labels stand for the indices that the atom abstracts."""
    assert head.body is not None
    count = {"V": 2, "X": 2, "R": len(head.sizes)}.get(head.kind, 0)
    if not count:
        return (), opened(head, args)
    given = args[2:] if head.kind == "V" else args
    labels = fresh(count, ((head, args, 1),))
    names: dict[str, Ix] = {f"${k}": (FREE, label, "", 0) for k, label in enumerate(labels)}
    names.update({f"${k + count}": a for k, a in enumerate(given)})
    return tuple(labels), rename(head.body, names)
