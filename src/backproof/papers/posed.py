"""The questions of a paper as they are posed, for whoever prints it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from backproof.calculus.latex import partial
from backproof.errors import BackproofError, Source
from backproof.language.statements import parse_expression
from backproof.papers.asked import in_words
from backproof.papers.choices import LETTERS, choice_of, match_of
from backproof.papers.paper import CHOICE, MATCH, Item, Paper, PaperSheet, Question
from backproof.render.posed import Formula, Option, Part, Posed
from backproof.working.writing import latex_array, latex_of


def posed_of(paper: Paper) -> dict[tuple[int, int], Posed]:
    """(sheet, ask) -> how it is posed; sheets count in the file, also those that cannot be read."""
    places = {
        block.sheet.region.start: k
        for k, block in enumerate(paper.document.sheets)
        if block.sheet is not None
    }
    found: dict[tuple[int, int], Posed] = {}
    for sheet in paper.sheets:
        at = places[sheet.sheet.region.start]
        asks = list(sheet.sheet.asks)
        for question in sheet.questions:
            found[at, asks.index(question.ask)] = _posed(sheet, question)
    return found


def _posed(sheet: PaperSheet, question: Question) -> Posed:
    marks = ""
    if question.ask.marks is not None:
        count = f"{float(question.marks):g}"
        marks = f"{count} mark{'' if count == '1' else 's'}"
    return Posed(marks, tuple(part for item in question.items for part in _parts(sheet, item)))


def _parts(sheet: PaperSheet, item: Item) -> Iterator[Part]:
    if item.expr is not None and item.kind == CHOICE:
        made = choice_of(sheet, item.expr)
        options = tuple(
            Option(letter, _formula(sheet, o.text), o.right, o.mistake)
            for letter, o in zip(LETTERS, made.options, strict=False)
        )
        yield Part(_formula(sheet, item.prompt), (), options, made.letter)
    elif item.expr is not None and item.kind == MATCH:
        pairs = match_of(sheet, item.expr)
        options = tuple(
            Option(letter, _formula(sheet, right))
            for letter, right in zip(LETTERS, pairs.shown, strict=False)
        )
        left = tuple(_left(text) for text, _ in pairs.pairs)
        yield Part(_formula(sheet, item.prompt), left, options, pairs.letters)
    elif in_words(item):
        yield Part(("", item.key), words=in_words(item))


def _left(text: str) -> Formula:
    """`∂z1/∂W1` as a fraction, `∂z1/∂W1 · v` as one times v."""
    found = re.fullmatch(r"∂(\w+)/∂(\w+)( · v)?", text)
    if found is None:
        return "", text
    return partial(found[1], found[2]) + (r" \cdot v" if found[3] else ""), text


def _formula(sheet: PaperSheet, text: str) -> Formula:
    if " = " in text:  # `diag(step(z1)) = D1`
        sides = [_formula(sheet, side)[0] for side in text.split(" = ")]
        return (" = ".join(sides) if all(sides) else ""), text
    if text.startswith("["):
        return latex_array(text), text
    try:
        return latex_of(sheet.model, parse_expression(Source("posed", text))), text
    except (BackproofError, KeyError, ValueError):
        return "", text
