"""Edits of a product: its numbers and sizes, the order of its factors, transposes, operators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from backproof.language import syntax as ast
from backproof.working.mending.chains import (
    ADDITIVE,
    MULTIPLICATIVE,
    Factor,
    apply,
    factors,
    is_transpose,
    led,
    number,
    product,
    transposed,
)
from backproof.working.mending.edits import (
    DEEPER,
    FACTOR_EXTRA,
    FACTOR_MISSING,
    FUNCTION,
    NUMBER,
    OPERATOR,
    OPERATORS,
    ORDER,
    POWER,
    SIZE,
    TRANSPOSE,
    WHOLE,
    Edit,
    Put,
)
from backproof.working.mending.insertions import insertions
from backproof.working.mending.pieces import Pieces
from backproof.working.mending.spelling import Spelling

# Functions that a run of factors may lack.
RUNS = (("sum", 1.3), ("mean", 1.35), ("diag", 1.5), ("trace", 1.5), ("inv", 1.45))


class ProductEdits:
    """The edits of one product.

    alone    it is a whole side, or all that stands in a bracket or an argument
    turned   the whole side is a row where a column is wanted, or the reverse
    """

    def __init__(
        self,
        parts: Sequence[Factor],
        put: Put,
        depth: int,
        spelling: Spelling,
        pieces: Pieces,
        *,
        alone: bool,
        turned: bool = False,
    ) -> None:
        self.parts = parts
        self.put = put
        self.depth = depth
        self.deep = DEEPER * depth
        self.spelling = spelling
        self.pieces = pieces
        self.alone = alone
        self.turned = turned

    def _edit(self, cost: float, new: Sequence[Factor], what: str) -> Edit:
        return Edit(cost + self.deep, self.put, product(new), what)

    def all(self) -> Iterator[Edit]:
        """Every edit."""
        if len(self.parts) > 1:
            yield from self._whole()
            yield from self._dropped()
            yield from self._operators()
            yield from self._orders()
            yield from self._transposes()
            yield from self._functions()
        yield from self._halves()
        yield from self.numbers()
        yield from self.sizes()
        yield from insertions(self.parts, self.put, self.depth, self.spelling, self.pieces)

    # --- the product as a whole ----------------------------------------------------------------

    def _whole(self) -> Iterator[Edit]:
        outer = WHOLE if self.alone and self.depth == 0 else 0.1
        cost = 0.955 if self.turned and self.alone and self.depth == 0 else 1.05 + outer
        whole = apply("transpose", product(self.parts))
        yield Edit(cost + self.deep, self.put, whole, TRANSPOSE)
        first = self.parts[0].body
        if isinstance(first, ast.Number) and all(p.op == "matmul" for p in self.parts[2:]):
            rest = apply("transpose", product(led(self.parts[1:])))
            if len(self.parts) > 2:
                yield self._edit(1.1, [self.parts[0], self.parts[1]._replace(body=rest)], TRANSPOSE)
        squares = [
            p._replace(body=p.body.args[0])
            if isinstance(p.body, ast.Apply) and p.body.op == "pow"
            else p
            for p in self.parts
        ]
        if sum(a is not b for a, b in zip(squares, self.parts, strict=True)) > 1:
            yield self._edit(1.5, squares, POWER)

    def _dropped(self) -> Iterator[Edit]:
        parts = self.parts
        for k, part in enumerate(parts):
            rest = led([*parts[:k], *parts[k + 1 :]])
            numeric = isinstance(part.body, ast.Number) or self.pieces.is_dimension(part.body)
            cost = 0.97 if numeric else 1.1
            if k == 0 and rest[0].op == "div":
                yield self._edit(cost + 0.05, [Factor("mul", number(1)), *rest], FACTOR_EXTRA)
                continue
            if len(rest) == 1:
                yield from self._left_over(cost, rest[0].body)
            else:
                yield self._edit(cost, rest, FACTOR_EXTRA)
            inner = part.body
            if k and part.op != "matmul" and isinstance(inner, ast.Apply):
                if inner.op not in MULTIPLICATIVE:
                    continue
                held = factors(inner, self.spelling)
                for m in range(len(held)):  # `x / (2*n)` -> `x / n`
                    less = product(led([*held[:m], *held[m + 1 :]]))
                    new = [*parts[:k], part._replace(body=less), *parts[k + 1 :]]
                    yield self._edit(cost + 0.02, new, FACTOR_EXTRA)
        for low in range(len(parts) - 1):  # an activation's derivative twice: two factors
            rest = [*parts[:low], *parts[low + 2 :]]
            if rest and parts[low + 1].op == "mul":
                yield self._edit(1.3, led(rest), FACTOR_EXTRA)

    def _left_over(self, cost: float, body: ast.Expr) -> Iterator[Edit]:
        """The one factor that is left, without brackets or a transpose that it needs no more."""
        if is_transpose(body):
            assert isinstance(body, ast.Apply)
            yield Edit(cost - 0.01 + self.deep, self.put, body.args[0], FACTOR_EXTRA)
        if isinstance(body, ast.Apply) and body.op in ADDITIVE and body.span.end:
            body = replace(body, span=ast.NOWHERE)
        yield Edit(cost + self.deep, self.put, body, FACTOR_EXTRA)

    def _operators(self) -> Iterator[Edit]:
        parts, n = self.parts, len(self.parts)
        for k in range(1, n):
            part = parts[k]
            for op, cost in OPERATORS[part.op]:
                end = k + 1
                while end < n and parts[end].op == "matmul":
                    end += 1
                before = parts[k - 1].body
                if op == "mul" and is_transpose(before) and parts[k - 1].op != "matmul":
                    inner = parts[k - 1]._replace(body=before.args[0])  # type: ignore[union-attr]
                    new = [*parts[: k - 1], inner, Factor(op, part.body), *parts[k + 1 :]]
                    yield self._edit(1.12, new, OPERATOR)  # `u.T @ v` -> `u * v`
                if op == "mul" and end > k + 1:  # `a @ B @ c` -> `a * (B @ c)`
                    tail = product(led(parts[k:end]))
                    fits = self.pieces.shape_of(before) == self.pieces.shape_of(part.body)
                    yield self._edit(
                        cost + (0.02 if fits else -0.02),
                        [*parts[:k], Factor(op, tail), *parts[end:]],
                        OPERATOR,
                    )
                yield self._edit(
                    cost, [*parts[:k], Factor(op, part.body), *parts[k + 1 :]], OPERATOR
                )
                if k + 1 < n and part.op == parts[k + 1].op:
                    both = [Factor(op, p.body) for p in parts[k : k + 2]]
                    yield self._edit(cost + 0.4, [*parts[:k], *both, *parts[k + 2 :]], OPERATOR)
        if n == 2:
            one, other = parts[0].body, parts[1].body
            wanted = "sub" if parts[1].op == "div" else "add"
            for op in ADDITIVE:
                cost = 1.45 if op == wanted else 1.55
                yield Edit(cost + self.deep, self.put, apply(op, one, other), OPERATOR)

    def _halves(self) -> Iterator[Edit]:
        """`a` or `1 - a` alone where `a*(1 - a)` is meant."""
        parts = self.parts
        for k, part in enumerate(parts):
            match part.body:
                case ast.Apply(op="sub", args=(ast.Number(text="1"), ast.Name() as name)):
                    here = [part._replace(body=name), Factor("mul", part.body)]
                case ast.Name(id=a) if self.pieces.is_sigmoid(a):
                    here = [part, Factor("mul", apply("sub", number(1), part.body))]
                case _:
                    continue
            if part.op == "mul" and not (k + 1 < len(parts) and parts[k + 1].op == "matmul"):
                yield self._edit(1.17, [*parts[:k], *here, *parts[k + 1 :]], FACTOR_MISSING)

    # --- numbers and sizes ---------------------------------------------------------------------

    def numbers(self) -> Iterator[Edit]:
        """A factor 2 or ½ put in, another number."""
        parts = self.parts
        first = parts[0]
        half_written = self.pieces.writes_half
        if isinstance(first.body, ast.Number):
            for value in near_numbers(first.body):
                yield self._edit(1.2, [first._replace(body=value), *parts[1:]], NUMBER)
            if first.body.value == 1 and len(parts) > 1 and parts[1].op == "div":
                double = product([Factor("mul", number(2)), Factor("mul", parts[1].body)])
                yield self._edit(1.13, [first, parts[1]._replace(body=double), *parts[2:]], NUMBER)
            else:
                for text, cost in (("2", 1.35), ("3", 1.4)):
                    yield self._edit(cost, [Factor("mul", number(text)), *parts], NUMBER)
        else:
            for text, cost in (
                ("2", 1.1), ("0.5", 1.12 if half_written else 1.5), ("3", 1.45), ("4", 1.5),
            ):  # fmt: skip
                yield self._edit(cost, [Factor("mul", number(text)), *parts], NUMBER)
        if not (isinstance(first.body, ast.Number) and len(parts) == 1):
            cost = 1.25 if half_written else 1.13
            yield self._edit(cost, [*parts, Factor("div", number(2))], NUMBER)
        for k, part in enumerate(parts[1:], 1):
            if isinstance(part.body, ast.Number):
                for value in near_numbers(part.body):
                    new = [*parts[:k], part._replace(body=value), *parts[k + 1 :]]
                    yield self._edit(1.2, new, NUMBER)

    def sizes(self) -> Iterator[Edit]:
        """A division by the number of samples, or of entries, missing or by another size."""
        parts = self.parts
        divided = any(
            p.op == "div" and (isinstance(p.body, ast.Number) or self.pieces.is_dimension(p.body))
            for p in parts
        )
        again = 0.15 if divided else 0.0
        for cost, body in self.pieces.sizes():
            yield self._edit(cost + again, [*parts, Factor("div", body)], SIZE)
            yield self._edit(cost + 0.12, [Factor("mul", body), *parts], SIZE)
            for k, part in enumerate(parts):
                if self.pieces.is_dimension(part.body) or (
                    isinstance(part.body, ast.Number) and part.body.value > 1 and k
                ):
                    near = 0.2 if isinstance(body, ast.Apply) else 0.0
                    new = [*parts[:k], part._replace(body=body), *parts[k + 1 :]]
                    yield self._edit(cost - near, new, SIZE)

    # --- order and transposes ------------------------------------------------------------------

    def _orders(self) -> Iterator[Edit]:
        parts, n = self.parts, len(self.parts)
        bodies = [p.body for p in parts]

        def edit(cost: float, order: Sequence[ast.Expr]) -> Edit:
            new = [p._replace(body=b) for p, b in zip(parts, order, strict=True)]
            return self._edit(cost, new, ORDER)

        for i in range(n):
            for j in range(i + 1, n):
                if {"matmul", "div"} & {parts[i].op, parts[j].op}:
                    order = [*bodies]
                    order[i], order[j] = order[j], order[i]
                    cost = 1.08 if parts[j].op == "matmul" else 1.3
                    yield edit(cost + 0.1 * (j - i - 1), order)
        i = 0
        while i < n:  # every run of matrix products, turned round as a whole
            j = i
            while j + 1 < n and parts[j + 1].op == "matmul":
                j += 1
            if j > i:
                yield from self._turned_run(i, j, bodies, edit)
            i = j + 1

    def _turned_run(self, i: int, j: int, bodies: list[ast.Expr], edit: object) -> Iterator[Edit]:
        assert callable(edit)
        run = bodies[i : j + 1]
        turned = [transposed(b) for b in reversed(run)]
        marks = sum(map(is_transpose, turned)) - sum(map(is_transpose, run))
        if j == i + 1:
            cost = 1.0 if marks <= 0 else 1.15 + 0.1 * marks
        else:
            cost = 1.32 + 0.2 * max(0, marks)
        yield edit(cost, [*bodies[:i], *turned, *bodies[j + 1 :]])
        if j == i + 1:
            for new in ([run[1], transposed(run[0])], [transposed(run[1]), run[0]]):
                yield edit(1.7, [*bodies[:i], *new, *bodies[j + 1 :]])
            return
        yield edit(1.3, [*bodies[:i], *reversed(run), *bodies[j + 1 :]])
        for shift in (run[1:] + run[:1], run[-1:] + run[:-1]):
            yield edit(1.3, [*bodies[:i], *shift, *bodies[j + 1 :]])

    def _transposes(self) -> Iterator[Edit]:
        """Transposes of two factors at once, or of a run of factors."""
        parts, n = self.parts, len(self.parts)
        places = [k for k in range(n) if not isinstance(parts[k].body, ast.Number)]
        for a, i in enumerate(places):
            for j in places[a + 1 :]:
                new = list(parts)
                new[i] = parts[i]._replace(body=transposed(parts[i].body))
                new[j] = parts[j]._replace(body=transposed(parts[j].body))
                exchanged = is_transpose(parts[i].body) != is_transpose(parts[j].body)
                yield self._edit(1.25 if exchanged else 1.5, new, TRANSPOSE)
        for low in range(n):
            for high in range(low + 2, n + 1):
                if high - low == n or parts[low].op == "div":
                    continue
                if any(p.op != "matmul" for p in parts[low + 1 : high]):
                    continue
                run = apply("transpose", product(led(parts[low:high])))
                new = [*parts[:low], parts[low]._replace(body=run), *parts[high:]]
                yield self._edit(1.28, new, TRANSPOSE)

    def _functions(self) -> Iterator[Edit]:
        """A run of factors in one function: `c*y*log(p)` for `c*sum(y*log(p))`."""
        parts, n = self.parts, len(self.parts)
        for low in range(n):
            for high in range(low + 2, n + 1):
                if (low, high) == (0, n) or parts[low].op == "div":
                    continue
                inner = product(led(parts[low:high]))
                for name, cost in RUNS:
                    if name == "inv" and any(p.op != "matmul" for p in parts[low + 1 : high]):
                        continue
                    merged = parts[low]._replace(body=apply(name, inner))
                    yield self._edit(cost, [*parts[:low], merged, *parts[high:]], FUNCTION)


def near_numbers(expr: ast.Number) -> Iterator[ast.Number]:
    """Numbers that one is easily mistaken for."""
    value = expr.value
    if value.denominator == 1:
        n = int(value)
        seen = {n}
        for other in (n - 1, n + 1, 2 * n, n + 2, *([n // 2] if n % 2 == 0 else [])):
            if other >= 0 and other not in seen:
                seen.add(other)
                yield number(other)
    elif 2 * value == 1:
        yield from (number(2), number(1), number("0.25"))
