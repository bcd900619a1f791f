"""The term that a side lacks, found from the difference: products of two things of the sheet.

The difference of the sides is known at a point. A product of two names or pieces that is a simple
multiple of it there is a likely term: `grad(L, h1) @ h0.T` that a sum over two steps lacks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from backproof.errors import BackproofError
from backproof.language import syntax as ast
from backproof.operators.dims import SCALAR, Shape
from backproof.operators.node import Node
from backproof.working.mending.chains import apply, number, size_of
from backproof.working.mending.pieces import Pieces
from backproof.working.mending.trial import CachedElaborator, SharedEvaluator

Array = Any
Single = tuple[ast.Expr, Node, Shape]
MOST_SINGLES = 48
MULTIPLES = (1, -1, 2, -2, 0.5, -0.5, 4, -4, 3, -3, 8)


def left_out(
    gap: Array, wanted: Shape, pieces: Pieces, elaborator: CachedElaborator, run: SharedEvaluator
) -> Iterator[tuple[float, bool, ast.Expr]]:
    """(cost, with a minus, the term) for every product that is a multiple of the difference."""
    if not np.isfinite(gap).all() or not gap.any():
        return
    singles = _singles(pieces, elaborator)
    for expr, node in _products(singles, wanted, elaborator):
        times = _multiple(gap, run.value(node))
        if times is None:
            continue
        cost = 1.6 + 0.02 * size_of(expr) + (0.0 if abs(times) == 1 else 0.05)
        body = expr
        if abs(times) == 0.5:
            body = apply("div", expr, number(2))
        elif abs(times) != 1:
            body = _times(int(abs(times)), expr)
        yield cost, times < 0, body


def _times(count: int, expr: ast.Expr) -> ast.Expr:
    if isinstance(expr, ast.Apply) and expr.op in ("mul", "matmul"):
        return ast.Apply(expr.op, (apply("mul", number(count), expr.args[0]), expr.args[1]))
    return apply("mul", number(count), expr)


def _singles(pieces: Pieces, elaborator: CachedElaborator) -> list[Single]:
    found: list[Single] = []
    model = pieces.model
    for expr in pieces.singles()[:MOST_SINGLES]:
        try:
            node = elaborator.node(expr)
        except (BackproofError, ValueError):
            continue
        if len(node.shape) == 2 and not node.loops:
            found.append((expr, node, model.graph.resolve_shape(node.shape)))
    return found


def _products(
    singles: list[Single], wanted: Shape, elaborator: CachedElaborator
) -> Iterator[tuple[ast.Expr, Node]]:
    graph = elaborator.graph
    for a, one, shape in singles:
        if shape == wanted:
            yield a, one
        for b, other, there in singles:
            if shape[0] == wanted[0] and SCALAR not in (shape, there):
                if shape[1] == there[0] and there[1] == wanted[1]:
                    yield apply("matmul", a, b), graph.make("matmul", one, other)
                if shape[1] == there[1] and there[0] == wanted[1]:
                    turned = apply("transpose", b)
                    yield apply("matmul", a, turned), graph.make("matmul", one, other.T)
            elif shape[1] == wanted[0] and shape[0] == there[0] and there[1] == wanted[1]:
                turned = apply("transpose", a)
                yield apply("matmul", turned, b), graph.make("matmul", one.T, other)
            if there == wanted and shape in (wanted, SCALAR) and a is not b:
                yield apply("mul", a, b), graph.make("mul", one, other)


def _multiple(gap: Array, value: Array) -> float | None:
    """The simple number that the difference is a multiple of a value by."""
    if value.shape != gap.shape or not np.isfinite(value).all():
        return None
    at = np.unravel_index(int(np.argmax(np.abs(value))), value.shape)
    if not value[at]:
        return None
    ratio = float(gap[at] / value[at])
    for simple in MULTIPLES:
        if abs(ratio - simple) < 1e-6:
            near = 1e-7 * max(1e-3, float(np.abs(gap).max()))
            return simple if bool((np.abs(gap - simple * value) <= near).all()) else None
    return None
