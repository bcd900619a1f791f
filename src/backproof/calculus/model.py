"""A sheet with its meaning: typed equations, facts, given values, and derivation over them.

Dimension names that an equation solves (`R[N, 3*28*28 + 1]` against `W in R[d, 3]`) are found
while the equations are elaborated; when one is found, everything is elaborated again with it.
Asks and claims are elaborated on demand and may bind nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from backproof.calculus.derive import Deriver
from backproof.calculus.elaborate import Elaborator
from backproof.calculus.evaluate import Evaluator
from backproof.calculus.loading import load_values
from backproof.errors import Place, ShapeProblem, Span, ValueProblem
from backproof.language import syntax as ast
from backproof.language.sheet import Sheet
from backproof.operators.arithmetic import DECIMALS, FLOAT64, decimal_context
from backproof.operators.dims import SCALAR, Dim, Shape, shape_of, show_shape
from backproof.operators.node import Graph, Node
from backproof.operators.table import new_graph

Array = Any
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fact:
    """What the set of a declared name promises.

    kind      real | pos | interval | labels | onehot | prob | sym | posdef | diagonal |
              orthogonal | range
    bounds    interval: its two ends (None: unbounded); labels: the values; range: the ends
    """

    kind: str
    bounds: tuple[Any, ...] = ()


@dataclass(eq=False)
class Model:
    """A sheet's meaning.

    leaves        name -> leaf node, of every quantity (declared or defined)
    declared      declared name -> what its set promises
    definitions   name -> right-hand side node, every one after those it uses
    assigned      declared name -> the node of its given value (no names below it)
    arrays        declared name -> array read from a file
    pools         random points drawn so far, kept for the next claim (see calculus.points)
    known         what was worked out once and is asked for again (see `once`)
    """

    sheet: Sheet
    graph: Graph = field(default_factory=new_graph)
    leaves: dict[str, Node] = field(default_factory=dict)
    declared: dict[str, Fact] = field(default_factory=dict)
    definitions: dict[str, Node] = field(default_factory=dict)
    assigned: dict[str, Node] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    pools: dict[Any, Any] = field(default_factory=dict, repr=False)
    known: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.deriver = Deriver(self.graph, self.definitions, self.leaves)
        self.denominator = self.sheet.layout is None or self.sheet.layout.denominator

    def once(self, key: Any, make: Callable[[], T]) -> T:
        """What *make* gives, worked out when it is first asked for.

        Only for what the equations and facts alone decide; the asks and claims of the sheet may
        be others at the next call.
        """
        if key not in self.known:
            self.known[key] = make()
        found: T = self.known[key]
        return found

    # --- asking ------------------------------------------------------------------------------

    def elaborator(self) -> Elaborator:
        """A fresh elaborator over this sheet's names (loops do not leak between uses)."""
        return Elaborator(
            self.graph,
            self.sheet.source,
            self.leaves,
            set(self.sheet.dimensions),
            self.deriver,
            self.denominator,
            self._defined_at,
        )

    @cached_property
    def _defined_at(self) -> dict[str, Span]:
        sheet = self.sheet
        places = {name: d.name_span for name, d in sheet.declarations.items()}
        return places | {name: e.name_span for name, e in sheet.equations.items()}

    def node(self, expr: ast.Expr) -> Node:
        """The node of an expression asked for or claimed."""
        return self.elaborator().node(expr)

    @property
    def learned(self) -> tuple[str, ...]:
        return self.sheet.learned

    def shape(self, name: str) -> Shape:
        return self.graph.resolve_shape(self.leaves[name].shape)

    def absent(self, name: str) -> str:
        """Why a name is no quantity of the sheet, as a sentence."""
        if name in self.sheet.dimensions:
            return f"{name} is a dimension of this sheet, not a quantity."
        return f"{name} is not defined."

    def has_value(self, name: str) -> bool:
        return name in self.assigned or name in self.arrays

    def depends_on(self, node: Node) -> set[str]:
        """The declared names that a node depends on, through its equations."""
        return set(self.once(("depends on", node.id), lambda: self._depends_on(node)))

    def _depends_on(self, node: Node) -> set[str]:
        pending, seen = list(self.graph.names(node)), set[str]()
        while pending:
            name = pending.pop()
            if name not in seen:
                seen.add(name)
                if name in self.definitions:
                    pending.extend(self.graph.names(self.definitions[name]))
        return {n for n in seen if n in self.declared}

    def open_dimensions(self, node: Node) -> set[str]:
        """The dimension names without a number that evaluating a node would need."""
        from backproof.operators.node import postorder

        found: set[str] = set()
        for n in postorder([node]):
            for d in n.shape:
                found |= self.graph.resolve(d).names()
            for v in n.loops:
                found |= self.graph.resolve(v.size).names()
            if n.dimension is not None:
                found |= self.graph.resolve(n.dimension).names()
        return found

    def given_values(self, exact: bool) -> dict[str, Array]:
        """The values that the sheet gives, as arrays of core shape."""
        values = self.written_values(exact)
        for name, array in self.arrays.items():
            values[name] = (DECIMALS if exact else FLOAT64).array(array)
        return values

    def written_values(self, exact: bool) -> dict[str, Array]:
        """The values that stand in the sheet itself, not those of its files."""
        run = Evaluator(self.number_sizes(), {}, {}, exact=exact)
        return {name: run.value(node) for name, node in self.assigned.items()}

    @cached_property
    def decimals(self) -> dict[str, Array]:
        """The arrays of the sheet's files as decimals: 0.1 in a file is one tenth."""
        return {
            name: np.frompyfunc(lambda x: Decimal(repr(x)), 1, 1)(array.astype(np.float64))
            for name, array in self.arrays.items()
        }

    def number_sizes(self) -> dict[str, int]:
        """The dimension names that have a number."""
        return {n: k for n, d in self.graph.sizes.items() if (k := d.as_int()) is not None}


def build_model(sheet: Sheet) -> Model:
    """The meaning of a sheet; a BackproofError with its place where it does not fit together."""
    sizes: dict[str, Dim] = {}
    for _ in range(12):
        model = Model(sheet)
        model.graph.sizes.update(sizes)
        _build(model)
        if model.graph.sizes == sizes:
            break
        sizes = dict(model.graph.sizes)
    model.graph.may_bind = False
    _check_values(model)
    return model


def _build(model: Model) -> None:
    sheet, graph = model.sheet, model.graph
    elaborator = model.elaborator()
    for name in sheet.lets:
        value = _let(sheet, name)
        if value < 1:
            raise ValueProblem(
                f"the dimension {name} must be a positive integer, and got {value}.",
                place=sheet.place(sheet.lets[name].value.span),
            )
        graph.sizes[name] = Dim.of(value)
    for name, declaration in sheet.declarations.items():
        _declare(model, elaborator, name, declaration)
    for name in sheet.order:
        equation = sheet.equations[name]
        node = elaborator.node(equation.expr)
        model.definitions[name] = node
        model.leaves[name] = graph.quantity(name, graph.resolve_shape(node.shape))


def _let(sheet: Sheet, name: str) -> int:
    def number(expr: ast.Expr) -> Fraction:
        match expr:
            case ast.Number(value=value):
                return value
            case ast.Name(id=other):
                return number(sheet.lets[other].value)
            case ast.Apply(op="neg", args=(a,)):
                return -number(a)
            case ast.Apply(op=op, args=(a, b)) if op in ("add", "sub", "mul", "div"):
                x, y = number(a), number(b)
                if op == "div" and not y:
                    break_(expr)
                return {"add": x + y, "sub": x - y, "mul": x * y, "div": x / y if y else x}[op]
            case _:
                break_(expr)
        raise AssertionError

    def break_(expr: ast.Expr) -> None:
        raise ValueProblem(f"the dimension {name} needs an integer.", place=sheet.place(expr.span))

    value = number(sheet.lets[name].value)
    if value.denominator != 1:
        break_(sheet.lets[name].value)
    return int(value)


def _declare(model: Model, elaborator: Elaborator, name: str, declaration: ast.Declaration) -> None:
    sheet, graph = model.sheet, model.graph
    shape: Shape | None = None
    fact = Fact("real")
    if declaration.set is not None:
        shape, fact = _set(model, elaborator, declaration.set)
    if name in sheet.values:
        expr = sheet.values[name]
        node = elaborator.node(expr)
        shape = _agree(model, name, shape, node.shape, sheet.place(expr.span), declaration)
        model.assigned[name] = node
    elif declaration.file is not None:
        folder = Path(sheet.source.name).parent
        place = sheet.place(declaration.span)
        array = load_values(folder / declaration.file, name, place)
        model.arrays[name] = array
        have = shape_of(*array.shape)
        shape = _agree(model, name, shape, have, place, declaration)
    assert shape is not None
    model.declared[name] = fact
    model.leaves[name] = graph.quantity(name, graph.resolve_shape(shape))


def _agree(
    model: Model,
    name: str,
    declared: Shape | None,
    have: Shape,
    place: Place,
    declaration: ast.Declaration,
) -> Shape:
    graph = model.graph
    if declared is None:
        return have
    fits = len(declared) == len(have) and all(
        graph.same(a, b) for a, b in zip(declared, have, strict=True)
    )
    if not fits:
        turned = tuple(reversed(have)) == graph.resolve_shape(declared)
        raise ValueProblem(
            f"the value of {name} has shape {show_shape(have)}, and it is declared "
            f"{show_shape(graph.resolve_shape(declared))}.",
            place=place,
            hint="a column is written [1, 2], a row [[1, 2]]" if turned else "",
            also=(f"{name} is declared here", model.sheet.place(declaration.name_span)),
        )
    return graph.resolve_shape(declared)


def _set(model: Model, elaborator: Elaborator, expr: ast.SetExpr) -> tuple[Shape, Fact]:
    graph = model.graph
    dims = tuple(elaborator.dim(d) for d in expr.dims)
    for d, at in zip(dims, expr.dims, strict=True):
        n = d.as_int()
        if n is not None and n < 1:
            raise ShapeProblem(
                f"a dimension must be positive, and this is {n}.", place=model.sheet.place(at.span)
            )
    kind = expr.kind
    if kind in ("sym", "posdef", "diagonal", "orthogonal"):
        if len(dims) == 2 and not graph.same(dims[0], dims[1]):
            raise ShapeProblem(f"{kind} is a square matrix.", place=model.sheet.place(expr.span))
        return (dims[0], dims[0]), Fact(kind)
    shape = shape_of(*dims)
    if kind == "interval":
        return shape, Fact(kind, tuple(_bound(elaborator, b) for b in expr.bounds))
    if kind == "labels":
        return shape, Fact(kind, tuple(_bound(elaborator, b) for b in expr.bounds))
    if kind == "range":
        low, high = (elaborator.dim(b) for b in expr.bounds)
        return SCALAR, Fact(kind, (low, high))
    return shape, Fact(kind)


def _bound(elaborator: Elaborator, expr: ast.Expr) -> Fraction:
    node = elaborator.node(expr)
    if node.fill is None:
        raise ValueProblem("a bound must be a number.", place=elaborator.place(expr.span))
    return node.fill


SMALL = 2_000  # entries that are looked at as exact numbers; more of them as floating point


# --- given values ----------------------------------------------------------------------------


def _check_values(model: Model) -> None:
    """A given value must lie in the set that its name was declared in."""
    with decimal_context(), np.errstate(all="ignore"):
        values = model.written_values(exact=True)
        for name, array in model.arrays.items():
            small = array.size <= SMALL
            values[name] = DECIMALS.array(array) if small else FLOAT64.array(array)
        for name, array in values.items():
            fault = _outside(model.declared[name], array, model)
            if fault is not None:
                part, why = fault
                at = "" if array.shape == (1, 1) else part
                raise ValueProblem(f"{name}{at} {why}.", place=sheet_place(model, name))


def _decimals(x: Any) -> int:
    """How many decimals a value is written with."""
    exponent = x.normalize().as_tuple().exponent
    return max(0, -int(exponent))


def _not_positive(array: Array) -> int | None:
    """The order of the first leading block that is not positive definite, by elimination."""
    left = array.copy()
    for k in range(len(left)):
        if left[k, k] <= 0:
            return k + 1
        left[k + 1 :, k:] = left[k + 1 :, k:] - np.outer(left[k + 1 :, k] / left[k, k], left[k, k:])
    return None


def sheet_place(model: Model, name: str) -> Place:
    """Where a name got its value, or its declaration."""
    sheet = model.sheet
    expr = sheet.values.get(name)
    span = expr.span if expr is not None else sheet.declarations[name].span
    return sheet.place(span)


def _outside(fact: Fact, array: Array, model: Model) -> tuple[str, str] | None:
    """(which part of the name, what is wrong with it) where a value is outside its set."""
    near = Fraction(1, 10**9)

    def first(bad: Array, why: str) -> tuple[str, str] | None:
        places = np.argwhere(bad)
        if not len(places):
            return None
        r, c = (int(x) + 1 for x in places[0])
        value = array[r - 1, c - 1]
        entry = f"[{r}]" if array.shape[1] == 1 else f"[{r}, {c}]"
        return f" entry {entry}", f"is {value}, {why}"

    if fact.kind == "pos":
        return first(array <= 0, "and must be positive")
    if fact.kind == "interval":
        low, high = fact.bounds
        bad = np.vectorize(lambda v: not low < Fraction(v) < high, otypes=[bool])(array)
        return first(bad, f"and must lie strictly between {low} and {high}")
    if fact.kind == "labels":
        bad = np.vectorize(lambda v: Fraction(v) not in fact.bounds, otypes=[bool])(array)
        shown = ", ".join(str(b) for b in fact.bounds)
        return first(bad, f"and a label must be one of {shown}")
    if fact.kind in ("onehot", "prob"):
        low = first(array < 0, "and must not be negative")
        if low is not None:
            return low
        if fact.kind == "onehot":
            bad = first((array != 0) & (array != 1), "and a one-hot entry is 0 or 1")
            if bad is not None:
                return bad
        rows = array.T if array.shape[1] == 1 else array
        for r, row in enumerate(rows, 1):
            if abs(Fraction(sum(row)) - 1) > (
                near if fact.kind == "onehot" else Fraction(1, 10**6)
            ):
                where = "" if array.shape[1] == 1 else f" row {r}"
                return where, f"sums to {sum(row)}, and must sum to 1"
    if fact.kind in ("sym", "posdef", "diagonal"):
        bad = array != array.T if fact.kind != "diagonal" else (
            (array != 0) & ~np.eye(len(array), dtype=bool)
        )  # fmt: skip
        what = "diagonal" if fact.kind == "diagonal" else "symmetric"
        found = first(bad, f"and the matrix must be {what}")
        if found is None and fact.kind == "posdef":
            if array.size > SMALL:
                lowest = np.linalg.eigvalsh(array.astype(np.float64)).min()
                return None if lowest > 0 else ("", "is not positive definite")
            order = _not_positive(array)
            if order is not None:
                return "", f"is not positive definite: its leading {order} × {order} block is not"
        return found
    if fact.kind == "orthogonal":
        if array.size > SMALL:
            a = array.astype(np.float64)
            away = np.abs(a.T @ a - np.eye(len(a))).max()
            return None if away < 1e-6 else ("", "is not orthogonal")
        # What rounding the entries to the decimals they are written with may do: √n units.
        unit = Fraction(1, 10 ** min(9, max(_decimals(x) for x in array.flat)))
        slack = 0 if unit == 1 else unit * Fraction(math.sqrt(len(array)))
        gaps = array.T @ array - np.eye(len(array), dtype=int)
        if (np.vectorize(lambda v: abs(Fraction(v)), otypes=[object])(gaps) > slack).any():
            return "", "is not orthogonal: its columns must have length 1 and be at right angles"
    if fact.kind == "range":
        low, high = (model.graph.resolve(b).as_int() for b in fact.bounds)
        bad = np.vectorize(
            lambda v: (
                Fraction(v).denominator != 1
                or (low is not None and v < low)
                or (high is not None and v > high)
            ),
            otypes=[bool],
        )(array)
        return first(bad, f"and must be an integer from {low} to {fact.bounds[1]}")
    return None
