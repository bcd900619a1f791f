"""Upper bounds of the norm of a result: the `size` rules of the entries.

Each is a textbook inequality: ‖A B‖ ≤ ‖A‖ ‖B‖ and |⟨A, B⟩| ≤ ‖A‖ ‖B‖ (Cauchy–Schwarz) for the
Frobenius norm, the triangle inequality, ‖A ⊙ B‖ ≤ max|A| ‖B‖, |tr A| ≤ √n ‖A‖. The rules give
nodes and compare nothing.
"""

from __future__ import annotations

from itertools import islice, product

from backproof.operators.base import Sizes
from backproof.operators.dims import SCALAR
from backproof.operators.node import Node

MOST = 24  # bounds of one node that are looked at


def norm(node: Node) -> Node:
    """‖node‖; |node| for a number."""
    make = node.graph.make
    if node.shape == SCALAR:
        return node.graph.number(abs(node.fill)) if node.fill is not None else make("abs", node)
    return make("sqrt", make("sum", node**2, params=(None,)))


def same(s: Sizes, node: Node) -> list[Node]:
    """The size of the argument."""
    return s.size(node.args[0])


def triangle(s: Sizes, node: Node) -> list[Node]:
    """‖A ± B‖ ≤ ‖A‖ + ‖B‖."""
    a, b = node.args
    if a.shape != b.shape:
        return []
    return [x + y for x, y in islice(product(s.size(a), s.size(b)), MOST)]


def entrywise_product(s: Sizes, node: Node) -> list[Node]:
    """‖A ⊙ B‖ ≤ max|A| ‖B‖ ≤ ‖A‖ ‖B‖."""
    a, b = node.args
    found: list[Node] = []
    for one, other in ((a, b), (b, a)):
        top = s.highest(one)
        if top is not None and (other.shape == node.shape or one.shape == SCALAR):
            found += [x * top for x in s.size(other)]
    return found + s.times(s.size(a), s.size(b))


def quotient(s: Sizes, node: Node) -> list[Node]:
    a, b = node.args
    if b.shape != SCALAR:
        return []
    return [x / norm(b) for x in s.size(a)]


def square(s: Sizes, node: Node) -> list[Node]:
    base = node.args[0]
    if node.shape != SCALAR or node.exponent != 2:
        return []
    return [x * x for x in s.size(base)]


def matrix_product(s: Sizes, node: Node) -> list[Node]:
    """‖A B‖ ≤ ‖A‖ ‖B‖, and ‖diag(d) B‖ ≤ max|d| ‖B‖."""
    a, b = (s.meaning(x) for x in node.args)
    found = s.times(s.size(a), s.size(b))
    for one, other in ((a, b), (b, a)):
        top = s.highest(one.diagonal) if one.diagonal is not None else None
        if top is not None:
            found = [x * top for x in s.size(other)] + found
    return found


def root(s: Sizes, node: Node) -> list[Node]:
    """The norm of what is squared and summed under the root."""
    inside = node.args[0]
    if inside.summed is not None and inside.params[0] is None and inside.summed.exponent == 2:
        return s.size(inside.summed.args[0])
    return []


def total(s: Sizes, node: Node) -> list[Node]:
    """sum(A*B) is an inner product."""
    x = node.args[0]
    if node.params[0] is None and x.op.powers == (1, 1) and x.args[0].shape == x.args[1].shape:
        return s.times(s.size(x.args[0]), s.size(x.args[1]))
    return []


def trace(s: Sizes, node: Node) -> list[Node]:
    """|tr A| ≤ √n ‖A‖; tr(A B) is the inner product of Aᵀ and B."""
    x = node.args[0]
    make = node.graph.make
    n = make("dim", params=(node.graph.resolve(x.shape[0]),))
    found = [make("sqrt", n) * size for size in s.size(x)]
    if x.matrices:
        found += s.times(*(s.size(m) for m in x.matrices))
    return found
