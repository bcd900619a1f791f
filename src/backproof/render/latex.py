"""Workings and reports as LaTeX: an article that compiles as it stands, or a fragment of one.

Uses only what every TeX has: pdflatex and lualatex compile it with the AMS packages alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from backproof.errors import render_error
from backproof.render.aligned import aligned
from backproof.render.matrices import literals
from backproof.render.terminal import shape_text, summary
from backproof.render.tex import breakable, escape, inline, markdown, math, monospace
from backproof.render.verdicts import counts, value_text

if TYPE_CHECKING:
    from backproof.working.claims import Verdict
    from backproof.working.report import Report, SheetReport
    from backproof.working.steps import Step, Working

PREAMBLE = r"""\documentclass[11pt,a4paper]{article}
\usepackage{iftex}
\ifPDFTeX
  \usepackage[utf8]{inputenc}
  \IfFileExists{lmodern.sty}{\usepackage[T1]{fontenc}\usepackage{lmodern}}{}
  \DeclareRobustCommand{\unicodechar}[2]{[U+#1]}
\else
  \ifLuaTeX\IfFileExists{luaotfload.sty}{\usepackage{fontspec}}{}\else\usepackage{fontspec}\fi
  \DeclareRobustCommand{\unicodechar}[2]{#2}
\fi
\usepackage{amsmath,amssymb}
\usepackage[margin=25mm]{geometry}
\setcounter{MaxMatrixCols}{30}
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt plus 2pt}
\setlength{\emergencystretch}{3em}
\frenchspacing
\binoppenalty=200 \relpenalty=100
"""
_COMMANDS = r"""% One line of a working: indent, formula, reason, shape.
\providecommand{\unicodechar}[2]{[U+#1]}
\providecommand{\bpline}[4]{\par{\noindent\hangindent=\dimexpr#1+2em\relax\hangafter=1
  \hspace*{#1}#2\quad{\small\itshape #3}\unskip\nobreak\hfill\penalty50\hbox{}\nobreak\hfill
  {\small #4}\rightskip=0pt plus 1fil\parfillskip=0pt\finalhyphendemerits=0\par}}
"""


def article(report: Report) -> str:
    """A whole file as an article."""
    title = report.title or report.file
    body = []
    for block in report.blocks:
        body.append(markdown(_without_title(block, title)) if isinstance(block, str) else "")
        if not isinstance(block, str):
            body.append(sheet_fragment(block, paper=report.paper))
    return _whole(inline(title), "\n".join(body))


def _without_title(block: str, title: str) -> str:
    """The prose without the heading that became the title."""
    return re.sub(rf"\A\s*#\s+{re.escape(title)}\s*#*\s*\n", "", block)


def standalone(title: str, fragment: str) -> str:
    """A fragment as an article of its own."""
    return _whole(escape(title), fragment)


def _whole(title: str, body: str) -> str:
    head = rf"\title{{{title}}}" + "\n" + r"\author{}\date{}"
    begin, end = r"\begin{document}", r"\end{document}"
    return f"{PREAMBLE}{_COMMANDS}{head}\n{begin}\n\\maketitle\n\n{body}\n{end}\n"


def sheet_fragment(sheet: SheetReport, *, paper: bool = False) -> str:
    """One sheet: what it says, its answers, its verdicts, or its error."""
    out: list[str] = []
    if sheet.title:
        out.append(rf"\subsection*{{{escape(sheet.title)}}}" + "\n")
    if sheet.text:
        out.append(escape(sheet.text) + "\n")
    if sheet.stated:
        out.append(_source(sheet.stated))
    if sheet.error is not None:
        out.append(r"\textbf{This sheet cannot be worked.}\par" + "\n")
        out.append(_source(render_error(sheet.error)))
    out += [working_fragment(working) for working in sheet.asks]
    if sheet.claims:
        out.append(claims_fragment(sheet.claims))
    return "\n".join(out)


def working_fragment(working: Working) -> str:
    """One answer."""
    lines = [rf"\subsubsection*{{{escape(working.title)}}}"]
    lines += [line for step in aligned(working.steps) for line in _step(step)]
    verified = summary(working.steps)
    if verified:
        lines.append(rf"\par\smallskip\noindent{{\small\itshape verified: {escape(verified)}}}\par")
    return "\n".join(lines) + "\n"


def _step(step: Step) -> Iterator[str]:
    if step.kind in ("tree", "error"):
        yield _source(step.text)
        return
    if step.kind == "heading":
        yield rf"\par\medskip\noindent\textbf{{{escape(step.text)}}}\par\nopagebreak"
        return
    if step.kind in ("note", "warning"):
        strong = r"\bfseries " if step.kind == "warning" else ""
        formula = f"{{{strong}{escape(step.text)}}}"
    elif step.latex:
        formula = rf"$\displaystyle {math(step.latex)}$"
    else:
        formula = _with_matrices(step.text)
    shape = ""
    if step.shape is not None:
        shape = "number" if not step.shape else escape(shape_text(step.shape))
    because = f"({escape(step.because)})" if step.because else ""
    yield rf"\bpline{{{1.5 * step.depth}em}}{{{formula}}}{{{because}}}{{{shape}}}"


def _with_matrices(text: str) -> str:
    """A formula in the sheet's spelling, its matrices set as matrices."""
    out, at = [], 0
    for start, end, rows in literals(text):
        out.append(breakable(text[at:start]))
        body = r" \\ ".join(" & ".join(row) for row in rows)
        out.append(math(rf"$\begin{{bmatrix}} {body} \end{{bmatrix}}$"))
        at = end
    out.append(breakable(text[at:]))
    return "".join(out)


def claims_fragment(verdicts: Sequence[Verdict]) -> str:
    """All claims of a sheet."""
    lines = [r"\subsubsection*{claims}"]
    for verdict in verdicts:
        lines += verdict_fragment(verdict)
    lines.append(rf"\par\smallskip\noindent{{\small\itshape {escape(counts(verdicts))}}}\par")
    return "\n".join(lines) + "\n"


def verdict_fragment(verdict: Verdict) -> list[str]:
    """One claim."""
    why = f"({escape(verdict.why)})" if verdict.why else ""
    head = rf"\textbf{{{verdict.verdict}}}\quad {breakable(verdict.text)}"
    lines = [rf"\bpline{{0em}}{{{head}}}{{{why}}}{{}}"]
    if verdict.suggestion is not None:
        lines.append(rf"\bpline{{3em}}{{instead: {breakable(verdict.suggestion)}}}{{}}{{}}")
    if verdict.difference is not None:
        left = escape("left − right: ")
        lines.append(rf"\bpline{{3em}}{{{left}{breakable(verdict.difference)}}}{{}}{{}}")
    counter = verdict.counterexample
    if counter is not None and verdict.verdict in ("refuted", "here"):
        where = "at" if verdict.verdict == "refuted" else "not at"
        for name, value in counter.point.items():
            text = breakable(f"{name} = {value_text(value)}")
            lines.append(rf"\bpline{{3em}}{{{where} {text}}}{{}}{{}}")
    return lines


def _source(text: str) -> str:
    return (
        "\n".join([r"\par\smallskip{\parskip=0pt", *_rows(text.split("\n")), r"}\smallskip"]) + "\n"
    )


def _rows(rows: Iterable[str]) -> Iterator[str]:
    for row in rows:
        if row.strip():
            yield rf"\noindent{{\footnotesize {monospace(row)}}}\par"
        else:
            yield r"\smallskip"
