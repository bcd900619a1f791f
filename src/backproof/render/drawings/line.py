"""A formula in one line of text: runs with their place and size, for labels in drawings.

Fractions are written with a slash, matrices as an ellipsis in brackets: a label names a thing,
the formula beside the drawing says all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from backproof.render import formula as f
from backproof.render.drawings.metrics import text_width

SMALL = 0.72  # the size of a script
RAISED, LOWERED = -0.40, 0.24


@dataclass(frozen=True, slots=True)
class Run:
    """A piece of text: how far its left end and its baseline are from those of the line."""

    text: str
    x: float
    y: float
    size: float
    italic: bool = False
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    runs: tuple[Run, ...]
    width: float

    @property
    def text(self) -> str:
        return "".join(run.text for run in self.runs)


def words(text: str, size: float, *, italic: bool = False, bold: bool = False) -> Line:
    """Plain text as a line."""
    wide = text_width(text, size, bold=bold)
    return Line((Run(text, 0.0, 0.0, size, italic, bold),), wide)


def formula_line(latex: str, size: float, most: float | None = None) -> Line:
    """A formula as a line; cut with an ellipsis where it is wider than *most*."""
    line = _joined(list(_runs(f.parse(latex), size)))
    if most is None or line.width <= most:
        return line
    room = most - text_width(" …", size)
    kept = [run for run in line.runs if run.x + _wide(run) <= room]
    end = max((run.x + _wide(run) for run in kept), default=0.0)
    return Line((*kept, Run(" …", end, 0.0, size)), end + text_width(" …", size))


def beside(*lines: Line) -> Line:
    """Lines one after the other."""
    runs: list[Run] = []
    at = 0.0
    for line in lines:
        runs += [replace(run, x=run.x + at) for run in line.runs]
        at += line.width
    return Line(tuple(runs), at)


def _joined(runs: list[Run]) -> Line:
    return Line(tuple(runs), max((r.x + _wide(r) for r in runs), default=0.0))


def _wide(run: Run) -> float:
    return text_width(run.text, run.size, bold=run.bold)


def _runs(tree: f.Formula, size: float, x: float = 0.0, y: float = 0.0) -> Iterator[Run]:
    """The runs of a formula that begins at a place."""
    match tree:
        case f.Atom():
            yield _atom(tree, size, x, y)
        case f.Space():
            yield Run(" " if tree.width < 0.5 else "  ", x, y, size)
        case f.Row(items=items):
            yield from _beside(list(_spaced(items)), size, x, y)
        case f.Fraction(above=above, below=below):
            parts = [_bracketed(above), f.Atom("sign", "/"), _bracketed(below)]
            yield from _beside(parts, size, x, y)
        case f.Root(inside=inside):
            yield from _beside([f.Atom("sign", "√"), _bracketed(inside)], size, x, y)
        case f.Fence(left=left, inside=inside, right=right):
            parts = [f.Atom("text", left), inside, f.Atom("text", right)]
            yield from _beside(parts, size, x, y)
        case f.Table(rows=rows):
            yield Run(f"[{len(rows)} × {len(rows[0])}]", x, y, size)
        case f.Accent(sign=sign, base=base):
            yield from _runs(base, size, x, y)
            mark = {"^": "\u0302", "¯": "\u0304", "~": "\u0303", "˙": "\u0307"}.get(sign, "")
            yield Run(mark, x, y, size)
        case f.Phantom():
            yield Run("", x, y, size)
        case f.Boxed(inside=inside):
            yield from _beside([f.Atom("text", "["), inside, f.Atom("text", "]")], size, x, y)
        case f.Script(base=base, above=above, below=below):
            inner = _joined(list(_runs(base, size, x, y)))
            yield from inner.runs
            end = inner.width + 0.04 * size if inner.runs else x
            if above is not None:
                yield from _runs(above, size * SMALL, end, y + RAISED * size)
            if below is not None:
                yield from _runs(below, size * SMALL, end, y + LOWERED * size)


def _beside(items: list[f.Formula], size: float, x: float, y: float) -> Iterator[Run]:
    for item in items:
        line = _joined(list(_runs(item, size, x, y)))
        yield from line.runs
        x = max(x, line.width)


def _spaced(items: tuple[f.Formula, ...]) -> Iterator[f.Formula]:
    """The items, with blanks around operators."""
    for k, item in enumerate(items):
        operator = f.is_sign(item) and not f.is_prefix(items, k)
        if operator and k:
            yield f.Space(0.25)
        yield item
        if operator or f.is_sign(item, ",;"):
            yield f.Space(0.25)


def _bracketed(tree: f.Formula) -> f.Formula:
    single = len(f.items_of(tree)) == 1 or (
        isinstance(tree, f.Row) and tree.items[0] == f.Atom("upright", "∂")
    )
    return tree if single else f.Fence("(", tree, ")")


def _atom(atom: f.Atom, size: float, x: float, y: float) -> Run:
    text = "T" if atom.text == "⊤" else atom.text  # raised already by the script
    italic = atom.kind == "name" and not text.isupper()
    italic = italic or (atom.kind == "name" and text.isascii())
    return Run(text, x, y, size, italic, atom.kind == "bold")
