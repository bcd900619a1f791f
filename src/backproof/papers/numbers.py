"""Numbers as students write them: a literal, read without any expression, within bounds.

`[[0.1, -0.4], [0.5, −0.3]]`, `1.07`, `[1; 2]`: the values, and the decimals each is written with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

Array = Any
MOST_NUMBERS = 400
LONGEST_NUMBER = 24
LARGEST = 1e12
_TOKEN = re.compile(
    r"\s*(?:(?P<number>[-+−]?\s*(?:\d+\.?\d*|\.\d+)(?:[eE][-+−]?\d{1,2})?)|(?P<sign>[\[\](),;]))"
)


@dataclass(frozen=True)
class Numeric:
    """A written value.

    array     float64, two axes: a number is 1 × 1, a flat list a column
    decimals  of each entry; -1 for an integer
    flat      whether it was written as a number or as one flat list
    """

    array: Array
    decimals: Array
    flat: bool


def read_numeric(text: str) -> Numeric | None:
    """The literal value of a text; None where it is anything else."""
    tokens: list[str] = []
    at = 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.end() == at or len(tokens) > 4 * MOST_NUMBERS:
            return None
        tokens.append((match["number"] or match["sign"]).replace("−", "-").replace(" ", ""))
        at = match.end()
    rows = _rows(tokens)
    if rows is None:
        return None
    flat, cells = rows
    width = len(cells[0])
    if not width or any(len(row) != width for row in cells) or len(cells) * width > MOST_NUMBERS:
        return None
    numbers = [[_number(cell) for cell in row] for row in cells]
    if any(n is None for row in numbers for n in row):
        return None
    array = np.array([[n[0] for n in row if n] for row in numbers], dtype=np.float64)
    decimals = np.array([[n[1] for n in row if n] for row in numbers])
    return Numeric(array, decimals, flat)


def _number(text: str) -> tuple[float, int] | None:
    if len(text) > LONGEST_NUMBER:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    number = float(value)
    if not np.isfinite(number) or abs(number) > LARGEST:
        return None
    exponent = value.as_tuple().exponent
    places = -exponent if isinstance(exponent, int) else 0
    return number, places if "." in text or places > 0 else -1


def _rows(tokens: list[str]) -> tuple[bool, list[list[str]]] | None:
    """(whether it is flat, the cells of each row) of a bracketed list, or of one number."""
    if len(tokens) == 1 and tokens[0] not in "[](),;":
        return True, [tokens]
    if len(tokens) < 3 or tokens[0] not in "[(" or tokens[-1] not in "])":
        return None
    inner = tokens[1:-1]
    if inner[0] in ("[", "("):
        rows: list[list[str]] = []
        at = 0
        while at < len(inner):
            if inner[at] not in ("[", "("):
                return None
            end = next((k for k in range(at, len(inner)) if inner[k] in "])"), None)
            if end is None:
                return None
            row = _cells(inner[at + 1 : end], ",")
            if row is None:
                return None
            rows.append(row)
            at = end + 1
            if at < len(inner):
                if inner[at] not in (",", ";"):
                    return None
                at += 1
        return False, rows
    if ";" in inner:
        parts: list[list[str]] = [[]]
        for token in inner:
            if token == ";":
                parts.append([])
            else:
                parts[-1].append(token)
        split = [_cells(part, ",") for part in parts]
        if any(row is None for row in split):
            return None
        return all(len(row or ()) == 1 for row in split), [row or [] for row in split]
    cells = _cells(inner, ",")
    return None if cells is None else (True, [[cell] for cell in cells])


def _cells(tokens: list[str], between: str) -> list[str] | None:
    """The numbers of `a, b, c`."""
    if not tokens or len(tokens) % 2 == 0:
        return None
    if any(t in "[](),;" for t in tokens[::2]) or any(t != between for t in tokens[1::2]):
        return None
    return tokens[::2]


def fitted(numeric: Numeric, shape: tuple[int, ...]) -> tuple[Numeric, bool] | None:
    """(the value in the shape wanted, whether it was written in that shape); None: no fit.

    A flat list stands for a row as well as for a column; a row written for a column fits, and
    its shape is another matter.
    """
    have = numeric.array.shape
    if have == shape:
        return numeric, True
    if len(shape) == 2 and have == (shape[1], shape[0]) and 1 in shape:
        turned = Numeric(numeric.array.T, numeric.decimals.T, numeric.flat)
        return turned, numeric.flat
    return None


def show(array: Array, decimals: int) -> str:
    """A value as a sheet would write it."""
    from backproof.calculus.values import show_array

    return show_array(np.asarray(array), decimals)
