"""Everything of a sheet that may stand at a place of a claim, with its value at one point.

Names and their transposes, pieces of the equations and of the claim, the gradients by the names
between, parts of the simplified derivative that is claimed, and simple functions of the small
ones. Products, sums and quotients of two of them are never built: `weigh` weighs them all at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backproof.calculus.evaluate import defined
from backproof.errors import BackproofError
from backproof.language import syntax as ast
from backproof.working.mending.chains import apply, number, size_of, transposed
from backproof.working.mending.pieces import Pieces
from backproof.working.mending.trial import CachedElaborator, SharedEvaluator

Array = Any
Size = tuple[int, int]
MOST_ITEMS = 360
MOST_ENTRIES = 64  # of a place that is looked at
LARGEST = 700  # entries of an item
MOST_BLOCKS = 9
DERIVED = -0.1  # a gradient, where the side to mend is written with gradients
PER_NODE = 0.03  # what an expression costs for each of its nodes
SMALL = 3  # nodes of an expression that a function is put around
# Functions that are put around small expressions whether the sheet uses them or not.
ALWAYS = ("sum", "mean", "square", "diag")
IF_USED = {
    "exp": (), "log": (), "sqrt": (), "inv": (), "norm": (), "sin": ("cos",), "cos": ("sin",),
    "tanh": (), "sigmoid": ("softplus",), "softplus": ("sigmoid",), "abs": ("sign",), "sign": (),
    "relu": ("step",), "max": ("step",), "min": ("step",), "step": (), "det": (), "trace": (),
    "logdet": ("inv",), "sumsq": (),
}  # fmt: skip
PER_ROW = ("sum", "mean")
OF_MINUS = ("sigmoid", "softplus", "exp")


@dataclass(frozen=True, slots=True)
class Item:
    """One expression, how unlikely it is, and its value."""

    cost: float
    expr: ast.Expr
    value: Array


@dataclass(frozen=True, slots=True)
class Shelf:
    """The items that may be added to, or multiplied with, something of one size."""

    exprs: tuple[ast.Expr, ...]
    costs: Array
    values: Array  # item, entry; stretched to the size
    exact: Array  # whether the item has the size itself


class Stock:
    """The items for one claim at one point."""

    def __init__(
        self, pieces: Pieces, elaborator: CachedElaborator, run: SharedEvaluator,
        roots: Iterable[ast.Expr],
    ) -> None:  # fmt: skip
        self.pieces = pieces
        self._elaborator = elaborator
        self._run = run
        self._known: dict[int, Item] = {}  # the cheapest item for every node
        self._shelves: dict[Size, Shelf] = {}
        self._by_size: dict[Size, list[Item]] = {}
        for _ in self._found(roots):
            if len(self._known) >= MOST_ITEMS:
                break
        for item in self._known.values():
            self._by_size.setdefault(item.value.shape, []).append(item)

    @property
    def sizes(self) -> list[Size]:
        """All sizes that items have."""
        return list(self._by_size)

    def shelf(self, size: Size) -> Shelf:
        """What may stand beside something of this size."""
        known = self._shelves.get(size)
        if known is None:
            known = self._shelves[size] = self._stretched(size)
        return known

    def of(self, size: Size) -> list[Item]:
        """The items of exactly this size."""
        return self._by_size.get(size, [])

    def _stretched(self, size: Size) -> Shelf:
        sizes = dict.fromkeys((size, (1, 1), (size[0], 1), (1, size[1])))
        items = [(i, there == size) for there in sizes for i in self.of(there)]
        items.sort(key=lambda i: i[0].cost)
        if not items:
            return Shelf((), np.zeros(0), np.zeros((0, size[0] * size[1])), np.zeros(0, bool))
        values = np.stack([np.broadcast_to(i.value, size).reshape(-1) for i, _ in items])
        return Shelf(
            tuple(i.expr for i, _ in items),
            np.array([i.cost for i, _ in items]),
            values,
            np.array([exact for _, exact in items]),
        )

    # --- what there is -------------------------------------------------------------------------

    def _found(self, roots: Iterable[ast.Expr]) -> Iterator[Item]:
        model, pieces = self.pieces.model, self.pieces
        names: list[ast.Expr] = [ast.Name(n) for n in model.leaves]
        yield from self._items(0.0, names)
        yield from self._items(0.0, [number(1)])
        yield from self._items(-0.15, pieces.derivatives)
        yield from self._items(0.05, [ast.Name(d) for d in model.sheet.dimensions])
        yield from self._items(0.02, [transposed(n) for n in names])
        whole: dict[ast.Expr, None] = {}
        roots = list(roots)
        written = list(ast.walk(roots[0]))
        for root in roots:
            for node in ast.walk(root):
                if isinstance(node, ast.Apply | ast.Subscript):
                    whole.setdefault(node)
        gradients = [e for e in whole if _derived(e)]
        if any(map(_derived, written)):
            yield from self._items(DERIVED, gradients)
        yield from self._items(0.0, [e for e in whole if not _derived(e)])
        yield from self._items(0.0, gradients)
        others = [body for _, body in pieces.others]
        yield from self._items(0.02, others)
        if "1 - " in pieces.text or any(op in pieces.text for op in ("sigmoid", "σ", "tanh")):
            yield from self._items(0.04, [apply("sub", number(1), n) for n in names])
        for dimension in model.sheet.dimensions:
            yield from self._items(0.05, [apply("eye", ast.Name(dimension))])
            yield from self._items(0.1, [apply("ones", ast.Name(dimension))])
        columns = [n for n in names if pieces.is_column(n) and not pieces.is_number(n)]
        yield from self._items(0.06, [apply("matmul", n, transposed(n)) for n in columns])
        if any(isinstance(e, ast.Apply) and e.op in ("kron", "vec") for e in (*whole, *others)):
            yield from self._items(0.1, list(self._blocks(names)))
        small = [*names, *(e for e in (*whole, *others) if size_of(e) <= SMALL)]
        yield from self._items(0.0, list(self._switches([*whole, *others])))
        yield from self._items(0.02, list(self._functions(small)))

    def _blocks(self, names: Sequence[ast.Expr]) -> Iterator[ast.Expr]:
        """Kronecker products of the matrices and identities."""
        matrices = [n for n in names if not self.pieces.is_column(n)]
        parts = [*matrices, *(transposed(m) for m in matrices)]
        parts += [apply("eye", ast.Name(d)) for d in self.pieces.model.sheet.dimensions]
        for one in parts[:MOST_BLOCKS]:
            for other in parts[:MOST_BLOCKS]:
                yield apply("kron", one, other)

    def _switches(self, exprs: Sequence[ast.Expr]) -> Iterator[ast.Expr]:
        """Where one of two is the larger: the derivatives of `max(a, b)` and `min(a, b)`."""
        for expr in exprs:
            if isinstance(expr, ast.Apply) and expr.op in ("max", "min") and len(expr.args) == 2:
                a, b = expr.args
                for one, other in ((a, b), (b, a)):
                    if isinstance(other, ast.Number) and not other.value:
                        yield apply("step", one)
                    elif not isinstance(one, ast.Number):
                        yield apply("step", apply("sub", one, other))

    def _functions(self, small: Sequence[ast.Expr]) -> Iterator[ast.Expr]:
        used = [op for op in IF_USED if f"{op}(" in self.pieces.text]
        ops = [*ALWAYS, *used, *(o for op in used for o in IF_USED[op])]
        for expr in small:
            if isinstance(expr, ast.Number):
                continue
            for op in dict.fromkeys(ops):
                yield apply("pow", expr, number(2)) if op == "square" else apply(op, expr)
                if op in OF_MINUS and isinstance(expr, ast.Name):
                    yield apply(op, apply("neg", expr))
                if op in PER_ROW and not self.pieces.is_column(expr):
                    for axis in (0, 1):
                        yield ast.Apply(op, (expr,), (("axis", number(axis)),))

    def _items(self, cost: float, exprs: Sequence[ast.Expr]) -> Iterator[Item]:
        for expr in exprs:
            try:
                node = self._elaborator.node(expr)
                price = cost + PER_NODE * size_of(expr)
                known = self._known.get(node.id)
                if known is not None and price < known.cost:
                    self._known[node.id] = replace(known, cost=price, expr=expr)
                if known is not None or node.loops or len(node.shape) != 2:
                    continue
                value = self._run.value(node)
            except (BackproofError, ArithmeticError, ValueError, LookupError, RecursionError):
                continue
            if value.size <= LARGEST and defined(value):
                self._known[node.id] = Item(price, expr, value)
                yield self._known[node.id]


def _derived(expr: ast.Expr) -> bool:
    return isinstance(expr, ast.Apply) and expr.op in ("grad", "jac", "hess")


# --- weighing everything at once -----------------------------------------------------------------

ONE = number(1)
IDLE = ("mul", "div")  # by one
MULTIPLES = (1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
PAIR = 0.08  # what two things cost more than one
MOST_FACTORS = 80  # numbers that products of three are made of
MOST_PAIRED = 150  # items that pairs are made of
MOST_HITS = 12  # of one kind at one place
Hit = tuple[float, float, ast.Expr]  # cost, multiple, expression


def weigh(stock: Stock, weights: Array, target: float, near: float) -> list[Hit]:
    """Everything v, alone or of two, for which sum(weights * v) is a multiple of the target."""
    size = weights.shape
    shelf = stock.shelf(size)
    hits: list[Hit] = []
    if not len(shelf.exprs):
        return hits
    flat = weights.reshape(-1)
    alone = shelf.values @ flat
    if abs(target) <= near:  # a switch that is off at this point
        off = ~shelf.values.any(axis=1)
        return [(float(shelf.costs[i]), 1.0, shelf.exprs[i]) for i in np.flatnonzero(off)]
    for (i,), k in _near(alone, target, near, MULTIPLES):
        hits.append((float(shelf.costs[i]) + _multiple_cost(k), k, shelf.exprs[i]))
    n = min(len(shelf.exprs), MOST_PAIRED)
    values, alone, exact = shelf.values[:n], alone[:n], shelf.exact[:n]

    def add(op: str, table: Array, multiples: Sequence[float], ordered: bool) -> None:
        found = []
        for (i, j), k in _near(table, target, near, multiples):
            if op in ("mul", "div") and ONE in (
                shelf.exprs[j],
                shelf.exprs[i] if op == "mul" else 0,
            ):
                continue
            if (exact[i] or exact[j]) and (i < j if ordered else i != j or op == "mul"):
                found.append((float(shelf.costs[i] + shelf.costs[j]) + _multiple_cost(k), k, i, j))
        found.sort(key=lambda f: f[0])
        for cost, k, i, j in found[:MOST_HITS]:
            hits.append((cost + PAIR, k, apply(op, shelf.exprs[i], shelf.exprs[j])))

    weighed = values * flat
    with np.errstate(all="ignore"):
        add("mul", np.triu(weighed @ values.T), MULTIPLES, False)
        add("add", alone[:, None] + alone, (1.0,), True)
        add("sub", alone[:, None] - alone, (1.0,), False)
        add("div", weighed @ (1 / values).T, (1.0, -1.0, 0.5, -0.5), False)
    hits += _products(stock, weights, target, near)
    if size == (1, 1) and flat[0]:
        hits += _three(shelf, target / flat[0])
    return hits


def _three(shelf: Shelf, wanted: float) -> Iterator[Hit]:
    """Products of three numbers."""
    values, n = shelf.values[:MOST_FACTORS, 0], min(len(shelf.exprs), MOST_FACTORS)
    one, other = np.triu_indices(n)
    pairs = values[one] * values[other]
    order = np.argsort(pairs)
    row = pairs[order]
    found: list[tuple[float, float, int, int, int]] = []
    goals = wanted / (np.array(MULTIPLES)[:, None] * values)
    near = 1e-9 * np.maximum(np.abs(goals), 1e-6)
    low, high = np.searchsorted(row, (goals - near, goals + near))
    for k, third in np.argwhere(high > low):
        for at in order[low[k, third] : min(high[k, third], low[k, third] + 3)]:
            i, j = int(one[at]), int(other[at])
            cost = float(shelf.costs[[i, j, third]].sum()) + 2 * PAIR
            cost += _multiple_cost(MULTIPLES[k])
            found.append((cost, MULTIPLES[k], i, j, int(third)))
    found.sort(key=lambda f: f[0])
    for cost, k, i, j, third in found[:MOST_HITS]:
        a, b, c = (shelf.exprs[x] for x in sorted((i, j, third)))
        yield cost, k, apply("mul", apply("mul", a, b), c)


def _products(stock: Stock, weights: Array, target: float, near: float) -> Iterator[Hit]:
    rows, columns = weights.shape
    for inner in {c for r, c in stock.sizes if r == rows and (c, columns) in stock.sizes}:
        if inner == 1 and 1 in (rows, columns):
            continue  # a number times a row or a column
        left, right = stock.of((rows, inner)), stock.of((inner, columns))
        a, b = (np.stack([i.value for i in items]) for items in (left, right))
        turned = np.swapaxes(a, 1, 2) @ weights  # item, inner, column
        table = turned.reshape(len(left), -1) @ b.reshape(len(right), -1).T
        found = [
            (left[i].cost + right[j].cost + PAIR + _multiple_cost(k), k, i, j)
            for (i, j), k in _near(table, target, near, MULTIPLES)
        ]
        found.sort(key=lambda f: f[0])
        for cost, k, i, j in found[:MOST_HITS]:
            yield cost, k, apply("matmul", left[i].expr, right[j].expr)


def _near(
    table: Array, target: float, near: float, multiples: Sequence[float]
) -> Iterator[tuple[tuple[int, ...], float]]:
    """(where, the multiple) of the entries that are the target but for a multiple."""
    size = np.abs(table) if len(multiples) > 1 else table
    goal = abs(target) if len(multiples) > 1 else target
    for k in dict.fromkeys(map(abs, multiples)):
        hits = np.abs(size - goal / k) <= near / k
        if not hits.any():
            continue
        for at in np.argwhere(hits)[:200]:
            place = tuple(int(i) for i in at)
            times = k if table[place] * target > 0 or len(multiples) == 1 else -k
            if times in multiples:
                yield place, times


def _multiple_cost(k: float) -> float:
    return 0.0 if k == 1 else 0.03 if k == -1 else 0.08
