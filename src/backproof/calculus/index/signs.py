"""What is known of signs: positive almost everywhere, not negative, or nothing.

"Almost everywhere" because points on a kink (where an indicator's argument is zero) take no part
in any comparison: a square of a free quantity counts as positive, an indicator or a {0,1} label
does not, since these are zero on sets that matter.
"""

from __future__ import annotations

from functools import lru_cache

from backproof.calculus.index.terms import BOUND, ONE_MONO, Args, Expr, Head, Mono, Number

UNKNOWN, NONNEGATIVE, POSITIVE = 0, 1, 2
ZERO_ONE = frozenset({"onehot", "binary"})
_ABOVE_ZERO = frozenset({"positive", "unit", "prob"})
_MAY_VANISH = frozenset("BQILSVXR")


def zero_one(head: Head) -> bool:
    """Whether the atom takes the values 0 and 1 only."""
    return head.kind in "BQILS" or (head.kind == "T" and bool(head.facts & ZERO_ONE))


def atom_sign(head: Head, args: Args, e: Number) -> int:
    """The sign of an atom to a power."""
    kind = head.kind
    if kind in "DN":
        return POSITIVE
    if zero_one(head):
        return NONNEGATIVE
    if not isinstance(e, int):
        return POSITIVE if kind != "P" or e < 0 else _base_sign(head, NONNEGATIVE)
    if kind in "TX" and head.facts:
        if head.facts & _ABOVE_ZERO:
            return POSITIVE
        if "posdef" in head.facts and args and args[-1] == args[-2]:
            return POSITIVE
        if "signs" in head.facts and e & 1 == 0:
            return POSITIVE
    if kind == "F" and head.name == "exp":
        return POSITIVE
    if kind == "P":
        known = _base_sign(head, UNKNOWN)
        if known == UNKNOWN and e & 1 == 0:
            known = NONNEGATIVE
        return POSITIVE if known and e < 0 else known
    if e & 1:
        return UNKNOWN
    if kind == "T" and "vanishing" in head.facts and e > 0:
        return NONNEGATIVE  # such as a relu's value: zero on whole regions
    if e < 0 and kind != "T":
        return POSITIVE
    if kind in _MAY_VANISH or (kind == "F" and head.name in ("floor", "opaque")):
        return NONNEGATIVE
    return POSITIVE


def _base_sign(head: Head, at_least: int) -> int:
    if "sign" not in head.cache:
        assert head.body is not None
        head.cache["sign"] = sign_of(head.body)
    known: int = head.cache["sign"]
    return max(known, at_least)


def mono_sign(mono: Mono, c: Number) -> int:
    """The sign of one term."""
    if c < 0:
        return UNKNOWN
    known = POSITIVE
    for head, args, e in mono[1]:
        s = atom_sign(head, args, e)
        if s == UNKNOWN:
            return UNKNOWN
        known = min(known, s)
    return known


@lru_cache(maxsize=8_000)
def sign_of(expr: Expr) -> int:
    """POSITIVE, NONNEGATIVE or UNKNOWN."""
    if not expr.terms:
        return NONNEGATIVE
    best = NONNEGATIVE
    left: Number = expr.terms.get(ONE_MONO, 0)
    taken: Number = 0
    for mono, c in expr.terms.items():
        known = mono_sign(mono, c)
        if known == UNKNOWN:
            if c < 0 and not mono[0] and all(_unit(h, a, e) for h, a, e in mono[1]):
                taken -= c
                continue
            return UNKNOWN
        if mono != ONE_MONO:
            best = max(best, known)
    if taken:
        return POSITIVE if left >= taken else UNKNOWN
    return POSITIVE if left > 0 else best


def _unit(head: Head, args: Args, e: Number) -> bool:
    """Whether the atom lies strictly between zero and one."""
    if head.kind == "T":
        return e > 0 and "unit" in head.facts
    if head.kind == "P" and e < 0 and head.body is not None:
        k = head.body.terms.get(ONE_MONO, 0)
        if k < 1:
            return False
        rest = Expr({m: c for m, c in head.body.terms.items() if m != ONE_MONO})
        return sign_of(rest) == POSITIVE
    return False


def is_closed(args: Args) -> bool:
    """Whether no argument is a summed index."""
    return all(a[0] != BOUND for a in args)
