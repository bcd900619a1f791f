"""Numbers as students write them: a literal, read without any expression, within bounds.

`[[0.1, -0.4], [0.5, −0.3]]`, `1.07`, `[1; 2]`, `0,1; 1,0`, `[0.1 1.0]`, `43.7 %`, `8.3·10^-2`, a
matrix in LaTeX: the values, and the decimals each is written with. A `?` or `_` for an entry is an
entry that is not there. Where a text can be read in two ways, the shape that is asked for decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

Array = Any
MOST_NUMBERS = 400
LONGEST_NUMBER = 60
LARGEST = 1e12  # what is larger is as far outside as this
LONGEST = 4000  # signs of a text
MISSING = ("?", "_")
_TOKEN = re.compile(
    r"\s*(?:(?P<number>[-+]?\s*(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?|\?+|_+)"
    r"|(?P<sign>[\[\](),;]))"
)


@dataclass(frozen=True)
class Numeric:
    """A written value.

    array     float64, two axes: a number is 1 × 1, a flat list a column; an entry that is not
              there is NaN
    decimals  of each entry; -1 for an integer
    flat      whether it was written as a number or as one flat list
    """

    array: Array
    decimals: Array
    flat: bool


def read_numeric(text: str) -> Numeric | None:
    """The literal value of a text, as it is read at first; None where it is anything else."""
    return next(readings(text), None)


def readings(text: str) -> Iterator[Numeric]:
    """Every way in which a text can be read as numbers, the most likely first."""
    plain = tidied(text)
    turned = _TURNED.search(plain)
    if turned is not None:
        plain = plain[: turned.start()].strip()
    percent = plain.endswith("%")
    if percent:
        plain = plain[:-1].strip()
    seen: list[str] = []
    for wording in _wordings(plain):
        if wording in seen:
            continue
        seen.append(wording)
        found = _literal(wording)
        if found is None:
            continue
        if turned is not None and not found.flat:
            found = Numeric(found.array.T, found.decimals.T, False)
        if percent:
            found = Numeric(found.array / 100, np.maximum(found.decimals, 0) + 2, found.flat)
        yield found


def _wordings(text: str) -> Iterator[str]:
    """As it stands, with a comma as the decimal point, with spaces between, without brackets."""
    comma = re.sub(r"(?<=\d),(?=\d)", ".", text)
    for one in (text, comma):
        spaced = _APART.sub(", ", one)
        yield one
        yield spaced
        if "[" not in one and "(" not in one:
            yield f"[{one}]"
            yield f"[{spaced}]"


def tidied(text: str) -> str:
    """What stands for the same in one spelling: signs, powers of ten, LaTeX, words around it."""
    if len(text) > LONGEST:
        return text
    plain = text.strip().translate(_SAME).strip("$ ")
    plain = re.sub(r"\s*\n\s*", " " if re.search(r"[\[\\]", plain) else "; ", plain)
    plain = re.sub(r"\\(?:left|right|[,;!]|quad|displaystyle)(?![A-Za-z])|\\[()]", " ", plain)
    plain = re.sub(r"\\begin\{[a-z]*(?:matrix|array)\}(?:\{[lcr|]*\})?", "[", plain)
    plain = re.sub(r"(?:\\\\\s*)?\\end\{[a-z]*(?:matrix|array)\}", "]", plain)
    plain = plain.replace("\\\\", ";").replace("&", ",").replace("{,}", ".")
    plain = re.sub(r"\\d?frac\{([^{}]*)\}\{([^{}]*)\}", r"(\1)/(\2)", plain)
    plain = re.sub(r"\\(?:cdot|times)(?![A-Za-z])", "*", plain).replace("\\%", "%")
    plain = _POWER.sub(lambda m: "e" + (m[1] or m[2].translate(_SUPERSCRIPTS)), plain)
    plain = re.sub(r"^(?:≈|≅|~|=|ca\.|approx\.?|about)\s*", "", plain.strip())
    plain = re.sub(r"(?<=[\d\])])\s*(?:nats?|units?|rad)\.?$", "", plain)
    return re.sub(r"(?<=[\d\])%])\s*[.;,]+$", "", plain).strip()


_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_SAME = str.maketrans(
    {
        **dict.fromkeys("−–—﹣－‐‑‒", "-"), **dict.fromkeys("·×∗⋅", "*"), "\u00a0": " ",
        "\u2009": " ", "\u202f": " ", "，": ",", "；": ";", "［": "[", "］": "]", "⊤": "T",
        "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4",
    }
)  # fmt: skip
_POWER = re.compile(
    r"(?<=[\d.])\s*[*x]\s*10\s*(?:(?:\^|\*\*)\s*[{(]?\s*([-+]?\s*\d{1,2})\s*[})]?"
    r"|([⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,2}))"
)
_TURNED = re.compile(r"\s*(?:\^\s*\{?\s*(?:T|\\top|\\intercal)\s*\}?|ᵀ|\.T|')\s*$")
# Spaces between numbers: not around a sign that stands by itself, which is arithmetic.
_APART = re.compile(r"(?<=[\d.?_\])])[^\S\n]+(?=[-+]?[\d.]|[?_\[(])")


def _literal(text: str) -> Numeric | None:
    """A number, a list of numbers or of rows, and nothing else."""
    tokens: list[str] = []
    at = 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.end() == at or len(tokens) > 4 * MOST_NUMBERS:
            return None
        tokens.append((match["number"] or match["sign"]).replace(" ", ""))
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
    if np.isnan(array).all():
        return None
    decimals = np.array([[n[1] for n in row if n] for row in numbers])
    return Numeric(array, decimals, flat)


def _number(text: str) -> tuple[float, int] | None:
    if len(text) > LONGEST_NUMBER:
        return None
    if text[0] in MISSING:
        return float("nan"), -1
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    number = float(value)
    if abs(number) > LARGEST:
        number = float(np.copysign(10 * LARGEST, number))
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
