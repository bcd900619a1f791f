"""Finds the sheets of a Markdown paper: fences marked `sheet`, and the prose between them.

It follows CommonMark where fences are concerned, and must not know what a sheet says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from backproof.errors import Place, SheetError, SheetSyntaxError, Source, Span
from backproof.language.sheet import Sheet, parse_sheet


@dataclass(frozen=True, eq=False)
class Prose:
    """What stands between two sheets, as written."""

    text: str
    span: Span


@dataclass(frozen=True, eq=False)
class SheetBlock:
    """A sheet in a paper, or the error that says why it cannot be read.

    name   the words after `sheet` on the opening line
    span   what stands inside the fence
    """

    name: str
    span: Span
    sheet: Sheet | None
    error: SheetError | None


@dataclass(frozen=True, eq=False)
class Document:
    """A file: its sheets, and the prose around them in the order of the file."""

    source: Source
    title: str
    blocks: tuple[Prose | SheetBlock, ...]

    @property
    def sheets(self) -> tuple[SheetBlock, ...]:
        """The sheets only."""
        return tuple(block for block in self.blocks if isinstance(block, SheetBlock))


def parse_markdown(source: Source) -> Document:
    """The paper in its blocks. A sheet with an error does not stop the others."""
    blocks: list[Prose | SheetBlock] = []
    done = seen = 0
    title = ""
    for fence in _fences(source.text):
        title = title or _heading(source.text[seen : fence.start])
        seen = fence.end
        if fence.name is None:
            continue
        _add_prose(blocks, source, done, fence.start)
        blocks.append(_sheet_block(source, fence))
        done = fence.end
    _add_prose(blocks, source, done, len(source.text))
    return Document(source, title or _heading(source.text[seen:]), tuple(blocks))


def sheet_regions(text: str) -> list[tuple[str, Span]]:
    """(name, what stands inside) of every sheet that is fenced in a text; none is parsed."""
    return [(f.name, f.inside) for f in _fences(text) if f.name is not None]


@dataclass(frozen=True, slots=True)
class _Fence:
    name: str | None  # None: a fence of another language
    start: int  # of the opening line
    inside: Span
    end: int  # behind the closing line
    closed: bool


_OPENING = re.compile(r"^ {0,12}(?:[-*+] |\d+[.)] )?(`{3,}|~{3,})[ \t]*([^\n]*)$")
_HEADING = re.compile(r"^ {0,3}#[ \t]+(.*?)[ \t]*#*[ \t]*$", re.MULTILINE)


def _fences(text: str) -> Iterator[_Fence]:
    opening: tuple[str, str | None, int, int] | None = None
    offset = 0
    for line in _lines(text):
        after = offset + len(line)
        bare = line.rstrip()
        if opening is None:
            match = _OPENING.match(bare)
            if match is not None and not (match[1][0] == "`" and "`" in match[2]):
                opening = (match[1], _sheet_name(match[2]), offset, after)
        elif _closes(bare.strip(), opening[0]):
            yield _Fence(opening[1], opening[2], Span(opening[3], offset), after, True)
            opening = None
        offset = after
    if opening is not None:
        yield _Fence(opening[1], opening[2], Span(opening[3], offset), offset, False)


def _lines(text: str) -> Iterator[str]:
    """Lines that end in a newline only, as `Source` counts them."""
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end


def _sheet_name(info: str) -> str | None:
    words = info.split(None, 1)
    if not words or words[0] != "sheet":
        return None
    return words[1].strip() if len(words) > 1 else ""


def _closes(line: str, fence: str) -> bool:
    return len(line) >= len(fence) and line == fence[0] * len(line)


def _heading(prose: str) -> str:
    match = _HEADING.search(prose)
    return match[1] if match is not None else ""


def _add_prose(blocks: list[Prose | SheetBlock], source: Source, start: int, end: int) -> None:
    if source.text[start:end].strip():
        blocks.append(Prose(source.text[start:end], Span(start, end)))


def _sheet_block(source: Source, fence: _Fence) -> SheetBlock:
    name = fence.name or ""
    try:
        if not fence.closed:
            raise SheetSyntaxError(
                "This fence is never closed; expected a line of the same signs below the sheet.",
                place=Place(
                    source, Span(fence.start, max(fence.start + 1, fence.inside.start - 1))
                ),
                hint="close the sheet with ```",
            )
        sheet = parse_sheet(source, fence.inside.start, fence.inside.end, name)
    except SheetError as error:
        return SheetBlock(name, fence.inside, None, error)
    return SheetBlock(name, fence.inside, sheet, None)
