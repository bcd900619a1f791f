"""Readable forms of derived gradients: local rewriting with the names as atoms.

Entry by entry, fractions of polynomials cancel exactly (`-(y/a) + (1-y)/(1-a)` times `a*(1-a)` is
`a - y`); numbers move out of matrix products and sums; sums that a declared fact settles are
replaced by it, and the fact is noted. Of the forms found, the shortest is kept. Every result is
compared with what it came from, in decimals at random points.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from backproof.calculus import ratios
from backproof.calculus.entries import FAILS, Entries, added, is_arithmetic, product_of
from backproof.calculus.evaluate import Evaluator, defined
from backproof.calculus.model import Model
from backproof.calculus.points import draw_points
from backproof.errors import InternalContradiction
from backproof.operators.arithmetic import decimal_context
from backproof.operators.dims import ONE, SCALAR, Dim, Shape
from backproof.operators.functions import dim_node
from backproof.operators.node import Loop, Node
from backproof.operators.reductions import last_axis

POINTS = 2
NEAR = 1e-30


class Simplifier(Entries):
    """Simplifies nodes over the names of a model.

    extra   further names with the nodes that they stand for, such as gradients that were named
    notes   the facts that were used, as sentences
    """

    def __init__(self, model: Model, extra: Mapping[str, Node] | None = None) -> None:
        super().__init__(model)
        self.extra: dict[str, Node] = dict(extra or {})
        self.notes: dict[str, None] = {}
        self._done: dict[int, Node] = {}
        self._runs: list[Evaluator] | None = None
        self._named: dict[int, Node] = {}
        self._start(model.once(Simplifier, self._names_learned))

    def _names_learned(self) -> dict[str, Any]:
        """What a simplifier is once it knows every name of the sheet, and nothing else yet."""
        for name, node in self.model.definitions.items():
            if node.args and not node.loops:
                self._learn_name(name, node)
        grown = {k: v for k, v in vars(self).items() if isinstance(v, dict | set) and k != "extra"}
        return {k: copied(v) for k, v in grown.items()}

    def _start(self, learned: Mapping[str, Any]) -> None:
        for field, value in learned.items():
            setattr(self, field, copied(value))

    # --- simplifying -------------------------------------------------------------------------

    def __call__(self, node: Node) -> Node:
        """A shorter node with the same value, checked against the original."""
        result = self._simplified(node)
        if result is not node:
            self.check(node, result)
        return result

    def plain(self, node: Node) -> Node:
        """The same without the check, for nodes over names that have no value."""
        return self._simplified(node)

    def _simplified(self, root: Node) -> Node:
        stack = [root]
        while stack:
            node = stack[-1]
            if node.id in self._done:
                stack.pop()
                continue
            todo = [a for a in node.args if a.id not in self._done]
            if todo:
                stack.extend(todo)
                continue
            args = [self._done[a.id] for a in node.args]
            result = node.over(args)
            result = self._rewritten(result)
            result = self.filled_out(result, node.shape)
            self._done[node.id] = result
            self._done.setdefault(result.id, result)
        return self._done[root.id]

    def _rewritten(self, node: Node) -> Node:
        if node.id in self._named:
            return self._named[node.id]
        if node.op.signs or node.op.powers:
            return self.entries(node)
        if node.matrices:
            return self.product(node)
        if node.transposed is not None:
            return self.turned(node)
        if node.summed is not None:
            return self.total(node)
        if node.collected is not None:
            return self.gathered(node)
        if node.op.undoes and node.args[0].op.name == node.op.undoes:
            return node.args[0].args[0]
        return node

    def _learn_name(self, name: str, definition: Node) -> None:
        """What the sheet has a name for is written as that name, also as part of a product."""
        leaf = self.model.leaves[name]
        met = definition.id in self._done
        plain = self._simplified(definition)
        if plain.name is not None or plain.fill is not None:
            return
        for node in (definition, plain):
            self._named[node.id] = leaf
            self._done[node.id] = leaf
        if met:  # what was simplified before does not know the name yet
            self._done = dict(self._named)
        if not is_arithmetic(plain):
            return
        try:
            r = self.ratio(plain)
        except FAILS:
            return
        if r.factors and (len(r.factors) > 1 or len(r.factors[0][0]) > 1):
            widest = max(r.factors, key=lambda f: len(f[0]))[0]
            self._meanings.setdefault(widest, []).append((r, leaf))
            self._built.clear()

    def tidy(self, node: Node) -> Node:
        """The terms of a sum, each simplified by itself."""
        if not node.terms:
            return self._simplified(node)
        total = added((self.tidy(x), sign) for x, sign in node.terms)
        if len(node.terms) == 1:
            return total
        try:
            return self.filled_out(self._as_sum(total), total.shape)
        except FAILS:
            return total

    # --- numbers in products -----------------------------------------------------------------

    def split(self, node: Node) -> tuple[Node | None, Node | None]:
        """(the numbers that multiply a node, the rest)."""
        if node.is_number:
            return node, None
        if node.op.powers == (1, 1):
            parts = [self.split(a) for a in node.args]
            return product_of([n for n, _ in parts if n]), product_of([a for _, a in parts if a])
        if node.op.signs == (-1,):
            number, rest = self.split(node.args[0])
            minus = self.graph.number(-1)
            return (minus if number is None else -number), rest
        if node.op.powers == (1, -1) and node.args[1].is_number:
            number, rest = self.split(node.args[0])
            return (number or self.graph.number(1)) / node.args[1], rest
        if node.op.signs == (1, -1):  # 1 - y where it was written so, and not y - 1
            r = self.ratio(node)
            sign = 1 if r.coefficient > 0 else -1
            for poly, e in r.factors:
                sign *= self._signs.get(poly, 1) ** abs(e)
            if sign < 0 and len(r.factors) == 1:
                return self.graph.number(-1), -node
        return None, node

    def product(self, node: Node) -> Node:
        """A matrix product with its numbers in front (2 in `D @ (2*(a - x))` may stay)."""
        a, b = node.args
        (m, left), (n, right) = self.split(a), self.split(b)
        left = left if left is not None else self.graph.filled(1, a.shape)
        right = right if right is not None else self.graph.filled(1, b.shape)
        if n is not None and n.fill is not None and n.fill > 0 and m is None and b.shape[1] == ONE:
            n, right = None, b
        core = self._joined(left, right)
        number = product_of([x for x in (m, n) if x is not None])
        if number is None:
            return core
        try:
            return self.filled_out(self._as_ratio(number * core), core.shape)
        except FAILS:
            return number * core

    def _joined(self, a: Node, b: Node) -> Node:
        make = self.graph.make
        if len(a.shape) == len(b.shape) == 2:
            if b.fill is not None and b.shape[1] == ONE and b.fill == 1:
                return self._rewritten(make("sum", a, params=(1,)))
            if a.fill is not None and a.shape[0] == ONE and a.fill == 1:
                return self._rewritten(make("sum", b, params=(0,)))
        return a @ b

    def turned(self, node: Node) -> Node:
        """A transpose, moved onto the factors of a product."""
        number, rest = self.split(node.args[0])
        if rest is None:
            return node
        core = rest.T
        fact = self.model.declared.get(rest.name or "")
        if fact is not None and fact.kind in ("sym", "posdef", "diagonal"):
            self.notes[f"{rest.name} is symmetric ({rest.name} is declared {fact.kind})"] = None
            core = rest
        elif rest.matrices and all(len(a.shape) == 2 for a in rest.args):
            right, left = rest.matrices[1].T, rest.matrices[0].T
            core = self.turned(right) if right.transposed is not None else right
            core = core @ (self.turned(left) if left.transposed is not None else left)
        elif len(rest.terms) > 1:
            apart = added((self._rewritten(x.T), sign) for x, sign in rest.terms)
            core = apart if self.cost(apart) < self.cost(core) else core
        return core if number is None else self.entries(number * core)

    # --- sums --------------------------------------------------------------------------------

    def total(self, node: Node) -> Node:
        """A sum over an axis or over all, with everything taken out that it does not run over."""
        (axis,) = node.params
        x = node.args[0]
        if len(x.shape) == 2 and node.is_number:
            axis = None
        number, rest = self.split(x)
        outside = [] if number is None else [number]
        inside = self.graph.filled(1, x.shape) if rest is None else rest
        if axis is not None and inside.op.powers:
            still, inside = self._apart(inside, axis)
            outside.append(still)
            if inside.op.signs == (-1,):  # taken apart, it may be written with a sign of its own
                outside.append(self.graph.number(-1))
                (inside,) = inside.args
        core = self._known_sum(inside, axis) or self._inner(inside) or (
            self._split_sum(inside, axis)
        )  # fmt: skip
        whole = product_of([*outside, core])
        assert whole is not None
        return self.entries(whole)

    def _apart(self, x: Node, axis: int) -> tuple[Node, Node]:
        """(the factors that a sum along an axis does not run over, the others)."""
        one = ratios.constant(1)
        still, moving = one, one
        try:
            r = self.ratio(x)
        except FAILS:
            return self.graph.number(1), x
        for poly, e in r.factors:
            fixed = all(self._fixed(n, axis) for m, _ in poly for n, _ in m)
            part = ratios.Ratio(Fraction(1), ((poly, e),))
            still, moving = (
                (self.times(still, part), moving) if fixed else (still, self.times(moving, part))
            )
        if still == one:
            return self.graph.number(1), x
        still = ratios.Ratio(r.coefficient, still.factors)
        return self.rebuilt(still), self.filled_out(self.rebuilt(moving), x.shape)

    def _fixed(self, atom: int, axis: int) -> bool:
        shape = self._atoms[atom].shape
        return len(shape) == 2 and shape[axis] == ONE

    def _inner(self, x: Node) -> Node | None:
        """The sum of the column diag(u) @ v, as u.T @ v."""
        if x.matrices and x.shape[-1] == ONE and x.args[0].diagonal is not None:
            return x.args[0].diagonal.T @ x.args[1]
        return None

    def _known_sum(self, x: Node, axis: int | None) -> Node | None:
        size = ONE
        for k, d in enumerate(x.shape):
            size = size * d if axis is None or k == axis else size
        left: Shape = SCALAR
        if axis is not None:
            left = tuple(ONE if k == axis else d for k, d in enumerate(x.shape))
        if x.fill is not None:
            return self._counted(x.fill, size, left)
        if self._around_mean(x, axis, size):
            return self.graph.filled(0, left)
        along = self._sums_to_one(x)
        if along is None or axis not in (along, None):
            return None
        if axis is None:
            return self._counted(Fraction(1), x.shape[1 - along], SCALAR)
        return self.graph.filled(1, left)

    def _counted(self, value: Fraction, size: Dim, shape: Shape) -> Node:
        number = dim_node(self.graph, size) * value
        return number if shape == SCALAR else number * self.graph.filled(1, shape)

    def _around_mean(self, x: Node, axis: int | None, size: Dim) -> bool:
        """Whether x is something less its mean along the axis, which the sheet has a name for."""
        (a, plus), (m, minus) = x.terms if len(x.terms) == 2 else ((x, 0), (x, 0))
        if plus < 0 < minus:
            (a, plus), (m, minus) = (m, minus), (a, plus)
        definition = self.model.definitions.get(m.name or "")
        if plus * minus >= 0 or definition is None:
            return False
        mean = self.graph.make("sum", a, params=(axis,)) / dim_node(self.graph, size)
        try:
            same = self.ratio(mean) == self.ratio(definition)
        except FAILS:
            return False
        if same and a.name:
            self.notes[f"{m.name} is the mean of {a.name}, so the differences sum to zero"] = None
        return same

    def _sums_to_one(self, x: Node) -> int | None:
        """The axis along which the entries are known to sum to one; the fact is noted."""
        name = x.name
        what = f"the {'rows' if x.shape[1] != ONE else 'entries'} of {name} sum to one"
        fact = self.model.declared.get(name or "")
        if fact is not None and fact.kind in ("onehot", "prob"):
            self.notes[f"{what} ({name} is declared {fact.kind})"] = None
            return last_axis(x, None)
        meaning = self.model.definitions.get(name or "", x)
        if meaning.op.promises == "rows sum to one":
            if name is not None:
                self.notes[f"{what} ({meaning.op.name})"] = None
            axis: int = meaning.params[0]
            return axis
        return None

    def _split_sum(self, x: Node, axis: int | None) -> Node:
        whole = self.graph.make("sum", x, params=(axis,))
        if len(x.terms) < 2:
            return whole
        notes = dict(self.notes)
        parts: list[tuple[Node, int]] = []
        for a, sign in x.terms:
            full = a if a.shape == x.shape else a * self.graph.filled(1, x.shape)
            part = (self.total(self.graph.make("sum", full, params=(axis,)))
                    if full.fill is None else self._known_sum(full, axis))  # fmt: skip
            assert part is not None
            parts.append((part, sign))
        split = self.entries(added(parts))
        if self.cost(split) < self.cost(whole):
            return split
        self.notes = notes
        return whole

    # --- sums with an index ------------------------------------------------------------------

    def gathered(self, node: Node) -> Node:
        """Entries collected over loops, as an expression of whole arrays where that is possible."""
        order, _ = node.params
        if not all(isinstance(v, Loop) for v in order) or len(order) > 2:
            return node
        whole = self._whole(node.args[0], tuple(order))
        if whole is None:
            return node
        if whole.shape != node.shape:
            if whole.is_number or len(whole.shape) == len(node.shape) == 2:
                whole = whole * self.graph.filled(1, node.shape)
            if whole.shape != node.shape:
                return node
        return self._simplified(whole)

    def _whole(self, node: Node, loops: tuple[Loop, ...]) -> Node | None:
        if not node.loops:
            return node if node.is_number else None
        if node.spread is not None and node.is_number and not node.args[0].loops:
            own = node.params[0]
            x = node.args[0]
            if own == loops:
                return x
            if len(loops) == 2 and own == loops[::-1]:
                return x.T
            if len(loops) == 2 and own == loops[:1] and x.shape[1] == ONE:
                return x
            if len(loops) == 2 and own == loops[1:] and x.shape[1] == ONE:
                return x.T
            return None
        if not node.op.elementwise:
            return None
        whole = [self._whole(a, loops) for a in node.args]
        args = [a for a in whole if a is not None]
        if len(args) < len(whole):
            return None
        return node.over(args)

    # --- the witness -------------------------------------------------------------------------

    def check(self, before: Node, after: Node) -> int:
        """Compares two nodes at random points; the number of points, or InternalContradiction."""
        tried = 0
        with decimal_context(), np.errstate(all="ignore"):
            for run in self.evaluators():
                a, b = run.value(before), run.value(after)
                a, b = np.broadcast_arrays(a, b)
                if not defined(a) or not defined(b):
                    continue
                tried += 1
                exact = a.dtype == object and b.dtype == object
                near = Fraction(NEAR) if exact else 1e-8
                top = max(1, np.abs(a).max(initial=0))
                if (np.abs(a - b) > top * run.xp.const(Fraction(near))).any():
                    raise InternalContradiction(
                        f"{after!r} was derived from {before!r}, and the two differ at a random "
                        "point. This is a bug in backproof.",
                        hint="please report the sheet that showed it",
                    )
        return tried

    def evaluators(self) -> list[Evaluator]:
        """One evaluator for each of the random points, in decimals where the arrays are small."""
        if self._runs is None:
            points = draw_points(self.model, POINTS, seed=11)
            self._runs = []
            for p in points:
                exact = not p.large
                base = p.shared(self.model, exact=exact)
                self._runs.append(Evaluator(p.sizes, {}, self.extra, exact=exact, below=base))
        return self._runs


def copied(value: Any) -> Any:
    """A set or a dictionary that may grow by itself; lists in it too."""
    if isinstance(value, dict):
        return {k: list(v) if isinstance(v, list) else v for k, v in value.items()}
    return set(value)
