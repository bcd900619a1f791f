"""All edits of a side: walks it as sums of products of factors, and edits single factors.

`Families.of(side)` yields every edit with its cost, in no order. Nothing here knows values:
whoever asks tries the edits, cheapest first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from backproof.language import syntax as ast
from backproof.working.mending.chains import (
    ADDITIVE,
    MULTIPLICATIVE,
    Factor,
    Term,
    apply,
    factors,
    is_transpose,
    number,
    product,
    spliced,
    terms,
    total,
    transposed,
    unsigned,
)
from backproof.working.mending.edits import (
    AXES,
    AXIS,
    BRACKET,
    COMPLEMENT,
    CONFUSED,
    DEEPER,
    DERIVATIVE,
    EXPRESSION,
    FUNCTION,
    INDEX,
    NAME,
    NUMBER,
    OPERATOR,
    ORDER,
    POWER,
    REDUCTIONS,
    SIGN,
    SWAPPED,
    TERM_MISSING,
    TRANSPOSE,
    TURNED_ROUND,
    WHOLE,
    Edit,
    Put,
)
from backproof.working.mending.pieces import Pieces
from backproof.working.mending.products import ProductEdits, near_numbers
from backproof.working.mending.spelling import SUM, Spelling, level
from backproof.working.mending.sums import sum_edits


class Families:
    """All edits of the sides of one claim.

    turned   the side has the other side's shape transposed, and is a row or a column
    """

    def __init__(self, spelling: Spelling, pieces: Pieces, *, turned: bool = False) -> None:
        self.spelling = spelling
        self.pieces = pieces
        self.turned = turned
        self._calls = 0  # how many calls stand around what is looked at

    def of(self, side: ast.Expr) -> Iterator[Edit]:
        """Every edit of a side."""
        yield from self._slot(side, _same, 0, call=False)
        yield from self._everywhere(side)

    # --- slots: a side, what stands in brackets, an argument -----------------------------------

    def _slot(self, expr: ast.Expr, put: Put, depth: int, *, call: bool) -> Iterator[Edit]:
        spelling = self.spelling
        parts = terms(expr, spelling)
        whole = self._placed(expr, put)
        inside = self._calls > 0
        yield from sum_edits(parts, whole, depth, spelling, self.pieces, inside=inside)
        if len(parts) > 1 and (call or depth == 0):
            yield from self._sum_as_factor(total(parts, spelling), put, depth)
        for k, part in enumerate(parts):

            def put_body(new: ast.Expr, k: int = k, part: Term = part) -> ast.Expr:
                minus, body = unsigned(new, spelling) if level(new) > SUM else (False, new)
                changed = part._replace(body=body, minus=part.minus != minus)
                return whole(total([*parts[:k], changed, *parts[k + 1 :]], spelling))

            yield from self._term(part.body, put_body, depth, alone=len(parts) == 1)

    def _sum_as_factor(self, expr: ast.Expr, put: Put, depth: int) -> Iterator[Edit]:
        """A whole sum multiplied, divided, transposed, or put in a function."""
        deep = DEEPER * depth
        cost = 0.95 if self.turned and depth == 0 else 1.03
        yield Edit(cost + deep, put, apply("transpose", expr), TRANSPOSE)
        for extra, new, what in self._around(expr, depth):
            yield Edit(extra + deep, put, new, what)
        yield from ProductEdits(
            [Factor("mul", expr)], put, depth, self.spelling, self.pieces, alone=True
        ).all()

    def _placed(self, old: ast.Expr, put: Put) -> Put:
        """*put*, keeping the reader's brackets around the place."""
        spelling = self.spelling
        if not spelling.bracketed(old):
            return put
        return lambda new: put(spelling.in_place_of(old, new))

    # --- terms: products -----------------------------------------------------------------------

    def _term(self, expr: ast.Expr, put: Put, depth: int, *, alone: bool) -> Iterator[Edit]:
        spelling = self.spelling
        parts = factors(expr, spelling)
        yield from ProductEdits(
            parts, put, depth, spelling, self.pieces, alone=alone, turned=self.turned
        ).all()
        if len(parts) > 1:
            outer = WHOLE if alone and depth == 0 else 0.04
            for cost, new, what in self._around(product(parts), depth):
                yield Edit(cost + outer + DEEPER * depth, put, new, what)
        for k, part in reversed(list(enumerate(parts))):

            def put_body(new: ast.Expr, k: int = k) -> ast.Expr:
                return put(product(spliced(parts, k, new, spelling)))

            yield from self._factor(part.body, put_body, depth, alone=alone and len(parts) == 1)
        yield from self._moved_ranges(parts, put)

    def _moved_ranges(self, parts: Sequence[Factor], put: Put) -> Iterator[Edit]:
        """`A[:, 1:2] @ B` for `A @ B[:, 1:2]`, and the reverse."""
        for k, part in enumerate(parts):
            if not isinstance(part.body, ast.Subscript):
                continue
            for other in (k - 1, k + 1):
                if 0 <= other < len(parts):
                    there = parts[other].body
                    changed = list(parts)
                    changed[k] = part._replace(body=part.body.base)
                    moved = self.spelling.remade(part.body, base=there)
                    changed[other] = parts[other]._replace(body=moved)
                    yield Edit(1.4, put, product(changed), INDEX)

    # --- one factor ----------------------------------------------------------------------------

    def _factor(self, expr: ast.Expr, put: Put, depth: int, *, alone: bool) -> Iterator[Edit]:
        spelling = self.spelling
        deep = DEEPER * depth
        put = self._placed(expr, put)
        if not isinstance(expr, ast.Number):
            if is_transpose(expr):
                assert isinstance(expr, ast.Apply)
                yield Edit(0.95 + deep, put, expr.args[0], TRANSPOSE)
            elif not (alone and isinstance(expr, ast.Apply) and expr.op in ADDITIVE):
                yield Edit(1.0 + deep, put, apply("transpose", expr), TRANSPOSE)
            yield Edit(1.12 + deep, put, apply("pow", expr, number(2)), POWER)
            for cost, exponent in self.pieces.exponents:
                yield Edit(cost + 0.15 + deep, put, apply("pow", expr, exponent), POWER)
            plain = 0.05 if isinstance(expr, ast.Name | ast.Subscript) else 0.0
            for cost, new, what in self._around(expr, depth):
                yield Edit(cost + deep + plain, put, new, what)
            yield Edit(1.6 + deep, put, apply("neg", expr), SIGN)
        match expr:
            case ast.Name():
                yield from self._name(expr, put, deep)
            case ast.Number():
                for value in near_numbers(expr):
                    yield Edit(1.3 + deep, put, value, NUMBER)
                if expr.value > 1:
                    for cost, exponent in self.pieces.exponents:
                        if not isinstance(exponent, ast.Number):
                            yield Edit(cost + deep, put, apply("pow", expr, exponent), POWER)
            case ast.Apply(op="transpose", args=(base,)):
                yield from self._transposed(expr, base, put, depth)
            case ast.Apply(op="neg", args=(base,)):
                yield Edit(1.0 + deep, put, base, SIGN)
                yield Edit(1.3 + deep, put, apply("sub", number(1), base), COMPLEMENT)
                yield from self._factor(base, lambda b: put(apply("neg", b)), depth, alone=False)
            case ast.Apply(op="pow", args=(base, exponent)):
                yield Edit(1.36 + deep, put, apply("sub", number(1), expr), COMPLEMENT)
                yield from self._power(expr, base, exponent, put, depth)
            case ast.Apply(op=op) if op in ADDITIVE + MULTIPLICATIVE:
                yield from self._slot(expr, put, depth + 1, call=False)
            case ast.Apply():
                yield from self._call(expr, put, depth)
            case ast.Subscript(base=base):
                yield from self._entries(expr, put, deep)
                yield from self._factor(
                    base, lambda b: put(spelling.remade(expr, base=b)), depth, alone=False
                )
            case ast.Comprehension(body=body):
                other = "mean" if expr.kind == "sum" else "sum"
                yield Edit(1.1, put, spelling.remade(expr, kind=other), FUNCTION)
                yield from self._slot(
                    body, lambda b: put(spelling.remade(expr, body=b)), depth + 1, call=True
                )
            case ast.Array(items=items):
                for k, item in enumerate(items):
                    yield from self._slot(item, self._put_item(expr, k, put), depth + 1, call=True)
        for cost, body in self.pieces.replacements(expr):
            yield Edit(cost + deep, put, body, EXPRESSION)

    def _put_item(self, expr: ast.Array, k: int, put: Put) -> Put:
        items = expr.items
        return lambda b: put(self.spelling.remade(expr, items=(*items[:k], b, *items[k + 1 :])))

    def _name(self, expr: ast.Name, put: Put, deep: float) -> Iterator[Edit]:
        for cost, other in self.pieces.names_like(expr.id):
            yield Edit(cost + deep, put, ast.Name(other), NAME)
        for cost, body in self.pieces.derivative_of_name(expr.id):
            yield Edit(cost + deep, put, body, DERIVATIVE)
        if self.pieces.is_quantity(expr.id):
            yield Edit(1.36 + deep, put, apply("sub", number(1), expr), COMPLEMENT)
            for op in ADDITIVE:
                for cost, other in self.pieces.names_beside(expr.id):
                    yield Edit(cost + deep, put, apply(op, expr, ast.Name(other)), TERM_MISSING)

    def _transposed(self, expr: ast.Apply, base: ast.Expr, put: Put, depth: int) -> Iterator[Edit]:
        def put_base(new: ast.Expr) -> ast.Expr:
            if is_transpose(new):
                return put(transposed(new))
            return put(self.spelling.remade(expr, args=(new,)))

        if isinstance(base, ast.Apply) and base.op in REDUCTIONS and base.options:
            axis = getattr(base.options[0][1], "text", "")
            other = (("axis", number("1" if axis == "0" else "0")),)
            turned = self.spelling.remade(base, options=other)
            yield Edit(0.97 + DEEPER * depth, put, turned, AXIS)
        yield from self._factor(base, put_base, depth, alone=False)

    def _power(
        self, expr: ast.Apply, base: ast.Expr, exponent: ast.Expr, put: Put, depth: int
    ) -> Iterator[Edit]:
        deep = DEEPER * depth
        yield Edit(1.0 + deep, put, base, POWER)
        if isinstance(exponent, ast.Number):
            for value in near_numbers(exponent):
                if value.value != 1:
                    yield Edit(1.08 + deep, put, apply("pow", base, value), POWER)
        for cost, other in self.pieces.exponents:
            yield Edit(cost + deep, put, apply("pow", base, other), POWER)
        held = terms(base, self.spelling)
        if len(held) > 1:  # `(a - b)**2` -> `a - b**2`
            last = held[-1]._replace(body=apply("pow", held[-1].body, exponent))
            yield Edit(1.3 + deep, put, total([*held[:-1], last], self.spelling), BRACKET)
        remade = self.spelling.remade
        yield from self._factor(
            base, lambda b: put(remade(expr, args=(b, exponent))), depth, alone=False
        )
        yield from self._slot(
            exponent, lambda b: put(remade(expr, args=(base, b))), depth + 1, call=True
        )

    # --- calls ---------------------------------------------------------------------------------

    def _call(self, expr: ast.Apply, put: Put, depth: int) -> Iterator[Edit]:
        spelling, op, args = self.spelling, expr.op, expr.args
        deep = DEEPER * depth

        def remade(**changes: object) -> ast.Apply:
            return spelling.remade(expr, **changes)

        for other in CONFUSED.get(op, ()):
            options = expr.options if other in AXES else ()
            new = replace(remade(op=other, options=options), op_span=ast.NOWHERE)
            yield Edit(1.15 + deep, put, new, FUNCTION)
        for body in _derivative_of_call(expr):
            yield Edit(1.2 + deep, put, body, DERIVATIVE)
        if len(args) == 1 and op not in ("eye", "ones", "zeros", "size", "shape"):
            yield Edit(1.12 + deep, put, args[0], FUNCTION)
        if op in SWAPPED:
            for i in range(len(args)):
                for j in range(i + 1, len(args)):
                    order = list(args)
                    order[i], order[j] = order[j], order[i]
                    yield Edit(0.98 + deep, put, remade(args=tuple(order)), ORDER)
        if op in AXES:
            yield from self._axes(expr, put, deep)
        if op in ("grad", "jac", "hess"):
            yield from self._derivative(expr, put, deep)
            return
        for k, arg in enumerate(args):
            if not isinstance(arg, ast.Text):
                self._calls += 1
                yield from self._argument(expr, k, put, depth)
                self._calls -= 1

    def _argument(self, expr: ast.Apply, k: int, put: Put, depth: int) -> Iterator[Edit]:
        spelling, args = self.spelling, expr.args
        arg = args[k]

        def put_arg(new: ast.Expr) -> ast.Expr:
            return put(spelling.remade(expr, args=(*args[:k], new, *args[k + 1 :])))

        if not (isinstance(arg, ast.Apply) and arg.op in TURNED_ROUND):
            yield from self._slot(arg, put_arg, depth + 1, call=True)
            return
        for turned in TURNED_ROUND[arg.op]:
            new = replace(spelling.remade(arg, op=turned), op_span=ast.NOWHERE)
            yield Edit(1.2 + DEEPER * depth, put_arg, new, OPERATOR)
        one, other = arg.args
        yield from self._slot(
            one, lambda b: put_arg(spelling.remade(arg, args=(b, other))), depth + 1, call=True
        )
        yield from self._slot(
            other, lambda b: put_arg(spelling.remade(arg, args=(one, b))), depth + 1, call=True
        )

    def _derivative(self, expr: ast.Apply, put: Put, deep: float) -> Iterator[Edit]:
        """Another target, or another variable."""
        target, by = expr.args
        base = by.base if isinstance(by, ast.Subscript) else by
        for node, build in (
            (base, lambda n: (target, n)),
            (target, lambda n: (n, by)),
        ):
            if isinstance(node, ast.Name):
                for cost, other in self.pieces.names_like(node.id):
                    new = self.spelling.remade(expr, args=build(ast.Name(other)))
                    yield Edit(cost + 0.1 + deep, put, new, NAME)

    def _axes(self, expr: ast.Apply, put: Put, deep: float) -> Iterator[Edit]:
        remade = self.spelling.remade
        if expr.op not in ("concat", "stack") and self.pieces.is_column(expr.args[0]):
            return
        for value in ("0", "1"):
            options = (("axis", number(value)),)
            if not expr.options or getattr(expr.options[0][1], "text", "") != value:
                new = remade(expr, options=options)
                yield Edit(0.98 + deep, put, new, AXIS)
                if expr.op in REDUCTIONS:
                    yield Edit(1.2 + deep, put, apply("transpose", new), AXIS)
        if expr.options:
            yield Edit(1.05 + deep, put, remade(expr, options=()), AXIS)

    # --- entries -------------------------------------------------------------------------------

    def _entries(self, expr: ast.Subscript, put: Put, deep: float) -> Iterator[Edit]:
        """Another index or range, indices exchanged, none at all."""
        items = expr.items
        yield Edit(1.4 + deep, put, expr.base, INDEX)

        def edit(cost: float, k: int, item: ast.Expr | ast.Slice) -> Edit:
            new = self.spelling.remade(expr, items=(*items[:k], item, *items[k + 1 :]))
            return Edit(cost + deep, put, new, INDEX)

        for k, item in enumerate(items):
            match item:
                case ast.Number(value=value):
                    for other in range(1, 10):
                        if other != value:
                            yield edit(1.05 + 0.05 * float(abs(other - value)), k, number(other))
                case ast.Name(id=name):
                    for op in ADDITIVE:
                        yield edit(1.3, k, apply(op, item, number(1)))
                    for cost, index in self.pieces.loops_like(name):
                        yield edit(cost, k, ast.Name(index))
                case ast.Apply(op="add" | "sub", args=args):
                    yield edit(1.2, k, args[0])
                case ast.Slice(lower=ast.Number(value=low), upper=ast.Number(value=high)):
                    for a, b, cost in _MOVES:
                        if 1 <= low + a <= high + b:
                            moved = ast.Slice(number(str(low + a)), number(str(high + b)))
                            yield edit(cost, k, moved)
        if len(items) == 2:
            new = self.spelling.remade(expr, items=(items[1], items[0]))
            yield Edit(1.15 + deep, put, new, INDEX)

    # --- around and everywhere -----------------------------------------------------------------

    def _around(self, expr: ast.Expr, depth: int) -> Iterator[tuple[float, ast.Expr, str]]:
        """The expression as the argument of a function."""
        for name, cost in self.pieces.wraps:
            if isinstance(expr, ast.Name) and name in ("sum", "mean") and depth:
                cost += 0.2
            yield cost, apply(name, expr), FUNCTION
        if isinstance(expr, ast.Apply) or (
            isinstance(expr, ast.Name) and not self.pieces.is_column(expr)
        ):
            for name in ("sum", "mean"):
                for axis in (0, 1):
                    options = (("axis", number(axis)),)
                    yield 1.7, ast.Apply(name, (expr,), options), FUNCTION

    def _everywhere(self, side: ast.Expr) -> Iterator[Edit]:
        """One thing changed wherever it stands: a name, or a function left out."""
        found: dict[str, int] = {}
        calls: dict[str, int] = {}
        for node in ast.walk(side):
            if isinstance(node, ast.Name):
                found[node.id] = found.get(node.id, 0) + 1
            elif isinstance(node, ast.Apply) and len(node.args) == 1:
                calls[node.op] = calls.get(node.op, 0) + 1
        names = [n for n in found if self.pieces.is_quantity(n)]
        for name in names:
            if found[name] > 1:
                turned = self._mapped(side, {name: apply("transpose", ast.Name(name))}, "")
                yield Edit(1.5, _same, _tidy(turned), TRANSPOSE)
                for cost, other in self.pieces.names_like(name):
                    changed = self._mapped(side, {name: ast.Name(other)}, "")
                    yield Edit(cost + 0.25, _same, changed, NAME)
        for i, a in enumerate(names):
            for b in names[i + 1 :]:
                exchanged = self._mapped(side, {a: ast.Name(b), b: ast.Name(a)}, "")
                yield Edit(1.35, _same, exchanged, NAME)
        yield from self._shifted(side, names)
        for op, count in calls.items():
            if count > 1 and op not in ("transpose", "neg"):
                yield Edit(1.45, _same, self._mapped(side, {}, op), FUNCTION)

    def _shifted(self, side: ast.Expr, names: Sequence[str]) -> Iterator[Edit]:
        """Every name of a row (`h1`, `h2`) by one index up or down."""
        stems: dict[str, list[str]] = {}
        for name in names:
            stem = name.rstrip("0123456789")
            if stem != name:
                stems.setdefault(stem, []).append(name)
        for stem, row in stems.items():
            for step in (-1, 1):
                to = {n: f"{stem}{int(n[len(stem) :]) + step}" for n in row}
                if len(row) > 1 and all(self.pieces.is_quantity(t) for t in to.values()):
                    changed = self._mapped(side, {n: ast.Name(t) for n, t in to.items()}, "")
                    yield Edit(1.3, _same, changed, NAME)

    def _mapped(self, expr: ast.Expr, new: dict[str, ast.Expr], without: str) -> ast.Expr:
        """The expression with names replaced (not in derivatives) and one function left out."""
        match expr:
            case ast.Name(id=name):
                return new.get(name, expr)
            case ast.Apply(op=op) if op in ("grad", "jac", "hess"):
                return expr
            case ast.Apply(op=op, args=(only,)) if op == without:
                return self._mapped(only, new, without)
            case ast.Apply(args=args):
                done = tuple(self._mapped(a, new, without) for a in args)
                same = all(a is b for a, b in zip(done, args, strict=True))
                return expr if same else self.spelling.remade(expr, args=done)
            case ast.Subscript(base=base):
                there = self._mapped(base, new, without)
                return expr if there is base else self.spelling.remade(expr, base=there)
            case ast.Comprehension(body=body):
                there = self._mapped(body, new, without)
                return expr if there is body else self.spelling.remade(expr, body=there)
            case _:
                return expr


_MOVES = (
    (1, 1, 1.4), (-1, -1, 1.4), (0, 1, 1.3), (0, -1, 1.3), (1, 0, 1.3), (-1, 0, 1.3),
)  # fmt: skip


def _same(expr: ast.Expr) -> ast.Expr:
    return expr


def _derivative_of_call(expr: ast.Apply) -> Iterator[ast.Expr]:
    """The derivative in place of the function, written over the same argument."""
    if len(expr.args) != 1:
        return
    arg = expr.args[0]
    match expr.op:
        case "tanh":
            yield apply("sub", number(1), apply("pow", expr, number(2)))
        case "sigmoid":
            yield apply("mul", expr, apply("sub", number(1), expr))
        case "cos":
            yield apply("neg", apply("sin", arg))
        case "sqrt":
            yield apply("div", number(1), apply("mul", number(2), expr))
        case "log":
            yield apply("div", number(1), arg)
        case "relu":
            yield apply("step", arg)


def _tidy(expr: ast.Expr) -> ast.Expr:
    """Two transposes on top of one another taken away."""
    match expr:
        case ast.Apply(op="transpose", args=(ast.Apply(op="transpose", args=(inner,)),)):
            return _tidy(inner)
        case ast.Apply(args=args, span=span) if not span.end:
            return replace(expr, args=tuple(_tidy(a) for a in args))
        case _:
            return expr


__all__: Sequence[str] = ["Families"]
