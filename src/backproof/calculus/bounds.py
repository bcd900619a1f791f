"""Proofs of bounds: a certificate that an index expression is never negative.

What the terms do not show as they stand (see `covering`) is shown by rewriting, each step sound on
its own: positive denominators multiplied away; a name in (0, 1) written as s/(1 + s) with s
positive; the terms of a sum over one index taken one by one, or averaged over the orders of equal
indices; indicators and labels by cases; a maximum as one of its entries, or each entry as the
maximum less a square; A √S + B >= 0 by squaring; E >= 0 as exp(E) >= 1; and for a sum with weights,
Σ w ℓ >= Σ w (1 - exp(-ℓ)), which is the inequality of Gibbs. Atoms are treated as if they were
independent of each other, so what is shown is more than what was asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from math import lcm

from backproof.calculus.covering import certain
from backproof.calculus.index import algebra, build
from backproof.calculus.index.budget import tick
from backproof.calculus.index.labels import fresh, loosened
from backproof.calculus.index.powers import content, exp, log, power
from backproof.calculus.index.reduce import cleared_of
from backproof.calculus.index.signs import POSITIVE, UNKNOWN, atom_sign, mono_sign, sign_of
from backproof.calculus.index.terms import (
    BOUND,
    FREE,
    LITERAL,
    ONE,
    Args,
    Expr,
    Factor,
    Head,
    Mono,
    Number,
    Size,
    const,
    magnitude,
    number,
    single,
    total,
    var,
)
from backproof.calculus.index.unfold import replace_atoms
from backproof.calculus.spreading import averaged, freed_at, one_by_one, term_by_term

MOST_TERMS = 120
MOST_GOALS = 60
DEEPEST = 6
MOST_POWER = 8
MOST_SPLITS = 3

_NO_MATTER = frozenset({"vanishing"})
_REAL = frozenset({"vanishing", "positive", "unit"})

# A goal is an expression and whether it has to be positive; a way to show one is a list of them.
Goal = tuple[Expr, bool]


def never_negative(expr: Expr, *, strictly: bool = False, deepest: int = DEEPEST) -> bool:
    """Whether a certificate was found that *expr* >= 0 (> 0) at every point of the domain.

    deepest   how many rewriting steps may stand on each other
    """
    return _Search().shown(expr, strictly, deepest)


class _Search:
    """One search; what was tried is remembered, and the number of goals is limited."""

    def __init__(self) -> None:
        self.tried: dict[Goal, bool] = {}

    def shown(self, expr: Expr, strictly: bool, depth: int) -> bool:
        goal = (expr, strictly)
        known = self.tried.get(goal)
        if known is not None:
            return known
        if len(self.tried) >= MOST_GOALS or len(expr) > MOST_TERMS:
            return False
        self.tried[goal] = False
        tick(len(expr))
        done = _plainly(expr, strictly) or (
            depth > 0
            and any(
                all(self.shown(*goal, depth - 1) for goal in way) for way in _ways(expr, strictly)
            )
        )
        self.tried[goal] = done
        return done


def _ways(expr: Expr, strictly: bool) -> Iterator[list[Goal]]:
    """What each way of rewriting leaves to be shown, the most telling first."""
    yield from _exponentials(expr, strictly)
    simpler = _cleared(_without_units(expr if strictly else _without_bounded(expr)))
    if simpler is not None and simpler != expr:
        yield [(simpler, strictly)]
    if not strictly:
        yield from _tangents(expr)
        yield from _weighted(expr)
        yield from _roots(expr)
        yield from ([(opened, False)] for opened in one_by_one(expr))
    yield from _logarithms(expr, strictly)
    yield from _maxima(expr, strictly)
    for cases in islice(_by_cases(expr), MOST_SPLITS):
        yield [(case, strictly) for case in cases]
    yield from _quadratics(expr, strictly)
    if not strictly:
        yield from ([(done, False)] for done in averaged(expr))


def _plainly(expr: Expr, strictly: bool) -> bool:
    opened = term_by_term(expr)
    for candidate in (expr, opened):
        if candidate is None:
            continue
        if certain(candidate, strictly):
            return True
        cleared = _cleared(_without_units(candidate)) if len(candidate) <= MOST_TERMS else None
        if cleared is not None and certain(cleared, strictly):
            return True
    return False


def _closed(args: Args) -> bool:
    return all(a[0] in (FREE, LITERAL) for a in args)


# --- cases ----------------------------------------------------------------------------------------


def _by_cases(expr: Expr) -> Iterator[list[Expr]]:
    """What *expr* is where a label has either value, or where an indicator is one or zero."""
    atoms = {(h, a): None for m in expr.terms for h, a, _ in m[1] if _closed(a)}
    for head, args in atoms:
        if head.kind == "T" and "binary" in head.facts:
            yield [_put(expr, head, args, const(k)) for k in (0, 1)]
            return
        if head.kind == "T" and "signs" in head.facts:
            yield [_put(expr, head, args, const(k)) for k in (1, -1)]
            return
    for head, args in atoms:
        if head.kind == "B":
            yield _two_signs(expr, head, args)


def _two_signs(expr: Expr, head: Head, args: Args) -> list[Expr]:
    """*expr* where what an indicator asks for is positive, and where it is negative.

    Where an entry can be solved for, it is written through the size of what is asked for.
    """
    body = algebra.opened(head, args)
    result: list[Expr] = []
    for value, sign in ((1, 1), (0, -1)):
        solved = _solved(body, sign)
        if solved is None:
            result.append(_put(expr, head, args, const(value)))
        else:
            result.append(_put(expr, *solved))
    return result


def _solved(body: Expr, sign: int) -> tuple[Head, Args, Expr] | None:
    """(an entry in *body*, its arguments, its value where the body has this sign)."""
    for mono, c in body.items():
        if mono[0] or len(mono[1]) != 1:
            continue
        entry, at, e = mono[1][0]
        rest = body - Expr({mono: c})
        if entry.kind != "T" or e != 1 or not _closed(at) or _holds(rest, entry, at):
            continue
        size = build.entry(f"{entry.name}|", at, entry.sizes, frozenset(("positive",)))
        value = (size.scaled(sign) - rest).scaled(number(Fraction(1) / c))
        if entry.facts <= _NO_MATTER or (
            entry.facts == {"positive"} and sign_of(value) == POSITIVE
        ):
            return entry, at, value
    return None


def _holds(expr: Expr, head: Head, args: Args) -> bool:
    """Whether an atom occurs in an expression, also inside other atoms."""
    return _put(expr, head, args, single(_MARK)) != expr


_MARK = Head.make("T", "|")


def _put(expr: Expr, head: Head, args: Args, value: Expr) -> Expr:
    """*expr* with one atom replaced, also inside other atoms."""
    return replace_atoms(expr, lambda h, a: value if h == head and a == args else None)


def _maxima(expr: Expr, strictly: bool) -> Iterator[list[Goal]]:
    """A maximum taken off stands for any one entry; one added, for itself and a gap to each."""
    for mono, c in expr.items():
        for head, args, e in mono[1]:
            if head.kind != "R" or head.name != "max" or not _closed(args) or e != 1:
                continue
            labels, body = algebra.opened_over(head, args)
            rest = tuple(f for f in mono[1] if f[:2] != (head, args))
            once = sum(f[:2] == (head, args) for m in expr.terms for f in m[1]) == 1
            if c < 0 and once and all(atom_sign(*f) != UNKNOWN for f in rest):
                member = algebra.mul(algebra.normal(mono[0], rest), body).scaled(c)
                yield [(expr - Expr({mono: c}) + member, strictly)]
            if len(body) == 1 and not strictly:
                ((own, k),) = body.items()
                if own[0] or len(own[1]) != 1 or own[1][0][0].kind != "T" or own[1][0][2] != 1:
                    continue
                entry, places, _ = own[1][0]
                loops = {label for label in labels}
                top = build.entry(f"max|{head}", args, (1,) * len(args))

                def lowered(
                    h: Head, a: Args, entry: Head = entry, places: Args = places, k: Number = k,
                    top: Expr = top, loops: set[str] = loops, name: str = str(head),
                ) -> Expr | None:  # fmt: skip
                    if h != entry or any(
                        x != y for x, y in zip(a, places, strict=True) if y[1] not in loops
                    ):
                        return None
                    gap = build.entry(f"{entry.name}^{name}", a, entry.sizes)
                    return (top - algebra.ipow(gap, 2)).scaled(number(Fraction(1) / k))

                yield [(replace_atoms(_put(expr, head, args, top), lowered), False)]


def _quadratics(expr: Expr, strictly: bool) -> Iterator[list[Goal]]:
    """a x² + b x + c >= 0 for a plain entry x: a >= 0, c >= 0 and 4 a c >= b²."""
    degrees: dict[tuple[Head, Args], set[Number]] = {}
    for _, factors in expr.terms:
        for head, args, e in factors:
            if head.kind == "T" and head.facts <= _REAL and _closed(args):
                degrees.setdefault((head, args), set()).add(e)
    for (head, args), found in degrees.items():
        if not found <= {1, 2} or 2 not in found:
            continue
        parts: list[list[Expr]] = [[], [], []]
        for mono, k in expr.items():
            mine = next((e for h, a, e in mono[1] if (h, a) == (head, args)), 0)
            rest = tuple(f for f in mono[1] if f[:2] != (head, args))
            parts[int(mine)].append(algebra.normal(mono[0], rest).scaled(k))
        c, b, a = (total(p) for p in parts)
        if any(_holds(x, head, args) for x in (a, b, c)):
            continue
        gap = algebra.mul(a, c).scaled(4) - algebra.mul(b, b)
        yield [(a, False), (c, strictly), (gap, strictly)]


# --- logarithms and roots -------------------------------------------------------------------------


def _is_log(factor: Factor) -> bool:
    return factor[0].kind == "F" and factor[0].name == "log"


def _exponentials(expr: Expr, strictly: bool) -> Iterator[list[Goal]]:
    """E >= 0 where exp(E) >= 1, for logarithms that stand alone up to a common factor."""
    if not any(_is_log(f) for m in expr.terms for f in m[1]):
        return
    _, _, _, prim = content(expr, False)
    parts = [c for m, c in prim.items() if any(_is_log(f) for f in m[1])]
    alone = all(
        not m[0] and len(m[1]) == 1 and m[1][0][2] == 1
        for m in prim.terms
        if any(_is_log(f) for f in m[1])
    )
    if not parts or not alone:
        return
    whole = lcm(*[Fraction(c).denominator for c in parts])
    if max(magnitude(c) for c in parts) * whole > MOST_POWER:
        return
    yield [(exp(prim.scaled(whole)) - ONE, strictly)]


def _logarithms(expr: Expr, strictly: bool) -> Iterator[list[Goal]]:
    """A >= B of two positive terms as log A >= log B, where they are exponentials."""
    if len(expr) != 2 or not any(f[0].name == "exp" for m in expr.terms for f in m[1]):
        return
    (low, c), (high, k) = sorted(expr.items(), key=lambda term: term[1])
    if not c < 0 < k or low[0] or high[0]:
        return
    if all(mono_sign(m, 1) == POSITIVE for m in (low, high)):
        yield [(log(Expr({high: k})) - log(Expr({low: -c})), strictly)]


def _tangents(expr: Expr) -> Iterator[list[Goal]]:
    """exp(u) >= 1 + u, and w ℓ >= w (1 - exp(-ℓ)) for logarithms ℓ that share a closed weight w."""
    flat: list[Expr] = []
    groups: dict[Mono, list[Expr]] = {}
    rest: list[Expr] = []
    for mono, c in expr.items():
        logs = [f for f in mono[1] if _is_log(f)]
        others = tuple(f for f in mono[1] if f not in logs)
        if len(logs) == 1 and logs[0][2] == 1 and not mono[0]:
            groups.setdefault((mono[0], others), []).append(Expr({((), tuple(logs)): c}))
            continue
        if len(mono[1]) == 1 and c > 0 and not mono[0] and mono[1][0][0].name == "exp":
            head, args, e = mono[1][0]
            flat.append((ONE + algebra.opened(head, args).scaled(e)).scaled(c))
            continue
        rest.append(Expr({mono: c}))
    if any(mono_sign(w, 1) == UNKNOWN for w in groups) or not (flat or groups):
        return
    for weight, group in groups.items():
        together = total(group)
        if any(not isinstance(c, int) or magnitude(c) > MOST_POWER for _, c in together.items()):
            return
        flat.append(algebra.mul(Expr({weight: 1}), ONE - exp(-together)))
    yield [(total([*flat, *rest]), False)]


def _weighted(expr: Expr) -> Iterator[list[Goal]]:
    """Σ w ℓ >= Σ w (1 - exp(-ℓ)) for weights w that are not negative (Gibbs, Jensen).

    What stands outside the sum is taken inside where the weights sum to one.
    """
    if not any(_is_log(f) for m in expr.terms for f in m[1]):
        return
    seen: set[tuple[Head, Args]] = set()
    for mono in expr.terms:
        if not mono[0] or not any(_is_log(f) for f in mono[1]):
            continue
        for head, args, e in mono[1]:
            bound = [a for a in args if a[0] == BOUND]
            if e != 1 or atom_sign(head, args, 1) == UNKNOWN or len(bound) != 1 or bound[0][2]:
                continue
            size = mono[0][bound[0][1]]
            (label,) = fresh(1, tuple(f for m in expr.terms for f in m[1]))
            closed = tuple((FREE, label, "", 0) if a[0] == BOUND else a for a in args)
            if (head, closed) in seen:
                continue
            seen.add((head, closed))
            inside = _under(expr, head, closed, label, size)
            if inside is not None:
                gap = algebra.mul(single(head, closed), ONE - exp(-inside))
                yield [(algebra.sum_over(gap, label, size), False)]
    yield from _evenly(expr)


def _evenly(expr: Expr) -> Iterator[list[Goal]]:
    """The same with the weights 1/n for the n terms of a sum."""
    for size in {s for m in expr.terms for s in m[0]}:
        if any(m[0].count(size) > 1 for m in expr.terms):
            continue
        (label,) = fresh(1, tuple(f for m in expr.terms for f in m[1]))
        parts: list[Expr] = []
        for mono, c in expr.items():
            if size in mono[0]:
                inner = freed_at(mono, mono[0].index(size), label)
                parts.append(algebra.mul(inner, algebra.dim_expr(size)).scaled(c))
            else:
                parts.append(Expr({mono: c}))
        gap = algebra.mul(ONE - exp(-total(parts)), power(algebra.dim_expr(size), -1))
        yield [(algebra.sum_over(gap, label, size), False)]


def _under(expr: Expr, head: Head, args: Args, label: str, size: Size) -> Expr | None:
    """ℓ with *expr* = Σ w ℓ for the weight w at *label*."""
    sums_to_one = bool(head.facts & {"prob", "onehot"}) and args[-1] == (FREE, label, "", 0)
    parts: list[Expr] = []
    for mono, c in expr.items():
        labels, loose = loosened(mono, label)
        found = None
        for h, a, e in loose:
            if h != head or e != 1:
                continue
            for own, extent in zip(labels, mono[0], strict=True):
                if extent == size and a == tuple(
                    (FREE, own, "", 0) if x == (FREE, label, "", 0) else x for x in args
                ):
                    found = (own, (h, a, e))
        if found is None:
            if not sums_to_one:
                return None
            parts.append(Expr({mono: c}))
            continue
        own, weight = found
        inner = algebra.normal((), tuple(f for f in loose if f != weight))
        for other, extent in zip(labels, mono[0], strict=True):
            if other != own:
                inner = algebra.sum_over(inner, other, extent)
        parts.append(algebra.rename(inner, {own: var(label)}).scaled(c))
    return total(parts)


def _roots(expr: Expr) -> Iterator[list[Goal]]:
    """A √S + B >= 0: both are, or the square of the one that is outweighs that of the other."""
    seen: set[tuple[Head, Args]] = set()
    for mono in expr.terms:
        for head, args, e in mono[1]:
            if isinstance(e, int) or Fraction(e).denominator != 2 or not _closed(args):
                continue
            if head.kind not in "PTNDX" or (head, args) in seen:
                continue
            seen.add((head, args))
            above: list[Expr] = []
            below: list[Expr] = []
            for m, c in expr.items():
                mine = next((x for h, a, x in m[1] if (h, a) == (head, args)), 0)
                if Fraction(mine).denominator == 2:
                    rest = tuple(f for f in m[1] if f[:2] != (head, args))
                    whole = number(mine - Fraction(1, 2))
                    up = ((head, args, whole),) if whole else ()
                    above.append(algebra.normal(m[0], (*rest, *up)).scaled(c))
                else:
                    below.append(Expr({m: c}))
            a, b = total(above), total(below)
            base = algebra.opened(head, args) if head.kind == "P" else single(head, args)
            gap = algebra.mul(algebra.mul(a, a), base) - algebra.mul(b, b)
            yield [(a, False), (b, False)]
            yield [(a, False), (gap, False)]
            yield [(b, False), (-gap, False)]


# --- denominators ---------------------------------------------------------------------------------


_BOUNDED = frozenset({"sin", "cos", "erf"})


def _without_bounded(expr: Expr) -> Expr:
    """Sines and the like as 2 u - 1 with u between zero and one, and floor(x) as x - u."""
    found = {
        (h, a): None
        for _, factors in expr.terms
        for h, a, _ in factors
        if h.kind == "F" and _closed(a) and (h.name in _BOUNDED or h.name == "floor")
    }
    for head, args in found:
        unit = build.entry(f"{head}~", args, (1,) * len(args), frozenset(("unit",)))
        value = unit.scaled(2) - ONE
        if head.name == "floor":
            value = algebra.opened(head, args) - unit
        expr = _put(expr, head, args, value)
    return expr


def _without_units(expr: Expr) -> Expr:
    """Every name u in (0, 1) written as s/(1 + s), and the powers of 1 + s multiplied away."""
    units: dict[tuple[Head, Args], tuple[Factor, int]] = {}
    for _, factors in expr.terms:
        for head, args, e in factors:
            unit = head.kind == "T" and "unit" in head.facts and _closed(args)
            if unit and isinstance(e, int) and e > 0:
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
        lowest: dict[tuple[Head, Args], Number] = {}
        for _, factors in expr.terms:
            for head, args, e in factors:
                if (
                    head.kind in "PT"
                    and e < 0
                    and _closed(args)
                    and atom_sign(head, args, 1) == POSITIVE
                ):
                    lowest[head, args] = min(e, lowest.get((head, args), 0))
        if not lowest:
            return expr
        (head, args), e = min(lowest.items())
        if head.kind == "P":
            expr = cleared_of(expr, head, args, number(-e))
        else:
            expr = algebra.mul(expr, single(head, args, number(-e)))
        if len(expr) > MOST_TERMS:
            return None
    return expr
