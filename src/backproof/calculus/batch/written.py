"""Nodes as expressions of the sheet language, the way a batch is written on paper.

Spells what the operators say of themselves (`Operator.written`), with two habits of batches: a sum
over its count is a mean, and the row of ones is `ones(b).T`.
"""

from __future__ import annotations

from collections.abc import Mapping

from backproof.calculus.elaborate import INFIX
from backproof.calculus.notation import written as plainly
from backproof.language import syntax as ast
from backproof.operators.dims import ONE
from backproof.operators.node import Node, postorder
from backproof.operators.reductions import count
from backproof.operators.writing import dimension


def as_written(
    root: Node,
    names: Mapping[str, ast.Expr] | None = None,
    known: Mapping[int, ast.Expr] | None = None,
) -> ast.Expr | None:
    """The expression of a node; None where the language has no words for it.

    names   expressions to write in place of quantities
    known   spellings of nodes, by their id, that are better than the usual ones
    """
    done: dict[int, ast.Expr] = dict(known or {})
    for node in postorder([root]):
        if node.id in done:
            continue
        if names and node.name is not None and node.name in names:
            done[node.id] = names[node.name]
            continue
        written = _mean(node, done) or _row_of_ones(node)
        if written is None:
            written = plainly(node, tuple(done[a.id] for a in node.args))
        if written is None:
            return None
        done[node.id] = written
    return done[root.id]


def _mean(node: Node, done: Mapping[int, ast.Expr]) -> ast.Expr | None:
    """sum(x, axis)/count is mean(x, axis)."""
    if node.op.powers != (1, -1) or node.args[0].summed is None:
        return None
    total, by = node.args
    number = count(total)
    size = number.as_int()
    same = by.fill == size if size is not None else by.dimension == number
    if not same or number == ONE:
        return None
    call = done[total.id]
    return ast.Apply("mean", call.args, call.options) if isinstance(call, ast.Apply) else None


def _row_of_ones(node: Node) -> ast.Expr | None:
    if node.fill != 1 or len(node.shape) != 2 or node.shape[0] != ONE or node.is_number:
        return None
    return ast.Apply("transpose", (ast.Apply("ones", (dimension(node.shape[1]),)),))


def spoken(node: Node) -> str:
    """The operator of a node, as a reader knows it."""
    written = plainly(node, (ast.Name("x"),) * len(node.args))
    if isinstance(written, ast.Subscript):
        return "an index"
    if isinstance(written, ast.Comprehension):
        return f"the {written.kind} over an index"
    if isinstance(written, ast.Apply):
        return {"transpose": ".T", "neg": "the sign"}.get(
            written.op, INFIX.get(written.op, written.op)
        )
    return node.op.name
