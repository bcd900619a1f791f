"""The ways a gradient takes through one equation, as factors whose norms are known.

An equation is walked node by node from its result down to a name below it; functions that work
entry by entry are leapt over at once. Knows operators only through their table entries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from backproof.calculus import notation
from backproof.calculus.derive import fold_back
from backproof.calculus.model import Model
from backproof.errors import BackproofError
from backproof.language import syntax as ast
from backproof.operators.arithmetic import as_float
from backproof.operators.dims import ONE, Dim
from backproof.operators.node import Node, postorder, quantities
from backproof.operators.slow import FUNCTIONS as SLOW_FUNCTIONS
from backproof.operators.slow import SlowRule

MOST_WAYS = 6  # through one equation
LONGEST = 40  # signs of a factor that is written out


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of a gradient along a path.

    kind      "loss" (the gradient that the path starts with) | "slope" | "weights" | "input" |
              "scale" | "constant" | "jacobian"
    owner     the equation that it comes from
    shown     the factor as written
    norm      its norm as written
    of        what the norm is taken of, and how: see `measure`
    sup       a number that the norm never passes, with its text; None where there is none
    rule, at  for a slope: when it is small, and the node at which it is taken
    """

    kind: str
    owner: str
    shown: str
    norm: str
    of: Node
    how: str
    sup: float | None = None
    sup_shown: str = ""
    rule: SlowRule | None = None
    at: Node | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """A step inside an equation: from a node to its k-th argument, or leaping over a function.

    to, slope   for a leap: where it ends and the entrywise slope; None for a step
    """

    node: Node
    k: int
    to: Node
    slope: Node | None
    factors: tuple[Factor, ...] = ()

    def apply(self, g: Node, output: Node) -> Node:
        """The gradient at the end of the move, given the one at its start."""
        if self.slope is not None:
            return g * self.slope
        assert self.node.op.pullback is not None
        share = self.node.op.pullback(self.node, g, output)[self.k]
        assert share is not None
        return fold_back(share, self.to, self.node, ())


@dataclass(frozen=True, slots=True)
class Way:
    """One way from a name to a name in its equation; moves is None where it is one Jacobian."""

    factors: tuple[Factor, ...]
    moves: tuple[Move, ...] | None


# --- the nodes of one equation ---------------------------------------------------------------


class Walker:
    """Finds the ways through the nodes of one equation down to a name."""

    def __init__(self, model: Model, name: str, child: str) -> None:
        self.model = model
        self.graph = model.graph
        self.name = name
        self.root = model.definitions[name]
        self.child = model.leaves[child]
        self.learned = set(model.learned)
        self.inner = self._steps()

    def _steps(self) -> dict[int, list[tuple[int, Node]]]:
        """node -> its arguments that lead to the name and take a gradient."""
        found: dict[int, list[tuple[int, Node]]] = {self.child.id: []}
        for node in postorder([self.root]):
            if node is self.child:
                continue
            steps = [(k, a) for k, a in enumerate(node.args) if a.id in found and _passes(node, k)]
            if steps:
                found[node.id] = steps
        return found

    def ways(self) -> tuple[Way, ...] | None:
        """The ways down, or None where one of them has no factors of a known kind."""
        found: list[Way] = []
        stack: list[tuple[Node, tuple[Move, ...]]] = [(self.root, ())]
        while stack:
            node, moves = stack.pop()
            if node.loops or len(found) > MOST_WAYS:
                return None
            if node is self.child:
                found.append(Way(tuple(f for m in moves for f in m.factors), moves))
                continue
            leap = self.leap(node)
            if leap is not None:
                stack.append((leap.to, (*moves, replace(leap, factors=self._leap_factors(leap)))))
                continue
            for k, arg in reversed(self.inner[node.id]):
                factors = self._node_factors(node, k)
                if factors is None:
                    return None
                stack.append((arg, (*moves, Move(node, k, arg, None, factors))))
        return tuple(found)

    def leap(self, node: Node) -> Move | None:
        """From a node to the farthest one that it works on entry by entry, and nothing else."""
        shape = self.graph.resolve_shape(node.shape)
        counts: dict[int, int] = {node.id: 1}
        best: Node | None = None
        order = [n for n in reversed(postorder([node])) if n.id in self.inner]
        open_ = 1  # ways that are under way at the current node
        for n in order:
            here = counts.get(n.id)
            if here is None:
                continue
            if n is not node and here == open_:
                best = n
            if n is self.child or not n.op.elementwise or n.loops:
                break
            if any(self.graph.resolve_shape(a.shape) != shape for _, a in self.inner[n.id]):
                break
            open_ += here * (len(self.inner[n.id]) - 1)
            for _, a in self.inner[n.id]:
                counts[a.id] = counts.get(a.id, 0) + here
        if best is None:
            return None
        return Move(node, 0, best, self._slope_between(node, best))

    def _slope_between(self, top: Node, bottom: Node) -> Node:
        one = self.graph.filled(1, self.graph.resolve_shape(top.shape))
        gradients: dict[int, Node] = {top.id: one}
        output = self.model.leaves[self.name] if top is self.root else top
        for node in reversed(postorder([top])):
            g = gradients.get(node.id)
            if g is None or node in (bottom, self.child) or node.id not in self.inner:
                continue
            assert node.op.pullback is not None
            shares = node.op.pullback(node, g, output if node is top else node)
            for k, arg in self.inner[node.id]:
                share = shares[k]
                if share is not None:
                    before = gradients.get(arg.id)
                    gradients[arg.id] = share if before is None else before + share
        return gradients.get(bottom.id, self.graph.filled(0, top.shape))

    def _leap_factors(self, leap: Move) -> tuple[Factor, ...]:
        slope = leap.slope
        assert slope is not None
        if slope.fill is not None:
            return _constant(self.name, abs(as_float(slope.fill)), slope)
        rule, at, function = self._rule(leap)
        if rule is not None and at is not None:
            where = f"{function}'({_short(at, 'its argument')})"
            return (
                Factor("slope", self.name, where, f"max |{where}|", slope, "entries", rule.sup,
                       rule.shown, rule, at),
            )  # fmt: skip
        text = _short(slope, f"slope in {self.name}")
        if slope.is_number and not leap.node.is_number:
            return (Factor(self._kind(slope), self.name, text, f"|{text}|", slope, "entries"),)
        return (Factor(self._kind(slope), self.name, text, f"max |{text}|", slope, "entries"),)

    def _kind(self, node: Node) -> str:
        return "weights" if quantities([node]) & self.learned else "scale"

    def _rule(self, leap: Move) -> tuple[SlowRule | None, Node | None, str]:
        """(how steep the function is, the node it is taken at, its name) of an activation."""
        calls = self._calls()
        for node in postorder([leap.node]):
            if node.id not in self.inner or node is leap.to:
                continue
            found = calls.get(node.id)
            if found is None and node.op.slow is not None:
                found = (node.op.slow, node.args[0], node.op.name)
            if (
                found is not None
                and self._is_shift(found[1], leap.to)
                and (node is leap.node or self._slope_between(leap.node, node).fill in (1, -1))
            ):
                return found
        return None, None, ""

    def _calls(self) -> dict[int, tuple[SlowRule, Node, str]]:
        """node -> the activation of several operators that it is the result of."""
        found: dict[int, tuple[SlowRule, Node, str]] = {}
        for e in ast.walk(self.model.sheet.equations[self.name].expr):
            if not isinstance(e, ast.Apply) or e.op not in SLOW_FUNCTIONS:
                continue
            try:
                node, parts = self.model.node(e), [self.model.node(a) for a in e.args]
            except BackproofError:  # an index of a sum around it
                continue
            if all(p.fill is not None and abs(p.fill) <= 1 for p in parts[1:]):
                found[node.id] = (SLOW_FUNCTIONS[e.op], parts[0], e.op)
        return found

    def _is_shift(self, inner: Node, to: Node) -> bool:
        """Whether a node is *to* up to its sign and what is added to it."""
        if inner is to:
            return True
        if inner.id not in self.inner:
            return False
        return self._slope_between(inner, to).fill in (1, -1)

    def _node_factors(self, node: Node, k: int) -> tuple[Factor, ...] | None:
        op, owner = node.op, self.name
        if node.matrices:
            return self._product_factor(owner, node, k)
        if node.summed is not None:
            return _root(owner, _entries(node.args[0].shape, node.params[0]), self.graph)
        if op.moves:
            return ()
        if op.promises == "rows sum to one" and op.steepest is not None:
            text = f"{op.name}'({_short(node.args[k], 'its argument')})"
            return (Factor("slope", owner, text, f"‖{text}‖", node, "softmax", *op.steepest),)
        if not op.elementwise or op.pullback is None:
            return None
        return self._elementwise_factor(owner, node, k)

    def _product_factor(self, owner: str, node: Node, k: int) -> tuple[Factor, ...] | None:
        other = node.args[1 - k]
        if len(node.args[0].shape) != 2 or len(other.shape) != 2:
            return None
        turned = other.T
        text = min(_short(other, "other side"), _short(turned, "other side"), key=len)
        two = "" if ONE in self.graph.resolve_shape(other.shape) else "₂"
        kind = "weights" if quantities([other]) & self.learned else "input"
        kind = "constant" if other.fill is not None else kind
        return (Factor(kind, owner, _short(turned, text), f"‖{text}‖{two}", other, "spectral"),)

    def _elementwise_factor(self, owner: str, node: Node, k: int) -> tuple[Factor, ...] | None:
        arg = node.args[k]
        assert node.op.pullback is not None
        one = self.graph.filled(1, self.graph.resolve_shape(node.shape))
        slope = node.op.pullback(node, one, node)[k]
        if slope is None:
            return None
        folded = [
            axis
            for axis, d in enumerate(node.shape)
            if d != ONE and (arg.is_number or arg.shape[axis] == ONE)
        ]
        if slope.fill is not None:
            root = _root(owner, _entries([node.shape[a] for a in folded], None), self.graph)
            return (*_constant(owner, abs(as_float(slope.fill)), slope), *root)
        text = _short(slope, f"slope in {owner}")
        kind = self._kind(slope)
        if slope.is_number:
            root = _root(owner, _entries([node.shape[a] for a in folded], None), self.graph)
            return (Factor(kind, owner, text, f"|{text}|", slope, "entries"), *root)
        if not folded:
            return (Factor(kind, owner, text, f"max |{text}|", slope, "entries"),)
        wide = slope * one if self.graph.resolve_shape(slope.shape) != node.shape else slope
        if len(folded) == len([d for d in node.shape if d != ONE]):
            return (Factor(kind, owner, text, f"‖{text}‖", wide, "frobenius"),)
        if len(node.shape) != 2:
            return None
        how = "rows" if folded == [1] else "columns"
        return (Factor(kind, owner, text, f"largest {how[:-1]} norm of {text}", wide, how),)


# --- small pieces ----------------------------------------------------------------------------


def _passes(node: Node, k: int) -> bool:
    """Whether an operator passes a gradient on to its k-th argument."""
    if node.op.pullback is None:
        return False
    if not node.op.elementwise:
        return True
    one = node.graph.filled(1, node.graph.resolve_shape(node.shape))
    return node.op.pullback(node, one, node)[k] is not None


def _short(node: Node, otherwise: str) -> str:
    """A node as written, or *otherwise* where that is long."""
    text = notation.text(notation.syntax(node))
    return text if len(text) <= LONGEST and "?" not in text else otherwise


def _constant(owner: str, size: float, node: Node) -> tuple[Factor, ...]:
    if size == 1:
        return ()
    text = f"{size:.6g}"
    return (Factor("constant", owner, text, text, node, "entries", size, text),)


def _entries(shape: Sequence[Dim], axis: int | None) -> Dim:
    total = ONE
    for k, d in enumerate(shape):
        if axis is None or k == axis:
            total = total * d
    return total


def _root(owner: str, count: Dim, graph: Any) -> tuple[Factor, ...]:
    """The norm of adding up, or of stretching: the root of how many entries."""
    count = graph.resolve(count)
    if count == ONE:
        return ()
    node = graph.make("sqrt", graph.make("dim", params=(count,)))
    number = count.as_int()
    whole = math.isqrt(number) if number is not None else 0
    if number is not None and whole * whole == number:
        return _constant(owner, whole, node)
    text = f"√{count}" if number is not None or count.as_name() else f"√({count})"
    sup = math.sqrt(number) if number is not None else None
    return (Factor("constant", owner, text, text, node, "entries", sup, text if sup else ""),)
