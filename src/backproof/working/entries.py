"""One entry of an expression, written out with its numbers the way one does by hand.

`-sum(Y*log(P), axis=1)` at row 2 becomes `-log(0.21)`: a label of zero makes its term vanish, a
label of one is not written. Sums and means over an axis, and sums with an index, are written as
their terms. What has no such form raises `NotWritable`, or stands as its value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Any

import numpy as np

from backproof.calculus.values import (
    SheetValues,
    Writer,
    writer,
)
from backproof.errors import BackproofError
from backproof.language import syntax as ast
from backproof.operators.arithmetic import decimal_context

Array = Any
SUM, PRODUCT, SIGN, POWER, ATOM = range(1, 6)
MOST_TERMS = 8  # a longer sum is written with dots


class NotWritable(Exception):
    """The expression has no form entry by entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as text.

    level      how tightly its outermost operator binds
    value      its number, where it is known without evaluating functions
    vanishes   a label of zero makes it zero, so that a sum leaves it out
    """

    text: str
    level: int = ATOM
    value: Decimal | None = None
    vanishes: bool = False

    def at_least(self, level: int) -> str:
        return f"({self.text})" if self.level < level else self.text


ZERO = Entry("0", ATOM, Decimal(0), True)
_FUNCTIONS = frozenset({
    "relu", "leaky_relu", "elu", "gelu", "gelu_tanh", "silu", "softplus", "sigmoid", "tanh",
    "exp", "log", "log2", "log10", "sqrt", "abs", "sign", "step", "sin", "cos", "square",
    "floor", "ceil", "erf", "clip",
})  # fmt: skip
_COMPARE: dict[str, tuple[str, Callable[[Decimal, Decimal], bool]]] = {
    "gt": (">", lambda a, b: a > b),
    "ge": (">=", lambda a, b: a >= b),
    "lt": ("<", lambda a, b: a < b),
    "le": ("<=", lambda a, b: a <= b),
    "eq": ("==", lambda a, b: a == b),
    "ne": ("!=", lambda a, b: a != b),
}
Loops = Mapping[str, int]
Place = tuple[int, int]


def entry_text(values: SheetValues, expr: ast.Expr, place: Place = (0, 0)) -> str:
    """The text of one entry (row and column counted from zero); NotWritable where it has none."""
    return entry(values, expr, place).text


def entry(values: SheetValues, expr: ast.Expr, place: Place = (0, 0)) -> Entry:
    """One entry of an expression, whose names must all have values."""
    with decimal_context():
        return _Writer(values).write(expr, place, {})


def has_terms(expr: ast.Expr) -> bool:
    """Whether writing the entries out shows the terms of a sum, a mean or the like."""
    return any(
        isinstance(e, ast.Comprehension) or (isinstance(e, ast.Apply) and _reduces(e))
        for e in ast.walk(expr)
    )


def _reduces(call: ast.Apply) -> bool:
    return call.op in _REDUCTIONS and (call.op not in ("max", "min") or len(call.args) == 1)


class _Writer:
    """Writes entries; `loops` holds the values of the indices that are open."""

    def __init__(self, values: SheetValues) -> None:
        self.values = values

    def write(self, expr: ast.Expr, at: Place, loops: Loops) -> Entry:
        match expr:
            case ast.Number(value=value, text=text):
                number = Decimal(value.numerator) / Decimal(value.denominator)
                return Entry(text, ATOM, number)
            case ast.Name():
                return self._name(expr, at, loops)
            case ast.Apply():
                return self._apply(expr, at, loops)
            case ast.Subscript():
                return self._subscript(expr, at, loops)
            case ast.Comprehension():
                return self._comprehension(expr, loops)
            case ast.TupleExpr(items=(only,)):
                return self.write(only, at, loops)
            case _:
                return self._evaluated(expr, at, loops)

    # --- leaves ------------------------------------------------------------------------------

    def _name(self, name: ast.Name, at: Place, loops: Loops) -> Entry:
        if name.id in loops:
            return self._number(Decimal(loops[name.id]), 0)
        if name.id in self.values.leaves:
            array = self.values.named(name.id)
            if name.id in self.values.model.declared:
                return self._of_array(array, at, self.values.as_given)
            return self._of_array(array, at)
        size = self.values.model.number_sizes().get(name.id)
        return Entry(name.id) if size is None else self._number(Decimal(size), 0)

    def _of_array(self, array: Array, at: Place, write: Writer | None = None) -> Entry:
        if array.ndim != 2:
            raise NotWritable
        row, column = (0 if n == 1 else k for k, n in zip(at, array.shape, strict=True))
        how = self.values.decimals_of(array) if write is None else write
        return self._number(array[row, column], how)

    def _number(self, value: Decimal, how: int | Writer) -> Entry:
        text = writer(how)(value)
        return Entry(text, SIGN if text.startswith("-") else ATOM, value)

    def _evaluated(self, expr: ast.Expr, at: Place, loops: Loops) -> Entry:
        """What has no form of its own stands as its value."""
        if loops:
            raise NotWritable
        return self._of_array(self.values.expression(expr), at)

    # --- operators ---------------------------------------------------------------------------

    def _apply(self, expr: ast.Apply, at: Place, loops: Loops) -> Entry:
        op, args = expr.op, expr.args
        infix = _INFIX.get(op)
        if infix is not None:
            return infix(*(self.write(a, at, loops) for a in args))
        if op == "transpose":
            return self.write(args[0], (at[1], at[0]), loops)
        if op in _COMPARE:
            a, b = (self.write(x, at, loops) for x in args)
            truth = None
            if a.value is not None and b.value is not None:
                truth = Decimal(_COMPARE[op][1](a.value, b.value))
            return Entry(f"{a.at_least(SUM)} {_COMPARE[op][0]} {b.at_least(SUM)}", 0, truth)
        if op == "where":
            chosen = self.write(args[0], at, loops).value
            if chosen is None:
                return self._evaluated(expr, at, loops)
            return self.write(args[1] if chosen else args[2], at, loops)
        if op in _FUNCTIONS or (op in ("max", "min") and len(args) > 1):
            inner = ", ".join(self.write(a, at, loops).text for a in args)
            return Entry(f"{op}({inner})")
        if _reduces(expr) and not loops:
            return self._reduction(expr, at)
        return self._evaluated(expr, at, loops)

    # --- sums over an axis -------------------------------------------------------------------

    def _reduction(self, expr: ast.Apply, at: Place) -> Entry:
        shape = self._shape(expr.args[0])
        axis = dict(expr.options).get("axis")
        if axis is None:
            places = list(product(range(shape[0]), range(shape[1])))
        else:
            k = int(axis.value) if isinstance(axis, ast.Number) else -1
            if k not in (0, 1):
                raise NotWritable
            places = [(i, at[1]) if k == 0 else (at[0], i) for i in range(shape[k])]
        terms = [self.write(expr.args[0], p, {}) for p in _few(places)]
        return _REDUCTIONS[expr.op](terms, len(places))

    def _shape(self, expr: ast.Expr) -> tuple[int, int]:
        array = self.values.expression(expr)
        if array.ndim != 2:
            raise NotWritable
        return array.shape[0], array.shape[1]

    # --- indices -----------------------------------------------------------------------------

    def _subscript(self, expr: ast.Subscript, at: Place, loops: Loops) -> Entry:
        if not loops:
            return self._evaluated(expr, at, loops)
        if not isinstance(expr.base, ast.Name) or expr.base.id not in self.values.leaves:
            raise NotWritable
        array = self.values.named(expr.base.id)
        indices = []
        for item in expr.items:
            if isinstance(item, ast.Slice):
                raise NotWritable
            place = self.write(item, (0, 0), loops).value
            if place is None or place != int(place):
                raise NotWritable
            indices.append(int(place) - 1)
        if array.ndim != 2 or len(indices) > 2 or (len(indices) == 1 < min(array.shape)):
            raise NotWritable
        if len(indices) == 1:
            indices = [indices[0], 0] if array.shape[1] == 1 else [0, indices[0]]
        if not all(0 <= k < n for k, n in zip(indices, array.shape, strict=True)):
            raise NotWritable
        return self._name(expr.base, (indices[0], indices[1]), loops)

    def _comprehension(self, expr: ast.Comprehension, loops: Loops) -> Entry:
        terms: list[Entry] = []
        self._run(expr, 0, dict(loops), terms)
        if not terms:
            return ZERO
        shown = terms if len(terms) <= MOST_TERMS else [*terms[:3], terms[-1]]
        return _REDUCTIONS[expr.kind](shown, len(terms))

    def _run(
        self, expr: ast.Comprehension, k: int, loops: dict[str, int], terms: list[Entry]
    ) -> None:
        if k == len(expr.loops):
            truths = [self.write(c, (0, 0), loops).value for c in expr.conditions]
            if None in truths:
                raise NotWritable
            if all(truths):
                terms.append(self.write(expr.body, (0, 0), loops))
            return
        loop = expr.loops[k]
        low, high = (self.write(e, (0, 0), loops).value for e in (loop.lower, loop.upper))
        if low is None or high is None or high - low > 1000:
            raise NotWritable
        for i in range(int(low), int(high) + 1):
            self._run(expr, k + 1, {**loops, loop.name: i}, terms)


def _few(places: list[Place]) -> list[Place]:
    return places if len(places) <= MOST_TERMS else [*places[:3], places[-1]]


# --- how operators are written ---------------------------------------------------------------


def _add(a: Entry, b: Entry) -> Entry:
    if a.vanishes or b.vanishes:
        return b if a.vanishes else a
    return Entry(_plus(a.text, b), SUM, _known(a, b, lambda x, y: x + y))


def _plus(left: str, b: Entry) -> str:
    if b.text.startswith("-") and b.level >= PRODUCT:
        return f"{left} - {b.text[1:]}"
    return f"{left} + {b.at_least(SUM)}"


def _sub(a: Entry, b: Entry) -> Entry:
    if b.vanishes:
        return a
    if a.vanishes:
        return _neg(b)
    right = f"({b.text})" if b.level <= SUM or b.text.startswith("-") else b.text
    return Entry(f"{a.text} - {right}", SUM, _known(a, b, lambda x, y: x - y))


def _mul(a: Entry, b: Entry) -> Entry:
    if a.value == 0 or b.value == 0:
        return ZERO
    if a.value == 1:
        return b
    if b.value == 1:
        return a
    right = f"({b.text})" if b.level <= SIGN else b.text
    return Entry(f"{a.at_least(PRODUCT)}*{right}", PRODUCT, _known(a, b, lambda x, y: x * y))


def _div(a: Entry, b: Entry) -> Entry:
    if a.vanishes:
        return ZERO
    right = f"({b.text})" if b.level <= SIGN else b.text
    value = _known(a, b, lambda x, y: x / y) if b.value else None
    return Entry(f"{a.at_least(PRODUCT)}/{right}", PRODUCT, value)


def _pow(a: Entry, b: Entry) -> Entry:
    return Entry(f"{a.at_least(ATOM)}**{b.at_least(SIGN)}", POWER)


def _neg(a: Entry) -> Entry:
    if a.vanishes:
        return a
    inner = f"({a.text})" if a.level <= SUM or a.text.startswith("-") else a.text
    return Entry(
        f"-{inner}", SIGN if a.level > PRODUCT else PRODUCT, None if a.value is None else -a.value
    )


def _known(a: Entry, b: Entry, op: Callable[[Decimal, Decimal], Decimal]) -> Decimal | None:
    return None if a.value is None or b.value is None else op(a.value, b.value)


_INFIX: dict[str, Callable[..., Entry]] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "pow": _pow,
    "neg": _neg,
}

Terms = Sequence[Entry]


def _joined(terms: Terms, count: int) -> Entry:
    """The sum of the terms; between the third and the last may be more than are given."""
    dots = count > len(terms)
    kept = list(terms) if dots else [t for t in terms if not t.vanishes]
    if not kept:
        return ZERO
    if len(kept) == 1:
        return kept[0]
    text = kept[0].text
    for k, term in enumerate(kept[1:], 1):
        if dots and k == len(kept) - 1:
            text += " + …"
        text = _plus(text, term)
    return Entry(text, SUM)


def _mean(terms: Terms, count: int) -> Entry:
    total = _joined(terms, count)
    return total if count == 1 else _div(total, Entry(str(count), ATOM, Decimal(count)))


def _squares(terms: Terms, count: int) -> Entry:
    two = Entry("2", ATOM, Decimal(2))
    return _joined([t if t.vanishes else _pow(t, two) for t in terms], count)


def _call(name: str) -> Callable[[Terms, int], Entry]:
    def write(terms: Terms, count: int) -> Entry:
        texts = [t.text for t in terms]
        if count > len(terms):
            texts.insert(len(texts) - 1, "…")
        return Entry(f"{name}({', '.join(texts)})")

    return write


def _prod(terms: Terms, count: int) -> Entry:
    texts = [f"({t.text})" if t.level <= SIGN else t.text for t in terms]
    if count > len(terms):
        texts.insert(len(texts) - 1, "…")
    return Entry("*".join(texts), PRODUCT)


_REDUCTIONS: dict[str, Callable[[Terms, int], Entry]] = {
    "sum": _joined,
    "mean": _mean,
    "sumsq": _squares,
    "norm": lambda terms, count: Entry(f"sqrt({_squares(terms, count).text})"),
    "prod": _prod,
    "max": _call("max"),
    "min": _call("min"),
}


def writable(values: SheetValues, expr: ast.Expr, places: Sequence[Place]) -> list[str] | None:
    """The entries at these places as text; None where they have no such form."""
    try:
        return [entry_text(values, expr, p) for p in places]
    except (NotWritable, BackproofError, KeyError, IndexError):
        return None


def places_of(array: Array) -> list[Place]:
    """Every place of a matrix, row by row."""
    rows, columns = np.shape(array)
    return list(product(range(rows), range(columns)))
