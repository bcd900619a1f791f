"""Workings and papers as PDF, through Typst: questions, questions with blanks, or solutions.

Only `compile_pdf` needs the library; the source is plain text that can be looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from backproof.calculus.latex import latex_name
from backproof.errors import MissingExtra, render_error
from backproof.render.aligned import aligned
from backproof.render.drawings.choose import drawings
from backproof.render.drawings.labels import shape_said
from backproof.render.formula import FormulaError
from backproof.render.posed import Posed, Posing
from backproof.render.prose import told_apart, typst_prose
from backproof.render.terminal import summary
from backproof.render.typst_math import string, typst_math
from backproof.render.verdicts import MOST_NAMES, counts, says_the_claim, value_text
from backproof.working.report import DECLARING
from backproof.working.writing import latex_array

if TYPE_CHECKING:
    from backproof.working.claims import Verdict
    from backproof.working.report import Report, SheetReport
    from backproof.working.steps import Step, Working

Version = Literal["questions", "blanks", "solutions"]
TEXT_WIDTH = 470.0  # points between the margins
TEXT_HEIGHT = 640.0
SCALE = 0.72  # points a pixel of a drawing
ICONS = {"proved": "✓", "agrees": "≈", "here": "◆", "refuted": "✗", "undecided": "?"}

PREAMBLE = """\
#set document(title: {title})
#set page(paper: "a4", margin: (x: 22mm, y: 22mm), numbering: "1")
#set text(font: ("Libertinus Serif", "New Computer Modern", "DejaVu Sans Mono"), size: 10.5pt,
  lang: "en")
#set par(leading: 0.62em, spacing: 0.9em)
#show heading: set block(above: 1.3em, below: 0.7em)
#show math.equation: set text(top-edge: "bounds", bottom-edge: "bounds")
#show raw: set text(font: "DejaVu Sans Mono", size: 0.92em)
#let soft = luma(90)
#let red = rgb("#b3261e")
#let green = rgb("#1d6b34")
#let blank(body) = box(stroke: (paint: red, dash: "dashed", thickness: 0.8pt),
  inset: (x: 0.7em, y: 0.2em), text(fill: red, body))
#let step(depth, because, shape, body) = block(above: 0.7em, below: 0.7em, breakable: false,
  pad(left: depth * 1.4em, grid(columns: (1fr, auto), column-gutter: 1em,
    align: (left + horizon, right + horizon),
    [#body#if because != "" [
      #h(0.8em)#text(size: 0.85em, style: "italic", fill: soft)[(#because)]]],
    text(size: 0.8em, fill: soft, shape))))
#let note(depth, body) = block(above: 0.6em, below: 0.6em, pad(left: depth * 1.4em, body))
#let part(body) = block(above: 1.1em, below: 0.6em, sticky: true, strong(body))
#let small(body) = block(above: 0.7em, text(size: 0.85em, style: "italic", fill: soft, body))
#let source(body) = block(fill: luma(245), inset: 8pt, radius: 3pt, width: 100%,
  breakable: body.split("\\n").len() > 40, raw(block: true, body))
#let claim(icon, word, paint, body) = block(above: 0.8em, below: 0.8em,
  grid(columns: (7em, 1fr), column-gutter: 0.6em,
    text(fill: paint, weight: "bold", size: 0.9em)[#icon #word], body))
"""


def pdf(report: Report, version: Version = "solutions", posed: Posing | None = None) -> bytes:
    """A file's report as PDF; MissingExtra where Typst is not installed.

    posed   how a paper poses its asks: marks, choices, pairs to match
    """
    return compile_pdf(document(report, version, posed))


def compile_pdf(source: str) -> bytes:
    """Typst source as PDF."""
    try:
        import typst  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise MissingExtra("typst", "pdf") from None
    # Fonts of the system are looked for only where the ones that come along lack a letter.
    known = all(ord(c) < 0x600 or 0x2000 <= ord(c) < 0x2E00 or ord(c) >= 0x1D400 for c in source)
    made: bytes = typst.compile(source.encode(), ignore_system_fonts=known)
    return made


def document(report: Report, version: Version = "solutions", posed: Posing | None = None) -> str:
    """A file's report as Typst source; *posed* is how a paper poses its asks."""
    title = report.title or report.file
    if not report.paper and len(report.sheets) == 1:
        title = report.sheets[0].title or title
    body: list[str] = []
    answered = False
    places = {id(one): k for k, one in enumerate(report.sheets)}
    for block in report.blocks:
        if isinstance(block, str):
            text = _without_title(block, title)
            shown = text if version == "solutions" else told_apart(text, answered)[1]
            body.append(typst_prose(shown))
            answered = False
        else:
            at = places[id(block)]
            own = {k: p for (place, k), p in (posed or {}).items() if place == at}
            body.append(sheet(block, paper=report.paper, version=version, posed=own))
            answered = True
    return whole(title, "\n".join(body))


def _without_title(block: str, title: str) -> str:
    return re.sub(rf"\A\s*#\s+{re.escape(title)}\s*#*\s*\n", "", block)


def whole(title: str, body: str) -> str:
    """A document around a body."""
    head = PREAMBLE.replace("{title}", string(title))
    return f'{head}#align(center, text(size: 1.5em, weight: "bold", {string(title)}))\n\n{body}\n'


# --- sheets --------------------------------------------------------------------------------------


def sheet(
    sheet: SheetReport,
    *,
    paper: bool = False,
    version: Version = "solutions",
    posed: Mapping[int, Posed] | None = None,
) -> str:
    """One sheet: what it says, and in the solutions its answers and verdicts."""
    out: list[str] = []
    if sheet.title and paper:
        out.append(f"#heading(level: 3, {string(sheet.title)})")
    out += [_text(" ".join(p.split())) + "\n" for p in sheet.text.split("\n\n") if p]
    asked_blank = any(working.data.get("blanks") for working in sheet.asks)
    shown = sheet.statements
    if asked_blank and version != "solutions":
        shown = declared_lines(shown)  # the equations are what is asked for
    if shown:
        out.append(f"#source({string(shown)})")
    if sheet.error is not None and version == "solutions":
        out.append('#part("This sheet cannot be worked")')
        out.append(f"#source({string(render_error(sheet.error))})")
    for k, working in enumerate(sheet.asks):
        how = (posed or {}).get(k, Posed())
        blanked = bool(working.data.get("blanks"))
        if version == "solutions":
            out += working_lines(working, [w for w in sheet.asks if w is not working])
        elif version == "blanks" and blanked:
            out += working_lines(without_key(working), (), answered=False)
        else:
            out.append(_to_answer(working, how))
        if how.marks and (version == "solutions" or (version == "blanks" and blanked)):
            out.append(f"#small({string(f'{how.marks}.')})")
        out += _posed_lines(how, solved=version == "solutions")
    if sheet.claims and version == "solutions":
        out += _claims(sheet.claims, sheet.formulas)
    return "\n".join(out)


def _to_answer(working: Working, how: Posed) -> str:
    """What is to be worked out, and for how many marks."""
    asked = working.ask.partition(" blank ")[0]
    marks = f" #h(1fr) {string_text(f'({how.marks})')}" if how.marks else ""
    chosen = [p for p in how.parts if p.options]
    if not chosen:
        return f"#note(0)[*To work out:* #raw({string(asked)}){marks}]"
    word = "To match" if chosen[0].left else "To choose"
    return f"#note(0)[*{word}:* #raw({string(asked)}){marks}]"


def _posed_lines(how: Posed, *, solved: bool) -> Iterator[str]:
    """Choices, pairs and what else a question asks for, line by line."""
    for part in how.parts:
        if not part.options:
            if not solved:
                asked = part.prompt[1]
                told = part.words.removeprefix(f"{asked}, ")  # a box, told by what leads there
                yield f"#note(1)[#raw({string(asked)}): {_text(told)}]"
            continue
        prompt = formula(*part.prompt)
        if part.left:
            yield f"#note(1)[The chain of {prompt}: one letter for each derivative.]"
            rows = []
            for k, left in enumerate(part.left):
                letter = part.answer[k] if solved else "…"
                rows.append(f"[{formula(*left)}], [{letter}]")
            right = [f"[{o.letter}], [{formula(*o.said)}]" for o in part.options]
            both = f"grid(columns: 2, column-gutter: 5em, {_cells(rows)}, {_cells(right)})"
            yield f"#block(inset: (left: 1.5em), breakable: false)[#{both}]"
            continue
        yield f"#note(1)[Which is {prompt}?]"
        rows = []
        for option in part.options:
            why = ""
            if solved:
                told = "right" if option.right else f"wrong: {option.why}"
                why = f" #h(1em) #small({string(told)})"
            letter = f"*{option.letter}*" if solved and option.right else option.letter
            rows.append(f"[{letter}], [{formula(*option.said)}{why}]")
        yield f"#block(inset: (left: 1.5em), breakable: false)[#{_cells(rows)}]"


def _cells(rows: Sequence[str]) -> str:
    """Rows of two cells."""
    return (
        "grid(columns: (auto, auto), column-gutter: 1em, row-gutter: 0.9em, align: horizon, "
        + ", ".join(rows) + ")"
    )  # fmt: skip


def string_text(text: str) -> str:
    """A text inside of content."""
    return f"#{string(text)}"


def declared_lines(statements: str) -> str:
    """The lines of a sheet that say what is given and learned."""
    return "\n".join(row for row in statements.split("\n") if row.startswith(DECLARING))


def without_key(working: Working) -> Working:
    """The questions, without the answer key at their end."""
    at = [k for k, s in enumerate(working.steps) if (s.kind, s.text) == ("heading", "Answer key")]
    return replace(working, steps=working.steps[: at[-1]]) if at else working


def working_lines(
    working: Working, beside: Iterable[Working] = (), *, named: bool = True, answered: bool = True
) -> Iterator[str]:
    """One answer, block by block; with its checks where it is *answered*."""
    title = working.title
    if named:
        yield f"#heading(level: 4, {string(title)})"
    drawn = drawings(working, beside)
    for drawing in drawn:
        rect = drawing.rect
        scale = min(
            SCALE,
            TEXT_WIDTH / (rect.right - rect.left),
            TEXT_HEIGHT / (rect.bottom - rect.top),
        )
        svg = string(drawing.svg("print"))
        yield (
            f'#align(center, image(bytes({svg}), format: "svg", '
            f"width: {(rect.right - rect.left) * scale:.1f}pt, alt: {string(drawing.title)}))"
        )
    shapes: dict[str, tuple[int | str, ...]] = {}
    for step in aligned(_shown(working.steps, drawn=bool(drawn))):
        yield _step(step, shapes)
    verified = summary(working.steps) if answered else ""
    if verified:
        yield f"#small({string(f'Verified: {verified}.')})"


def _shown(steps: Sequence[Step], *, drawn: bool) -> Iterator[Step]:
    """The steps, without the trees in text that are *drawn*, and no heading of nothing."""
    kept = [s for s in steps if not (drawn and s.kind == "tree" and s.label != "sheet")]
    for k, step in enumerate(kept):
        follows = kept[k + 1] if k + 1 < len(kept) else None
        if step.kind != "heading" or (follows is not None and follows.kind != "heading"):
            yield step


def _step(step: Step, shapes: dict[str, tuple[int | str, ...]]) -> str:
    if step.kind in ("tree", "error"):
        return f"#source({string(step.text)})"
    if step.kind == "heading":
        return f"#part({string(step.text)})"
    if step.kind in ("note", "warning"):
        because = f" ({step.because})" if step.because else ""
        body = _text(step.text + because)
        return f"#note({step.depth})[{f'*{body}*' if step.kind == 'warning' else body}]"
    if step.depth == 0:
        shapes.clear()
    shape = step.shape if shapes.get(step.label) != step.shape else None
    if step.shape is not None:
        shapes[step.label] = step.shape
    said = "" if shape is None else shape_said(shape)
    body = _path(step.text) if step.kind == "path" else formula(step.latex, step.text)
    return f"#step({step.depth}, {string(step.because)}, {string(said)})[{body}]"


def formula(latex: str, text: str) -> str:
    """A formula; as it was written where it has no LaTeX of ours, which most often is in words."""
    if latex:
        try:
            return typst_math(latex)
        except FormulaError:
            pass
    if not text:
        return ""
    aligned_by_hand = "█" in text or "\n" in text
    return f"#raw({string(text)})" if aligned_by_hand else string_text(text)


def _path(text: str) -> str:
    names = text.split(" → ")
    if all(re.fullmatch(r"[^\W\d]\w*", name) for name in names):
        return formula(r" \rightarrow ".join(map(latex_name, names)), text)
    return _text(text)


def _text(text: str) -> str:
    """A sentence, its `code` as code."""
    parts = text.split("`")
    return "".join(
        f"#raw({string(part)})" if k % 2 else f"#{string(part)}"
        for k, part in enumerate(parts)
        if part
    )


# --- claims --------------------------------------------------------------------------------------


def _claims(verdicts: Sequence[Verdict], formulas: Mapping[str, str]) -> Iterator[str]:
    yield '#heading(level: 4, "Claims")'
    for verdict in verdicts:
        yield verdict_block(verdict, formulas)
    yield f"#small({string(counts(verdicts) + '.')})"


def verdict_block(verdict: Verdict, formulas: Mapping[str, str]) -> str:
    """One claim."""
    word = verdict.verdict
    body = [formula(formulas.get(verdict.text, ""), verdict.text)]
    if verdict.why and not says_the_claim(verdict):
        body.append(f"#small({string(verdict.why)})")
    if verdict.suggestion is not None:
        said = formula(formulas.get(verdict.suggestion, ""), verdict.suggestion)
        body.append(f"#note(0)[_instead:_ {said}]")
    if verdict.difference is not None:
        said = formula(formulas.get(verdict.difference, ""), verdict.difference)
        body.append(f"#note(0)[_left − right:_ {said}]")
    counter = verdict.counterexample
    if counter is not None and counter.point and word in ("refuted", "here"):
        at = "at" if word == "refuted" else "not at"
        shown = [
            formula(f"{latex_name(name)} = {latex_array(value_text(value))}", name)
            for name, value in list(counter.point.items())[:MOST_NAMES]
        ]
        body.append(f"#note(0)[_{at}_ {' #h(1em) '.join(shown)}]")
    paint = "red" if word in ("refuted", "undecided") else "green"
    return f"#claim({string(ICONS.get(word, ''))}, {string(word)}, {paint})[{' '.join(body)}]"
