"""`ask forward` and `ask value`: every equation in symbols, with its numbers put in, its result.

Where values are missing an equation stays in symbols, with its shape. Knows nothing of how a
page looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from backproof.calculus.evaluate import defined
from backproof.calculus.latex import latex_name
from backproof.calculus.model import Model
from backproof.calculus.recompute import recompute
from backproof.calculus.values import (
    SheetValues,
    nested,
    sheet_values,
    show_number,
)
from backproof.language import syntax as ast
from backproof.operators.node import Node, quantities
from backproof.working.entries import has_terms, places_of, writable
from backproof.working.expanded import RECOMPUTED, expanded_steps, verified
from backproof.working.policies import policy_note, policy_notes
from backproof.working.putin import (
    brief,
    brief_named,
    exactly,
    put_in,
    unbracketed,
    value_of,
)
from backproof.working.shapes import broadcasts
from backproof.working.steps import Step, Working
from backproof.working.undefined import check_defined, check_lines, problem
from backproof.working.writing import (
    equation_text,
    latex_array,
    latex_equation,
    latex_of,
    listed,
    rule_words,
    step_shape,
    written,
)

Array = Any
MOST_ENTRIES = 12  # results that are written out entry by entry


def forward_working(model: Model) -> Working:
    """Every equation, and every value where values are given."""
    values = sheet_values(model)
    names = list(model.sheet.order)
    steps = [*_known(values, model.declared), *_equations(values, names)]
    steps.extend(policy_notes(values, names))
    steps.extend(_precision(values))
    if not names:
        steps.append(Step("equations", "The sheet has no equations.", kind="note"))
    return Working("forward", tuple(steps), _data(values, names))


def value_working(model: Model, expr: ast.Expr) -> Working:
    """The value of one expression, with the equations that lead to it."""
    values = sheet_values(model)
    node = model.node(expr)
    below = _below(values, node)
    names = [n for n in model.sheet.order if n in below]
    known = [n for n in model.declared if n in below]
    steps = [*_known(values, known), *_equations(values, names)]
    named = isinstance(expr, ast.Name) and expr.id in model.leaves
    if not named:
        steps.extend(_asked(values, expr))
        steps.extend(policy_note(values, expr))
    elif isinstance(expr, ast.Name) and expr.id in model.definitions:
        steps.extend(policy_notes(values, [expr.id]))
    steps.extend(_precision(values))
    return Working(f"value {written(expr)}", tuple(steps), _data(values, names))


def _precision(values: SheetValues) -> Iterator[Step]:
    if values.evaluator.rough:
        text = "The arrays are large, so some values are computed in double precision (15 digits)."
        yield Step("precision", text, kind="note")


# --- what is known ---------------------------------------------------------------------------


def _known(values: SheetValues, names: Iterable[str]) -> Iterator[Step]:
    """The values that the sheet gives."""
    model = values.model
    for name in names:
        if not model.has_value(name):
            continue
        array = values.named(name)
        shown = unbracketed(brief_named(values, name))
        kind = model.sheet.kind_of(name)
        yield Step(
            label=name,
            text=f"{name} = {shown}",
            latex=f"{latex_name(name)} = {latex_array(shown)}",
            shape=step_shape(model.shape(name)),
            value=exactly(array),
            because="learned" if kind == "learn" else "given",
            kind="result",
        )


def _equations(values: SheetValues, names: list[str]) -> Iterator[Step]:
    """The steps of equations, in an order in which each comes after those that it uses."""
    missing: set[str] = set()
    for name in names:
        lacks = values.missing(values.model.leaves[name])
        if values.computable(values.model.leaves[name]):
            yield from equation_steps(values, name)
        else:
            missing |= lacks
            yield symbols(values.model, name)
    if missing:
        ordered = [n for n in values.model.declared if n in missing]
        have = "has" if len(ordered) == 1 else "have"
        yield Step(
            label="values",
            text=f"{listed(ordered)} {have} no value, so what depends on "
            f"{'it' if len(ordered) == 1 else 'them'} stays in symbols.",
            kind="note",
        )


def symbols(model: Model, name: str) -> Step:
    """An equation in symbols, with its shape."""
    expr = model.sheet.equations[name].expr
    shape = model.shape(name)
    return Step(
        label=name,
        text=equation_text(name, expr),
        latex=latex_equation(model, name, expr),
        shape=step_shape(shape),
        because=_because(model, expr),
    )


def _because(model: Model, expr: ast.Expr) -> str:
    words = rule_words(model, expr)
    return "; ".join([*([words] if words else []), *broadcasts(model, expr)])


def equation_steps(values: SheetValues, name: str) -> Iterator[Step]:
    """An equation that can be computed: in symbols, with its numbers put in, and its result."""
    model = values.model
    expr = model.sheet.equations[name].expr
    yield symbols(model, name)
    found = values.expansions.get(name)
    if found is not None:
        check_lines(values, found.lines, model.sheet.place)
        check_defined(values, name, found.rest, model.sheet.place(expr.span))
        yield from expanded_steps(values, found.lines)
        expr = found.rest
    check_defined(values, name, expr, model.sheet.place(expr.span))
    array = values.named(name)
    if not isinstance(expr, ast.Name | ast.Number | ast.Array):
        yield from numbers(values, name, expr, array)
    elif found is None and isinstance(expr, ast.Number | ast.Array):
        return  # the equation says its own value
    shown = unbracketed(brief(values, array))
    yield Step(
        label=name,
        text=f"{name} = {shown}",
        latex=f"{latex_name(name)} = {latex_array(shown)}",
        shape=step_shape(model.shape(name)),
        value=value_of(values, array),
        because=_rounded_words(values, array, values.raw.get(name)),
        verified=verified(values, name, name),
        kind="result",
        depth=1,
    )


def numbers(values: SheetValues, name: str, expr: ast.Expr, array: Array) -> Iterator[Step]:
    """The numbers put in: the terms of sums entry by entry, everything else at once."""
    if has_terms(expr) and array.size <= MOST_ENTRIES and array.ndim == 2:
        texts = writable(values, expr, places_of(array))
        if texts is not None:
            yield from _by_entry(values, name, texts, array)
            return
    put = put_in(values, expr)
    if put is not None and put != unbracketed(brief(values, array)):
        yield Step(name, f"= {put}", kind="numbers", depth=1)


def _by_entry(values: SheetValues, name: str, texts: list[str], array: Array) -> Iterator[Step]:
    if array.size == 1:
        yield Step(name, f"= {unbracketed(texts[0])}", kind="numbers", depth=1)
        return
    decimals = values.decimals_of(array)
    for (r, c), text in zip(places_of(array), texts, strict=True):
        place = f"{max(r, c) + 1}" if 1 in array.shape else f"{r + 1}, {c + 1}"
        label, result = f"{name}[{place}]", show_number(array[r, c], decimals)
        shown = result if text == result else f"{unbracketed(text)} = {result}"
        yield Step(
            label,
            f"{label} = {shown}",
            value=nested(array[r, c], decimals),
            kind="numbers",
            depth=1,
        )


def _rounded_words(values: SheetValues, array: Array, raw: Array | None) -> str:
    policy = values.rounding
    if not policy.each or raw is None or not (np.asarray(raw) != np.asarray(array)).any():
        return ""
    return f"rounded to {policy.decimals} decimals"


# --- an expression that is asked for ---------------------------------------------------------


def _asked(values: SheetValues, expr: ast.Expr) -> Iterator[Step]:
    model = values.model
    text = written(expr)
    node = values.node(expr, "asked")
    shape = model.graph.resolve_shape(node.shape)
    shown = Step(text, text, latex_of(model, expr), step_shape(shape))
    yield shown
    if not values.computable(node):
        return
    found = values.expansions.get("asked")
    rest = expr
    if found is not None:
        check_lines(values, found.lines, model.sheet.place)
        yield from expanded_steps(values, found.lines)
        rest = found.rest
    array = values.value(node)
    if not defined(array):
        raise problem(values, "", node, rest, model.sheet.place(expr.span))
    if not isinstance(rest, ast.Name):
        yield from numbers(values, text, rest, array)
    result = unbracketed(brief(values, array))
    yield Step(
        label=text,
        text=f"{text} = {result}",
        latex=f"{latex_of(model, expr)} = {latex_array(result)}",
        shape=step_shape(shape),
        value=value_of(values, array),
        verified=RECOMPUTED if recompute(values, text, node, array) else None,
        kind="result",
        depth=1,
    )


def _below(values: SheetValues, node: Node) -> set[str]:
    """Every name that a node depends on."""
    pending, seen = list(quantities([node])), set[str]()
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            if name in values.model.definitions:
                pending.extend(quantities([values.model.definitions[name]]))
    return seen


def _data(values: SheetValues, names: list[str]) -> dict[str, Any]:
    model = values.model
    computed = {
        n: value_of(values, values.named(n)) for n in names if values.computable(model.leaves[n])
    }
    lacking: set[str] = set()
    for n in names:
        lacking |= values.missing(model.leaves[n])
    return {"values": computed, "missing": [n for n in model.declared if n in lacking]}
