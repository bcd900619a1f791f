"""Lines of text in parts, each with a style: what the terminal and the notebook both show.

Breaks long lines at operators with a hanging indent. Knows nothing of workings or of colours.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Style = Literal[
    "", "heading", "shape", "note", "value", "holds", "refuted", "undecided", "warning", "error"
]
Part = tuple[str, Style]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of output, without its line end."""

    parts: tuple[Part, ...] = ()

    @property
    def text(self) -> str:
        """The line without its styles."""
        return "".join(text for text, _ in self.parts)


def line(text: str = "", style: Style = "") -> Line:
    """A line in one style."""
    return Line(((text, style),)) if text else Line()


def plain(lines: Iterable[Line]) -> str:
    """The lines as plain text, one end of line after each."""
    return "".join(f"{one.text.rstrip()}\n" for one in lines)


def cells(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


# --- breaking long lines -----------------------------------------------------------------------

# A formula may be broken before an operator or behind a comma; prose at any space.
_SUM = re.compile(r" (?=(?:[-+=<>≤≥≠→−]|:=|==|!=|<=|>=) )| (?=(?:for|if) )")
_PRODUCT = re.compile(r" (?=(?:[*/@·⊙]|\*\*) )|(?<=[\w)\]])(?=[*/][\w(\[])")
_AFTER = re.compile(r"(?<=,) ")
_OPEN, _CLOSE = "([{", ")]}"


def wrap_formula(text: str, width: int, hanging: int = 4, taken: int = 0) -> list[tuple[int, int]]:
    """(start, end) of the pieces of a formula; later pieces stand *hanging* columns further in.

    A break at an outer operator is preferred to one within brackets. *taken* columns at the end
    of the first piece's line are not free.
    """
    depths = _depths(text)
    rank: dict[int, int] = {}
    for kind, signs in enumerate((_SUM, _PRODUCT, _AFTER)):
        for match in signs.finditer(text):
            rank.setdefault(match.start(), 3 * depths[match.start()] + kind)
    return _broken(text, width, hanging, rank, taken)


def wrap_prose(text: str, width: int, hanging: int = 0) -> list[tuple[int, int]]:
    """(start, end) of the pieces of a sentence, broken at spaces."""
    rank = {m.start(): 0 for m in re.finditer(r"(?<=\S) (?=\S)", text)}
    return _broken(text, width, hanging, rank)


def _depths(text: str) -> list[int]:
    depths, depth = [], 0
    for c in text:
        if c in _CLOSE:
            depth -= 1
        depths.append(depth)
        if c in _OPEN:
            depth += 1
    return depths


def _broken(
    text: str, width: int, hanging: int, rank: dict[int, int], taken: int = 0
) -> list[tuple[int, int]]:
    pieces: list[tuple[int, int]] = []
    start, room = 0, max(width - taken, 8)
    while cells(text[start:]) > room:
        far = start + _reach(text, start, room)
        near = start + max(1, (far - start) // 2)
        fitting = [at for at in rank if start < at <= far]
        # an outer sum is broken between its terms also where the line is then a little short
        early = start + max(1, (far - start) // 3)
        late = [at for at in fitting if at >= near or (rank[at] == 0 and at >= early)]
        at = 0
        if late:
            at = max(late, key=lambda a: (-rank[a], a))
        elif fitting:
            at = max(fitting)
        if not at:
            space = text.rfind(" ", start + 1, far + 1)
            at = space if space > start else far
        pieces.append((start, at))
        start = at + 1 if text[at] == " " else at
        room = max(width - hanging, 8)
    pieces.append((start, len(text)))
    return pieces


def _reach(text: str, start: int, room: int) -> int:
    """How many characters from *start* on fit into *room* columns."""
    used = 0
    for n, c in enumerate(text[start:]):
        used += cells(c)
        if used > room:
            return max(n, 1)
    return len(text) - start


def formula_lines(
    text: str, width: int, indent: int = 0, hanging: int = 4, style: Style = "", taken: int = 0
) -> list[Line]:
    """A formula at an indent, broken at operators where it is too long."""
    pieces = wrap_formula(text, width - indent, hanging, taken)
    return _indented(text, pieces, indent, hanging, style)


def prose_lines(
    text: str, width: int, indent: int = 0, hanging: int = 0, style: Style = ""
) -> list[Line]:
    """A sentence at an indent, broken at spaces."""
    pieces = wrap_prose(text, width - indent, hanging)
    return _indented(text, pieces, indent, hanging, style)


def _indented(
    text: str, pieces: Sequence[tuple[int, int]], indent: int, hanging: int, style: Style
) -> list[Line]:
    lines = []
    for n, (start, end) in enumerate(pieces):
        lead = " " * (indent + (hanging if n else 0))
        lines.append(Line(((lead, ""), (text[start:end].rstrip(), style))))
    return lines


def tree_lines(text: str, width: int, indent: int = 0) -> Iterator[Line]:
    """The lines of a drawn tree as they are; what is too long goes on beside the branches."""
    for row in text.split("\n"):
        match = re.match(r"[│├└─|+` ]*", row)
        branch = match[0] if match is not None else ""
        rest = row[len(branch) :]
        below = branch.replace("├", "│").replace("└", " ").replace("─", " ") + "    "
        pieces = wrap_formula(rest, width - indent - cells(branch), 4)
        for n, (start, end) in enumerate(pieces):
            yield line(" " * indent + (below if n else branch) + rest[start:end])


# --- what an encoding cannot write ---------------------------------------------------------------

_ASCII = {
    "→": "->", "←": "<-", "∂": "d", "∇": "grad ", "ᵀ": ".T", "⊙": "*", "·": "*", "×": "x", "−": "-",
    "–": "-", "—": "-", "…": "...", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "±": "+-",
    "∞": "inf",
    "Σ": "sum", "Π": "prod", "√": "sqrt", "∈": "in", "ℝ": "R", "‖": "||", "½": "1/2", "²": "^2",
    "³": "^3", "¹": "^1", "⁻": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "•": "*", "′": "'",
    "│": "|", "├": "|", "└": "`", "─": "-", "┬": "+", "┼": "+", "┴": "+",
    "⎡": "[", "⎢": "[", "⎣": "[", "⎤": "]", "⎥": "]", "⎦": "]",
}  # fmt: skip


def writable(text: str, encoding: str) -> str:
    """The text with what an encoding cannot write spelled in ASCII."""
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return "".join(c if c.isascii() or _can(c, encoding) else _spelled(c) for c in text)
    return text


def _can(char: str, encoding: str) -> bool:
    try:
        char.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _spelled(char: str) -> str:
    if char in _ASCII:
        return _ASCII[char]
    name = unicodedata.name(char, "")
    greek = re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (\w+)", name)
    if greek is not None:
        word = greek[2].lower().replace("lamda", "lambda")
        return word if greek[1] == "SMALL" else word.capitalize()
    base = unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode()
    return base or "?"
