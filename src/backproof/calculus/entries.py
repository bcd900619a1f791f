"""Readable forms of elementwise expressions: fractions of polynomials over what is not arithmetic.

The same node is written as one fraction, multiplied out, as the sum that it is, and with one of
its sums multiplied through; the shortest is kept. Signs and the order of a sum are as they were
first written. Products and parts that the sheet has a name for are written as that name.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from backproof.calculus import ratios
from backproof.calculus.model import Model
from backproof.calculus.notation import syntax, text
from backproof.calculus.ratios import Poly, Ratio
from backproof.operators.dims import ONE, Shape
from backproof.operators.node import Node

MOST_TERMS = 16
MOST_FACTORS = 12
TOO_LONG = 120  # forms beyond this cost are not compared letter by letter
FAILS = (ratios.TooWide, ZeroDivisionError)


class Entries:
    """Finds short forms of elementwise nodes over the names of a model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.graph = model.graph
        self._ratios: dict[int, Ratio] = {}
        self._broken: set[int] = set()  # sums and products with a fraction in them
        self._costs: dict[int, int] = {}
        self._lengths: dict[int, int] = {}
        self._built: dict[tuple[Ratio, ...], Node] = {}  # sums of ratios, written out
        self._idempotent: set[int] = set()
        self._signs: dict[Poly, int] = {}  # -1: the factor reads better turned round
        self._sizes: dict[Poly, Fraction] = {}  # by which a factor reads better, as v + 0.01
        self._atoms: dict[int, Node] = {}
        self._meanings: dict[Poly, list[tuple[Ratio, Node]]] = {}

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
            own = int(len(n.terms) != 1)  # a sign costs nothing, a fraction in a fraction twice
            divides = any(power < 0 for _, power in n.powers)
            within = bool(n.terms or n.powers) and any(a.id in self._broken for a in n.args)
            if divides or within:
                self._broken.add(n.id)
            own += divides and within
            self._costs[n.id] = own + sum(self._costs[a.id] for a in n.args)
        return self._costs[node.id]

    def _named_parts(self, r: Ratio) -> tuple[Ratio, list[Node]]:
        """(what is left, the names that stand for the rest of a product)."""
        names: list[Node] = []
        for poly, _ in r.factors:
            for meaning, leaf in self._meanings.get(poly, ()):
                if set(meaning.factors) <= set(r.factors):
                    r = self.times(r, ratios.to_power(meaning, -1))
                    names.append(leaf)
        return r, names

    def entries(self, node: Node, again: bool = True) -> Node:
        """The shortest form of an elementwise expression."""
        found = [node]
        for form in (self._as_ratio, self._as_terms, self._as_sum, self._as_through):
            try:
                found.append(form(node))
            except FAILS:
                continue
        fits = [self.filled_out(n, node.shape) for n in found]
        if node.op.powers:  # products in one order, sums as they were written
            fits.append(fits.pop(0))
        best = self._shortest(fits)
        if best is node or not again:
            return best
        return self.entries(best, again=False)  # a name put in may cancel once more

    def filled_out(self, node: Node, shape: Shape) -> Node:
        """The node stretched to a shape with ones, where it has not got it."""
        if node.shape == shape:
            return node
        ones = self.graph.filled(1, shape)
        if node.op.powers == (1, -1) and node.is_number:
            return node.args[0] * ones / node.args[1]
        return node * ones

    def _shortest(self, forms: list[Node]) -> Node:
        """The first of the forms of least cost, and of those the shortest written out."""
        least = min(self.cost(n) for n in forms)
        near = list(dict.fromkeys(n for n in forms if self.cost(n) == least))
        if len(near) == 1 or least >= TOO_LONG:
            return near[0]
        return min(near, key=self._length)

    def _length(self, node: Node) -> int:
        if node.id not in self._lengths:
            self._lengths[node.id] = len(text(syntax(node)))
        return self._lengths[node.id]

    def ratio(self, node: Node) -> Ratio:
        """The node as a fraction of polynomials over what is not arithmetic."""
        if node.id not in self._ratios:
            found = self._arithmetic(node)
            if found is None or len(found.factors) > MOST_FACTORS:
                found = self._atom(node)
            self._ratios[node.id] = found
            if len(node.terms) > 1:
                self._note_sign(found)
        return self._ratios[node.id]

    def _arithmetic(self, node: Node) -> Ratio | None:
        """What is arithmetic of entries, as one fraction; None for anything else."""
        if node.fill is not None:
            return ratios.constant(node.fill)
        if node.terms:
            parts = [self._signed(a, sign) for a, sign in node.terms]
            return parts[0] if len(parts) == 1 else ratios.plus(parts, self._idempotent)
        found: Ratio | None = None
        for a, power in node.powers:
            part = self.ratio(a) if power == 1 else ratios.to_power(self.ratio(a), power)
            found = part if found is None else self.times(found, part)
        k = node.exponent
        if k is not None and k.denominator == 1 and abs(k) <= 8:
            return ratios.to_power(self.ratio(node.args[0]), int(k))
        return found

    def _note_sign(self, r: Ratio) -> None:
        """Remembers which way round a sum was written when it was first met."""
        sums = [(p, e) for p, e in r.factors if len(p) > 1]
        new = [p for p, _ in sums if p not in self._signs]
        if len(new) == 1:
            sign = 1 if r.coefficient > 0 else -1
            for p, e in sums:
                sign *= self._signs.get(p, 1) ** abs(e)
            self._signs[new[0]] = sign
            self._note_size(new[0], r)
            self._built.clear()

    def _note_size(self, poly: Poly, r: Ratio) -> None:
        """Remembers a sum in which only the number is broken: v + 0.01 is not 100*v + 1."""
        size = abs(r.coefficient)
        if size < 1 and r.factors == ((poly, 1),):
            whole = [size * c for monomial, c in poly if monomial]
            if len(whole) < len(poly) and all(c.denominator == 1 for c in whole):
                self._sizes[poly] = size

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
        terms = self._multiplied_out(node)
        if len(terms) > MOST_TERMS:
            raise ratios.TooWide
        return ratios.merged(terms)

    def _multiplied_out(self, node: Node) -> list[Ratio]:
        if node.terms:
            return [
                Ratio(sign * t.coefficient, t.factors)
                for a, sign in node.terms
                for t in self._terms(a)
            ]
        found: list[Ratio] | None = None
        for a, power in node.powers:
            parts = self._terms(a) if power == 1 else [ratios.to_power(self.ratio(a), power)]
            found = parts if found is None else [self.times(x, y) for x in found for y in parts]
        return [self.ratio(node)] if found is None else found

    def _as_terms(self, node: Node) -> Node:
        return self._added(node, self._terms(node))

    def _as_sum(self, node: Node) -> Node:
        """As a sum of the terms that are written, none of them multiplied out."""
        return self._added(node, [self._signed(n, sign) for n, sign in _terms_of(node)])

    def _signed(self, node: Node, sign: int) -> Ratio:
        r = self.ratio(node)
        return Ratio(sign * r.coefficient, r.factors)

    def _as_through(self, node: Node) -> Node:
        """A product with its first sum multiplied through, term by term."""
        above, below = _fraction(node)
        sums = [n for n in above if len(_terms_of(n)) > 1]
        if not sums:
            return node
        rest = ratios.constant(1)
        for n in above:
            rest = rest if n is sums[0] else self.times(rest, self.ratio(n))
        for n in below:
            rest = self.times(rest, ratios.to_power(self.ratio(n), -1))
        terms = [self.times(self._signed(n, sign), rest) for n, sign in _terms_of(sums[0])]
        return self._added(node, terms)

    def _added(self, node: Node, terms: list[Ratio]) -> Node:
        if len(terms) > MOST_TERMS:
            raise ratios.TooWide
        terms = ratios.merged(terms)
        if not terms:
            return self.graph.filled(0, node.shape)
        if len(terms) == 1:
            return self.rebuilt(terms[0])
        key = tuple(terms)
        if key not in self._built:
            self._built[key] = self._factored(terms)
        return self._built[key]

    def _factored(self, terms: list[Ratio]) -> Node:
        """A sum with what all of its terms have in front of a bracket."""
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
        key = (r,)
        if key not in self._built:
            self._built[key] = self._assembled(r, None)
        return self._built[key]

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
            factor, size = self._factor(poly)
            coefficient *= size**e
            (top if e > 0 else bottom).append(_raised(factor, abs(e)))
        top.sort(key=self._place)
        bottom.sort(key=self._place)
        size = abs(coefficient)
        if size.numerator != 1:
            top.insert(0, self.graph.number(size.numerator))
        if size.denominator != 1:
            bottom.insert(0, self.graph.number(size.denominator))
        result = product_of(top) or self.graph.number(1)
        divisor = product_of(bottom)
        if divisor is not None and _crossed(result, divisor):
            result = product_of([result, 1 / divisor]) or result
        elif divisor is not None:
            result = result / divisor
        return -result if coefficient < 0 else result

    def _factor(self, poly: Poly) -> tuple[Node, Fraction]:
        """A factor as a node that reads well: (node, what it is to be multiplied by)."""
        turn = self._signs.get(poly, 1) < 0
        size = self._sizes.get(poly, Fraction(1))
        terms = ratios.polynomial(tuple((m, -c) for m, c in poly) if turn else poly)
        total: Node | None = None
        for written, monomial in terms:
            c = written * size
            parts = [_raised(self._atoms[n], e) for n, e in monomial]
            parts.sort(key=self._place)
            if abs(c) != 1 or not parts:
                parts.insert(0, self.graph.number(abs(c)))
            part = product_of(parts)
            assert part is not None
            if total is None:
                total = -part if c < 0 else part
            else:
                total = total - part if c < 0 else total + part
        assert total is not None
        return total, (-1 if turn else 1) / size

    def _place(self, node: Node) -> tuple[bool, bool, bool, int, int]:
        """Where a factor stands: numbers (hyperparameters first), products, names, sums, masks."""
        fact = self.model.declared.get(node.name or "")
        hyper = fact is not None and fact.kind == "pos" and node.is_number
        late = (len(node.terms) > 1) + 2 * (node.op.promises == "binary")
        return not node.is_number, not hyper, not node.matrices, late, node.id


def _raised(node: Node, power: int) -> Node:
    """A power; where a square root has a value, its square is what the root was taken of."""
    root = node.op.root
    if root and not power % root:
        return _raised(node.args[0], power // root)
    return node if power == 1 else node**power


def product_of(parts: list[Node]) -> Node | None:
    """The product, entry by entry; a column and a row only meet where something is wider."""
    result: Node | None = None
    for p in parts:
        if result is None:
            result = p
        elif _crossed(result, p):
            wide = [q for q in parts if ONE not in q.shape]
            if not wide:
                column, row = (result, p) if result.shape[1] == ONE else (p, result)
                result = column @ row
            else:
                return product_of([*wide, *(q for q in parts if ONE in q.shape)])
        else:
            result = result * p
    return result


def _crossed(a: Node, b: Node) -> bool:
    """Whether one is a column and the other a row."""
    if len(a.shape) != 2 or len(b.shape) != 2 or a.is_number or b.is_number:
        return False
    return (a.shape[0] == ONE) != (b.shape[0] == ONE) and (a.shape[1] == ONE) != (b.shape[1] == ONE)


def is_arithmetic(node: Node) -> bool:
    """Whether a node is arithmetic of the entries of its arguments."""
    return bool(node.op.signs or node.op.powers) or (
        node.fill is not None or node.exponent is not None
    )


def added(terms: Iterable[tuple[Node, int]]) -> Node:
    """The sum of nodes with their signs, in their order."""
    total: Node | None = None
    for node, sign in terms:
        if total is None:
            total = node if sign > 0 else -node
        else:
            total = total + node if sign > 0 else total - node
    assert total is not None
    return total


def factors_of(node: Node) -> list[Node]:
    if node.op.powers == (1, 1):
        return [f for a in node.args for f in factors_of(a)]
    return [node]


def _terms_of(node: Node) -> list[tuple[Node, int]]:
    """The terms of a sum as it is written, with their signs."""
    found: list[tuple[Node, int]] = []
    stack = [(node, 1)]
    while stack:
        n, sign = stack.pop()
        if n.terms:
            stack.extend((a, sign * own) for a, own in reversed(n.terms))
        else:
            found.append((n, sign))
    return found


def _fraction(node: Node) -> tuple[list[Node], list[Node]]:
    """The factors above and below the line."""
    above: list[Node] = []
    below: list[Node] = []
    stack = [(node, True)]
    while stack:
        n, up = stack.pop()
        if n.powers:
            stack.extend((a, up == (power > 0)) for a, power in reversed(n.powers))
        else:
            (above if up else below).append(n)
    return above, below
