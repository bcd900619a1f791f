"""Losses written out as one does by hand: first for each sample or entry, then averaged.

One table entry a loss says which lines stand between the call and its value, as expressions of
the sheet language. The lines become equations of their own (with made-up names), so that values,
rounding and showing treat them like any other equation. Knows no values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from backproof.calculus.model import Model
from backproof.errors import Source
from backproof.language import syntax as ast
from backproof.language.format import unparse
from backproof.language.statements import parse_expression
from backproof.operators.dims import ONE
from backproof.operators.node import Node


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a loss that is written out.

    name    the made-up name that later lines use for its value (no sheet can contain it)
    label   what it is, in words
    expr    its value in terms of names and of the lines before it
    shown   the same as a reader should see it
    per     what its entries stand for: "sample", "row" (the classes of each sample), "entry",
            "" (a number), or "argument" (a computed argument of the call)
    call    the call that it belongs to
    """

    name: str
    label: str
    expr: ast.Expr
    shown: ast.Expr
    per: str
    call: ast.Apply


@dataclass(frozen=True, slots=True)
class Expansion:
    """An expression whose losses are written out: the lines, and what is left with their names."""

    lines: tuple[Line, ...]
    rest: ast.Expr


@dataclass(frozen=True, slots=True)
class _Template:
    """A line of a table entry, over the parameters' names and the keys of earlier lines."""

    key: str
    label: str
    per: str
    shown: str
    value: str = ""  # where it differs from what is shown


@dataclass(frozen=True, slots=True)
class LossForm:
    """How a loss is written out.

    parameters   names of its arguments in the templates, in order
    defaults     parameters that may be left out
    lines        the lines; `AXIS` stands for the axis of the classes
    closing      the line that joins samples or entries, left out where there is only one
    by_sample    whether rows are samples (else every entry counts by itself)
    """

    parameters: tuple[str, ...]
    lines: tuple[_Template, ...]
    closing: _Template
    by_sample: bool
    defaults: tuple[tuple[str, str], ...] = ()


# 0 log 0 counts as 0, as usual: a class that is not the right one never enters, even where its
# rounded probability is 0.00.
LOSSES: dict[str, LossForm] = {
    "cross_entropy": LossForm(
        ("P", "Y"),
        (
            _Template(
                "each", "loss of each sample", "sample", "-sum(Y*log(P), axis=AXIS)",
                "-sum(where(Y == 0, 0, Y*log(P)), axis=AXIS)",
            ),
        ),
        _Template("mean", "mean over the samples", "", "mean(each)"),
        by_sample=True,
    ),
    "weighted cross_entropy": LossForm(
        ("P", "Y", "weights"),
        (
            _Template(
                "each", "loss of each sample", "sample", "-sum(WEIGHTS*Y*log(P), axis=AXIS)",
                "-sum(where(Y == 0, 0, WEIGHTS*Y*log(P)), axis=AXIS)",
            ),
        ),
        _Template("mean", "mean over the samples", "", "mean(each)"),
        by_sample=True,
    ),
    "hinge": LossForm(
        ("S", "Y", "margin"),
        (
            _Template("right", "score of the right class", "sample", "sum(Y*S, axis=AXIS)"),
            _Template("margins", "margins", "row", "(1 - Y)*max(0, S - right + margin)"),
            _Template("each", "loss of each sample", "sample", "sum(margins, axis=AXIS)"),
        ),
        _Template("mean", "mean over the samples", "", "mean(each)"),
        by_sample=True,
        defaults=(("margin", "1"),),
    ),
    "bce": LossForm(
        ("a", "y"),
        (
            _Template(
                "each", "loss of each entry", "entry", "-(y*log(a) + (1 - y)*log(1 - a))",
                "-(where(y == 0, 0, y*log(a)) + where(y == 1, 0, (1 - y)*log(1 - a)))",
            ),
        ),
        _Template("mean", "mean over the entries", "", "mean(each)"),
        by_sample=False,
    ),
    "weighted_bce": LossForm(
        ("a", "y", "alpha", "beta"),
        (
            _Template(
                "each", "loss of each entry", "entry",
                "-(alpha*y*log(a) + beta*(1 - y)*log(1 - a))",
                "-(where(y == 0, 0, alpha*y*log(a)) + where(y == 1, 0, beta*(1 - y)*log(1 - a)))",
            ),
        ),
        _Template("mean", "mean over the entries", "", "mean(each)"),
        by_sample=False,
    ),
    "mse": LossForm(
        ("a", "y"),
        (_Template("each", "squared difference of each entry", "entry", "(a - y)**2"),),
        _Template("mean", "mean over the entries", "", "mean(each)"),
        by_sample=False,
    ),
    "sse": LossForm(
        ("a", "y"),
        (_Template("each", "squared difference of each entry", "entry", "(a - y)**2"),),
        _Template("total", "sum over the entries", "", "sum(each)"),
        by_sample=False,
    ),
}  # fmt: skip
_KEPT = ("grad", "jac", "hess")  # what is differentiated stays as it is written


def expand(model: Model, owner: str, expr: ast.Expr) -> Expansion | None:
    """The expression with its losses written out; None where it has none.

    owner   whose expression it is; it keeps the made-up names apart
    """
    if not any(isinstance(e, ast.Apply) and e.op in LOSSES for e in ast.walk(expr)):
        return None
    builder = _Builder(model, owner)
    rest = builder.rewrite(expr)
    return Expansion(tuple(builder.lines), rest) if builder.lines else None


def line_nodes(model: Model, lines: tuple[Line, ...], rest: ast.Expr) -> tuple[list[Node], Node]:
    """The nodes of the lines, and of the rest."""
    leaves = dict(model.leaves)
    nodes = []
    for line in lines:
        node = elaborate_with(model, leaves, line.expr)
        nodes.append(node)
        leaves[line.name] = model.graph.quantity(line.name, model.graph.resolve_shape(node.shape))
    return nodes, elaborate_with(model, leaves, rest)


def elaborate_with(model: Model, leaves: Mapping[str, Node], expr: ast.Expr) -> Node:
    """The node of an expression in which more names than the sheet's may stand."""
    elaborator = model.elaborator()
    elaborator.leaves = leaves
    return elaborator.node(expr)


class _Builder:
    """Collects the lines of one expression."""

    def __init__(self, model: Model, owner: str) -> None:
        self.model = model
        self.owner = owner
        self.lines: list[Line] = []
        self.leaves: dict[str, Node] = dict(model.leaves)

    def rewrite(self, expr: ast.Expr) -> ast.Expr:
        if isinstance(expr, ast.Comprehension):
            return expr  # its losses depend on the index
        if isinstance(expr, ast.Apply):
            if expr.op in _KEPT:
                return expr
            args = tuple(self.rewrite(a) for a in expr.args)
            expr = replace(expr, args=args)
            return self._loss(expr) if expr.op in LOSSES else expr
        if isinstance(expr, ast.Subscript):
            return replace(expr, base=self.rewrite(expr.base))
        if isinstance(expr, ast.Array):
            return replace(expr, items=tuple(self.rewrite(i) for i in expr.items))
        return expr

    def _loss(self, call: ast.Apply) -> ast.Expr:
        options = dict(call.options)
        form = LOSSES[f"weighted {call.op}" if "weights" in options else call.op]
        bound: dict[str, ast.Expr] = {k: _parsed(v) for k, v in form.defaults}
        bound.update(zip(form.parameters, call.args, strict=False))
        bound.update((k, v) for k, v in options.items() if k in form.parameters)
        for key in form.parameters[:2]:
            if not _plain(bound[key]):
                arg = bound[key]
                bound[key] = self._line(call, key, unparse(arg), "argument", arg, arg)
        shape = self.model.graph.resolve_shape(
            elaborate_with(self.model, self.leaves, bound[form.parameters[0]]).shape
        )
        column = len(shape) == 2 and shape[1] == ONE
        one = shape[0] == ONE or column if form.by_sample else all(d == ONE for d in shape)
        bound["AXIS"] = _parsed("0" if column else "1")
        if "weights" in bound:
            bound["WEIGHTS"] = self._laid_along(bound["weights"], rows=not column)
        templates = form.lines if one else (*form.lines, form.closing)
        result: ast.Expr = call
        for t in templates:
            shown = substitute(_parsed(t.shown), bound)
            value = substitute(_parsed(t.value or t.shown), bound)
            result = self._line(call, t.key, t.label, t.per, value, shown)
            bound[t.key] = result
        return result

    def _laid_along(self, weights: ast.Expr, *, rows: bool) -> ast.Expr:
        """The class weights as a row where samples are rows, else as a column."""
        is_row = elaborate_with(self.model, self.leaves, weights).shape[0] == ONE
        return weights if is_row == rows else ast.Apply("transpose", (weights,))

    def _line(
        self, call: ast.Apply, key: str, label: str, per: str, expr: ast.Expr, shown: ast.Expr
    ) -> ast.Name:
        name = f"{self.owner} · {len(self.lines) + 1} · {key}"
        node = elaborate_with(self.model, self.leaves, expr)
        graph = self.model.graph
        self.leaves[name] = graph.quantity(name, graph.resolve_shape(node.shape))
        self.lines.append(Line(name, label, expr, shown, per, call))
        return ast.Name(name, call.span)


def _plain(expr: ast.Expr) -> bool:
    """Whether an argument is only picked out, and nothing is computed for it."""
    match expr:
        case ast.Name() | ast.Number():
            return True
        case ast.Subscript(base=base):
            return _plain(base)
        case ast.Apply(op="transpose" | "neg", args=(a,)):
            return _plain(a)
        case ast.Array(items=items):
            return all(_plain(i) for i in items)
        case _:
            return False


@lru_cache(maxsize=64)
def _parsed(text: str) -> ast.Expr:
    return parse_expression(Source("<loss>", text))


def substitute(expr: ast.Expr, bound: Mapping[str, ast.Expr]) -> ast.Expr:
    """The expression with names replaced."""
    return map_names(expr, lambda name: bound.get(name.id, name))


def map_names(expr: ast.Expr, change: Callable[[ast.Name], ast.Expr]) -> ast.Expr:
    """The expression with every name replaced by what *change* makes of it."""
    return ast.rewritten(expr, lambda e: change(e) if isinstance(e, ast.Name) else None)
