"""The form that students fill in: every line to answer, its marks, and the choices to choose from.

A filled-in form is a script that `mark` reads; lines may stay empty.
"""

from __future__ import annotations

from collections.abc import Iterator

from backproof.language.format import unparse
from backproof.papers.asked import in_words
from backproof.papers.choices import LETTERS, choice_of, match_of
from backproof.papers.paper import BLANK, CHOICE, ESSAY, MATCH, Item, Paper, PaperSheet


def form_text(paper: Paper) -> str:
    """The empty form of a paper."""
    return "\n".join(_lines(paper)) + "\n"


def _lines(paper: Paper) -> Iterator[str]:
    yield f"# {paper.title}: {float(paper.marks):g} marks. Write behind the equals signs."
    yield "# A matrix is written [[1, 2], [3, 4]], a column [1, 2]. Lines may stay empty."
    yield "student: "
    for sheet in paper.sheets:
        if not sheet.items:
            continue
        yield f"\n[{sheet.name}]"
        if sheet.sheet.title:
            yield f"# {sheet.sheet.title}"
        if any(item.kind not in (CHOICE, MATCH, ESSAY) for item in sheet.items):
            places = sheet.values.rounding.decimals
            if any(sheet.model.has_value(n) for n in sheet.model.declared):
                yield f"# numbers to {places} decimals"
        for question in sheet.questions:
            marks = f"{float(question.marks):g}"
            yield f"\n# ask {question.ask.text} ({marks} {'mark' if marks == '1' else 'marks'})"
            for item in question.items:
                yield from _hints(sheet, item)
                yield f"{item.key} ="


def _hints(sheet: PaperSheet, item: Item) -> Iterator[str]:
    if item.kind == CHOICE and item.expr is not None:
        yield f"# which is {unparse(item.expr)}?"
        for letter, option in zip(LETTERS, choice_of(sheet, item.expr).options, strict=False):
            yield f"#   {letter}  {option.text}"
    elif item.kind == MATCH and item.expr is not None:
        made = match_of(sheet, item.expr)
        yield "# one letter for each, in this order:"
        for left, _ in made.pairs:
            yield f"#   {left}"
        for letter, right in zip(LETTERS, made.shown, strict=False):
            yield f"#   {letter}  {right}"
    elif item.kind == BLANK:
        yield f"# the box {item.key} of: {_boxed(item)}"
    elif item.kind == ESSAY:
        yield "# in words"
    elif in_words(item):
        yield f"# {in_words(item)}"


def _boxed(item: Item) -> str:
    """The line of a blank with the answer taken out, where it can be seen."""
    shown = item.prompt.replace(item.answer, item.key) if item.answer else item.prompt
    return shown if item.key in shown else "see the paper"
