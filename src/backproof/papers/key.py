"""The answer key: every item with its answer, its marks and the interval that is accepted."""

from __future__ import annotations

from collections.abc import Iterator

from backproof.language.format import unparse
from backproof.papers.marking import Scheme, SheetMarker, Truth, accepted_text
from backproof.papers.naming import right_form
from backproof.papers.numbers import show
from backproof.papers.paper import CHOICE, GRADIENT, MATCH, SET, Item, Paper, PaperSheet


def key_text(paper: Paper, title: str = "", forms: dict[str, str] | None = None) -> str:
    """The key of a paper as Markdown.

    forms   answers in symbols found before, by item: they are the same for every variant
    """
    known = {} if forms is None else forms
    return "\n".join(_lines(paper, title or paper.title, known)) + "\n"


def _lines(paper: Paper, title: str, forms: dict[str, str]) -> Iterator[str]:
    yield f"# Key: {title}\n"
    yield f"{float(paper.marks):g} marks."
    for sheet in paper.sheets:
        if not sheet.items:
            continue
        marker = SheetMarker(sheet, Scheme())
        yield f"\n## {sheet.name}: {sheet.sheet.title}\n"
        for item in sheet.items:
            marks = f"{float(item.marks):.3g}"
            own = marker.of(item)
            truth = own.truths.get(item.key)
            yield f"- `{item.key}` ({marks}): {_answer(own.sheet, item, truth, own, forms)}"


def answer_text(item: Item, marker: SheetMarker) -> str:
    """The answer to an item as the key says it."""
    own = marker.of(item)
    return _answer(own.sheet, item, own.truths.get(item.key), own, {})


def _form(sheet: PaperSheet, item: Item, forms: dict[str, str]) -> str:
    if item.id not in forms:
        found = right_form(sheet, item) if item.expr is not None else None
        forms[item.id] = "" if found is None else unparse(found)
    return forms[item.id]


def _form_name(item: Item) -> str:
    return unparse(item.expr) if item.expr is not None else item.prompt


def _answer(
    sheet: PaperSheet, item: Item, truth: Truth | None, marker: SheetMarker, forms: dict[str, str]
) -> str:
    if truth is not None:
        places = marker.rounding.decimals
        how = " (found by sampling)" if truth.sampled else ""
        symbols = _form(sheet, item, forms) if item.kind == GRADIENT else ""
        form = f" = {symbols}" if symbols else ""
        return (
            f"`{show(truth.centre, places)}`{form}; accepted "
            f"{accepted_text(truth.ends, places)}{how}"
        )
    if item.kind == SET and not item.answer:
        factors = marker.sets.factors(_form_name(item))
        keys = {f.key for f in factors}
        if item.key.startswith("weakest("):
            keys &= marker.sets.weakest(item, {})
        return " or ".join(f"`{k}`" for k in sorted(keys)) if len(keys) < len(factors) else (
            ", ".join(f"`{f.key}`" for f in factors)
        )  # fmt: skip
    if item.kind in (CHOICE, MATCH):
        return f"**{item.answer}**"
    if item.answer:
        return f"`{item.answer}`"
    symbols = _form(sheet, item, forms)
    return f"`{symbols}`" if symbols else "read by a person"
