"""Readable forms of derived gradients: local rewriting with the names as atoms.

Entry by entry, fractions of polynomials cancel exactly (`-(y/a) + (1-y)/(1-a)` times `a*(1-a)` is
`a - y`); numbers move out of matrix products and sums; sums that a declared fact settles are
replaced by it, and the fact is noted. Of the forms found, the shortest is kept. Every result is
compared with what it came from, in decimals at random points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np

from backproof.calculus import ratios
from backproof.calculus.evaluate import Evaluator, defined
from backproof.calculus.model import Model
from backproof.calculus.notation import syntax, text
from backproof.calculus.points import draw_points
from backproof.calculus.ratios import Poly, Ratio
from backproof.errors import InternalContradiction
from backproof.operators.arithmetic import decimal_context
from backproof.operators.dims import ONE, SCALAR, Dim, Shape
from backproof.operators.functions import dim_node
from backproof.operators.node import Loop, Node
from backproof.operators.reductions import last_axis

POINTS = 2
NEAR = 1e-30
MOST_TERMS = 16
MOST_FACTORS = 12
TOO_LONG = 120


class Simplifier:
    """Simplifies nodes over the names of a model.

    extra   further names with the nodes that they stand for, such as gradients that were named
    notes   the facts that were used, as sentences
    """

    def __init__(self, model: Model, extra: Mapping[str, Node] | None = None) -> None:
        self.model = model
        self.graph = model.graph
        self.extra: dict[str, Node] = dict(extra or {})
        self.notes: dict[str, None] = {}
        self._done: dict[int, Node] = {}
        self._ratios: dict[int, Ratio] = {}
        self._costs: dict[int, int] = {}
        self._idempotent: set[int] = set()
        self._signs: dict[Poly, int] = {}  # -1: the factor reads better turned round
        self._atoms: dict[int, Node] = {}
        self._runs: list[Evaluator] | None = None
        self._named: dict[int, Node] = {}
        self._meanings: dict[Poly, list[tuple[Ratio, Node]]] = {}
        for name, node in model.definitions.items():
            if node.args and not node.loops:
                self._learn_name(name, node)

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

    def cost(self, node: Node) -> int:
        """How long a node is when it is written out."""
        stack = [node]
        while stack:
            n = stack[-1]
            if n.id in self._costs:
                stack.pop()
                continue
            todo = [a for a in n.args if a.id not in self._costs]
            if todo:
                stack.extend(todo)
                continue
            own = n.op.name != "neg"  # a sign costs nothing
            self._costs[n.id] = own + sum(self._costs[a.id] for a in n.args)
        return self._costs[node.id]

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
            result = self.graph.make(node.op.name, *args, params=node.params)
            result = self._rewritten(result)
            result = self.filled_out(result, node.shape)
            self._done[node.id] = result
            self._done.setdefault(result.id, result)
        return self._done[root.id]

    def _rewritten(self, node: Node) -> Node:
        if node.id in self._named:
            return self._named[node.id]
        rule = _RULES.get(node.op.name)
        return node if rule is None else rule(self, node)

    def _learn_name(self, name: str, definition: Node) -> None:
        """What the sheet has a name for is written as that name, also as part of a product."""
        leaf = self.model.leaves[name]
        plain = self._simplified(definition)
        if plain.name is not None or plain.fill is not None:
            return
        for node in (definition, plain):
            self._named[node.id] = leaf
            self._done[node.id] = leaf
        if plain.op.name not in _ARITHMETIC:
            return
        try:
            r = self.ratio(plain)
        except (ratios.TooWide, ZeroDivisionError):
            return
        if r.factors and (len(r.factors) > 1 or len(r.factors[0][0]) > 1):
            widest = max(r.factors, key=lambda f: len(f[0]))[0]
            self._meanings.setdefault(widest, []).append((r, leaf))

    def _named_parts(self, r: Ratio) -> tuple[Ratio, list[Node]]:
        """(what is left, the names that stand for the rest of a product)."""
        names: list[Node] = []
        for poly, _ in r.factors:
            for meaning, leaf in self._meanings.get(poly, ()):
                if set(meaning.factors) <= set(r.factors):
                    r = self.times(r, ratios.to_power(meaning, -1))
                    names.append(leaf)
        return r, names

    # --- entry by entry ----------------------------------------------------------------------

    def entries(self, node: Node) -> Node:
        """The shortest form of an elementwise expression."""
        found = [node]
        for form in (self._as_ratio, self._as_terms, self._as_sum):
            try:
                found.append(form(node))
            except (ratios.TooWide, ZeroDivisionError):
                continue
        fits = [self.filled_out(n, node.shape) for n in found]
        if node.op.name in ("mul", "div"):  # products in one order, sums as they were written
            fits.append(fits.pop(0))
        return min(fits, key=self._length)

    def filled_out(self, node: Node, shape: Shape) -> Node:
        """The node stretched to a shape with ones, where it has not got it."""
        if node.shape == shape:
            return node
        ones = self.graph.filled(1, shape)
        if node.op.name == "div" and node.is_number:
            return node.args[0] * ones / node.args[1]
        return node * ones

    def _length(self, node: Node) -> tuple[int, int]:
        cost = self.cost(node)
        return cost, len(text(syntax(node))) if cost < TOO_LONG else 0

    def tidy(self, node: Node) -> Node:
        """The terms of a sum, each simplified by itself."""
        if node.op.name in ("add", "sub"):
            a, b = (self.tidy(x) for x in node.args)
            total = a + b if node.op.name == "add" else a - b
            try:
                return self.filled_out(self._as_sum(total), total.shape)
            except (ratios.TooWide, ZeroDivisionError):
                return total
        if node.op.name == "neg":
            return -self.tidy(node.args[0])
        return self._simplified(node)

    def ratio(self, node: Node) -> Ratio:
        """The node as a fraction of polynomials over what is not arithmetic."""
        if node.id not in self._ratios:
            rule = _ARITHMETIC.get(node.op.name)
            found = rule(self, node) if rule else None
            if found is None or len(found.factors) > MOST_FACTORS:
                found = self._atom(node)
            self._ratios[node.id] = found
            if node.op.name in ("add", "sub"):
                self._note_sign(found)
        return self._ratios[node.id]

    def _note_sign(self, r: Ratio) -> None:
        """Remembers which way round a sum was written when it was first met."""
        sums = [(p, e) for p, e in r.factors if len(p) > 1]
        new = [p for p, _ in sums if p not in self._signs]
        if len(new) == 1:
            sign = 1 if r.coefficient > 0 else -1
            for p, e in sums:
                sign *= self._signs.get(p, 1) ** abs(e)
            self._signs[new[0]] = sign

    def _atom(self, node: Node) -> Ratio:
        self._atoms[node.id] = node
        if node.op.promises == "binary" or self._binary_label(node):
            self._idempotent.add(node.id)
        return ratios.atom(node.id)

    def _binary_label(self, node: Node) -> bool:
        fact = self.model.declared.get(node.name or "")
        return fact is not None and (
            fact.kind == "onehot" or (fact.kind == "labels" and set(fact.bounds) == {0, 1})
        )

    def times(self, a: Ratio, b: Ratio) -> Ratio:
        return ratios.times(a, b, self._idempotent)

    def _as_ratio(self, node: Node) -> Node:
        return self.rebuilt(self.ratio(node))

    def _terms(self, node: Node) -> list[Ratio]:
        """The node multiplied out, as a sum of products that are each cancelled."""
        rule = _TERMS.get(node.op.name)
        terms = rule(self, node) if rule else [self.ratio(node)]
        if len(terms) > MOST_TERMS:
            raise ratios.TooWide
        return ratios.merged(terms)

    def _as_terms(self, node: Node) -> Node:
        return self._added(node, self._terms(node))

    def _as_sum(self, node: Node) -> Node:
        """As a sum of the terms that are written, none of them multiplied out."""
        terms: list[Ratio] = []
        stack = [(node, 1)]
        while stack:
            n, sign = stack.pop()
            if n.op.name in ("add", "sub"):
                stack.append((n.args[1], sign if n.op.name == "add" else -sign))
                stack.append((n.args[0], sign))
            elif n.op.name == "neg":
                stack.append((n.args[0], -sign))
            else:
                r = self.ratio(n)
                terms.append(Ratio(sign * r.coefficient, r.factors))
        if len(terms) > MOST_TERMS:
            raise ratios.TooWide
        return self._added(node, ratios.merged(terms))

    def _added(self, node: Node, terms: list[Ratio]) -> Node:
        if not terms:
            return self.graph.filled(0, node.shape)
        if len(terms) == 1:
            return self.rebuilt(terms[0])
        outside = ratios.shared(terms)
        inverse = ratios.to_power(outside, -1)
        inside = [ratios.times(t, inverse) for t in terms]
        inside.sort(key=lambda t: t.coefficient < 0)
        whole = ratios.plus(inside, self._idempotent)
        sign = self._signs.get(whole.factors[0][0], 1) if len(whole.factors) == 1 else 0
        if whole.coefficient * sign < 0:  # written the other way round before
            inside = [Ratio(-t.coefficient, t.factors) for t in inside]
            outside = Ratio(-outside.coefficient, outside.factors)
            inside.sort(key=lambda t: t.coefficient < 0)
        total = self.rebuilt(inside[0])
        for t in inside[1:]:
            part = self.rebuilt(Ratio(abs(t.coefficient), t.factors))
            total = total - part if t.coefficient < 0 else total + part
        return self._assembled(outside, total)

    def rebuilt(self, r: Ratio) -> Node:
        """A ratio as a node: numbers first, then products of matrices, then the rest."""
        return self._assembled(r, None)

    def _assembled(self, r: Ratio, inside: Node | None) -> Node:
        """*r* as a node, times *inside*."""
        if not r.coefficient:
            return self.graph.number(0)
        r, top = self._named_parts(r)
        coefficient = r.coefficient
        if inside is not None:
            top.append(inside)
        bottom: list[Node] = []
        for poly, e in r.factors:
            factor, sign = self._factor(poly)
            coefficient *= Fraction(sign) ** e
            (top if e > 0 else bottom).append(factor if abs(e) == 1 else factor ** abs(e))
        top.sort(key=_place)
        bottom.sort(key=_place)
        size = abs(coefficient)
        if size.numerator != 1:
            top.insert(0, self.graph.number(size.numerator))
        if size.denominator != 1:
            bottom.insert(0, self.graph.number(size.denominator))
        result = _product(top) or self.graph.number(1)
        divisor = _product(bottom)
        if divisor is not None:
            result = result / divisor
        return -result if coefficient < 0 else result

    def _factor(self, poly: Poly) -> tuple[Node, int]:
        """A factor as a node, turned round where that reads better: (node, its sign)."""
        turn = self._signs.get(poly, 1) < 0
        terms = ratios.polynomial(tuple((m, -c) for m, c in poly) if turn else poly)
        total: Node | None = None
        for c, monomial in terms:
            parts = [self._atoms[n] if e == 1 else self._atoms[n] ** e for n, e in monomial]
            parts.sort(key=_place)
            if abs(c) != 1 or not parts:
                parts.insert(0, self.graph.number(abs(c)))
            part = _product(parts)
            assert part is not None
            if total is None:
                total = -part if c < 0 else part
            else:
                total = total - part if c < 0 else total + part
        assert total is not None
        return total, -1 if turn else 1

    # --- numbers in products -----------------------------------------------------------------

    def split(self, node: Node) -> tuple[Node | None, Node | None]:
        """(the numbers that multiply a node, the rest)."""
        if node.is_number:
            return node, None
        if node.op.name == "mul":
            parts = [self.split(a) for a in node.args]
            return _product([n for n, _ in parts if n]), _product([a for _, a in parts if a])
        if node.op.name == "neg":
            number, rest = self.split(node.args[0])
            minus = self.graph.number(-1)
            return (minus if number is None else -number), rest
        if node.op.name == "div" and node.args[1].is_number:
            number, rest = self.split(node.args[0])
            return (number or self.graph.number(1)) / node.args[1], rest
        if node.op.name == "sub":  # 1 - y where it was written so, and not y - 1
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
        number = _product([x for x in (m, n) if x is not None])
        if number is None:
            return core
        try:
            return self.filled_out(self._as_ratio(number * core), core.shape)
        except (ratios.TooWide, ZeroDivisionError):
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
        elif rest.op.name == "matmul" and all(len(a.shape) == 2 for a in rest.args):
            a, b = rest.args
            core = self.turned(b.T) if b.T.op.name == "transpose" else b.T
            core = core @ (self.turned(a.T) if a.T.op.name == "transpose" else a.T)
        elif rest.op.name in ("add", "sub"):
            a, b = (self._rewritten(x.T) for x in rest.args)
            apart = a + b if rest.op.name == "add" else a - b
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
        factors = _factors(rest) if rest is not None else []
        if axis is not None:
            outside += [f for f in factors if f.shape[axis] == ONE and f.shape != x.shape]
            factors = [f for f in factors if not (f.shape[axis] == ONE and f.shape != x.shape)]
        inside = _product(factors)
        if inside is None or inside.shape != x.shape:
            ones = self.graph.filled(1, x.shape)
            inside = ones if inside is None else inside * ones
        core = self._known_sum(inside, axis) or self._inner(inside) or (
            self._split_sum(inside, axis)
        )  # fmt: skip
        whole = _product([*outside, core])
        assert whole is not None
        return self.entries(whole)

    def _inner(self, x: Node) -> Node | None:
        """The sum of the column diag(u) @ v, as u.T @ v."""
        if x.op.name == "matmul" and x.shape[-1] == ONE and x.args[0].op.name == "diag_of":
            return x.args[0].args[0].T @ x.args[1]
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
        along = self._sums_to_one(x)
        if along is None or axis not in (along, None):
            return None
        if axis is None:
            return self._counted(Fraction(1), x.shape[1 - along], SCALAR)
        return self.graph.filled(1, left)

    def _counted(self, value: Fraction, size: Dim, shape: Shape) -> Node:
        number = dim_node(self.graph, size) * value
        return number if shape == SCALAR else number * self.graph.filled(1, shape)

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
        if x.op.name not in ("add", "sub"):
            return whole
        notes = dict(self.notes)
        halves: list[Node | None] = []
        for a in x.args:
            full = a if a.shape == x.shape else a * self.graph.filled(1, x.shape)
            halves.append(self.total(self.graph.make("sum", full, params=(axis,)))
                          if full.fill is None else self._known_sum(full, axis))  # fmt: skip
        first, second = halves
        assert first is not None and second is not None
        split = self.entries(first + second if x.op.name == "add" else first - second)
        if self.cost(split) < self.cost(whole):
            return split
        self.notes = notes
        return whole

    # --- sums with an index ------------------------------------------------------------------

    def collected(self, node: Node) -> Node:
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
        if node.op.name == "spread" and node.is_number and not node.args[0].loops:
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
        return self.graph.make(node.op.name, *args, params=node.params)

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
                top = max([1, *(abs(x) for x in a.flat)])
                if any(abs(x) > top * run.xp.const(Fraction(near)) for x in (a - b).flat):
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
                values = p.floats if p.large else p.exact
                names = _Names(self.model.definitions, self.extra)
                self._runs.append(Evaluator(p.sizes, values, names, exact=not p.large))
        return self._runs


class _Names(dict[str, Node]):
    """Definitions, and further names that may still be added."""

    def __init__(self, definitions: Mapping[str, Node], extra: Mapping[str, Node]) -> None:
        super().__init__(definitions)
        self.extra = extra

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self.extra

    def __missing__(self, name: str) -> Node:
        return self.extra[name]


def _place(node: Node) -> tuple[bool, bool, int, int]:
    """Where a factor stands in a product: numbers, matrix products, names, sums, indicators."""
    sums = node.op.name in ("add", "sub")
    return not node.is_number, node.op.name != "matmul", sums + 2 * (
        node.op.promises == "binary"
    ), node.id  # fmt: skip


def _product(parts: list[Node]) -> Node | None:
    result: Node | None = None
    for p in parts:
        result = p if result is None else result * p
    return result


def _factors(node: Node) -> list[Node]:
    if node.op.name == "mul":
        return [f for a in node.args for f in _factors(a)]
    return [node]


# --- arithmetic of entries: as one fraction, and multiplied out ------------------------------


def _power(s: Simplifier, n: Node) -> Ratio | None:
    k = n.args[1].fill
    if k is None or k.denominator != 1 or abs(k) > 8:
        return None
    return ratios.to_power(s.ratio(n.args[0]), int(k))


def _negative(s: Simplifier, r: Ratio) -> Ratio:
    return Ratio(-r.coefficient, r.factors)


_ARITHMETIC: dict[str, Callable[[Simplifier, Node], Ratio | None]] = {
    "fill": lambda s, n: ratios.constant(n.params[0]),
    "add": lambda s, n: ratios.plus([s.ratio(a) for a in n.args], s._idempotent),
    "sub": lambda s, n: ratios.plus(
        [s.ratio(n.args[0]), _negative(s, s.ratio(n.args[1]))], s._idempotent
    ),
    "neg": lambda s, n: _negative(s, s.ratio(n.args[0])),
    "mul": lambda s, n: s.times(s.ratio(n.args[0]), s.ratio(n.args[1])),
    "div": lambda s, n: s.times(s.ratio(n.args[0]), ratios.to_power(s.ratio(n.args[1]), -1)),
    "pow": _power,
}

_TERMS: dict[str, Callable[[Simplifier, Node], list[Ratio]]] = {
    "add": lambda s, n: s._terms(n.args[0]) + s._terms(n.args[1]),
    "sub": lambda s, n: s._terms(n.args[0]) + [_negative(s, t) for t in s._terms(n.args[1])],
    "neg": lambda s, n: [_negative(s, t) for t in s._terms(n.args[0])],
    "mul": lambda s, n: [
        s.times(a, b) for a in s._terms(n.args[0]) for b in s._terms(n.args[1])
    ],
    "div": lambda s, n: [
        s.times(t, ratios.to_power(s.ratio(n.args[1]), -1)) for t in s._terms(n.args[0])
    ],
}

_RULES: dict[str, Callable[[Simplifier, Node], Node]] = {
    **dict.fromkeys(("add", "sub", "mul", "div", "neg"), Simplifier.entries),
    "matmul": Simplifier.product,
    "transpose": Simplifier.turned,
    "sum": Simplifier.total,
    "collect": Simplifier.collected,
}
