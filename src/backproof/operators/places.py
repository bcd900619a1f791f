"""One entry of a result, written with its own indices: the `entry` rules of the entries.

A rule gets the two indices as they are written. Numbers and names under a function that works
entry by entry need no rule of their own.
"""

from __future__ import annotations

from backproof.language.syntax import Apply, Expr
from backproof.operators import writing
from backproof.operators.base import Places
from backproof.operators.node import Node


def fill(p: Places, node: Node, i: Expr, j: Expr) -> Expr:
    return writing.number(node.params[0])


def transpose(p: Places, node: Node, i: Expr, j: Expr) -> Expr:
    return p.entry(node.args[0], j, i)


def product(p: Places, node: Node, i: Expr, j: Expr) -> Expr:
    """Entries of a product, without the factors that are one."""
    a, b = (p.entry(x, i, j) for x in node.args)
    for x, other in zip(node.args, (b, a), strict=True):
        if x.fill == 1:
            return other
    return times(a, b)


def matrix_product(p: Places, node: Node, i: Expr, j: Expr) -> Expr | None:
    """Σ A[i, k] B[k, j]; a diagonal matrix scales a row or a column."""
    a, b = (p.meaning(x) for x in node.args)
    if a.diagonal is not None:
        return times(p.entry(a.diagonal, i, i), p.entry(b, i, j))
    if b.diagonal is not None:
        return times(p.entry(a, i, j), p.entry(b.diagonal, j, j))
    if len(a.shape) != 2 or len(b.shape) != 2:
        return None
    return p.added(a.shape[1], lambda k: times(p.entry(a, i, k), p.entry(b, k, j)))


def total(p: Places, node: Node, i: Expr, j: Expr) -> Expr:
    """A sum along one axis; a sum over all entries is written as it is."""
    x, axis = node.args[0], node.params[0]
    if axis is None:
        return p.whole(node)
    return p.added(x.shape[axis], lambda k: p.entry(x, k, j) if axis == 0 else p.entry(x, i, k))


def times(a: Expr, b: Expr) -> Expr:
    """A product read from left to right, without brackets on the right."""
    if isinstance(b, Apply) and b.op == "mul":
        left, right = b.args
        return Apply("mul", (times(a, left), right))
    return Apply("mul", (a, b))
