"""A paper as quiz questions, whatever they are written out as afterwards.

Each item becomes one question: numbers (a value, entry by entry, each with the tolerance that
rounding leaves), a choice, a matching, a word (a shape, a blank), or free text with notes for
whoever marks it. Nothing here knows Moodle or QTI.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import permutations

import numpy as np

from backproof.language.format import unparse
from backproof.papers.asked import in_words
from backproof.papers.choices import Option, choice_of, match_of
from backproof.papers.key import answer_text
from backproof.papers.marking import Scheme, SheetMarker, Truth
from backproof.papers.naming import right_form
from backproof.papers.paper import (
    BLANK,
    BOUND,
    CHOICE,
    COUNT,
    GRADIENT,
    MATCH,
    SET,
    SHAPE,
    VALUE,
    Item,
    Paper,
    PaperSheet,
)
from backproof.working.report import statements_of
from backproof.working.writing import latex_of

NUMBERS, CHOOSE, PAIRS, WORD, TEXT = "numbers", "choose", "pairs", "word", "text"
_FORMED = (SHAPE, CHOICE, MATCH)
MOST_LISTED = 3  # names of a set, of which every order is a right word
MOST_CELLS = 24  # of an array that is asked entry by entry


@dataclass(frozen=True)
class Cell:
    """One number: where it stands, its value as shown, and the absolute tolerance."""

    label: str
    value: str
    tolerance: str


@dataclass(frozen=True)
class Entry:
    """One question of a quiz.

    kind      numbers | choose | pairs | word | text
    prompt    what is asked, in plain text; `latex` is the quantity as a formula, or ""
    context   the sheet's statements, and the prose before them
    cells     numbers: in reading order, with `rows` × `columns` of them
    words     word: every spelling that is right
    notes     for whoever marks: the answer and how it may differ
    """

    id: str
    title: str
    kind: str
    prompt: str
    context: str
    intro: str
    marks: Fraction
    latex: str = ""
    cells: tuple[Cell, ...] = ()
    rows: int = 1
    columns: int = 1
    options: tuple[Option, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] = ()
    notes: str = ""


@dataclass(frozen=True)
class Quiz:
    """A paper's questions, in order."""

    title: str
    entries: tuple[Entry, ...] = field(default=())


def quiz_of(paper: Paper) -> Quiz:
    """The questions of a paper."""
    entries = [e for sheet in paper.sheets if sheet.items for e in _entries(sheet)]
    return Quiz(paper.title or paper.file, tuple(entries))


def _entries(sheet: PaperSheet) -> Iterator[Entry]:
    marker = SheetMarker(sheet, Scheme())
    context = statements_of(sheet.sheet).strip()
    for item in sheet.items:
        own = marker.of(item)
        yield _entry(own.sheet, item, own, context)


def _entry(sheet: PaperSheet, item: Item, marker: SheetMarker, context: str) -> Entry:
    latex = ""
    if item.expr is not None and (item.key == unparse(item.expr) or item.kind in _FORMED):
        latex = latex_of(sheet.model, item.expr)  # of anything else it would be the answer
    asked = f"Work out {_asked(item)}" if item.expr is not None else f"Answer: {item.prompt}"
    base = Entry(
        item.id, f"{sheet.name}: {item.key}", TEXT, f"{asked}.", context,
        " ".join(_prose(sheet.intro)), item.marks, latex,
    )  # fmt: skip
    words = in_words(item)
    if words:
        base = replace(base, prompt=f"{words[0].upper()}{words[1:]}: {item.key}.")
    if item.kind == COUNT:
        return replace(base, kind=NUMBERS, cells=(Cell("", item.answer, "0"),))
    if item.kind in (SET, BOUND):
        listed = list_words(marker.sets.wanted(item)) if item.answer and item.kind == SET else []
        return replace(
            base, kind=WORD if listed else TEXT, words=tuple(listed),
            notes=f"Right: {answer_text(item, marker)}",
        )  # fmt: skip
    truth = marker.truths.get(item.key)
    if item.kind in (VALUE, GRADIENT) and truth is not None and truth.centre.size <= MOST_CELLS:
        rows, columns = truth.centre.shape
        return replace(
            base, kind=NUMBERS,
            prompt=f"{base.prompt.rstrip('.')}, to {marker.rounding.decimals} decimals.",
            cells=tuple(_cells(truth, marker)), rows=rows, columns=columns,
            notes=_notes(sheet, item),
        )  # fmt: skip
    if item.kind == CHOICE and item.expr is not None:
        options = choice_of(sheet, item.expr).options
        return replace(base, kind=CHOOSE, prompt=f"Which is {unparse(item.expr)}?", options=options)
    if item.kind == MATCH and item.expr is not None:
        prompt = f"The chain of {unparse(item.expr)}: match each derivative to its form."
        return replace(base, kind=PAIRS, prompt=prompt, pairs=match_of(sheet, item.expr).pairs)
    if item.kind == SHAPE:
        prompt = f"What is the shape of {item.prompt}? Write it as (rows, columns)."
        return replace(base, kind=WORD, prompt=prompt, words=tuple(shape_words(item.answer)))
    if item.kind == BLANK:
        prompt = f"What stands in the box {item.key} of: {item.prompt}?"
        return replace(base, kind=WORD, prompt=prompt, words=(item.answer,))
    return replace(base, notes=_notes(sheet, item))


def _asked(item: Item) -> str:
    if item.key.startswith("new("):
        return f"{item.prompt} after one step ({unparse(item.expr)})" if item.expr else item.prompt
    return item.key


def _prose(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return " ".join(lines).replace("**", "").replace("`", "").split()


def shape_words(answer: str) -> list[str]:
    """The usual spellings of a shape: (3, 2), 3 × 2, 3x2 …"""
    parts = [p.strip() for p in answer.strip("()").split(",") if p.strip()]
    if not parts:
        return ["()", "scalar", "a number", "number", "1"]
    joined = [f"({', '.join(parts)})", f"({','.join(parts)})", ", ".join(parts), ",".join(parts)]
    joined += [f" {sign} ".join(parts) for sign in "x×"] + [sign.join(parts) for sign in "x×"]
    if len(parts) == 1:
        p = parts[0]
        joined += [f"({p},)", f"({p}, 1)", f"({p},1)", f"{p} x 1", f"{p} × 1", f"{p}x1", f"{p}×1"]
    return list(dict.fromkeys(joined))


def list_words(wanted: tuple[list[str], set[str]]) -> list[str]:
    """Every order of few names, with and without those that may be left out; [] for many."""
    must, may = wanted
    if len(must) + len(may) > MOST_LISTED:
        return []
    found = [
        sign.join(order)
        for names in ([*must, *sorted(may)], must)
        for order in permutations(names)
        for sign in (", ", ",", " ")
    ]
    return list(dict.fromkeys(found))


def _cells(truth: Truth, marker: SheetMarker) -> Iterator[Cell]:
    """Each entry with the tolerance that its interval leaves on the wider side."""
    places = marker.rounding.decimals
    rows, columns = truth.centre.shape
    for index in np.ndindex(rows, columns):
        centre = float(truth.centre[index])
        shown = f"{centre:.{places}f}"
        if float(shown) == 0:
            shown = f"{0:.{places}f}"
        value = float(shown)
        reach = max(float(truth.ends[1][index]) - value, value - float(truth.ends[0][index]))
        tolerance = f"{reach + 0.1 * 10.0**-places:.{places + 2}f}"
        where = f"[{index[0] + 1}, {index[1] + 1}]" if columns > 1 else f"[{index[0] + 1}]"
        yield Cell("" if truth.centre.size == 1 else where, shown, tolerance)


def _notes(sheet: PaperSheet, item: Item) -> str:
    form = right_form(sheet, item) if item.expr is not None else None
    if form is None:
        return "Read by a person."
    return f"Right: {item.key} = {unparse(form)}, or whatever equals it for all values."
