"""What a wrong number comes from: the repair search's edits, run over the equation.

Every edit of the right equation that a person is likely to have made is evaluated at the
student's own values; the likeliest one that gives the number that was written names the mistake.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backproof.calculus.model import Model
from backproof.errors import BackproofError
from backproof.language import syntax as ast
from backproof.language.format import unparse
from backproof.operators.node import Node
from backproof.papers.paper import GRADIENT, Item, PaperSheet
from backproof.working.claims import Judge
from backproof.working.mending.edits import (
    DERIVATIVE,
    FACTOR_EXTRA,
    FACTOR_MISSING,
    SIGN,
    TERM_EXTRA,
    TERM_MISSING,
    TRANSPOSE,
)
from backproof.working.mending.factors import Families
from backproof.working.mending.pieces import Pieces, built_on, names_in
from backproof.working.mending.spelling import Spelling
from backproof.working.mending.trial import CachedElaborator, SharedEvaluator

Array = Any
MOST_EDITS = 500
MOST_SLIPPED = 120  # below a wrong value, where every edit is worked out anew
POINT = "the decimal point"
# An edit is named after what it mends; done to the right form, it makes the opposite mistake.
BACKWARDS = {
    FACTOR_EXTRA: FACTOR_MISSING, FACTOR_MISSING: FACTOR_EXTRA,
    TERM_EXTRA: TERM_MISSING, TERM_MISSING: TERM_EXTRA,
    DERIVATIVE: "a derivative in place of its function",
}  # fmt: skip
TURNED = "the entries turned round"


def right_form(sheet: PaperSheet, item: Item) -> ast.Expr | None:
    """The right answer of an item as an expression: from a claim that holds, or derived."""
    expr = item.expr
    if isinstance(expr, ast.Name):
        equation = sheet.sheet.equations.get(expr.id)
        return None if equation is None else equation.expr
    if item.kind != GRADIENT and not (isinstance(expr, ast.Apply) and expr.op == "grad"):
        return expr
    assert isinstance(expr, ast.Apply)
    return claimed_form(sheet, expr) or derived_form(sheet.model, expr)


def claimed_form(sheet: PaperSheet, expr: ast.Expr) -> ast.Expr | None:
    """What a claim of the sheet says, truly, in symbols about an expression."""
    judge = Judge(sheet.model)
    for claim in sheet.sheet.claims:
        if len(claim.sides) != 2 or claim.relations != ("eq",) or claim.sides[0] != expr:
            continue
        other = claim.sides[1]
        names = [e for e in ast.walk(other) if isinstance(e, ast.Name)]
        calls = [
            e
            for e in ast.walk(other)
            if isinstance(e, ast.Apply) and e.op in ("grad", "jac", "hess")
        ]
        if names and not calls and not claim.loops and judge.claim(claim, proofs=False).holds:
            return other
    return None


def derived_form(model: Model, expr: ast.Apply) -> ast.Expr | None:
    """The matrix form that the working arrives at, where it is one expression in the names."""
    from backproof.papers.symbolic import read_expression
    from backproof.working.gradient import gradient_working

    try:
        working = gradient_working(model, expr.args[0], expr.args[1])
    except BackproofError:
        return None
    for step in working.steps:
        if step.kind == "result" and " = " in step.text:
            found = read_expression(step.text.partition(" = ")[2])
            if found is None:
                return None
            unknown = [
                e.id for e in ast.walk(found)
                if isinstance(e, ast.Name) and e.id not in model.leaves
                and e.id not in model.sheet.dimensions
            ]  # fmt: skip
            return None if unknown else found
    return None


class Namer:
    """Names the mistakes in the numbers of one sheet."""

    def __init__(self, sheet: PaperSheet) -> None:
        self.sheet = sheet
        self._edits: dict[str, list[tuple[str, str, Node]]] = {}
        self._truths: dict[str, tuple[list[tuple[str, str, Node]], Array]] = {}
        self._known: dict[tuple[Any, ...], str] = {}

    def mistake(
        self,
        item: Item,
        written: Array,
        own: Mapping[str, Array],
        rights: Sequence[Array],
        unit: float,
        *,
        slipped: bool,
    ) -> str:
        """What was wrong, in words; "" where nothing likely gives the number written.

        own      the values that the student had, by name
        rights   the value with these, and the one by the true path
        slipped  whether any of these is wrong
        """
        if (np.abs(written) <= unit).all():
            return ""  # zeros come from many edits, and from none
        key = (
            item.id,
            written.tobytes(),
            slipped and tuple((n, own[n].tobytes()) for n in sorted(own)),
        )
        if key not in self._known:
            plain = (self._plain(written, right, unit) for right in rights)
            self._known[key] = next(filter(None, plain), "") or self._searched(
                item, written, own, slipped, unit
            )
        return self._known[key]

    @staticmethod
    def _plain(written: Array, right: Array, unit: float) -> str:
        def same(other: Array) -> bool:
            return other.shape == written.shape and bool((np.abs(other - written) <= unit).all())

        if same(-right):
            return SIGN
        if right.shape[0] == right.shape[1] > 1 and same(right.T):
            return TRANSPOSE
        if written.size > 1 and same(right[::-1, ::-1]):
            return TURNED
        for factor in (10.0, 0.1, 100.0, 0.01):
            if (np.abs(right) > 20 * unit).any() and same(right * factor):
                return POINT
        if written.size > 1 and np.allclose(np.abs(written), np.abs(right), atol=unit, rtol=0):
            return f"{SIGN} of an entry"
        return ""

    def _searched(
        self, item: Item, written: Array, own: Mapping[str, Array], slipped: bool, unit: float
    ) -> str:
        edits, stacked = self._at_truth(item)
        if slipped:
            model = self.sheet.model
            run = SharedEvaluator(model.number_sizes(), own, model.definitions)
            edits = edits[:MOST_SLIPPED]
            stacked = _values(run, edits, written.shape)
        if not edits or stacked.shape[1:] != written.shape:
            return ""
        with np.errstate(all="ignore"):
            hits = (np.abs(stacked - written) <= 1.5 * unit).all(axis=(1, 2))
        if not hits.any():
            return ""
        what, text, _ = edits[int(np.argmax(hits))]
        return f"{what}: {text}"

    def _at_truth(self, item: Item) -> tuple[list[tuple[str, str, Node]], Array]:
        """The edits of an item, and what each comes to with the right values."""
        if item.id not in self._truths:
            values, model = self.sheet.values, self.sheet.model
            right = {
                n: np.asarray(values.named(n), dtype=np.float64)
                for n, leaf in model.leaves.items()
                if values.computable(leaf)
            }
            edits = self._edits_of(item)
            run = SharedEvaluator(model.number_sizes(), right, model.definitions)
            shape = values.value(values.node(item.expr)).shape if item.expr is not None else ()
            self._truths[item.id] = edits, _values(run, edits, shape)
        return self._truths[item.id]

    def _edits_of(self, item: Item) -> list[tuple[str, str, Node]]:
        if item.id not in self._edits:
            form = right_form(self.sheet, item)
            self._edits[item.id] = (
                [] if form is None else edits_of(self.sheet, form, item, numbers=True)
            )
        return self._edits[item.id]


def _values(
    run: SharedEvaluator, edits: Sequence[tuple[str, str, Node]], shape: tuple[int, ...]
) -> Array:
    """What each edit comes to; NaN where it has no value."""
    found = []
    with np.errstate(all="ignore"):
        for _, _, node in edits:
            try:
                value = run.value(node)
            except (ArithmeticError, ValueError, LookupError):
                value = np.full(shape, np.nan)
            if value.shape == (1, 1):  # a sum over everything, written in every place
                value = np.broadcast_to(value, shape)
            found.append(value if value.shape == shape else np.full(shape, np.nan))
    return np.array(found) if found else np.zeros((0, *shape))


def edits_of(
    sheet: PaperSheet,
    form: ast.Expr,
    item: Item,
    most: int = MOST_EDITS,
    *,
    numbers: bool = False,
) -> list[tuple[str, str, Node]]:
    """(what it is, the wrong expression, its node) of the likeliest edits, in their order.

    numbers   whether an edit may make a number of an array
    """
    model = sheet.model
    right = model.node(form)
    shape = model.graph.resolve_shape(right.shape)
    spelling = Spelling(model.sheet.source, unparse(form))
    spelling.learn(form)
    pieces = Pieces(model, ())
    elaborator = CachedElaborator(model)
    edits = sorted(Families(spelling, pieces).of(form), key=lambda e: e.cost)[: 3 * most]
    found: list[tuple[str, str, Node]] = []
    seen = {right.id}
    asked = item.expr
    later = built_on(sheet.sheet, asked.id) if isinstance(asked, ast.Name) else frozenset[str]()
    for edit in edits:
        side = edit.side()
        if asked in set(ast.walk(side)) or later & names_in(side):
            continue  # what is asked, or what is built on it, was not there to be used
        try:
            node = elaborator.node(side)
        except (BackproofError, RecursionError, ValueError):
            continue
        if (
            node.id in seen
            or node.fill is not None
            or node.loops
            or (model.graph.resolve_shape(node.shape) != shape and not (numbers and node.is_number))
        ):
            continue
        seen.add(node.id)
        text = re.sub(r"\s+", " ", unparse(side))
        found.append((BACKWARDS.get(edit.what, edit.what), text, node))
        if len(found) >= most:
            break
    return found
