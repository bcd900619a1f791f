"""Inverses, determinants and reductions over an index, as atoms over a closed body.

The body of an inverse or determinant is the matrix entry as a function of its row and column.
What can be taken out is taken out on construction: scalars, row and column scalings, diagonal
matrices, products of square factors, transposes, `det(I + UV) = det(I + VU)`.
"""

from __future__ import annotations

from functools import lru_cache

from backproof.calculus.index.algebra import (
    dim_expr,
    mul,
    normal,
    opened_over,
    product,
    rebuilders,
    rename,
    sum_over,
)
from backproof.calculus.index.build import delta
from backproof.calculus.index.closing import close
from backproof.calculus.index.labels import fresh
from backproof.calculus.index.powers import Undefined, content, exp, log, parts_of, power
from backproof.calculus.index.signs import POSITIVE, sign_of
from backproof.calculus.index.terms import (
    BOUND,
    FREE,
    ONE,
    ZERO,
    Args,
    Expr,
    Factor,
    Head,
    Ix,
    Mono,
    Size,
    const,
    single,
    var,
)


def uses(factor: Factor, label: str) -> bool:
    """Whether an atom depends on the free index."""
    return any(a[0] == FREE and a[1] == label for a in factor[1])


@lru_cache(maxsize=5000)
def pulled(expr: Expr, row: str, col: str) -> tuple[Expr, Expr, Expr, Expr]:
    """(scalar, row scaling, column scaling, rest), whose product is the matrix entry."""
    rational, common, sums, rest = content(expr, True)
    scalar, rows, columns = const(rational), ONE, ONE
    for factor in common:
        atom = normal((), (factor,))
        on_row, on_col = uses(factor, row), uses(factor, col)
        if on_row and on_col:
            rest = mul(rest, atom)
        elif on_row:
            rows = mul(rows, atom)
        elif on_col:
            columns = mul(columns, atom)
        else:
            scalar = mul(scalar, atom)
    pieces = list(sums)
    if len(rest.terms) == 1:
        ((mono, c),) = rest.terms.items()
        parts, loose = parts_of(mono)
        free_parts = [m for m in parts if not _touches(m, row) and not _touches(m, col)]
        if free_parts:
            pieces += free_parts
            kept = [Expr({m: 1}) for m in parts if m not in free_parts]
            rest = mul(normal((), loose), product(kept)).scaled(c)
    for mono in pieces:
        piece = Expr({mono: 1})
        on_row, on_col = _touches(mono, row), _touches(mono, col)
        if on_row or on_col:
            rest = mul(rest, piece)
        else:
            scalar = mul(scalar, piece)
    return scalar, rows, columns, rest


def _touches(mono: Mono, label: str) -> bool:
    return any(uses(f, label) for f in mono[1])


def diagonal_of(expr: Expr, row: str, col: str) -> Expr | None:
    """d with expr = delta(row, col) * d(row), if the matrix is diagonal."""
    pair = {(FREE, row, "", 0), (FREE, col, "", 0)}
    for _, factors in expr.terms:
        if not any(h.kind == "I" and set(a) == pair for h, a, _ in factors):
            return None
    return rename(expr, {col: var(row)})


def chain(expr: Expr, row: str, col: str, extent: Size | None) -> list[tuple[Expr, Expr, Size]]:
    """All ways to write a one-term matrix as sum_k left(row, k) right(k, col).

    Both factors are returned in terms of *row* and *col*; *extent* asks for that size of k.
    """
    if len(expr.terms) != 1:
        return []
    ((mono, c),) = expr.terms.items()
    sizes, factors = mono
    found: list[tuple[Expr, Expr, Size]] = []
    for k, size in enumerate(sizes):
        if extent is not None and size != extent:
            continue
        if any(a[0] == BOUND and a[1] == k and a[2] for _, args, _ in factors for a in args):
            continue
        sides = _sides(factors, k, row, col)
        if sides is None:
            continue
        left, right = sides
        labels = fresh(len(sizes), factors)
        made: list[Expr] = []
        for side, end in ((left, col), (right, row)):
            own = [b for b in range(len(sizes)) if b != k and _has(side, b)]
            names: dict[int, Ix] = {b: (FREE, labels[b], "", 0) for b in own}
            names[k] = (FREE, end, "", 0)
            piece = normal((), tuple([(h, _filled(a, names), e) for h, a, e in side]))
            for b in own:
                piece = sum_over(piece, labels[b], sizes[b])
            made.append(piece)
        found.append((made[0].scaled(c), made[1], size))
    return found


def _has(factors: list[Factor], b: int) -> bool:
    return any(a[0] == BOUND and a[1] == b for _, args, _ in factors for a in args)


def _filled(args: Args, names: dict[int, Ix]) -> Args:
    return tuple(
        [
            (names[a[1]] if not a[2] else (FREE, names[a[1]][1], a[2], a[3]))
            if a[0] == BOUND
            else a
            for a in args
        ]
    )


def _sides(
    factors: tuple[Factor, ...], k: int, row: str, col: str
) -> tuple[list[Factor], list[Factor]] | None:
    """Factors on the row's side of summed index k and on the column's; None if not a cut."""
    groups: list[tuple[set[object], list[Factor]]] = []
    for factor in factors:
        nodes: set[object] = set()
        for a in factor[1]:
            if (a[0] == BOUND and a[1] != k) or (a[0] == FREE and a[1] in (row, col)):
                nodes.add(a[1])
        joined: tuple[set[object], list[Factor]] = (nodes, [factor])
        kept: list[tuple[set[object], list[Factor]]] = []
        for group in groups:
            if group[0] & joined[0]:
                joined = (joined[0] | group[0], group[1] + joined[1])
            else:
                kept.append(group)
        groups = [*kept, joined]
    left: list[Factor] = []
    right: list[Factor] = []
    for nodes, members in groups:
        if row in nodes and col in nodes:
            return None
        (left if row in nodes else right).extend(members)
    ends = any(row in nodes for nodes, _ in groups) and any(col in nodes for nodes, _ in groups)
    return (left, right) if ends and _has(left, k) and _has(right, k) else None


# --- inverse -------------------------------------------------------------------------------------


def inv(expr: Expr, row: str, col: str, n: Size, i: Ix, j: Ix) -> Expr:
    """Entry (i, j) of the inverse of the n by n matrix whose entry (row, col) is *expr*."""
    if not expr.terms:
        raise Undefined
    if n == 1:
        return power(expr, -1)
    diagonal = diagonal_of(expr, row, col)
    if diagonal is not None:
        return mul(delta(i, j, n), power(rename(diagonal, {row: i}), -1))
    scalar, rows, columns, rest = pulled(expr, row, col)
    outer = power(scalar, -1)
    if rows is not ONE:
        outer = mul(outer, power(rename(rows, {row: j}), -1))
    if columns is not ONE:
        outer = mul(outer, power(rename(columns, {col: i}), -1))
    return mul(outer, _inverse(rest, row, col, n, i, j))


def _inverse(expr: Expr, row: str, col: str, n: Size, i: Ix, j: Ix) -> Expr:
    diagonal = diagonal_of(expr, row, col)
    if diagonal is not None:
        return mul(delta(i, j, n), power(rename(diagonal, {row: i}), -1))
    if len(expr.terms) == 1:
        ((mono, c),) = expr.terms.items()
        if not mono[0] and len(mono[1]) == 1 and mono[1][0][2] == 1:
            head, args, _ = mono[1][0]
            names = {row: j, col: i}
            if head.kind == "T" and "orthogonal" in head.facts and _plain(args, row, col):
                return rename(normal((), mono[1]), names).scaled(1 if c == 1 else c)
            if head.kind == "V" and head.sizes == (n,) and c == 1 and _plain(args, row, col):
                labels, body = opened_over(head, args)
                ends = (args[0], args[1])
                if ends == (var(row), var(col)):
                    return rename(body, {labels[0]: i, labels[1]: j})
                if ends == (var(col), var(row)):
                    return rename(body, {labels[0]: j, labels[1]: i})
        for left, right, _ in chain(expr, row, col, n):
            if len(left.terms) and len(right.terms):
                (label,) = fresh(1, ((_DUMMY, (i, j, var(row), var(col)), 1), *mono[1]))
                middle = var(label)
                first = inv(right, row, col, n, i, middle)
                second = inv(left, row, col, n, middle, j)
                return sum_over(mul(first, second), label, n)
    one = close(expr, (row, col), True)
    two = close(expr, (col, row), True)
    body, args, sign, perms = one
    turned = False
    lifted = [((0, 1, *[p + 2 for p in perm]), s) for perm, s in perms]
    if two[0].text == body.text and two[1] == args:
        own = (1, 0, *range(2, 2 + len(args)))
        lifted += [((1, 0, *p[2:]), s * sign * two[2]) for p, s in lifted]
        lifted.append((own, sign * two[2]))
    elif two[0].text < body.text:
        body, args, sign, perms = two
        turned = True
        lifted = [((0, 1, *[p + 2 for p in perm]), s) for perm, s in perms]
    head = Head.make("V", "", (n,), body, perms=tuple(sorted(lifted)))
    ends = (j, i) if turned else (i, j)
    made = normal((), ((head, (*ends, *args), 1),))
    return made if sign > 0 else -made


def _plain(args: Args, row: str, col: str) -> bool:
    """Whether the first two arguments are the row and the column, and no other is."""
    ends = {var(row), var(col)}
    return set(args[:2]) == ends and not ends & set(args[2:])


_DUMMY = Head.make("T", "")


# --- determinant ---------------------------------------------------------------------------------


def dim_power(base: Expr, n: Size) -> Expr | None:
    """base ** n for a dimension n; None where n has no number and the base no sign."""
    if isinstance(n, int):
        return power(base, n)
    if base == ONE:
        return ONE
    if sign_of(base) != POSITIVE:
        return None
    return exp(mul(dim_expr(n), log(base)))


def det(expr: Expr, row: str, col: str, n: Size) -> Expr:
    """The determinant of the n by n matrix whose entry (row, col) is *expr*."""
    if not expr.terms:
        return ZERO
    diagonal = diagonal_of(expr, row, col)
    if diagonal is not None:
        return red("prod", diagonal, (row,), (n,))
    scalar, rows, columns, rest = pulled(expr, row, col)
    outer = dim_power(scalar, n)
    if outer is None:
        rest, outer = mul(rest, scalar), ONE
    for scaling, label in ((rows, row), (columns, col)):
        if scaling is not ONE:
            outer = mul(outer, red("prod", scaling, (label,), (n,)))
    return mul(outer, _determinant(rest, row, col, n))


def _determinant(expr: Expr, row: str, col: str, n: Size) -> Expr:
    diagonal = diagonal_of(expr, row, col)
    if diagonal is not None:
        return red("prod", diagonal, (row,), (n,))
    facts: frozenset[str] = frozenset()
    if len(expr.terms) == 1:
        ((mono, c),) = expr.terms.items()
        if not mono[0] and len(mono[1]) == 1 and mono[1][0][2] == 1 and c == 1:
            head, args, _ = mono[1][0]
            if head.kind == "V" and head.sizes == (n,) and _plain(args, row, col):
                labels, body = opened_over(head, args)
                return power(det(body, labels[0], labels[1], n), -1)
            if head.kind == "T" and len(args) == 2 and _plain(args, row, col):
                if "orthogonal" in head.facts:
                    facts = frozenset({"signs"})
                if "posdef" in head.facts:
                    facts = frozenset({"positive"})
        for left, right, _ in chain(expr, row, col, n):
            return mul(det(left, row, col, n), det(right, row, col, n))
    shifted = _shifted_identity(expr, row, col, n)
    if shifted is not None:
        return shifted
    updated = _low_rank_update(expr, row, col, n)
    if updated is not None:
        return updated
    return _det_atom(expr, row, col, n, facts)


def _det_atom(expr: Expr, row: str, col: str, n: Size, facts: frozenset[str]) -> Expr:
    signed = isinstance(n, int)
    body, args, sign, perms = min(
        close(expr, (row, col), signed), close(expr, (col, row), signed), key=lambda c: c[0].text
    )
    odd = isinstance(n, int) and n % 2 == 1
    perms = tuple((p, s if odd else 1) for p, s in perms)
    head = Head.make("X", "", (n,), body, facts=facts, perms=perms)
    made = normal((), ((head, args, 1),))
    return made if sign > 0 or not odd else -made


def _identity_and_rest(expr: Expr, row: str, col: str, n: Size) -> tuple[Expr, Expr, Expr] | None:
    """(identity, c, M) for a matrix c I + M of two terms with a number c."""
    if len(expr.terms) != 2:
        return None
    identity = delta(var(row), var(col), n)
    ((eye_mono, _),) = identity.terms.items()
    (eye_head, eye_args, _) = eye_mono[1][0]
    scale: Expr | None = None
    other: Expr | None = None
    for mono, c in expr.terms.items():
        rest = tuple([f for f in mono[1] if f[:2] != (eye_head, eye_args)])
        if len(rest) < len(mono[1]):
            scale = normal(mono[0], rest).scaled(c)
        else:
            other = Expr({mono: c})
    if scale is None or other is None or row in scale.free or col in scale.free:
        return None
    return identity, scale, other


def _shifted_identity(expr: Expr, row: str, col: str, n: Size) -> Expr | None:
    """det(c I + U V), brought to the canonical one among its rotations det(c I + V U)."""
    parts = _identity_and_rest(expr, row, col, n)
    if parts is None:
        return None
    identity, scale, other = parts
    ends = _outer_product(other, row, col)
    if ends and scale == ONE:
        return ONE + sum_over(rename(other, {col: var(row)}), row, n)
    if scale != ONE:
        outer = dim_power(scale, n)
        if outer is None:
            return None
        inner = identity + mul(other, power(scale, -1))
        return mul(outer, _determinant(inner, row, col, n))
    best: tuple[str, str, Size, Expr] = (str(n), expr.text, n, expr)
    for left, right, size in chain(other, row, col, None):
        whole = delta(var(row), var(col), size) + _turned(left, right, row, col, n)
        swapped = rename(whole, {row: var(col), col: var(row)})
        for candidate in (whole, swapped):
            best = min(best, (str(size), candidate.text, size, candidate), key=lambda b: b[:2])
    _, _, size, body = best
    return _det_atom(body, row, col, size, frozenset())


def _turned(left: Expr, right: Expr, row: str, col: str, n: Size) -> Expr:
    """V U for the two factors U and V of a product of n columns in V."""
    (label,) = fresh(1, tuple(f for e in (left, right) for m in e.terms for f in m[1]))
    first, second = rename(right, {col: var(label)}), rename(left, {row: var(label)})
    return sum_over(mul(first, second), label, n)


def rotated(head: Head, args: Args) -> Expr | None:
    """inv(c I + U V) = (I - U inv(c I + V U) V)/c, where the right side is the canonical one."""
    if head.kind != "V":
        return None
    (row, col), body = opened_over(head, args)
    n = head.sizes[0]
    parts = _identity_and_rest(body, row, col, n)
    if parts is None:
        return None
    _, scale, other = parts
    best: tuple[str, str, Size, Expr, Expr, Expr] | None = None
    for left, right, size in chain(other, row, col, None):
        whole = mul(scale, delta(var(row), var(col), size)) + _turned(left, right, row, col, n)
        closed = close(whole, (row, col))[0].text
        if best is None or (str(size), closed) < best[:2]:
            best = (str(size), closed, size, whole, left, right)
    if best is None or best[:2] >= (str(n), close(body, (row, col))[0].text):
        return None
    _, _, size, whole, left, right = best
    every = tuple(f for e in (left, right, whole) for m in e.terms for f in m[1])
    k, m = fresh(2, ((head, args, 1), *every))
    middle = inv(whole, row, col, size, var(k), var(m))
    outer = mul(rename(left, {row: args[0], col: var(k)}), middle)
    outer = sum_over(outer, k, size)
    outer = sum_over(mul(outer, rename(right, {row: var(m), col: args[1]})), m, size)
    return mul(delta(args[0], args[1], n) - outer, power(scale, -1))


def _low_rank_update(expr: Expr, row: str, col: str, n: Size) -> Expr | None:
    """det(A + U V) = det(A) det(I + inv(A) U V) for a plain matrix A, wherever A has an inverse.

    Both sides are polynomials over det(A), and a free A has an inverse almost everywhere.
    """
    if len(expr.terms) != 2:
        return None
    for mono, c in expr.terms.items():
        if mono[0] or len(mono[1]) != 1 or mono[1][0][2] != 1:
            continue
        head, args, _ = mono[1][0]
        if head.kind != "T" or len(args) != 2 or not _plain(args, row, col):
            continue
        if head.facts - {"sym", "posdef"}:
            continue
        plain = Expr({mono: c})
        update = expr - plain
        if not _outer_product(update, row, col) and not chain(update, row, col, None):
            continue
        every = tuple(f for m in expr.terms for f in m[1])
        (label,) = fresh(1, every)
        inverse = inv(plain, row, col, n, var(row), var(label))
        moved = sum_over(mul(inverse, rename(update, {row: var(label)})), label, n)
        inner = delta(var(row), var(col), n) + moved
        return mul(det(plain, row, col, n), det(inner, row, col, n))
    return None


def _outer_product(expr: Expr, row: str, col: str) -> bool:
    """Whether a one-term matrix is u(row) v(col), with nothing that ties the two."""
    ((mono, _),) = expr.terms.items()
    reached, grown = {(FREE, row)}, True
    while grown:
        grown = False
        for _, args, _ in mono[1]:
            nodes = {a[:2] for a in args if a[0] == BOUND or a[1] in (row, col)}
            if nodes & reached and not nodes <= reached:
                reached |= nodes
                grown = True
    return (FREE, col) not in reached


# --- reductions ----------------------------------------------------------------------------------


def red(kind: str, expr: Expr, labels: tuple[str, ...], sizes: tuple[Size, ...]) -> Expr:
    """max, min, prod or argmax of *expr* over the free indices *labels*."""
    if kind == "min":
        return -red("max", -expr, labels, sizes)
    if kind == "argmin":
        return red("argmax", -expr, labels, sizes)
    if all(s == 1 for s in sizes):
        here = rename(expr, {label: (0, 1, "", 0) for label in labels})
        return here if kind != "argmax" else ONE
    if kind == "prod":
        return _product_over(expr, labels, sizes)
    if kind in ("max", "argmax"):
        inside = {m: c for m, c in expr.terms.items() if any(_touches(m, x) for x in labels)}
        outside = Expr({m: c for m, c in expr.terms.items() if m not in inside})
        moving = Expr(inside)
        if not inside:
            return outside if kind == "max" else ONE
        rational, common, _, rest = content(moving, False)
        scale = const(rational)
        for factor in common:
            if any(uses(factor, x) for x in labels):
                rest = mul(rest, normal((), (factor,)))
            else:
                scale = mul(scale, normal((), (factor,)))
        rest = mul(moving, power(scale, -1))
        atom = _red_atom(kind, rest, labels, sizes)
        return outside + mul(scale, atom) if kind == "max" else atom
    return _red_atom(kind, expr, labels, sizes)


def _red_atom(kind: str, expr: Expr, labels: tuple[str, ...], sizes: tuple[Size, ...]) -> Expr:
    body, args, _, perms = close(expr, labels)
    return single(Head.make("R", kind, sizes, body, perms=perms), args)


def _product_over(expr: Expr, labels: tuple[str, ...], sizes: tuple[Size, ...]) -> Expr:
    if not expr.terms:
        return ZERO
    rational, common, sums, rest = content(expr, True)
    pieces: list[tuple[Expr, int]] = []
    result = ONE
    left = const(rational)
    for h, a, e in common:
        atom = normal((), ((h, a, 1),)) if isinstance(e, int) else normal((), ((h, a, e),))
        pieces.append((atom, e if isinstance(e, int) else 1))
    pieces += [(Expr({m: 1}), 1) for m in sums]
    if len(rest.terms) == 1:
        ((mono, c),) = rest.terms.items()
        parts, loose = parts_of(mono)
        left = left.scaled(c)
        for f in loose:
            pieces.append((normal((), (f,)), 1))
        pieces += [(Expr({m: 1}), 1) for m in parts]
    else:
        pieces.append((rest, 1))
    pieces.append((left, 1))
    stuck = ONE
    for piece, e in pieces:
        if sign_of(piece) == POSITIVE:
            over = log(piece)
            for label, size in zip(labels, sizes, strict=True):
                over = sum_over(over, label, size)
            result = mul(result, exp(over.scaled(e)))
            continue
        if not piece.free & set(labels):
            done: Expr | None = piece
            for size in sizes:
                done = dim_power(done, size) if done is not None else None
            if done is None:
                stuck = mul(stuck, power(piece, e))
            else:
                result = mul(result, power(done, e))
            continue
        result = mul(result, power(_red_atom("prod", piece, labels, sizes), e))
    if stuck != ONE:
        result = mul(result, _red_atom("prod", stuck, labels, sizes))
    return result


def _inv_again(head: Head, labels: tuple[str, ...], body: Expr, args: Args) -> Expr:
    return inv(body, labels[0], labels[1], head.sizes[0], args[0], args[1])


def _det_again(head: Head, labels: tuple[str, ...], body: Expr, args: Args) -> Expr:
    return det(body, labels[0], labels[1], head.sizes[0])


def _red_again(head: Head, labels: tuple[str, ...], body: Expr, args: Args) -> Expr:
    return red(head.name, body, labels, head.sizes)


rebuilders["V"] = _inv_again
rebuilders["X"] = _det_again
rebuilders["R"] = _red_again
