"""Says where rounding at each step and carrying full precision differ in the last shown digit.

Said only where the sheet itself states how it rounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from backproof.calculus.evaluate import defined
from backproof.calculus.values import (
    SheetValues,
    round_half_away,
    sheet_values,
    show_number,
)
from backproof.language import syntax as ast
from backproof.working.steps import Step
from backproof.working.writing import listed, written

Array = Any
MOST_LISTED = 8


def other_values(values: SheetValues) -> SheetValues | None:
    """The values under the other policy; None where the sheet does not say how it rounds."""
    if not values.rounding.stated:
        return None
    return sheet_values(values.model, each=not values.rounding.each)


def policy_notes(values: SheetValues, names: Sequence[str]) -> Iterator[Step]:
    """Where the two policies differ: a line for every number, one for all arrays together."""
    other = other_values(values)
    if other is None:
        return
    rest: list[str] = []
    for name in names:
        if not values.computable(values.model.leaves[name]):
            continue
        pair = _both(values, values.named(name), other.named(name))
        if pair is None:
            continue
        if pair[0].size == 1:
            yield _sentence(values, name, *pair)
        else:
            rest.append(_entry(values, name, *pair))
    if rest:
        more = len(rest) - MOST_LISTED
        kept = rest if more <= 0 else [*rest[:MOST_LISTED], f"{more} more"]
        also = f"The two ways also differ in the last digit of {listed(kept)}."
        yield Step(label="rounding", text=also, kind="note")


def policy_note(values: SheetValues, expr: ast.Expr) -> Iterator[Step]:
    """The same for an expression that is asked for."""
    other = other_values(values)
    node = values.node(expr)
    if other is not None and values.computable(node):
        yield from difference(values, written(expr), values.value(node), other.expression(expr))


def difference(values: SheetValues, what: str, own: Array, other: Array) -> Iterator[Step]:
    """A note where a value under the sheet's policy and under the other one are shown unlike."""
    pair = _both(values, own, other)
    if pair is not None:
        yield _sentence(values, what, *pair)


def _both(values: SheetValues, own: Array, other: Array) -> tuple[Array, Array] | None:
    """(rounded at each step, carried at full precision) as shown; None where they agree."""
    n = values.rounding.decimals
    a, b = round_half_away(own, n), round_half_away(other, n)
    if not (defined(a) and defined(b)) or not (a != b).any():
        return None
    return (a, b) if values.rounding.each else (b, a)


def _sentence(values: SheetValues, what: str, each: Array, full: Array) -> Step:
    place, a, b = _first(values, each, full)
    return Step(
        label=what,
        text=f"{what}{place}: rounding at each step gives {a}, carrying full precision {b}.",
        kind="note",
    )


def _entry(values: SheetValues, what: str, each: Array, full: Array) -> str:
    place, a, b = _first(values, each, full)
    return f"{what}{place} ({a} and {b})"


def _first(values: SheetValues, each: Array, full: Array) -> tuple[str, str, str]:
    """The first entry that differs: where it is, and both numbers."""
    n = values.rounding.decimals
    at = tuple(int(i) for i in np.argwhere(each != full)[0])
    ends = ", ".join(str(k + 1) for k, size in zip(at, each.shape, strict=True) if size > 1)
    place = f"[{ends}]" if ends else ""
    return place, show_number(each[at], n), show_number(full[at], n)
