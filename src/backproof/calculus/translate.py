"""From typed nodes to index notation: the `Notation` that operators' index rules are written in.

A node becomes an expression over the labels of its axes. Named quantities stay atoms, with what
is known of them as facts, unless their name is to be unfolded; nodes are translated once and
renamed where they are used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from backproof.calculus.index import algebra, build, matrices
from backproof.calculus.index import functions as fn
from backproof.calculus.index.terms import LITERAL, Expr, Ix, Size, const, lit, shift, size, var
from backproof.calculus.model import Fact, Model
from backproof.operators.dims import ONE, Dim
from backproof.operators.node import Loop, Node


class At(NamedTuple):
    """An index in use: its label (perhaps shifted, or a literal) and how far its variable runs."""

    ix: Ix
    size: Size


class Term:
    """An index expression that adds and multiplies with Python's signs."""

    __slots__ = ("expr",)

    def __init__(self, expr: Expr) -> None:
        self.expr = expr

    def __add__(self, other: Term) -> Term:
        return Term(self.expr + other.expr)

    def __sub__(self, other: Term) -> Term:
        return Term(self.expr - other.expr)

    def __mul__(self, other: Term) -> Term:
        return Term(algebra.mul(self.expr, other.expr))


Place = Sequence[At | None]
ROW, COLUMN = "row", "column"

_FACTS: dict[str, tuple[str, ...]] = {
    "pos": ("positive",),
    "onehot": ("onehot",),
    "prob": ("prob",),
    "sym": ("sym",),
    "posdef": ("posdef",),
    "diagonal": ("diagonal",),
    "orthogonal": ("orthogonal",),
}


def facts_of(fact: Fact) -> tuple[str, ...]:
    """What a declared set promises, in the algebra's words."""
    if fact.kind == "labels":
        values = set(fact.bounds)
        if values <= {0, 1}:
            return ("binary",)
        return ("signs",) if values == {-1, 1} else ("vanishing",) if 0 in values else ()
    if fact.kind == "interval":
        if fact.bounds[0] >= 0:
            return ("unit",) if fact.bounds[1] <= 1 else ("positive",)
        return ()
    return _FACTS.get(fact.kind, ())


class Translator:
    """Translates the nodes of one model.

    unfolded   defined names to replace by their equations
    without    declared names whose facts may not be used
    """

    def __init__(
        self,
        model: Model,
        unfolded: Iterable[str] = (),
        without: Iterable[str] = (),
    ) -> None:
        self.model = model
        self.unfolded = frozenset(unfolded)
        self.without = frozenset(without)
        self._known: dict[int, Expr] = {}
        self._fresh = 0

    # --- used by the prover ------------------------------------------------------------------

    def entry(self, node: Node, labels: Sequence[str]) -> Expr:
        """The entry of *node* at free labels, one for each axis (those of axes of 1 are unused)."""
        shape = self._shape(node)
        index = [
            None if d == ONE else At(var(label), size(d))
            for d, label in zip(shape, labels, strict=True)
        ]
        return self.arg(node, index).expr

    def _shape(self, node: Node) -> tuple[Dim, ...]:
        return self.model.graph.resolve_shape(node.shape)

    # --- Notation ----------------------------------------------------------------------------

    def arg(self, node: Node, index: Place) -> Term:
        """The entry of a node at an index."""
        known = self._known.get(node.id)
        if known is None:
            shape = self._shape(node)
            own = [None if d == ONE else At(var(f"a{k}"), size(d)) for k, d in enumerate(shape)]
            known = self._translate(node, own)
            self._known[node.id] = known
        mapping = {f"a{k}": at.ix for k, at in enumerate(index) if at is not None}
        return Term(algebra.rename(known, mapping))

    def _translate(self, node: Node, own: Place) -> Expr:
        name = node.name
        if name is None:
            term: Term = node.op.index(self, node, own)
            return term.expr
        if name in self.unfolded:
            return self.arg(self.model.definitions[name], own).expr
        return self._named(name, own)

    def _named(self, name: str, own: Place) -> Expr:
        fact = self.model.declared.get(name)
        facts: tuple[str, ...] = ()
        labels = [a for a in own if a is not None]
        if fact is not None and name not in self.without:
            if fact.kind == "range":
                at = self.given_index(name)
                if at is not None:
                    return self.counted(at).expr
            facts = facts_of(fact)
        elif fact is None:
            facts, turned = self._derived_facts(name)
            if turned:
                labels.reverse()
        return build.entry(
            name, tuple(a.ix for a in labels), tuple(a.size for a in labels), frozenset(facts)
        )

    def _derived_facts(self, name: str) -> tuple[tuple[str, ...], bool]:
        """(facts of a defined name that follow from its operator, whether its axes are turned)."""
        node = self.model.definitions[name]
        promise = node.op.promises
        if promise == "rows sum to one":
            axis = node.params[0]
            return ("prob", "positive"), axis == 0 and node.shape[1] != ONE
        return ((promise,) if promise else ("vanishing",)), False

    def const(self, value: Any) -> Term:
        return Term(const(Fraction(value)))

    def dim(self, dim: Dim) -> Term:
        return Term(algebra.dim_expr(size(self.model.graph.resolve(dim))))

    def fresh(self, dim: Dim) -> At | None:
        dim = self.model.graph.resolve(dim)
        if dim == ONE:
            return None
        self._fresh += 1
        return At(var(f"f{self._fresh}"), size(dim))

    def literal(self, position: int) -> At:
        return At(lit(position), 0)

    def shift(self, index: At | None, offset: Dim | int) -> At:
        if index is None:
            return At(shift(lit(1), offset), 0)
        return At(shift(index.ix, offset), index.size)

    def sum(self, term: Term, indices: Place) -> Term:
        expr = term.expr
        for at in indices:
            if at is not None:
                expr = algebra.sum_over(expr, at.ix[1], at.size)
        return Term(expr)

    def delta(self, a: At | None, b: At | None) -> Term:
        if a is None or b is None:
            other = a or b
            if other is None:
                return self.const(1)
            return self.delta(other, At(lit(1), other.size))
        return Term(build.delta(a.ix, b.ix, a.size or b.size, b.size or a.size))

    def before(self, a: At, b: At) -> Term:
        """[a < b], of two positions."""
        return Term(build.before(a.ix, b.ix, a.size or b.size, b.size or a.size))

    def embed(self, outer: At, inner: At, offset: Dim | int) -> Term:
        within = shift(inner.ix, offset)
        return Term(build.delta(outer.ix, within, outer.size or inner.size, inner.size, True))

    def split(self, index: At | None, major: Dim, minor: Dim) -> tuple[Term, At | None, At | None]:
        one = self.const(1)
        resolve = self.model.graph.resolve
        if resolve(major) == ONE:
            return one, None, index
        if resolve(minor) == ONE:
            return one, index, None
        assert index is not None
        i, p = self.fresh(major), self.fresh(minor)
        assert i is not None and p is not None
        radices = (i.size, p.size)
        return Term(build.split(index.ix, (i.ix, p.ix), radices)), i, p

    def func(self, name: str, term: Term) -> Term:
        return Term(fn.func(name, term.expr))

    def power(self, term: Term, exponent: Term) -> Term:
        return Term(fn.symbolic_power(term.expr, exponent.expr))

    def indicator(self, term: Term) -> Term:
        return Term(fn.ind(term.expr))

    def equal(self, term: Term) -> Term:
        return Term(fn.eq(term.expr))

    def inverse(self, node: Node, i: At | None, j: At | None) -> Term:
        if i is None or j is None:
            return self.power(self.arg(node, (None, None)), self.const(-1))
        body = self._body(node)
        return Term(matrices.inv(body, ROW, COLUMN, i.size, i.ix, j.ix))

    def det(self, node: Node) -> Term:
        n = size(self._shape(node)[0])
        if n == 1:
            return self.arg(node, (None, None))
        return Term(matrices.det(self._body(node), ROW, COLUMN, n))

    def _body(self, node: Node) -> Expr:
        """A square matrix's entry over the labels ROW and COLUMN."""
        n = size(self._shape(node)[0])
        return self.arg(node, (At(var(ROW), n), At(var(COLUMN), n))).expr

    def reduction(self, kind: str, term: Term, indices: Place) -> Term:
        own = [at for at in indices if at is not None]
        return Term(
            matrices.red(kind, term.expr, tuple(a.ix[1] for a in own), tuple(a.size for a in own))
        )

    def loop(self, loop: Loop) -> At:
        return At(var(f"L{loop.id}"), size(self.model.graph.resolve(loop.size)))

    def bind(
        self, loops: Loop | Sequence[Loop], labels: At | Sequence[At], node: Node, core: Place
    ) -> Term:
        """The node's entry with loop variables replaced by other indices."""
        if isinstance(loops, Loop):
            loops, labels = (loops,), (labels,)  # type: ignore[assignment]
        term = self.arg(node, core)
        mapping = {f"L{v.id}": at.ix for v, at in zip(loops, labels, strict=True)}  # type: ignore[union-attr]
        return Term(algebra.rename(term.expr, mapping))

    def position(self, node: Node) -> At | None:
        """The index that a number stands for: a loop variable, one shifted, or a literal."""
        return node.op.position(self, node) if node.op.position else None

    def given_index(self, name: str) -> At | None:
        """A name declared `in 1..K` as an index."""
        fact = self.model.declared.get(name)
        if fact is None or fact.kind != "range" or fact.bounds[0] != 1:
            return None
        return At(var(f"k${name}"), size(self.model.graph.resolve(fact.bounds[1])))

    def counted(self, index: At) -> Term:
        """An index used as a number."""
        kind, label, _, offset = index.ix
        base = (
            const(label)
            if index.ix[0] == LITERAL
            else build.entry("#", ((kind, label, "", 0),), (index.size,), frozenset(("positive",)))
        )
        return Term(base + algebra.dim_expr(offset))

    def opaque(self, node: Node, index: Place) -> Term:
        """An atom for a node without index notation: the same node, the same atom."""
        own = [a for a in index if a is not None]
        own += [self.loop(v) for v in node.loops]
        name = f"@{node.op.name}{node.id}"
        facts = frozenset(
            (node.op.promises,) if node.op.promises in ("positive", "binary") else ("vanishing",)
        )
        return Term(build.entry(name, tuple(a.ix for a in own), tuple(a.size for a in own), facts))
