"""A target and its gradients as one list of operations over declared names.

The equations are rewritten into stable forms, one backward sweep over the named intermediates
gives every gradient, what was derived is tidied, and the names are replaced by what they stand
for, so that parts that value and gradients share are one node. Names are kept as labels. Knows
no engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from backproof.calculus.derive import Deriver, pull_back
from backproof.calculus.model import Model
from backproof.engine.exponents import BUILDERS as EXPONENTS
from backproof.engine.masks import GUARDED, MOVED
from backproof.engine.rewrites import EVALUATED, SHORT, SIGNS, STABLE, Rewriter
from backproof.errors import NameProblem, ShapeProblem
from backproof.operators.dims import Dim, Shape, show_shape
from backproof.operators.node import Graph, Loop, Node, postorder, quantities

VALUE = "value"


@dataclass(frozen=True, eq=False)
class Program:
    """What an engine computes.

    target    what the value is called
    inputs    the declared names that are needed, in the order of the sheet
    outputs   VALUE and every name derived by -> its node over the inputs
    labels    node id -> the reader's name for it: an equation's name, or dW1 for a gradient
    rules     the rewritings that were used
    equations the names of the sheet's equations
    past      those derived by that the value is computed without, in a stable form
    """

    graph: Graph
    target: str
    inputs: tuple[str, ...]
    outputs: Mapping[str, Node]
    labels: Mapping[int, str]
    rules: tuple[str, ...] = ()
    equations: frozenset[str] = frozenset()
    past: frozenset[str] = frozenset()

    @property
    def order(self) -> list[Node]:
        """Every node once, arguments before what uses them."""
        return postorder(self.outputs.values())

    @property
    def gradients(self) -> tuple[str, ...]:
        """The names of the outputs besides the value."""
        return tuple(name for name in self.outputs if name != VALUE)

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape of every input."""
        found: dict[str, Shape] = {}
        for node in self.order:
            if node.name is not None:
                found[node.name] = self.graph.resolve_shape(node.shape)
        return found

    @property
    def sizes(self) -> set[str]:
        """The names of the dimensions of everything that is computed."""
        resolve = self.graph.resolve
        found: set[str] = set()
        for node in self.order:
            dims = [*node.shape, *(loop.size for loop in node.loops)]
            dims += [p for p in node.params if isinstance(p, Dim)]
            found.update(n for d in dims for n in resolve(d).names())
        return found


@dataclass(eq=False)
class Derivation:
    """The equations of a model in stable form, with what is derived from them.

    free   the names that are derived by: no rule is written past one (the log of a named sigmoid
           would no longer depend on the name), or uses what its set promises (entries that sum to
           one are free when they are derived by)
    """

    model: Model
    free: frozenset[str] = frozenset()
    definitions: dict[str, Node] = field(init=False)
    deriver: Deriver = field(init=False)

    def __post_init__(self) -> None:
        model = self.model
        self.graph = model.graph
        facts = {n: f for n, f in model.declared.items() if n not in self.free}
        below = {n: d for n, d in model.definitions.items() if n not in self.free}
        self._stable = Rewriter(self.graph, (*STABLE, *SHORT), below, facts, (EXPONENTS,))
        self.definitions = {n: self._stable(d) for n, d in model.definitions.items()}
        below = {n: d for n, d in self.definitions.items() if n not in self.free}
        self._short = Rewriter(self.graph, SHORT, below, facts, (MOVED, SIGNS))
        last = (*EVALUATED, *SHORT)
        self._evaluated = Rewriter(self.graph, last, {}, model.declared, (GUARDED, SIGNS))
        self._inlined: dict[int, Node] = {}

    @property
    def rules(self) -> tuple[str, ...]:
        """The rewritings used so far."""
        every = (self._stable, self._short, self._evaluated)
        return tuple(dict.fromkeys(rule for r in every for rule in r.used))

    def stable(self, node: Node) -> Node:
        """A node over the names, in stable form."""
        return self._stable(node)

    def sweep(self, root: Node, wrt: Sequence[str]) -> dict[str, Node]:
        """The gradients of a number at every name below it, tidied name by name."""
        deriver = _Tidy(self.graph, self.definitions, self.model.leaves, self._short)
        found = deriver.sweep(root, self.graph.number(1))
        result = {}
        for name in (*found, *wrt):
            leaf = self.model.leaves[name]
            g = found.get(name)
            full = self.graph.resolve_shape(leaf.shape)
            if g is None:
                g = self.graph.filled(0, full)
            elif g.shape != full:
                g = g * self.graph.filled(1, full)
            result[name] = self._short(g)
        return result

    def short(self, node: Node) -> Node:
        return self._short(node)

    def inline(self, root: Node, free: frozenset[str] = frozenset()) -> Node:
        """The node with names replaced by their equations, except the *free* ones."""
        done = self._inlined if not free else {}
        stack = [root]
        while stack:
            node = stack[-1]
            if node.id in done:
                stack.pop()
                continue
            name = node.name
            meant = self.definitions.get(name) if name is not None and name not in free else None
            below = (meant,) if meant is not None else node.args
            todo = [a for a in below if a.id not in done]
            if todo:
                stack.extend(todo)
                continue
            if meant is not None:
                done[node.id] = done[meant.id]
            elif not node.args:
                done[node.id] = node
            else:
                done[node.id] = node.over([done[a.id] for a in node.args])
            stack.pop()
        return done[root.id]

    def final(self, root: Node) -> Node:
        """What is computed for a node over the names."""
        return self._evaluated(self.inline(root))

    def labels(self, gradients: Mapping[str, Node], target: str) -> dict[int, str]:
        """The reader's names of nodes: equations first, then gradients (dz2 for ∂L/∂z2)."""
        labels: dict[int, str] = {}
        for name in self.definitions:
            node = self.final(self.model.leaves[name])
            if node.name is None and node.fill is None:
                labels.setdefault(node.id, name)
        taken = set(self.model.leaves)
        for name, g in gradients.items():
            node = self.final(g)
            if node.name is None and node.fill is None and name != target:
                label = f"d{name}"
                while label in taken:
                    label += "_"
                labels.setdefault(node.id, label)
        return labels

    def program(self, target: str, outputs: Mapping[str, Node], labels: Mapping[int, str],
                sheet_order: Sequence[str] = ()) -> Program:  # fmt: skip
        """The program that computes nodes over the names."""
        plain = {name: self.final(node) for name, node in outputs.items()}
        final, new = companions(plain)
        used = quantities(final.values())
        order = (*self.model.declared, *sheet_order)
        inputs = tuple(dict.fromkeys(n for n in order if n in used))
        below = {n.id for n in postorder(final.values())}
        moved = {new[k].id if k in new else k: v for k, v in labels.items()}
        kept = {k: v for k, v in moved.items() if k in below}
        return Program(self.graph, target, inputs, final, kept, self.rules,
                       frozenset(self.definitions))  # fmt: skip


def companions(outputs: Mapping[str, Node]) -> tuple[dict[str, Node], dict[int, Node]]:
    """The outputs with softmax(Z) as exp(Z - logsumexp(Z)) where the latter is computed anyway."""
    order = postorder(outputs.values())
    there = {(n.args[0].id, n.params) for n in order if n.op.name == "logsumexp"}
    if not any(n.op.name == "softmax" and (n.args[0].id, n.params) in there for n in order):
        return dict(outputs), {}
    done: dict[int, Node] = {}
    for n in order:
        args = [done[a.id] for a in n.args]
        make = n.graph.make
        if n.op.name == "softmax" and (n.args[0].id, n.params) in there:
            done[n.id] = make("exp", args[0] - make("logsumexp", args[0], params=n.params))
        else:
            done[n.id] = n.over(args)
    return {name: done[node.id] for name, node in outputs.items()}, done


class _Tidy(Deriver):
    """A deriver that tidies the gradient at every name before it goes on."""

    def __init__(self, graph: Graph, definitions: Mapping[str, Node],
                 leaves: Mapping[str, Node], short: Rewriter) -> None:  # fmt: skip
        super().__init__(graph, definitions, leaves)
        self.short = short

    def sweep(self, root: Node, seed: Node, loops: tuple[Loop, ...] = ()) -> dict[str, Node]:
        total: dict[str, Node] = {}
        self._add(total, pull_back(root, seed, root, loops))
        for name in reversed(list(self.definitions)):
            if name in total:
                total[name] = g = self.short(total[name])
                self._add(total, pull_back(self.definitions[name], g, self.leaves[name], loops))
        return total


def number_named(model: Model, target: str) -> Node:
    """The number that *target* names, or that it is as an expression."""
    node = model.leaves.get(target)
    if node is None:
        node = expression(model, target)
    if not node.is_number:
        raise ShapeProblem(
            f"only a number has gradients, and {target} is {show_shape(node.shape)}.",
            hint="compile_jacobian gives the derivatives of arrays",
        )
    return node


def expression(model: Model, text: str) -> Node:
    """The node of an expression over the sheet's names, written as text."""
    longer = model.sheet.extended(f"claim ({text}) == 0")
    return model.node(longer.claims[-1].sides[0])


def check_names(model: Model, wrt: Sequence[str]) -> None:
    """Raises where a name is none of the sheet's quantities."""
    for name in wrt:
        if name not in model.leaves:
            from difflib import get_close_matches

            near = get_close_matches(name, model.leaves, 1)
            raise NameProblem(
                f"the sheet has no '{name}' to differentiate by.",
                hint=f"did you mean {near[0]}?" if near else f"it has {', '.join(model.leaves)}",
            )


def gradient_program(model: Model, target: str, wrt: Sequence[str]) -> Program:
    """The value of *target* and its gradients by *wrt*."""
    check_names(model, wrt)
    derivation = Derivation(model, frozenset(wrt) - model.definitions.keys())
    written = number_named(model, target)
    root = written if written.name is not None else derivation.stable(written)
    swept = derivation.sweep(root, wrt) if wrt else {}
    inner = [n for n in wrt if n in model.definitions]
    own = _inner(model, derivation, written, root, inner) if inner else {}
    past = frozenset(n for n, g in own.items() if g is not swept[n])
    swept |= own
    outputs = {VALUE: root, **{name: swept[name] for name in wrt}}
    program = derivation.program(target, outputs, derivation.labels(swept, target))
    return replace(program, past=past)


def _inner(
    model: Model, derivation: Derivation, written: Node, root: Node, names: Sequence[str]
) -> dict[str, Node]:
    """The gradients at names of equations, where stable forms were written past these names."""
    kept = Derivation(model, derivation.free | frozenset(names))
    top = written if written.name is not None else kept.stable(written)
    same = all(d is derivation.definitions[n] for n, d in kept.definitions.items())
    if same and top is root:
        return {}
    found = kept.sweep(top, names)
    return {name: found[name] for name in names}
