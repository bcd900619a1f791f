"""From the graph of one sample to the graph of many: equation by equation, operator by operator.

What an operator becomes is data of its table entry (`Operator.batch`); nothing here knows an
operator by name.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from backproof.calculus.batch.roles import NewNames
from backproof.calculus.batch.written import as_written, spoken
from backproof.calculus.model import Model
from backproof.errors import ShapeProblem
from backproof.language.format import unparse
from backproof.operators.dims import ONE, Dim, Shape
from backproof.operators.node import Node, postorder
from backproof.operators.samples import (
    Column,
    Index,
    Matrix,
    NoMatrixForm,
    Sampled,
    Samples,
    Shared,
)


@dataclass(frozen=True, slots=True)
class Batched:
    """One equation for all samples.

    name      the per-sample name
    renamed   the name for all samples
    node      the right-hand side
    shape     its shape
    sampled   whether it has the batch axis
    turned    whether it is a row for one sample (kept as a column of the batch)
    """

    name: str
    renamed: str
    node: Node
    shape: Shape
    sampled: bool
    turned: bool = False


@dataclass
class Transform:
    """Carries a model's equations over to samples laid out as *samples* says.

    forms      per-sample name -> what it is for all samples
    renamed    per-sample name -> name in the batch
    leaves     batch name -> leaf
    equations  the batch's equations, every one after those that it uses
    held       names of matrices per sample that are carried inside the products that use them
    """

    model: Model
    samples: Samples
    names: NewNames
    forms: dict[str, Sampled] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    leaves: dict[str, Node] = field(default_factory=dict)
    equations: list[Batched] = field(default_factory=list)
    held: list[str] = field(default_factory=list)

    def declare_shared(self, name: str) -> None:
        leaf = self.model.leaves[name]
        self.forms[name] = Shared(leaf)
        self.leaves[name] = leaf
        self.renamed[name] = name

    def declare_data(self, name: str) -> None:
        """A given of one sample as columns (or rows) of the batch."""
        shape = self.model.shape(name)
        fact = self.model.declared[name]
        turned = shape[0] == ONE and shape[1] != ONE
        length = shape[1] if turned else shape[0]
        if fact.kind == "range":  # a class counted from one becomes its one-hot column
            length = Dim.of(fact.bounds[1]) if isinstance(fact.bounds[1], Dim | int) else ONE
            length = self.model.graph.resolve(length)
        counted = fact.kind == "range"
        renamed = self.names.classes(name) if counted else self.names.capital(name)
        leaf = self._leaf(name, renamed, self.samples.shape(length))
        self.forms[name] = Index(leaf) if counted else Column(leaf, turned)

    def _leaf(self, name: str, renamed: str, shape: Shape) -> Node:
        leaf = self.model.graph.quantity(renamed, shape)
        self.renamed[name] = renamed
        self.leaves[renamed] = leaf
        return leaf

    def equation(self, name: str, row_name: str | None = None) -> None:
        """Carries one equation over; *row_name* is what the loss of each sample is called."""
        found = self.node(self.model.definitions[name], name)
        graph = self.model.graph
        if isinstance(found, Matrix | Index):
            self.forms[name] = found
            self.held.append(name)
            return
        shape = graph.resolve_shape(found.node.shape)
        if isinstance(found, Shared):
            leaf = graph.quantity(name, shape)
            self.renamed[name], self.leaves[name] = name, leaf
            self.forms[name] = Shared(leaf)
            self.equations.append(Batched(name, name, found.node, shape, False))
            return
        renamed = row_name or self.names.capital(name)
        leaf = self._leaf(name, renamed, shape)
        self.forms[name] = Column(leaf, found.turned)
        self.equations.append(Batched(name, renamed, found.node, shape, True, found.turned))

    def node(self, root: Node, name: str = "") -> Sampled:
        """What a node of the per-sample graph is for all samples."""
        done: dict[int, Sampled] = {}
        for node in postorder([root]):
            if node.name is not None:
                done[node.id] = self.forms[node.name]
                continue
            args = tuple(done[a.id] for a in node.args)
            if all(isinstance(a, Shared) for a in args):
                same = [a.node for a in args if isinstance(a, Shared)]
                done[node.id] = Shared(node.over(same))
                continue
            done[node.id] = self._apply(node, args, name)
        return done[root.id]

    def _apply(self, node: Node, args: tuple[Sampled, ...], name: str) -> Sampled:
        try:
            if node.op.batch is None:
                self.samples.fail(
                    "has no matrix form for a matrix that differs from sample to sample"
                )
            return node.op.batch(self.samples, node, args)
        except NoMatrixForm as problem:
            raise self.problem(node, name, problem.message) from None
        except ShapeProblem as problem:
            raise self.problem(node, name, f"does not fit ({problem.message})") from None

    def problem(self, node: Node, name: str, why: str) -> ShapeProblem:
        sheet = self.model.sheet
        if name not in sheet.equations:
            return ShapeProblem(f"cannot be batched: {spoken(node)} {why}.")
        equation = sheet.equations[name]
        part = as_written(node)
        where = "" if part is None else f", in {unparse(part)}"
        return ShapeProblem(
            f"The equation of '{name}' cannot be batched: {spoken(node)} {why}{where}.",
            place=sheet.place(equation.span),
            hint="give each sample a column or a number there, or ask for the gradient of one "
            "sample",
        )
