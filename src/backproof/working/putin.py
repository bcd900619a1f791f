"""Expressions with the numbers put in: names replaced by their values, matrices by their rows.

Small arrays are written out, larger ones by their first entries. What is written entry by entry
is `entries`' business.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from backproof.calculus.values import (
    SheetValues,
    Writer,
    decimals_needed,
    nested,
    show_array,
    writer,
)
from backproof.language import syntax as ast
from backproof.working.writing import written

Array = Any
MOST_ROWS, MOST_COLUMNS = 4, 6
MOST_PASSED_ON = 10_000  # entries of a Step's value
LONGEST = 700  # characters of a line with numbers
_DERIVED = ("grad", "jac", "hess")


def put_in(values: SheetValues, expr: ast.Expr) -> str | None:
    """The expression with its numbers put in; None where that would say nothing more.

    Everything that the expression depends on must have a value.
    """
    if isinstance(expr, ast.Name | ast.Number | ast.Array):
        return None
    changed = _replaced(values, expr)
    text = unbracketed(written(changed))
    return text if text != written(expr) and len(text) <= LONGEST else None


def _replaced(values: SheetValues, expr: ast.Expr) -> ast.Expr:
    """Parts that have a value become names that read as the value."""
    match expr:
        case ast.Apply(op=op) if op in _DERIVED:
            return ast.Name(brief(values, values.expression(expr)))
        case ast.Apply(args=args, options=options):
            if op_text(expr) is not None:
                return expr
            new = tuple(_replaced(values, a) for a in args)
            return replace(expr, args=new, options=options)
        case ast.Subscript():
            return ast.Name(brief(values, values.expression(expr)))
        case ast.Array(items=items):
            return replace(expr, items=tuple(_replaced(values, i) for i in items))
        case ast.Name():
            return _named(values, expr)
        case ast.Comprehension():
            return expr  # written out by `entries`, or left as it is
        case _:
            return expr


def op_text(expr: ast.Apply) -> str | None:
    """The quoted text of a call that has one: einsum's letters say more than its numbers."""
    first = expr.args[0] if expr.args else None
    return first.value if isinstance(first, ast.Text) else None


def _named(values: SheetValues, name: ast.Name) -> ast.Name:
    if name.id in values.leaves:
        return ast.Name(brief_named(values, name.id))
    size = values.model.number_sizes().get(name.id)
    return name if size is None else ast.Name(str(size))


def brief_named(values: SheetValues, name: str) -> str:
    """The value of a name, as it stands in a line."""
    array = values.named(name)
    if name in values.model.declared:
        return brief_array(array, values.as_given)
    return brief(values, array)


def brief(values: SheetValues, array: Array) -> str:
    """A result, as it stands in a line: written out where it is small."""
    return brief_array(array, values.decimals_of(array))


def brief_array(array: Array, decimals: int | Writer) -> str:
    """An array as a sheet would write it, with `…` for what does not fit into a line."""
    a = np.asarray(array, dtype=object)
    write = writer(decimals)
    if a.ndim > 2:
        shape = " × ".join(map(str, a.shape))
        return f"[{write(a.reshape(-1)[0])}, …] ({shape})"
    if a.size == 1:
        text = show_array(a, write)
        return f"({text})" if text.startswith("-") else text
    column = a.shape[1] == 1
    if (column and a.shape[0] <= MOST_COLUMNS) or small(a):
        return show_array(a, write)
    if column:
        first = ", ".join(write(x) for x in a[:3, 0])
        return f"[{first}, …]"
    rows = []
    for row in a[: MOST_ROWS if len(a) <= MOST_ROWS else 2]:
        entries = [write(x) for x in row[: MOST_COLUMNS if len(row) <= 6 else 3]]
        rows.append(f"[{', '.join(entries)}{', …' if len(row) > MOST_COLUMNS else ''}]")
    return f"[{', '.join(rows)}{', …' if len(a) > MOST_ROWS else ''}]"


def value_of(values: SheetValues, array: Array) -> Any:
    """A result for a Step: rounded as shown, nested; None where it is too large to pass on."""
    return nested(array, values.decimals_of(array)) if array.size <= MOST_PASSED_ON else None


def exactly(array: Array) -> Any:
    """What the sheet gives, digit for digit, for a Step."""
    if array.size > MOST_PASSED_ON:
        return None
    return nested(array, decimals_needed(array, 50))


def small(array: Array) -> bool:
    """Whether a matrix is written out in a line."""
    return bool(array.ndim == 2 and array.shape[0] <= MOST_ROWS and array.shape[1] <= MOST_COLUMNS)


# A negative number needs its brackets only behind an operator.
_LEADING = re.compile(r"(?:^|(?<=[(,] )|(?<=\())\((-[\d.]+)\)(?=$|[,)/]| [-+@<>=]|\*(?!\*))")


def unbracketed(text: str) -> str:
    """The text without brackets around negative numbers that nothing stands before."""
    return _LEADING.sub(r"\1", text)
