"""Upper bounds of norms and sizes, for proofs of claims such as norm(A @ x) <= norm(A)*norm(x).

The inequalities are the operators' own (`size` in their entries); here are the facts about one
model's names that they need, such as a (1 - a) ≤ ¼ for a between zero and one. The bounds are
nodes again; whether one of them is at most what was claimed is for the normal form to decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import islice, product

from backproof.calculus.model import Model
from backproof.calculus.translate import facts_of
from backproof.operators.node import Node
from backproof.operators.norms import MOST, norm

_WITHIN_ONE = {"binary", "unit", "rows sum to one"}
_FACTS_WITHIN_ONE = {"binary", "unit", "onehot", "prob", "signs"}


class Bounds:
    """Upper bounds over one model's names."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def size(self, node: Node) -> list[Node]:
        """Bounds of ‖node‖ (of |node|, for a number), the plainest first."""
        node = self.meaning(node)
        found = [norm(node)]
        if node.op.size is not None:
            found += node.op.size(self, node)
        unique = {n.id: n for n in found}
        return list(islice(unique.values(), MOST))

    def meaning(self, node: Node) -> Node:
        """A name that stands for a diagonal matrix, as that matrix; else the node."""
        meaning = self.model.definitions.get(node.name or "", node)
        return meaning if meaning.diagonal is not None else node

    def times(self, *parts: Iterable[Node]) -> list[Node]:
        """The products of one bound from each of the parts."""
        result = []
        for choice in islice(product(*parts), MOST):
            total = choice[0]
            for other in choice[1:]:
                total = total * other
            result.append(total)
        return result

    def highest(self, node: Node) -> Fraction | None:
        """A number that no entry exceeds in size, or None."""
        if node.fill is not None:
            return abs(node.fill)
        if node.op.powers == (1, 1):
            a, b = node.args
            if self._complement(a, b) or self._complement(b, a):
                return Fraction(1, 4)
            tops = [self.highest(x) for x in node.args]
            return None if None in tops else (tops[0] or Fraction(0)) * (tops[1] or Fraction(0))
        if len(node.terms) == 1:  # up to its sign
            return self.highest(node.args[0])
        if self._rest(node) is not None:
            return Fraction(1)
        return Fraction(1) if self._within_one(node) else None

    def _complement(self, a: Node, b: Node) -> bool:
        """Whether b is 1 - a and a lies between zero and one."""
        return self._rest(b) is a

    def _rest(self, node: Node) -> Node | None:
        """The a of 1 - a, where it lies between zero and one."""
        is_rest = node.op.signs == (1, -1) and node.args[0].fill == 1
        return node.args[1] if is_rest and self._unit(node.args[1]) else None

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
