"""What must stand at a place of a side for the claim to be true: found by weighing.

A side depends linearly on what stands at most of its places. The weighted sum of the entries that
the side must have is then a weighted sum of what stands there, and everything of the sheet that
could be missing is weighed at once: a term, a factor, a matrix before or behind, or the whole of
it. Whatever is found is only a candidate; it is read, compared and judged like any other edit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from backproof.calculus.evaluate import align, defined
from backproof.errors import BackproofError
from backproof.language import syntax as ast
from backproof.operators.dims import Shape
from backproof.operators.node import Node, postorder
from backproof.working.mending.chains import (
    ADDITIVE,
    Factor,
    apply,
    factors,
    negated,
    number,
    product,
    size_of,
    terms,
)
from backproof.working.mending.edits import (
    DEEPER,
    EXPRESSION,
    FACTOR_MISSING,
    TERM_MISSING,
    Edit,
    Put,
)
from backproof.working.mending.spelling import BRACKETED, Spelling
from backproof.working.mending.stock import MOST_ENTRIES, Hit, Stock, weigh
from backproof.working.mending.trial import CachedElaborator, SharedEvaluator

Array = Any
HOLE = "□"
MOST_PLACES = 28
MOST_EDITS = 60
TERM, FACTOR, MATRIX, OTHER = 1.6, 1.6, 1.6, 1.78
UNDER_MINUS = 0.06  # what a term costs more that needs brackets behind a minus
SMALL_CHANGE = 6  # nodes in all of what is exchanged for one another


Spot = tuple[ast.Expr, Put, int, bool]


def places(expr: ast.Expr, spelling: Spelling) -> list[Spot]:
    """Every place of a side: what stands there, how to put something else there, its depth, and
    whether it stands behind a minus."""
    return list(_places(expr, lambda new: new, 0, False, spelling))[:MOST_PLACES]


def _places(
    expr: ast.Expr, put: Put, depth: int, minus: bool, spelling: Spelling
) -> Iterator[Spot]:
    yield expr, put, depth, minus
    match expr:
        case ast.Apply(op=op) if op in ("grad", "jac", "hess"):
            return
        case ast.Apply(args=args):
            for k, arg in enumerate(args):
                deeper = depth if isinstance(expr, ast.Apply) and not k else depth + 1

                def put_arg(new: ast.Expr, k: int = k) -> ast.Expr:
                    return put(_joined(expr, k, spelling.in_place_of(args[k], new), spelling))

                behind = expr.op == "neg" or (expr.op == "sub" and k == 1)
                yield from _places(arg, put_arg, deeper, behind, spelling)
        case ast.Subscript(base=base):

            def put_base(new: ast.Expr) -> ast.Expr:
                return put(spelling.remade(expr, base=new))

            yield from _places(base, put_base, depth + 1, False, spelling)


def _joined(expr: ast.Apply, k: int, new: ast.Expr, spelling: Spelling) -> ast.Expr:
    """The operator with another operand; `a*(b*c)` and `a + (b + c)` without brackets."""
    fresh = isinstance(new, ast.Apply) and not new.span.end and not spelling.bracketed(new)
    if k == 1 and fresh and len(expr.args) == 2:
        assert isinstance(new, ast.Apply)
        if expr.op == "mul" and new.op == "mul":
            return apply("mul", _joined(expr, 1, new.args[0], spelling), new.args[1])
        if expr.op == "add" and new.op in ADDITIVE:
            return apply(new.op, _joined(expr, 1, new.args[0], spelling), new.args[1])
        if expr.op in ADDITIVE and new.op == "neg":
            return apply("sub" if expr.op == "add" else "add", expr.args[0], new.args[0])
    return spelling.remade(expr, args=(*expr.args[:k], new, *expr.args[k + 1 :]))


class _Elaborator(CachedElaborator):
    """Elaborates a side with a leaf of some shape at one place."""

    hole: Node | None = None

    def _name(self, expr: ast.Name) -> Node:
        if expr.id == HOLE:
            assert self.hole is not None
            return self.hole
        return super()._name(expr)


class Weigher:
    """Looks for what is missing from one side.

    target   the value that the side must have at the point of *run*
    """

    def __init__(
        self, elaborator: CachedElaborator, run: SharedEvaluator, stock: Stock, target: Array,
        shape: Shape,
    ) -> None:  # fmt: skip
        self.elaborator = _Elaborator(stock.pieces.model)
        self.elaborator.adopt(elaborator)
        self.run = run
        self.stock = stock
        self.target = target
        self.shape = shape
        rng = np.random.default_rng(17)
        self.scales = rng.uniform(0.5, 1.5, target.shape) * rng.choice((-1.0, 1.0), target.shape)
        self.compounds: set[ast.Expr] = set()
        self.sizes: dict[tuple[int, int], Shape] = {}
        graph = self.elaborator.graph
        for leaf in stock.pieces.model.leaves.values():
            shapes = [graph.resolve_shape(leaf.shape)]
            shapes.append((shapes[0][1], shapes[0][0]) if len(shapes[0]) == 2 else shapes[0])
            for s in (*shapes, shape):
                if len(s) == 2:
                    r, c = (d.evaluate(run.xp.sizes) for d in s)
                    self.sizes.setdefault((r, c), s)

    def edits(self, side: ast.Expr, spelling: Spelling) -> list[Edit]:
        """What could be put in at every place, the likeliest first."""
        found: list[Edit] = []
        self.compounds = {n for n in ast.walk(side) if isinstance(n, ast.Apply) and n != side}
        for expr, put, depth, minus in places(side, spelling):
            for weights, goal, before in self._weights(expr, put):
                found += self._at(expr, put, depth, minus, weights, goal, before, spelling)
        found.sort(key=lambda e: e.cost)
        return found[:MOST_EDITS]

    # --- one place -----------------------------------------------------------------------------

    def _weights(self, expr: ast.Expr, put: Put) -> Iterator[tuple[Array, float, Array | None]]:
        """(what the entries there weigh, what they must add up to, the entries now)."""
        old = self._value(expr)
        sizes = list(self.sizes)
        if old is not None and self._shape_with(put, expr) == self.shape:
            sizes = [old.shape]
        for size in sizes:
            if size[0] * size[1] > MOST_ENTRIES:
                continue
            weighed = self._weighed(put, size)
            if weighed is not None:
                yield *weighed, old

    def _value(self, expr: ast.Expr) -> Array | None:
        try:
            node = self.elaborator.node(expr)
            if len(node.shape) != 2 or node.loops:
                return None
            value = self.run.value(node)
        except (BackproofError, ArithmeticError, ValueError, LookupError, RecursionError):
            return None
        return value if defined(value) else None

    def _shape_with(self, put: Put, expr: ast.Expr) -> Shape | None:
        try:
            node = self.elaborator.node(put(expr))
        except (BackproofError, ValueError, RecursionError):
            return None
        return self.elaborator.graph.resolve_shape(node.shape)

    def _weighed(self, put: Put, size: tuple[int, int]) -> tuple[Array, float] | None:
        """None where the side has another shape then, or is not linear in the place."""
        shape = self.sizes.get(size)
        graph = self.elaborator.graph
        if shape is None:
            return None
        hole = self.elaborator.hole = graph.quantity(f"{HOLE}{shape}", shape)
        try:
            root = self.elaborator.node(put(ast.Name(HOLE)))
            if graph.resolve_shape(root.shape) != self.shape or root.loops:
                return None
            side = _Side(root, hole, self.run)
            zero = side(np.zeros(size))
            weights = np.empty(size)
            for at in np.ndindex(*size):
                entry = np.zeros(size)
                entry[at] = 1.0
                weights[at] = float(((side(entry) - zero) * self.scales).sum())
            probe = np.linspace(0.4, 2.3, size[0] * size[1]).reshape(size)
            reached = float(((side(probe) - zero) * self.scales).sum())
        except (BackproofError, ArithmeticError, ValueError, LookupError, RecursionError):
            return None
        goal = float(((self.target - zero) * self.scales).sum())
        if not np.isfinite(weights).all() or not np.isfinite(goal) or not weights.any():
            return None
        if abs(reached - float((weights * probe).sum())) > 1e-8 * max(1.0, abs(reached)):
            return None
        return weights, goal

    def _at(
        self, expr: ast.Expr, put: Put, depth: int, under_minus: bool, weights: Array, goal: float,
        old: Array | None, spelling: Spelling,
    ) -> Iterator[Edit]:  # fmt: skip
        near = 1e-9 * max(1e-3, float(np.abs(self.target * self.scales).sum()), abs(goal))
        deep = DEEPER * depth
        size = weights.shape
        here = {expr, *(t.body for t in terms(expr, spelling)), *self.compounds}
        here |= {f.body for t in terms(expr, spelling) for f in factors(t.body, spelling)}
        whole = put(expr) is expr

        def hits(scaled: Array, target: float) -> Iterator[Hit]:
            for hit in weigh(self.stock, scaled, target, near):
                if not _undoes(hit[2], here):
                    yield hit

        for cost, times, body in hits(weights, goal):
            new = _times(times, body)
            if new not in here and not (whole and _is_derived(new)):
                yield Edit(_otherwise(expr, new) + cost + deep, put, new, EXPRESSION)
        if old is None:
            return
        if old.shape in (size, (1, 1)):
            rest = goal - float((weights * old).sum())
            deeper = deep + (UNDER_MINUS if under_minus else 0.0)
            for cost, times, body in hits(weights, rest) if abs(rest) > near else ():
                new = _added(times, expr, body, spelling)
                yield Edit(TERM + cost + deeper, put, new, TERM_MISSING)
        if old.shape in (size, (1, 1), (size[0], 1), (1, size[1])):
            for cost, times, body in hits(weights * old, goal):
                new = self._multiplied(times, expr, body, spelling)
                yield Edit(FACTOR + cost + deep, put, new, FACTOR_MISSING)
        if old.shape[0] == size[0] and old.shape[1] > 1:
            for cost, times, body in hits(old.T @ weights, goal):
                if _says_nothing(body):
                    continue
                new = _scaled(times, self._matmul(expr, body, spelling), spelling)
                yield Edit(MATRIX + cost + deep, put, new, FACTOR_MISSING)
        if (old.shape[1] == size[1] and old.shape[0] > 1) or old.shape == (1, size[1]) != size:
            for cost, times, body in hits(weights @ old.T, goal):
                if _says_nothing(body):
                    continue
                new = _scaled(times, self._matmul(body, expr, spelling), spelling)
                yield Edit(MATRIX + cost + deep, put, new, FACTOR_MISSING)

    def _multiplied(
        self, times: float, expr: ast.Expr, body: ast.Expr, spelling: Spelling
    ) -> ast.Expr:
        """The expression times something: numbers in front, `sum(q)*p`; the rest behind."""
        if isinstance(expr, ast.Number) and expr.value == 1:
            return _times(times, body)
        parts = factors(expr, spelling)
        if isinstance(body, ast.Apply) and body.op == "div":
            top, below = body.args
            if not (isinstance(top, ast.Number) and top.value == 1):
                expr = product([*parts, Factor("mul", top)])
            return _scaled(times, apply("div", expr, below), spelling)
        inner = factors(body, spelling)
        if self.stock.pieces.is_number(body) and parts[0].op != "div" and len(inner) == 1:
            first = 1 if isinstance(parts[0].body, ast.Number) and len(parts) > 1 else 0
            if not (first and parts[first].op == "div"):
                rest = [parts[first]._replace(op="mul"), *parts[first + 1 :]]
                front = [*parts[:first], Factor("mul", body), *rest]
                return _scaled(times, product(front), spelling)
        if any(f.op != "mul" for f in inner):
            inner = [Factor("mul", body)]
        tail = len(parts)  # before the divisions by numbers and sizes at the end
        while tail > 1 and parts[tail - 1].op == "div" and self._is_size(parts[tail - 1].body):
            tail -= 1
        front = list(parts[:tail])
        if tail < len(parts) and front == [Factor("mul", number(1))]:
            front = []
        return _scaled(times, product([*front, *inner, *parts[tail:]]), spelling)

    def _is_size(self, expr: ast.Expr) -> bool:
        return isinstance(expr, ast.Number) or self.stock.pieces.is_dimension(expr)

    def _matmul(self, left: ast.Expr, right: ast.Expr, spelling: Spelling) -> ast.Expr:
        """`a @ b @ c` without brackets around the last two, `a @ b / n` for `a @ (b / n)`."""
        if isinstance(right, ast.Apply) and not spelling.bracketed(right):
            one, *rest = right.args
            number_behind = right.op == "div" and self.stock.pieces.is_number(rest[0])
            if right.op == "matmul" or number_behind:
                return apply(right.op, self._matmul(left, one, spelling), rest[0])
        if isinstance(left, ast.Apply) and left.op == "div" and not spelling.bracketed(left):
            above, below = left.args
            if self._is_size(below):
                return apply("div", self._matmul(above, right, spelling), below)
        if isinstance(left, ast.Apply) and left.op in ("mul", "div") and not left.span.end:
            left = replace(left, span=BRACKETED)
        return apply("matmul", left, right)


class _Side:
    """The value of a side for what is put at the place of its hole."""

    def __init__(self, root: Node, hole: Node, run: SharedEvaluator) -> None:
        self.root, self.hole, self.run = root, hole, run
        touched = {hole.id}
        self.order: list[Node] = []
        for node in postorder([root]):
            if any(a.id in touched for a in node.args):
                touched.add(node.id)
                self.order.append(node)
        self.touched = touched
        self.fixed = {a.id: run.value(a) for n in self.order for a in n.args if a.id not in touched}

    def __call__(self, value: Array) -> Array:
        done = {**self.fixed, self.hole.id: value}
        for node in self.order:
            args = [done[a.id] for a in node.args]
            args = align(node, args) if len(args) > 1 else args
            done[node.id] = node.op.numeric(self.run.xp, node, args)
        return done[self.root.id]


def _says_nothing(body: ast.Expr) -> bool:
    """Whether a factor of a matrix product leaves it as it is."""
    return isinstance(body, ast.Apply) and body.op == "eye"


def _undoes(body: ast.Expr, here: set[ast.Expr]) -> bool:
    """Whether a find only takes away what stands there: `x + (y - x)`, `x * (y/x)`."""
    if not isinstance(body, ast.Apply):
        return False
    idle = "eye" if body.op == "matmul" else "ones" if body.op in ("mul", "div") else ""
    if any(isinstance(a, ast.Apply) and a.op == idle for a in body.args):
        return True
    if body.op in ("sub", "div") and body.args[1] in here:
        return True
    if body.op == "div" and body.args[1] in set(ast.walk(body.args[0])):
        return True
    return body.op in ("add", "sub", "mul", "div") and body.args[0] in here and len(here) > 1


def _is_derived(expr: ast.Expr) -> bool:
    return isinstance(expr, ast.Apply) and expr.op in ("grad", "jac", "hess")


def _otherwise(old: ast.Expr, new: ast.Expr) -> float:
    """What it costs to put something in the place of something else."""
    if isinstance(old, ast.Name | ast.Number) and isinstance(new, ast.Name):
        return OTHER - 0.22
    return OTHER if size_of(old) + size_of(new) > SMALL_CHANGE else OTHER - 0.1


def _added(times: float, expr: ast.Expr, body: ast.Expr, spelling: Spelling) -> ast.Expr:
    """The expression with a term more; in front where its indices come first."""
    if isinstance(body, ast.Apply) and body.op == "neg":
        times, body = -times, body.args[0]
    if isinstance(expr, ast.Apply) and expr.op in ADDITIVE and spelling.bracketed(expr):
        expr = replace(expr, span=ast.NOWHERE)  # the brackets stand around the longer sum
    plain = _times(abs(times), body)
    if times > 0 and _indices(body) < _indices(terms(expr, spelling)[0].body):
        return apply("add", plain, expr)
    return apply("sub" if times < 0 else "add", expr, plain)


def _indices(expr: ast.Expr) -> list[int]:
    """The numbers that its names end in."""
    found = [re.search(r"\d+$", n.id) for n in ast.walk(expr) if isinstance(n, ast.Name)]
    return sorted(int(m[0]) for m in found if m)


def _times(times: float, body: ast.Expr) -> ast.Expr:
    if isinstance(body, ast.Apply) and body.op == "neg":
        times, body = -times, body.args[0]
    if times < 0:
        return apply("neg", _times(-times, body))
    if times == 0.5:
        return apply("div", body, number(2))
    if times == 2:
        if isinstance(body, ast.Apply) and body.op in ("mul", "matmul", "div"):
            return apply(body.op, apply("mul", number(2), body.args[0]), body.args[1])
        return apply("mul", number(2), body)
    return body


def _scaled(times: float, whole: ast.Expr, spelling: Spelling) -> ast.Expr:
    plain = _times(abs(times), whole)
    return negated(plain, spelling) if times < 0 else plain
