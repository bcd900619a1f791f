"""Every error that backproof raises on purpose, and how it points at a place.

    BackproofError                 anything we raise on purpose
    ├── SheetError                 the sheet cannot be read or does not fit together (exit 2)
    │   ├── SheetSyntaxError       the text does not parse
    │   ├── NameProblem            unknown, doubly defined, cyclic or clashing names
    │   ├── ShapeProblem           shapes that do not fit
    │   ├── ValueProblem           a value that contradicts its declaration, or leaves a domain
    │   └── LimitExceeded          the sheet is larger or deeper than we are willing to read
    ├── FileProblem                a file is missing, unreadable, or in the wrong encoding (exit 2)
    ├── NotAvailable               the language names it, but this version cannot answer it (exit 2)
    ├── MissingExtra               an optional library is not installed; says how to install it
    ├── TrainingStopped            NaN, divergence or a lost process; the checkpoint stays (exit 3)
    └── InternalContradiction      our own derivation and its witness disagree: our bug (exit 70)

This module must not import anything else of the project.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

EXIT_REFUTED = 1
EXIT_UNREADABLE = 2
EXIT_STOPPED = 3
EXIT_CONTRADICTION = 70


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of character offsets in a `Source`."""

    start: int
    end: int

    def to(self, other: Span) -> Span:
        """The smallest span that covers this one and *other*."""
        return Span(min(self.start, other.start), max(self.end, other.end))


@dataclass(frozen=True, eq=False)
class Source:
    """A text and its name, able to turn offsets into lines and columns (both from one)."""

    name: str
    text: str
    _starts: list[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        starts = [0]
        starts.extend(i + 1 for i, c in enumerate(self.text) if c == "\n")
        object.__setattr__(self, "_starts", starts)

    def position(self, offset: int) -> tuple[int, int]:
        """(line, column), both counted from one."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line_text(self, line: int) -> str:
        """The text of a line, counted from one, without its line end."""
        start = self._starts[line - 1]
        end = self._starts[line] - 1 if line < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r")

    def slice(self, span: Span) -> str:
        return self.text[span.start : span.end]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which source something was found."""

    source: Source
    span: Span

    @property
    def line(self) -> int:
        return self.source.position(self.span.start)[0]

    @property
    def column(self) -> int:
        return self.source.position(self.span.start)[1]


_WORDS = frozenset(["a", "an", "the", "only", "no", "there", "this", "each", "cannot", "entry"])


def _sentence(message: str) -> str:
    """The message with a capital, unless it begins with a name, which keeps its spelling."""
    first = message.split(" ", 1)[0]
    return message[:1].upper() + message[1:] if first in _WORDS else message


class BackproofError(Exception):
    """Anything that backproof raises on purpose.

    message   what was found and what was expected, a full sentence
    hint      what would fix it, or ""
    place     where, or None
    also      a second place that matters (the first definition of a name defined twice)
    """

    exit_code = EXIT_UNREADABLE

    def __init__(
        self,
        message: str,
        *,
        place: Place | None = None,
        hint: str = "",
        also: tuple[str, Place] | None = None,
    ) -> None:
        message = _sentence(message)
        super().__init__(message)
        self.message = message
        self.place = place
        self.hint = hint
        self.also = also

    def at(self, place: Place) -> BackproofError:
        """This error, placed at *place* if it had no place yet."""
        if self.place is None:
            self.place = place
        return self

    def __str__(self) -> str:
        return render_error(self)


class SheetError(BackproofError):
    """The sheet cannot be read or does not fit together."""


class SheetSyntaxError(SheetError):
    """The text does not parse."""


class NameProblem(SheetError):
    """An unknown, doubly defined, cyclic or clashing name."""


class ShapeProblem(SheetError):
    """Shapes that do not fit together."""


class ValueProblem(SheetError):
    """A value that contradicts its declaration, or that leaves the domain of an operator."""


class LimitExceeded(SheetError):
    """The sheet is larger or deeper than we are willing to read."""


class FileProblem(BackproofError):
    """A file is missing, unreadable, or in the wrong encoding."""


class NotAvailable(BackproofError):
    """The language names this, but this version cannot answer it."""


class MissingExtra(BackproofError):
    """An optional library is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(
            f"{library} is not installed.",
            hint=f'install it with: pip install "backproof[{extra}]"',
        )


class TrainingStopped(BackproofError):
    """Training cannot go on: NaN, divergence, or a process that was lost."""

    exit_code = EXIT_STOPPED


class InternalContradiction(BackproofError):
    """A derivation and its independent witness disagree. This is a bug in backproof."""

    exit_code = EXIT_CONTRADICTION


WIDEST_EXCERPT = 100


def _excerpt(place: Place) -> list[str]:
    line, column = place.source.position(place.span.start)
    text = place.source.line_text(line).expandtabs(1)
    width = max(
        1, min(place.span.end, place.span.start + len(text) - column + 1) - place.span.start
    )
    start = 0
    if len(text) > WIDEST_EXCERPT:  # a very long line is shown around the place only
        start = max(0, column - 1 - WIDEST_EXCERPT // 2)
        text = ("…" if start else "") + text[start : start + WIDEST_EXCERPT] + "…"
        start -= 1 if start else 0
    caret = " " * (column - 1 - start) + "^" * min(width, max(1, len(text) - (column - 1 - start)))
    number = str(line)
    pad = " " * len(number)
    return [f"  {number} | {text}", f"  {pad} | {caret}"]


def render_error(error: BackproofError) -> str:
    """The error as text: place, message, the line with a caret, what would fix it."""
    lines: list[str] = []
    if error.place is not None:
        where = f"{error.place.source.name}:{error.place.line}:{error.place.column}: "
        lines.append(where + error.message)
        lines.extend(_excerpt(error.place))
    else:
        lines.append(error.message)
    if error.also is not None:
        label, place = error.also
        lines.append(f"{place.source.name}:{place.line}:{place.column}: {label}")
        lines.extend(_excerpt(place))
    if error.hint:
        lines.append(f"  hint: {error.hint}")
    return "\n".join(lines)
