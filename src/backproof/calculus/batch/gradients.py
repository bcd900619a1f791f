"""Gradients of the batch loss in matrix form: named ones on the way back, then each parameter's.

Derived on the batch model by the ordinary derivation and simplified; compared with the mean of
the samples' own gradients. A gradient on the way may use the ones before it, as grad(L, Z).
"""

from __future__ import annotations

from dataclasses import dataclass

from backproof.calculus.batch.check import BatchChecked, check_gradients
from backproof.calculus.batch.sheet import BatchSheet
from backproof.calculus.derive import fold_back, pull_back
from backproof.calculus.notation import syntax
from backproof.calculus.simplify import Simplifier
from backproof.language import syntax as ast
from backproof.operators.dims import Shape
from backproof.operators.node import Node, postorder

SHORT = 10  # a gradient of so few parts is written out where it is used, not named


@dataclass(frozen=True, slots=True)
class BatchGradient:
    """The gradient of the batch loss by one name.

    full      over the names of the sheet; None where the language has no words for it
    chained   the same over gradients that come before it, where that is shorter, else None
    node      the full gradient
    """

    name: str
    shape: Shape
    full: ast.Expr | None
    chained: ast.Expr | None
    node: Node


@dataclass(frozen=True, slots=True)
class BatchGradients:
    """Everything on the way back, the parameters, the facts that were used, the check."""

    inner: tuple[BatchGradient, ...]
    parameters: tuple[BatchGradient, ...]
    facts: tuple[str, ...]
    checked: BatchChecked


def batch_gradients(batch: BatchSheet) -> BatchGradients:
    """The gradients by every name between the parameters and the loss."""
    work = _Work(batch)
    names = [n for n in reversed(batch.model.definitions) if work.is_inner(n)]
    inner = [work.gradient(n) for n in names]
    model = batch.model
    learned = [n for n in model.learned if model.deriver.connected(batch.loss_node, n)]
    parameters = [work.gradient(n) for n in learned]
    checked = check_gradients(batch, {g.name: g.node for g in parameters})
    return BatchGradients(
        tuple(inner), tuple(parameters), tuple([*work.simplifier.notes, *work.facts]), checked
    )


class _Work:
    def __init__(self, batch: BatchSheet) -> None:
        self.batch, self.model = batch, batch.model
        self.graph = batch.model.graph
        self.named: dict[str, Node] = {}  # made-up name of a gradient -> its value
        self.simplifier = Simplifier(self.model, self.named)
        self.full: dict[str, Node] = {}
        self.facts: dict[str, None] = {}
        self.uses: dict[str, list[str]] = {}
        for name, definition in self.model.definitions.items():
            for node in postorder([definition]):
                if node.name is not None:
                    self.uses.setdefault(node.name, []).append(name)

    def is_inner(self, name: str) -> bool:
        """Whether a gradient passes through this name on its way to a parameter."""
        if name in (self.batch.loss, self.batch.row):
            return False
        model = self.model
        below = model.depends_on(model.leaves[name])
        return bool(below & set(model.learned)) and model.deriver.connected(
            self.batch.loss_node, name
        )

    def gradient(self, name: str) -> BatchGradient:
        original = self.model.deriver.gradient(self.batch.loss_node, name)
        full = self._told(self.simplifier(original))
        self.full[name] = full
        shape = self.graph.resolve_shape(self.model.leaves[name].shape)
        key = self._key(name)
        self.simplifier.extra[key] = full
        chained = self._chained(name, shape)
        words: ast.Expr | None = None
        if chained is not None and self.simplifier.cost(chained) < self.simplifier.cost(full):
            self.simplifier.check(full, chained)
            words = syntax(chained, self._spelled())
        return BatchGradient(name, shape, syntax(full), words, full)

    def _key(self, name: str) -> str:
        return f"∂{self.batch.loss}/∂{name}"

    def _spelled(self) -> dict[str, ast.Expr]:
        loss = ast.Name(self.batch.loss)
        return {self._key(n): ast.Apply("grad", (loss, ast.Name(n))) for n in self.full}

    def _chained(self, name: str, shape: Shape) -> Node | None:
        """One step back from the gradients of what uses the name."""
        total: Node | None = None
        leaf = self.model.leaves[name]
        for user in self.uses.get(name, ()):
            if user not in self.full:
                if user in (self.batch.loss, self.batch.row):
                    return None
                continue
            above = self.full[user]
            if self.simplifier.cost(above) > SHORT:
                above = self.graph.quantity(
                    self._key(user), self.graph.resolve_shape(self.model.leaves[user].shape)
                )
            found = pull_back(self.model.definitions[user], above, self.model.leaves[user])
            if name in found:
                share = fold_back(found[name], leaf, leaf, ())
                total = share if total is None else total + share
        if total is None:
            return None
        if total.shape != shape:
            total = total * self.graph.filled(1, shape)
        return self._told(self.simplifier(total))

    def _told(self, node: Node) -> Node:
        """Uses that one-hot and probability columns sum to one (their rows were declared so)."""
        done: dict[int, Node] = {}
        for n in postorder([node]):
            made = n.over([done[a.id] for a in n.args])
            if n.summed is not None and n.params[0] == 0:
                column = n.summed.name
                rows = f"{column}_rows"
                if column is not None and rows in self.batch.added:
                    kind = self.model.declared[rows].kind
                    made = self.graph.filled(1, self.graph.resolve_shape(n.shape))
                    self.facts[
                        f"the columns of {column} sum to one ({rows} is declared {kind})"
                    ] = None
            done[n.id] = n if n.name is not None else made
        result = done[node.id]
        if result is node:
            return node
        result = self.simplifier(result)
        self.simplifier.check(node, result)
        return result
