"""The verdicts of files as lines: every claim of one file, a table and what fails of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from backproof.render.lines import Line, Part, cells, line, prose_lines
from backproof.render.terminal import INDENT, WIDTH, joined
from backproof.render.verdicts import ORDER, STYLES, Point, counts, point_shown, verdict_lines

if TYPE_CHECKING:
    from backproof.working.checking import FileVerdicts


def check_lines(
    results: Sequence[FileVerdicts], verbose: bool = False, width: int = WIDTH
) -> list[Line]:
    """The verdicts of files: a table where there are several, details, and always the counts."""
    groups: list[list[Line]] = []
    many = len(results) > 1
    if many:
        groups.append(_table(results, width))
    for result in results:
        wanted = [v for v in result.verdicts if verbose or not many or not v.holds]
        if wanted:
            lines = [line(result.file, "heading")]
            point: Point = {}
            for verdict in wanted:
                lines += _at_line(verdict_lines(verdict, width - 6, point=point), verdict.line)
                point = point_shown(verdict) or point
            groups.append(lines)
    found = Counter(v.verdict for result in results for v in result.verdicts)
    total = counts(found, f" in {len(results)} files" if many else "")
    broken = sum(len(result.problems) for result in results)
    if broken:
        total += f"; {broken} sheet{'s' if broken != 1 else ''} could not be read"
    groups.append(prose_lines(f"{total}.", width))
    return list(joined(groups))


def _at_line(lines: list[Line], number: int) -> list[Line]:
    """A claim with the number of its line before it."""
    first, *rest = lines
    lead = f"{number:>5} "
    blank = " " * (len(lead))
    return [
        Line(((lead, "shape"), *first.parts)),
        *(Line(((blank, ""), *one.parts)) for one in rest),
    ]


def _table(results: Sequence[FileVerdicts], width: int) -> list[Line]:
    widest = width - INDENT - sum(len(word) + 2 for word in ORDER)
    names = [_short(result.file, widest) for result in results]
    column = max(cells(name) for name in names)
    lines = [line(" " * (INDENT + column) + "".join(f"  {word}" for word in ORDER), "heading")]
    for name, result in zip(names, results, strict=True):
        parts: list[Part] = [(" " * INDENT + name + " " * (column - cells(name)), "")]
        if result.problems and not result.verdicts:
            parts.append(("  cannot be read", "refuted"))
        else:
            found = Counter(verdict.verdict for verdict in result.verdicts)
            for word in ORDER:
                number = str(found[word]) if found[word] else "·"
                parts.append((number.rjust(len(word) + 2), STYLES[word] if found[word] else ""))
        lines.append(Line(tuple(parts)))
    return lines


def _short(text: str, most: int) -> str:
    return text if cells(text) <= most else "…" + text[-(most - 1) :]
