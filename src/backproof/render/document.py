"""A file's report as lines: prose as it was written, and each sheet's answers in its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from backproof.errors import InternalContradiction, render_error
from backproof.render.lines import Line, formula_lines, line, prose_lines
from backproof.render.terminal import INDENT, WIDTH, error_lines, joined, working_lines
from backproof.render.verdicts import claims_lines, counts

if TYPE_CHECKING:
    from backproof.working.report import Report, SheetReport


def report_lines(report: Report, width: int = WIDTH) -> list[Line]:
    """The whole file."""
    groups: list[list[Line]] = []
    for block in report.blocks:
        if isinstance(block, str):
            groups.append(_stripped(list(prose(block, width))))
        else:
            groups.append(sheet_lines(block, width, paper=report.paper))
    if report.paper:
        groups.append(_totals(report, width))
    return list(joined(groups))


def _stripped(lines: list[Line]) -> list[Line]:
    while lines and not lines[-1].text:
        lines.pop()
    return lines


def sheet_lines(sheet: SheetReport, width: int = WIDTH, *, paper: bool = False) -> list[Line]:
    """One sheet: in a paper what it says, then its answers and verdicts, or its error."""
    groups: list[list[Line]] = []
    head = _head(sheet, width, paper)
    if head:
        groups.append(head)
    if sheet.error is not None:
        groups.append(_error(sheet, width))
    groups += [working_lines(working, width) for working in sheet.asks]
    if sheet.claims:
        groups.append(claims_lines(sheet.claims, width))
    lines = list(joined(groups))
    return _framed(lines, sheet) if paper else lines


def _head(sheet: SheetReport, width: int, paper: bool) -> list[Line]:
    lines: list[Line] = []
    if sheet.title:
        lines += prose_lines(sheet.title, width, 0, style="heading")
    for paragraph in sheet.text.split("\n\n") if sheet.text else ():
        lines += prose_lines(" ".join(paragraph.split()), width, 0)
    if paper and sheet.stated:
        if lines:
            lines.append(line())
        for row in sheet.stated.split("\n"):
            lines += _statement(row, width)
    return lines


def _statement(row: str, width: int) -> list[Line]:
    if not row:
        return [line()]
    bare = row.strip()
    if bare.startswith("#"):  # a comment goes on as a comment
        sign = len(bare) - len(bare.lstrip("# "))
        lead = " " * INDENT + "# "
        rows = prose_lines(bare[sign:], width, len(lead))
        return [line(lead + r.text.strip()) for r in rows]
    return formula_lines(row, width, INDENT)


def _framed(lines: list[Line], sheet: SheetReport) -> list[Line]:
    name = f" {sheet.name}" if sheet.name else ""
    return [line(f"── sheet{name} ──", "shape"), *lines]


def _error(sheet: SheetReport, width: int) -> list[Line]:
    error = sheet.error
    assert error is not None
    if isinstance(error, InternalContradiction):
        head = "This is a fault in backproof; please report it."
    else:
        head = "This sheet cannot be worked:"
    rows = render_error(error).split("\n")
    return [line(head, "heading"), *error_lines(rows, width)]


def _totals(report: Report, width: int) -> list[Line]:
    verdicts = [verdict for sheet in report.sheets for verdict in sheet.claims]
    number = len(report.sheets)
    text = f"{number} sheet{'s' if number != 1 else ''}, {counts(verdicts)}"
    broken = sum(sheet.error is not None for sheet in report.sheets)
    if broken:
        text += f"; {broken} sheet{'s' if broken != 1 else ''} with an error"
    return prose_lines(text + ".", width, style="heading")


# --- prose -------------------------------------------------------------------------------------

_VERBATIM = re.compile(r"^(?: {4}|\t|\||>|<)")
_ITEM = re.compile(r"^( *)([-*+]|\d+[.)]) +")


def prose(text: str, width: int = WIDTH) -> Iterator[Line]:
    """Markdown as it was written, its paragraphs broken anew."""
    fence = ""
    paragraph: list[str] = []
    blank = True
    for row in [*text.strip("\n").split("\n"), ""]:
        bare = row.strip()
        marker = re.match(r"(`{3,}|~{3,})", bare)
        special = bool(fence or marker or not bare or bare.startswith("#") or _VERBATIM.match(row))
        if (special or _ITEM.match(row)) and paragraph:
            yield from _paragraph(paragraph, width)
            paragraph, blank = [], False
        if fence:
            yield line(row.rstrip())
            if marker and bare == fence[0] * len(bare) and len(bare) >= len(fence):
                fence = ""
            blank = False
        elif marker:
            fence, blank = marker[1], False
            yield line(row.rstrip())
        elif not bare:
            if not blank:
                yield line()
            blank = True
        elif bare.startswith("#"):
            yield from prose_lines(bare, width, style="heading")
            blank = False
        elif special:
            yield line(row.rstrip())
            blank = False
        else:
            paragraph.append(row)


def _paragraph(rows: list[str], width: int) -> list[Line]:
    item = _ITEM.match(rows[0])
    text = " ".join(" ".join(rows).split())
    if item is None:
        return prose_lines(text, width)
    indent = len(item[1])
    return prose_lines(text, width, indent, len(item[0]) - indent)
