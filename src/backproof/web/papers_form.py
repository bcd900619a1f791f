"""A paper as the form that a student fills in: HTML in which every text is escaped.

It holds what is asked and what is given, and no answer: right answers stay in the process that
marks. Knows nothing of marking.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from html import escape

from backproof.calculus.latex import latex_name
from backproof.errors import BackproofError, Source
from backproof.language import syntax as ast
from backproof.language.format import unparse, unparse_set
from backproof.language.markdown import Prose
from backproof.language.statements import parse_expression
from backproof.papers.asked import in_words
from backproof.papers.choices import LETTERS, choice_of, match_of
from backproof.papers.paper import (
    CHOICE,
    EQUATION,
    ESSAY,
    GRADIENT,
    MATCH,
    SHAPE,
    VALUE,
    Item,
    Paper,
    PaperSheet,
    Question,
)
from backproof.render.html import Page, formula, inline
from backproof.render.prose import prose, slug, told_apart
from backproof.render.typst import declared_lines, without_key
from backproof.working.report import statements_of
from backproof.working.spelled import formulas
from backproof.working.writing import latex_equation, latex_of, shape_brief

LARGEST_GIVEN = 400  # characters of a value that is shown as a matrix


def number(value: Fraction | float) -> str:
    """Marks as one writes them: `2`, `1.5`, `0.33`."""
    return f"{float(value):.2f}".rstrip("0").rstrip(".")


def marks_said(value: Fraction) -> str:
    """`1 mark`, `2.5 marks`."""
    return f"{number(value)} {'mark' if value == 1 else 'marks'}"


class Form:
    """Writes the form of one paper; ids are its own."""

    def __init__(self, paper: Paper) -> None:
        self.paper = paper
        self.page = Page()
        self.number = {item.id: k for k, item in enumerate(paper.items, 1)}

    def blocks(self) -> Iterator[tuple[str, str]]:
        """(the sheet's name, or "" for prose, its HTML), in the order of the paper."""
        known = {id(s.sheet): s for s in self.paper.sheets}
        answered = False
        for block in self.paper.document.blocks:
            if isinstance(block, Prose):
                text = told_apart(block.text, answered)[1]
                if text.strip():
                    yield "", prose_html(text, self.paper.title)
                answered = False
                continue
            answered = True
            sheet = known.get(id(block.sheet))
            if sheet is None:
                yield "", _unread(block.error)
            elif sheet.items or not sheet.sheet.claims:
                yield sheet.name, self.sheet(sheet)

    def sheet(self, sheet: PaperSheet) -> str:
        """One sheet: what is given, and a place for every answer."""
        ident = f"q-{slug(sheet.name)}"
        marks = sum((item.marks for item in sheet.items), Fraction(0))
        worth = f' <span class="worth">{marks_said(marks)}</span>' if sheet.items else ""
        title = f"<span>{inline(sheet.sheet.title or sheet.name)}</span>"
        out = [
            f'<section class="question" id="{ident}" aria-labelledby="{ident}-t" '
            f'data-sheet="{escape(sheet.name)}">',
            f'<h3 id="{ident}-t">{title}{worth}</h3>',
            *(f"<p>{inline(' '.join(p.split()))}</p>" for p in sheet.sheet.text.split("\n\n") if p),
            givens(sheet),
        ]
        for at, question in enumerate(sheet.questions, 1):
            out.append(self.question(sheet, question, f"{ident}-{at}"))
        out.append('<div class="solution" hidden></div></section>')
        return "\n".join(out)

    def question(self, sheet: PaperSheet, question: Question, ident: str) -> str:
        """One ask with the places for its answers."""
        said = inline(asked(sheet, question))
        worth = f' <span class="worth">{marks_said(question.marks)}</span>'
        out = [
            f'<div class="task" role="group" aria-labelledby="{ident}">',
            f'<p class="asks" id="{ident}"><span>{said}</span>{worth}</p>',
        ]
        if question.ask.blanks:
            out.append(self.boxed(sheet, question.ask))
        out += [self.item(sheet, item) for item in question.items]
        return "\n".join([*out, "</div>"])

    def boxed(self, sheet: PaperSheet, ask: ast.Ask) -> str:
        """The working with its boxes, without the key."""
        from backproof.working.answer import answer

        working = without_key(answer(sheet.model, ask))
        bare = working.ask.partition(" blank ")[0]
        return self.page.working(replace(working, ask=bare), level=4)

    # --- one answer --------------------------------------------------------------------------

    def item(self, sheet: PaperSheet, item: Item) -> str:
        """The place for one answer, with a place for what becomes of it."""
        at = self.number[item.id]
        made = {CHOICE: self.choice, MATCH: self.match}.get(item.kind)
        body = made(sheet, item, at) if made else self.line(sheet, item, at)
        return (
            f'<div class="item" id="i{at}" data-item="{escape(item.id)}" '
            f'data-key="{escape(item.key)}" data-kind="{item.kind}">{body}'
            f'<div class="echo" id="e{at}" aria-live="polite"></div>'
            f'<div class="result" id="r{at}"></div></div>'
        )

    def line(self, sheet: PaperSheet, item: Item, at: int) -> str:
        rows = 4 if item.kind == ESSAY else 1
        told = ' class="told"' if in_words(item) or item.kind == ESSAY else ""
        plain = ' spellcheck="false" autocapitalize="off"' if item.kind != ESSAY else ""
        return (
            f'<label for="a{at}"{told}>{label(sheet, item)}</label>'
            f'<textarea id="a{at}" rows="{rows}" autocomplete="off"{plain} '
            f'aria-describedby="e{at} r{at}"></textarea>'
        )

    def choice(self, sheet: PaperSheet, item: Item, at: int) -> str:
        assert item.expr is not None
        options = choice_of(sheet, item.expr).options
        shown = formulas(sheet.model, [o.text for o in options])
        rows = "".join(
            f'<label class="option"><input type="radio" name="a{at}" value="{letter}">'
            f'<span class="letter">{letter}</span>'
            f'<span class="line">{formula(shown.get(o.text, ""), o.text)}</span></label>'
            for letter, o in zip(LETTERS, options, strict=False)
        )
        legend = formula(latex_of(sheet.model, item.expr), unparse(item.expr))
        return (
            f'<fieldset aria-describedby="r{at}"><legend>{legend} =</legend>{rows}</fieldset>'
        )  # fmt: skip

    def match(self, sheet: PaperSheet, item: Item, at: int) -> str:
        assert item.expr is not None
        made = match_of(sheet, item.expr)
        shown = formulas(sheet.model, [*(left for left, _ in made.pairs), *made.shown])
        letters = LETTERS[: len(made.shown)]
        options = "".join(f"<option>{letter}</option>" for letter in letters)
        left = "".join(
            f'<li><label for="a{at}-{k}">{formula(shown.get(text, ""), text)}</label>'
            f'<select id="a{at}-{k}" aria-describedby="r{at}"><option value="">–</option>'
            f"{options}</select></li>"
            for k, (text, _) in enumerate(made.pairs)
        )
        right = "".join(
            f'<li><span class="letter">{letter}</span>'
            f'<span class="line">{formula(shown.get(text, ""), text)}</span></li>'
            for letter, text in zip(letters, made.shown, strict=False)
        )
        return (
            f'<div class="pairs"><ul class="left">{left}</ul><ul class="right">{right}</ul></div>'
        )


# --- words ---------------------------------------------------------------------------------------


def prose_html(text: str, title: str) -> str:
    """Prose without the paper's title, which stands above everything; its ids are no links."""
    lines = text.split("\n")
    first = next((k for k, line in enumerate(lines) if line.strip()), None)
    if first is not None and lines[first].strip().strip("# ") == title:
        lines = lines[first + 1 :]
    return f'<div class="prose">{prose(chr(10).join(lines))[0]}</div>'


def _unread(error: BackproofError | None) -> str:
    why = f" {error.message}" if error is not None else ""
    return f'<p class="warning">A question stands here that cannot be asked.{escape(why)}</p>'


def asked(sheet: PaperSheet, question: Question) -> str:
    """An ask as a sentence, its names as `code`."""
    ask, kinds = question.ask, {item.kind for item in question.items}
    of = ", ".join(f"`{unparse(e)}`" for e in ask.targets)
    by = ", ".join(f"`{unparse(e)}`" for e in ask.wrt)
    by = f" with respect to {by}" if by else ""
    if ask.form == "choice" or ask.form == "match":
        return "Which one is right?" if ask.form == "choice" else "Match each factor to its form."
    if ask.blanks:
        return "Fill in the boxes."
    if ESSAY in kinds:
        return f"In words: `{ask.text}`."
    match ask.what:
        case "shapes":
            return "Give each shape."
        case "forward":
            return "Write each equation." if kinds == {EQUATION} else "Work out each line."
        case "value":
            return "Work this out."
        case "gradient":
            return f"Work out the gradient of {of or 'the loss'}{by}."
        case "step":
            rate = dict(ask.options).get("rate")
            said = f" with learning rate `{unparse(rate)}`" if rate is not None else ""
            return f"Take one step of gradient descent{said}."
        case "tree":
            return f"Say what the tree of {of or 'the loss'} looks like."
        case "batch":
            return f"Write the network for a batch of {of} samples."
        case "slow":
            return f"When does {of} learn slowly?"
        case "weights":
            return f"What do the weights in {of} mean?"
    return f"Answer: `{ask.text}`."


def label(sheet: PaperSheet, item: Item) -> str:
    """What an answer is an answer to: a formula, or words where its name does not say it.

    It is made of what the paper asks, never of `item.expr`, which may be the answer.
    """
    if item.kind == ESSAY:
        return "Your answer"
    box = re.match(r"\[(\d+)\]", item.key)
    words = in_words(item)
    if box is not None:
        rest = words.partition("]")[2]
        return f'<span class="boxed">box {box[1]}</span>{inline(rest)}'
    if words:
        return inline(words[:1].upper() + words[1:])
    shown = _asked_for(sheet, item)
    if item.key.startswith("new("):
        return f'{shown} <span class="word">after the step</span>'
    if item.kind == SHAPE:
        return f'<span class="word">shape of</span> {shown}'
    if item.key.startswith("batch("):
        return f'{shown} <span class="word">of the batch =</span>'
    return f'{shown} <span class="word" aria-hidden="true">=</span>'


def _asked_for(sheet: PaperSheet, item: Item) -> str:
    """The quantity that a line asks for, as a formula."""
    try:
        expr = parse_expression(Source("line", item.prompt))
        return formula(latex_of(sheet.home(item).model, expr), item.prompt)
    except BackproofError:
        return formula("", item.prompt)


# --- what is given -------------------------------------------------------------------------------


def givens(sheet: PaperSheet) -> str:
    """What a sheet gives, learns and defines, as formulas; and as it is written."""
    hidden = _hidden(sheet)
    equations = [
        formula(latex_equation(sheet.model, name, equation.expr), name)
        for name, equation in sheet.sheet.equations.items()
        if name not in hidden
    ]
    groups = (
        ("Given", list(_declared(sheet, "given"))),
        ("Learned", list(_declared(sheet, "learn"))),
        ("Where", [f"<code>{escape(unparse(a.condition))}</code>" for a in sheet.sheet.assumes]),
        ("Equations", equations),
        ("Numbers", [inline(rounding_said(sheet))] if rounding_said(sheet) else []),
    )
    rows = "".join(f"<dt>{word}</dt><dd>{_lines(lines)}</dd>" for word, lines in groups if lines)
    written = statements_of(sheet.sheet).strip()
    if hidden:
        written = declared_lines(written)
    shown = escape(written, quote=False)
    return (
        f'<dl class="givens">{rows}</dl><details class="source"><summary>As it is typed</summary>'
        f'<pre tabindex="0"><code>{shown}</code></pre></details>'
    )


def _lines(lines: list[str]) -> str:
    return "".join(f'<div class="line">{line}</div>' for line in lines)


def _hidden(sheet: PaperSheet) -> frozenset[str]:
    """The equations that are asked for."""
    if any(question.ask.blanks for question in sheet.questions):
        return frozenset(sheet.sheet.equations)
    return frozenset(item.key for item in sheet.items if item.kind == EQUATION)


def rounding_said(sheet: PaperSheet) -> str:
    """How the numbers of a sheet are to be rounded; "" where there are none."""
    rounding = sheet.values.rounding
    if not any(item.kind in (VALUE, GRADIENT) for item in sheet.items):
        return ""
    if not any(sheet.model.has_value(n) for n in sheet.model.declared):
        return ""
    places = f"{rounding.decimals} {'decimal' if rounding.decimals == 1 else 'decimals'}"
    if rounding.stated and rounding.each:
        return f"rounded to {places} at every line, and carried on"
    if rounding.stated:
        return f"carried on in full, and rounded to {places} where they are written down"
    return f"to {places}"


def _declared(sheet: PaperSheet, role: str) -> Iterator[str]:
    """Every declared name of a role: its value where it has one, else its set."""
    model = sheet.model
    if role == "given":
        for name, let in sheet.sheet.lets.items():
            yield formula(latex_equation(model, name, let.value), f"{name} = {unparse(let.value)}")
    for declaration in sheet.sheet.declarations.values():
        if declaration.role != role:
            continue
        name = declaration.name
        value = sheet.sheet.values.get(name)
        if value is not None:
            text = f"{name} = {unparse(value)}"
            latex = latex_equation(model, name, value) if len(text) < LARGEST_GIVEN else ""
            yield formula(latex, text)
        elif declaration.file is not None:
            size = escape(shape_brief(model.shape(name)))
            file = escape(declaration.file)
            yield f"{formula(latex_name(name), name)} {size}, from <code>{file}</code>"
        elif declaration.set is not None:
            yield formula(_membership(sheet, name, declaration.set), name)


def _membership(sheet: PaperSheet, name: str, set_: ast.SetExpr) -> str:
    r"""`W ∈ R^{3 × 4}`, `W ∈ R^{(d + 1) × k}`, `y ∈ \{0, 1\}`."""
    sizes = [
        rf"\left({latex_of(sheet.model, d)}\right)"
        if len(set_.dims) > 1 and isinstance(d, ast.Apply) and d.op in ("add", "sub")
        else latex_of(sheet.model, d)
        for d in set_.dims
    ]
    dims = r" \times ".join(sizes)
    power = f"^{{{dims}}}" if dims else ""
    bounds = ", ".join(latex_of(sheet.model, b) for b in set_.bounds)
    match set_.kind:
        case "real":
            shown = rf"\mathbb{{R}}{power}"
        case "pos":
            shown = rf"\mathbb{{R}}_{{> 0}}{power}"
        case "interval":
            shown = rf"\left({bounds}\right){power}"
        case "labels":
            shown = rf"\left\{{{bounds}\right\}}{power}"
        case _:
            shown = rf"\text{{{unparse_set(set_)}}}"
    return rf"{latex_name(name)} \in {shown}"
