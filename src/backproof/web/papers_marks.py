"""What became of a paper as HTML: marked lines, and what its author looks at.

Findings, marks and times, the key with what is accepted. Every text is escaped; nothing is
marked or worked out here that `papers` does not work out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from html import escape

import numpy as np

from backproof.calculus.model import Model
from backproof.errors import BackproofError
from backproof.language import syntax as ast
from backproof.language.format import unparse
from backproof.language.functions import CONSTANTS
from backproof.language.names import free_names
from backproof.papers import marking
from backproof.papers.checks import SheetChecker
from backproof.papers.difficulty import NOTHING, RULE, Difficulty
from backproof.papers.key import answer_text
from backproof.papers.lint import NOTE, Finding
from backproof.papers.marking import Line, Scheme, SheetMarker
from backproof.papers.naming import right_form
from backproof.papers.numbers import Numeric, read_numeric, show
from backproof.papers.paper import (
    BLANK,
    CHOICE,
    COUNT,
    EQUATION,
    ESSAY,
    GRADIENT,
    MATCH,
    SET,
    SHAPE,
    Item,
    Paper,
    PaperSheet,
)
from backproof.papers.symbolic import read_expression
from backproof.render.html import formula, inline
from backproof.web.papers_form import label, marks_said, number
from backproof.working.spelled import formulas
from backproof.working.writing import latex_array, latex_of

# verdict -> (sign, look); a look is a colour and a shape, and the word stands beside it
LOOKS = {
    marking.RIGHT: ("✓", "holds"), marking.FOLLOWS: ("↳", "follows"),
    marking.DIGITS: ("≈", "nearly"), marking.EARLY: ("≈", "nearly"), marking.WRONG: ("✗", "fails"),
    marking.SHAPE: ("✗", "fails"), marking.GUARDED: ("✗", "fails"), marking.BLANK: ("–", "empty"),
    marking.UNREADABLE: ("?", "open"), marking.UNDECIDED: ("?", "open"),
}  # fmt: skip
WORDS = {
    marking.FOLLOWS: "carried on", marking.DIGITS: "too few digits", marking.BLANK: "empty",
    marking.SHAPE: "wrong shape", marking.UNDECIDED: "a person decides",
}  # fmt: skip


def line_html(item: Item, line: Line) -> tuple[str, str]:
    """(look, HTML) of a marked line: the verdict as a sign, a word and a colour; marks; reason."""
    sign, look = LOOKS.get(line.verdict, ("?", "open"))
    word = WORDS.get(line.verdict, line.verdict)
    if line.verdict == marking.WRONG and line.share:
        sign, look, word = *LOOKS[marking.DIGITS], "partly right"
    of = number(item.marks)
    earned = (
        f"{number(line.share * item.marks)} of {of}" if line.share is not None else f"? of {of}"
    )
    said = "" if line.reason.rstrip(".") == line.verdict or not line.answer else line.reason
    why = f'<p class="why">{_with_arrays(said[:1].upper() + said[1:])}</p>' if said else ""
    mistake = (
        f'<p class="mistake">Mistake: {inline(line.mistake)}.</p>'
        if line.mistake and line.mistake != "the shape" and look == "fails"
        else ""
    )
    return look, (
        f'<div class="marked is-{look}"><p class="verdict"><span class="icon" aria-hidden="true">'
        f'{sign}</span> {escape(word)}</p><p class="earned">{earned}</p>'
        f'<div class="said">{why}{mistake}</div></div>'
    )


_ROW = r"\[[-−\d., …]+\]"
_ARRAY = re.compile(
    rf"(?<!entry )(?<!\w)(?:\[{_ROW}(?:, (?:{_ROW}|…))*\]|\[[-−\d.]+(?:, [-−\d.…]+)+\])"
)


def _with_arrays(text: str) -> str:
    """A sentence with its matrices drawn as matrices."""
    out, at = [], 0
    for found in _ARRAY.finditer(text):
        out += [inline(text[at : found.start()]), formula(latex_array(found[0]), found[0])]
        at = found.end()
    return "".join([*out, inline(text[at:])])


# --- how an answer is read -----------------------------------------------------------------------


def echo(sheet: PaperSheet, item: Item, text: str) -> str:
    """How an answer is read, without any judgement; "" where that says nothing."""
    if item.kind in (CHOICE, MATCH, ESSAY, SHAPE, SET, COUNT) or not text.strip():
        return ""
    sheet = sheet.home(item)
    numeric = read_numeric(text)
    if numeric is not None and item.kind != BLANK:
        rows, columns = numeric.array.shape
        if rows * columns == 1:
            return ""
        shape = f'<span class="shape">{rows} × {columns}</span>'
        written = as_written(numeric)
        return f"{formula(latex_array(written), written)} {shape}"
    expr = read_expression(text)
    if expr is None:
        return '<span class="unread">This cannot be read.</span>'
    shown = formula(latex_of(sheet.model, expr), unparse(expr))
    unknown = sorted(_names(expr) - set(sheet.model.leaves) - set(sheet.sheet.dimensions))
    if unknown:
        names = ", ".join(f"<code>{escape(name)}</code>" for name in unknown[:3])
        shown += f' <span class="unread">The sheet has no {names}.</span>'
    return shown


def _names(expr: ast.Expr) -> set[str]:
    return {name.id for name in free_names(expr)} - set(CONSTANTS)


def as_written(numeric: Numeric) -> str:
    """A value with the digits that it was written with."""
    cells = [
        [f"{x:.{max(0, int(d))}f}" for x, d in zip(row, digits, strict=True)]
        for row, digits in zip(numeric.array, numeric.decimals, strict=True)
    ]
    if numeric.array.size == 1:
        return cells[0][0]
    if numeric.array.shape[1] == 1:
        return f"[{', '.join(row[0] for row in cells)}]"
    rows = [f"[{', '.join(row)}]" for row in cells]
    return f"[{', '.join(rows)}]"


# --- the author's view ---------------------------------------------------------------------------


def findings_html(found: list[Finding]) -> str:
    """What is to be looked at, each with its line in the text."""
    if not found:
        return '<p class="quiet">Nothing is wrong with it, and nothing gives an answer away.</p>'
    signs = {"error": "✗", "warning": "!", "note": "i"}
    rows = [
        f'<li class="finding is-{f.severity}"><p class="verdict"><span class="icon" '
        f'aria-hidden="true">{signs.get(f.severity, "i")}</span> {f.severity}</p>'
        f'<p class="said">{_with_arrays(f.message[:1].upper() + f.message[1:])} '
        f'<button type="button" class="small" data-line="{f.line}">Line {f.line}</button></p></li>'
        for f in found
    ]
    notes = [row for f, row in zip(found, rows, strict=True) if f.severity == NOTE]
    graver = [row for f, row in zip(found, rows, strict=True) if f.severity != NOTE]
    many = "one note" if len(notes) == 1 else f"{len(notes)} notes"
    folded = (
        f'<details class="rule"{"" if graver else " open"}><summary>{many} on what the questions '
        f'must say</summary><ul class="findings">{"".join(notes)}</ul></details>'
    )
    first = f'<ul class="findings">{"".join(graver)}</ul>' if graver else ""
    return first + (folded if notes else "")


def work_of(sheet: PaperSheet) -> Difficulty | None:
    """How much work a sheet is by hand; None where it has no values to work out."""
    if not any(sheet.model.has_value(n) for n in sheet.model.declared):
        return None
    try:
        with np.errstate(all="ignore"):
            work = SheetChecker(sheet).usual
    except (BackproofError, ArithmeticError, ValueError, LookupError):
        return None
    return None if work == NOTHING else work


def overview_html(paper: Paper) -> str:
    """Marks, scalar operations and minutes, by question; the rule behind the minutes."""
    rows, total = [], NOTHING
    for sheet in paper.sheets:
        if not sheet.items:
            continue
        work = work_of(sheet)
        total = total if work is None else total + work
        marks = sum((item.marks for item in sheet.items), Fraction(0))
        title = inline(sheet.sheet.title or sheet.name)
        rows.append(
            f'<tr><th scope="row">{title}</th><td>{len(sheet.items)}</td><td>{number(marks)}</td>'
            f"<td>{'–' if work is None else work.steps}</td>"
            f"<td>{'–' if work is None else _minutes(work)}</td></tr>"
        )
    head = "".join(
        f'<th scope="col">{w}</th>' for w in ("question", "lines", "marks", "operations", "minutes")
    )
    return (
        f'<table class="overview" tabindex="0"><thead><tr>{head}</tr></thead><tbody>'
        f'{"".join(rows)}</tbody><tfoot><tr><th scope="row">in all</th><td>{len(paper.items)}</td>'
        f"<td>{number(paper.marks)}</td><td>{total.steps}</td><td>{_minutes(total)}</td></tr>"
        "</tfoot></table>"
        '<details class="rule"><summary>How the minutes are counted</summary>'
        f"<p>Arithmetic by hand only, in {escape(RULE)}. What is answered in symbols is not "
        "counted (–).</p></details>"
    )


def _minutes(work: Difficulty) -> str:
    return "under 1" if work.minutes < 1 else f"{work.minutes:.0f}"


def key_html(sheet: PaperSheet, above: str = "") -> str:
    """The key of one sheet: every line's answer, what is accepted, and its marks.

    above   HTML to stand between its title and the key
    """
    marker = SheetMarker(sheet, Scheme())
    rows = "".join(_key_row(sheet, item, marker) for item in sheet.items)
    return f'<h4>{inline(sheet.sheet.title or sheet.name)}</h4>{above}<ul class="key">{rows}</ul>'


def _key_row(sheet: PaperSheet, item: Item, marker: SheetMarker) -> str:
    said = "".join(_key_answer(item, marker))
    name = label(sheet, item)
    if item.kind in (CHOICE, MATCH) and item.expr is not None:
        name = formula(latex_of(sheet.model, item.expr), unparse(item.expr))
    return (
        f'<li><div class="line of">{name}</div><div class="answers">{said}</div>'
        f'<p class="worth">{marks_said(item.marks)}</p></li>'
    )


def _key_answer(item: Item, marker: SheetMarker) -> Iterator[str]:
    own = marker.of(item)
    model = own.sheet.model
    truth = own.truths.get(item.key)
    if truth is not None:
        places = own.rounding.decimals
        written = show(truth.centre, places)
        yield f'<div class="line">{formula(latex_array(written), written)}</div>'
        ends = [show(end, places + 1) for end in truth.ends]
        low, high = (formula(latex_array(end), end) for end in ends)
        how = " (found by sampling)" if truth.sampled else ""
        yield f'<div class="line accepted">accepted: {low} to {high}{how}</div>'
        if item.kind != GRADIENT:
            return
    if item.kind in (CHOICE, MATCH):
        yield f'<p class="letters">{escape(item.answer)}</p>'
        return
    form = right_form(own.sheet, item) if item.kind in (GRADIENT, EQUATION) and item.expr else None
    if form is not None:
        shown = formula(latex_of(model, form), unparse(form))
        yield f'<div class="line">{"in symbols: " if truth is not None else ""}{shown}</div>'
    elif truth is None:
        told = answer_text(item, marker)
        latex = "" if item.kind in (SHAPE, SET, COUNT) else _latex(model, item.answer)
        yield f'<div class="line">{formula(latex, item.answer) if latex else inline(told)}</div>'


def _latex(model: Model, text: str) -> str:
    return formulas(model, [text]).get(text, "")
