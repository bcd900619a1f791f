"""A verdict, and how a value is judged against a number as it is written.

A number is claimed to the decimals it is written with: half a unit of the last one is allowed
either way, so that both ways of rounding a tie are right. An integer, or an expression without
names, claims the exact value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from backproof.calculus.compare import Counterexample, Sides, to_lists
from backproof.calculus.evaluate import defined
from backproof.calculus.model import Model
from backproof.calculus.values import SheetValues
from backproof.language import syntax as ast
from backproof.operators.arithmetic import decimal_context
from backproof.operators.node import Node

Array = Any
PROVED, AGREES, HERE, REFUTED, UNDECIDED = "proved", "agrees", "here", "refuted", "undecided"
HOLDS = (PROVED, AGREES, HERE)


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    text, line       the claim as written, and its line in the source
    verdict          proved | agrees | here | refuted | undecided
    why              the reason in a sentence
    points           how many points were compared
    difference       left minus right in symbols, where it is short
    suggestion       the mended claim in full, where one small edit makes it hold
    counterexample   a point where the sides differ
    links            for a chain: the verdict of each link
    facts            the declared facts that a proof used, as "Y is onehot"
    """

    text: str
    line: int
    verdict: str
    why: str
    points: int = 0
    difference: str | None = None
    suggestion: str | None = None
    counterexample: Counterexample | None = None
    links: tuple[Verdict, ...] = ()
    facts: tuple[str, ...] = ()
    span: Any = field(default=None, compare=False)

    @property
    def holds(self) -> bool:
        """Whether the claim is true as far as could be seen."""
        return self.verdict in HOLDS


COARSE = Decimal("1e-12")  # what double precision may be off by, of the largest term


def stated_number(expr: ast.Expr) -> ast.Expr | None:
    """The expression, if it is a number or a literal of numbers."""
    match expr:
        case ast.Number():
            return expr
        case ast.Apply(op="neg", args=(ast.Number(),)):
            return expr
        case ast.Array(items=items) if all(stated_number(i) is not None for i in items):
            return expr
    return None


def _half_units(expr: ast.Expr, shape: tuple[int, ...]) -> Array:
    """Per entry, half a unit of the last decimal written; -1 where the exact value is claimed."""

    def one(e: ast.Expr) -> Fraction:
        if isinstance(e, ast.Apply) and e.op == "neg":
            e = e.args[0]
        if isinstance(e, ast.Number) and e.decimals is not None:
            return Fraction(1, 2 * 10**e.decimals)
        return Fraction(-1)

    out = np.empty(shape, dtype=object)
    if isinstance(expr, ast.Array):
        rows = [list(i.items) if isinstance(i, ast.Array) else [i] for i in expr.items]
        core = np.empty((len(rows), len(rows[0])), dtype=object)
        for r, row in enumerate(rows):
            for c, e in enumerate(row):
                core[r, c] = one(e)
        out[...] = core
    else:
        out[...] = one(expr)
    return out


def value_verdict(
    base: Verdict,
    relation: str,
    result: Array,
    claimed: Array,
    stated: ast.Expr,
    tolerance: ast.Expr | None,
    model: Model,
    values: SheetValues,
    sides: Sides,
    swapped: bool,
) -> Verdict:
    with decimal_context(), np.errstate(all="ignore"):
        if not (defined(result) and defined(claimed)):
            return replace(base, why="the value is not defined at the given numbers.")
        if relation in ("lt", "le", "gt", "ge"):
            return _bound_verdict(
                base, relation, *((claimed, result) if swapped else (result, claimed))
            )
        scale = largest_term(values, (sides.left, sides.right))
        exact = scale * Decimal("1e-9")
        if tolerance is not None:
            width = values.value(model.node(tolerance)).reshape(-1)[0]
            limit = np.full(result.shape, abs(width), dtype=object)
        else:
            units = _half_units(stated, claimed.shape)
            limit = np.empty(result.shape, dtype=object)
            for i, u in np.ndenumerate(np.broadcast_to(units, result.shape)):
                half = Decimal(u.numerator) / Decimal(u.denominator)
                limit[i] = exact if u < 0 else half + scale * Decimal("1e-40")
        gap = np.abs(result - claimed)
        over = gap > limit
        bad = bool(over.any())
        worst = tuple(int(i) for i in np.unravel_index(int(np.argmax(gap - limit)), gap.shape))
        if values.evaluator.rough and (np.abs(gap - limit) <= scale * COARSE).any():
            why = "the arrays are large, and double precision is too coarse to tell the last digit."
            return replace(base, why=why)
    entry = tuple(i + 1 for i, n in zip(worst, gap.shape, strict=True) if n > 1) or None
    shown = _show(result[worst])
    where = "" if entry is None else f" at entry [{', '.join(map(str, entry))}]"
    if bad != (relation == "ne"):
        counter = Counterexample(
            {}, to_lists(result), to_lists(claimed), entry,
            float(result[worst]), float(claimed[worst]),
        )  # fmt: skip
        why = f"the value{where} is {shown}, not {_show(claimed[worst])}."
        return replace(base, verdict=REFUTED, points=1, why=why, counterexample=counter)
    if relation == "ne":
        return replace(base, verdict=PROVED, points=1, why=f"the value{where} is {shown}.")
    why = (
        f"the value is {shown}."
        if result.size == 1
        else f"every entry has the claimed value{_gap(float(gap[worst]))}."
    )
    return replace(base, verdict=PROVED, points=1, why=why)


def _gap(gap: float) -> str:
    """How far the worst entry is off, in decimals; nothing where that is no digit of anyone's."""
    if gap < 1e-9:
        return ""
    decimals = max(1, 1 - math.floor(math.log10(gap)))
    return f" (largest gap {f'{gap:.{decimals}f}'.rstrip('0')})"


def largest_term(values: SheetValues, nodes: Sequence[Node]) -> Decimal:
    """The largest number that was added up into the nodes' values, at least one.

    Only sums are looked into: what is multiplied and divided away again is no term.
    """
    top, seen, pending = Decimal(1), set[int](), list(nodes)
    while pending:
        node = pending.pop()
        if node.id in seen:
            continue
        seen.add(node.id)
        top = max([top, *(abs(x) for x in values.value(node).flat if x.is_finite())])
        definition = values.definition(node.name) if node.name is not None else None
        if definition is not None:
            pending.append(definition)
        if node.op.additive:
            pending.extend(node.args)
    return top


def _bound_verdict(base: Verdict, relation: str, left: Array, right: Array) -> Verdict:
    """A bound at the given values, with the last digits carried left out of account."""
    slack = max(np.abs(left).max(), np.abs(right).max(), Decimal(1)) * Decimal("1e-40")
    holds = {
        "lt": left < right,
        "le": left <= right + slack,
        "gt": left > right,
        "ge": left >= right - slack,
    }[relation]
    gap = left - right if relation in ("lt", "le") else right - left
    worst = tuple(int(i) for i in np.unravel_index(int(np.argmax(gap)), gap.shape))
    shown = f"{_show(left[worst])} against {_show(right[worst])}"
    if not holds.all():
        counter = Counterexample(
            {}, to_lists(left), to_lists(right), None, float(left[worst]), float(right[worst])
        )
        why = f"with the given values it is {shown}."
        return replace(base, verdict=REFUTED, points=1, why=why, counterexample=counter)
    return replace(base, verdict=PROVED, points=1, why=f"with the given values it is {shown}.")


def _show(value: Any) -> str:
    text = f"{Decimal(value):.12f}".rstrip("0").rstrip(".")
    return text if text not in ("-0", "") else "0"
