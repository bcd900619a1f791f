"""Verdicts as lines: a table of the claims, and below a refuted one what shows and mends it.

The verdict is always a word; colour only repeats it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backproof.render.lines import (
    Line,
    Style,
    cells,
    formula_lines,
    line,
    prose_lines,
    wrap_formula,
)
from backproof.render.matrices import draw
from backproof.render.terminal import INDENT, WIDTH

if TYPE_CHECKING:
    from backproof.working.claims import Verdict

ORDER = ("proved", "agrees", "here", "refuted", "undecided")
STYLES: dict[str, Style] = {
    "proved": "holds",
    "agrees": "holds",
    "here": "holds",
    "refuted": "refuted",
    "undecided": "undecided",
}
COLUMN = 11  # the widest verdict and two blanks
MOST_NAMES = 8  # of a counterexample's point
MOST_ENTRIES = 6  # of a row or a column
MORE_DECIMALS = 2  # that a whole matrix gets, so that its smallest entry does not read as zero
Point = Mapping[str, Any]


def claims_lines(verdicts: Sequence[Verdict], width: int = WIDTH) -> list[Line]:
    """All claims of a sheet: a heading, one entry a claim, and the counts."""
    if not verdicts:
        return []
    lines = [line("claims", "heading"), line("─" * 6, "shape")]
    point: Point = {}
    for verdict in verdicts:
        lines += verdict_lines(verdict, width, point=point)
        point = point_shown(verdict) or point
    lines.append(line())
    lines += prose_lines(counts(verdicts), width, INDENT, style="note")
    return lines


def verdict_lines(
    verdict: Verdict, width: int = WIDTH, indent: int = INDENT, *, point: Point | None = None
) -> list[Line]:
    """One claim: the verdict, the claim as written, why; more where it does not hold.

    point   what `point_shown` said of the last claim above that shows a point
    """
    style = STYLES.get(verdict.verdict, "")
    at = indent + COLUMN
    word = verdict.verdict.ljust(COLUMN)
    mended = verdict.suggestion is not None and "\n" not in verdict.text
    marks = _marks(verdict) if mended else ""
    lines: list[Line] = []
    pieces = wrap_formula(verdict.text, width - at, 2)
    for n, (start, end) in enumerate(pieces):
        text = verdict.text[start:end].rstrip()
        if not n:
            lines.append(Line(((" " * indent, ""), (word, style), (text, ""))))
        else:
            lines.append(line(" " * (at + 2) + text))
        under = marks[start:end].rstrip()
        if under:
            lines.append(Line(((" " * (at + (2 if n else 0)), ""), (under, "refuted"))))
    if says_the_claim(verdict):
        return lines
    why = f"({verdict.why.rstrip('.')})"
    if (
        verdict.why
        and len(pieces) == 1
        and len(lines) == 1
        and cells(lines[0].text) + 2 + cells(why) <= width
    ):
        lines[0] = Line((*lines[0].parts, ("  ", ""), (why, "note")))
    elif verdict.why:
        lines += prose_lines(_sentence(verdict.why), width, at, style="note")
    if verdict.suggestion is not None:
        lines += _labelled("instead", verdict.suggestion, width, at, "holds")
    if verdict.difference is not None:
        lines += _labelled("left − right", verdict.difference, width, at)
    shown = point_shown(verdict)
    if shown is not None:
        lines += _counterexample(verdict, width, at, point or {})
    return lines


def point_shown(verdict: Verdict) -> Point | None:
    """The values by name that are shown below a claim, or None where none are."""
    counter = verdict.counterexample
    if counter is None or verdict.verdict not in ("refuted", "here") or says_the_claim(verdict):
        return None
    return counter.point


def says_the_claim(verdict: Verdict) -> bool:
    """Whether the reason only repeats the claim: `the shape is (2, 3)` of `shape(W) == (2, 3)`."""
    if verdict.why == "every entry has the claimed value.":
        return True
    said = re.fullmatch(r"the (?:shape|value) is (.*)\.", verdict.why)
    return verdict.verdict == "proved" and bool(said and verdict.text.endswith(f"== {said[1]}"))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _marks(verdict: Verdict) -> str:
    from backproof.working.repair import caret_diff

    assert verdict.suggestion is not None
    return caret_diff(verdict.text, verdict.suggestion)[2].ljust(len(verdict.text) + 1)


def _labelled(label: str, text: str, width: int, at: int, style: Style = "") -> list[Line]:
    """`label: text`, later lines below the text."""
    head = f"{label}: "
    hanging = cells(head)
    lines = []
    for n, (start, end) in enumerate(wrap_formula(text, width - at - hanging, 2)):
        lead = head if not n else " " * (hanging + 2)
        lines.append(Line(((" " * at + lead, ""), (text[start:end].rstrip(), style))))
    return lines


def _counterexample(verdict: Verdict, width: int, at: int, above: Point) -> list[Line]:
    """The point, one name a line, and both sides there; not again what stands above."""
    counter = verdict.counterexample
    assert counter is not None
    lines: list[Line] = []
    lead = "at " if verdict.verdict == "refuted" else "not at "
    names = list(counter.point)
    if names and all(n in above and above[n] == counter.point[n] for n in names):
        lines += prose_lines(f"{lead}the same point as above", width, at)
        names = []
    for name in names[:MOST_NAMES]:
        lines += _drawn(f"{lead}{name} = ", counter.point[name], width, at, columns=False)
        lead = " " * len(lead)
    if len(names) > MOST_NAMES:
        lines.append(line(" " * (at + len(lead)) + f"and {len(names) - MOST_NAMES} more names"))
    if counter.entry is not None:
        lines += _drawn("left  = ", counter.left, width, at)
        lines += _drawn("right = ", counter.right, width, at)
    return lines


def _drawn(head: str, value: Any, width: int, at: int, *, columns: bool = True) -> list[Line]:
    text = head + value_text(value)
    drawn = draw(text, width - at, cells(head), columns=columns)
    if drawn is None:
        return formula_lines(text, width, at, cells(head))
    return [line(" " * at + row) for row in drawn.rows]


def value_text(value: Any) -> str:
    """A number or nested lists, with as many digits as are read at a glance."""
    numbers = [abs(x) for x in _flat(value) if math.isfinite(x) and x]
    most, least = max(numbers, default=0.0), min(numbers, default=0.0)
    exact = all(x == int(x) for x in numbers)
    if exact and most < 1e6:
        return _nested(value, lambda x: f"{x:.0f}")
    if most >= 1e6 or most < 1e-6:
        return _nested(value, lambda x: f"{x:.4g}")
    decimals = min(9, max(1, 3 - math.floor(math.log10(most))))
    if not float(f"{least:.{decimals}f}"):  # it would read as zero
        decimals = max(decimals, min(decimals + MORE_DECIMALS, 1 - math.floor(math.log10(least))))
    return _nested(value, lambda x: _decimal(x, decimals))


def _decimal(x: float, decimals: int) -> str:
    """So many decimals; `0` only for zero itself, and a power of ten for what is smaller."""
    text = f"{x:.{decimals}f}"
    return text if float(text) else f"{x:.1e}" if x else "0"


def _flat(value: Any) -> Iterator[float]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _flat(item)
    else:
        yield float(value)


def _nested(value: Any, show: Callable[[float], str]) -> str:
    if not isinstance(value, list | tuple):
        number = float(value)
        return show(number + 0.0) if math.isfinite(number) else str(number)
    inner = [_nested(item, show) for item in value[:MOST_ENTRIES]]
    if len(value) > MOST_ENTRIES:
        inner.append("…")
    return f"[{', '.join(inner)}]"


def counts(verdicts: Iterable[Verdict] | Mapping[str, int], where: str = "") -> str:
    """`12 claims: 10 proved, 1 agrees, 1 refuted`; *where* stands behind `12 claims`."""
    if isinstance(verdicts, Mapping):
        found = Counter(dict(verdicts))
    else:
        found = Counter(verdict.verdict for verdict in verdicts)
    total = sum(found.values())
    parts = [f"{found[word]} {word}" for word in ORDER if found[word]]
    head = f"{total} claim{'s' if total != 1 else ''}{where}"
    return f"{head}: {', '.join(parts)}" if parts else head
