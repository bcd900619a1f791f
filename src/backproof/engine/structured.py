"""Hessians that keep their structure: as linear maps on arrays of the parameter's shape.

Every class has `.dense()` (the shape of the parameter twice, axes of 1 dropped), `.matvec(V)` and
`.solve(G)`, where V and G have the parameter's shape. `damping` adds a multiple of the identity.
Knows arrays only.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from backproof.errors import ShapeProblem, ValueProblem

Array = Any


class Structured(ABC):
    """A symmetric linear map from arrays of a parameter's shape to such arrays."""

    shape: tuple[int, ...]  # of the parameter: (m, n), a column (n, 1)
    kind: str

    @property
    def size(self) -> int:
        return prod(self.shape)

    @abstractmethod
    def matrix(self, out: Array | None = None) -> Array:
        """The matrix over the entries row by row."""

    @abstractmethod
    def matvec(self, v: Array) -> Array:
        """The map applied to an array of the parameter's shape."""

    def dense(self, out: Array | None = None) -> Array:
        """All second derivatives: the shape of the parameter twice, axes of 1 dropped.

        out   an array with room for them, which they are written into
        """
        axes = tuple(n for n in self.shape if n != 1)
        if out is None:
            return self.matrix().reshape(axes + axes)
        size = self.size
        if out.size != size * size:
            raise ShapeProblem(
                f"out has shape {out.shape}, and the second derivatives have {axes + axes}."
            )
        if out.flags.c_contiguous and out.dtype == float:
            flat = out.reshape(size, size)
            made = self.matrix(flat)
            if made is not flat:
                flat[...] = made
        else:
            out[...] = self.matrix().reshape(out.shape)
        return out.reshape(axes + axes)

    def solve(self, g: Array, damping: float = 0.0) -> Array:
        """The array that the map, plus damping times the identity, takes to *g*."""
        matrix = self.matrix()
        if damping:
            matrix = matrix + damping * np.eye(self.size)
        return _solved(matrix, _flat(g)).reshape(np.shape(g))

    def _in(self, v: Array) -> Array:
        return np.asarray(v, float).reshape(self.shape)

    def __repr__(self) -> str:
        return f"<{self.kind} Hessian of a parameter of shape {self.shape}>"


def _flat(v: Array) -> Array:
    return np.asarray(v, float).reshape(-1)


def _solved(matrix: Array, right: Array) -> Array:
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        raise ValueProblem(
            "the Hessian is singular here, so the system has no one solution.",
            hint="solve(g, damping=1e-3) solves (H + 1e-3 I) x = g",
        ) from None


def product(left: Array, right: Array, out: Array) -> Array:
    """The Kronecker product, written so that the inner loop runs along whole rows of it."""
    m, n = len(left), len(right)
    rows, tiles = np.repeat(left, n, axis=1), np.tile(right, (1, m))
    _multiply(rows[:, None, :], tiles[None, :, :], out.reshape(m, n, m * n))
    return out


HALVED = 48  # rows up to which BLAS's general product is faster than its symmetric one
MANY = 1_000_000  # entries from which every core writes a part


def _multiply(a: Array, b: Array, out: Array) -> None:
    """a * b in out, whose first axis the cores share where it is large (NumPy lets them)."""
    cores = min(8, os.cpu_count() or 1, len(out))
    if out.size < MANY or cores < 2:
        np.multiply(a, b, out=out)
        return
    edges = np.linspace(0, len(out), cores + 1).astype(int)

    def part(k: int) -> None:
        rows = slice(edges[k], edges[k + 1])
        own = [x[rows] if len(x) > 1 else x for x in (a, b)]
        np.multiply(own[0], own[1], out=out[rows])

    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(part, range(cores)))


@dataclass(repr=False)
class Dense(Structured):
    """Any Hessian, as its matrix."""

    entries: Array
    shape: tuple[int, ...]
    kind: str = "dense"

    def matrix(self, out: Array | None = None) -> Array:
        return self.entries

    def matvec(self, v: Array) -> Array:
        return (self.entries @ _flat(v)).reshape(np.shape(v))


@dataclass(repr=False)
class Diagonal(Structured):
    """Every entry of the parameter on its own: diag(d)."""

    d: Array
    shape: tuple[int, ...]
    kind: str = "diagonal"

    def matrix(self, out: Array | None = None) -> Array:
        return np.diag(_flat(self.d))

    def matvec(self, v: Array) -> Array:
        return (_flat(self.d) * _flat(v)).reshape(np.shape(v))

    def solve(self, g: Array, damping: float = 0.0) -> Array:
        d = _flat(self.d) + damping
        if not d.all():
            _solved(np.zeros((1, 1)), np.zeros(1))
        return (_flat(g) / d).reshape(np.shape(g))


def weighted_gram(
    rows: Array, d: Array, out: Array | None = None, work: Array | None = None
) -> Array:
    """rows diag(d) rowsᵀ; of many rows, with no negative weight, as Y Yᵀ: half the work.

    work   an array like *rows* that is written over; memory that is made anew for each
           call costs as much as the weighting
    """
    if len(rows) > HALVED and d.min(initial=0) >= 0:
        y = np.multiply(rows, np.sqrt(d), out=work)
        return np.matmul(y, y.T, out=out)
    return np.matmul(np.multiply(rows, d, out=work), rows.T, out=out)


@dataclass(repr=False)
class Gram(Structured):
    """Aᵀ diag(d) A for a column parameter: as YᵀY where no weight is negative.

    work   for its matrix, as `weighted_gram` takes it
    """

    a: Array
    d: Array
    shape: tuple[int, ...]
    work: Array | None = None
    kind: str = "weighted Gram"

    def matrix(self, out: Array | None = None) -> Array:
        return weighted_gram(self.a.T, _flat(self.d), out, self.work)

    def matvec(self, v: Array) -> Array:
        return (self.a.T @ (_flat(self.d) * (self.a @ _flat(v)))).reshape(np.shape(v))


@dataclass(repr=False)
class Kronecker(Structured):
    """left ⊗ right over the entries row by row: V goes to left V right. None is the identity."""

    left: Array | None
    right: Array | None
    shape: tuple[int, ...]
    scale: float = 1.0
    kind: str = "Kronecker"

    def _factors(self) -> tuple[Array, Array]:
        m, n = self.shape
        left = np.eye(m) if self.left is None else self.left
        right = np.eye(n) if self.right is None else self.right
        return left * self.scale, right

    def matrix(self, out: Array | None = None) -> Array:
        m, n = self.shape
        out = np.empty((m * n, m * n)) if out is None else out
        if self.left is None:  # blocks along the diagonal
            out.fill(0.0)
            block = self.scale * (np.eye(n) if self.right is None else self.right)
            np.einsum("iaib->iab", out.reshape(m, n, m, n))[...] = block
            return out
        return product(*self._factors(), out)

    def matvec(self, v: Array) -> Array:
        x = self._in(v)
        if self.left is not None:
            x = self.left @ x
        if self.right is not None:
            x = x @ self.right
        return (self.scale * x).reshape(np.shape(v))

    def solve(self, g: Array, damping: float = 0.0) -> Array:
        left, right = self._factors()
        x = self._in(g)
        if damping:
            p, u = np.linalg.eigh(left)
            q, w = np.linalg.eigh(right)
            return (u @ ((u.T @ x @ w) / (np.outer(p, q) + damping)) @ w.T).reshape(np.shape(g))
        x = _solved(left, x) if self.left is not None else x / self.scale
        if self.right is not None:
            x = _solved(right, x.T).T
        return x.reshape(np.shape(g))


@dataclass(repr=False)
class Samples(Structured):
    """Σ over samples s of blocks[s] ⊗ x[s] x[s]ᵀ: what a layer W x has in any loss of samples.

    turned   the parameter multiplies from the right (X W, samples as rows): x xᵀ ⊗ block
    write    writes block ⊗ x xᵀ into an array, where a compiled function can
    """

    blocks: Array  # samples × m × m
    x: Array  # samples × n
    shape: tuple[int, ...]
    turned: bool = False
    write: Callable[[Array, Array, Array], None] | None = None
    kind: str = "sum of Kronecker products, one a sample,"

    def matrix(self, out: Array | None = None) -> Array:
        count, m, _ = self.blocks.shape
        n = self.x.shape[1]
        if out is None:
            out = np.empty((m * n, m * n))
        if count == 1:
            x, block = self.x[0], self.blocks[0]
            if self.write is not None and not self.turned:
                self.write(block, x, out)
                return out
            # The inner loop runs along a whole row of the result.
            if self.turned:
                rows = (x[None, :, None] * block[:, None, :]).reshape(1, m, n * m)
                _multiply(x[:, None, None], rows, out.reshape(n, m, n * m))
            else:
                rows = (block[:, :, None] * x).reshape(m, 1, m * n)
                whole = out.reshape(m, n, m * n)
                if out.size < MANY:  # einsum's loops cost less than broadcasting's
                    np.einsum("ik,j->ijk", rows[:, 0], x, out=whole)
                else:
                    _multiply(rows, x[None, :, None], whole)
            return out
        outer = (self.x[:, :, None] * self.x[:, None, :]).reshape(count, n * n)
        pairs = self.blocks.reshape(count, m * m).T @ outer  # (i j), (a b)
        four = pairs.reshape(m, m, n, n)
        order = (2, 0, 3, 1) if self.turned else (0, 2, 1, 3)
        out[...] = four.transpose(order).reshape(m * n, m * n)
        return out

    def matvec(self, v: Array) -> Array:
        x = self._in(v)
        if self.turned:  # (n, m): z = X V, one row a sample
            z = self.x @ x
            z = np.matmul(z[:, None, :], self.blocks)[:, 0]
            return (self.x.T @ z).reshape(np.shape(v))
        z = self.x @ x.T  # samples × m
        z = np.matmul(z[:, None, :], self.blocks)[:, 0]
        return (z.T @ self.x).reshape(np.shape(v))

    def solve(self, g: Array, damping: float = 0.0) -> Array:
        if len(self.blocks) > 1:
            return super().solve(g, damping)
        outer = self.x[0][:, None] * self.x[0]
        pair = (outer, self.blocks[0]) if self.turned else (self.blocks[0], outer)
        return Kronecker(*pair, self.shape).solve(g, damping)


@dataclass(repr=False)
class Sum(Structured):
    """The sum of Hessians, such as a loss and what keeps the weights small."""

    parts: tuple[Structured, ...]
    shape: tuple[int, ...]

    @property
    def kind(self) -> str:  # type: ignore[override]
        return " plus ".join(p.kind for p in self.parts)

    def matrix(self, out: Array | None = None) -> Array:
        total = self.parts[0].matrix(out)
        total = total if out is not None else total.copy()
        for part in self.parts[1:]:
            if isinstance(part, Diagonal):
                total.flat[:: self.size + 1] += _flat(part.d)
            else:
                total += part.matrix()
        return total

    def matvec(self, v: Array) -> Array:
        return sum(part.matvec(v) for part in self.parts)

    def solve(self, g: Array, damping: float = 0.0) -> Array:
        first, *rest = self.parts
        if len(rest) == 1 and isinstance(rest[0], Diagonal):
            d = _flat(rest[0].d)
            if (d == d[0]).all():  # the same for every entry: a damping
                return first.solve(g, damping + float(d[0]))
        return super().solve(g, damping)
