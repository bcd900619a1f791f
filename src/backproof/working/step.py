"""`ask step`: one step of gradient descent, worked.

Which loss is differentiated is found in the sheet and said. Every gradient is checked against
numeric differentiation before it is shown. Knows nothing of how a derivative is derived.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from backproof.calculus.evaluate import Evaluator, defined
from backproof.calculus.latex import latex_name, partial
from backproof.calculus.model import Model
from backproof.calculus.notation import syntax
from backproof.calculus.points import on_kink
from backproof.calculus.simplify import Simplifier
from backproof.calculus.values import (
    SheetValues,
    decimals_needed,
    round_half_away,
    sheet_values,
    show_array,
)
from backproof.calculus.witness import STEP, contradiction, held_fixed, verify_gradient
from backproof.errors import NameProblem, ShapeProblem, ValueProblem
from backproof.language import syntax as ast
from backproof.operators.arithmetic import decimal_context
from backproof.operators.node import Node
from backproof.working.policies import difference, other_values
from backproof.working.putin import brief_array, brief_named, unbracketed, value_of
from backproof.working.steps import Step, Verified, Working
from backproof.working.undefined import check_defined, check_lines
from backproof.working.writing import latex_array, latex_of, listed, step_shape, written

Array = Any
Rate = ast.Expr | Decimal | Fraction | float | int | str | None
LONGEST = 160  # characters of a gradient in symbols
NEAR = Decimal("1e-18")
MOST_CHECKED = 24  # entries of a gradient that are checked one by one
MOST_MOVED = 20_000  # numbers of a sheet beyond which the loss is not evaluated again and again


@dataclass(frozen=True)
class _Rate:
    """The learning rate: as written, and its value where it has one."""

    text: str
    value: Decimal | None
    latex: str


def step_working(
    model: Model,
    names: Sequence[str] = (),
    rate: Rate = None,
    loss: str | None = None,
) -> Working:
    """One step of gradient descent.

    names   the parameters that are stepped; left out: every learned name that the loss depends on
    rate    the learning rate: a number, or an expression of the sheet
    loss    the number that is made smaller; left out: found in the sheet (see `loss_of`)
    """
    wanted = list(names) or list(model.learned)
    for name in wanted:
        _require_learned(model, name)
    chosen, others = loss_of(model, wanted, loss)
    root = model.leaves[chosen]
    if not names:
        wanted = [n for n in wanted if model.deriver.connected(root, n)]
    values, simpler = sheet_values(model), Simplifier(model)
    how = _rate(values, rate)
    steps = [*_heading(model, chosen, others, how, wanted)]
    new: dict[str, Any] = {}
    gradients: dict[str, Any] = {}
    missing: set[str] = set()
    for name in wanted:
        node = simpler(model.deriver.gradient(root, name))
        steps.extend(_symbols(model, chosen, name, node, 3 if len(wanted) <= 12 else 1))
        if not model.deriver.connected(root, name):
            steps.append(_unconnected(chosen, name))
            continue
        lacking = values.missing(node) | values.missing(root)
        lacking |= set() if model.has_value(name) else {name}
        computable = not lacking and values.computable(node) and values.computable(root)
        if computable:
            gradient = _gradient(values, chosen, name, node)
            steps.append(_gradient_step(values, model, chosen, name, node, gradient))
            gradients[name] = value_of(values, gradient)
        steps.append(_update(model, chosen, name, how))
        if computable and how.value is not None:
            moved = _moved(values, name, how.value, gradient)
            steps.extend(_numbers(values, name, how, gradient, moved))
            new[name] = value_of(values, moved)
            steps.extend(_other_way(values, chosen, name, node, how.value, gradient, moved))
        missing |= lacking
    if missing:
        steps.append(_lacking(model, missing))
    steps.extend(Step("facts", note, kind="note") for note in simpler.notes)
    steps.extend(_policy(values, bool(new)))
    asked = f"step {', '.join(wanted)}" + (f" rate {how.text}" if rate is not None else "")
    data = {"loss": chosen, "gradients": gradients, "new": new}
    return Working(asked, tuple(steps), data)


# --- which loss ------------------------------------------------------------------------------


def loss_of(
    model: Model, names: Sequence[str], loss: str | None = None
) -> tuple[str, tuple[str, ...]]:
    """(the loss, other candidates): the last number that depends on the parameters and is final.

    Final means that no other equation uses it. Where several are, those that depend on all the
    parameters come first, and the last of them is taken.
    """
    sheet = model.sheet
    if loss is not None:
        if loss not in model.leaves:
            raise NameProblem(model.absent(loss))
        if not model.leaves[loss].is_number:
            raise ShapeProblem(
                f"a gradient step needs a number to make smaller; {loss} is not one."
            )
        return loss, ()
    numbers = [n for n in sheet.order if model.leaves[n].is_number]
    reach = {n: _reached(model, n, names) for n in numbers}
    candidates = [n for n in numbers if reach[n]]
    if not candidates:
        what = listed(list(names)) if names else "anything learned"
        raise ShapeProblem(
            f"no equation is a number that depends on {what}, so there is nothing to make smaller.",
            hint="define a loss, such as L = mse(a, y)",
        )
    used = {u for n in sheet.order for u in sheet.uses.get(n, ())}
    final = [n for n in candidates if n not in used] or candidates
    most = max(reach[n] for n in final)
    best = [n for n in final if reach[n] == most]
    return best[-1], tuple(n for n in best[:-1])


def _reached(model: Model, name: str, wanted: Sequence[str]) -> int:
    """How many of the parameters a quantity depends on."""
    below = model.depends_on(model.leaves[name])
    return sum(n in below for n in wanted)


def _require_learned(model: Model, name: str) -> None:
    if name not in model.leaves:
        raise NameProblem(model.absent(name))
    if name in model.learned:
        return
    declaration = model.sheet.declarations.get(name)
    what = "given, not learned" if declaration is not None else "an equation, not a parameter"
    place = None
    if declaration is not None:
        place = model.sheet.place(declaration.name_span)
    elif name in model.sheet.equations:
        place = model.sheet.place(model.sheet.equations[name].name_span)
    raise NameProblem(
        f"a step changes parameters, and {name} is {what}.",
        place=place,
        hint=f"declare it with learn {name} in …" if declaration is not None else "",
    )


def _rate(values: SheetValues, rate: Rate) -> _Rate:
    if rate is None:
        return _Rate("rate", None, r"\eta")
    if isinstance(rate, str):
        rate = Decimal(rate)
    if isinstance(rate, Decimal | Fraction | float | int):
        number = Decimal(repr(rate)) if isinstance(rate, float) else rate
        if isinstance(number, Fraction):
            number = Decimal(number.numerator) / Decimal(number.denominator)
        number = Decimal(number)
        text = f"{number:f}"
        return _Rate(text, number, text)
    node = values.model.node(rate)
    place = values.model.sheet.place(rate.span)
    if not node.is_number:
        raise ShapeProblem("a learning rate is a number.", place=place)
    text, latex = written(rate), latex_of(values.model, rate)
    if not values.computable(node):
        return _Rate(text, None, latex)
    value = values.value(node).reshape(-1)[0]
    if not value.is_finite():
        raise ValueProblem("the learning rate has no value.", place=place)
    return _Rate(text, value, latex)


# --- the lines -------------------------------------------------------------------------------


def _heading(
    model: Model, loss: str, others: tuple[str, ...], rate: _Rate, wanted: Sequence[str]
) -> Iterator[Step]:
    yield Step(
        label=loss,
        text=f"One step of gradient descent on {loss} in {listed(list(wanted))}"
        + (f", learning rate {rate.text}." if rate.text != "rate" else "."),
        kind="heading",
    )
    if others:
        also = listed(list(others))
        yield Step(
            label=loss,
            text=f"{loss} is taken as the loss; {also} would fit as well. It is the last number "
            "that depends on the parameters and that no equation uses.",
            kind="note",
        )
    if rate.text == "rate":
        text = "No learning rate is given; write it behind the word rate, as in rate 0.01."
        yield Step("rate", text, kind="note")


def derivative_name(loss: str, name: str) -> str:
    """∂L/∂W1."""
    return f"∂{loss}/∂{name}"


def _symbols(model: Model, loss: str, name: str, node: Node, points: int) -> Iterator[Step]:
    """The gradient in symbols, where it is short, checked against numeric differentiation."""
    if not model.deriver.connected(model.leaves[loss], name):
        return
    seen = verify_gradient(model, model.leaves[loss], name, node, points)
    if seen.failed:
        raise contradiction(f"the gradient of {loss} with respect to {name}")
    expr = syntax(node)
    text = written(expr) if expr is not None else ""
    if expr is None or len(text) > LONGEST:
        return
    how = Verified("numeric differentiation in decimals", seen.points, 0) if seen.points else None
    yield Step(
        label=derivative_name(loss, name),
        text=f"{derivative_name(loss, name)} = {text}",
        latex=f"{partial(loss, name)} = {latex_of(model, expr)}",
        shape=step_shape(model.shape(name)),
        because="backpropagation",
        verified=how,
    )


def _unconnected(loss: str, name: str) -> Step:
    return Step(
        label=derivative_name(loss, name),
        text=f"{loss} is not connected to {name}, so a step leaves {name} as it is.",
        kind="note",
    )


def _gradient(values: SheetValues, loss: str, name: str, node: Node) -> Array:
    """The gradient at the sheet's values, rounded where every line is."""
    model = values.model
    for below in model.sheet.order:
        if not _uses(model, loss, below):
            continue
        expr = model.sheet.equations[below].expr
        found = values.expansions.get(below)
        if found is not None:
            check_lines(values, found.lines, model.sheet.place)
            expr = found.rest
        check_defined(values, below, expr, model.sheet.place(expr.span))
    gradient = np.broadcast_to(values.value(node), values.named(name).shape)
    if not defined(gradient):
        raise ValueProblem(
            f"the gradient of {loss} with respect to {name} has no value at the given numbers.",
            place=model.sheet.place(model.sheet.equations[loss].span),
        )
    if values.rounding.each:
        return values.rounded(gradient)
    return gradient


def _uses(model: Model, loss: str, name: str) -> bool:
    return name == loss or model.deriver.connected(model.leaves[loss], name)


def _gradient_step(
    values: SheetValues, model: Model, loss: str, name: str, node: Node, gradient: Array
) -> Step:
    checked, kink = central_difference(model, loss, name, node)
    because = "a point where the derivative jumps: step(0) = 0 is taken" if kink else ""
    shown = unbracketed(brief_array(gradient, values.decimals_of(gradient)))
    return Step(
        label=derivative_name(loss, name),
        text=f"{derivative_name(loss, name)} = {shown}",
        latex=f"{partial(loss, name)} = {latex_array(shown)}",
        shape=step_shape(model.shape(name)),
        value=value_of(values, gradient),
        because=because,
        verified=checked,
        kind="result",
    )


def central_difference(
    model: Model, loss: str, name: str, node: Node
) -> tuple[Verified | None, bool]:
    """(how the gradient was checked at the sheet's own values, whether that is on a kink).

    The loss, carried at full precision, is moved by a little to both sides: along every entry of
    a small parameter, along one random direction of a larger one.
    """
    full = sheet_values(model, each=False)
    root = model.leaves[loss]
    if sum(full.named(n).size for n in model.declared if model.has_value(n)) > MOST_MOVED:
        return None, False
    with decimal_context(), np.errstate(all="ignore"):
        run = full.evaluator
        if not defined(run.value(root)):
            return None, False
        if on_kink(run, [root]):
            return None, True
        base = run.named(name)
        gradient = np.broadcast_to(run.value(node), base.shape)
        known = {n: run.named(n) for n in model.declared if model.has_value(n)}
        held = held_fixed(model, run, root)
        scale = max(run.largest(), Decimal(1))
        directions = list(_directions(base))
        for direction in directions:
            sides = []
            for sign in (1, -1):
                values = {**known, name: base + sign * STEP * direction}
                side = Evaluator(model.number_sizes(), values, model.definitions, exact=True)
                side.hold(held)
                sides.append(side.value(root).reshape(-1)[0])
            slope = (sides[0] - sides[1]) / (2 * STEP)
            if slope.is_finite() and abs(slope - np.sum(gradient * direction)) > NEAR * scale:
                raise contradiction(f"the gradient of {loss} with respect to {name}")
    return Verified("central differences in decimals", len(directions), 0), False


def _directions(base: Array) -> Iterator[Array]:
    if base.size > MOST_CHECKED:
        rng = random.Random(7)
        random_one = np.empty(base.shape, dtype=object)
        for at in np.ndindex(*base.shape):
            random_one[at] = Decimal(rng.randint(-1000, 1000)) / 1000
        yield random_one
        return
    for at in np.ndindex(*base.shape):
        unit = np.full(base.shape, Decimal(0), dtype=object)
        unit[at] = Decimal(1)
        yield unit


def _update(model: Model, loss: str, name: str, rate: _Rate) -> Step:
    factor = (
        rate.text if rate.text.replace("_", "").replace(".", "").isalnum() else f"({rate.text})"
    )
    return Step(
        label=name,
        text=f"{name} := {name} - {factor}*{derivative_name(loss, name)}",
        latex=rf"{latex_name(name)} \leftarrow {latex_name(name)} - {rate.latex}\, "
        f"{partial(loss, name)}",
        shape=step_shape(model.shape(name)),
        because="gradient descent",
    )


def _moved(values: SheetValues, name: str, rate: Decimal, gradient: Array) -> Array:
    with decimal_context():
        moved = values.named(name) - rate * gradient
        if values.rounding.each:
            moved = round_half_away(moved, values.rounding.decimals)
    return moved


def _numbers(
    values: SheetValues, name: str, rate: _Rate, gradient: Array, moved: Array
) -> Iterator[Step]:
    assert rate.value is not None
    old = unbracketed(brief_named(values, name))
    slope = brief_array(gradient, values.decimals_of(gradient))
    number = show_array(
        np.array([[rate.value]], dtype=object),
        decimals_needed(np.array([[rate.value]], dtype=object), 12),
    )
    yield Step(name, f"= {old} - {number}*{slope}", kind="numbers", depth=1)
    shown = unbracketed(brief_array(moved, values.decimals_of(moved)))
    because = ""
    if values.rounding.each and not (moved != values.named(name)).any():
        because = "the step is smaller than the last decimal kept"
    yield Step(
        label=name,
        text=f"{name} := {shown}",
        latex=rf"{latex_name(name)} \leftarrow {latex_array(shown)}",
        shape=step_shape(values.model.shape(name)),
        value=value_of(values, moved),
        because=because,
        kind="result",
        depth=1,
    )


def _other_way(
    values: SheetValues,
    loss: str,
    name: str,
    node: Node,
    rate: Decimal,
    gradient: Array,
    moved: Array,
) -> Iterator[Step]:
    """Where the other way of rounding would show another gradient or another new value."""
    other = other_values(values)
    if other is None:
        return
    slope = np.broadcast_to(other.value(node), other.named(name).shape)
    slope = other.rounded(slope) if other.rounding.each else slope
    yield from difference(values, derivative_name(loss, name), gradient, slope)
    yield from difference(values, f"new {name}", moved, _moved(other, name, rate, slope))


def _lacking(model: Model, lacking: set[str]) -> Step:
    ordered = [n for n in model.declared if n in lacking]
    have = "has" if len(ordered) == 1 else "have"
    return Step(
        label="values",
        text=f"{listed(ordered)} {have} no value, so the step stays in symbols.",
        kind="note",
    )


def _policy(values: SheetValues, moved: bool) -> Iterator[Step]:
    if values.rounding.each and moved:
        yield Step(
            label="rounding",
            text=f"Rounded to {values.rounding.decimals} decimals, half away from zero: every "
            "value on the way, the gradient, and the new value.",
            kind="note",
        )
