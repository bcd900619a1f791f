"""Says where a value is not defined at the given numbers: which equation, entry, sub-expression.

The search goes down from the equation to the first operator whose arguments all have values. It
knows operators only through the words for what can go wrong with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from backproof.calculus.evaluate import defined
from backproof.calculus.expand import Line, elaborate_with
from backproof.calculus.values import SheetValues, decimals_needed, show_number
from backproof.errors import BackproofError, Place, Span, ValueProblem
from backproof.language import syntax as ast
from backproof.operators.arithmetic import decimal_context
from backproof.operators.node import Node, postorder
from backproof.working.expanded import readable
from backproof.working.writing import written

Array = Any
Index = tuple[int, ...]

# operator -> (which argument is at fault, what it must be)


@dataclass(frozen=True, slots=True)
class _Spot:
    """The operator at fault, and at which entry of its result (loops first, from zero)."""

    node: Node
    at: Index


def check_defined(values: SheetValues, name: str, expr: ast.Expr, place: Place) -> None:
    """Raises a ValueProblem where the value of a computed equation is not a finite number.

    name    the equation, or a line of a loss in it
    expr    its right-hand side (the line's expression)
    """
    if not defined(values.named(name)):
        node = values.definition(name)
        assert node is not None
        raise problem(values, name, node, expr, place)


def check_lines(
    values: SheetValues, lines: tuple[Line, ...], place: Callable[[Span], Place]
) -> None:
    """The same for the lines of a loss."""
    for line in lines:
        span = line.call.op_span if line.call.op_span.end else line.call.span
        owner, _, _ = line.name.partition(" · ")
        if not defined(values.named(line.name)):
            node = values.definition(line.name)
            assert node is not None
            raise problem(values, owner, node, line.expr, place(span), fixed=True)


def problem(
    values: SheetValues,
    name: str,
    node: Node,
    expr: ast.Expr,
    place: Place,
    *,
    fixed: bool = False,
) -> ValueProblem:
    """The error for a node without a value.

    place   where the expression stands; a part of it that is at fault is pointed at instead,
            unless the place is *fixed* (the expression is not written in the sheet)
    """
    with decimal_context(), np.errstate(all="ignore"):
        spot = _descend(values, node)
        part = _part(values, expr, spot.node)
        what = written(readable(values, part if part is not None else expr))
        why = _why(values, spot, part)
    owner = f"the equation for {name}" if name else "the expression"
    span = _span(part)
    if span is not None and not fixed:
        place = Place(place.source, span)
    return ValueProblem(
        f"{what} in {owner} has no value: {why}.",
        place=place,
        hint=_hint(values, spot),
    )


def _descend(values: SheetValues, node: Node) -> _Spot:
    value = values.value(node)
    at = _first(value)
    while True:
        for arg in node.args:
            inner = values.value(arg)
            if defined(inner):
                continue
            own = _follow(node, arg, at, inner)
            if own is not None:
                node, at = arg, own
                break
        else:
            return _Spot(node, at)


def _first(value: Array) -> Index:
    bad = np.vectorize(lambda x: not x.is_finite(), otypes=[bool])(value)
    return tuple(int(i) for i in np.argwhere(bad)[0])


def _follow(node: Node, arg: Node, at: Index, inner: Array) -> Index | None:
    """Where to look on in an argument; None where its undefined entries do not matter here."""
    if not node.op.elementwise or node.loops != arg.loops:
        return _first(inner)
    if len(at) != inner.ndim:
        return _first(inner)
    own = tuple(0 if n == 1 else k for k, n in zip(at, inner.shape, strict=True))
    return own if not inner[own].is_finite() else None


def _part(values: SheetValues, expr: ast.Expr, node: Node) -> ast.Expr | None:
    """The smallest part of the expression that stands for the node, or contains it."""
    best: ast.Expr | None = None
    for part in ast.walk(expr):
        try:
            found = elaborate_with(values.model, values.leaves, part)
        except BackproofError:
            continue  # a part under an index has no node of its own
        if found is node:
            return part
        if any(n is node for n in postorder([found])):
            best = part
    if best is None:  # what stands under an index is known by its operator
        same = [e for e in ast.walk(expr) if isinstance(e, ast.Apply) and e.op == node.op.name]
        return same[0] if len(same) == 1 else None
    return best


def _span(part: ast.Expr | None) -> Span | None:
    if part is None:
        return None
    if isinstance(part, ast.Apply) and part.op_span.end:
        return part.op_span
    return part.span if part.span.end else None


def _why(values: SheetValues, spot: _Spot, part: ast.Expr | None) -> str:
    node = spot.node
    which, need = node.op.needs or (0, "the result is not a finite number")
    if not node.args:
        return need
    arg = node.args[which]
    value = values.value(arg)
    text = _argument_text(values, part, node, which)
    if not node.op.elementwise:
        return f"{text} is not in its domain, {need}" if node.op.needs is None else need
    at = spot.at if len(spot.at) == value.ndim else (0,) * value.ndim
    own = tuple(0 if n == 1 else k for k, n in zip(at, value.shape, strict=True))
    number = value[own]
    shown = show_number(number, decimals_needed(np.array([[number]], dtype=object), 6))
    if Decimal(shown) == 0 != number:
        shown = f"{number:.3g}"
    if len(node.args) > 1 and values.value(node)[spot.at].is_infinite():
        need = "the result is too large to be computed"
    where = _entry(arg, own, value, text)
    return need if where == shown else f"{where} is {shown}, and {need}"


def _argument_text(values: SheetValues, part: ast.Expr | None, node: Node, which: int) -> str:
    if isinstance(part, ast.Apply):
        for arg in part.args:
            try:
                found = elaborate_with(values.model, values.leaves, arg)
            except BackproofError:
                continue
            if found is node.args[which]:
                return written(readable(values, arg))
        if part.op == node.op.name and len(part.args) == len(node.args):
            return written(readable(values, part.args[which]))
    name = node.args[which].name
    return name if name is not None else "its argument"


def _entry(arg: Node, own: Index, value: Array, text: str) -> str:
    loops = len(own) - len(arg.shape)
    ends = [k + 1 for k, n in zip(own[loops:], value.shape[loops:], strict=True) if n > 1]
    moving = ", ".join(f"{v.name} = {k + 1}" for v, k in zip(arg.loops, own, strict=False))
    entry = f"entry [{', '.join(map(str, ends))}] of {text}" if ends else text
    return f"{entry} at {moving}" if moving else entry


def _hint(values: SheetValues, spot: _Spot) -> str:
    rounded = values.rounding
    which = spot.node.op.needs[0] if spot.node.op.needs is not None else 0
    if not rounded.each or not spot.node.args:
        return ""
    name = spot.node.args[which].name
    raw = values.raw.get(name) if name is not None else None
    if raw is None:
        return ""
    own = tuple(0 if n == 1 else k for k, n in zip(spot.at, raw.shape, strict=False))
    if len(own) == raw.ndim and raw[own] != 0 == values.named(str(name))[own]:
        return f"{name} became 0 there by rounding to {rounded.decimals} decimals; keep more"
    return ""
