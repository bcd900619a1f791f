"""Trying a candidate: elaborating and evaluating what shares most of its parts with the claim."""

from __future__ import annotations

from math import prod
from typing import Any

from backproof.calculus.elaborate import Elaborator
from backproof.calculus.evaluate import Evaluator, align
from backproof.calculus.model import Model
from backproof.errors import BackproofError, ShapeProblem
from backproof.language import syntax as ast
from backproof.operators.node import Node

Array = Any


class CachedElaborator(Elaborator):
    """Elaborates edited expressions; parts that the reader wrote are worked out once."""

    def __init__(self, model: Model) -> None:
        plain = model.elaborator()
        super().__init__(
            plain.graph, plain.source, plain.leaves, plain.dimensions, plain.deriver,
            plain.denominator,
        )  # fmt: skip
        self._known: dict[int, tuple[ast.Expr, Node]] = {}
        self._made: dict[tuple[str, int, int], Node | None] = {}
        self._open = 0

    def adopt(self, other: CachedElaborator) -> None:
        """Knows what another one knows already."""
        self._known, self._open, self.loops = other._known, other._open, other.loops
        self._made = other._made

    def opened(self) -> None:
        """Loops opened so far belong to the whole claim."""
        self._open = len(self.loops)

    def node(self, expr: ast.Expr) -> Node:
        if not expr.span.end or len(self.loops) != self._open:
            return super().node(expr)
        known = self._known.get(id(expr))
        if known is None:
            known = self._known[id(expr)] = expr, super().node(expr)
        return known[1]

    def _chain(self, expr: ast.Apply) -> Node:
        left, right = self.node(expr.args[0]), self.node(expr.args[1])
        pair = (expr.op, left.id, right.id)
        if pair not in self._made:
            try:
                self._made[pair] = self.graph.make(expr.op, left, right)
            except BackproofError:
                self._made[pair] = None
        made = self._made[pair]
        if made is None:  # nobody reads why a candidate does not fit
            raise ShapeProblem("the candidate does not fit.")
        return made


MOST_ENTRIES = 4_000_000


class SharedEvaluator(Evaluator):
    """Evaluates nodes that share most of their parts with nodes evaluated before."""

    def value(self, node: Node) -> Array:
        done = self._done
        stack = [node]
        while stack:
            top = stack[-1]
            if top.id in done:
                stack.pop()
                continue
            missing = [a for a in top.args if a.id not in done]
            if missing:
                stack.extend(missing)
                continue
            sizes = [d.evaluate(self.xp.sizes) for d in top.shape]
            if min(sizes, default=1) < 1 or prod(sizes) > MOST_ENTRIES:
                raise ArithmeticError("a candidate of a senseless size")
            if top.name is not None:
                done[top.id] = self.named(top.name)
            else:
                args = [done[a.id] for a in top.args]
                args = align(top, args) if len(args) > 1 else args
                done[top.id] = top.op.numeric(self.xp, top, args)
            stack.pop()
        return done[node.id]
