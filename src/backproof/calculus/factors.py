"""A gradient as a product of factors along each path, and the bound that their norms make.

Along a path from the loss down to a parameter every equation multiplies the gradient by its local
derivative: slopes, weights, inputs. The norm of a linear map (its spectral norm, with Frobenius
norms on both sides) bounds what it passes on, so the product of norms, summed over the paths,
bounds the gradient. Knows operators only through their table entries.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from backproof.calculus.derive import Deriver, pull_back
from backproof.calculus.evaluate import Evaluator
from backproof.calculus.model import Model
from backproof.calculus.simplify import Simplifier
from backproof.calculus.ways import Factor, Walker, Way
from backproof.operators.dims import SCALAR
from backproof.operators.node import Node, postorder, quantities

Array = Any
MOST_PATHS = 8  # paths that are listed one by one; bounds are over all


@dataclass(frozen=True, slots=True)
class Path:
    """One path: the names from the first factor's down to the parameter, and its factors.

    after    after[k] is the gradient once factors[:k + 1] are multiplied; the last one is what
             this path contributes
    """

    names: tuple[str, ...]
    factors: tuple[Factor, ...]
    after: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """Where a product starts: the gradient of the loss at a name, along some of its paths."""

    name: str
    node: Node
    cancelled: str = ""  # the name whose slope has cancelled against the loss


@dataclass
class Product:
    """The gradient of *loss* by *wrt* as a sum of products.

    edges   (name, name below it) -> the ways from one to the other
    """

    model: Model
    loss: str
    wrt: str
    gradient: Node
    heads: tuple[Head, ...]
    edges: Mapping[tuple[str, str], tuple[Way, ...]]
    paths: tuple[Path, ...] = ()
    more: int = 0  # paths that are not listed
    _order: tuple[str, ...] = field(default=())

    def bounds(self, run: Evaluator, *, sups: bool) -> dict[str, float]:
        """A bound on the gradient at every name, by the norms of the factors at one point.

        sups   slopes count as their largest possible value, not as the value at the point
        """
        known: dict[tuple[int, str], float] = {}

        def size(factor: Factor) -> float:
            if sups and factor.sup is not None:
                return factor.sup
            key = (factor.of.id, factor.how)
            if key not in known:
                known[key] = measure(run, factor)
            return known[key]

        total: dict[str, float] = {}
        for head in self.heads:
            total[head.name] = total.get(head.name, 0.0) + norm_of(run, head.node, self._leaf(head))
        for name in self._order:
            here = total.get(name)
            if here is None:
                continue
            for (above, below), ways in self.edges.items():
                if above == name:
                    gain = sum(math.prod(size(f) for f in way.factors) for way in ways)
                    total[below] = total.get(below, 0.0) + here * gain
        return total

    def _leaf(self, head: Head) -> Node:
        return self.model.leaves[head.name]


# --- norms -----------------------------------------------------------------------------------


def measure(run: Evaluator, factor: Factor) -> float:
    """The norm of a factor at one point.

    how   "entries": the largest entry · "spectral" · "frobenius" · "columns", "rows": the largest
          norm of a column or row (where an operand was stretched) · "softmax": of its Jacobian ·
          "jacobian": spectral, of the whole local derivative, whose inner axes come first
    """
    a = np.asarray(run.value(factor.of), dtype=np.float64)
    if factor.how == "entries":
        return float(np.abs(a).max())
    if factor.how == "frobenius":
        return float(np.sqrt(np.sum(a * a)))
    if factor.how in ("rows", "columns"):
        axis = -1 if factor.how == "rows" else -2
        return float(np.sqrt(np.sum(a * a, axis=axis)).max())
    if factor.how == "softmax":
        return _softmax_norm(a, factor.of.params[0])
    if factor.how == "jacobian":
        inner = (
            int(np.prod([d.evaluate(run.xp.sizes) for d in factor.at.shape])) if factor.at else 1
        )
        a = a.reshape(inner, -1)
    return _spectral(a)


def _spectral(a: Array) -> float:
    if a.ndim > 2:
        a = a.reshape(-1, a.shape[-1])
    if not np.isfinite(a).all():
        return math.inf
    return float(np.linalg.norm(a, 2))


def _softmax_norm(p: Array, axis: int) -> float:
    rows = p.T if axis == 0 else p
    return max(_spectral(np.diag(r) - np.outer(r, r)) for r in rows)


def norm_of(run: Evaluator, node: Node, leaf: Node) -> float:
    """The Frobenius norm of a gradient at a name, stretched to the shape of the name."""
    a = np.asarray(run.value(node), dtype=np.float64)
    size = 1
    for d in leaf.graph.resolve_shape(leaf.shape):
        size *= d.evaluate(run.xp.sizes)
    return float(np.sqrt(np.sum(a * a) * (size / a.size)))


# --- building --------------------------------------------------------------------------------


def factor_gradient(model: Model, loss: str, wrt: str) -> Product:
    """The gradient of the number *loss* by *wrt*, which it depends on, as products of factors."""
    key = (factor_gradient, loss, wrt)
    return model.once(key, lambda: _Builder(model, loss, wrt).product())


def routes(model: Model, top: str, bottom: str) -> dict[str, list[str]]:
    """name -> the names directly below it that lead to *bottom*, for all below *top* that do."""
    below: dict[str, list[str]] = {}
    names = [n for n in model.definitions]
    leads = {bottom}
    for name in names:
        if name == bottom:
            continue
        used = quantities([model.definitions[name]])
        inner = [n for n in (*model.declared, *names) if n in used and n in leads]
        if inner:
            leads.add(name)
            below[name] = inner
    seen, pending = set[str](), [top]
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            pending.extend(below.get(name, ()))
    return {n: below[n] for n in reversed(names) if n in seen and n in below}


class _Builder:
    def __init__(self, model: Model, loss: str, wrt: str) -> None:
        self.model = model
        self.graph = model.graph
        self.loss = loss
        self.wrt = wrt
        self.below = routes(model, loss, wrt)
        self.learned = set(model.learned)
        self.short = Simplifier(model)

    def product(self) -> Product:
        model = self.model
        heads = tuple(
            replace(h, node=self.short(h.node))  # shorter, and defined where a factor saturates
            for h in self._heads(self.loss, self.graph.number(1))
        )
        active = [h.name for h in heads]
        edges: dict[tuple[str, str], tuple[Way, ...]] = {}
        order = [n for n in self.below]
        reached = set(active)
        for name in order:
            if name not in reached:
                continue
            for child in self.below[name]:
                edges[name, child] = self._edge(name, child)
                reached.add(child)
        gradient = self.short(model.deriver.gradient(model.leaves[self.loss], self.wrt))
        paths, more = self._paths(heads, edges)
        return Product(
            model, self.loss, self.wrt, gradient, heads, edges, paths, more, (*order, self.wrt)
        )

    # --- where the products start --------------------------------------------------------------

    def _heads(self, top: str, seed: Node) -> Iterator[Head]:
        """The gradients at the names where no parameter has entered yet, or one activation above.

        The part of the loss above them is one factor, so that a sigmoid meets its logarithm.
        """
        start = [] if top == self.loss else [top]
        chain = [*start, *self._dominators(top)]
        clean = [d for d in chain if not self._parameters_above(top, d)]
        if top != self.loss and clean == [top] and self._squares(top):
            clean = []
        if not clean:
            yield from self._split(top, seed)
            return
        at = clean[-1]
        if len(clean) > 1:
            upper = clean[-2]
            gradient = self._gradient(top, seed, upper)
            if self._activation(upper, at) and not _divides(gradient):
                yield Head(upper, gradient)
                return
            cancelled = upper if self._activation(upper, at) else ""
            yield Head(at, self._gradient(top, seed, at), cancelled)
            return
        yield Head(at, self._gradient(top, seed, at))

    def _split(self, top: str, seed: Node) -> Iterator[Head]:
        found = pull_back(self.model.definitions[top], seed, self.model.leaves[top])
        for name in self.below[top]:
            g = found.get(name)
            if g is None:
                continue
            if name == self.wrt:
                yield Head(name, g)
            else:
                yield from self._heads(name, g)

    def _gradient(self, top: str, seed: Node, at: str) -> Node:
        if top == at:
            return seed
        return self.model.deriver.sweep(self.model.leaves[top], seed)[at]

    def _dominators(self, top: str) -> list[str]:
        """The names that every path from *top* to the parameter passes, from the top."""
        down = {self.wrt: 1}
        for name in reversed(list(self.below)):
            down[name] = sum(down[c] for c in self.below[name])
        up = {top: 1}
        for name in self.below:
            for child in self.below[name]:
                if name in up:
                    up[child] = up.get(child, 0) + up[name]
        total = down.get(top, 0)
        return [n for n in self.below if n != top and n in up and up[n] * down[n] == total]

    def _parameters_above(self, top: str, at: str) -> bool:
        """Whether an equation on the way from *top* to *at* names a parameter."""
        if top == at:
            return False
        leads = {at}
        for name in reversed(list(self.below)):
            if name != at and any(c in leads for c in self.below[name]):
                leads.add(name)
        pending, seen = [top], set[str]()
        while pending:
            name = pending.pop()
            if name in seen or name == at or name not in leads:
                continue
            seen.add(name)
            if quantities([self.model.definitions[name]]) & self.learned:
                return True
            pending.extend(self.below[name])
        return False

    def _squares(self, top: str) -> bool:
        """Whether an equation names the parameter other than linearly (a penalty, say)."""
        if self.wrt not in self.below.get(top, ()):
            return False
        definition = self.model.definitions[top]
        one = self.graph.filled(1, self.graph.resolve_shape(definition.shape))
        found = pull_back(definition, one, self.model.leaves[top]).get(self.wrt)
        return found is not None and self.wrt in quantities([found])

    def _activation(self, upper: str, lower: str) -> bool:
        if self.below.get(upper) != [lower]:
            return False
        node = self.model.definitions[upper]
        return node.op.promises == "rows sum to one" or self._slope(upper, lower) is not None

    # --- from one name to the next -------------------------------------------------------------

    def _edge(self, name: str, child: str) -> tuple[Way, ...]:
        ways = Walker(self.model, name, child).ways()
        return ways if ways is not None else (Way((self._jacobian(name, child),), None),)

    def _slope(self, name: str, child: str) -> Node | None:
        """The entrywise slope where the equation works entry by entry on *child*."""
        walker = Walker(self.model, name, child)
        leap = walker.leap(self.model.definitions[name])
        return leap.slope if leap is not None and leap.to.name == child else None

    def _jacobian(self, name: str, child: str) -> Factor:
        """The whole local derivative, where nothing finer is known about its factors."""
        local = Deriver(self.graph, {}, self.model.leaves)
        node = local.jacobian(self.model.definitions[name], child)
        sup, sup_shown = self.model.definitions[name].op.steepest or (None, "")
        text = f"∂{name}/∂{child}"
        leaf = self.model.leaves[child]
        return Factor(
            "jacobian", name, text, f"‖{text}‖", node, "jacobian", sup, sup_shown, at=leaf
        )

    # --- paths ---------------------------------------------------------------------------------

    def _paths(
        self,
        heads: Sequence[Head],
        edges: Mapping[tuple[str, str], tuple[Way, ...]],
    ) -> tuple[tuple[Path, ...], int]:
        counts = {self.wrt: 1}
        for name in reversed(list(self.below)):
            counts[name] = sum(
                counts.get(c, 0) * len(edges.get((name, c), ())) for c in self.below[name]
            )
        total = sum(counts[h.name] for h in heads)
        found: list[Path] = []
        for head in heads:
            if len(found) >= MOST_PATHS:
                break
            start = Path((head.name,), (self._head_factor(head),), (head.node,))
            stack = [start]
            while stack and len(found) < MOST_PATHS:
                path = stack.pop()
                name = path.names[-1]
                if name == self.wrt:
                    found.append(path)
                    continue
                for child in reversed(self.below[name]):
                    for way in reversed(edges[name, child]):
                        stack.append(self._extended(path, name, child, way))
        return tuple(found), total - len(found)

    def _extended(self, path: Path, name: str, child: str, way: Way) -> Path:
        """The path with the factors of one more equation, and the gradient after each of them."""
        g, leaf = path.after[-1], self.model.leaves[name]
        if way.moves is None:
            found = pull_back(self.model.definitions[name], g, leaf).get(child)
            after = [self.graph.filled(0, SCALAR) if found is None else found]
        else:
            after = []
            for move in way.moves:
                g = move.apply(g, leaf if move is way.moves[0] else move.node)
                after.extend([g] * len(move.factors))
        kept = [*path.after, *after]
        kept[-1] = after[-1] if way.moves is None else g
        return Path((*path.names, child), (*path.factors, *way.factors), tuple(kept))

    def _head_factor(self, head: Head) -> Factor:
        text = f"∂{self.loss}/∂{head.name}"
        return Factor("loss", self.loss, text, f"‖{text}‖", head.node, "frobenius")


# --- small pieces ----------------------------------------------------------------------------


def _divides(node: Node) -> bool:
    """Whether a gradient divides by something that depends on the point."""
    return any(
        (n.exponent or 0) < 0 or any(power < 0 and quantities([a]) for a, power in n.powers)
        for n in postorder([node])
    )
