"""Deciding whether an expression vanishes: inverses meet their matrices, denominators are cleared.

The normal form decides polynomial identities on its own. What it leaves is decided here, by
multiplying with things that are not zero wherever the expression is defined, which keeps "is zero"
as it is:

* a sum S under a negative power: multiply by a power of S and expand;
* a matrix inverse on a free index: multiply by its matrix and contract, `inv(S) S = I`;
* partial fractions for denominators inside a sum, which cannot be cleared;
* an expression that is polynomial in a free quantity vanishes if and only if its derivative by
  that quantity does, together with what is left where the quantity is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

from backproof.calculus.index.algebra import (
    mul,
    normal,
    opened,
    opened_over,
    power_hook,
    product,
    rename,
    sum_over,
)
from backproof.calculus.index.branches import every_pattern, one_radical_each
from backproof.calculus.index.budget import Budget, OutOfBudget, tick, within
from backproof.calculus.index.build import delta, with_sizes
from backproof.calculus.index.labels import freed, fresh
from backproof.calculus.index.match import Rule, rewrite
from backproof.calculus.index.matrices import rotated
from backproof.calculus.index.powers import Undefined
from backproof.calculus.index.rules import is_plain_inverse
from backproof.calculus.index.signs import is_closed
from backproof.calculus.index.terms import (
    BOUND,
    FREE,
    ONE,
    ONE_MONO,
    Args,
    Expr,
    Factor,
    Head,
    Mono,
    Number,
    Size,
    number,
    put,
    single,
    total,
    var,
)
from backproof.calculus.index.unfold import expand_dims, names_in, names_of_head, replace_atoms

MOST_CLEARINGS = 3
MOST_STRIPS = 2


def is_zero(
    expr: Expr,
    rules: tuple[Rule, ...] = (),
    budget: Budget | None = None,
    sizes: dict[str, Size] | None = None,
    spread: int = 64,
) -> bool:
    """Whether the expression is certainly zero wherever it is defined.

    *rules* are assumptions (see `assumption`). *sizes* gives the sizes of the free indices; with
    it, free indices of small concrete size are tried one position at a time. False means only
    that no proof was found, also when the budget ran out.
    """
    with within(budget or Budget()):
        try:
            expr = with_sizes(expr, sizes or {})
            if _zero(expr, rules):
                return True
            opened_up = expand_dims(expr, spread)
            if opened_up != expr and _zero(opened_up, rules):
                return True
            turned = replace_atoms(expr, rotated)
            if turned != expr and _zero(turned, rules):
                return True
            return _entry_by_entry(opened_up, rules, sizes or {}, spread)
        except (OutOfBudget, Undefined, RecursionError):
            return False


def _entry_by_entry(
    expr: Expr, rules: tuple[Rule, ...], sizes: dict[str, Size], spread: int
) -> bool:
    labels = [x for x in sorted(expr.free) if x in sizes]
    small = [(x, s) for x in labels if isinstance(s := sizes[x], int)]
    count = 1
    for _, s in small:
        count *= s
    if not small or count > spread:
        return False
    (label, extent), rest = small[0], {x: s for x, s in sizes.items() if x != small[0][0]}
    for position in range(1, extent + 1):
        here = expand_dims(rename(expr, {label: (0, position, "", 0)}), spread)
        if not _zero(here, rules) and not _entry_by_entry(here, rules, rest, spread):
            return False
    return True


def _zero(expr: Expr, rules: tuple[Rule, ...]) -> bool:
    """One round of everything that keeps 'is zero'."""
    if expr.is_zero:
        return True
    expr = settle(expr, rules)
    if expr.is_zero:
        return True
    if _clear_inverses(expr, rules, MOST_CLEARINGS):
        return True
    if _strip(expr, rules, MOST_STRIPS):
        return True
    joined = one_radical_each(expr)
    if joined != expr:
        expr = settle(joined, rules)
        if expr.is_zero:
            return True
    return every_pattern(expr, lambda branch: settle(branch, rules).is_zero)


def settle(expr: Expr, rules: tuple[Rule, ...] = ()) -> Expr:
    """An expression that vanishes exactly where *expr* does, with denominators cleared."""
    for _ in range(6):
        before = expr
        expr = rewrite(expr, [*rules, *inverse_rules(expr)])
        expr = apart(expr)
        expr = clear(expr)
        if expr.is_zero or expr == before:
            return expr
    return expr


# --- scalar denominators -------------------------------------------------------------------------


def clear(expr: Expr) -> Expr:
    """Multiplied by powers of the sums in its denominators, those free of summed indices."""
    for _ in range(12):
        lowest: dict[tuple[Head, Args], Number] = {}
        for _, factors in expr.terms:
            for h, a, e in factors:
                if h.kind == "P" and e < 0 and is_closed(a):
                    lowest[h, a] = min(e, lowest.get((h, a), 0))
        if not lowest:
            return expr
        (head, args), e = min(lowest.items())
        expr = cleared_of(expr, head, args, number(-e))
    return expr


def cleared_of(expr: Expr, head: Head, args: Args, by: Number) -> Expr:
    """The expression times S ** by for a sum S, its own powers of S added up before expanding."""
    groups: dict[Number, dict[Mono, Number]] = {}
    for (sizes, factors), c in expr.terms.items():
        mine: Number = 0
        kept: list[Factor] = []
        for f in factors:
            if f[0] == head and f[1] == args:
                mine = f[2]
            else:
                kept.append(f)
        up = number(mine + by)
        for mono, c2 in normal(sizes, tuple(kept)).terms.items():
            put(groups.setdefault(up, {}), mono, number(c * c2))
    base = opened(head, args)
    # Horner's rule over the exponents of one residue class keeps the products small.
    classes: dict[Number, list[Number]] = {}
    for e in groups:
        classes.setdefault(number(e - e.__floor__()), []).append(e)
    parts: list[Expr] = []
    for residue, exponents in classes.items():
        exponents.sort(reverse=True)
        value = Expr(groups[exponents[0]])
        at = exponents[0]
        for e in [*exponents[1:], residue]:
            while at > e:
                tick(len(value))
                value = mul(value, base)
                at = number(at - 1)
            if e in groups and e != exponents[0]:
                value = value + Expr(groups.pop(e))
        parts.append(mul(value, power_hook[0](base, residue)) if residue else value)
    return total(parts)


def apart(expr: Expr) -> Expr:
    """Partial fractions for denominators that depend on a summed index."""
    out: dict[Mono, Number] = {}
    waiting = list(expr.terms.items())
    steps = 300
    while waiting:
        mono, c = waiting.pop()
        changed = _apart(mono) if steps > 0 and mono[0] else None
        if changed is None:
            put(out, mono, c)
            continue
        steps -= 1
        tick(len(out) + len(waiting))
        waiting.extend((m, number(c * c2)) for m, c2 in changed.terms.items())
    return Expr(out)


def _apart(mono: Mono) -> Expr | None:
    sizes, factors = mono
    bases = [f for f in factors if f[0].kind == "P" and isinstance(f[2], int) and f[2] < 0]
    bases = [f for f in bases if not is_closed(f[1])]
    if not bases:
        return None
    labels = fresh(len(sizes), factors)
    loose = freed(factors, labels)
    for f in bases:
        at = factors.index(f)
        head, args, e = loose[at]
        base = opened(head, args)
        for k, (h, a, x) in enumerate(loose):
            if k == at or not isinstance(x, int) or x >= 0:
                continue
            if h.kind == "P":
                step = _related(base, opened(h, a)) if at < k else None
            else:
                step = _divides(base, h, a)
            if step is None:
                continue
            more, constant = step
            rest = normal((), tuple(g for m, g in enumerate(loose) if m not in (at, k)))
            up = mul(_power(head, args, e + 1), _power(h, a, x))
            down = mul(mul(more, _power(head, args, e)), _power(h, a, x + 1))
            result = mul(rest, up - down).scaled(number(Fraction(1) / constant))
            for label, size in zip(labels, sizes, strict=True):
                result = sum_over(result, label, size)
            return result
    return None


def _power(head: Head, args: Args, e: Number) -> Expr:
    return normal((), ((head, args, e),)) if e else ONE


def _divides(base: Expr, head: Head, args: Args) -> tuple[Expr, Number] | None:
    """(R, c) with base = c + atom * R, if that is so."""
    c = base.terms.get(ONE_MONO)
    if not c or head.kind not in "TF":
        return None
    parts: list[Expr] = []
    for mono, k in base.terms.items():
        if mono == ONE_MONO:
            continue
        if not any(h == head and a == args and e >= 1 for h, a, e in mono[1]):
            return None
        parts.append(mul(Expr({mono: k}), single(head, args, -1)))
    return total(parts), c


def _related(first: Expr, second: Expr) -> tuple[Expr, Number] | None:
    """(k, c) with first = c + k * second for numbers k and c."""
    shared = next((m for m in first.terms if m != ONE_MONO), None)
    if shared is None or shared not in second.terms:
        return None
    k = number(Fraction(first.terms[shared]) / second.terms[shared])
    c = (first - second.scaled(k)).constant
    return (ONE.scaled(k), c) if c else None


# --- matrix inverses -----------------------------------------------------------------------------


def inverses_in(expr: Expr) -> list[Head]:
    """Heads of the matrix inverses that stand as factors."""
    return sorted({f[0] for m in expr.terms for f in m[1] if f[0].kind == "V"})


def inverse_rules(expr: Expr) -> list[Rule]:
    """For every inverse: its product with the largest term of its own matrix, on either side."""
    found: list[Rule] = []
    for head in inverses_in(expr):
        if "rules" not in head.cache:
            head.cache["rules"] = [] if is_plain_inverse(head) else list(_inverse_rules(head))
        found.extend(head.cache["rules"])
    return found


def _inverse_rules(head: Head) -> Iterator[Rule]:
    assert head.body is not None
    n = head.sizes[0]
    params = sorted(x for x in head.body.free if x not in ("$0", "$1"))
    tail = tuple(var(f"$p{x[1:]}") for x in params)
    names = {x: var(f"$p{x[1:]}") for x in params}
    fitting = [
        m
        for m in head.body.terms
        if {"$0", "$1"} <= _free_of(m) and not any(f[0].kind == "I" for f in m[1])
    ]
    if not fitting:
        return
    lead_mono = max(fitting, key=lambda m: (len(m[1]), len(m[0]), str(m[1])))
    c = head.body.terms[lead_mono]
    identity = delta(var("$i"), var("$k"), n)
    for left in (True, False):
        # inv(i, l) S(l, k) = delta(i, k)   or   S(i, l) inv(l, k) = delta(i, k)
        inverse = single(head, ((var("$i"), var("$l")) if left else (var("$l"), var("$k"))) + tail)
        ends = {"$0": var("$l"), "$1": var("$k")} if left else {"$0": var("$i"), "$1": var("$l")}
        lead = rename(Expr({lead_mono: 1}), {**ends, **names})
        others = Expr({m: x for m, x in head.body.terms.items() if m != lead_mono})
        rest = rename(others, {**ends, **names})
        pattern = sum_over(mul(inverse, lead), "$l", n)
        if len(pattern.terms) != 1:
            continue
        ((mono, k),) = pattern.terms.items()
        result = identity - sum_over(mul(inverse, rest), "$l", n)
        yield Rule.of(mono, result.scaled(number(Fraction(1) / (c * k))), "inverse")


def _free_of(mono: Mono) -> frozenset[str]:
    return frozenset(a[1] for f in mono[1] for a in f[1] if a[0] == FREE)


def assumption(lhs: Expr, rhs: Expr, name: str = "") -> Rule | None:
    """An oriented rule from an equation: its largest term becomes the others."""
    difference = lhs - rhs
    if difference.is_zero:
        return None
    # Every index of the equation must be found in the pattern, or the result would dangle.
    fitting = [m for m in difference.terms if m[1] and _free_of(m) == difference.free]
    if not fitting:
        return None
    lead = max(fitting, key=lambda m: (len(m[1]), len(m[0]), str(m[1])))
    c = difference.terms[lead]
    others = Expr({m: x for m, x in difference.terms.items() if m != lead})
    return Rule.of(lead, others.scaled(number(Fraction(-1) / c)), name)


def _clear_inverses(expr: Expr, rules: tuple[Rule, ...], most: int) -> bool:
    """Multiplies by the matrix of an inverse that stands on a free index, and tries again."""
    if most == 0:
        return False
    seen: set[tuple[Head, Args, int]] = set()
    for mono in expr.terms:
        for h, a, _ in mono[1]:
            if h.kind != "V" or not is_closed(a[2:]):
                continue
            for side in (0, 1):
                end = a[side]
                if end[0] != FREE or end[2] or (h, (end, *a[2:]), side) in seen:
                    continue
                if any(x[:2] == end[:2] for x in a[2:]):
                    continue
                seen.add((h, (end, *a[2:]), side))
                labels, body = opened_over(h, (*a[:2], *a[2:]))
                (new,) = fresh(1, tuple(f for m in expr.terms for f in m[1]), *labels)
                row, col = labels
                ends = {row: var(new), col: end} if side == 0 else {row: end, col: var(new)}
                tick()
                product_ = sum_over(mul(rename(body, ends), expr), end[1], h.sizes[0])
                settled = settle(product_, rules)
                if settled.is_zero:
                    return True
                moved = inverses_in(settled) != inverses_in(expr) or len(settled) <= len(expr)
                if moved and _clear_inverses(settled, rules, most - 1):
                    return True
    return False


# --- polynomial quantities ------------------------------------------------------------------------


def _strip(expr: Expr, rules: tuple[Rule, ...], most: int) -> bool:
    """Takes the derivative by a free quantity in which the expression is a polynomial.

    This frees the indices on which inverses stand inside a number such as y.T @ inv(A) @ y.
    """
    if most == 0 or not inverses_in(expr):
        return False
    taken = {n for r in rules for h in r.heads for n in names_of_head(h)}
    taken |= {n for r in rules for n in names_in(r.result)}
    for head in _polynomial_names(expr, taken):
        constant: dict[Mono, Number] = {}
        others: dict[Mono, Number] = {}
        for mono, c in expr.terms.items():
            has = any(f[0] == head for f in mono[1])
            (others if has else constant)[mono] = c
        rest = Expr(constant)
        if not rest.is_zero:
            settled = settle(rest, rules)
            if not settled.is_zero and not _clear_inverses(settled, rules, MOST_CLEARINGS):
                return False
        free = derivative(Expr(others), head)
        settled = settle(free, rules)
        return (
            settled.is_zero
            or _clear_inverses(settled, rules, MOST_CLEARINGS)
            or _strip(settled, rules, most - 1)
        )
    return False


def _polynomial_names(expr: Expr, taken: set[str]) -> list[Head]:
    """Quantities without facts that occur only as factors with positive whole exponents.

    Those with one index come first, and only those that meet an inverse through a summed index.
    """
    good: set[Head] = set()
    bad: set[str] = set(taken)
    for mono in expr.terms:
        met = {a[:2] for h, args, _ in mono[1] if h.kind == "V" for a in args if a[0] == BOUND}
        for h, args, e in mono[1]:
            if h.kind != "T":
                bad |= names_of_head(h)
            elif h.facts or not isinstance(e, int) or e < 0:
                bad.add(h.name)
            elif any(a[:2] in met for a in args):
                good.add(h)
    return sorted((h for h in good if h.name not in bad), key=lambda h: (len(h.sizes), h))


def derivative(expr: Expr, head: Head) -> Expr:
    """The derivative by the entries of a quantity, at new free indices; polynomial only."""
    every = tuple(f for m in expr.terms for f in m[1])
    names = fresh(len(head.sizes), every)
    parts: list[Expr] = []
    for mono, c in expr.terms.items():
        labels = fresh(len(mono[0]), mono[1], *names)
        loose = freed(mono[1], labels)
        for k, (h, args, e) in enumerate(loose):
            if h != head:
                continue
            rest = [f for m, f in enumerate(loose) if m != k]
            if e != 1:
                rest.append((h, args, number(e - 1)))
            pieces = [normal((), tuple(rest))]
            pieces += [delta(a, var(x), s) for a, x, s in zip(args, names, head.sizes, strict=True)]
            part = product(pieces).scaled(number(c * e))
            for label, size in zip(labels, mono[0], strict=True):
                part = sum_over(part, label, size)
            parts.append(part)
    return total(parts)


def needed_facts(all_facts: Iterable[str], holds: Callable[[frozenset[str]], bool]) -> list[str]:
    """The facts without which the proof `holds(facts)` fails, found by dropping one at a time."""
    kept = list(all_facts)
    for fact in list(kept):
        fewer = [f for f in kept if f != fact]
        if holds(frozenset(fewer)):
            kept = fewer
    return kept
