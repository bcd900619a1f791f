"""Certificates that an index expression is never negative, without distinguishing cases.

Each step is sound on its own: signs of the terms (squares, declared positive names, exponentials),
sums that are quadratic forms v S v of a square or of a positive definite matrix, and negative
terms covered by positive ones: by the same term without factors between zero and one, by a sum of
which they are one member, and by two terms through x² + y² >= 2 |x y|.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from itertools import combinations, permutations

from backproof.calculus.index import algebra, build
from backproof.calculus.index.canonical import components
from backproof.calculus.index.labels import loosened, renumbered
from backproof.calculus.index.signs import UNKNOWN, atom_sign, mono_sign, sign_of, zero_one
from backproof.calculus.index.terms import (
    BOUND,
    FREE,
    LITERAL,
    ONE,
    ONE_MONO,
    Args,
    Expr,
    Factor,
    Head,
    Ix,
    Mono,
    Number,
    Size,
    number,
    var,
)

MOST_SUMS = 6
MOST_SWAPPED = 3
_WITHIN = frozenset({"unit", "prob", "onehot", "binary"})


def certain(expr: Expr, strictly: bool) -> bool:
    """Whether *expr* >= 0 (> 0) follows from its terms as they stand."""
    if strictly:
        return _strict(expr)
    return sign_of(expr) != UNKNOWN or _covered(expr)


def _strict(expr: Expr) -> bool:
    """All terms are nonnegative, and one is positive at every point (not only almost all)."""
    if any(mono_sign(m, c) == UNKNOWN and not (c > 0 and _form(m)) for m, c in expr.items()):
        return False
    return any(all(_always_positive(f) for f in m[1]) and c > 0 for m, c in expr.items())


def _always_positive(factor: Factor) -> bool:
    head, args, e = factor
    if head.kind == "T":
        if "posdef" in head.facts:
            return args[-1] == args[-2]
        return bool(head.facts & {"positive", "unit"})
    if head.kind in "DN" or (head.kind == "F" and head.name == "exp"):
        return True
    if head.kind == "X":
        return "positive" in head.facts
    if head.kind == "F" and head.name == "log" and head.body is not None:
        return e == 1 and _strict(head.body - ONE)
    if head.kind == "P" and head.body is not None:
        return _strict(head.body)
    return False


# --- negative terms under positive ones -----------------------------------------------------------


def _covered(expr: Expr) -> bool:
    positive: dict[Mono, Fraction] = {}
    needs: list[tuple[Mono, Fraction, bool]] = []
    for mono, c in expr.items():
        if c > 0 and (mono_sign(mono, c) != UNKNOWN or _form(mono)):
            positive[mono] = Fraction(c)
        else:
            needs.append((mono, abs(Fraction(c)), c < 0))
    if not positive:
        return False
    return all(_cover(mono, need, negative, positive) for mono, need, negative in needs)


def _cover(mono: Mono, need: Fraction, negative: bool, positive: dict[Mono, Fraction]) -> bool:
    """Takes what covers a term out of the positive ones; False where that fails."""
    if negative:
        for other in sorted(positive, key=lambda m: len(m[0])):
            if not (_shrinks(mono, other) or _member(mono, other)):
                continue
            share = min(need, positive[other])
            positive[other] -= share
            need -= share
            if not positive[other]:
                del positive[other]
            if not need:
                return True
    return not mono[0] and _under_two(mono, need, positive)


def _under_two(mono: Mono, need: Fraction, positive: dict[Mono, Fraction]) -> bool:
    """a x² + b y² >= 2 √(a b) |x y|."""
    square = _powers(mono, 2)
    for first in list(positive):
        second = _quotient(square, first)
        if second is None or second not in positive or first == second:
            continue
        a, b = positive[first], positive[second]
        if 4 * a * b < need * need:
            continue
        share = need * need / (4 * b)  # shares that multiply to need²/4
        positive[first] -= share
        del positive[second]
        if not positive[first]:
            del positive[first]
        return True
    return False


def _powers(mono: Mono, k: int) -> dict[tuple[Head, Args], Number]:
    return {(h, a): e * k for h, a, e in mono[1]}


def _quotient(square: dict[tuple[Head, Args], Number], by: Mono) -> Mono | None:
    left = dict(square)
    for h, a, e in by[1]:
        left[(h, a)] = number(left.get((h, a), 0) - e)
    factors = tuple(sorted((h, a, e) for (h, a), e in left.items() if e))
    return ((), factors) if factors else ONE_MONO


def _shrinks(mono: Mono, other: Mono) -> bool:
    """Whether *mono* is *other* times factors between zero and one."""
    if sorted(map(str, mono[0])) != sorted(map(str, other[0])) or len(mono[0]) > MOST_SWAPPED:
        return False
    for order in permutations(range(len(mono[0]))):
        names = dict(enumerate(order))
        if any(mono[0][b] != other[0][names[b]] for b in names):
            continue
        left = {(h, a): e for h, a, e in renumbered(mono[1], names)}
        for h, a, e in other[1]:
            left[(h, a)] = number(left.get((h, a), 0) - e)
        if all(_within_one(h, e) for (h, _), e in left.items() if e):
            return True
    return False


def _within_one(head: Head, e: Number) -> bool:
    """Whether the atom to this power lies between zero and one."""
    if zero_one(head) or (head.kind == "T" and head.facts & _WITHIN):
        return e > 0
    if head.kind == "D":
        return e < 0
    if head.body is None:
        return False
    if head.kind == "P":
        return e < 0 and sign_of(head.body - ONE) != UNKNOWN
    if head.kind == "F" and head.name == "exp":
        return sign_of(head.body if e < 0 else -head.body) != UNKNOWN
    return False


def _member(mono: Mono, whole: Mono) -> bool:
    """Whether *mono* is what the sum *whole*, all of whose terms are nonnegative, adds up."""
    if len(whole[0]) <= len(mono[0]) or mono_sign(whole, 1) == UNKNOWN:
        return False
    wanted = Expr({mono: 1})
    labels, loose = loosened(whole, *wanted.free)
    for at, label in enumerate(labels):
        inside = algebra.normal((), loose)
        for b, (other, size) in enumerate(zip(labels, whole[0], strict=True)):
            if b != at:
                inside = algebra.sum_over(inside, other, size)
        twins = [
            var(other)
            for other, size in zip(labels, whole[0], strict=True)
            if other != label and size == whole[0][at]
        ]
        for twin in twins:  # the diagonal of a double sum
            made = algebra.rename(algebra.normal((), loose), {label: twin})
            for other, size in zip(labels, whole[0], strict=True):
                if other != label:
                    made = algebra.sum_over(made, other, size)
            if made == wanted:
                return True
        for place in _closed_indices((*loose, *mono[1]), labels):
            made = algebra.rename(inside, {label: place})
            if made == wanted:
                return True
            if len(made) == 1 and len(whole[0]) > len(mono[0]) + 1:
                ((own, c),) = made.items()
                if c == 1 and _member(mono, own):
                    return True
    return False


def _closed_indices(factors: tuple[Factor, ...], own: list[str]) -> list[Ix]:
    """The closed indices that could be one of those summed over.

    What such a member consists of stands in the expression already, so it is in range.
    """
    found = [a for _, args, _ in factors for a in args if a[0] != BOUND and a[1] not in own]
    bodies = [h.body for h, _, _ in factors if h.body is not None]
    while bodies:  # a literal position stands inside the atom
        body = bodies.pop()
        for _, inside in body.terms:
            found += [a for _, args, _ in inside for a in args if a[0] == LITERAL]
            bodies += [h.body for h, _, _ in inside if h.body is not None]
    return list(dict.fromkeys(found))


# --- quadratic forms ----------------------------------------------------------------------------


@lru_cache(maxsize=4_000)
def _form(mono: Mono) -> bool:
    """Whether a sum is one of squares, or v S v with S positive (semi)definite, times signs."""
    sizes, factors = mono
    if not 0 < len(sizes) <= MOST_SUMS:
        return False
    links = [k for k, f in enumerate(factors) if _definite(f)]
    for link in (None, *links):
        ends = () if link is None else tuple(a[1] for a in factors[link][1][:2])
        rest = tuple(f for k, f in enumerate(factors) if k != link)
        others = [b for b in range(len(sizes)) if b not in ends]
        for count in range(len(others) + 1):
            for held in combinations(others, count):
                if _pairs(sizes, rest, held, ends):
                    return True
    return False


def _definite(factor: Factor) -> bool:
    """Whether the atom is an entry of a positive definite matrix between two summed indices."""
    head, args, e = factor
    if e != 1 or len(args) < 2 or args[0][0] != BOUND or args[1][0] != BOUND:
        return False
    if args[0][2] or args[1][2] or args[0] == args[1]:
        return False
    if head.kind == "T":
        return len(args) == 2 and "posdef" in head.facts
    return head.kind == "V" and len(args) == 2 and semidefinite(head)


def semidefinite(head: Head) -> bool:
    """Whether the matrix inside an inverse or determinant is positive semidefinite."""
    if "semidefinite" not in head.cache:
        assert head.body is not None
        n = head.sizes[0]
        row, col = (build.entry("v|", (var(x),), (n,)) for x in ("$0", "$1"))
        whole = algebra.mul(algebra.mul(head.body, row), col)
        for label in ("$0", "$1"):
            whole = algebra.sum_over(whole, label, n)
        head.cache["semidefinite"] = all(
            c > 0 and (mono_sign(m, c) != UNKNOWN or _form(m)) for m, c in whole.items()
        )
    known: bool = head.cache["semidefinite"]
    return known


def _pairs(
    sizes: tuple[Size, ...],
    factors: tuple[Factor, ...],
    held: tuple[int, ...],
    ends: tuple[int, ...],
) -> bool:
    """Whether, with some indices held, the rest is nonnegative atoms and equal pairs of sums."""
    names = {b: f"%h{b}" for b in held}
    marked = {b: f"%e{k}" for k, b in enumerate(ends)}
    fixed = names | marked
    loose = tuple(
        (
            h,
            tuple(
                [
                    (FREE, fixed[a[1]], a[2], a[3]) if a[0] == BOUND and a[1] in fixed else a
                    for a in args
                ]
            ),
            e,
        )
        for h, args, e in factors
    )
    free = [b for b in range(len(sizes)) if b not in fixed]
    own = {b: k for k, b in enumerate(free)}
    parts, single = components(tuple(sizes[b] for b in free), renumbered(loose, own))
    left: list[Expr] = []
    at_ends: list[list[Factor]] = [[], []]
    for f in single:
        end = next((k for k in range(len(ends)) if any(a[1] == f"%e{k}" for a in f[1])), None)
        if end is not None:
            at_ends[end].append(f)
        elif atom_sign(*f) == UNKNOWN:
            left.append(algebra.normal((), (f,)))
    sums_at: list[list[Expr]] = [[], []]
    for labels, inside in parts:
        inner = {b: k for k, b in enumerate(labels)}
        made = algebra.normal(
            tuple(sizes[free[b]] for b in labels),
            renumbered(tuple(inside), inner),
        )
        touched = {k for k in range(len(ends)) if f"%e{k}" in made.free}
        if len(touched) > 1:
            return False
        if touched:
            sums_at[touched.pop()].append(made)
        elif len(made) != 1 or not all(mono_sign(m, c) != UNKNOWN for m, c in made.items()):
            left.append(made)
    if ends:
        one, two = (
            algebra.product([algebra.normal((), tuple(at_ends[k])), *sums_at[k]]) for k in (0, 1)
        )
        if algebra.rename(one, {"%e0": var("%e1")}) != two:
            return False
    while left:
        first = left.pop()
        if first not in left:
            return False
        left.remove(first)
    return True
