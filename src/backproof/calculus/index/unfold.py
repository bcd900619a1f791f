"""Going through an expression, into the bodies of its atoms: definitions, concrete sums.

`substitute` unfolds named quantities; `expand_dims` writes sums over concrete dimensions as sums
over literal positions, small inverses and determinants by their formulas, and small maxima by
indicators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import permutations, product

from backproof.calculus.index.algebra import (
    mul,
    normal,
    opened_over,
    raised,
    rebuilders,
    rename,
    sum_over,
)
from backproof.calculus.index.algebra import product as product_of
from backproof.calculus.index.budget import tick
from backproof.calculus.index.functions import maximum
from backproof.calculus.index.labels import loosened
from backproof.calculus.index.powers import power
from backproof.calculus.index.terms import ONE, ZERO, Args, Expr, Factor, Head, Ix, Mono, lit, total

Definitions = Mapping[str, tuple[tuple[str, ...], Expr]]
Memo = dict[tuple[Head, Args], Expr | None]


def names_in(expr: Expr) -> frozenset[str]:
    """Names of all quantities in the expression, also inside atoms."""
    found: set[str] = set()
    for _, factors in expr.terms:
        for h, _, _ in factors:
            found |= names_of_head(h)
    return frozenset(found)


def names_of_head(head: Head) -> frozenset[str]:
    """Names of all quantities in one atom."""
    if head.kind == "T":
        return frozenset((head.name,))
    if head.body is None:
        return frozenset()
    if "names" not in head.cache:
        head.cache["names"] = names_in(head.body)
    found: frozenset[str] = head.cache["names"]
    return found


def substitute(expr: Expr, definitions: Definitions) -> Expr:
    """Every entry of a defined name replaced by its definition, also inside atoms.

    A definition is (index labels, expression in terms of these labels).
    """

    def entry(head: Head, args: Args) -> Expr | None:
        if head.kind != "T" or head.name not in definitions:
            return None
        labels, body = definitions[head.name]
        return rename(body, dict(zip(labels, args, strict=True)))

    names = frozenset(definitions)

    def concerned(head: Head) -> bool:
        return bool(names_of_head(head) & names)

    return _walk(expr, entry, concerned, None, {})


def replace_atoms(expr: Expr, entry: Callable[[Head, Args], Expr | None]) -> Expr:
    """Every atom for which *entry* gives an expression replaced by it, also inside atoms."""
    return _walk(expr, entry, lambda head: True, None, {})


def expand_dims(expr: Expr, most: int = 64) -> Expr:
    """Sums over concrete dimensions as literal sums, where they have at most *most* terms."""

    def entry(head: Head, args: Args) -> Expr | None:
        return None

    return _walk(expr, entry, lambda head: head.body is not None, most, {})


def _walk(
    expr: Expr,
    entry: Callable[[Head, Args], Expr | None],
    concerned: Callable[[Head], bool],
    spread: int | None,
    memo: Memo,
) -> Expr:
    out: list[Expr] = []
    for mono, c in expr.terms.items():
        wide = spread is not None and any(isinstance(s, int) and s <= spread for s in mono[0])
        if not wide and not any(concerned(f[0]) for f in mono[1]):
            out.append(Expr({mono: c}))
            continue
        tick(sum(len(o) for o in out) if len(out) & 15 == 0 else 0)
        if wide and spread is not None:
            out.append(_spread(mono, entry, concerned, spread, memo).scaled(c))
        else:
            labels, loose = loosened(mono)
            result = _factors(loose, entry, concerned, spread, memo)
            for label, size in zip(labels, mono[0], strict=True):
                result = sum_over(result, label, size)
            out.append(result.scaled(c))
    return total(out)


def _spread(
    mono: Mono,
    entry: Callable[[Head, Args], Expr | None],
    concerned: Callable[[Head], bool],
    spread: int,
    memo: Memo,
) -> Expr:
    labels, loose = loosened(mono)
    inner = normal((), loose)
    count = 1
    wide: list[tuple[str, int]] = []
    for label, size in zip(labels, mono[0], strict=True):
        if isinstance(size, int) and count * size <= spread:
            count *= size
            wide.append((label, size))
    parts: list[Expr] = []
    for at in product(*[range(1, size + 1) for _, size in wide]):
        names: dict[str, Ix] = {label: lit(p) for (label, _), p in zip(wide, at, strict=True)}
        parts.append(_walk(rename(inner, names), entry, concerned, spread, memo))
    result = total(parts)
    chosen = {label for label, _ in wide}
    for label, size in zip(labels, mono[0], strict=True):
        if label not in chosen:
            result = sum_over(result, label, size)
    return result


def _factors(
    factors: tuple[Factor, ...],
    entry: Callable[[Head, Args], Expr | None],
    concerned: Callable[[Head], bool],
    spread: int | None,
    memo: Memo,
) -> Expr:
    kept: list[Factor] = []
    parts: list[Expr] = []
    for factor in factors:
        head, args, e = factor
        if not concerned(head):
            kept.append(factor)
            continue
        key = (head, args)
        if key not in memo:
            memo[key] = _atom(head, args, entry, concerned, spread, memo)
        made = memo[key]
        if made is None:
            kept.append(factor)
        else:
            parts.append(raised(made, e))
    parts.append(normal((), tuple(kept)))
    return product_of(parts)


def _atom(
    head: Head,
    args: Args,
    entry: Callable[[Head, Args], Expr | None],
    concerned: Callable[[Head], bool],
    spread: int | None,
    memo: Memo,
) -> Expr | None:
    direct = entry(head, args)
    if direct is not None:
        return direct
    if head.body is None:
        return None
    labels, body = opened_over(head, args)
    new = _walk(body, entry, concerned, spread, memo)
    if spread is not None:
        small = _small(head, labels, new, args)
        if small is not None:
            return small
    if new == body:
        return None
    return rebuilders[head.kind](head, labels, new, args)


LARGEST_FORMULA = 3


def _small(head: Head, labels: tuple[str, ...], body: Expr, args: Args) -> Expr | None:
    """Small determinants, inverses and maxima by their formulas."""
    if head.kind not in "VXR" or not all(isinstance(s, int) for s in head.sizes):
        return None
    if head.kind == "R":
        places = list(product(*[range(1, int(str(s)) + 1) for s in head.sizes]))
        if len(places) > (LARGEST_FORMULA if head.name == "max" else 8):
            return None
        entries = [
            rename(body, {x: lit(p) for x, p in zip(labels, at, strict=True)}) for at in places
        ]
        if head.name == "prod":
            return product_of(entries)
        if head.name != "max":
            return None
        result = entries[0]
        for other in entries[1:]:
            result = maximum(result, other)
        return result
    n = int(str(head.sizes[0]))
    if n > LARGEST_FORMULA:
        return None
    rows, cols = range(1, n + 1), range(1, n + 1)
    grid = {
        (i, j): rename(body, {labels[0]: lit(i), labels[1]: lit(j)}) for i in rows for j in cols
    }
    whole = _leibniz(grid, list(rows), list(cols))
    if head.kind == "X":
        return whole
    i, j = args[0], args[1]
    if i[0] != 0 or j[0] != 0:
        return None
    without_row = [r for r in rows if r != j[1]]
    without_col = [c for c in cols if c != i[1]]
    minor = _leibniz(grid, without_row, without_col)
    cofactor = minor if (i[1] + j[1]) % 2 == 0 else -minor
    return mul(cofactor, power(whole, -1))


def _leibniz(grid: dict[tuple[int, int], Expr], rows: list[int], cols: list[int]) -> Expr:
    result = ZERO
    for order in permutations(range(len(cols))):
        inversions = sum(
            order[a] > order[b] for a in range(len(order)) for b in range(a + 1, len(order))
        )
        term = ONE
        for r, k in zip(rows, order, strict=True):
            term = mul(term, grid[r, cols[k]])
        result = result + (term if inversions % 2 == 0 else -term)
    return result
