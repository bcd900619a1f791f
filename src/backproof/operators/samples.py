"""One quantity for many samples: as columns side by side, or as rows below one another.

The forms here are what the `batch` rules of the operators work on. A column (or a number) per
sample becomes one column of a matrix. A matrix per sample has no place in a matrix; it is carried
as a sum of products until a column or a row meets it, so that diag(u) @ v becomes u*v and
(u @ v.T) @ w becomes u times a number. Everything is nodes of one graph; nothing here knows
sheets, names or operators by kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from backproof.errors import ShapeProblem
from backproof.operators.dims import ONE, Dim, Shape
from backproof.operators.node import Graph, Node

MOST_PRODUCTS = 64
COUNTED = "calculates with a position that is counted, and each sample has its own"


@dataclass(frozen=True, slots=True)
class Shared:
    """The same for every sample."""

    node: Node


@dataclass(frozen=True, slots=True)
class Column:
    """A column or a number for each sample; `turned`: its transpose, a row for each."""

    node: Node
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Index:
    """A position counted from one for each sample, held as its one-hot column."""

    node: Node


@dataclass(frozen=True, slots=True)
class Diagonal:
    """diag(u) for each sample, held as the columns u."""

    node: Node


Factor = Shared | Column | Diagonal


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix for each sample: a sum of products that waits for a column or a row."""

    products: tuple[tuple[Factor, ...], ...]


Sampled = Shared | Column | Index | Matrix


class NoMatrixForm(ShapeProblem):
    """What stands here for one sample has no matrix form for many.

    The message says why, as what the operator does: "works entry by entry on …".
    """


@dataclass(frozen=True)
class Samples:
    """How the samples are laid out: `rows` below one another, else side by side as columns."""

    graph: Graph
    size: Dim
    rows: bool = False

    @property
    def feature(self) -> int:
        """The axis of the entries of one sample."""
        return 1 if self.rows else 0

    @property
    def axis(self) -> int:
        """The axis along which the samples stand."""
        return 0 if self.rows else 1

    def shape(self, length: Dim) -> Shape:
        """The shape of a column of *length* for every sample."""
        return (self.size, length) if self.rows else (length, self.size)

    def length(self, x: Column | Diagonal) -> Dim:
        """The number of entries for one sample."""
        return self.graph.resolve(x.node.shape[self.feature])

    def is_number(self, x: Sampled | Diagonal) -> bool:
        if isinstance(x, Shared):
            return x.node.is_number
        return isinstance(x, Column) and self.length(x) == ONE

    def fail(self, why: str) -> NoReturn:
        raise NoMatrixForm(why)

    # --- shared things beside samples ----------------------------------------------------------

    def beside(self, node: Node) -> Node:
        """A shared column or row, laid out so that it is added to every sample."""
        if node.is_number or node.shape[self.axis] == ONE:
            return node
        return node.T

    def repeated(self, node: Node) -> Node:
        """A shared number, column or row, written once for every sample."""
        if node.fill is not None:
            length = ONE
            for d in node.shape:
                length = length * d
            return self.graph.filled(node.fill, self.shape(length))
        ones = self.graph.filled(1, self.shape(ONE))
        if node.is_number:
            return node * ones
        return ones @ self.beside(node) if self.rows else self.beside(node) @ ones

    def apply(self, matrix: Node, columns: Node) -> Node:
        """matrix @ u for the column u of every sample."""
        return columns @ matrix.T if self.rows else matrix @ columns

    def total(self, columns: Node) -> Node:
        """The sum over the entries of each sample."""
        return self.graph.make("sum", columns, params=(self.feature,))

    def dot(self, u: Node, v: Node) -> Node:
        """u.T @ v for every sample."""
        apart = self._quadratic(u, v) or self._quadratic(v, u)
        return self.total(u * v) if apart is None else self.total(apart)

    def _quadratic(self, u: Node, v: Node) -> Node | None:
        """x * (A @ y) in place of (A.T @ x) * y: the form people write for x.T @ A @ y."""
        if u.op.name != "matmul":
            return None
        a, b = u.args
        if self.rows or a.op.name != "transpose":
            return None
        return b * (a.args[0] @ v)

    # --- products ------------------------------------------------------------------------------

    def matmul(self, a: Sampled, b: Sampled) -> Sampled:
        """a @ b for every sample."""
        if isinstance(a, Index) or isinstance(b, Index):
            self.fail(COUNTED)
        if isinstance(a, Matrix) or isinstance(b, Matrix):
            return self._with_matrix(a, b)
        return self._pair(a, b)

    def _pair(self, a: Factor, b: Factor) -> Shared | Column | Matrix:
        if self.is_number(a) or self.is_number(b):
            return self._scaled(a, b)
        if isinstance(a, Diagonal) or isinstance(b, Diagonal):
            return self._with_diagonal(a, b)
        if isinstance(a, Shared) and isinstance(b, Shared):
            return Shared(a.node @ b.node)
        left_row = self._is_row(a)
        right_column = self._is_column(b)
        if left_row and right_column:
            return self._row_by_column(a, b)
        if isinstance(a, Shared) and isinstance(b, Column) and right_column:
            return Column(self.apply(a.node, b.node))
        if isinstance(a, Column) and left_row and isinstance(b, Shared):
            return Column(self.apply(b.node.T, a.node), turned=True)
        return Matrix(((a, b),))

    def _row_by_column(self, a: Factor, b: Factor) -> Column:
        for ones, other in ((a, b), (b, a)):
            if isinstance(ones, Shared):
                if ones.node.fill == 1:
                    return Column(self.total(other.node))
                row = ones.node if ones is a else ones.node.T
                return Column(self.apply(row, other.node))
        return Column(self.dot(a.node, b.node))

    def _with_diagonal(self, a: Factor, b: Factor) -> Column | Matrix:
        """diag(u) @ v is u*v, and v.T @ diag(u) the same as a row."""
        if isinstance(a, Diagonal) and isinstance(b, Diagonal):
            return Matrix(((Diagonal(a.node * b.node),),))
        if isinstance(a, Diagonal) and self._is_column(b):
            return Column(a.node * self._laid(b))
        if isinstance(b, Diagonal) and self._is_row(a):
            return Column(self._laid(a) * b.node, turned=True)
        return Matrix(((a, b),))

    def _scaled(self, a: Factor, b: Factor) -> Shared | Column | Matrix:
        if self.is_number(b) and not self.is_number(a):
            a, b = b, a
        if isinstance(a, Shared) and isinstance(b, Shared):
            return Shared(a.node * b.node)
        if isinstance(b, Column):
            return Column(a.node * b.node, b.turned)
        if isinstance(a, Shared):
            return Matrix(((Diagonal(a.node * b.node),),))
        if isinstance(b, Diagonal):
            return Matrix(((Diagonal(a.node * b.node),),))
        if ONE in b.node.shape:
            column = b.node if b.node.shape[1] == ONE else b.node.T
            return Column(self.apply(column, a.node), turned=b.node.shape[0] == ONE)
        return Matrix(((a, b),))

    def _laid(self, x: Factor) -> Node:
        return self.beside(x.node) if isinstance(x, Shared) else x.node

    def _is_row(self, x: Factor) -> bool:
        if isinstance(x, Shared):
            return x.node.shape[0] == ONE
        return isinstance(x, Column) and (x.turned or self.is_number(x))

    def _is_column(self, x: Factor) -> bool:
        if isinstance(x, Shared):
            return x.node.shape[1] == ONE
        return isinstance(x, Column) and (not x.turned or self.is_number(x))

    def products(self, x: Sampled) -> tuple[tuple[Factor, ...], ...]:
        """x as a sum of products."""
        if isinstance(x, Index):
            self.fail(COUNTED)
        return x.products if isinstance(x, Matrix) else ((x,),)

    def _with_matrix(self, a: Sampled, b: Sampled) -> Sampled:
        """Distributes over the sums, and works off each product from the side that is a vector."""
        left, right = self.products(a), self.products(b)
        if len(left) * len(right) > MOST_PRODUCTS:
            self.fail("makes a matrix for every sample out of too many products")
        return self.sum_of([self._chain((*p, *q)) for p in left for q in right])

    def _chain(self, factors: Sequence[Factor]) -> Shared | Column | Matrix:
        """A product; a column at its right end or a row at its left end is worked in."""
        rest = list(factors)
        changed = True
        while changed and len(rest) > 1:
            changed = False
            for k in range(len(rest) - 2, -1, -1):
                made = self._pair(rest[k], rest[k + 1])
                if not isinstance(made, Matrix) or len(made.products[0]) == 1:
                    part = made.products[0][0] if isinstance(made, Matrix) else made
                    rest[k : k + 2] = [part]
                    changed = True
                    break
        only = rest[0]
        if len(rest) == 1 and not isinstance(only, Diagonal):
            return only
        return Matrix((tuple(rest),))

    def sum_of(self, parts: Sequence[Shared | Column | Matrix]) -> Shared | Column | Matrix:
        """The sum of things of one shape."""
        if any(isinstance(p, Matrix) for p in parts):
            return Matrix(tuple(q for p in parts for q in self.products(p)))
        total: Shared | Column = parts[0]  # type: ignore[assignment]
        for part in parts[1:]:
            total = self._plus(total, part)  # type: ignore[arg-type]
        return total

    def _plus(self, a: Shared | Column, b: Shared | Column) -> Shared | Column:
        if isinstance(a, Shared) and isinstance(b, Shared):
            return Shared(a.node + b.node)
        turned = (isinstance(a, Column) and a.turned) or (isinstance(b, Column) and b.turned)
        return Column(self._laid(a) + self._laid(b), turned)

    def transposed(self, x: Sampled) -> Sampled:
        """x.T for every sample."""
        if isinstance(x, Index):
            self.fail(COUNTED)
        if isinstance(x, Matrix):
            return Matrix(tuple(tuple(self._turn(f) for f in reversed(p)) for p in x.products))
        return self._turn(x)  # type: ignore[return-value]

    def _turn(self, x: Factor) -> Factor:
        if isinstance(x, Shared):
            return Shared(x.node.T)
        if isinstance(x, Column):
            return x if self.is_number(x) else Column(x.node, not x.turned)
        return x

    def trace(self, x: Matrix) -> Shared | Column:
        """The trace for every sample, where a product holds a column times a row."""
        return self.sum_of([self._trace(p) for p in x.products])  # type: ignore[return-value]

    def _trace(self, product: tuple[Factor, ...]) -> Shared | Column:
        if len(product) == 1:
            (only,) = product
            if isinstance(only, Diagonal):
                return Column(self.total(only.node))
            if isinstance(only, Shared):
                return Shared(self.graph.make("trace", only.node))
        for k, factor in enumerate(product):
            if k and self._is_row(factor):
                made = self._chain((*product[k:], *product[:k]))
                if isinstance(made, Column):
                    return made
        self.fail("has no matrix form for this matrix, which differs from sample to sample")

    def map_products(self, x: Sampled, change: Callable[[Factor], Factor]) -> Matrix:
        """Each product with its first factor changed (a sign, a scale)."""
        return Matrix(tuple((change(p[0]), *p[1:]) for p in self.products(x)))
