"""A working as lines for a terminal of 80 columns: readable without colour, plain when piped.

Only `show` knows rich and the output stream; everything else makes lines.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from backproof.render.lines import (
    Line,
    Style,
    cells,
    formula_lines,
    line,
    plain,
    prose_lines,
    tree_lines,
    writable,
)
from backproof.render.matrices import draw

if TYPE_CHECKING:
    from backproof.working.steps import Step, Working

WIDTH = 80
WIDEST = 100  # a line longer than this is hard to read on any screen
INDENT = 2
WORDS = ("note", "warning")

# Each colour says one thing: cyan a value, green holds, red does not, yellow is not decided.
COLOURS: dict[Style, str] = {
    "": "",
    "heading": "bold",
    "shape": "dim",
    "note": "dim italic",
    "value": "cyan",
    "holds": "green",
    "refuted": "bold red",
    "undecided": "yellow",
    "warning": "bold",
    "error": "bold red",
}


def working_lines(working: Working, width: int = WIDTH) -> list[Line]:
    """One answer: a heading, its steps, and how they were verified."""
    lines = [*formula_lines(working.title, width, style="heading")]
    lines.append(line("─" * min(width, max(cells(one.text) for one in lines)), "shape"))
    before: Step | None = None
    shapes: dict[str, tuple[int | str, ...]] = {}
    for step in working.steps:
        if _apart(step, before):
            lines.append(line())
        lines += step_lines(_shape_once(step, shapes), width)
        before = step
    verified = summary(working.steps)
    if verified:
        lines.append(line())
        lines += prose_lines(f"verified: {verified}", width, INDENT, 4, "note")
    return lines


def _shape_once(step: Step, shapes: dict[str, tuple[int | str, ...]]) -> Step:
    """The step without its shape, where the equation above says it of the same name."""
    if step.depth == 0:
        shapes.clear()
    if step.shape is None or shapes.get(step.label) != step.shape:
        if step.shape is not None:
            shapes[step.label] = step.shape
        return step
    return replace(step, shape=None)


def _apart(step: Step, before: Step | None) -> bool:
    """Whether a blank line stands before a step."""
    if before is None:
        return False
    if step.kind in ("heading", "tree") or before.kind == "tree":
        return before.kind != "heading"
    if before.kind == "heading" or step.depth > 0:
        return False
    return before.depth > 0 or (step.kind in WORDS) != (before.kind in WORDS)


def step_lines(step: Step, width: int = WIDTH) -> list[Line]:
    """One step: its text, the shape at the right margin, the reason behind it or below it."""
    indent = INDENT + 2 * step.depth
    if step.kind == "tree":
        return list(tree_lines(step.text, width, INDENT))
    if step.kind == "error":
        return list(error_lines(step.text.split("\n"), width))
    if step.kind in PROSE:
        style, hanging = PROSE[step.kind]
        lines = prose_lines(step.text, width, indent, hanging, style)
        return _annotated(lines, 0, "", step, width)
    shape = _shape_beside(step)
    lines, at = _formula(step, width, cells(shape) + 2 if shape else 0, indent)
    return _annotated(lines, at, shape, step, width)


PROSE: dict[str, tuple[Style, int]] = {
    "heading": ("heading", 0),
    "warning": ("warning", 2),
    "note": ("", 0),
}


def error_lines(rows: Sequence[str], width: int = WIDTH) -> Iterator[Line]:
    """An error as it is told: the reader's own lines as they are, sentences broken at spaces."""
    for row in rows:
        if re.match(r" +\d* +\|", row):
            yield line(f"  {row}", "error" if row.rstrip().endswith("^") else "")
        else:
            yield from prose_lines(row.strip(), width, INDENT, 2)


def _formula(step: Step, width: int, taken: int, indent: int) -> tuple[list[Line], int]:
    """The lines, and which of them the shape (of *taken* columns) and the reason stand on."""
    is_value = step.kind == "result"
    hanging = _hanging(step.text)
    drawn = draw(step.text, width - taken - indent, hanging) if step.kind != "path" else None
    if drawn is not None:
        start = step.text.rfind("= ") + 2 if is_value and " [" in step.text else 0
        rows = [_valued(" " * indent, row, start) for row in drawn.rows]
        return rows, drawn.line
    start = step.text.rfind("= ") + 2 if is_value else 0
    pieces = formula_lines(step.text, width, indent, hanging, taken=taken)
    if len(pieces) == 1 and is_value:
        return [_valued(" " * indent, step.text, start)], 0
    return pieces, 0


def _valued(lead: str, row: str, start: int) -> Line:
    """A row whose value begins at a column; 0 for none."""
    if not start:
        return line(lead + row)
    return Line(((lead + row[:start], ""), (row[start:], "value")))


def _hanging(text: str) -> int:
    """Later lines begin below what follows the equals sign, if that is near the start."""
    at = text.find("= ")
    return at + 2 if 0 <= at <= 12 else 4


def _shape_beside(step: Step) -> str:
    """The shape, unless the text says it already."""
    if step.shape is None:
        return ""
    if step.shape == () and _ENTRY.match(step.text):
        return ""  # an entry is a number
    brief = shape_text(step.shape)
    said = brief in step.text or (step.shape == () and "a number" in step.text)
    return "" if said else brief


_ENTRY = re.compile(r"[^\s=]+\[\w+(?:, \w+)*\] = ")


def shape_text(shape: Sequence[int | str]) -> str:
    """A shape as it stands beside a line: `number`, `3 × 1`, `(D + 1) × K`."""
    if not shape:
        return "number"
    sizes = (*shape, 1) if len(shape) == 1 else shape
    return " × ".join(f"({d})" if " " in str(d) else str(d) for d in sizes)


def _annotated(lines: list[Line], at: int, shape: str, step: Step, width: int) -> list[Line]:
    """The reason behind a short line, else below it; the shape at the right margin."""
    note = f"({step.because})" if step.because else ""
    parts = list(lines[at].parts)
    used = cells(lines[at].text)
    below: list[Line] = []
    if note:
        room = width - used - (cells(shape) + 2 if shape else 0)
        if cells(note) + 2 <= room and (len(lines) == 1 or _is_drawn(lines)):
            parts += [("  ", ""), (note, "note")]
            used += 2 + cells(note)
        else:
            below = prose_lines(note, width, INDENT + 2 * step.depth + 4, 1, "note")
    if shape:
        parts += [(" " * max(2, width - used - cells(shape)), ""), (shape, "shape")]
    return [*lines[:at], Line(tuple(parts)), *lines[at + 1 :], *below]


def _is_drawn(lines: list[Line]) -> bool:
    return any(c in one.text for one in lines for c in "⎡⎢⎣")


# --- verification ------------------------------------------------------------------------------


def summary(steps: Iterable[Step]) -> str:
    """How the steps were verified, counted: `numeric differentiation, 3 points, 0 failed`."""
    counted: dict[str, list[tuple[int, int]]] = {}
    for step in steps:
        if step.verified is not None:
            counted.setdefault(step.verified.how, []).append(
                (step.verified.points, step.verified.failed)
            )
    return "; ".join(_counted(how, found) for how, found in counted.items())


def _counted(how: str, found: list[tuple[int, int]]) -> str:
    fewest, most = min(p for p, _ in found), max(p for p, _ in found)
    failed = sum(f for _, f in found)
    points = f"{most} point{'s' if most != 1 else ''}"
    if len(found) == 1:
        return f"{how}, {points}, {failed} failed"
    each = f"{points} each" if fewest == most else f"{fewest} to {points} each"
    if fewest == most == 1:
        return f"{how}, {len(found)} lines, {failed} failed"
    return f"{how}, {len(found)} lines at {each}, {failed} failed"


# --- to the stream -----------------------------------------------------------------------------


def width_of(stream: TextIO) -> int:
    """The columns to write for: the terminal's own up to a limit, 80 when piped."""
    try:
        if stream.isatty():
            columns = os.get_terminal_size(stream.fileno()).columns or WIDTH
            return max(40, min(columns, WIDEST))
    except (OSError, ValueError, AttributeError):
        pass
    return WIDTH


def show(lines: Sequence[Line], stream: TextIO | None = None) -> None:
    """Writes the lines, in colour on a terminal that has it, else as plain text."""
    stream = sys.stdout if stream is None else stream
    encoding = getattr(stream, "encoding", None) or "utf-8"
    if not _in_colour(stream):
        stream.write(writable(plain(lines), encoding))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(
        file=stream, highlight=False, markup=False, emoji=False, width=10_000, soft_wrap=True
    )
    for one in lines:
        text = Text()
        for part, style in one.parts:
            text.append(writable(part, encoding), COLOURS[style])
        console.print(text)


def _in_colour(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    try:
        return stream.isatty()
    except ValueError:
        return False


def joined(groups: Iterable[Sequence[Line]]) -> Iterator[Line]:
    """The groups with a blank line between them."""
    for n, group in enumerate(groups):
        if n:
            yield line()
        yield from group
