"""What a sheet would say for data of another width: the declarations that change together.

Found by writing the other number and reading the sheet again, so it is right for any equations.
Knows no data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from backproof.calculus.model import Model, build_model
from backproof.errors import BackproofError, Source, Span
from backproof.language import syntax as ast
from backproof.language.sheet import Sheet, parse_sheet
from backproof.operators.dims import ONE, Dim, Shape

MOST = 40  # places of one number in a sheet; with more of them none is proposed


@dataclass(frozen=True)
class _Place:
    """A number in a declaration: where it stands, and in which part of the sheet that is shown."""

    number: Span
    shown: tuple[Span, str]  # a set, or a whole `let`, and what it declares


def rewritten_for(model: Model, name: str, have: int, width: int) -> str:
    """The declarations as they would stand for *width* numbers where the sheet says *have*.

    As few as the equations allow, `x in R[64], W1 in R[3, 64]`; "" where changing declarations
    alone does not do it.
    """
    sheet = model.sheet
    places = _places(sheet, have)
    if not places or len(places) > MOST or not _reads(sheet, places, width):
        return ""
    own = _own_places(sheet, name, places)
    kept = list(places)
    for place in reversed(places):
        fewer = [p for p in kept if p is not place]
        if place not in own and _reads(sheet, fewer, width):
            kept = fewer
    return ", ".join(_shown(sheet, kept, width)) if own else ""


def width_hint(model: Model, name: str, have: int, width: int, parts: bool) -> str:
    """What would make data of *width* numbers fit; *parts*: whether there are other parts."""
    many = f"{width} number{'s' * (width != 1)}"
    changed = rewritten_for(model, name, have, width)
    ways = [f"for {many} a sample, write {changed} in the sheet"] if changed else []
    wide = [d for d in model.shape(name) if d != ONE]
    solved = model.graph.resolve(wide[0]).solve_for(Dim.of(width)) if len(wide) == 1 else None
    if solved is not None and (number := solved[1].as_int()) is not None:
        ways = [f"it fits where {solved[0]} is {number}"]
    if parts:
        ways.append(f"--map {name}=PART gives it another part of the data")
    return "; ".join(ways) or f"declare {name} with {many}, and what it meets likewise"


def sizes_of(model: Model, declared: Shape, found: Sequence[int], known: Mapping[str, int]) \
        -> dict[str, int]:  # fmt: skip
    """The sizes that the axes of an array tell, where it has those of the declaration."""
    told: dict[str, int] = {}
    for d, n in zip(declared, found, strict=True) if len(declared) == len(found) else ():
        solved = model.graph.resolve(d).substitute({**known, **told}).solve_for(Dim.of(n))
        if solved is not None and (number := solved[1].as_int()) is not None:
            told[solved[0]] = number
    return told


def _places(sheet: Sheet, number: int) -> list[_Place]:
    found: dict[Span, _Place] = {}
    for declaration in sheet.declarations.values():
        if declaration.set is not None:
            names = [n for n, d in sheet.declarations.items()
                     if d.set is not None and d.set.span == declaration.set.span]  # fmt: skip
            shown = (declaration.set.span, ", ".join(names) + " in ")
            for dim in declaration.set.dims:
                if _is(dim, number):
                    found[dim.span] = _Place(dim.span, shown)
    for let in sheet.lets.values():
        if _is(let.value, number):
            found[let.value.span] = _Place(let.value.span, (let.span, ""))
    return sorted(found.values(), key=lambda p: p.number.start)


def _is(expr: ast.Expr, number: int) -> bool:
    return isinstance(expr, ast.Number) and expr.value == number


def _own_places(sheet: Sheet, name: str, places: Iterable[_Place]) -> list[_Place]:
    """Those that say the width of a name itself."""
    declared = sheet.declarations[name].set
    if declared is None:
        return []
    dims = {d.id for d in declared.dims if isinstance(d, ast.Name)}
    lets = {sheet.lets[d].span for d in dims if d in sheet.lets}
    return [p for p in places if p.shown[0] == declared.span or p.shown[0] in lets]


def _written(text: str, start: int, places: Iterable[_Place], width: int) -> str:
    """A piece of the sheet, which begins at *start*, with the other number."""
    for place in sorted(places, key=lambda p: -p.number.start):
        a, b = place.number.start - start, place.number.end - start
        text = text[:a] + str(width) + text[b:]
    return text


def _reads(sheet: Sheet, places: Iterable[_Place], width: int) -> bool:
    own = sheet.region
    text = _written(sheet.source.slice(own), own.start, places, width)
    try:
        build_model(parse_sheet(Source(sheet.source.name, text), name=sheet.name))
    except BackproofError:
        return False
    return True


def _shown(sheet: Sheet, places: list[_Place], width: int) -> list[str]:
    lines = []
    for span, names in dict.fromkeys(p.shown for p in places):
        here = [p for p in places if p.shown[0] == span]
        lines.append(names + _written(sheet.source.slice(span), span.start, here, width))
    return lines
