"""Choices that a question leaves open and that change an asked value: which was taken, what else.

Each choice is a change to the syntax tree that gives a real sheet, whose values stand beside the
sheet's own: W x or x W where both fit, λ Σ W² or half of it, the bias regularised or not, mean or
sum over the samples, rounding at each step or at the end, the base of the logarithm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from backproof.calculus.evaluate import defined
from backproof.calculus.model import Model
from backproof.calculus.values import SheetValues, sheet_values
from backproof.errors import BackproofError
from backproof.language import syntax as ast
from backproof.language.format import unparse
from backproof.working.steps import Step, Working
from backproof.working.variants import edited, variant

Array = Any
MOST_ENTRIES = 12  # of a gradient whose values are shown
NATURAL = "the natural logarithm"
_MEANS = ("cross_entropy", "hinge", "bce", "weighted_bce", "mse")
_LOGS = ("cross_entropy", "bce", "weighted_bce")


@dataclass(frozen=True)
class Reading:
    """Another reading of a sheet.

    taken     what the sheet says, in a few words
    other     what it could have meant
    lines     the equations that change
    text      the sheet read that way
    changed   asked value -> (as it is, read the other way), both as text
    """

    taken: str
    other: str
    lines: tuple[str, ...]
    text: str
    changed: dict[str, tuple[str, str]] = field(default_factory=dict)


def conventions_working(model: Model) -> Working:
    """Every choice that would change an asked value: what was taken, and the other values."""
    found = readings(model)
    steps: list[Step] = []
    for reading in found:
        steps.append(Step("", f"{reading.taken}, not {reading.other}", kind="heading"))
        steps += [
            Step("read", f"the other way: {line}", kind="numbers", depth=1)
            for line in reading.lines
        ]
        for name, (ours, theirs) in reading.changed.items():
            steps.append(Step(name, f"{name} = {ours}; read the other way {theirs}", kind="result"))
    if not steps:
        steps.append(Step("", "No other reading changes an asked value.", kind="note"))
    data = [
        {
            "taken": r.taken, "other": r.other, "equations": list(r.lines), "sheet": r.text,
            "values": {k: {"taken": a, "other": b} for k, (a, b) in r.changed.items()},
        }
        for r in found
    ]  # fmt: skip
    return Working("conventions", tuple(steps), {"readings": data})


def convention_note(model: Model) -> Step | None:
    """One line that names every choice that changes an asked value, to stand below a working."""
    found = [r for r in readings(model) if r.taken != NATURAL]
    if not found:
        return None
    several = "; ".join(f"{r.taken}, not {r.other}" for r in found)
    return Step(
        "conventions", f"Taken, where another choice would change a value: {several}.", kind="note"
    )


def readings(model: Model) -> list[Reading]:
    """The other readings that change an asked value."""
    values = sheet_values(model)
    asked = {name: array for name, array in _asked(model, values)}
    if not asked:
        return []
    found = []
    for make in (_orientation, _half, _bias, _mean, _rounding, _logarithm):
        for taken, other, equations, rounding in make(model):
            reading = _reading(model, values, asked, taken, other, equations, rounding)
            if reading is not None:
                found.append(reading)
    return found


def _reading(
    model: Model,
    values: SheetValues,
    asked: dict[str, Array],
    taken: str,
    other: str,
    equations: dict[str, ast.Expr],
    rounding: ast.Round | None,
) -> Reading | None:
    """The reading with its values; None where it does not fit together or changes nothing."""
    text = edited(model.sheet, equations, rounding=rounding)
    changed: dict[str, tuple[str, str]] = {}
    try:
        read = variant(model.sheet, text)
        theirs = sheet_values(read)
        for name, array in _asked(read, theirs, model):
            ours = asked.get(name)
            if ours is None or not defined(array):
                continue
            shown = (values.show(ours), theirs.show(array))
            if np.shape(ours) != np.shape(array) or shown[0] != shown[1]:
                changed[name] = shown
    except BackproofError:
        return None
    if not changed:
        return None
    lines = tuple(f"{name} = {unparse(e)}" for name, e in equations.items())
    if rounding is not None:
        lines = (f"round {rounding.decimals} {'each' if rounding.each else 'end'}",)
    return Reading(taken, other, lines, text, changed)


def _asked(
    model: Model, values: SheetValues, asking: Model | None = None
) -> Iterator[tuple[str, Array]]:
    """The values that are asked for: losses, what `ask value` names, gradients of few entries."""
    sheet = (asking or model).sheet
    wanted: dict[str, ast.Expr] = {}
    for ask in sheet.asks:
        if ask.what == "value":
            wanted.update((unparse(t), t) for t in ask.targets)
    used = {u for n in sheet.order for u in sheet.uses.get(n, ())}
    for name in sheet.order:
        if model.leaves[name].is_number and (name not in used or _named_loss(name)):
            wanted.setdefault(name, ast.Name(name))
    for ask in sheet.asks:
        if ask.what == "gradient" and len(ask.targets) == 1:
            for w in ask.wrt:
                gradient = ast.Apply("grad", (ask.targets[0], w))
                wanted.setdefault(unparse(gradient), gradient)
    for name, expr in wanted.items():
        try:
            node = model.node(expr)
        except BackproofError:
            continue
        if values.computable(node):
            array = values.value(node) if not isinstance(expr, ast.Name) else values.named(expr.id)
            if array.size <= MOST_ENTRIES and defined(array):
                yield name, array


def _named_loss(name: str) -> bool:
    return name.startswith("L") or "loss" in name.lower()


# --- the choices -----------------------------------------------------------------------------

Choice = tuple[str, str, dict[str, ast.Expr], ast.Round | None]


def _changed(model: Model, change: Callable[[ast.Expr], ast.Expr | None]) -> dict[str, ast.Expr]:
    """The equations that a change changes."""
    found = {}
    for name in model.sheet.order:
        old = model.sheet.equations[name].expr
        new = ast.rewritten(old, change)
        if new != old:
            found[name] = new
    return found


def _orientation(model: Model) -> Iterator[Choice]:
    """Scores W x or x W, where W is square."""
    for name in model.learned:
        shape = model.shape(name)
        if len(shape) != 2 or shape[0] != shape[1] or shape[0].as_int() == 1:
            continue
        if not any(_multiplies(model.sheet.equations[n].expr, name) for n in model.sheet.order):
            continue

        def turned(e: ast.Expr, name: str = name) -> ast.Expr | None:
            match e:
                case ast.Apply(op="transpose", args=(ast.Name(id=found),)) if found == name:
                    return ast.Name(name)
                case ast.Name(id=found) if found == name:
                    return ast.Apply("transpose", (ast.Name(name),))
                case ast.Apply(op="grad" | "jac" | "hess"):
                    return e
            return None

        words = f"the classes or units are the rows of {name}" if _rows(model, name) else (
            f"the classes or units are the columns of {name}"
        )  # fmt: skip
        other = "its columns" if "rows" in words else "its rows"
        yield (
            words,
            f"{other} ({name} is square, so both fit)",
            _multiplied(model, name, _changed(model, turned)),
            None,
        )


def _multiplied(model: Model, name: str, changed: dict[str, ast.Expr]) -> dict[str, ast.Expr]:
    """Those changed equations in which the matrix takes part in a product."""
    equations = model.sheet.equations
    return {n: e for n, e in changed.items() if _multiplies(equations[n].expr, name)}


def _multiplies(expr: ast.Expr, name: str) -> bool:
    """Whether a matrix takes part in a product, by itself or with its bias appended."""
    return any(
        isinstance(e, ast.Apply)
        and e.op in ("matmul", "bias_trick")
        and any(isinstance(n, ast.Name) and n.id == name for a in e.args for n in ast.walk(a))
        for e in ast.walk(expr)
    )


def _rows(model: Model, name: str) -> bool:
    """Whether W @ x (or X @ W.T) is written, not X @ W."""
    for n in model.sheet.order:
        for e in ast.walk(model.sheet.equations[n].expr):
            if isinstance(e, ast.Apply) and e.op == "matmul":
                left, right = e.args
                if isinstance(left, ast.Name) and left.id == name:
                    return True
                if isinstance(right, ast.Name) and right.id == name:
                    return False
    return True


def _penalties(expr: ast.Expr, learned: tuple[str, ...]) -> Iterator[tuple[ast.Expr, str]]:
    """The sums of squares of a parameter in an expression: (the call, the parameter)."""
    for e in ast.walk(expr):
        match e:
            case ast.Apply(op="sumsq", args=(ast.Name(id=name),)) if name in learned:
                yield e, name
            case ast.Apply(op="sum", args=(ast.Apply(op="pow", args=(ast.Name(id=name), _)),)) if (
                name in learned
            ):
                yield e, name
            case ast.Apply(op="pow", args=(ast.Apply(op="norm", args=(ast.Name(id=name),)), _)) if (
                name in learned
            ):
                yield e, name


def _halved(expr: ast.Expr, call: ast.Expr) -> bool:
    """Whether a half stands in the product around a call."""
    for e in ast.walk(expr):
        if not isinstance(e, ast.Apply) or e.op not in ("mul", "div"):
            continue
        inside = [any(part is call for part in ast.walk(a)) for a in e.args]
        for a, holds, over in zip(e.args, inside, (False, e.op == "div"), strict=True):
            if any(inside) and not holds and Fraction(1, 2) in _numbers(a, over):
                return True
    return False


def _numbers(expr: ast.Expr, over: bool) -> list[Fraction]:
    """The numbers of a product; what it is divided by is inverted."""
    match expr:
        case ast.Number(value=value) if value:
            return [1 / value if over else value]
        case ast.Apply(op="mul" | "div" as op, args=(a, b)):
            return [*_numbers(a, over), *_numbers(b, over != (op == "div"))]
        case _:
            return []


def _half(model: Model) -> Iterator[Choice]:
    """λ Σ W² or half of it."""
    equations: dict[str, ast.Expr] = {}
    halved = False
    for name in model.sheet.order:
        expr = model.sheet.equations[name].expr
        calls = [c for c, _ in _penalties(expr, model.learned)]
        if not calls:
            continue
        halved = halved or any(_halved(expr, c) for c in calls)
        equations[name] = ast.rewritten(expr, _other_half(expr, calls))
    if equations:
        with_half, without = "half the sum of the squared weights", "the sum of the squared weights"
        yield (with_half, without, equations, None) if halved else (
            f"{without} without a half", "half of it", equations, None,
        )  # fmt: skip


_TWO = ast.Number(Fraction(2), "2")


def _other_half(expr: ast.Expr, calls: list[ast.Expr]) -> Callable[[ast.Expr], ast.Expr | None]:
    def change(e: ast.Expr) -> ast.Expr | None:
        if not any(e is c for c in calls):
            return None
        return ast.Apply("mul", (_TWO, e)) if _halved(expr, e) else ast.Apply("div", (e, _TWO))

    return change


def _bias(model: Model) -> Iterator[Choice]:
    """The bias regularised or left out of the penalty."""
    penalised = {
        name
        for n in model.sheet.order
        for _, name in _penalties(model.sheet.equations[n].expr, model.learned)
    }
    biases = [b for b in model.learned if _is_bias(model, b)]
    weights = [w for w in penalised if w not in biases]
    out, inside = [b for b in biases if b not in penalised], [b for b in biases if b in penalised]
    if not weights:
        return
    if out:
        last = weights[-1]

        def more(e: ast.Expr) -> ast.Expr | None:
            found = [name for call, name in _penalties(e, model.learned) if call is e]
            if found != [last]:
                return None
            total: ast.Expr = e
            for b in out:
                total = ast.Apply("add", (total, ast.Apply("sumsq", (ast.Name(b),))))
            return total

        yield "the bias is not regularised", "regularised too", _changed(model, more), None
    if inside:

        def less(e: ast.Expr) -> ast.Expr | None:
            found = [name for call, name in _penalties(e, model.learned) if call is e]
            return ast.Number(Fraction(0), "0") if found and found[0] in inside else None

        yield "the bias is regularised", "left out of the penalty", _changed(model, less), None


def _is_bias(model: Model, name: str) -> bool:
    """Whether a parameter is a column, a row or a number that is only added."""
    shape = model.shape(name)
    if len(shape) == 2 and 1 not in (shape[0].as_int(), shape[1].as_int()):
        return False
    for n in model.sheet.order:
        for e in ast.walk(model.sheet.equations[n].expr):
            if isinstance(e, ast.Apply):
                inner = [_bare(a) for a in e.args]
                if name in inner and (
                    e.op == "add" or (e.op == "bias_trick" and inner[-1] == name)
                ):
                    return True
    return False


def _bare(e: ast.Expr) -> str:
    if isinstance(e, ast.Apply) and e.op == "transpose":
        return _bare(e.args[0])
    return e.id if isinstance(e, ast.Name) else ""


def _mean(model: Model) -> Iterator[Choice]:
    """Mean or sum over the samples."""

    def summed(e: ast.Expr) -> ast.Expr | None:
        match e:
            case ast.Apply(op=op, args=(a, *_)) if op in _MEANS:
                shape = model.node(a).shape
                entries = op in ("bce", "weighted_bce", "mse")
                if not entries and shape[1].as_int() == 1:
                    return None  # a column is one sample
                count = ast.Apply("size", (a,)) if entries else _rows_of(model, a)
                return None if count is None else ast.Apply("mul", (count, e))
            case ast.Apply(op="mean", args=(a,), options=()):
                return ast.Apply("sum", (a,))
        return None

    def averaged(e: ast.Expr) -> ast.Expr | None:
        match e:
            case ast.Apply(op="sse", args=(a, _)):
                return ast.Apply("div", (e, ast.Apply("size", (a,))))
        return None

    losses = {n: e for n, e in _changed(model, summed).items() if model.leaves[n].is_number}
    if losses:
        yield "the mean over the samples", "their sum", losses, None
    sums = {n: e for n, e in _changed(model, averaged).items() if model.leaves[n].is_number}
    if sums:
        yield "the sum of the squared differences", "their mean", sums, None


def _rows_of(model: Model, a: ast.Expr) -> ast.Expr | None:
    rows = model.graph.resolve(model.node(a).shape[0]).as_int()
    return None if rows is None or rows == 1 else ast.Number(Fraction(rows), str(rows))


def _rounding(model: Model) -> Iterator[Choice]:
    """Rounding at each step or at the end."""
    stated = model.sheet.round
    if stated is None:
        return
    each, end = "every result rounded and carried on", "rounded at the end only"
    flipped = ast.Round(stated.decimals, not stated.each)
    yield (each, end, {}, flipped) if stated.each else (end, each, {}, flipped)


def _logarithm(model: Model) -> Iterator[Choice]:
    """The base of the logarithm."""

    def two(e: ast.Expr) -> ast.Expr | None:
        match e:
            case ast.Apply(op="log", args=(a,)):
                return ast.Apply("log2", (ast.rewritten(a, two),))
            case ast.Apply(op=op) if op in _LOGS:
                return ast.Apply("div", (e, ast.Apply("log", (_TWO,))))
        return None

    found = _changed(model, two)
    if found:
        yield NATURAL, "the logarithm to base 2", found, None
