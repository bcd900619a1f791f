"""What an edit is, and the costs that families of edits share.

The lower the cost, the likelier that a person would have meant it. About 1: a sign, a transpose,
an axis, a name by one index. About 1.5: a factor or a term left out. Towards 2: an expression in
place of another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from backproof.language import syntax as ast

Put = Callable[[ast.Expr], ast.Expr]

DEEPER = 0.02  # what an edit costs more for each bracket that it stands in
STRETCHED = 0.25  # what a factor or a term costs more that has another shape than its place
BRACKET_COST = 1.17  # what a bracket around terms costs that is left out, or one too many
WHOLE = 0.12  # what an edit of the whole side costs more than one at its place


class Edit(NamedTuple):
    """One edit: its cost, the new part and how it is put in place, and what was wrong."""

    cost: float
    put: Put
    part: ast.Expr
    what: str

    def side(self) -> ast.Expr:
        """The whole side with the edit made."""
        return self.put(self.part)


# What was wrong, in words.
SIGN = "a sign"
TURNED = "a difference the wrong way round"
TRANSPOSE = "a transpose"
ORDER = "the order of factors"
NUMBER = "a number"
POWER = "a power"
SIZE = "a size"
FACTOR_MISSING = "a factor missing"
FACTOR_EXTRA = "a factor too many"
TERM_MISSING = "a term missing"
TERM_EXTRA = "a term too many"
OPERATOR = "an operator"
FUNCTION = "a function"
DERIVATIVE = "a function in place of its derivative"
AXIS = "an axis"
INDEX = "an index"
NAME = "a name"
BRACKET = "a bracket"
COMPLEMENT = "a complement"
EXPRESSION = "another expression"
TOLD = "told elsewhere"  # never shown: `told_mistake` says what differs
PART = "a part of it"
PARTS = "more than one part of it"


def told_mistake(places: Sequence[tuple[str, str]]) -> str:
    """What was wrong where the sheet says elsewhere how it is, from the places that differ."""
    found = [p for p in places if set("".join(p)) - set("() ")] or places  # but for brackets
    if len(found) != 1:
        return PARTS
    ((old, new),) = found
    if {old, new} <= {"+", "-", ""}:
        return SIGN
    if {old, new} <= {".T", "ᵀ", ""}:
        return TRANSPOSE
    if old.isidentifier() and new.isidentifier():
        return NAME
    if old.isdecimal() and new.isdecimal():
        return NUMBER
    return PART


# On the left of a claim stands what is asked; only its own writing is mended there.
ON_THE_LEFT = frozenset(
    (SIGN, TRANSPOSE, ORDER, POWER, OPERATOR, AXIS, INDEX, BRACKET, TURNED, FACTOR_EXTRA)
)

# Functions that are taken for one another.
CONFUSED: dict[str, tuple[str, ...]] = {
    "sum": ("mean", "trace", "sumsq", "prod", "max", "norm"), "mean": ("sum", "max"),
    "max": ("min", "sum"), "min": ("max",), "sin": ("cos",), "cos": ("sin",),
    "exp": ("log", "softmax"), "log": ("exp", "log2"), "log2": ("log",), "log10": ("log",),
    "eye": ("ones", "zeros"), "ones": ("zeros", "eye"), "zeros": ("ones",),
    "stack": ("concat",), "concat": ("stack",), "outer": ("dot", "kron"), "dot": ("outer",),
    "kron": ("outer",), "tril": ("triu",), "triu": ("tril",), "sumsq": ("norm", "sum"),
    "norm": ("sumsq", "abs"), "sigmoid": ("tanh", "softmax", "softplus", "step"),
    "tanh": ("sigmoid",), "relu": ("step",), "step": ("relu", "sign"), "sign": ("abs", "step"),
    "abs": ("sign", "norm"), "trace": ("det", "sum"), "det": ("logdet", "trace"),
    "logdet": ("det",), "inv": ("det",), "softmax": ("log_softmax", "sigmoid", "exp"),
    "log_softmax": ("softmax", "log"), "logsumexp": ("log", "max"), "sqrt": ("square",),
    "square": ("sqrt",), "diag": ("trace",), "mse": ("sse",), "sse": ("mse",),
    "softplus": ("sigmoid", "relu"), "floor": ("ceil",), "ceil": ("floor",), "prod": ("sum",),
    "argmax": ("max",), "grad": ("jac",), "gelu": ("gelu_tanh",), "gelu_tanh": ("gelu",),
}  # fmt: skip

# What a missing function costs.
WRAPS = {
    "sum": 1.2, "mean": 1.25, "diag": 1.25, "trace": 1.3, "inv": 1.45, "exp": 1.5, "log": 1.5,
    "sqrt": 1.45, "norm": 1.6, "sumsq": 1.55, "step": 1.6, "sign": 1.65, "abs": 1.65, "det": 1.6,
    "softmax": 1.6, "sigmoid": 1.6, "tanh": 1.6, "relu": 1.6, "vec": 1.6, "cos": 1.7, "sin": 1.7,
    "square": 1.9, "logsumexp": 1.8, "max": 1.8, "softplus": 1.7, "logdet": 1.65,
}  # fmt: skip

# What in a sheet makes a missing function likelier.
HINTS = {
    "softplus": ("softplus", "sigmoid", "σ(", "bce"),
    "logsumexp": ("logsumexp", "softmax", "cross_entropy"),
    "logdet": ("logdet",), "sumsq": ("sumsq",), "norm": ("norm",), "step": ("step", "relu"),
}  # fmt: skip

SWAPPED = frozenset((
    "outer", "kron", "dot", "zeros", "ones", "solve", "max", "min", "cross_entropy", "bce", "mse",
    "sse", "where", "concat", "stack", "clip",
))  # fmt: skip
AXES = frozenset((
    "sum", "mean", "prod", "max", "min", "norm", "softmax", "log_softmax", "logsumexp", "argmax",
    "concat", "stack",
))  # fmt: skip
REDUCTIONS = frozenset(("sum", "mean", "prod", "max", "min", "norm"))
OPERATORS = {
    "matmul": (("mul", 1.0),),
    "mul": (("matmul", 1.0), ("div", 1.25)),
    "div": (("mul", 1.15),),
}
TURNED_ROUND = {
    "gt": ("lt", "ge"), "ge": ("le", "gt"), "lt": ("gt", "le"), "le": ("ge", "lt"),
    "eq": ("ne",), "ne": ("eq",),
}  # fmt: skip
