"""Matrices drawn as matrices: the literals in a line of text become blocks of aligned columns.

Works on the text of a line, so the digits shown are exactly those of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from backproof.render.lines import cells

MOST_ROWS = 8
_ENTRY = r"\(?-?(?:\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|∞|undefined)\)?|…"
_ENTRIES = rf"(?:{_ENTRY})(?:, (?:{_ENTRY}))*"
_ROW = re.compile(rf"\[({_ENTRIES})\]")
# Not behind a name or a bracket: there it is an index.
_LITERAL = re.compile(
    rf"(?<![\w\])])(?:\[\[{_ENTRIES}\](?:, (?:\[{_ENTRIES}\]|…))*\]|\[{_ENTRIES}\])"
)


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle of text; `middle` is the row that stands on the line."""

    rows: tuple[str, ...]
    middle: int

    @property
    def width(self) -> int:
        return max(map(cells, self.rows))


@dataclass(frozen=True, slots=True)
class Drawing:
    """Rows of text; `line` is the one that the rest of the first line stands on."""

    rows: tuple[str, ...]
    line: int


def draw(text: str, width: int, hanging: int = 4, *, columns: bool = True) -> Drawing | None:
    """The text with its matrices drawn, or None where it has none or they do not fit.

    columns   whether a column is drawn too, or stays `[1, 2]`
    """
    pieces = list(_pieces(text, columns))
    if not any(len(piece.rows) > 1 for piece in pieces):
        return None
    lines: list[list[Block]] = [[]]
    used = 0
    for piece in pieces:
        room = width - (hanging if len(lines) > 1 else 0)
        if piece.width > width - hanging:
            return None
        if lines[-1] and used + piece.width > room:
            lines.append([])
            used = 0
            stripped = tuple(row.removeprefix(" ") for row in piece.rows)
            piece = Block(stripped, piece.middle) if len(piece.rows) == 1 else piece
        lines[-1].append(piece)
        used += piece.width
    rows: list[str] = []
    for n, blocks in enumerate(lines):
        lead = " " * hanging if n else ""
        rows += [lead + row for row in _beside(blocks)]
    return Drawing(tuple(rows), max(block.middle for block in lines[0]))


def literals(text: str) -> Iterator[tuple[int, int, list[list[str]]]]:
    """(start, end, rows of entries) of every matrix and column in a text that is not too tall."""
    for match in _LITERAL.finditer(text):
        literal = match[0]
        rows = [row.split(", ") for row in _ROW.findall(literal)]
        if not literal.startswith("[["):
            rows = [[entry] for entry in rows[0]]
        elif literal.endswith("…]"):
            rows.append(["…"] * len(rows[0]))
        if len(rows) <= MOST_ROWS and len({len(row) for row in rows}) == 1:
            yield match.start(), match.end(), [[_bare(entry) for entry in row] for row in rows]


def _pieces(text: str, columns: bool) -> Iterator[Block]:
    """The text between operators, with its literals as blocks glued to what they belong to."""
    at = 0
    for start, end, rows in literals(text):
        if columns or text.startswith("[[", start):
            yield from _words(text[at:start])
            yield _block(rows)
            at = end
    yield from _words(text[at:])


def _words(text: str) -> Iterator[Block]:
    """Text in pieces that a line may be broken between: before a sign between spaces."""
    start = 0
    for match in re.finditer(r" (?=(?:[-+*/@=<>]|==|→|≤|≥) )|(?<=,) ", text):
        if match.start() > start:
            yield Block((text[start : match.start()],), 0)
        start = match.start()
    if text[start:]:
        yield Block((text[start:],), 0)


def _block(rows: list[list[str]]) -> Block:
    columns = [_aligned(column) for column in zip(*rows, strict=True)]
    inside = ["  ".join(row) for row in zip(*columns, strict=True)]
    if len(inside) == 1:
        return Block((f"[{inside[0]}]",), 0)
    last = len(inside) - 1
    drawn = []
    for n, row in enumerate(inside):
        left, right = ("⎡", "⎤") if n == 0 else ("⎣", "⎦") if n == last else ("⎢", "⎥")
        drawn.append(f"{left} {row} {right}")
    return Block(tuple(drawn), last // 2)


def _bare(entry: str) -> str:
    return entry[1:-1] if entry.startswith("(") else entry


def _aligned(entries: tuple[str, ...]) -> list[str]:
    """A column of numbers with their points below one another."""
    heads = [len(entry.partition(".")[0]) for entry in entries]
    moved = [" " * (max(heads) - head) + entry for head, entry in zip(heads, entries, strict=True)]
    width = max(map(len, moved))
    return [entry.ljust(width) for entry in moved]


def _beside(blocks: list[Block]) -> list[str]:
    above = max(block.middle for block in blocks)
    below = max(len(block.rows) - 1 - block.middle for block in blocks)
    rows = []
    for level in range(-above, below + 1):
        row = ""
        for block in blocks:
            at = block.middle + level
            text = block.rows[at] if 0 <= at < len(block.rows) else ""
            row += text + " " * (block.width - cells(text))
        rows.append(row.rstrip())
    return rows
