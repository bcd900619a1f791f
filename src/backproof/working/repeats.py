"""Finds layers that repeat: equations of one structure with the same shapes, in a row.

Two equations have one structure when their operator trees agree up to the names of leaves of one
role and shape, and when the equations they use lie equally far above them. Knows nothing of
drawing.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from backproof.calculus.expand import map_names
from backproof.calculus.model import Model
from backproof.language import syntax as ast
from backproof.working.writing import role_of, step_shape, written

LONGEST_BLOCK = 12  # equations of one layer
LEAST_TIMES = 4  # fewer layers than this are drawn out


@dataclass(frozen=True)
class Repeat:
    """A block of equations that is repeated.

    names    the equations, from the loss down, block after block
    period   how many equations one block has
    times    how many blocks there are
    leaves   the leaves that only this repeat uses, and that belong to its blocks
    """

    names: tuple[str, ...]
    period: int
    times: int
    leaves: tuple[str, ...]

    @property
    def last(self) -> tuple[str, ...]:
        """The equations of the last block."""
        return self.names[-self.period :]

    @property
    def hidden(self) -> tuple[str, ...]:
        """The equations after the first block."""
        return self.names[self.period :]


def find_repeats(
    model: Model, order: Sequence[str], children: Mapping[str, Sequence[str]]
) -> tuple[Repeat, ...]:
    """The repeats among names, given each before those that it uses."""
    chain = [n for n in order if n in model.definitions]
    place = {n: k for k, n in enumerate(chain)}
    marks = [_signature(model, n, place) for n in chain]
    found: list[Repeat] = []
    start = 0
    while start < len(chain):
        best = _best(marks, start)
        if best is None:
            start += 1
            continue
        period, times = best
        end = start + period * times
        ends = _first_layer(model, chain, place, end, period)
        if ends is not None:
            times, end = times + 1, end + period
        names = tuple(chain[start:end])
        own = _own_leaves(model, names, order, children)
        leaves = tuple(n for n in own if n not in (ends or ()))
        found.append(Repeat(names, period, times, leaves))
        start = end
    return tuple(found)


def _first_layer(
    model: Model, chain: Sequence[str], place: Mapping[str, int], end: int, period: int
) -> tuple[str, ...] | None:
    """The leaves that the next block has where the blocks before have an equation.

    The first layer of a network is like the others, but begins at what is given. None where the
    next block is not of that kind.
    """
    if end + period > len(chain):
        return None
    ends: list[str] = []
    for k in range(end, end + period):
        above, here = chain[k - period], chain[k]
        if _signature(model, above, place, loose=True) != _signature(
            model, here, place, loose=True
        ):
            return None
        for a, b in zip(_names(model, above), _names(model, here), strict=True):
            if a in place and b not in place:
                ends.append(b)
    return tuple(dict.fromkeys(ends)) if ends else None


def _names(model: Model, name: str) -> list[str]:
    expr = model.sheet.equations[name].expr
    return [e.id for e in ast.walk(expr) if isinstance(e, ast.Name)]


def _best(marks: Sequence[Hashable], start: int) -> tuple[int, int] | None:
    """(period, times) of the longest repeat that begins here, the shortest block first."""
    best: tuple[int, int] | None = None
    for period in range(1, LONGEST_BLOCK + 1):
        end = start + period
        while end < len(marks) and marks[end] == marks[end - period]:
            end += 1
        times = (end - start) // period
        if times >= LEAST_TIMES and (best is None or times * period > best[0] * best[1]):
            best = (period, times)
    return best


def _signature(
    model: Model, name: str, place: Mapping[str, int], *, loose: bool = False
) -> Hashable:
    """The structure of an equation: its text with names replaced by what they are.

    loose   do not tell an equation from something given of the same shape
    """
    here = place[name]

    def mark(leaf: ast.Name) -> ast.Expr:
        other = leaf.id
        if other not in model.leaves:
            return leaf
        shape = "×".join(map(str, step_shape(model.shape(other))))
        if loose and (other in place or model.sheet.kind_of(other) == "given"):
            return ast.Name(f"<input, {shape}>")
        if other in place:
            offset = place[other] - here
            where = f"{offset} up" if offset <= LONGEST_BLOCK else f"the equation {other}"
            return ast.Name(f"<{where}, {shape}>")
        return ast.Name(f"<{role_of(model, other)}, {shape}>")

    text = written(map_names(model.sheet.equations[name].expr, mark))
    return text, step_shape(model.shape(name))


def _own_leaves(
    model: Model,
    names: Sequence[str],
    order: Sequence[str],
    children: Mapping[str, Sequence[str]],
) -> tuple[str, ...]:
    inside = {c for n in names for c in children[n] if c not in model.definitions}
    known = set(names)
    elsewhere = {c for n in order if n not in known for c in children[n]}
    return tuple(n for n in order if n in inside and n not in elsewhere)
