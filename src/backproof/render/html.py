"""Workings, verdicts and reports as HTML: one file that needs no network and no script.

Mathematics is MathML, drawings are inline SVG, steps fold; light and dark, screen, phone and
paper are one style sheet. A fragment of the same is what a notebook shows.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from itertools import count
from typing import TYPE_CHECKING

from backproof.calculus.latex import latex_name
from backproof.errors import InternalContradiction, render_error
from backproof.render.aligned import aligned
from backproof.render.drawings.canvas import DARK, LIGHT, RULES, colours
from backproof.render.drawings.choose import drawings
from backproof.render.drawings.labels import shape_said
from backproof.render.formula import FormulaError
from backproof.render.mathml import mathml
from backproof.render.prose import prose, slug
from backproof.render.terminal import summary
from backproof.render.told import names_of, names_stated, told
from backproof.render.verdicts import MOST_NAMES, counts, says_the_claim, value_text
from backproof.working.writing import latex_array

if TYPE_CHECKING:
    from backproof.working.claims import Verdict
    from backproof.working.report import Report, SheetReport
    from backproof.working.steps import Step, Working

MOST_ENTRIES = 4  # more steps than this, one an entry, are folded away
ICONS = {"proved": "✓", "agrees": "≈", "here": "◆", "refuted": "✗", "undecided": "?"}
MEANINGS = {
    "proved": "true for all values",
    "agrees": "no proof, but equal at every point tried",
    "here": "true at the sheet's values, not in general",
    "refuted": "false",
    "undecided": "could not be compared",
}


class Page:
    """Writes the parts of one page; ids are its own.

    names   those of the sheet at hand, written in sentences as in formulas
    """

    def __init__(self, names: frozenset[str] = frozenset()) -> None:
        self._number = count(1)
        self.names = names

    # --- sheets --------------------------------------------------------------------------------

    def sheet(self, sheet: SheetReport, *, paper: bool, level: int = 3) -> str:
        """One sheet: what it says, its answers, its verdicts, or its error.

        At level 1 the title of the whole page is that of the sheet.
        """
        ident = sheet_id(sheet)
        self.names = names_stated(sheet.statements)
        name = f' <span class="name">{escape(sheet.name)}</span>' if sheet.name and paper else ""
        title = sheet.title or sheet.name or "Sheet"
        own = paper or level > 1
        labelled = f' aria-labelledby="{ident}-title"' if own else ""
        out = [f'<section class="sheet" id="{ident}"{labelled}>']
        if own:
            out.append(f'<h{level} id="{ident}-title">{inline(title)}{name}</h{level}>')
        out += [f"<p>{inline(' '.join(p.split()))}</p>" for p in sheet.text.split("\n\n") if p]
        if sheet.stated:
            shown = escape(sheet.stated, quote=False)
            out.append(
                '<details class="source" open><summary>The sheet as written</summary>'
                f'<pre tabindex="0"><code>{shown}</code></pre></details>'
            )
        if sheet.error is not None:
            ours = isinstance(sheet.error, InternalContradiction)
            head = (
                "This is a fault in backproof; please report it."
                if ours
                else "This sheet cannot be worked"
            )
            shown = escape(render_error(sheet.error), quote=False)
            out.append(
                f'<div class="error"><p><strong>{head}</strong></p>'
                f'<pre tabindex="0">{shown}</pre></div>'
            )
        below = min(level + 1, 6)
        for working in sheet.asks:
            others = [w for w in sheet.asks if w is not working]
            out.append(self.working(working, others, below))
        if sheet.claims:
            out.append(self.claims(sheet.claims, sheet.formulas, below))
        return "\n".join([*out, "</section>"])

    # --- workings ------------------------------------------------------------------------------

    def working(self, working: Working, beside: Iterable[Working] = (), level: int = 3) -> str:
        """One answer: folds, drawings, steps, and how they were verified."""
        out = [
            '<details class="ask" open><summary>'
            f"<h{level}>{escape(working.title)}</h{level}></summary>",
        ]
        names = names_of(working.steps) | self.names
        drawn = drawings(working, beside)
        for drawing in drawn:
            svg = drawing.svg("page", f"d{next(self._number)}")
            label = escape(drawing.title, quote=True)
            out.append(
                f'<figure class="drawing" tabindex="0" role="group" aria-label="{label}">{svg}'
                f"<figcaption>{told(drawing.title, names)}</figcaption></figure>"
            )
        out += self._steps(list(aligned(working.steps)), names, bool(drawn))
        verified = summary(working.steps)
        if verified:
            out.append(f'<p class="verified">Verified: {escape(verified)}.</p>')
        return "\n".join([*out, "</details>"])

    def _steps(self, steps: Sequence[Step], names: Collection[str], drawn: bool) -> Iterator[str]:
        """The steps; those below a heading fold with it, many entries fold together, and what is
        drawn above is folded away as text."""
        open_part = False
        shapes: dict[str, tuple[int | str, ...]] = {}
        at = 0
        while at < len(steps):
            step = steps[at]
            if step.kind == "heading":
                if open_part:
                    yield "</details>"
                said = told(_capital(step.text.rstrip(":.")), names)
                shut = "" if step.text == "Answer key" else " open"
                yield f'<details class="part"{shut}><summary>{said}</summary>'
                open_part, at = True, at + 1
                continue
            if drawn and step.kind == "tree" and step.label != "sheet":
                yield _folded(step)
                at += 1
                continue
            entries = _entries(steps, at)
            if len(entries) > MOST_ENTRIES:
                said = f"{len(entries)} lines, entry by entry"
                yield f'<details class="entries"><summary>{said}</summary>'
                yield from (_step(s, shapes, names) for s in entries)
                yield "</details>"
                at += len(entries)
                continue
            yield _step(step, shapes, names)
            at += 1
        if open_part:
            yield "</details>"

    # --- claims --------------------------------------------------------------------------------

    def claims(
        self, verdicts: Sequence[Verdict], formulas: Mapping[str, str] | None = None, level: int = 3
    ) -> str:
        """All claims of a sheet."""
        out = [f'<section class="claims"><h{level}>Claims</h{level}>', '<ol class="verdicts">']
        out += [f"<li>{self.verdict(v, formulas or {})}</li>" for v in verdicts]
        out.append(f'</ol><p class="verified">{escape(counts(verdicts))}.</p></section>')
        return "\n".join(out)

    def verdict(self, verdict: Verdict, formulas: Mapping[str, str]) -> str:
        """One claim: the verdict as a sign, a word and a colour; why, and what would mend it."""
        word = verdict.verdict
        latex = formulas.get(verdict.text, "")
        out = [
            f'<div class="claim {word}"><p class="verdict" title="{MEANINGS.get(word, "")}">'
            f'<span class="icon" aria-hidden="true">{ICONS.get(word, "")}</span> {word}</p>'
            f'<div class="said"><div class="line">{formula(latex, verdict.text)}</div>'
        ]
        if verdict.why and not says_the_claim(verdict):
            why = verdict.why[:1].upper() + verdict.why[1:].rstrip(".") + "."
            out.append(
                f'<p class="why">{told(why, self.names.union(_NAME.findall(verdict.text)))}</p>'
            )
        if verdict.suggestion is not None:
            out.append(_repair(verdict.text, verdict.suggestion, formulas))
        if verdict.difference is not None:
            shown = formula(formulas.get(verdict.difference, ""), verdict.difference)
            out.append(f'<div class="line"><span class="label">left − right:</span> {shown}</div>')
        if verdict.counterexample is not None and word in ("refuted", "here"):
            out.append(_counterexample(verdict))
        return "".join([*out, "</div></div>"])


# --- steps ---------------------------------------------------------------------------------------


def _step(step: Step, shapes: dict[str, tuple[int | str, ...]], names: Collection[str] = ()) -> str:
    depth = f"d{min(step.depth, 2)}"
    if step.kind in ("tree", "error"):
        kind = "drawn" if step.kind == "tree" else "error"
        return f'<pre class="{kind}" tabindex="0">{escape(step.text, quote=False)}</pre>'
    if step.kind in ("note", "warning"):
        said = f"({told(step.because, names)})" if step.because else ""
        because = f' <span class="because">{said}</span>' if said else ""
        return f'<p class="{step.kind} {depth}">{told(step.text, names)}{because}</p>'
    if step.kind == "path":
        line = _path(step.text, names)
        return f'<div class="step path {depth}"><div class="line">{line}</div></div>'
    if step.depth == 0:
        shapes.clear()
    told_already = shapes.get(step.label) == step.shape or (
        step.shape == () and step.label.endswith("]")  # an entry is a number
    )
    shape = None if told_already else step.shape
    if step.shape is not None:
        shapes[step.label] = step.shape
    out = [f'<div class="step {step.kind} {depth}"><div class="main"><div class="line">']
    valued = step.value is not None and step.kind != "equation"
    out.append(formula(step.latex, step.text, value=valued))
    out.append("</div>")
    if step.because:
        out.append(f'<span class="because">({told(step.because, names)})</span>')
    out.append("</div>")
    if shape is not None:
        out.append(f'<span class="shape">{escape(shape_said(shape))}</span>')
    return "".join([*out, "</div>"])


def formula(latex: str, text: str, *, value: bool = False) -> str:
    """A formula as MathML; as it was written where it has no LaTeX of ours."""
    if latex:
        try:
            return mathml(latex, value=value)
        except FormulaError:
            pass
    if "█" not in text and "\n" not in text:
        return f'<span class="plain">{told(text, _NAME.findall(text))}</span>'
    return f'<code class="plain">{escape(text, quote=False)}</code>'


def _path(text: str, names: Collection[str]) -> str:
    nodes = text.split(" → ")
    if all(re.fullmatch(r"[^\W\d]\w*", node) for node in nodes):
        return formula(r" \rightarrow ".join(map(latex_name, nodes)), text)
    return told(text, names)


def _entries(steps: Sequence[Step], at: int) -> list[Step]:
    """The run of steps from a place on that are each about one entry."""
    found: list[Step] = []
    for step in steps[at:]:
        if step.depth == 0 or not step.label.endswith("]") or step.kind != "local":
            break
        found.append(step)
    return found


def _capital(text: str) -> str:
    """A heading of its own begins with a capital, but not where a name does."""
    word = text.split(" ")[0]
    return text[:1].upper() + text[1:] if word.isalpha() and len(word) > 1 else text


def _folded(step: Step) -> str:
    text = escape(step.text, quote=False)
    return (
        '<details class="astext"><summary>The same as text</summary>'
        f'<pre class="drawn" tabindex="0">{text}</pre></details>'
    )


_CODE = re.compile(r"`([^`]+)`")
_NAME = re.compile(r"[^\W\d]\w*")


def inline(text: str) -> str:
    """A sentence of a sheet's comment, its `code` as code."""
    return _CODE.sub(r"<code>\1</code>", escape(text, quote=False))


# --- claims --------------------------------------------------------------------------------------


def _repair(text: str, suggestion: str, formulas: Mapping[str, str]) -> str:
    from backproof.working.repair import caret_diff

    out = '<div class="repair"><div class="line"><span class="label">instead:</span> '
    out += formula(formulas.get(suggestion, ""), suggestion) + "</div>"
    if "\n" not in text:
        rows = "\n".join(escape(row.rstrip(), quote=False) for row in caret_diff(text, suggestion))
        out += f'<pre class="diff" tabindex="0">{rows}</pre>'
    return out + "</div>"


def _counterexample(verdict: Verdict) -> str:
    counter = verdict.counterexample
    assert counter is not None
    at = "at" if verdict.verdict == "refuted" else "not at"
    shown = [
        formula(f"{latex_name(name)} = {latex_array(value_text(value))}", name)
        for name, value in list(counter.point.items())[:MOST_NAMES]
    ]
    more = len(counter.point) - MOST_NAMES
    if more > 0:
        shown.append(f"and {more} more names")
    parts = "".join(f"<span>{part}</span>" for part in shown)
    out = f'<div class="counter"><span class="label">{at}</span> {parts}</div>' if parts else ""
    if counter.entry is not None:
        sides = (("left", counter.left), ("right", counter.right))
        out += "".join(
            f'<div class="counter"><span class="label">{side}</span> '
            f"<span>{formula(latex_array(value_text(value)), value_text(value))}</span></div>"
            for side, value in sides
        )
    return out


# --- whole pages ---------------------------------------------------------------------------------


def page(report: Report) -> str:
    """A whole file as one page."""
    writer = Page()
    title = report.title or report.file
    if not report.paper and len(report.sheets) == 1:
        title = report.sheets[0].title or title
    body: list[str] = []
    entries: list[tuple[int, str, str]] = []
    for block in report.blocks:
        if isinstance(block, str):
            html, found = prose(_without_title(block, title))
            body.append(html)
            entries += found
        else:
            if report.paper:
                entries.append((3, sheet_id(block), block.title or block.name or "Sheet"))
            body.append(writer.sheet(block, paper=report.paper, level=3 if report.paper else 1))
    if report.paper:
        verdicts = [v for sheet in report.sheets for v in sheet.claims]
        broken = sum(sheet.error is not None for sheet in report.sheets)
        said = f"{len(report.sheets)} sheets, {counts(verdicts)}"
        said += f"; {broken} with an error" if broken else ""
        body.append(f'<p class="totals">{escape(said)}.</p>')
    return whole(title, "\n".join(body), _contents(entries))


def standalone(title: str, fragment: str) -> str:
    """A fragment as a page of its own."""
    return whole(title, fragment, "")


def whole(title: str, body: str, contents: str) -> str:
    """A page around a body."""
    shown = escape(title, quote=False)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{shown}</title>'
        f"<style>{style(page=True)}</style></head>\n"
        f'<body><a class="skip" href="#main">To the working</a>'
        f'<main id="main" class="backproof"><h1>{shown}</h1>\n{contents}\n{body}\n</main>'
        f"<script>{_resource('page.js')}</script></body></html>\n"
    )


def notebook(fragment: str) -> str:
    """A fragment with its style, for a cell of a notebook."""
    return f'<div class="backproof cell"><style>{style()}</style>{fragment}</div>'


@cache
def style(*, page: bool = False) -> str:
    """The style sheet; every rule holds inside `.backproof` only, but those of a page."""
    own = _resource("page.css")
    if not page:
        own = own.partition("/* page */")[0]
    drawing = re.sub(r"(^|[},])(?=\.bp-)", r"\1.backproof ", RULES)
    where = ":root" if page else ".backproof"
    dark = f"@media(prefers-color-scheme:dark){{{where}{{{colours(DARK)}}}}}"
    paper = f"@media print{{{where}{{{colours(LIGHT)}}}}}"
    return f"{where}{{{colours(LIGHT)}}}{dark}{paper}{drawing}{own}"


@cache
def _resource(name: str) -> str:
    return files("backproof.render").joinpath(name).read_text(encoding="utf-8")


def _without_title(block: str, title: str) -> str:
    return re.sub(rf"\A\s*#\s+{re.escape(title)}\s*#*\s*\n", "", block)


def _contents(entries: Sequence[tuple[int, str, str]]) -> str:
    """A table of contents, where there is enough to look for."""
    if len(entries) < 3:
        return ""
    rows = [
        f'<li class="l{level}"><a href="#{ident}">{escape(text, quote=False)}</a></li>'
        for level, ident, text in entries
    ]
    return (
        '<nav class="contents" aria-label="Contents"><details open><summary>Contents</summary>'
        f"<ul>{''.join(rows)}</ul></details></nav>"
    )


def sheet_id(sheet: SheetReport) -> str:
    """Where a link leads to a sheet."""
    return f"sheet-{slug(sheet.name or sheet.title or 'it')}"
