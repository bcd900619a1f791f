"""Expressions from the outside: entries, deltas, orders, composite indices, sizes of indices."""

from __future__ import annotations

from collections.abc import Mapping

from backproof.calculus.index.algebra import normal
from backproof.calculus.index.atoms import (
    delta_head,
    order_head,
    resized,
    split_head,
    tensor_head,
)
from backproof.calculus.index.terms import (
    FREE,
    Args,
    Expr,
    Factor,
    Ix,
    Mono,
    Number,
    Size,
    number,
    put,
)


def entry(
    name: str,
    args: Args = (),
    sizes: tuple[Size, ...] = (),
    facts: frozenset[str] = frozenset(),
) -> Expr:
    """An entry of a named quantity. Axes of one carry no index; *sizes* are those of the others."""
    return normal((), ((tensor_head(name, sizes, facts), args, 1),))


def delta(u: Ix, v: Ix, u_size: Size, v_size: Size | None = None, inside: bool = False) -> Expr:
    """[u == v], where the variable of u runs over *u_size* and that of v over *v_size*.

    *inside* says that v always lies on the axis of u, which sizes with names may not show: the
    range x[2:4] of a column of n entries is u = i over n, v = k + 1 with k over 3.
    """
    v_size = u_size if v_size is None else v_size
    return normal((), ((delta_head(u_size, v_size, inside), (u, v), 1),))


def before(u: Ix, v: Ix, u_size: Size, v_size: Size | None = None) -> Expr:
    """[u < v], for triangles and inner sums that stop at an outer index."""
    v_size = u_size if v_size is None else v_size
    return normal((), ((order_head(u_size, v_size), (u, v), 1),))


def split(whole: Ix, parts: Args, radices: tuple[Size, ...]) -> Expr:
    """[whole is the composite of parts], the last part counting fastest, as in kron and vec."""
    return normal((), ((split_head(radices), (whole, *parts), 1),))


def with_sizes(expr: Expr, sizes: Mapping[str, Size]) -> Expr:
    """The same expression, its deltas told over what its free indices run."""
    if not sizes or not any(f[0].kind in "IL" for m in expr.terms for f in m[1]):
        return expr
    out: dict[Mono, Number] = {}
    for (own, factors), c in expr.terms.items():
        changed: list[Factor] = []
        for h, args, e in factors:
            if h.kind in "IL":
                a, b = (
                    sizes.get(x[1], s) if x[0] == FREE else s
                    for x, s in zip(args, h.sizes, strict=True)
                )
                h = resized(h, a, b)
            changed.append((h, args, e))
        for mono, c2 in normal(own, tuple(changed)).terms.items():
            put(out, mono, number(c * c2))
    return Expr(out)
