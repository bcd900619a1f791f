"""Numbers for expressions: plain floats, loops over concrete dimensions. For tests and checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

from backproof.calculus.index.terms import BOUND, FREE, LITERAL, Args, Expr, Head, Ix, Size
from backproof.operators.dims import Dim

Entry = Callable[..., float]
_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "exp": math.exp,
    "log": lambda x: math.log(abs(x)),
    "sin": math.sin,
    "cos": math.cos,
    "erf": math.erf,
    "floor": lambda x: float(math.floor(x)),
}


class Values:
    """What names stand for: entries (functions of positions from one), dimension sizes."""

    def __init__(
        self,
        entries: Mapping[str, Entry],
        sizes: Mapping[str, int] | None = None,
        functions: Mapping[str, Callable[[float], float]] | None = None,
    ) -> None:
        self.entries = entries
        self.sizes = dict(sizes or {})
        self.functions = {**_FUNCTIONS, **(functions or {})}

    def size(self, value: Size) -> int:
        return value if isinstance(value, int) else value.evaluate(self.sizes)


def evaluate(expr: Expr, values: Values, at: Mapping[str, int] | None = None) -> float:
    """The number that *expr* is, with free indices at the positions *at*."""
    env = dict(at or {})
    result = 0.0
    for (sizes, factors), c in expr.terms.items():
        ranges = [range(1, values.size(s) + 1) for s in sizes]
        subtotal = 0.0
        # A delta of zero switches off entries that lie outside their axis: it is looked at first.
        ordered = sorted(factors, key=lambda f: f[0].kind not in "ILS")
        for own in product(*ranges):
            value = 1.0
            for head, args, e in ordered:
                places = [_position(a, own, env, values) for a in args]
                factor = _atom(head, args, places, values)
                value *= factor if e == 1 else _power(factor, float(e))
                if value == 0.0 and e > 0:
                    break
            subtotal += value
        result += float(c) * subtotal
    return result


def _power(base: float, e: float) -> float:
    if e == int(e):
        return base ** int(e)
    if base < 0:
        raise ValueError("a negative number to a fractional power")
    return float(base**e)


def _position(ix: Ix, own: tuple[int, ...], env: Mapping[str, int], values: Values) -> int:
    kind, label, _, offset = ix
    base = label if kind == LITERAL else own[label] if kind == BOUND else env[label]
    assert kind in (LITERAL, FREE, BOUND)
    more = offset if isinstance(offset, int) else Dim.of(offset).evaluate(values.sizes)
    return int(base + more)


def _atom(head: Head, args: Args, at: list[int], values: Values) -> float:
    kind = head.kind
    if kind == "T":
        return float(values.entries[head.name](*at))
    if kind == "D":
        return float(values.sizes[head.name])
    if kind == "N":
        return float(int(head.name))
    if kind == "I":
        return float(at[0] == at[1])
    if kind == "L":
        return float(at[0] < at[1])
    if kind == "S":
        whole = 0
        for part, radix in zip(at[1:], head.sizes, strict=True):
            whole = whole * values.size(radix) + part - 1
        return float(whole + 1 == at[0])
    assert head.body is not None
    if kind == "V":
        n = values.size(head.sizes[0])
        env = {f"${k + 2}": p for k, p in enumerate(at[2:])}
        return _inverse(_matrix(head.body, values, env, n))[at[0] - 1][at[1] - 1]
    if kind == "X":
        n = values.size(head.sizes[0])
        env = {f"${k + 2}": p for k, p in enumerate(at)}
        return _determinant(_matrix(head.body, values, env, n))
    if kind == "R":
        return _reduce(head, at, values)
    body = evaluate(head.body, values, {f"${k}": p for k, p in enumerate(at)})
    if kind == "P":
        return body
    if kind == "B":
        return float(body > 0)
    if kind == "Q":
        return float(abs(body) < 1e-12)
    return values.functions[head.name](body)


def _reduce(head: Head, at: list[int], values: Values) -> float:
    assert head.body is not None
    count = len(head.sizes)
    env = {f"${k + count}": p for k, p in enumerate(at)}
    found = [
        evaluate(head.body, values, {**env, **{f"${k}": p for k, p in enumerate(own)}})
        for own in product(*[range(1, values.size(s) + 1) for s in head.sizes])
    ]
    if head.name == "max":
        return max(found)
    if head.name == "prod":
        return math.prod(found)
    if head.name == "argmax":
        return float(found.index(max(found)) + 1)
    raise ValueError(f"the reduction {head.name} has no value here")


def _matrix(body: Expr, values: Values, env: Mapping[str, int], n: int) -> list[list[float]]:
    return [
        [evaluate(body, values, {**env, "$0": i, "$1": j}) for j in range(1, n + 1)]
        for i in range(1, n + 1)
    ]


def _determinant(m: list[list[float]]) -> float:
    m = [row[:] for row in m]
    result = 1.0
    for k in range(len(m)):
        pivot = max(range(k, len(m)), key=lambda r: abs(m[r][k]))
        if m[pivot][k] == 0:
            return 0.0
        if pivot != k:
            m[k], m[pivot] = m[pivot], m[k]
            result = -result
        result *= m[k][k]
        for r in range(k + 1, len(m)):
            f = m[r][k] / m[k][k]
            for c in range(k, len(m)):
                m[r][c] -= f * m[k][c]
    return result


def _inverse(m: list[list[float]]) -> list[list[float]]:
    n = len(m)
    both: list[list[Any]] = [[*row, *[float(i == j) for j in range(n)]] for i, row in enumerate(m)]
    for k in range(n):
        pivot = max(range(k, n), key=lambda r: abs(both[r][k]))
        both[k], both[pivot] = both[pivot], both[k]
        if both[k][k] == 0:
            raise ZeroDivisionError
        both[k] = [x / both[k][k] for x in both[k]]
        for r in range(n):
            if r != k:
                f = both[r][k]
                both[r] = [x - f * y for x, y in zip(both[r], both[k], strict=True)]
    return [row[n:] for row in both]
