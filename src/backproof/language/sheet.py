"""The parsed sheet: its statements in order, and what its names stand for.

Everything that interprets a sheet starts from here. It must not know shapes or values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeVar

from backproof.errors import Place, SheetSyntaxError, Source, Span
from backproof.language.functions import CONSTANTS
from backproof.language.names import resolve_names
from backproof.language.statements import read_statements
from backproof.language.syntax import (
    Ask,
    Assume,
    Claim,
    Declaration,
    Equation,
    Expr,
    Layout,
    Let,
    Round,
    Statement,
    Vary,
)


@dataclass(frozen=True, eq=False)
class Sheet:
    """A sheet whose every name is known and whose equations form no cycle.

    region        where in the source the sheet stands
    name          the name of the sheet within a paper, or ""
    title, text   the comment block at the top: its first line, and the rest
    declarations  name -> declaration, in the order written
    values        declared name -> its value, from the declaration or from a line below it;
                  a value from a file is in the declaration only
    lets          dimension -> its number
    dimensions    every dimension name, in order of first appearance
    equations     name -> equation, in the order written (a value is not among them)
    order         the names of the equations, every one after those that it uses
    uses          name of an equation -> the quantities that it names
    """

    source: Source
    region: Span
    name: str
    title: str
    text: str
    statements: tuple[Statement, ...]
    declarations: dict[str, Declaration]
    values: dict[str, Expr]
    lets: dict[str, Let]
    dimensions: tuple[str, ...]
    equations: dict[str, Equation]
    order: tuple[str, ...]
    uses: dict[str, tuple[str, ...]]
    assumes: tuple[Assume, ...]
    asks: tuple[Ask, ...]
    claims: tuple[Claim, ...]
    round: Round | None
    layout: Layout | None
    varies: tuple[Vary, ...] = ()

    @property
    def given(self) -> tuple[str, ...]:
        """The given names, in the order written."""
        return tuple(d.name for d in self.declarations.values() if d.role == "given")

    @property
    def learned(self) -> tuple[str, ...]:
        """The learned names, in the order written."""
        return tuple(d.name for d in self.declarations.values() if d.role == "learn")

    def kind_of(self, name: str) -> str:
        """ "given", "learn", "equation", "dimension", "constant" (pi, e) or "unknown"."""
        if name in self.declarations:
            return self.declarations[name].role
        if name in self.equations:
            return "equation"
        if name in self.dimensions:
            return "dimension"
        return "constant" if name in CONSTANTS else "unknown"

    def place(self, span: Span) -> Place:
        """A span of this sheet as a place that an error can point at."""
        return Place(self.source, span)

    def extended(self, lines: str) -> Sheet:
        """This sheet with more statements below it, such as one more claim."""
        own = self.source.slice(self.region)
        return parse_sheet(Source(self.source.name, f"{own}\n{lines}"), name=self.name)


def parse_sheet(source: Source, start: int = 0, end: int | None = None, name: str = "") -> Sheet:
    """The sheet that stands in source.text[start:end]; spans are offsets into the whole source."""
    end = len(source.text) if end is None else end
    statements = tuple(read_statements(source, start, end))
    if not statements:
        raise SheetSyntaxError(
            "The sheet has no statements.",
            place=Place(source, Span(start, min(start + 1, end))),
            hint="begin with what is given: given x in R[4]",
        )
    names = resolve_names(source, statements)
    title, text = _title(source.text[start:end])
    return Sheet(
        source=source,
        region=Span(start, end),
        name=name,
        title=title,
        text=text,
        statements=statements,
        declarations=names.declarations,
        values=names.values,
        lets=names.lets,
        dimensions=tuple(names.dimensions),
        equations=names.equations,
        order=tuple(names.order),
        uses=names.uses,
        assumes=tuple(s for s in statements if isinstance(s, Assume)),
        asks=tuple(s for s in statements if isinstance(s, Ask)),
        claims=tuple(s for s in statements if isinstance(s, Claim)),
        round=_only(source, [s for s in statements if isinstance(s, Round)], "round"),
        layout=_only(source, [s for s in statements if isinstance(s, Layout)], "layout"),
        varies=tuple(s for s in statements if isinstance(s, Vary)),
    )


_Once = TypeVar("_Once", Round, Layout)
_COMMENTS = re.compile(r"\s*((?:[^\S\n]*#[^\n]*(?:\n|\Z))+)")


def _title(text: str) -> tuple[str, str]:
    """The first line and the rest of the comment block at the top."""
    block = _COMMENTS.match(text)
    if block is None:
        return "", ""
    lines = [line.strip().lstrip("#").strip() for line in block[1].splitlines()]
    title, *rest = lines
    return title, "\n".join(rest).strip()


def _only(source: Source, found: list[_Once], word: str) -> _Once | None:
    if len(found) > 1:
        raise SheetSyntaxError(
            f"'{word}' is written twice; a sheet has one.",
            place=Place(source, found[1].span),
            hint="remove one of the two, or write two sheets",
            also=(f"'{word}' is first written here", Place(source, found[0].span)),
        )
    return found[0] if found else None
