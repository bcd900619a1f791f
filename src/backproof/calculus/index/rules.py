"""Rules on single monomials that need no other expression: deltas, facts, composites, orders.

Each rule looks at one atom among the others and gives the rewritten monomial, or None. All are
identities of numbers: a delta is 0 or 1, a one-hot row has one entry of 1, and so on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from backproof.calculus.index.atoms import delta_head, order_head, resized, split_head
from backproof.calculus.index.terms import (
    BOUND,
    FREE,
    LITERAL,
    Args,
    Factor,
    Head,
    Ix,
    Number,
    Size,
    lit,
    plus_offset,
    shift,
    size,
)
from backproof.operators.dims import Dim

IDEMPOTENT = frozenset("IBQLS")
Powers = dict[tuple[Head, Args], Number]


@dataclass(frozen=True, slots=True)
class Raw:
    """A monomial that has yet to be brought into normal form."""

    sizes: tuple[Size, ...]
    factors: tuple[Factor, ...]
    zero: bool = False


NOTHING = Raw((), (), zero=True)


def minus(a: Size, b: Size) -> Size:
    """The difference of two dimensions."""
    if isinstance(a, int) and isinstance(b, int):
        return a - b
    return size(Dim.of(a) - Dim.of(b))


def at_least(value: Size, least: int) -> bool:
    """Whether a dimension is *least* or more for all positive values of its names."""
    if isinstance(value, int):
        return value >= least
    smallest = 0
    for names, c in value.terms:
        if names and c < 0:
            return False
        smallest += c
    return smallest >= least


Replacement = tuple[Ix, Ix]


@lru_cache(maxsize=8_000)
def relation(
    u: Ix, du: Size, v: Ix, dv: Size, inside: bool = False
) -> bool | list[Replacement] | None:
    """What u == v says: always, never, these replacements of a variable, or nothing simple.

    *du* and *dv* are what the variables in u and v run over. With *inside* all that v can be is
    known to lie on the axis of u.
    """
    if u == v:
        return True
    if u[0] == LITERAL and v[0] == LITERAL:
        if not u[2] and not v[2]:
            return False
        gap = minus(size(Dim.of(u[3]) + u[1]), size(Dim.of(v[3]) + v[1]))
        return False if at_least(gap, 1) or at_least(minus(0, gap), 1) else None
    if u[0] == LITERAL:
        u, du, v, dv, inside = v, dv, u, du, False
    if v[0] == LITERAL:
        target = shift(v, minus(0, u[3]))
        position: Size = target[1] if not target[2] else target[3]
        if at_least(minus(0, position), 0) or at_least(minus(position, du), 1):
            return False
        fits = inside and not u[2]
        if isinstance(position, int) and not isinstance(du, int):
            fits = fits or du == dv  # the literal took the place of an index of that axis
        else:
            fits = fits or at_least(minus(du, position), 0)
        if not at_least(position, 1) or not fits:
            return None
        return [((u[0], u[1], "", 0), target)]
    gap = minus(v[3], u[3])  # u's variable = v's variable + gap
    if u[:2] == v[:2]:
        if gap == 0:
            return True
        return False if at_least(gap, 1) or at_least(minus(0, gap), 1) else None
    if at_least(minus(gap, du), 0) or at_least(minus(minus(0, gap), dv), 0):
        return False
    found: list[Replacement] = []
    uv: Ix = (u[0], u[1], "", 0)
    vv: Ix = (v[0], v[1], "", 0)
    within = at_least(gap, 0) and at_least(minus(du, size(Dim.of(gap) + dv)), 0)
    if within or (inside and not u[2]):
        found.append((uv, shift(vv, gap)))
    back = minus(0, gap)
    if at_least(back, 0) and at_least(minus(dv, size(Dim.of(back) + du)), 0):
        found.append((vv, shift(uv, back)))
    return found or None


def uses(powers: Powers, b: int) -> int:
    """In how many places the summed index occurs."""
    return sum(1 for _, args in powers for a in args if a[0] == BOUND and a[1] == b)


def without(powers: Powers, *keys: tuple[Head, Args]) -> Powers:
    return {k: e for k, e in powers.items() if k not in keys}


def raw(sizes: tuple[Size, ...], powers: Powers, *gone: int) -> Raw:
    """The monomial without the summed indices *gone*."""
    if not gone:
        return Raw(sizes, tuple([(h, a, e) for (h, a), e in powers.items()]))
    kept = [b for b in range(len(sizes)) if b not in gone]
    names = {b: k for k, b in enumerate(kept)}
    factors = tuple(
        [
            (
                h,
                tuple([(BOUND, names[x[1]], x[2], x[3]) if x[0] == BOUND else x for x in a]),
                e,
            )
            for (h, a), e in powers.items()
        ]
    )
    return Raw(tuple(sizes[b] for b in kept), factors)


def _sole_sum(sizes: tuple[Size, ...], powers: Powers, ix: Ix, over: Size) -> bool:
    """Whether *ix* is summed over its whole axis and occurs nowhere else."""
    return ix[0] == BOUND and not ix[2] and sizes[ix[1]] == over and uses(powers, ix[1]) == 1


def tensor_rule(
    sizes: tuple[Size, ...], powers: Powers, head: Head, args: Args, e: Number
) -> Raw | None:
    """What the declared facts of a quantity say about its entry in this product."""
    facts = head.facts
    if not args:
        return None
    if "diagonal" in facts and args[-1] != args[-2]:
        rest = without(powers, (head, args))
        same = (head, (*args[:-1], args[-2]))
        rest[same] = rest.get(same, 0) + e
        if e <= 0:
            return None
        n = head.sizes[-1]
        rest[(delta_head(n, n), _ordered(args[-2], args[-1]))] = 1
        return raw(sizes, rest)
    if "onehot" in facts and e > 0:
        for (other, other_args), e2 in powers.items():
            if other == head and other_args != args and e2 > 0 and other_args[:-1] == args[:-1]:
                rest = without(powers, (other, other_args))
                n = head.sizes[-1]
                rest[(delta_head(n, n), _ordered(args[-1], other_args[-1]))] = 1
                return raw(sizes, rest)
    if facts & {"onehot", "prob"} and e == 1 and _sole_sum(sizes, powers, args[-1], head.sizes[-1]):
        return raw(sizes, without(powers, (head, args)), args[-1][1])
    if "orthogonal" in facts:
        return _orthogonal(sizes, powers, head, args, e)
    return None


def _ordered(a: Ix, b: Ix) -> Args:
    return (a, b) if a <= b else (b, a)


def _orthogonal(
    sizes: tuple[Size, ...], powers: Powers, head: Head, args: Args, e: Number
) -> Raw | None:
    n = head.sizes[-1]
    for p, q in ((0, 1), (1, 0)):
        j = args[p]
        if j[0] != BOUND or j[2] or sizes[j[1]] != n:
            continue
        count = uses(powers, j[1])
        if e == 2 and count == 1:
            return raw(sizes, without(powers, (head, args)), j[1])
        if e != 1 or count != 2:
            continue
        for (other, other_args), e2 in powers.items():
            if other == head and e2 == 1 and other_args != args and other_args[p] == j:
                rest = without(powers, (head, args), (other, other_args))
                key = (delta_head(n, n), _ordered(args[q], other_args[q]))
                rest[key] = 1
                return raw(sizes, rest, j[1])
    return None


def split_rule(sizes: tuple[Size, ...], powers: Powers, head: Head, args: Args) -> Raw | None:
    """Composite indices: one value for its parts, one set of parts for its value."""
    whole, parts = args[0], args[1:]
    radices = head.sizes
    extent = _product(radices)
    if _sole_sum(sizes, powers, whole, extent):
        return raw(sizes, without(powers, (head, args)), whole[1])
    sums = zip(parts, radices, strict=True)
    if all(_sole_sum(sizes, powers, p, q) for p, q in sums):
        return raw(sizes, without(powers, (head, args)), *[p[1] for p in parts])
    if all(p[0] == LITERAL and not p[2] for p in parts) and all(
        isinstance(q, int) for q in radices[1:]
    ):
        value = 0
        for p, q in zip(parts, radices, strict=True):
            value = value * (q if isinstance(q, int) else 1) + p[1] - 1
        rest = without(powers, (head, args))
        rest[(delta_head(extent, extent), _ordered(whole, lit(value + 1)))] = 1
        return raw(sizes, rest)
    if whole[0] == LITERAL and not whole[2] and all(isinstance(q, int) for q in radices):
        rest = without(powers, (head, args))
        left = whole[1] - 1
        for p, q in reversed(list(zip(parts, radices, strict=True))):
            assert isinstance(q, int)
            left, position = divmod(left, q)
            key = (delta_head(q, q), _ordered(p, lit(position + 1)))
            rest[key] = 1
        return raw(sizes, rest)
    for (other, other_args), _ in powers.items():
        if other.kind != "S" or other_args == args:
            continue
        if other == head and other_args[0] == whole:
            rest = without(powers, (other, other_args))
            for p, p2, q in zip(parts, other_args[1:], radices, strict=True):
                if p != p2:
                    rest[(delta_head(q, q), _ordered(p, p2))] = 1
            return raw(sizes, rest)
        if other == head and other_args[1:] == parts:
            rest = without(powers, (other, other_args))
            rest[(delta_head(extent, extent), _ordered(whole, other_args[0]))] = 1
            return raw(sizes, rest)
        inner = other_args[0]
        summed = inner[0] == BOUND and not inner[2] and uses(powers, inner[1]) == 2
        if summed and inner in parts and sizes[inner[1]] == _product(other.sizes):
            at = parts.index(inner)
            new_parts = parts[:at] + other_args[1:] + parts[at + 1 :]
            new_radices = radices[:at] + other.sizes + radices[at + 1 :]
            rest = without(powers, (head, args), (other, other_args))
            rest[(split_head(new_radices), (whole, *new_parts))] = 1
            return raw(sizes, rest, inner[1])
    return None


def _product(radices: tuple[Size, ...]) -> Size:
    result = Dim.of(1)
    for q in radices:
        result = result * Dim.of(q)
    return size(result)


def order_rule(sizes: tuple[Size, ...], powers: Powers, head: Head, args: Args) -> Raw | None:
    """[i < j] where it is decided, and where the opposite order stands beside it."""
    u, v = args
    if u[0] == LITERAL and v[0] == LITERAL and not u[2] and not v[2]:
        return raw(sizes, without(powers, (head, args))) if u[1] < v[1] else NOTHING
    if u[:2] == v[:2]:
        gap = minus(v[3], u[3])
        if at_least(gap, 1):
            return raw(sizes, without(powers, (head, args)))
        return NOTHING if at_least(minus(0, gap), 0) else None
    if v[0] == LITERAL and not v[2] and not u[2] and v[1] <= 1:
        return NOTHING
    if u[0] == LITERAL and not v[2] and not u[2] and head.sizes[1] == u[1]:
        return NOTHING
    if (order_head(head.sizes[1], head.sizes[0]), (v, u)) in powers:
        return NOTHING
    return None


def inverse_rule(sizes: tuple[Size, ...], powers: Powers, head: Head, args: Args) -> Raw | None:
    """`sum_j inv(A)_ij A_jk = d(i,k)` for the inverse of a plain matrix, on either side."""
    plain = _plain_matrix(head)
    if plain is None:
        return None
    inner, inner_args, row, column = plain
    n = head.sizes[0]
    for other, other_args in powers:
        if other != inner or powers[other, other_args] != 1:
            continue
        for mine, at, out in ((1, row, column), (0, column, row)):
            for place, left in ((at, out), (out, at)) if inner.perms else ((at, out),):
                j = args[mine]
                if j[0] != BOUND or j[2] or sizes[j[1]] != n or other_args[place] != j:
                    continue
                wanted = [
                    plus_offset(a, args[int(a[1][1:])]) if a[0] == FREE else a for a in inner_args
                ]
                wanted[place], wanted[left] = j, other_args[left]
                if tuple(wanted) != other_args or uses(powers, j[1]) != 2:
                    continue
                rest = without(powers, (head, args), (other, other_args))
                rest[(delta_head(n, n), _ordered(args[1 - mine], other_args[left]))] = 1
                return raw(sizes, rest, j[1])
    return None


def is_plain_inverse(head: Head) -> bool:
    """Whether the head is the inverse of one named matrix, which products already know."""
    return _plain_matrix(head) is not None


def _plain_matrix(head: Head) -> tuple[Head, Args, int, int] | None:
    """(quantity, its arguments, place of the row, of the column) for inv of one named matrix."""
    if head.body is None or len(head.body.terms) != 1:
        return None
    ((mono, c),) = head.body.terms.items()
    if c != 1 or mono[0] or len(mono[1]) != 1 or mono[1][0][2] != 1 or mono[1][0][0].kind != "T":
        return None
    inner, args, _ = mono[1][0]
    rows = [k for k, a in enumerate(args) if a == (FREE, "$0", "", 0)]
    columns = [k for k, a in enumerate(args) if a == (FREE, "$1", "", 0)]
    return (inner, args, rows[0], columns[0]) if len(rows) == len(columns) == 1 else None


# --- what deltas and orders run over ---------------------------------------------------------


def actual(head: Head, args: Args, sizes: tuple[Size, ...]) -> Head:
    """A delta or an order with the ranges that its summed indices really have."""
    a, b = head.sizes
    if args[0][0] == BOUND:
        a = sizes[args[0][1]]
    if args[1][0] == BOUND:
        b = sizes[args[1][1]]
    return resized(head, a, b)


def unsized(head: Head, old: Args, new: Args) -> Head:
    """A literal that took the place of a shifted index no longer tells how long its axis is."""
    if head.kind not in "IL" or not any(b[0] == LITERAL for b in new):
        return head
    a, b = (
        0 if y[0] == LITERAL and x[0] != LITERAL and x[2] else s
        for x, y, s in zip(old, new, head.sizes, strict=True)
    )
    return resized(head, a, b)


def told(powers: Powers, old: Ix, extent: Size) -> Powers:
    """Deltas and orders told over what the index runs that is about to replace *old* in them."""
    out: Powers = {}
    for (h, args), e in powers.items():
        if h.kind in "IL" and any(a[:2] == old[:2] for a in args):
            a, b = (extent if x[:2] == old[:2] else s for x, s in zip(args, h.sizes, strict=True))
            h = resized(h, a, b)
        out[h, args] = e
    return out
