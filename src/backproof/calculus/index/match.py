"""Pattern matching inside monomials, and rewriting by oriented rules.

A rule says that a sum of products, `sum_own factors`, equals another expression. Its free indices
are pattern variables; its own summed indices must be summed in the target too, over the same
range, and occur nowhere outside the matched factors: only then may the sum be replaced.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from backproof.calculus.index.algebra import mul, normal, rename, sum_over
from backproof.calculus.index.budget import tick
from backproof.calculus.index.labels import freed, fresh
from backproof.calculus.index.terms import (
    BOUND,
    FREE,
    Args,
    Expr,
    Factor,
    Head,
    Ix,
    Mono,
    Number,
    Size,
    number,
    plus_offset,
    put,
)

Powers = dict[tuple[Head, Args], Number]
Binding = dict[tuple[int, object], Ix]


@dataclass(frozen=True, slots=True)
class Rule:
    """`pattern -> result`, for all values of the free indices of the pattern."""

    pattern: Mono
    result: Expr
    name: str = ""
    heads: frozenset[Head] = field(default_factory=frozenset)

    @staticmethod
    def of(pattern: Mono, result: Expr, name: str = "") -> Rule:
        return Rule(pattern, result, name, frozenset(f[0] for f in pattern[1]))


def _unify(wanted: Args, found: Args, binding: Binding) -> Binding | None:
    new = binding
    for w, f in zip(wanted, found, strict=True):
        if w[0] not in (FREE, BOUND):
            if w != f:
                return None
            continue
        key = (w[0], w[1])
        have = new.get(key)
        if have is not None:
            if (plus_offset(w, have) if w[2] else have) != f:
                return None
            continue
        if w[2]:
            if w[2] != f[2]:
                return None
            f = (f[0], f[1], "", 0)
        if w[0] == BOUND and (
            f[0] != BOUND or f[2] or any(k[0] == BOUND and v == f for k, v in new.items())
        ):
            return None
        if new is binding:
            new = dict(binding)
        new[key] = f
    return new


def matches(pattern: Mono, mono: Mono) -> Iterator[tuple[Binding, Powers]]:
    """All ways to find the pattern in the monomial: (what its indices are, what is left over)."""
    powers: Powers = {(h, a): e for h, a, e in mono[1]}
    order = sorted(pattern[1], key=lambda f: (f[0].kind != "V", -len(f[1])))
    yield from _search(order, 0, {}, powers, pattern[0], mono)


def _search(
    order: Sequence[Factor],
    at: int,
    binding: Binding,
    left: Powers,
    own_sizes: tuple[Size, ...],
    mono: Mono,
) -> Iterator[tuple[Binding, Powers]]:
    if at == len(order):
        gone = set()
        for b, size in enumerate(own_sizes):
            ix = binding[(BOUND, b)]
            if mono[0][ix[1]] != size:
                return
            gone.add(ix[1])
        if not any(a[0] == BOUND and a[1] in gone for _, args in left for a in args):
            taken = {v[1] for k, v in binding.items() if k[0] == FREE and v[0] == BOUND}
            if not taken & gone:
                yield binding, left
        return
    tick()
    head, wanted, e = order[at]
    for (h, args), have in left.items():
        if h != head or not _enough(have, e):
            continue
        ways = [args, *[tuple([args[p] for p in perm]) for perm, s in h.perms if s > 0]]
        for way in ways:
            found = _unify(wanted, way, binding)
            if found is None:
                continue
            rest = {k: x for k, x in left.items() if k != (h, args)}
            if have != e:
                rest[(h, args)] = number(have - e)
            yield from _search(order, at + 1, found, rest, own_sizes, mono)


def _enough(have: Number, wanted: Number) -> bool:
    if have == wanted:
        return True
    return isinstance(have, int) and isinstance(wanted, int) and have > wanted > 0


def apply(rule: Rule, mono: Mono) -> Expr | None:
    """The monomial with the first match replaced; None where the pattern does not occur."""
    heads = {f[0] for f in mono[1]}
    if not rule.heads <= heads or len(rule.pattern[0]) > len(mono[0]):
        return None
    for binding, left in matches(rule.pattern, mono):
        factors = tuple([(h, a, e) for (h, a), e in left.items()])
        labels = fresh(len(mono[0]), mono[1])
        names: dict[str, Ix] = {}
        for (kind, label), ix in binding.items():
            if kind == FREE:
                free_ix: Ix = (FREE, labels[ix[1]], ix[2], ix[3]) if ix[0] == BOUND else ix
                names[str(label)] = free_ix
        gone = {binding[(BOUND, b)][1] for b in range(len(rule.pattern[0]))}
        result = mul(normal((), freed(factors, labels)), rename(rule.result, names))
        for b, (label, size) in enumerate(zip(labels, mono[0], strict=True)):
            if b not in gone:
                result = sum_over(result, label, size)
        return result
    return None


def rewrite(expr: Expr, rules: Sequence[Rule], steps: int = 400) -> Expr:
    """Applies the rules until none fits, at most *steps* times."""
    if not rules:
        return expr
    out: dict[Mono, Number] = {}
    waiting: list[tuple[Mono, Number]] = list(expr.terms.items())
    pending: dict[Mono, Number] = {}
    while waiting:
        for mono, c in waiting:
            tick(len(out) + len(pending))
            changed: Expr | None = None
            if steps > 0:
                for rule in rules:
                    changed = apply(rule, mono)
                    if changed is not None:
                        steps -= 1
                        break
            if changed is None:
                put(out, mono, c)
            else:
                for m2, c2 in changed.terms.items():
                    put(pending, m2, number(c * c2))
        waiting = list(pending.items())
        pending = {}
    return Expr(out)
