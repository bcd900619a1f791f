"""A factor that is missing from a product: where it may stand, and how likely it is.

A number goes to the front. Anything else is multiplied where the shapes are equal, with brackets
around a matrix product that it multiplies; a matrix goes between the factors of a matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from backproof.language import syntax as ast
from backproof.operators.dims import SCALAR, Shape
from backproof.working.mending.chains import MULTIPLICATIVE, Factor, factors, product
from backproof.working.mending.edits import DEEPER, FACTOR_MISSING, STRETCHED, Edit, Put
from backproof.working.mending.pieces import Pieces
from backproof.working.mending.spelling import BRACKETED, SUM, Spelling, level


def insertions(
    parts: Sequence[Factor], put: Put, depth: int, spelling: Spelling, pieces: Pieces
) -> Iterator[Edit]:
    """Every factor that the sheet offers, at every place where it could have been left out."""
    places = list(_places(parts, pieces))
    for cost, body, shape in pieces.factors(depth):
        cost += DEEPER * depth
        plain = level(body) > SUM
        inner = factors(body, spelling) if plain else [Factor("mul", body)]
        if any(f.op == "matmul" for f in inner):
            inner = [Factor("mul", body)]
        if shape == SCALAR:
            yield from _scalar(parts, inner, put, cost)
            continue
        for extra, new, group in places:
            stretched = STRETCHED if group is not None and group not in (shape, SCALAR) else 0.0
            put_in = partial(_put_in, put, new, inner)  # built when it is its turn
            yield Edit(cost + extra + stretched, put_in, body, FACTOR_MISSING)
    for cost, body in pieces.matrix_factors(depth):
        yield from _between(parts, body, put, cost + DEEPER * depth, pieces)


def _put_in(put: Put, new: _New, inner: Sequence[Factor], _: ast.Expr) -> ast.Expr:
    return put(product(new(inner)))


def _scalar(
    parts: Sequence[Factor], inner: Sequence[Factor], put: Put, cost: float
) -> Iterator[Edit]:
    first = 1 if isinstance(parts[0].body, ast.Number) and len(parts) > 1 else 0
    rest = [Factor("mul", parts[first].body, parts[first].sign), *parts[first + 1 :]]
    if first and parts[first].op == "div":
        first, rest = 0, [Factor("mul", parts[0].body, parts[0].sign), *parts[1:]]
    if any(p.op == "matmul" for p in rest) and not first:
        rest = [Factor("mul", product(rest))]
    front = [*parts[:first], *inner, *rest]
    yield Edit(
        cost,
        put,
        product([Factor("mul", front[0].body, front[0].sign), *front[1:]]),
        FACTOR_MISSING,
    )
    here = [Factor("mul", inner[0].body, inner[0].sign), *inner[1:]]
    yield Edit(cost + 0.03, put, product([*parts, *here]), FACTOR_MISSING)
    divisor = product(inner)
    yield Edit(cost + 0.045, put, product([*parts, Factor("div", divisor)]), FACTOR_MISSING)
    last = parts[-1]
    if last.op == "div":  # `x / N` -> `x / (N * t)`
        below = product([Factor("mul", last.body), *here])
        new = [*parts[:-1], last._replace(body=below)]
        yield Edit(cost + 0.04, put, product(new), FACTOR_MISSING)
    if len(inner) > 1 and first + 1 < len(parts):  # an activation's derivative after the error
        new = [*parts[: first + 1], *here, *parts[first + 1 :]]
        if parts[first + 1].op != "matmul":
            yield Edit(cost - 0.01, put, product(new), FACTOR_MISSING)
    for k in range(first + 1, len(parts)):
        if parts[k].op != "matmul":
            new = [*parts[:k], *here, *parts[k:]]
            yield Edit(cost + 0.03, put, product(new), FACTOR_MISSING)


def _places(parts: Sequence[Factor], pieces: Pieces) -> Iterator[tuple[float, _New, Shape | None]]:
    """(extra cost, how the factors read with more put in, the shape that is multiplied)."""
    n = len(parts)
    matrices = any(p.op == "matmul" for p in parts)
    tail = n  # before the divisions by numbers and sizes at the end
    while tail > 1 and parts[tail - 1].op == "div" and (
        isinstance(parts[tail - 1].body, ast.Number) or pieces.is_dimension(parts[tail - 1].body)
    ):  # fmt: skip
        tail -= 1
    first = 1 if isinstance(parts[0].body, ast.Number) and n > 1 else 0
    if not matrices:
        whole = pieces.shape_of(product(parts))
        for k in range(first, n + 1):
            extra = 0.0 if k == tail else 0.03
            yield extra, _at(parts, k), whole
        return
    for k in range(1, n + 1):
        if k < n and parts[k].op == "matmul":
            continue
        extra = 0.0 if k == tail else 0.05
        yield extra, _bracketed(parts, 0, k), pieces.shape_of(product(parts[:k]))
    for k in range(first, n):
        held = parts[k].body
        if isinstance(held, ast.Apply) and held.op in MULTIPLICATIVE:
            continue  # looked at on its own
        yield 0.02, _bracketed(parts, k, k + 1), pieces.shape_of(parts[k].body)
        yield 0.04, _bracketed(parts, k, k + 1, before=True), pieces.shape_of(parts[k].body)
    yield 0.02, _bracketed(parts, first, tail, before=True), pieces.shape_of(product(parts[:tail]))


class _New:
    """The factors of a product with others multiplied to factors low to high."""

    def __init__(self, parts: Sequence[Factor], low: int, high: int, before: bool) -> None:
        self.parts, self.low, self.high, self.before = parts, low, high, before

    def __call__(self, inner: Sequence[Factor]) -> list[Factor]:
        parts, low, high = self.parts, self.low, self.high
        if low == high:  # in an elementwise product
            if low == 0:
                rest = [Factor("mul", parts[0].body, parts[0].sign), *parts[1:]]
                return [Factor("mul", inner[0].body, inner[0].sign), *inner[1:], *rest]
            here = [Factor("mul", inner[0].body, inner[0].sign), *inner[1:]]
            return [*parts[:low], *here, *parts[low:]]
        group = [Factor("mul", parts[low].body, parts[low].sign), *parts[low + 1 : high]]
        held = product(group)
        if any(f.op == "matmul" for f in group):
            held = replace(held, span=BRACKETED)
        if self.before:
            tight = [Factor("mul", inner[0].body, inner[0].sign), *inner[1:], Factor("mul", held)]
        else:
            tight = [Factor("mul", held), Factor("mul", inner[0].body, inner[0].sign), *inner[1:]]
        if low == 0 and (high == len(parts) or parts[high].op != "matmul"):
            return [*tight, *parts[high:]]
        body = replace(product(tight), span=BRACKETED)
        return [*parts[:low], parts[low]._replace(body=body), *parts[high:]]


def _at(parts: Sequence[Factor], k: int) -> _New:
    return _New(parts, k, k, False)


def _bracketed(parts: Sequence[Factor], low: int, high: int, before: bool = False) -> _New:
    return _New(parts, low, high, before)


def _between(
    parts: Sequence[Factor], body: ast.Expr, put: Put, cost: float, pieces: Pieces
) -> Iterator[Edit]:
    """A matrix between, before or behind the factors of a matrix product."""
    n = len(parts)
    first = 0  # behind the numbers at the front
    while first < n - 1 and parts[first].op != "matmul" and pieces.is_number(parts[first].body):
        first += 1
    for k in range(first, n + 1):
        if k == 0:
            new = [Factor("mul", body), Factor("matmul", parts[0].body), *parts[1:]]
            yield Edit(cost + 0.02, put, product(new), FACTOR_MISSING)
        elif k == n or parts[k].op != "div":
            after = list(parts[k:])
            if after and after[0].op == "mul":
                after[0] = Factor("matmul", after[0].body)
            op = "mul" if k == first and first else "matmul"
            new = [*parts[:k], Factor(op, body), *after]
            yield Edit(cost, put, product(new), FACTOR_MISSING)
