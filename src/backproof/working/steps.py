"""The one data type that every answer comes out as: a Working, an ordered list of steps.

Renderers know Workings and nothing else, so the terminal, the page, the PDF, the notebook and
the JSON all say the same thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Value = Any  # None, a number (int, float or Decimal), or nested lists of numbers


@dataclass(frozen=True, slots=True)
class Verified:
    """How a line was checked a second way: `how` in words, points tried, points that failed."""

    how: str
    points: int
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a working.

    label      what the line is about: a name ("zA1"), "∂L/∂W1", "sample 2", …
    text       the line as plain text in the reader's own names, without colour
    latex      the same as LaTeX (without $), "" where the line is prose
    shape      the shape in paper form, entries int or str: () a number, (3,) a column; or None
    value      the value of the line, as shown (rounded where the sheet says so)
    because    the rule that led to it, in a few words
    verified   how it was checked, or None where there is nothing to check
    kind       heading | equation | numbers | result | local | chain | path | note | warning |
               tree | error (the last two are shown as they are, line by line)
    depth      how far the line is indented: 0, 1, 2
    """

    label: str
    text: str
    latex: str = ""
    shape: tuple[int | str, ...] | None = None
    value: Value = None
    because: str = ""
    verified: Verified | None = None
    kind: str = "equation"
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Working:
    """The answer to one ask.

    ask     the ask as written ("gradient L wrt W1")
    steps   the lines, in reading order
    data    the answer as plain data where it has a structure of its own (a tree's nodes and edges)
    """

    ask: str
    steps: tuple[Step, ...]
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What stands above the answer; what was left blank is counted there, not named."""
        bare, sign, _ = self.ask.partition(" blank ")
        count = self.data.get("blanks", 0) if sign else 0
        blanks = f", {count} blank{'' if count == 1 else 's'}" if count else ""
        return f"ask {bare}{blanks}" if self.ask else "working"
