"""Finds the weighted losses of a sheet, also where they are written out by hand.

A call says its weights. A loss written out is compared with weighted_bce for each pair of numbers
that stand in it, and the judge decides which pair it is. Knows nothing of what weights mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product

from backproof.calculus.compare import Sides, compare
from backproof.calculus.model import Model
from backproof.errors import BackproofError
from backproof.language import syntax as ast
from backproof.language.format import unparse
from backproof.operators.node import quantities
from backproof.working.claims import Judge, Verdict

MOST_PAIRS = 30


@dataclass(frozen=True, slots=True)
class Weighted:
    """A weighted loss of a sheet.

    kind      "bce" (two weights) or "classes" (one weight a class)
    loss      the name of the equation, "" where the sheet has none
    labels_expr, output   the labels and the network's output
    weights   (alpha, beta), or the one array of class weights; () where all classes weigh 1
    verdict   that the loss is the weighted loss of these weights, where it was written out
    """

    kind: str
    loss: str
    output: ast.Expr | None
    labels_expr: ast.Expr | None
    weights: tuple[ast.Expr, ...]
    shown: str = ""
    verdict: Verdict | None = None

    @property
    def labels(self) -> str:
        """The labels as written."""
        return "" if self.labels_expr is None else unparse(self.labels_expr)

    @property
    def renamed(self) -> str:
        """A sentence where the sheet's weights are not called alpha and beta."""
        names = tuple(unparse(w) for w in self.weights)
        if self.kind != "bce" or names == ("alpha", "beta") or len(names) != 2:
            return ""
        return f"Below, alpha stands for {names[0]} and beta for {names[1]}."


def find_weighted(model: Model, loss: str) -> Iterator[Weighted]:
    """The weighted losses in one equation."""
    equation = model.sheet.equations.get(loss)
    if equation is None:
        return
    called, shown = False, f"{loss} = {unparse(equation.expr)}"
    for e in ast.walk(equation.expr):
        if isinstance(e, ast.Apply) and e.op == "weighted_bce":
            called = True
            yield Weighted("bce", loss, e.args[0], e.args[1], e.args[2:], shown)
        elif isinstance(e, ast.Apply) and e.op == "cross_entropy":
            called = True
            weights = tuple(value for _, value in e.options)
            yield Weighted("classes", loss, e.args[0], e.args[1], weights, shown)
    if not called:
        yield from _written_out(model, loss, equation)


def _written_out(model: Model, loss: str, equation: ast.Equation) -> Iterator[Weighted]:
    """A loss over log a and log(1 - a), or a call of bce times numbers."""
    pair = _output_and_labels(model, equation.expr)
    if pair is None or not model.leaves[loss].is_number:
        return
    output, labels = pair
    judge = Judge(model)
    for alpha, beta in _candidates(model, equation.expr):
        call = ast.Apply("weighted_bce", (output, labels, alpha, beta))
        sides = (ast.Name(loss), call)
        try:
            nodes = Sides(model.node(sides[0]), model.node(sides[1]))
            found = compare(model, nodes, float_points=3, exact_points=1)
        except BackproofError:
            continue
        if found.counter is not None or not found.points:
            continue
        text = f"{loss} == {unparse(call)}"
        verdict = judge.claim(ast.Claim(sides, ("eq",), text=text))
        if verdict.holds:
            shown = f"{loss} = {unparse(equation.expr)} = {unparse(call)}"
            yield Weighted("bce", loss, output, labels, (alpha, beta), shown, verdict)
            return


def _output_and_labels(model: Model, expr: ast.Expr) -> tuple[ast.Expr, ast.Expr] | None:
    """(a, y) of a loss over log a, log(1 - a) and labels of 0 and 1."""
    logs: list[ast.Expr] = []
    for e in ast.walk(expr):
        if isinstance(e, ast.Apply) and e.op == "log":
            logs.append(e.args[0])
        elif isinstance(e, ast.Apply) and e.op == "bce":
            return e.args[0], e.args[1]
    parts = {unparse(e) for e in ast.walk(expr)}
    outputs = [a for a in logs if f"1 - {unparse(a)}" in map(unparse, logs)]
    if not outputs:
        return None
    shape = model.node(outputs[0]).shape
    for e in ast.walk(expr):
        if (
            isinstance(e, ast.Name)
            and e.id in model.declared
            and f"1 - {e.id}" in parts
            and model.shape(e.id) == shape
        ):
            return outputs[0], e
    return None


def _candidates(model: Model, expr: ast.Expr) -> Iterator[tuple[ast.Expr, ast.Expr]]:
    """Pairs of numbers that may be the two weights."""
    found: dict[str, ast.Expr] = {}
    output = {n.id for e in ast.walk(expr) if isinstance(e, ast.Apply) and e.op == "log"
              for n in ast.walk(e) if isinstance(n, ast.Name)}  # fmt: skip
    for e in ast.walk(expr):
        if isinstance(e, ast.Number):
            found.setdefault(e.text, e)
        elif (
            isinstance(e, ast.Name)
            and e.id in model.leaves
            and e.id not in output
            and model.leaves[e.id].is_number
            and not (e.id in model.declared and model.declared[e.id].kind == "labels")
            and not quantities([model.leaves[e.id]]) & set(model.learned)
        ):
            found.setdefault(e.id, e)
    options = list(found.values())
    named = [o for o in options if isinstance(o, ast.Name)]
    pairs = [*permutations(named, 2), *product(options, options)]
    seen: set[tuple[str, str]] = set()
    for a, b in pairs:
        key = (unparse(a), unparse(b))
        if key not in seen and len(seen) < MOST_PAIRS:
            seen.add(key)
            yield a, b
