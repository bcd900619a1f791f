"""Reverse-mode derivation, graph to graph: gradients, Jacobians, Hessians as new nodes.

Names stay names: the sweep goes equation by equation over the named intermediates, so the cost
of every parameter's gradient together grows linearly with the equations. What comes out is an
ordinary expression over the same operators, which can be evaluated, proved about, shown, and
differentiated again. Knows operators only through their table entries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from backproof.operators.base import Operator
from backproof.operators.dims import ONE, SCALAR, Shape, squeeze
from backproof.operators.node import Graph, Loop, Node, postorder

_default_loops = Operator.__dataclass_fields__["loops"].default


def pull_back(
    root: Node, seed: Node, output: Node, seed_loops: Sequence[Loop] = ()
) -> dict[str, Node]:
    """The gradient at every name that *root* uses directly, given the gradient at its output.

    output      the node to write the root's own value as (its name), so that a sigmoid's
                derivative becomes a (1 - a) in the reader's own a
    seed_loops  loops that the seed carries and that must survive (Jacobians)
    """
    order = postorder([root])
    gradients: dict[int, Node] = {root.id: seed}
    found: dict[str, Node] = {}
    active = _active(order)
    for node in reversed(order):
        g = gradients.pop(node.id, None)
        if g is None or node.id not in active:
            continue
        if node.name is not None:
            found[node.name] = g
            continue
        if node.op.pullback is None:
            continue
        shares = node.op.pullback(node, g, output if node is root else node)
        for arg, share in zip(node.args, shares, strict=True):
            if share is None or arg.id not in active:
                continue
            share = fold_back(share, arg, node, seed_loops)
            if share.fill == 0:
                continue
            before = gradients.get(arg.id)
            gradients[arg.id] = share if before is None else before + share
    return found


def _active(order: Sequence[Node]) -> set[int]:
    """The nodes that depend on any name (constants take no gradient)."""
    active: set[int] = set()
    for node in order:
        if node.name is not None or any(a.id in active for a in node.args):
            active.add(node.id)
    return active


def fold_back(share: Node, arg: Node, node: Node, seed_loops: Sequence[Loop]) -> Node:
    """Sums a contribution over whatever the argument was broadcast along."""
    graph = share.graph
    if len(share.shape) == len(arg.shape):
        for axis, (have, want) in enumerate(zip(share.shape, arg.shape, strict=True)):
            if want == ONE and have != ONE:
                share = graph.make("sum", share, params=(axis,))
    elif arg.is_number:
        share = graph.make("sum", share, params=(None,))
    repeated = set(share.loops) | (set(node.loops) if node.op.loops is _default_loops else set())
    for loop in sorted(repeated - set(arg.loops) - set(seed_loops), key=lambda v: -v.id):
        share = graph.make("reduce", share, params=("sum", loop))
    return share


@dataclass(frozen=True, slots=True)
class Derived:
    """A derivative that was derived: of *root* by the name *wrt*."""

    kind: str  # "gradient" | "jacobian"
    root: Node
    wrt: str
    result: Node
    denominator: bool = True


@dataclass
class Deriver:
    """Derives over named equations.

    definitions   name -> right-hand side, in an order in which names come before their uses
    leaves        name -> leaf node, for every name
    derived       everything derived so far, for the numeric witness to check
    """

    graph: Graph
    definitions: Mapping[str, Node]
    leaves: Mapping[str, Node]
    derived: list[Derived] = field(default_factory=list)
    _sweeps: dict[tuple[int, tuple[int, ...]], dict[str, Node]] = field(default_factory=dict)
    _known: dict[tuple[str, int, str, bool], Node] = field(default_factory=dict)

    def sweep(self, root: Node, seed: Node, loops: tuple[Loop, ...] = ()) -> dict[str, Node]:
        """The total gradient of *root* at every name below it, over all paths.

        The gradient at an intermediate name is the one with its own definition set aside.
        """
        key = (root.id, (seed.id,))
        if key in self._sweeps:
            return self._sweeps[key]
        total: dict[str, Node] = {}
        self._add(total, pull_back(root, seed, root, loops))
        for name in reversed(list(self.definitions)):
            g = total.get(name)
            if g is not None:
                definition = self.definitions[name]
                self._add(total, pull_back(definition, g, self.leaves[name], loops))
        self._sweeps[key] = total
        return total

    @staticmethod
    def _add(total: dict[str, Node], found: dict[str, Node]) -> None:
        for name, g in found.items():
            total[name] = total[name] + g if name in total else g

    def gradient(self, root: Node, wrt: str) -> Node:
        """∂root/∂wrt for a number *root*, in the shape of *wrt*; zeros where not connected."""
        return self._once("gradient", root, wrt, True, self._gradient)

    def _once(
        self,
        kind: str,
        root: Node,
        wrt: str,
        denominator: bool,
        derive: Callable[[Node, str, bool], Node],
    ) -> Node:
        key = (kind, root.id, wrt, denominator)
        if key not in self._known:
            result = derive(root, wrt, denominator)
            self._known[key] = result
            self.derived.append(Derived(kind, root, wrt, result, denominator))
        return self._known[key]

    def _gradient(self, root: Node, wrt: str, denominator: bool) -> Node:
        found = self.sweep(root, self.graph.number(1)).get(wrt)
        leaf = self.leaves[wrt]
        if found is None:
            return self.graph.filled(0, self.graph.resolve_shape(leaf.shape))
        return _full(found, leaf)

    def connected(self, root: Node, wrt: str) -> bool:
        """Whether any path leads from *root* to *wrt* (a zero gradient may still be connected)."""
        from backproof.operators.node import quantities

        pending, seen = list(quantities([root])), set[str]()
        while pending:
            name = pending.pop()
            if name == wrt:
                return True
            if name not in seen and name in self.definitions:
                seen.add(name)
                pending.extend(quantities([self.definitions[name]]))
        return False

    def jacobian(self, root: Node, wrt: str, denominator: bool = True) -> Node:
        """All partial derivatives of *root* by *wrt*.

        Axes of 1 are dropped; the axes of *wrt* come first in denominator layout, those of
        *root* first in numerator layout.
        """
        return self._once("jacobian", root, wrt, denominator, self._jacobian)

    def _jacobian(self, root: Node, wrt: str, denominator: bool) -> Node:
        graph, leaf = self.graph, self.leaves[wrt]
        out_shape = graph.resolve_shape(root.shape)
        loops = tuple(None if d == ONE else graph.loop("k", d) for d in out_shape)
        own = tuple(v for v in loops if v is not None)
        seed = graph.make("onehot", params=(loops, out_shape)) if own else graph.number(1)
        found = self.sweep(root, seed, own).get(wrt)
        shape = graph.resolve_shape(leaf.shape)
        g = graph.filled(0, shape) if found is None else _full(found, leaf)
        if not own and denominator:
            return g
        inner = [k for k, d in enumerate(shape) if d != ONE]
        sizes = [shape[k] for k in inner]
        outer = [v.size for v in own]
        order = (*inner, *own) if denominator else (*own, *inner)
        axes = (*sizes, *outer) if denominator else (*outer, *sizes)
        row = not denominator and not own
        return graph.make("collect", g, params=(order, squeeze(tuple(axes), row=row)))

    def hessian(self, root: Node, wrt: str) -> Node:
        """The second derivatives of a number: the shape of *wrt* twice (axes of 1 dropped)."""
        return self.jacobian(self.gradient(root, wrt), wrt)


def _full(g: Node, leaf: Node) -> Node:
    """The gradient stretched to the full shape of its variable."""
    shape: Shape = g.graph.resolve_shape(leaf.shape)
    if g.shape == shape or (g.shape == SCALAR == shape):
        return g
    return g * g.graph.filled(1, shape)
