"""What the text of a paper says about its numbers, told anew for a variant.

Before a sheet, a value in code, as in `W = [[0.1, -0.4], [0.5, -0.3]]`, becomes the variant's own.
What stands right behind a varied sheet talks about the paper's own answer, up to the next heading,
and is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from backproof.language.markdown import Prose, SheetBlock
from backproof.papers.numbers import read_numeric
from backproof.papers.paper import Paper, PaperSheet

CODE = re.compile(r"`([^`\n]+)`")
_STATED = re.compile(r"\s*([^\W\d]\w*)\s*(={1,2})\s*([^=]+?)\s*")
_BEHIND = re.compile(r"^(?:#{1,6} |\*\*\()", re.MULTILINE)
_DECIMAL = re.compile(r"(?<![\w.])[-−]?\d+\.\d+(?!\w|\.\d)")


def told_anew(
    paper: Paper, drawn: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[int, int, str]]:
    """(start, end, what to write there) for the prose of a variant.

    drawn   sheet name -> name -> the value drawn
    """
    sheets = {s.sheet.region.start: s for s in paper.sheets}
    behind: PaperSheet | None = None
    blocks = paper.document.blocks
    for k, block in enumerate(blocks):
        if isinstance(block, SheetBlock):
            behind = _of(block, sheets)
            continue
        assert isinstance(block, Prose)
        start = block.span.start
        if behind is not None and behind.name in drawn:
            heading = _BEHIND.search(block.text)
            length = heading.start() if heading else len(block.text)
            if block.text[:length].strip():
                yield start, start + length, "\n"
            start += length
        behind = None
        ahead = blocks[k + 1] if k + 1 < len(blocks) else None
        sheet = _of(ahead, sheets) if isinstance(ahead, SheetBlock) else None
        if sheet is not None and sheet.name in drawn:
            for at, end, name, sign in stated(paper.text, start, block.span.end, sheet):
                if name in drawn[sheet.name]:
                    yield at, end, f"{name} {sign} {written(drawn[sheet.name][name])}"


def _of(block: SheetBlock, sheets: Mapping[int, PaperSheet]) -> PaperSheet | None:
    return sheets.get(block.sheet.region.start) if block.sheet is not None else None


def stated(
    text: str, start: int, end: int, sheet: PaperSheet
) -> Iterator[tuple[int, int, str, str]]:
    """(start, end, name, sign) of each given value of a sheet that a text states in code."""
    for match in CODE.finditer(text, start, end):
        found = _STATED.fullmatch(match[1])
        if found is None:
            continue
        numeric, own = read_numeric(found[3]), given_value(sheet, found[1])
        if numeric is None or own is None:
            continue
        if numeric.array.shape in (own.shape, own.T.shape) and np.array_equal(
            numeric.array.ravel(), own.ravel()
        ):
            yield match.start(1), match.end(1), found[1], found[2]


def given_value(sheet: PaperSheet, name: str) -> np.ndarray | None:
    """The value that a sheet gives to a name or a dimension."""
    if name in sheet.sheet.lets:
        size = sheet.model.number_sizes().get(name)
        return None if size is None else np.array([[float(size)]])
    if name not in sheet.model.declared or not sheet.model.has_value(name):
        return None
    return np.asarray(sheet.values.named(name), dtype=np.float64)


def stale_numbers(paper: Paper, sheet: PaperSheet) -> Iterator[tuple[int, str, str]]:
    """(offset, the number, the name) of numbers before a sheet that its variants would not have."""
    blocks = paper.document.blocks
    own = {v.name: given_value(sheet, v.name) for v in sheet.sheet.varies}
    for block, ahead in pairwise(blocks):
        if not isinstance(block, Prose) or not isinstance(ahead, SheetBlock):
            continue
        if ahead.sheet is None or ahead.sheet.region.start != sheet.sheet.region.start:
            continue
        right = list(stated(paper.text, block.span.start, block.span.end, sheet))
        heading = [m.start() for m in _BEHIND.finditer(block.text)]
        first = block.span.start + (heading[-1] if heading else 0)
        for match in _DECIMAL.finditer(paper.text, first, block.span.end):
            if any(at <= match.start() < end for at, end, *_ in right):
                continue
            number = float(match[0].replace("−", "-"))
            for name, value in own.items():
                if value is not None and (value == number).any():
                    yield match.start(), match[0], name
                    break


def written(value: Any) -> str:
    """A drawn value as a sheet writes it."""
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    number = Fraction(value)
    if number.denominator == 1:
        return str(number)
    for places in range(1, 13):
        if (number * 10**places).denominator == 1:
            return f"{float(number):.{places}f}"
    return f"{number.numerator}/{number.denominator}"
