"""Sums of exponentials by their exponents, so that none of them is computed by itself.

log(exp(a) + exp(b)) is far from overflowing where exp(a) does; in exponents it is
a + softplus(b - a). A quotient by such a sum is a sigmoid, or one exponential. Used on the
equations, before anything is derived, so that the derivatives are those of these forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from backproof.engine.rewrites import Builder, Rewriter, stretched
from backproof.operators.dims import ONE
from backproof.operators.node import Node

MOST = 16  # terms of a sum that is taken apart
DEEPEST = 50  # operations from a sum down to its exponentials


def exponents(rewriter: Rewriter, node: Node, depth: int = 0) -> list[Node] | None:
    """Nodes whose exponentials add up to the node; None where it is no such sum."""
    known = rewriter.memory
    if node.id not in known:
        found = _exponents(rewriter, rewriter.seen(node), depth + 1) if depth < DEEPEST else None
        known[node.id] = found if found is not None and len(found) <= MOST else None
    result: list[Node] | None = known[node.id]
    return result


def _exponents(rewriter: Rewriter, node: Node, depth: int) -> list[Node] | None:
    graph = node.graph
    if is_exponential(node):
        return [node.args[0]]
    if node.fill is not None and node.fill > 0:
        return [graph.number(0) if node.fill == 1 else graph.make("log", graph.number(node.fill))]
    if node.dimension is not None:
        return [graph.make("log", node)]
    summed, turned = node.summed, node.transposed
    inner = [x for x in (summed, turned) if x is not None]
    inner = inner or [x for x, _ in (*node.terms, *node.powers)]
    if node.exponent is not None:
        inner = [node.args[0]]
    parts: list[list[Node]] = []
    for x in inner:
        part = exponents(rewriter, x, depth)
        if part is None:
            return None
        parts.append(part)
    if not parts:
        return None
    if node.terms:
        flat = [t for part in parts for t in part]
        return flat if all(sign > 0 for _, sign in node.terms) else None
    if node.powers:
        signs = [power for _, power in node.powers]
        if any(len(part) > 1 for part, sign in zip(parts, signs, strict=True) if sign < 0):
            return None
        return [_signed(terms, signs) for terms in product(*parts)]
    (part,) = parts
    if node.exponent is not None:
        return [node.exponent * part[0]] if len(part) == 1 else None
    if turned is not None:
        return [t.T for t in part]
    axis = node.params[0]
    if axis is None and node.args[0].shape[1:] != (ONE,):
        return None
    along = (0 if axis is None else axis,)
    return [graph.make("logsumexp", stretched(t, node.args[0]), params=along) for t in part]


def _signed(terms: Sequence[Node], signs: Sequence[int]) -> Node:
    """a - b + … by the signs; the first is positive."""
    result = terms[0]
    for t, sign in zip(terms[1:], signs[1:], strict=True):
        result = result + t if sign > 0 else result - t
    return result


def is_exponential(node: Node) -> bool:
    """Whether a logarithm would give the node's argument back."""
    return node.op.name == node.graph.table["log"].undoes


def varies(nodes: Sequence[Node]) -> bool:
    """Whether any of the nodes depends on a quantity."""
    return any(n.loops or n.graph.names(n) for n in nodes)


def together(terms: Sequence[Node]) -> Node:
    """log(exp(t1) + exp(t2) + …), numbers last: the others are small beside them, or large."""
    first, *rest = sorted(terms, key=lambda t: not varies([t]))
    make = first.graph.make
    for t in rest:
        a, b = (first, t) if varies([t]) else (t, first)
        first = make("softplus", b) if a.fill == 0 else a + make("softplus", b - a)
    return first


def logarithm(rewriter: Rewriter, node: Node) -> Node | None:
    """The logarithm of a sum of exponentials."""
    terms = exponents(rewriter, node.args[0])
    return together(terms) if terms and varies(terms) else None


def quotient(rewriter: Rewriter, node: Node) -> Node | None:
    """A quotient by a sum of exponentials, as a product with a sigmoid or an exponential."""
    top, below = node.args
    terms = exponents(rewriter, below)
    if not terms or not varies(terms):
        return None
    powers, rest = [], []
    for factor in _factors(rewriter, top):
        found = exponents(rewriter, factor)
        if found and varies(found):
            powers.append(together(found))
        else:
            rest.append(factor)
    if not powers:
        apart = _apart(rewriter, top, below)
        if apart is not None or is_exponential(rewriter.seen(below)):
            return apart
        rest = [top]
    power = node.graph.number(0)
    for p in powers:
        power = power + p
    result = _ratio(power, terms)
    for factor in rest:
        result = factor * result
    return result


def _factors(rewriter: Rewriter, node: Node) -> list[Node]:
    """What is multiplied in a numerator."""
    meaning = rewriter.seen(node)
    if not meaning.powers or any(power < 0 for _, power in meaning.powers):
        return [node]
    return [f for x, _ in meaning.powers for f in _factors(rewriter, x)]


def _apart(rewriter: Rewriter, top: Node, below: Node) -> Node | None:
    """(exp(a) - exp(b))/s as two quotients."""
    terms = rewriter.seen(top).terms
    if len(terms) != 2 or any(exponents(rewriter, x) is None for x, _ in terms):
        return None
    (a, _), (b, sign) = terms
    return a / below + sign * (b / below)


def _ratio(power: Node, terms: Sequence[Node]) -> Node:
    """exp(power) over the sum of the exponentials of the terms."""
    make = power.graph.make
    for k, t in enumerate(terms):
        if t is power:
            rest = [*terms[:k], *terms[k + 1 :]]
            return make("sigmoid", power - together(rest)) if rest else power.graph.number(1)
    return make("exp", power - together(terms))


BUILDERS: dict[str, Builder] = {"log": logarithm, "div": quotient}
__all__ = ["BUILDERS", "exponents", "is_exponential", "together", "varies"]
