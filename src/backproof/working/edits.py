"""The small edits that people's mistakes are made of, as a table of families.

`Edits(…).of(side)` yields every edit of one side of a claim with its cost: the lower, the likelier
that a person would have meant it. Families look at a sum (terms), a product (factors) or one
factor at a time. Nothing here knows shapes or values: whoever asks tries the edits in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from backproof.language import syntax as ast
from backproof.working.chains import (
    ADDITIVE,
    MULTIPLICATIVE,
    Factor,
    Term,
    apply,
    factors,
    negated,
    number,
    product,
    size_of,
    terms,
    total,
    transposed,
    unsigned,
)
from backproof.working.pieces import Pieces
from backproof.working.spelling import POSTFIX, SUM, Spelling, level

Put = Callable[[ast.Expr], ast.Expr]


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: what it costs, the new part and how it is put in place, and its name."""

    cost: float
    put: Put
    part: ast.Expr
    what: str

    def side(self) -> ast.Expr:
        """The whole side with the edit made."""
        return self.put(self.part)


# Functions that are taken for one another.
CONFUSED: dict[str, tuple[str, ...]] = {
    "sum": ("mean", "trace", "sumsq", "prod", "max", "norm"), "mean": ("sum", "max"),
    "max": ("min", "sum"), "min": ("max",), "sin": ("cos",), "cos": ("sin",),
    "exp": ("log", "softmax"), "log": ("exp", "log2"), "log2": ("log",), "log10": ("log",),
    "eye": ("ones", "zeros"), "ones": ("zeros", "eye"), "zeros": ("ones",),
    "stack": ("concat",), "concat": ("stack",), "outer": ("dot", "kron"), "dot": ("outer",),
    "kron": ("outer",), "tril": ("triu",), "triu": ("tril",), "sumsq": ("norm", "sum"),
    "norm": ("sumsq", "abs"), "sigmoid": ("tanh", "softmax", "softplus", "step"),
    "tanh": ("sigmoid",), "relu": ("step",), "step": ("relu", "sign"), "sign": ("abs", "step"),
    "abs": ("sign", "norm"), "trace": ("det", "sum"), "det": ("logdet", "trace"),
    "logdet": ("det",), "inv": ("det",), "softmax": ("log_softmax", "sigmoid", "exp"),
    "log_softmax": ("softmax", "log"), "logsumexp": ("log", "max"), "sqrt": ("square",),
    "square": ("sqrt",), "diag": ("trace", "vec"), "mse": ("sse",), "sse": ("mse",),
    "softplus": ("sigmoid", "relu"), "floor": ("ceil",), "ceil": ("floor",), "prod": ("sum",),
    "argmax": ("max",), "grad": ("jac",), "gelu": ("gelu_tanh",), "gelu_tanh": ("gelu",),
}  # fmt: skip
WRAPS = {
    "sum": 1.2, "mean": 1.25, "diag": 1.25, "trace": 1.3, "inv": 1.45, "exp": 1.5, "log": 1.5,
    "sqrt": 1.45, "norm": 1.6, "sumsq": 1.55, "step": 1.6, "sign": 1.5, "abs": 1.5, "det": 1.6,
    "softmax": 1.6, "sigmoid": 1.6, "tanh": 1.6, "relu": 1.6, "vec": 1.6, "cos": 1.7, "sin": 1.7,
    "square": 1.9, "logsumexp": 1.8, "max": 1.8,
}  # fmt: skip
SWAPPED = {"outer", "kron", "dot", "zeros", "ones", "solve", "max", "min", "cross_entropy", "bce",
           "mse", "sse", "where", "concat", "stack", "clip"}  # fmt: skip
AXES = {"sum", "mean", "prod", "max", "min", "norm", "softmax", "log_softmax", "logsumexp",
        "argmax", "concat", "stack"}  # fmt: skip
OUTER_EXTRA = 0.12  # what an edit at the whole side costs more than at its place


class Edits:
    """All edits of the sides of one claim."""

    def __init__(self, spelling: Spelling, pieces: Pieces) -> None:
        self.spelling = spelling
        self.pieces = pieces
        self.tight_half = any(t in pieces.text for t in ("0.5", "½"))

    def of(self, side: ast.Expr) -> Iterator[Edit]:
        """Every edit of a side, not in order."""
        yield from self._slot(side, lambda new: new, 0)
        yield from self._everywhere(side)

    # --- slots: a side, what stands in brackets, an argument -----------------------------------

    def _slot(self, expr: ast.Expr, put: Put, depth: int) -> Iterator[Edit]:
        parts = terms(expr, self.spelling)
        whole = _placed(self.spelling, expr, put)
        yield from self._sum(expr, parts, whole, depth)
        for k, part in enumerate(parts):

            def put_body(new: ast.Expr, k: int = k, part: Term = part) -> ast.Expr:
                minus, body = unsigned(new, self.spelling) if level(new) > SUM else (False, new)
                changed = replace(part, body=body, minus=part.minus != minus)
                return whole(total([*parts[:k], changed, *parts[k + 1 :]], self.spelling))

            yield from self._term(part.body, put_body, depth, alone=len(parts) == 1)

    def _sum(
        self, expr: ast.Expr, parts: Sequence[Term], put: Put, depth: int
    ) -> Iterator[Edit]:
        """Edits of a sum as a whole and of the signs and number of its terms."""
        spelling = self.spelling
        deep = 0.02 * depth
        outer = OUTER_EXTRA if depth == 0 else 0.1

        def edit(cost: float, new: Sequence[Term], what: str) -> Edit:
            return Edit(cost + deep, put, total(new, spelling), what)

        if len(parts) == 2 and parts[0].minus != parts[1].minus:
            first, second = parts
            turned = [Term(False, second.body), Term(True, first.body, second.sign)]
            if first.minus:  # -a + b
                turned = [Term(False, first.body), Term(True, second.body)]
            yield edit(0.95, turned, "the difference turned round")
        elif len(parts) > 1:
            flipped = [replace(p, minus=not p.minus) for p in parts]
            positive = sorted(flipped, key=lambda p: p.minus)
            yield edit(1.15, [replace(p, sign=ast.NOWHERE) for p in positive], "every sign")
        if len(parts) > 1:
            yield Edit(1.1 + outer, put, apply("neg", total(parts, spelling)), "the sign")
        for k, part in enumerate(parts):
            sign = replace(part, minus=not part.minus, sign=ast.NOWHERE)
            yield edit(1.0, [*parts[:k], sign, *parts[k + 1 :]], "a sign")
            rest = [*parts[:k], *parts[k + 1 :]]
            if rest:
                if k == 0 and rest[0].minus and len(rest) > 1:
                    rest.sort(key=lambda p: p.minus)
                    if not rest[0].minus:
                        rest[0] = replace(rest[0], sign=ast.NOWHERE)
                yield edit(1.15, rest, "a term too many")
                if len(rest) == 1 and rest[0].minus:
                    yield edit(1.25, [replace(rest[0], minus=False)], "a complement")
        if len(parts) > 1:
            for wrap in self._around(total(parts, spelling), depth):
                yield Edit(wrap[0] + outer, put, wrap[1], wrap[2])
        for cost, minus, body in self.pieces.terms(deep=depth):
            plus = Term(minus, body)
            yield edit(cost, [*parts, plus], "a term missing")
            if not minus and depth == 0:
                yield edit(cost + 0.01, [plus, *parts], "a term missing")
        if len(parts) == 1:
            complement = [Term(False, number(1)), Term(not parts[0].minus, parts[0].body)]
            yield edit(1.45, complement, "a complement")
        yield from self._regrouped(parts, put, deep)

    def _regrouped(self, parts: Sequence[Term], put: Put, deep: float) -> Iterator[Edit]:
        """A bracket moved: `log(a) - b` for `log(a - b)`, `1 - log(D)` for `log(1 - D)`."""
        spelling = self.spelling
        for k, part in enumerate(parts):
            inner = factors(part.body, spelling)
            for m, factor in enumerate(inner):
                call = factor.body
                if not isinstance(call, ast.Apply) or level(call) < POSTFIX or (
                    call.op in ("transpose", "grad", "jac", "hess") or len(call.args) != 1
                ):  # fmt: skip
                    continue
                arg = call.args[0]
                # the rest of the sum moves into the call
                if len(parts) > 1:
                    before = [replace(p, minus=p.minus != part.minus) for p in parts[:k]]
                    for low, high in ((0, len(parts)), (0, k + 1), (k, len(parts))):
                        if high - low < 2:
                            continue
                        group = [
                            *([] if low else parts[:k]),
                            replace(parts[k], body=_with(inner, m, arg) if 0 else arg),
                            *(parts[k + 1 : high]),
                        ]
                        if len(inner) > 1:
                            continue
                        if low == k:
                            group[0] = replace(group[0], minus=False)
                            group[1:] = [replace(p, minus=p.minus != part.minus) for p in group[1:]]
                        merged = spelling.remade(call, args=(total(group, spelling),))
                        minus = part.minus if low == k else False
                        new = [*parts[:low], Term(minus, merged, part.sign), *parts[high:]]
                        yield Edit(1.3 + deep, put, total(new, spelling), "a bracket")
                    del before
                    if len(inner) > 1 and m == len(inner) - 1 and k < len(parts) - 1:
                        tail = [Term(False, arg), *[
                            replace(p, minus=p.minus != part.minus) for p in parts[k + 1 :]
                        ]]  # fmt: skip
                        merged = spelling.remade(call, args=(total(tail, spelling),))
                        body = product([*inner[:m], replace(factor, body=merged)])
                        new = [*parts[:k], replace(part, body=body)]
                        yield Edit(1.35 + deep, put, total(new, spelling), "a bracket")
                # the tail of the call's sum moves out of it
                held = terms(arg, spelling)
                for cut in range(1, len(held)):
                    shorter = spelling.remade(call, args=(total(held[:cut], spelling),))
                    body = product([*inner[:m], replace(factor, body=shorter), *inner[m + 1 :]])
                    moved = [replace(p, minus=p.minus != part.minus) for p in held[cut:]]
                    new = [*parts[:k], replace(part, body=body), *moved, *parts[k + 1 :]]
                    yield Edit(1.3 + deep, put, total(new, spelling), "a bracket")
                    if len(inner) == 1 and cut == len(held) - 1 and not held[-1].minus:
                        last = spelling.remade(call, args=(held[-1].body,))
                        front = [replace(p, minus=p.minus != part.minus) for p in held[:cut]]
                        new = [*parts[:k], *front, Term(part.minus, last), *parts[k + 1 :]]
                        yield Edit(1.35 + deep, put, total(new, spelling), "a bracket")
                yield from self._divided(parts, k, inner, m, put, deep)

    def _divided(
        self, parts: Sequence[Term], k: int, inner: Sequence[Factor], m: int, put: Put, deep: float
    ) -> Iterator[Edit]:
        """`log(a)/b` for `log(a/b)`, and the reverse; the same for products."""
        call = inner[m].body
        assert isinstance(call, ast.Apply)
        spelling = self.spelling

        def edit(new: Sequence[Factor], cost: float = 1.35) -> Edit:
            changed = replace(parts[k], body=product(new))
            return Edit(
                cost + deep, put, total([*parts[:k], changed, *parts[k + 1 :]], spelling), "a bracket"
            )

        for high in range(m + 2, len(inner) + 1):
            arg = product([Factor("mul", call.args[0]), *inner[m + 1 : high]])
            merged = replace(inner[m], body=spelling.remade(call, args=(arg,)))
            yield edit([*inner[:m], merged, *inner[high:]])
        for low in range(m):
            if inner[m].op == "div":
                continue
            arg = product([replace(inner[low], op="mul"), *inner[low + 1 : m],
                           replace(inner[m], body=call.args[0])])  # fmt: skip
            merged = Factor(inner[low].op, spelling.remade(call, args=(arg,)), inner[low].sign)
            yield edit([*inner[:low], merged, *inner[m + 1 :]])
        held = factors(call.args[0], spelling)
        if len(terms(call.args[0], spelling)) == 1:
            for cut in range(1, len(held)):
                kept = replace(inner[m], body=spelling.remade(call, args=(product(held[:cut]),)))
                yield edit([*inner[:m], kept, *held[cut:], *inner[m + 1 :]])
                last = spelling.remade(call, args=(product(_led(held[cut:])),))
                first = [replace(held[0], op=inner[m].op, sign=inner[m].sign), *held[1:cut]]
                if held[cut].op != "div":
                    yield edit([*inner[:m], *first, Factor(held[cut].op, last, held[cut].sign),
                                *inner[m + 1 :]])  # fmt: skip

    # --- terms: products --------------------------------------------------------------------

    def _term(self, expr: ast.Expr, put: Put, depth: int, *, alone: bool) -> Iterator[Edit]:
        parts = factors(expr, self.spelling)
        yield from self._product(expr, parts, put, depth, alone=alone)
        for k, part in enumerate(parts):

            def put_body(new: ast.Expr, k: int = k, part: Factor = part) -> ast.Expr:
                if k == 0 and len(parts) > 1 and _starts_negative(new):
                    new = apply("neg", new.args[0])  # type: ignore[union-attr]
                return put(product([*parts[:k], replace(part, body=new), *parts[k + 1 :]]))

            yield from self._factor(part.body, put_body, depth, alone=alone and len(parts) == 1)

    def _product(
        self, expr: ast.Expr, parts: Sequence[Factor], put: Put, depth: int, *, alone: bool
    ) -> Iterator[Edit]:
        """Edits of a product: its numbers, the order and number of its factors, transposes."""
        deep = 0.02 * depth
        outer = OUTER_EXTRA if alone and depth == 0 else 0.04

        def edit(cost: float, new: Sequence[Factor], what: str) -> Edit:
            return Edit(cost + deep, put, product(new), what)

        several = len(parts) > 1
        if several:
            yield Edit(1.05 + outer + deep, put, _bracketed_transpose(expr), "a transpose missing")
            for wrap in self._around(product(parts), depth):
                yield Edit(wrap[0] + outer + deep, put, wrap[1], wrap[2])
            yield from self._part_wraps(parts, put, deep)
        yield from self._numbers(parts, put, deep)
        for k, part in enumerate(parts):
            rest = [*parts[:k], *parts[k + 1 :]]
            if several:
                numeric = isinstance(part.body, ast.Number) or self.pieces.is_dimension(part.body)
                cost = 0.97 if numeric else 1.1
                yield edit(cost, _led(rest), "a factor too many")
                if k == 0 and rest[0].op == "div":
                    yield edit(cost + 0.05, [Factor("mul", number(1)), *rest], "a factor too many")
                if k and part.op != "matmul" and isinstance(part.body, ast.Apply) and (
                    part.body.op in MULTIPLICATIVE
                ):  # fmt: skip
                    for inner in self._drops(part.body):
                        yield edit(cost + 0.02, [*parts[:k], replace(part, body=inner),
                                                 *parts[k + 1 :]], "a factor too many")  # fmt: skip
            if k:
                for op, cost in _OPERATORS[part.op]:
                    new = Factor(op, part.body)
                    yield edit(cost, [*parts[:k], new, *parts[k + 1 :]], "the operator")
                if part.op in ("mul", "matmul") and len(parts) == 2:
                    for op in ADDITIVE:
                        yield Edit(1.55 + deep, put, apply(op, parts[0].body, part.body), "operator")
        yield from self._orders(parts, put, deep)
        yield from self._transposes(parts, put, deep)
        yield from self._inserted(parts, put, depth)

    def _drops(self, expr: ast.Expr) -> Iterator[ast.Expr]:
        parts = factors(expr, self.spelling)
        for k in range(len(parts)):
            yield product(_led([*parts[:k], *parts[k + 1 :]]))

    def _numbers(self, parts: Sequence[Factor], put: Put, deep: float) -> Iterator[Edit]:
        def edit(cost: float, new: Sequence[Factor], what: str) -> Edit:
            return Edit(cost + deep, put, product(new), what)

        first = parts[0]
        if not isinstance(first.body, ast.Number):
            led = [replace(first, sign=first.sign), *parts[1:]]
            yield edit(1.12, [Factor("mul", number(2)), *led], "a factor 2 missing")
            cost = 1.14 if self.tight_half else 1.5
            yield edit(cost, [Factor("mul", number("0.5")), *led], "a factor ½ missing")
            yield edit(1.55, [Factor("mul", number(3)), *led], "a factor 3 missing")
            yield edit(1.6, [Factor("mul", number(4)), *led], "a factor 4 missing")
        else:
            for value in _near_numbers(first.body):
                yield edit(1.2, [replace(first, body=value), *parts[1:]], "a number")
            if first.body.value == 1 and len(parts) > 1 and parts[1].op == "div":
                double = product([Factor("mul", number(2)), Factor("mul", parts[1].body)])
                yield edit(1.13, [first, replace(parts[1], body=double), *parts[2:]], "½ missing")
            else:
                led = list(parts)
                yield edit(1.35, [Factor("mul", number(2)), *led], "a factor 2 missing")
                yield edit(1.4, [Factor("mul", number(3)), *led], "a factor 3 missing")
        half = 1.13 if not self.tight_half else 1.25
        yield edit(half, [*parts, Factor("div", number(2))], "a factor ½ missing")
        for k, part in enumerate(parts[1:], 1):
            if isinstance(part.body, ast.Number):
                for value in _near_numbers(part.body):
                    yield edit(1.2, [*parts[:k], replace(part, body=value), *parts[k + 1 :]],
                               "a number")  # fmt: skip
        for cost, body in self.pieces.sizes():
            yield edit(cost, [*parts, Factor("div", body)], "a size missing")
            yield edit(cost + 0.12, [Factor("mul", body), *parts], "a size missing")
            for k, part in enumerate(parts):
                if self.pieces.is_dimension(part.body) or (
                    isinstance(part.body, ast.Number) and part.body.value > 1 and k
                ):  # fmt: skip
                    yield edit(cost, [*parts[:k], replace(part, body=body), *parts[k + 1 :]],
                               "another size")  # fmt: skip

    def _orders(self, parts: Sequence[Factor], put: Put, deep: float) -> Iterator[Edit]:
        n = len(parts)
        bodies = [p.body for p in parts]
        runs = [k for k in range(1, n) if parts[k].op == "matmul"]

        def edit(cost: float, order: Sequence[ast.Expr], what: str) -> Edit:
            new = [replace(p, body=b) for p, b in zip(parts, order, strict=True)]
            return Edit(cost + deep, put, product(new), what)

        for i in range(n):
            for j in range(i + 1, n):
                if "matmul" in (parts[i].op, parts[j].op) or "div" in (parts[i].op, parts[j].op):
                    order = [*bodies]
                    order[i], order[j] = order[j], order[i]
                    far = 0.1 * (j - i - 1)
                    cost = 1.1 if parts[j].op == "matmul" else 1.3
                    yield edit(cost + far, order, "the order of two factors")
        for i in range(n):  # one run of matrix products, turned round as a whole
            j = i
            while j + 1 < n and j + 1 in runs:
                j += 1
            if j > i and (i == 0 or i not in runs):
                run = bodies[i : j + 1]
                turned = [transposed(b) for b in reversed(run)]
                marks = sum(map(_is_transpose, turned)) - sum(map(_is_transpose, run))
                cost = 1.1 if j == i + 1 and marks <= 0 else 1.25 + 0.2 * max(0, marks)
                if j > i + 1:
                    cost += 0.12
                yield edit(cost, [*bodies[:i], *turned, *bodies[j + 1 :]], "a product turned round")
                if j > i + 1:
                    back = list(reversed(run))
                    yield edit(1.35, [*bodies[:i], *back, *bodies[j + 1 :]], "the order of factors")
                    for shift in (run[1:] + run[:1], run[-1:] + run[:-1]):
                        yield edit(1.35, [*bodies[:i], *shift, *bodies[j + 1 :]], "cyclic order")
                for cut in range(i + 1, j):  # the transpose of the first part of a product
                    if i == 0:
                        front = apply("transpose", product(parts[: cut + 1]))
                        yield Edit(1.3 + deep, put, product([Factor("mul", front), *parts[cut + 1 :]]),
                                   "a transpose missing")  # fmt: skip

    def _transposes(self, parts: Sequence[Factor], put: Put, deep: float) -> Iterator[Edit]:
        """Transposes of two factors at once: exchanged, both missing, both too many."""
        places = [k for k in range(len(parts)) if not isinstance(parts[k].body, ast.Number)]
        for a, i in enumerate(places):
            for j in places[a + 1 :]:
                new = list(parts)
                new[i] = replace(parts[i], body=transposed(parts[i].body))
                new[j] = replace(parts[j], body=transposed(parts[j].body))
                exchanged = _is_transpose(parts[i].body) != _is_transpose(parts[j].body)
                yield Edit((1.3 if exchanged else 1.6) + deep, put, product(new), "transposes")
                if parts[j].op == "matmul" and j == i + 1:
                    turned = list(new)
                    turned[i], turned[j] = (replace(new[i], body=new[j].body),
                                            replace(new[j], body=new[i].body))  # fmt: skip
                for one, other in ((i, j), (j, i)):  # two in the other order, one transposed
                    if j != i + 1 or parts[j].op != "matmul":
                        continue
                    turned = list(parts)
                    turned[one] = replace(parts[one], body=parts[other].body)
                    turned[other] = replace(parts[other], body=transposed(parts[one].body))
                    yield Edit(1.75 + deep, put, product(turned), "order and transpose")

    def _part_wraps(self, parts: Sequence[Factor], put: Put, deep: float) -> Iterator[Edit]:
        """A run of factors in one function: `inv(X) @ B` for `trace(inv(X) @ B)` is done by
        `_around`; here `c*y*log(p)` becomes `c*sum(y*log(p))`."""
        if len(parts) < 3 and not (len(parts) == 2 and parts[1].op == "div"):
            return
        n = len(parts)
        for low in range(n):
            for high in range(low + 2, n + 1):
                if (low, high) == (0, n):
                    continue
                inner = product(_led(parts[low:high])) if parts[low].op != "div" else None
                if inner is None:
                    continue
                for name, cost in (("sum", 1.3), ("mean", 1.35), ("diag", 1.5), ("transpose", 1.3)):
                    merged = Factor(parts[low].op, apply(name, inner), parts[low].sign)
                    new = [*parts[:low], merged, *parts[high:]]
                    yield Edit(cost + deep, put, product(new), f"{name} missing")

    def _inserted(self, parts: Sequence[Factor], put: Put, depth: int) -> Iterator[Edit]:
        """A factor missing."""
        deep = 0.02 * depth
        n = len(parts)
        first = 1 if isinstance(parts[0].body, ast.Number) else 0
        products_of_matrices = any(p.op == "matmul" for p in parts)

        def edit(cost: float, new: Sequence[Factor]) -> Edit:
            return Edit(cost + deep, put, product(new), "a factor missing")

        for cost, body in self.pieces.factors(deep=depth):
            plain = level(body) > SUM or not isinstance(body, ast.Apply)
            inner = factors(body, self.spelling) if plain else [Factor("mul", body)]
            for k in range(first, n + 1):
                # put in from the left, so that it is as tight as it is written
                if k == 0:
                    led = replace(parts[0], op="mul")
                    yield edit(cost + 0.04, [*inner, led, *parts[1:]])
                    if products_of_matrices or parts[0].op == "matmul":
                        yield edit(cost + 0.06, [*inner, Factor("mul", product(parts))])
                else:
                    here = [replace(inner[0], op="mul"), *inner[1:]]
                    far = 0.0 if k == n else 0.03
                    yield edit(cost + far, [*parts[:k], *here, *parts[k:]])
            if products_of_matrices:
                for k in range(2, n + 1):
                    if parts[k - 1].op == "matmul":
                        front = Factor("mul", product(parts[:k]))
                        here = [replace(inner[0], op="mul"), *inner[1:]]
                        yield edit(cost + 0.05, [front, *here, *parts[k:]])
                for k in range(n):
                    if k and parts[k].op != "matmul" and n > 1:
                        continue
                    tight = product([Factor("mul", parts[k].body), *[
                        replace(inner[0], op="mul"), *inner[1:]]])  # fmt: skip
                    yield edit(cost + 0.06, [*parts[:k], replace(parts[k], body=tight),
                                             *parts[k + 1 :]])  # fmt: skip
        for cost, body in self.pieces.matrix_factors(deep=depth):
            for k in range(first, n + 1):
                if k == 0:
                    yield edit(cost + 0.02, [Factor("mul", body), Factor("matmul", parts[0].body),
                                             *parts[1:]])  # fmt: skip
                elif k == n or parts[k].op != "div":
                    after = parts[k:]
                    if after and after[0].op == "mul":
                        after = [Factor("matmul", after[0].body), *after[1:]]
                    op = "mul" if k == first and first else "matmul"
                    yield edit(cost, [*parts[:k], Factor(op, body), *after])

    # --- one factor -------------------------------------------------------------------------

    def _factor(self, expr: ast.Expr, put: Put, depth: int, *, alone: bool) -> Iterator[Edit]:
        spelling = self.spelling
        deep = 0.02 * depth
        put = _placed(spelling, expr, put)
        whole = OUTER_EXTRA if alone and depth == 0 and not isinstance(expr, ast.Name) else 0.0
        if not isinstance(expr, ast.Number):
            if _is_transpose(expr):
                assert isinstance(expr, ast.Apply)
                yield Edit(0.95 + deep, put, expr.args[0], "a transpose too many")
            elif not (isinstance(expr, ast.Apply) and expr.op in MULTIPLICATIVE + ADDITIVE and alone):
                yield Edit(1.0 + whole + deep, put, apply("transpose", expr), "a transpose missing")
            squared = apply("pow", expr, number(2))
            yield Edit(1.12 + deep, put, squared, "a square missing")
            simple = isinstance(expr, ast.Name | ast.Subscript)
            for cost, new, what in self._around(expr, depth):
                yield Edit(cost + deep + (0.05 if simple else 0.0), put, new, what)
            yield Edit(1.6 + deep, put, apply("neg", expr), "a sign")
        match expr:
            case ast.Name():
                yield from self._name(expr, put, deep)
            case ast.Number():
                for value in _near_numbers(expr):
                    yield Edit(1.3 + deep, put, value, "a number")
            case ast.Apply(op="transpose", args=(base,)):
                yield from self._factor(
                    base, lambda b: put(spelling.remade(expr, args=(b,))), depth, alone=False
                )
            case ast.Apply(op="neg", args=(base,)):
                yield Edit(1.0 + deep, put, base, "a sign")
                yield from self._factor(base, lambda b: put(apply("neg", b)), depth, alone=False)
            case ast.Apply(op="pow", args=(base, exponent)):
                yield from self._power(expr, base, exponent, put, depth)
            case ast.Apply(op=op) if op in ADDITIVE + MULTIPLICATIVE:
                yield from self._slot(expr, put, depth + 1)
            case ast.Apply():
                yield from self._call(expr, put, depth)
            case ast.Subscript(base=base, items=items):
                yield from self._entries(expr, put, deep)
                yield from self._factor(
                    base, lambda b: put(spelling.remade(expr, base=b)), depth, alone=False
                )
            case ast.Comprehension(body=body):
                other = "mean" if expr.kind == "sum" else "sum"
                yield Edit(1.1, put, spelling.remade(expr, kind=other), "sum and mean")
                yield from self._slot(
                    body, lambda b: put(spelling.remade(expr, body=b)), depth + 1
                )
            case ast.Array(items=items):
                for k, item in enumerate(items):
                    yield from self._slot(
                        item,
                        lambda b, k=k: put(  # type: ignore[misc]
                            spelling.remade(expr, items=(*items[:k], b, *items[k + 1 :]))
                        ),
                        depth + 1,
                    )
        for cost, body in self.pieces.replacements(expr, deep=depth):
            yield Edit(cost + deep, put, body, "another expression")

    def _name(self, expr: ast.Name, put: Put, deep: float) -> Iterator[Edit]:
        for cost, other in self.pieces.names_like(expr.id):
            yield Edit(cost + deep, put, ast.Name(other), "a name")
        for cost, body in self.pieces.derivative_of_name(expr.id):
            yield Edit(cost + deep, put, body, "the derivative of the activation")

    def _power(
        self, expr: ast.Apply, base: ast.Expr, exponent: ast.Expr, put: Put, depth: int
    ) -> Iterator[Edit]:
        deep = 0.02 * depth
        yield Edit(1.0 + deep, put, base, "a power too many")
        if isinstance(exponent, ast.Number):
            for value in _near_numbers(exponent):
                if value.value == 1:
                    continue
                yield Edit(1.08 + deep, put, apply("pow", base, value), "the power")
        remade = self.spelling.remade
        yield from self._factor(
            base, lambda b: put(remade(expr, args=(b, exponent))), depth, alone=False
        )
        yield from self._slot(
            exponent, lambda b: put(remade(expr, args=(base, b))), depth + 1
        )

    def _call(self, expr: ast.Apply, put: Put, depth: int) -> Iterator[Edit]:
        spelling, op, args = self.spelling, expr.op, expr.args
        deep = 0.02 * depth

        def remade(**changes: object) -> ast.Apply:
            return spelling.remade(expr, **changes)

        for other in CONFUSED.get(op, ()):
            options = expr.options if other in AXES else ()
            new = replace(remade(op=other, options=options), op_span=ast.NOWHERE)
            yield Edit(1.15 + deep, put, new, "the function")
        for body in _derivative_of_call(expr):
            yield Edit(1.2 + deep, put, body, "the derivative of the function")
        if len(args) == 1 and op not in ("eye", "ones", "zeros", "size", "shape"):
            yield Edit(1.2 + deep, put, args[0], "a function too many")
        if len(args) >= 2 and op in SWAPPED:
            for i in range(len(args)):
                for j in range(i + 1, len(args)):
                    order = list(args)
                    order[i], order[j] = order[j], order[i]
                    yield Edit(1.05 + deep, put, remade(args=tuple(order)), "the order of arguments")
        if op in AXES:
            yield from self._axes(expr, put, deep)
        if op in ("grad", "jac", "hess"):
            base = args[1].base if isinstance(args[1], ast.Subscript) else args[1]
            if isinstance(base, ast.Name) and depth:
                for cost, other in self.pieces.names_like(base.id):
                    yield Edit(cost + 0.2 + deep, put, remade(args=(args[0], ast.Name(other))), "a name")
            if isinstance(args[0], ast.Name):
                for cost, other in self.pieces.names_like(args[0].id):
                    yield Edit(cost + 0.3 + deep, put, remade(args=(ast.Name(other), args[1])), "a name")
            return
        for k, arg in enumerate(args):
            if isinstance(arg, ast.Text):
                continue

            def put_arg(new: ast.Expr, k: int = k) -> ast.Expr:
                return put(remade(args=(*args[:k], new, *args[k + 1 :])))

            if isinstance(arg, ast.Apply) and arg.op in ("gt", "ge", "lt", "le", "eq", "ne"):
                for turned in _TURNED[arg.op]:
                    new = replace(spelling.remade(arg, op=turned), op_span=ast.NOWHERE)
                    yield Edit(1.2 + deep, put_arg, new, "the comparison")
                for s in (0, 1):

                    def put_side(b: ast.Expr, s: int = s, arg: ast.Apply = arg) -> ast.Expr:
                        both = (b, arg.args[1]) if s == 0 else (arg.args[0], b)
                        return put_arg(spelling.remade(arg, args=both))

                    yield from self._slot(arg.args[s], put_side, depth + 1)
                continue
            yield from self._slot(arg, put_arg, depth + 1)

    def _axes(self, expr: ast.Apply, put: Put, deep: float) -> Iterator[Edit]:
        for value in ("0", "1"):
            options = (("axis", number(value)),)
            if not expr.options or getattr(expr.options[0][1], "text", "") != value:
                new = self.spelling.remade(expr, options=options)
                yield Edit(1.0 + deep, put, new, "the axis")
                if expr.op in ("sum", "mean", "max", "min", "norm"):
                    turned = apply("transpose", new)
                    yield Edit(1.5 + deep, put, turned, "the axis")
        if expr.options:
            yield Edit(1.05 + deep, put, self.spelling.remade(expr, options=()), "the axis")

    def _entries(self, expr: ast.Subscript, put: Put, deep: float) -> Iterator[Edit]:
        """Another index or range, indices exchanged, none at all."""
        items = expr.items
        yield Edit(1.4 + deep, put, expr.base, "an index too many")

        def edit(cost: float, k: int, item: ast.Expr | ast.Slice) -> Edit:
            new = self.spelling.remade(expr, items=(*items[:k], item, *items[k + 1 :]))
            return Edit(cost + deep, put, new, "an index")

        for k, item in enumerate(items):
            if isinstance(item, ast.Number):
                here = int(item.value)
                for other in range(1, 9):
                    if other != here:
                        yield edit(1.1 + 0.05 * abs(other - here), k, number(other))
            elif isinstance(item, ast.Name):
                for op in ADDITIVE:
                    yield edit(1.3, k, apply(op, item, number(1)))
                for cost, other in self.pieces.loops_like(item.id):
                    yield edit(cost, k, ast.Name(other))
            elif isinstance(item, ast.Apply) and item.op in ADDITIVE:
                yield edit(1.2, k, item.args[0])
            elif isinstance(item, ast.Slice):
                low, high = item.lower, item.upper
                if isinstance(low, ast.Number) and isinstance(high, ast.Number):
                    a, b = int(low.value), int(high.value)
                    for da, db, cost in ((1, 1, 1.4), (-1, -1, 1.4), (0, 1, 1.3), (0, -1, 1.3),
                                         (1, 0, 1.3), (-1, 0, 1.3)):  # fmt: skip
                        if 1 <= a + da <= b + db:
                            yield edit(cost, k, ast.Slice(number(a + da), number(b + db)))
        if len(items) == 2:
            new = self.spelling.remade(expr, items=(items[1], items[0]))
            yield Edit(1.15 + deep, put, new, "rows and columns")

    # --- around and everywhere ----------------------------------------------------------------

    def _around(self, expr: ast.Expr, depth: int) -> Iterator[tuple[float, ast.Expr, str]]:
        """The expression as the argument of a function."""
        for name, cost in WRAPS.items():
            if isinstance(expr, ast.Name) and name in ("sum", "mean") and depth:
                cost += 0.2
            yield cost, apply(name, expr), f"{name} missing"
        if isinstance(expr, ast.Apply):
            for name in ("sum", "mean"):
                for axis in (0, 1):
                    options = (("axis", number(axis)),)
                    yield 1.7, ast.Apply(name, (expr,), options), f"{name} missing"

    def _everywhere(self, side: ast.Expr) -> Iterator[Edit]:
        """One name changed wherever it stands: transposed, squared, or another; two exchanged."""
        found: dict[str, int] = {}
        for node in ast.walk(side):
            if isinstance(node, ast.Name):
                found[node.id] = found.get(node.id, 0) + 1
        names = [n for n in found if self.pieces.is_quantity(n)]
        for name in names:
            if found[name] > 1:
                turned = self._mapped(side, {name: apply("transpose", ast.Name(name))})
                yield Edit(1.6, _same, _tidy(turned, self.spelling), "transposes")
                for cost, other in self.pieces.names_like(name):
                    changed = self._mapped(side, {name: ast.Name(other)})
                    yield Edit(cost + 0.3, _same, changed, "a name")
        for i, a in enumerate(names):
            for b in names[i + 1 :]:
                exchanged = self._mapped(side, {a: ast.Name(b), b: ast.Name(a)})
                yield Edit(1.35, _same, exchanged, "two names exchanged")

    def _mapped(self, expr: ast.Expr, new: dict[str, ast.Expr]) -> ast.Expr:
        """The expression with names replaced (those in derivatives stay)."""
        match expr:
            case ast.Name(id=name):
                return new.get(name, expr)
            case ast.Apply(op=op) if op in ("grad", "jac", "hess"):
                return expr
            case ast.Apply(args=args):
                done = tuple(self._mapped(a, new) for a in args)
                same = all(a is b for a, b in zip(done, args, strict=True))
                return expr if same else self.spelling.remade(expr, args=done)
            case ast.Subscript(base=base):
                done_base = self._mapped(base, new)
                return expr if done_base is base else self.spelling.remade(expr, base=done_base)
            case ast.Comprehension(body=body):
                done_body = self._mapped(body, new)
                return expr if done_body is body else self.spelling.remade(expr, body=done_body)
            case _:
                return expr


_OPERATORS = {
    "matmul": (("mul", 1.0),),
    "mul": (("matmul", 1.0), ("div", 1.25)),
    "div": (("mul", 1.15),),
}
_TURNED = {
    "gt": ("lt", "ge"), "ge": ("le", "gt"), "lt": ("gt", "le"), "le": ("ge", "lt"),
    "eq": ("ne",), "ne": ("eq",),
}  # fmt: skip


def _same(expr: ast.Expr) -> ast.Expr:
    return expr


def _placed(spelling: Spelling, old: ast.Expr, put: Put) -> Put:
    """*put*, keeping the reader's brackets around the place."""
    if not spelling.bracketed(old):
        return put
    return lambda new: put(spelling.in_place_of(old, new))


def _is_transpose(expr: ast.Expr) -> bool:
    return isinstance(expr, ast.Apply) and expr.op == "transpose"


def _bracketed_transpose(expr: ast.Expr) -> ast.Expr:
    return apply("transpose", expr)


def _starts_negative(expr: ast.Expr) -> bool:
    return isinstance(expr, ast.Apply) and expr.op == "neg"


def _led(parts: Sequence[Factor]) -> list[Factor]:
    """The factors with the first one leading (a division keeps its 1 above the line)."""
    first, *rest = parts
    if first.op == "div":
        return [first, *rest]
    return [replace(first, op="mul", sign=ast.NOWHERE), *rest]


def _with(parts: Sequence[Factor], k: int, body: ast.Expr) -> ast.Expr:
    return product([*parts[:k], replace(parts[k], body=body), *parts[k + 1 :]])


def _near_numbers(expr: ast.Number) -> Iterator[ast.Number]:
    """Numbers that one is easily mistaken for."""
    value = expr.value
    if value.denominator == 1:
        n = int(value)
        near = [n - 1, n + 1, 2 * n, n + 2] + ([n // 2] if n % 2 == 0 else [])
        seen = {n}
        for other in near:
            if other >= 0 and other not in seen:
                seen.add(other)
                yield number(other)
    elif value == 0.5:
        yield number(2)
        yield number(1)
        yield number("0.25")


def _derivative_of_call(expr: ast.Apply) -> Iterator[ast.Expr]:
    """The derivative in place of the function, written over the same argument."""
    plain = replace(expr, span=ast.NOWHERE)
    arg = expr.args[0] if len(expr.args) == 1 else None
    if arg is None:
        return
    if expr.op == "tanh":
        yield apply("sub", number(1), apply("pow", plain, number(2)))
    elif expr.op == "sigmoid":
        yield apply("mul", plain, apply("sub", number(1), plain))
    elif expr.op == "cos":
        yield apply("neg", apply("sin", arg))
    elif expr.op == "sqrt":
        yield apply("div", number(1), apply("mul", number(2), plain))
    elif expr.op == "log":
        yield apply("div", number(1), arg)


def _tidy(expr: ast.Expr, spelling: Spelling) -> ast.Expr:
    """Two transposes on top of one another taken away."""
    match expr:
        case ast.Apply(op="transpose", args=(ast.Apply(op="transpose", args=(inner,)),)):
            return _tidy(inner, spelling)
        case ast.Apply(args=args, span=span) if not span.end:
            return replace(expr, args=tuple(_tidy(a, spelling) for a in args))
        case _:
            return expr


def largest(expr: ast.Expr) -> int:
    return size_of(expr)


__all__ = ["Edit", "Edits", "negated"]
