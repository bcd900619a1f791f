"""Local derivatives between neighbouring names, as matrices where they are matrices.

The derivative of z by x is read off what z passes back: a column passed back as J g has the
Jacobian J (denominator layout). What is passed to a matrix as g xᵀ is a tensor that is never
built; the rule itself is given. Where neither holds there is no matrix form, and none is shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from backproof.calculus.derive import pull_back
from backproof.calculus.entries import added
from backproof.calculus.model import Model
from backproof.calculus.simplify import Simplifier
from backproof.operators.dims import ONE, Shape, squeeze
from backproof.operators.node import Loop, Node, postorder

PASSED = ("v", "g", "u", "delta")  # what the gradient passed to a rule may be called


@dataclass(frozen=True, slots=True)
class Local:
    """∂of/∂by.

    shape    in the layout asked for, axes of 1 dropped
    matrix   the derivative as a node, or None where it has no matrix form
    rule     what the equation passes on for a gradient v, where there is no matrix form
    passed   the leaf v in that rule
    says     the rules that were used
    """

    of: str
    by: str
    shape: Shape
    matrix: Node | None
    rule: Node | None
    passed: Node | None
    says: tuple[str, ...]


def is_line(shape: Shape) -> bool:
    """Whether a shape is a column or a number."""
    return len(shape) == 2 and shape[1] == ONE


def local_shape(of: Shape, by: Shape, denominator: bool) -> Shape:
    """The shape of ∂of/∂by: both shapes one after the other, axes of 1 dropped."""
    if denominator:
        return squeeze((*by, *of))
    return squeeze((*of, *by), row=all(d == ONE for d in of) and any(d != ONE for d in by))


def local(
    model: Model, name: str, node: Node, by: str, simplify: Simplifier, denominator: bool
) -> Local:
    """The local derivative of the equation *name* = *node* by the name *by*."""
    graph = model.graph
    output = model.leaves.get(name, node)
    of_shape = graph.resolve_shape(node.shape)
    by_shape = graph.resolve_shape(model.leaves[by].shape)
    shape = local_shape(of_shape, by_shape, denominator)
    says = _rules(node, by)
    if node.is_number:
        found = pull_back(node, graph.number(1), output).get(by)
        whole = graph.filled(0, by_shape) if found is None else simplify.tidy(found)
        if whole.shape != by_shape:
            whole = whole * graph.filled(1, by_shape)
        if not denominator and is_line(by_shape):
            whole = whole.T
        return Local(name, by, shape, whole, None, None, says)
    free = (n for n in PASSED if n not in model.leaves and n not in model.sheet.dimensions)
    passed = graph.quantity(next(free, "passed_on"), of_shape)
    found = pull_back(node, passed, output).get(by)
    if found is None:
        return Local(name, by, shape, None, None, None, says)
    if is_line(of_shape) and is_line(by_shape):
        matrix = Linear(simplify, passed).matrix(found)
        if matrix is not None:
            if not denominator or by_shape == (ONE, ONE):
                matrix = simplify.plain(matrix.T)
            return Local(name, by, shape, matrix, None, None, says)
    rule = simplify.plain(found)
    if rule.shape != by_shape:
        rule = rule * graph.filled(1, by_shape)
    return Local(name, by, shape, None, rule, passed, says)


def direct_jacobian(model: Model, name: str, node: Node, by: str, denominator: bool) -> Node:
    """All partial derivatives of one equation by one name, the other names held fixed."""
    graph, leaf = model.graph, model.leaves[by]
    out_shape = graph.resolve_shape(node.shape)
    loops = tuple(None if d == ONE else graph.loop("k", d) for d in out_shape)
    own: tuple[Loop, ...] = tuple(v for v in loops if v is not None)
    seed = graph.make("onehot", params=(loops, out_shape)) if own else graph.number(1)
    found = pull_back(node, seed, model.leaves.get(name, node), own).get(by)
    shape = graph.resolve_shape(leaf.shape)
    g = graph.filled(0, shape) if found is None else found
    if g.shape != shape:
        g = g * graph.filled(1, shape)
    inner = [k for k, d in enumerate(shape) if d != ONE]
    order = (*inner, *own) if denominator else (*own, *inner)
    if not own and denominator:
        return g
    return graph.make("collect", g, params=(order, local_shape(out_shape, shape, denominator)))


def _rules(node: Node, by: str) -> tuple[str, ...]:
    """What the operators between an equation and one of its names say of themselves."""
    active: set[int] = set()
    found: dict[str, None] = {}
    for n in postorder([node]):
        if n.name == by or any(a.id in active for a in n.args):
            active.add(n.id)
            if n.op.says and n.name is None:
                found[n.op.says] = None
    return tuple(found)


class Linear:
    """Reads a column that is linear in the column *passed* as a matrix times it."""

    def __init__(self, simplify: Simplifier, passed: Node) -> None:
        self.simplify = simplify
        self.graph = simplify.graph
        self.passed = passed
        self._with: dict[int, bool] = {}

    def matrix(self, node: Node) -> Node | None:
        """J with *node* = J @ passed, or None."""
        found = self._read(node)
        return None if found is None else self.simplify.plain(found)

    def _has(self, node: Node) -> bool:
        if node.id not in self._with:
            for n in postorder([node]):
                self._with[n.id] = n is self.passed or any(self._with[a.id] for a in n.args)
        return self._with[node.id]

    def _read(self, node: Node) -> Node | None:
        if node is self.passed:
            if self.passed.is_number:
                return self.graph.number(1)
            return self.graph.make("eye", params=(self.passed.shape[0],))
        if not is_line(node.shape) or not self._has(node):
            return None
        if node.terms:
            return self._sum(node)
        if node.op.powers == (1, 1):
            return self._scaled(node)
        if node.op.powers == (1, -1):
            return self._divided(node)
        if node.matrices:
            return self._multiplied(node)
        return None if node.summed is None else self._total(node.summed)

    def _sum(self, node: Node) -> Node | None:
        parts = []
        for x, sign in node.terms:
            inner = self._read(x)
            if inner is None:
                return None
            if x.shape != node.shape:  # a number, the same for every entry
                inner = self.graph.filled(1, node.shape) @ inner
            parts.append((inner, sign))
        return added(parts)

    def _scaled(self, node: Node) -> Node | None:
        a, b = node.args
        if self._has(a) == self._has(b):
            return None
        linear, factor = (a, b) if self._has(a) else (b, a)
        inner = self._read(linear)
        if inner is None:
            return None
        if factor.is_number:
            return factor * inner
        if not is_line(factor.shape):
            return None
        if linear.is_number:
            return factor @ inner
        if factor.fill is not None:
            return self.graph.number(factor.fill) * inner
        return self._times(factor, inner)

    def _times(self, factor: Node, inner: Node) -> Node:
        """diag(factor) @ inner, on every term: diag(p) - p @ p.T."""
        if len(inner.terms) > 1:
            return added((self._times(factor, x), sign) for x, sign in inner.terms)
        if inner.matrices and inner.args[0].fill == 1:
            return factor @ inner.args[1]
        return self.graph.make("diag_of", factor) @ inner

    def _divided(self, node: Node) -> Node | None:
        a, b = node.args
        inner = None if self._has(b) else self._read(a)
        if inner is None:
            return None
        if b.is_number:
            return inner / b
        if a.is_number or not is_line(b.shape):
            return None
        return self._times(1 / b, inner)

    def _multiplied(self, node: Node) -> Node | None:
        a, b = node.args
        if self._has(a) or len(a.shape) != 2:
            return None
        inner = self._read(b)
        return None if inner is None else a @ inner

    def _total(self, x: Node) -> Node | None:
        if not is_line(x.shape):
            return None
        inner = self._read(x)
        if inner is None:
            return None
        return self._row(inner, x.shape)

    def _row(self, inner: Node, shape: Shape) -> Node:
        """ones.T @ inner, read off where *inner* is diagonal."""
        ones = self.graph.filled(1, (ONE, shape[0]))
        if inner.op.signs == (-1,):
            return -self._row(inner.args[0], shape)
        if inner.op.powers == (1, 1) and inner.args[0].is_number:
            return inner.args[0] * self._row(inner.args[1], shape)
        if inner.op.powers == (1, -1) and inner.args[1].is_number:
            return self._row(inner.args[0], shape) / inner.args[1]
        if inner.diagonal is not None:
            return inner.diagonal.T
        if inner.is_identity:
            return ones
        if inner.matrices and inner.args[0].diagonal is not None:
            return inner.args[0].diagonal.T @ inner.args[1]
        return ones @ inner
