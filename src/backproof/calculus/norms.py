"""Upper bounds of norms and sizes, for proofs of claims such as norm(A @ x) <= norm(A)*norm(x).

Each rule is a textbook inequality: ‖A B‖ ≤ ‖A‖ ‖B‖ and |⟨A, B⟩| ≤ ‖A‖ ‖B‖ (Cauchy–Schwarz) for
the Frobenius norm, the triangle inequality, ‖A ⊙ B‖ ≤ max|A| ‖B‖, |tr A| ≤ √n ‖A‖, and
a (1 - a) ≤ ¼ for a between zero and one. The bounds are nodes again; whether one of them is at
most what was claimed is for the normal form to decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import islice, product

from backproof.calculus.model import Model
from backproof.calculus.translate import facts_of
from backproof.operators.dims import SCALAR
from backproof.operators.functions import dim_node
from backproof.operators.node import Node

MOST = 24
_WITHIN_ONE = {"binary", "unit", "rows sum to one"}
_FACTS_WITHIN_ONE = {"binary", "unit", "onehot", "prob", "signs"}


class Bounds:
    """Upper bounds over one model's names."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def size(self, node: Node) -> list[Node]:
        """Bounds of ‖node‖ (of |node|, for a number), the plainest first."""
        node = self._diagonal(node)
        found = [_norm(node)]
        rule = _RULES.get(node.op.name)
        if rule is not None:
            found += rule(self, node)
        unique = {n.id: n for n in found}
        return list(islice(unique.values(), MOST))

    def _diagonal(self, node: Node) -> Node:
        """A name that stands for a diagonal matrix, as that matrix."""
        meaning = self.model.definitions.get(node.name or "", node)
        return meaning if meaning.op.name == "diag_of" else node

    def _times(self, *parts: Iterable[Node]) -> list[Node]:
        result = []
        for choice in islice(product(*parts), MOST):
            total = choice[0]
            for other in choice[1:]:
                total = total * other
            result.append(total)
        return result

    def same(self, node: Node) -> list[Node]:
        return self.size(node.args[0])

    def sum(self, node: Node) -> list[Node]:
        a, b = node.args
        if a.shape != b.shape:
            return []
        return [x + y for x, y in islice(product(self.size(a), self.size(b)), MOST)]

    def matmul(self, node: Node) -> list[Node]:
        a, b = (self._diagonal(x) for x in node.args)
        found = self._times(self.size(a), self.size(b))
        for one, other in ((a, b), (b, a)):
            top = self.highest(one.args[0]) if one.op.name == "diag_of" else None
            if top is not None:
                found = [x * top for x in self.size(other)] + found
        return found

    def mul(self, node: Node) -> list[Node]:
        a, b = node.args
        found: list[Node] = []
        for one, other in ((a, b), (b, a)):
            top = self.highest(one)
            if top is not None and (other.shape == node.shape or one.shape == SCALAR):
                found += [x * top for x in self.size(other)]
        return found + self._times(self.size(a), self.size(b))

    def div(self, node: Node) -> list[Node]:
        a, b = node.args
        if b.shape != SCALAR:
            return []
        return [x / _norm(b) for x in self.size(a)]

    def power(self, node: Node) -> list[Node]:
        base, exponent = node.args
        if node.shape != SCALAR or exponent.fill != 2:
            return []
        return [x * x for x in self.size(base)]

    def root(self, node: Node) -> list[Node]:
        """The norm of what is squared and summed under the root."""
        inside = node.args[0]
        if inside.op.name == "sum" and inside.params[0] is None:
            squared = inside.args[0]
            if squared.op.name == "pow" and squared.args[1].fill == 2:
                return self.size(squared.args[0])
        return []

    def total(self, node: Node) -> list[Node]:
        """sum(A*B) is an inner product."""
        x = node.args[0]
        if node.params[0] is None and x.op.name == "mul" and x.args[0].shape == x.args[1].shape:
            return self._times(self.size(x.args[0]), self.size(x.args[1]))
        return []

    def trace(self, node: Node) -> list[Node]:
        x = node.args[0]
        root_n = node.graph.make("sqrt", dim_node(node.graph, x.shape[0]))
        found = [root_n * s for s in self.size(x)]
        if x.op.name == "matmul":  # tr(A B) is the inner product of Aᵀ and B
            found += self._times(self.size(x.args[0]), self.size(x.args[1]))
        return found

    def highest(self, node: Node) -> Fraction | None:
        """A number that no entry exceeds in size, or None."""
        if node.fill is not None:
            return abs(node.fill)
        if node.op.name == "mul":
            a, b = node.args
            if self._complement(a, b) or self._complement(b, a):
                return Fraction(1, 4)
            tops = [self.highest(x) for x in node.args]
            return None if None in tops else (tops[0] or Fraction(0)) * (tops[1] or Fraction(0))
        if node.op.name == "neg":
            return self.highest(node.args[0])
        if node.op.name == "sub" and node.args[0].fill == 1 and self._unit(node.args[1]):
            return Fraction(1)
        return Fraction(1) if self._within_one(node) else None

    def _complement(self, a: Node, b: Node) -> bool:
        """Whether b is 1 - a and a lies between zero and one."""
        is_rest = b.op.name == "sub" and b.args[0].fill == 1 and b.args[1] is a
        return is_rest and self._unit(a)

    def _unit(self, node: Node) -> bool:
        meaning = self.model.definitions.get(node.name or "", node)
        if meaning.op.promises in ("unit", "rows sum to one"):
            return True
        return self._declared(node) & {"unit", "prob"} != set()

    def _within_one(self, node: Node) -> bool:
        meaning = self.model.definitions.get(node.name or "", node)
        return meaning.op.promises in _WITHIN_ONE or bool(self._declared(node) & _FACTS_WITHIN_ONE)

    def _declared(self, node: Node) -> set[str]:
        fact = self.model.declared.get(node.name or "")
        return set() if fact is None else set(facts_of(fact))


def _norm(node: Node) -> Node:
    make = node.graph.make
    if node.shape == SCALAR:
        return node.graph.number(abs(node.fill)) if node.fill is not None else make("abs", node)
    return make("sqrt", make("sum", node**2, params=(None,)))


_RULES = {
    "neg": Bounds.same,
    "transpose": Bounds.same,
    "abs": Bounds.same,
    "add": Bounds.sum,
    "sub": Bounds.sum,
    "matmul": Bounds.matmul,
    "mul": Bounds.mul,
    "div": Bounds.div,
    "pow": Bounds.power,
    "sqrt": Bounds.root,
    "sum": Bounds.total,
    "trace": Bounds.trace,
}
