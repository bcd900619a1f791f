"""What every working needs to write a line: shapes in words, names, LaTeX, in one place.

Knows nothing of values.
"""

from __future__ import annotations

import re
from collections.abc import Container

from backproof.calculus.latex import Latex, latex_name
from backproof.calculus.model import Model
from backproof.calculus.notation import text
from backproof.language import syntax as ast
from backproof.language.functions import CONSTANTS
from backproof.operators.dims import ONE, SCALAR, Dim, Shape, paper_shape


def written(expr: ast.Expr) -> str:
    """An expression as text in the sheet's language, products close together as by hand."""
    return text(expr)


def latex_of(model: Model, expr: ast.Expr) -> str:
    """An expression as LaTeX."""
    return Latex(_Numbers(model))(expr)


def latex_equation(model: Model, name: str, expr: ast.Expr) -> str:
    """An equation as LaTeX."""
    return f"{latex_name(name)} = {latex_of(model, expr)}"


def latex_array(shown: str) -> str:
    """A value as LaTeX, from the way it is written in a line (`[[1, 2], [3, 4]]`, `1.07`)."""
    shown = re.sub(r"(\d)e([+-]?)0*(\d+)", _power_of_ten, shown)
    if not shown.startswith("["):
        return shown
    if shown.startswith("[["):
        rows = [r.replace(", ", " & ") for r in re.findall(r"\[([^\[\]]*)\]", shown)]
        rows += [r"\vdots"] if shown.endswith("…]") else []
    else:
        rows = shown.strip("[]").split(", ")
    body = r" \\ ".join(rows).replace("…", r"\cdots")
    return rf"\begin{{bmatrix}} {body} \end{{bmatrix}}"


def _power_of_ten(found: re.Match[str]) -> str:
    sign = found[2].strip("+")
    return rf"{found[1]} \cdot 10^{{{sign}{found[3]}}}"


class _Numbers(Container[str]):
    """The names of a sheet that are numbers."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def __contains__(self, name: object) -> bool:
        leaf = self.model.leaves.get(str(name))
        if leaf is not None:
            return leaf.is_number
        return name in self.model.sheet.dimensions or name in CONSTANTS


def step_shape(shape: Shape) -> tuple[int | str, ...]:
    """A shape for a Step: () a number, (3,) a column, sizes as int or as text."""
    sizes = ((d.as_int(), d) for d in paper_shape(shape))
    return tuple(str(d) if n is None else n for n, d in sizes)


def shape_words(shape: Shape) -> str:
    """A shape as one says it: `a number`, `a column of 3`, `a row of 4`, `3 × 4`."""
    if shape == SCALAR:
        return "a number"
    if len(shape) == 2 and shape[1] == ONE:
        return f"a column of {dim_text(shape[0])}"
    if len(shape) == 2 and shape[0] == ONE:
        return f"a row of {dim_text(shape[1])}"
    return shape_brief(shape)


def shape_brief(shape: Shape) -> str:
    """A shape in the fewest signs: `a number`, `3 × 1`, `(D + 1) × K`."""
    return "a number" if shape == SCALAR else " × ".join(map(dim_text, shape))


def dim_text(dim: Dim) -> str:
    """A dimension as a factor: a sum in brackets."""
    text = str(dim)
    return f"({text})" if " " in text else text


def listed(words: list[str] | tuple[str, ...]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def role_of(model: Model, name: str) -> str:
    """`given`, `learned` or `intermediate`."""
    kind = model.sheet.kind_of(name)
    return {"given": "given", "learn": "learned"}.get(kind, "intermediate")


def equation_text(name: str, expr: ast.Expr) -> str:
    """An equation in the sheet's own spelling."""
    return f"{name} = {written(expr)}"


_ENTRYWISE = frozenset({
    "relu", "leaky_relu", "elu", "gelu", "gelu_tanh", "silu", "softplus", "sigmoid", "tanh",
    "exp", "log", "sqrt", "abs", "sign", "step", "sin", "cos", "square", "floor", "ceil",
    "clip", "erf", "log2", "log10", "where",
})  # fmt: skip
_OVER = frozenset(["softmax", "log_softmax", "logsumexp"])
_ALONG = frozenset(["sum", "mean", "prod", "max", "min", "norm", "sumsq", "logsumexp", "argmax"])


def rule_words(model: Model, expr: ast.Expr) -> str:
    """What the outermost operator does to its argument, where that is worth saying."""
    if not isinstance(expr, ast.Apply) or not expr.args:
        return ""
    if expr.op == "bias_trick":
        one = len(expr.args) == 1
        return "a column of ones is appended" if one else "the bias is appended to the weights"
    axis = dict(expr.options).get("axis")
    if isinstance(axis, ast.Number) and expr.op in _ALONG | _OVER:
        return "along the rows" if axis.value == 1 else "down the columns"
    if expr.op in _OVER | _ENTRYWISE:
        shape = model.graph.resolve_shape(model.node(expr.args[0]).shape)
        if shape == SCALAR:
            return ""
        if expr.op in _ENTRYWISE:
            return "entry by entry"
        return "over the column" if shape[1] == ONE else "over each row"
    return ""
