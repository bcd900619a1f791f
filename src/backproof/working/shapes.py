"""`ask shapes`: the shape of every name, or of the expressions asked for.

Columns are said to be columns, numbers numbers; a dimension that was solved says from what; an
array that is stretched over the rows or columns of another is said out loud. Needs no values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backproof.calculus import model as meaning
from backproof.calculus.model import Model
from backproof.errors import BackproofError
from backproof.language import syntax as ast
from backproof.language.format import unparse_set
from backproof.operators.dims import ONE, Dim, Shape
from backproof.operators.node import Node
from backproof.working.steps import Step, Working
from backproof.working.writing import (
    dim_text,
    equation_text,
    latex_equation,
    latex_of,
    role_of,
    rule_words,
    shape_brief,
    shape_words,
    step_shape,
    written,
)


def shapes_working(model: Model, targets: Sequence[ast.Expr] = ()) -> Working:
    """The shape of every name, or of each expression in *targets*."""
    if targets:
        ask = f"shapes {', '.join(map(written, targets))}"
        steps = [step for expr in targets for step in _asked(model, expr)]
        used = {e.id for t in targets for e in ast.walk(t) if isinstance(e, ast.Name)}
        steps.extend(_dimensions(model, used))
        return Working(ask, tuple(steps), {"shapes": _target_data(model, targets)})
    steps = [_declared(model, name) for name in model.declared]
    steps.extend(_equation(model, name) for name in model.sheet.order)
    steps.extend(_dimensions(model, None))
    total = parameters(model)
    if total is not None:
        steps.append(total)
    shapes = {name: step_shape(model.shape(name)) for name in model.leaves}
    return Working("shapes", tuple(steps), {"shapes": shapes})


def _target_data(model: Model, targets: Sequence[ast.Expr]) -> dict[str, tuple[int | str, ...]]:
    resolve = model.graph.resolve_shape
    return {written(t): step_shape(resolve(_shape_of(model, t))) for t in targets}


def _shape_of(model: Model, expr: ast.Expr) -> Shape:
    return model.graph.resolve_shape(model.node(expr).shape)


def _asked(model: Model, expr: ast.Expr) -> Iterator[Step]:
    if isinstance(expr, ast.Name) and expr.id in model.declared:
        yield _declared(model, expr.id)
    elif isinstance(expr, ast.Name) and expr.id in model.definitions:
        yield _equation(model, expr.id)
    else:
        shape = _shape_of(model, expr)
        text = written(expr)
        because = "; ".join(broadcasts(model, expr))
        yield Step(
            label=text,
            text=f"{text}: {shape_said(shape)}",
            latex=latex_of(model, expr),
            shape=step_shape(shape),
            because=_derivative_words(expr) or because,
        )


def _derivative_words(expr: ast.Expr) -> str:
    if isinstance(expr, ast.Apply) and expr.op == "grad":
        return f"a gradient has the shape of {written(expr.args[1])}"
    return ""


def _declared(model: Model, name: str) -> Step:
    declaration = model.sheet.declarations[name]
    shape = model.shape(name)
    written = f" in {unparse_set(declaration.set)}" if declaration.set is not None else ""
    because = role_of(model, name)
    return Step(
        label=name,
        text=f"{name}{written}: {shape_said(shape)}",
        latex=latex_of(model, ast.Name(name)),
        shape=step_shape(shape),
        because=because,
    )


def _equation(model: Model, name: str) -> Step:
    expr = model.sheet.equations[name].expr
    shape = model.shape(name)
    return Step(
        label=name,
        text=f"{equation_text(name, expr)}: {shape_said(shape)}",
        latex=latex_equation(model, name, expr),
        shape=step_shape(shape),
        because="; ".join([*_rule(model, expr), *_product(model, expr), *broadcasts(model, expr)]),
    )


def _rule(model: Model, expr: ast.Expr) -> list[str]:
    words = rule_words(model, expr)
    return [words] if words else []


def shape_said(shape: Shape) -> str:
    """A shape in words, a column and a row with their two axes: `a column of 3 (3 × 1)`."""
    words = shape_words(shape)
    return f"{words} ({shape_brief(shape)})" if words.startswith(("a column", "a row")) else words


def _product(model: Model, expr: ast.Expr) -> Iterator[str]:
    """How the axes of a matrix product meet: `3 × 4 times 4 × 1`."""
    for part in _open_parts(expr):
        if isinstance(part, ast.Apply) and part.op == "matmul":
            a, b = (_shape_of(model, x) for x in part.args)
            yield f"{shape_brief(a)} times {shape_brief(b)}"


# --- broadcasting ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Verb:
    """How stretching one side of an operator is said."""

    left: str
    right: str
    numbers: bool  # whether stretching a number is worth saying


_VERBS = {
    "add": _Verb("{a} is added to {each}", "{a} is added to {each}", True),
    "sub": _Verb("{each} is subtracted from {a}", "{a} is subtracted from {each}", True),
    "mul": _Verb("{a} multiplies {each}", "{a} multiplies {each}", False),
    "div": _Verb("{a} is divided by {each}", "{each} is divided by {a}", False),
}
_OTHER = _Verb("{a} stands against {each}", "{a} stands against {each}", False)


def broadcasts(model: Model, expr: ast.Expr) -> list[str]:
    """What is stretched in an expression: `b.T (1 × K) is added to each of the N rows`."""
    said: list[str] = []
    for part in _open_parts(expr):
        if isinstance(part, ast.Apply) and len(part.args) == 2:
            text = _stretched(model, part)
            if text is not None and text not in said:
                said.append(text)
    return said


def _stretched(model: Model, part: ast.Apply) -> str | None:
    try:
        whole = model.node(part)
        sides = [model.node(a) for a in part.args]
    except BackproofError:
        return None
    resolve = model.graph.resolve_shape
    result = resolve(whole.shape)
    if not _elementwise(model, part, sides) or len(result) != 2:
        return None
    for k, (arg, node) in enumerate(zip(part.args, sides, strict=True)):
        own = resolve(node.shape)
        if own == result or result != resolve(sides[1 - k].shape):
            continue
        verb = _VERBS.get(part.op, _OTHER)
        a = f"{written(arg)} ({shape_brief(own)})"
        if node.is_number:
            if not verb.numbers or not any(isinstance(e, ast.Name) for e in ast.walk(arg)):
                return None
            each = "every entry"
            a = f"{written(arg)} (a number)"
        else:
            each = f"each of the {result[0]} rows" if own[0] == ONE else (
                f"each of the {result[1]} columns"
            )  # fmt: skip
        return (verb.right if k else verb.left).format(a=a, each=each)
    return None


def _elementwise(model: Model, part: ast.Apply, sides: list[Node]) -> bool:
    operator = model.graph.table.get({"max": "maximum", "min": "minimum"}.get(part.op, part.op))
    return operator is not None and operator.elementwise and len(sides) == 2


def _open_parts(expr: ast.Expr) -> Iterator[ast.Expr]:
    """The parts of an expression that have a shape of their own, inner ones first."""
    parts: list[ast.Expr] = []
    stack = [expr]
    while stack:
        part = stack.pop()
        parts.append(part)
        if isinstance(part, ast.Comprehension | ast.TupleExpr | ast.Text):
            continue
        if isinstance(part, ast.Apply) and part.op in ("grad", "jac", "hess"):
            continue
        if isinstance(part, ast.Subscript):
            stack.append(part.base)
        else:
            stack.extend(reversed(list(ast.children(part))))
    return reversed(parts)


# --- where dimensions come from --------------------------------------------------------------


def _dimensions(model: Model, used: set[str] | None) -> Iterator[Step]:
    """The dimension names: given by `let`, solved from an equation, or left as letters."""
    sheet = model.sheet
    wanted = [d for d in sheet.dimensions if used is None or _appears(model, d, used)]
    origins = origins_of(model) if any(d in model.graph.sizes for d in wanted) else {}
    letters: list[str] = []
    for name in wanted:
        size = model.graph.resolve(Dim.of(name))
        if name in sheet.lets:
            yield Step(name, f"{name} = {size}", because="let", kind="note")
        elif size != Dim.of(name):
            yield Step(name, f"{name} = {size}, {origins.get(name, 'solved')}", kind="note")
        else:
            letters.append(name)
    if letters:
        many = len(letters) > 1
        yield Step(
            label=", ".join(letters),
            text=f"{', '.join(letters)} {'stay letters' if many else 'stays a letter'}: "
            f"nothing in the sheet gives {'them numbers' if many else 'it a number'}.",
            kind="note",
        )


def _appears(model: Model, dimension: str, names: set[str]) -> bool:
    if dimension in names:
        return True
    for name in names & set(model.sheet.declarations):
        declared = model.sheet.declarations[name].set
        for d in declared.dims if declared is not None else ():
            if any(isinstance(e, ast.Name) and e.id == dimension for e in ast.walk(d)):
                return True
    return False


def origins_of(model: Model) -> dict[str, str]:
    """Dimension name -> `from X @ W (1000 × 2353 times d × 3)`, for those that were solved."""
    sheet = model.sheet
    fresh = Model(sheet)
    for name in sheet.lets:
        fresh.graph.sizes[name] = model.graph.resolve(Dim.of(name))
    found: dict[str, str] = {}
    known = set(fresh.graph.sizes)

    def note(words: str) -> None:
        for name in set(fresh.graph.sizes) - known:
            known.add(name)
            found[name] = words

    elaborator = fresh.elaborator()
    for name, declaration in sheet.declarations.items():
        meaning._declare(fresh, elaborator, name, declaration)
        note(f"from the value of {name}")
    for name in sheet.order:
        expr = sheet.equations[name].expr
        for part in _open_parts(expr):
            if isinstance(part, ast.Text):  # the indices of an einsum
                continue
            before = _sides(fresh, part)
            fresh.elaborator().node(part)
            note(f"from {written(part)}{before}")
        node = fresh.elaborator().node(expr)
        fresh.definitions[name] = node
        shape = fresh.graph.resolve_shape(node.shape)
        fresh.leaves[name] = fresh.graph.quantity(name, shape)
    return found


def _sides(model: Model, part: ast.Expr) -> str:
    """The shapes of both sides of an operator, before it is looked at as a whole."""
    if not isinstance(part, ast.Apply) or len(part.args) != 2:
        return ""
    try:
        a, b = (model.graph.resolve_shape(model.elaborator().node(x).shape) for x in part.args)
    except BackproofError:
        return ""
    joint = " times " if part.op == "matmul" else " against "
    return f" ({shape_brief(a)}{joint}{shape_brief(b)})"


# --- how many parameters ---------------------------------------------------------------------


def parameters(model: Model) -> Step | None:
    """How many numbers are learned, in total."""
    if not model.learned:
        return None
    total = Dim.of(0)
    parts = []
    for name in model.learned:
        shape = model.shape(name)
        size = ONE
        for d in shape:
            size = size * d
        total = total + size
        factors = " · ".join(dim_text(d) for d in shape if d != ONE)
        parts.append(f"{factors or 1} ({name})")
    sums = f"{' + '.join(parts)} = " if len(parts) <= 12 else ""
    return Step(
        label="parameters",
        text=f"Learned in total: {sums}{total} numbers.",
        value=total.as_int(),
        kind="note",
    )
