"""Closing an expression over its free indices, so that it can sit inside an atom.

The free indices become parameters `$0`, `$1`, … in a canonical order: `x[i] - x[j]` and
`x[k] - x[l]` close to one body. Symmetries of the body under permuting its parameters (up to sign
where that is wanted) are found on the way and kept with the head.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import permutations, product

from backproof.calculus.index.algebra import rename
from backproof.calculus.index.budget import tick
from backproof.calculus.index.terms import BOUND, FREE, ONE_MONO, Args, Expr, var

MOST_ORDERS = 120
Perms = tuple[tuple[tuple[int, ...], int], ...]


@lru_cache(maxsize=8_000)
def close(
    expr: Expr, leads: tuple[str, ...] = (), signed: bool = False
) -> tuple[Expr, Args, int, Perms]:
    """(body, arguments, sign, symmetries): expr = sign * body with its parameters = arguments.

    *leads* are indices that the atom abstracts itself (the row and column of a matrix): they come
    first, are not reordered, and are not among the arguments. With *signed* the body may be taken
    as the negative of the expression.
    """
    start = len(leads)
    lead_names = {label: var(f"${k}") for k, label in enumerate(leads)}
    labels = sorted(expr.free.difference(leads))
    signs = _signs(expr) if signed else (1,)
    if len(labels) <= 1 and len(signs) == 1:
        names = {label: var(f"${k + start}") for k, label in enumerate(labels)}
        body = rename(expr, {**lead_names, **names})
        args = tuple(var(label) for label in labels)
        return (body if signs[0] > 0 else -body), args, signs[0], ()
    found: list[tuple[str, Expr, tuple[str, ...], int]] = []
    for order in _orders(expr, labels):
        tick()
        names = {label: var(f"${k + start}") for k, label in enumerate(order)}
        body = rename(expr, {**lead_names, **names})
        for sign in signs:
            made = body if sign > 0 else -body
            found.append((made.text, made, order, sign))
    text, best, order, sign = min(found, key=lambda f: (f[0], f[2], f[3]))
    perms: list[tuple[tuple[int, ...], int]] = []
    for other_text, _, other, other_sign in found:
        if other_text == text and (other, other_sign) != (order, sign):
            perm = tuple(order.index(label) for label in other)
            perms.append((perm, sign * other_sign))
    return best, tuple(var(label) for label in order), sign, tuple(sorted(perms))


def _signs(expr: Expr) -> tuple[int, ...]:
    """Which sign the body should have: by its constant, by majority, or either."""
    k = expr.terms.get(ONE_MONO)
    if k is not None:
        return (1,) if k > 0 else (-1,)
    score = sum(1 if c > 0 else -1 for c in expr.terms.values())
    return (1,) if score > 0 else (-1,) if score < 0 else (1, -1)


def _orders(expr: Expr, labels: list[str]) -> list[tuple[str, ...]]:
    if len(labels) <= 1:
        return [tuple(labels)]
    marks: dict[str, list[str]] = {label: [] for label in labels}
    for (sizes, factors), c in expr.terms.items():
        heads = "·".join(f"{h}^{e}" for h, _, e in factors)
        for h, args, e in factors:
            for p, a in enumerate(args):
                if a[0] == FREE and a[1] in marks:
                    place = h.orbits[p] if h.orbits else p
                    shared = sum(1 for b in args if b[0] == BOUND)
                    mark = f"{len(sizes)}|{abs(c)}|{heads}|{h}^{e}@{place}+{a[2]}|{shared}"
                    marks[a[1]].append(mark)
    classes: dict[tuple[str, ...], list[str]] = {}
    for label in labels:
        classes.setdefault(tuple(sorted(marks[label])), []).append(label)
    groups = [classes[key] for key in sorted(classes)]
    count = 1
    for group in groups:
        for k in range(2, len(group) + 1):
            count *= k
    if count > MOST_ORDERS:
        return [tuple(label for group in groups for label in group)]
    return [
        tuple(label for part in choice for label in part)
        for choice in product(*[list(permutations(group)) for group in groups])
    ]
