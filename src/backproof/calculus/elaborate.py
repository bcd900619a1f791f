"""From syntax to typed nodes: resolves names, dimensions, indices and loops, with shapes.

Every error gets the place of the operator that caused it. Derivatives (`grad`, `jac`, `hess`)
are derived here, so that they may stand in any expression.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial

from backproof.calculus.derive import Deriver
from backproof.errors import (
    BackproofError,
    NameProblem,
    Place,
    ShapeProblem,
    SheetSyntaxError,
    Source,
    Span,
)
from backproof.language import syntax as ast
from backproof.operators.dims import ONE, Dim, paper_shape, shape_of, show_shape, squeeze
from backproof.operators.functions import FUNCTIONS, dim_node
from backproof.operators.node import Graph, Loop, Node

INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**", "matmul": "@",
}  # fmt: skip
_DIRECT = {"add", "sub", "mul", "div", "pow", "matmul", "neg", "transpose",
           "gt", "ge", "lt", "le", "eq", "ne"}  # fmt: skip
MOST_ORIGINS = 4  # names whose shapes an error about shapes recalls


class Elaborator:
    """Turns expressions into nodes.

    leaves       name -> leaf node of every quantity
    dimensions   the dimension names of the sheet
    indices      names that are an index (`given k in 1..K`)
    derive       derives over the sheet's equations
    defined_at   where each quantity is declared or defined
    """

    def __init__(
        self,
        graph: Graph,
        source: Source,
        leaves: Mapping[str, Node],
        dimensions: set[str],
        deriver: Deriver,
        denominator: bool = True,
        defined_at: Mapping[str, Span] | None = None,
    ) -> None:
        self.defined_at = defined_at or {}
        self.graph = graph
        self.source = source
        self.leaves = leaves
        self.dimensions = dimensions
        self.deriver = deriver
        self.denominator = denominator
        self.loops: dict[str, Node] = {}

    # --- places ------------------------------------------------------------------------------

    def place(self, span: Span) -> Place:
        return Place(self.source, span)

    def _at(self, span: Span, build: Callable[[], Node], operands: Sequence[ast.Expr] = ()) -> Node:
        try:
            return build()
        except ShapeProblem as error:
            if error.place is None and operands:
                origins = self._origins(operands)
                error.hint = "; ".join(part for part in (error.hint, origins) if part)
            raise error.at(self.place(span)) from None
        except BackproofError as error:
            raise error.at(self.place(span)) from None

    def _origins(self, operands: Sequence[ast.Expr]) -> str:
        """Where the shapes of operands come from: the names in them, with shape and line."""
        found: dict[str, str] = {}
        for operand in operands:
            for part in ast.walk(operand):
                if isinstance(part, ast.Name) and part.id in self.leaves:
                    shape = show_shape(self.graph.resolve_shape(self.leaves[part.id].shape))
                    line = self._line_of(part.id)
                    found[part.id] = f"{part.id} is {shape}" + (f" (line {line})" if line else "")
        return ", ".join(list(found.values())[:MOST_ORIGINS])

    def _line_of(self, name: str) -> int | None:
        span = self.defined_at.get(name)
        return None if span is None else self.source.position(span.start)[0]

    # --- expressions -------------------------------------------------------------------------

    def node(self, expr: ast.Expr) -> Node:
        """The node of an expression; a BackproofError with its place where it does not fit."""
        match expr:
            case ast.Number(value=value):
                return self.graph.number(value)
            case ast.Name():
                return self._name(expr)
            case ast.Apply():
                return self._apply(expr)
            case ast.Subscript():
                return self._subscript(expr)
            case ast.Array():
                return self._at(expr.span, lambda: self._array(expr))
            case ast.Comprehension():
                return self._comprehension(expr)
            case ast.TupleExpr(items=(only,)):
                return self.node(only)
            case _:
                raise SheetSyntaxError(
                    "a shape or a text cannot stand in an expression.", place=self.place(expr.span)
                )

    def _name(self, expr: ast.Name) -> Node:
        if expr.id in self.loops:
            return self.loops[expr.id]
        if expr.id in self.leaves:
            return self.leaves[expr.id]
        if expr.id in self.dimensions:
            return dim_node(self.graph, Dim.of(expr.id))
        if expr.id == "pi" or expr.id == "π":
            return self.graph.make("constant", params=("pi",))
        if expr.id == "e":
            return self.graph.make("exp", 1)
        raise NameProblem(f"{expr.id} is not defined.", place=self.place(expr.span))

    def _apply(self, expr: ast.Apply) -> Node:
        op = expr.op
        span = expr.op_span if expr.op_span.end else expr.span
        if op in ("add", "sub", "mul", "div", "matmul"):
            return self._chain(expr)
        if op in _DIRECT:
            args = [self.node(a) for a in expr.args]
            return self._at(span, lambda: self.graph.make(op, *args), expr.args)
        if op in ("grad", "jac", "hess"):
            return self._at(span, lambda: self._derivative(expr))
        if op in ("eye", "ones", "zeros"):
            return self._at(span, lambda: self._constant(expr))
        if op == "einsum":
            first = expr.args[0]
            if not isinstance(first, ast.Text):
                raise SheetSyntaxError(
                    'einsum takes its indices first, as in einsum("ij,jk->ik", A, B).',
                    place=self.place(first.span),
                )
            operands = [self.node(a) for a in expr.args[1:]]
            return self._at(
                span, lambda: self.graph.make("einsum", *operands, params=(first.value,))
            )
        if op == "shape":
            raise ShapeProblem(
                "shape(…) is a tuple and can only be compared with one.", place=self.place(span)
            )
        build = FUNCTIONS.get(op)
        if build is None:
            raise NameProblem(f"{op} is not a function of the language.", place=self.place(span))
        args = [self.node(a) for a in expr.args]
        options = {key: self.node(value) for key, value in expr.options}
        return self._at(span, lambda: build(self.graph, args, options), expr.args)

    def _chain(self, expr: ast.Apply) -> Node:
        """A run of infix operators, from the left, without recursion down its spine."""
        spine: list[ast.Apply] = []
        left: ast.Expr = expr
        while isinstance(left, ast.Apply) and left.op in INFIX and left.op != "pow":
            spine.append(left)
            left = left.args[0]
        result = self.node(left)
        for part in reversed(spine):
            right = self.node(part.args[1])
            make = partial(self.graph.make, part.op, result, right)
            result = self._at(part.op_span, make, part.args)
        return result

    def _derivative(self, expr: ast.Apply) -> Node:
        kind = expr.op
        target, by = expr.args
        root = self.node(target)
        items: tuple[ast.Expr | ast.Slice, ...] | None = None
        variable: ast.Expr = by
        if isinstance(by, ast.Subscript):
            variable, items = by.base, by.items
        if not isinstance(variable, ast.Name) or variable.id not in self.leaves:
            raise ShapeProblem(
                f"{kind} differentiates by a name, or by an entry or range of one.",
                place=self.place(by.span),
            )
        if kind in ("grad", "hess") and not root.is_number:
            raise ShapeProblem(
                f"{kind} needs a number to differentiate, and got {show_shape(root.shape)}.",
                hint="jac gives the derivatives of something that is not a number",
                place=self.place(target.span),
            )
        name = variable.id
        if kind == "grad":
            result = self.deriver.gradient(root, name)
            return result if items is None else self._index(result, items, expr.span)
        if items is not None:
            raise ShapeProblem(
                f"{kind} differentiates by a whole name; take entries of the result instead.",
                place=self.place(by.span),
            )
        if kind == "jac":
            return self.deriver.jacobian(root, name, self.denominator)
        return self.deriver.hessian(root, name)

    def _constant(self, expr: ast.Apply) -> Node:
        dims = [self.dim(a) for a in expr.args]
        if expr.op == "eye":
            return self.graph.make("eye", params=(self.graph.resolve(dims[0]),))
        shape = self.graph.resolve_shape(shape_of(*dims))
        return self.graph.filled(1 if expr.op == "ones" else 0, shape)

    # --- dimensions --------------------------------------------------------------------------

    def dim(self, expr: ast.Expr) -> Dim:
        """The dimension that an expression of integers and dimension names stands for."""
        found = self.try_dim(expr)
        if found is None:
            raise ShapeProblem(
                "a dimension is an integer, a dimension's name, or arithmetic on these.",
                place=self.place(expr.span),
            )
        return self.graph.resolve(found)

    def try_dim(self, expr: ast.Expr) -> Dim | None:
        match expr:
            case ast.Number(value=value) if value.denominator == 1:
                return Dim.of(int(value))
            case ast.Name(id=name) if name in self.dimensions and name not in self.loops:
                return self.graph.resolve(Dim.of(name))
            case ast.Apply(op="neg", args=(a,)):
                inner = self.try_dim(a)
                return None if inner is None else inner * -1
            case ast.Apply(op=op, args=(a, b)) if op in ("add", "sub", "mul", "div", "pow"):
                left, right = self.try_dim(a), self.try_dim(b)
                if left is None or right is None:
                    return None
                return _arithmetic(op, left, right)
            case _:
                return None

    # --- literals ----------------------------------------------------------------------------

    def _array(self, expr: ast.Array) -> Node:
        rows = [list(item.items) if isinstance(item, ast.Array) else [item] for item in expr.items]
        constants = [[_constant(x) for x in row] for row in rows]
        if all(c is not None for row in constants for c in row):
            values = tuple(tuple(row) for row in constants)
            return self.graph.make("literal", params=(values,))
        parts = []
        for row in rows:
            entries = [self.node(x) for x in row]
            for entry, x in zip(entries, row, strict=True):
                if not entry.is_number:
                    raise ShapeProblem(
                        "an entry of a matrix literal must be a number, and this is "
                        f"{show_shape(entry.shape)}.",
                        hint="concat joins columns and matrices",
                        place=self.place(x.span),
                    )
            parts.append(self.graph.make("concat", *entries, params=(1,)))
        return self.graph.make("concat", *parts, params=(0,))

    # --- entries and ranges ------------------------------------------------------------------

    def _subscript(self, expr: ast.Subscript) -> Node:
        base = self.node(expr.base)
        return self._at(expr.span, lambda: self._index(base, expr.items, expr.span))

    def _index(self, base: Node, items: Sequence[ast.Expr | ast.Slice], span: Span) -> Node:
        shape = self.graph.resolve_shape(base.shape)
        axes = self._axes_of(shape, len(items), span)
        ranges: list[tuple[Dim, Dim]] = [(Dim.of(0), d) for d in shape]
        moving: list[tuple[int, Node]] = []
        for axis, item in zip(axes, items, strict=True):
            if isinstance(item, ast.Slice):
                ranges[axis] = self._range(item, shape[axis])
                continue
            place = self.try_dim(item)
            if place is not None:
                self._inside(place, shape[axis], item.span)
                ranges[axis] = (place - 1, ONE)
                continue
            position = self.node(item)
            if not position.is_number:
                raise ShapeProblem(
                    f"an index must be a number, and this is {show_shape(position.shape)}.",
                    place=self.place(item.span),
                )
            moving.append((axis, position))
        result = self.graph.make("slice", base, params=(tuple(ranges),))
        result = self._gather(result, moving)
        if len(shape) > 2:
            return self.graph.make("reshape", result, params=(squeeze(result.shape),))
        return result

    def _axes_of(self, shape: Sequence[Dim], count: int, span: Span) -> list[int]:
        if count == len(shape):
            return list(range(count))
        real = [k for k, d in enumerate(shape) if d != ONE]
        if count == len(real):
            return real
        if count == 1:
            return [0]
        dims = paper_shape(tuple(shape))
        raise ShapeProblem(
            f"{count} indices do not fit something with {len(dims)} axes "
            f"({show_shape(tuple(shape))}).",
            place=self.place(span),
        )

    def _inside(self, place: Dim, size: Dim, span: Span) -> None:
        at, n = place.as_int(), size.as_int()
        if at is not None and (at < 1 or (n is not None and at > n)):
            raise ShapeProblem(
                f"the index {at} is out of range: entries are counted from 1 to {size}.",
                place=self.place(span),
            )

    def _range(self, item: ast.Slice, size: Dim) -> tuple[Dim, Dim]:
        lower = Dim.of(1) if item.lower is None else self.dim(item.lower)
        upper = size if item.upper is None else self.dim(item.upper)
        for bound, given in ((lower, item.lower), (upper, item.upper)):
            if given is not None:
                self._inside(bound, size, given.span)
        length = upper - lower + 1
        n = length.as_int()
        if n is not None and n < 1:
            raise ShapeProblem(
                f"the range {lower}:{upper} is empty; a range includes its end.",
                place=self.place(item.span),
            )
        return lower - 1, length

    def _gather(self, base: Node, moving: Sequence[tuple[int, Node]]) -> Node:
        """Entries at positions that are computed (a loop variable, a given index)."""
        whole: dict[int, Loop] = {}
        rest: list[tuple[int, Node]] = []
        for axis, position in moving:
            loop = position.loop
            if (
                isinstance(loop, Loop)
                and loop.size == base.shape[axis]
                and loop not in whole.values()
                and loop not in base.loops
            ):
                whole[axis] = loop
            else:
                rest.append((axis, position))
        if whole:
            order: list[Loop | int] = []
            shape = list(base.shape)
            for axis, d in enumerate(base.shape):
                if axis in whole:
                    order.append(whole[axis])
                    shape[axis] = ONE
                elif d != ONE:
                    order.append(axis)
            base = self.graph.make("spread", base, params=(tuple(order), tuple(shape)))
        for axis, position in rest:
            if len(base.shape) > 2:
                raise ShapeProblem("a tensor of three axes or more takes fixed indices only.")
            if base.shape[axis] == ONE:
                continue
            size = base.shape[axis]
            pick_shape = (size, ONE)
            pick = self.graph.make("pick", position, params=(0, pick_shape))
            base = pick.T @ base if axis == 0 else base @ pick
        return base

    # --- sums with an index ------------------------------------------------------------------

    def enter(self, loops: Sequence[ast.Loop]) -> tuple[list[Loop], list[Node], dict[str, Node]]:
        """Opens loops: (variables, range conditions, the scope to restore with `leave`)."""
        before = dict(self.loops)
        opened: list[Loop] = []
        conditions: list[Node] = []
        highest: dict[str, Dim] = {}
        for loop in loops:
            low, high = self.try_dim(loop.lower), self.try_dim(loop.upper)
            size_low = low if low is not None else Dim.of(1)
            size_high = high if high is not None else self._bound(loop.upper, highest)
            size = size_high - size_low + 1
            n = size.as_int()
            if n is not None and n < 1:
                raise ShapeProblem(
                    f"the range {size_low}..{size_high} is empty.", place=self.place(loop.span)
                )
            variable = self.graph.loop(loop.name, size)
            value = self.graph.make("loop", params=(variable,))
            if size_low != ONE:
                value = value + (dim_node(self.graph, size_low) - 1)
            if low is None:
                conditions.append(self.graph.make("ge", value, self.node(loop.lower)))
            if high is None:
                conditions.append(self.graph.make("le", value, self.node(loop.upper)))
            self.loops[loop.name] = value
            highest[loop.name] = size_high
            opened.append(variable)
        return opened, conditions, before

    def leave(self, before: dict[str, Node]) -> None:
        self.loops = before

    def _bound(self, expr: ast.Expr, highest: Mapping[str, Dim]) -> Dim:
        """The largest value of a bound that uses outer loop variables."""
        match expr:
            case ast.Name(id=name) if name in highest:
                return highest[name]
            case ast.Apply(op="add" | "sub" as op, args=(a, b)):
                right = self.try_dim(b)
                if right is not None:
                    return _arithmetic(op, self._bound(a, highest), right) or ONE
        raise ShapeProblem(
            "a range ends at a dimension, or at an outer index plus or minus an integer.",
            place=self.place(expr.span),
        )

    def _comprehension(self, expr: ast.Comprehension) -> Node:
        opened, ranges, before = self.enter(expr.loops)
        try:
            body = self.node(expr.body)
            conditions = [*ranges, *(self.node(c) for c in expr.conditions)]
        finally:
            self.leave(before)
        mask: Node | None = None
        for condition in conditions:
            mask = condition if mask is None else mask * condition
        kind = "sum" if expr.kind == "mean" else expr.kind
        result = self._reduce(kind, body, mask, opened)
        if expr.kind == "mean":
            result = result / self._reduce("sum", self.graph.number(1), mask, opened)
        return result

    def _reduce(self, kind: str, body: Node, mask: Node | None, loops: Sequence[Loop]) -> Node:
        result = body
        for k, loop in enumerate(reversed(loops)):
            args = [result] if mask is None or k else [result, mask]
            result = self.graph.make("reduce", *args, params=(kind, loop))
        return result


def _arithmetic(op: str, a: Dim, b: Dim) -> Dim | None:
    if op == "add":
        return a + b
    if op == "sub":
        return a - b
    if op == "mul":
        return a * b
    if op == "div":
        return a.divide(b)
    exponent = b.as_int()
    if exponent is None or not 0 <= exponent <= 8:
        return None
    result = ONE
    for _ in range(exponent):
        result = result * a
    return result


def _constant(expr: ast.Expr) -> Fraction | None:
    """The exact value of a plain number, signed or as a fraction of two."""
    match expr:
        case ast.Number(value=value):
            return value
        case ast.Apply(op="neg", args=(a,)):
            inner = _constant(a)
            return None if inner is None else -inner
        case ast.Apply(op="div", args=(a, b)):
            top, bottom = _constant(a), _constant(b)
            return None if top is None or not bottom else top / bottom
        case _:
            return None
