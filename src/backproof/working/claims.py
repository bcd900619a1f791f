"""Judges claims: shapes, then values, then points of the declared domain, then proofs.

A verdict is never given that was not earned: `refuted` needs a point (or shapes) that differ,
`proved` needs equal shapes, a value that rounds to the number, or equal normal forms; everything
else that is equal wherever it was tried is `agrees`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from backproof.calculus.compare import (
    RELATIONS,
    Comparison,
    Counterexample,
    Sides,
    aligned,
    compare,
)
from backproof.calculus.evaluate import defined
from backproof.calculus.model import Model
from backproof.calculus.prove import prove
from backproof.calculus.search import counterexample
from backproof.calculus.simplify import Simplifier
from backproof.calculus.values import SheetValues, sheet_values
from backproof.calculus.witness import check_derived
from backproof.errors import BackproofError, InternalContradiction, ShapeProblem
from backproof.language import syntax as ast
from backproof.operators.arithmetic import decimal_context
from backproof.operators.dims import ONE, Shape, paper_shape, show_shape
from backproof.operators.node import Node
from backproof.working.verdict import (
    AGREES,
    HERE,
    HOLDS,
    PROVED,
    REFUTED,
    UNDECIDED,
    Verdict,
    stated_number,
    value_verdict,
)

__all__ = [
    "AGREES",
    "HERE",
    "HOLDS",
    "PROVED",
    "REFUTED",
    "UNDECIDED",
    "Counterexample",
    "Judge",
    "Verdict",
    "check_claim",
    "check_claims",
]

Array = Any
PROOF_SECONDS = 2.0


def check_claims(model: Model, *, mend: bool = True) -> list[Verdict]:
    """The verdicts of all claims of a sheet, in the order written."""
    judge = Judge(model)
    verdicts = [judge.claim(c) for c in model.sheet.claims]
    if mend and any(v.verdict == REFUTED for v in verdicts):
        from backproof.working.repair import mended

        claims = list(model.sheet.claims)
        verdicts = mended(judge, claims, verdicts)
        verdicts = [judge.explained(c, v) for c, v in zip(claims, verdicts, strict=True)]
    return verdicts


def check_claim(model: Model, claim: ast.Claim) -> Verdict:
    """The verdict of one claim over a sheet's names."""
    judge = Judge(model)
    return judge.explained(claim, judge.claim(claim))


class Judge:
    """Judges claims over one model; keeps the sheet's values between them."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._values: SheetValues | None = None
        self._witnessed = 0
        self._seconds = PROOF_SECONDS

    @property
    def values(self) -> SheetValues:
        if self._values is None:
            self._values = sheet_values(self.model)
        return self._values

    @cached_property
    def simplifier(self) -> Simplifier:
        return Simplifier(self.model)

    def claim(
        self, claim: ast.Claim, *, proofs: bool = True, seconds: float = PROOF_SECONDS
    ) -> Verdict:
        """The verdict of a claim; a chain is judged link by link.

        A proof may take so many seconds; without proofs, what is equal everywhere `agrees`.
        """
        self._seconds = seconds
        line = self.model.sheet.source.position(claim.span.start)[0]
        base = Verdict(claim.text, line, UNDECIDED, "", span=claim.text_span)
        if claim.member is not None:
            return self._guard(base, lambda: self._member(base, claim))
        links = []
        last = len(claim.relations) - 1
        for k, relation in enumerate(claim.relations):
            left, right = claim.sides[k], claim.sides[k + 1]
            tolerance = claim.tolerance if k == last else None
            judged = self._guard(
                base,
                lambda a=left, b=right, r=relation, t=tolerance: self.link(  # type: ignore[misc]
                    base, claim, a, b, r, t, proofs
                ),
            )
            links.append(judged)
            if judged.verdict == REFUTED and len(claim.relations) > 1:
                break
        return links[0] if len(claim.relations) == 1 else _chain(base, claim, links, self.model)

    def explained(self, claim: ast.Claim, verdict: Verdict) -> Verdict:
        """The verdict with left minus right in symbols, where a point refuted it."""
        from backproof.working.differences import difference

        counter = verdict.counterexample
        if verdict.verdict != REFUTED or counter is None or not counter.point or claim.loops:
            return verdict
        at = max(0, len(verdict.links) - 1)
        if claim.relations[at] != "eq":
            return verdict
        left, right = (self.model.node(s) for s in claim.sides[at : at + 2])
        shown = difference(self.model, left, right, self.simplifier)
        return replace(verdict, difference=shown)

    def _guard(self, base: Verdict, judge: Callable[[], Verdict]) -> Verdict:
        try:
            return judge()
        except InternalContradiction:
            raise
        except BackproofError as error:
            column = "" if error.place is None else f" (column {error.place.column})"
            hint = f" {error.hint[:1].upper()}{error.hint[1:]}." if error.hint else ""
            why = f"{error.message.rstrip('.')}{column}.{hint}"
            return replace(base, verdict=REFUTED, why=why)
        except (MemoryError, RecursionError):
            return replace(base, why="the claim is too large to compare.")

    # --- shapes ------------------------------------------------------------------------------

    def _shape(self, expr: ast.Expr) -> tuple[Shape, tuple[Any, ...]] | None:
        """The shape that `shape(…)` or a tuple stands for: (as written, in paper form)."""
        model = self.model
        if isinstance(expr, ast.Apply) and expr.op == "shape":
            node = model.node(expr.args[0])
            shape = model.graph.resolve_shape(node.shape)
            return shape, paper_shape(shape)
        if isinstance(expr, ast.TupleExpr):
            elaborator = model.elaborator()
            dims = tuple(elaborator.dim(d) for d in expr.items)
            while len(dims) > 1 and dims[-1] == 1 and len(dims) <= 2:
                dims = dims[:-1]
            return dims, () if len(dims) == 1 and dims[0] == ONE else dims
        return None

    def _shapes(
        self, base: Verdict, left: ast.Expr, right: ast.Expr, relation: str
    ) -> Verdict | None:
        if not any(
            (isinstance(e, ast.TupleExpr) and len(e.items) != 1)
            or (isinstance(e, ast.Apply) and e.op == "shape")
            for e in (left, right)
        ):  # fmt: skip
            return None
        a, b = self._shape(left), self._shape(right)
        if a is None or b is None or relation not in ("eq", "ne"):
            raise ShapeProblem("a shape can only be compared with a tuple, by == or !=.")
        same = a[1] == b[1]
        shown = _tuple(a[1]) if not isinstance(left, ast.TupleExpr) else _tuple(b[1])
        holds = same == (relation == "eq")
        why = f"the shape is {shown}."
        suggestion = None
        if not holds and relation == "eq" and isinstance(right, ast.TupleExpr):
            suggestion = f"{_written(self.model, left)} == {_tuple(a[1])}"
        return replace(base, verdict=PROVED if holds else REFUTED, why=why, suggestion=suggestion)

    def _member(self, base: Verdict, claim: ast.Claim) -> Verdict:
        from backproof.calculus.model import _set

        model = self.model
        node = model.node(claim.sides[0])
        assert claim.member is not None
        shape, fact = _set(model, model.elaborator(), claim.member)
        have = model.graph.resolve_shape(node.shape)
        if paper_shape(have) != paper_shape(model.graph.resolve_shape(shape)):
            return replace(base, verdict=REFUTED, why=f"the shape is {_tuple(paper_shape(have))}.")
        if fact.kind == "real":
            return replace(base, verdict=PROVED, why=f"the shape is {_tuple(paper_shape(have))}.")
        return self._inside(base, node, fact)

    def _inside(self, base: Verdict, node: Node, fact: Any) -> Verdict:
        from backproof.calculus.model import _outside
        from backproof.calculus.points import draw_points

        tried = 0
        with decimal_context(), np.errstate(all="ignore"):
            for point in draw_points(self.model, 6):
                value = point.shared(self.model, exact=True).value(node)
                if not defined(value):
                    continue
                tried += 1
                fault = _outside(fact, value, self.model)
                if fault is not None:
                    return replace(
                        base, verdict=REFUTED, points=tried, why=f"{fault[0]} {fault[1]}.".strip()
                    )
        if not tried:
            return replace(base, why="no point was found where it is defined.")
        return replace(base, verdict=AGREES, points=tried, why=f"true at {tried} random points.")

    # --- one link ----------------------------------------------------------------------------

    def link(
        self,
        base: Verdict,
        claim: ast.Claim,
        left: ast.Expr,
        right: ast.Expr,
        relation: str,
        tolerance: ast.Expr | None,
        proofs: bool,
    ) -> Verdict:
        """The verdict of `left relation right`."""
        shapes = self._shapes(base, left, right, relation)
        if shapes is not None:
            return shapes
        elaborator = self.model.elaborator()
        opened, ranges, _ = elaborator.enter(claim.loops)
        a, b = elaborator.node(left), elaborator.node(right)
        mask: Node | None = None
        for condition in (*ranges, *(elaborator.node(c) for c in claim.conditions)):
            mask = condition if mask is None else mask * condition
        sides = Sides(a, b, relation, mask)
        self._witness()
        misfit = self._misfit(base, sides)
        if misfit is not None:
            return misfit
        number = stated_number(right) or stated_number(left)
        if relation in ("eq", "ne") or not opened:
            judged = self._against_number(base, sides, left, right, tolerance)
            if judged is not None:
                return judged
        if number is not None and tolerance is not None:
            raise ShapeProblem("± states the tolerance of a value, and the sheet gives no values.")
        return self._for_all(base, sides, proofs)

    def _witness(self) -> None:
        """Every derivative that was derived since is checked numerically before it is used."""
        derived = self.model.deriver.derived
        new, self._witnessed = derived[self._witnessed :], len(derived)
        check_derived(self.model, new)

    def _misfit(self, base: Verdict, sides: Sides) -> Verdict | None:
        """Refuted by shapes alone."""
        graph = self.model.graph
        a, b = graph.resolve_shape(sides.left.shape), graph.resolve_shape(sides.right.shape)
        if a == b:
            return None
        if sides.relation not in ("eq", "ne") and (sides.left.is_number or sides.right.is_number):
            return None
        if sides.relation == "ne":
            return replace(base, verdict=PROVED, why="the shapes differ.")
        why = f"the left side is {show_shape(a)}, the right side {show_shape(b)}."
        if len(a) == 2 and a == (b[1], b[0]):
            why += " One side is the transpose of the other."
        return replace(base, verdict=REFUTED, why=why)

    # --- values ------------------------------------------------------------------------------

    def _against_number(
        self,
        base: Verdict,
        sides: Sides,
        left: ast.Expr,
        right: ast.Expr,
        tolerance: ast.Expr | None,
    ) -> Verdict | None:
        """The verdict of a comparison with a number, where the sheet's values are meant."""
        model = self.model
        free_left, free_right = model.depends_on(sides.left), model.depends_on(sides.right)
        if free_left and free_right:
            return None
        used = free_left | free_right
        valued = {n for n in used if model.has_value(n)}
        sized = not any(model.open_dimensions(n) for n in sides.nodes)
        if not valued and (used or not sized):
            return None
        if used - valued or not sized:
            return self._partly_given(base, sides, valued)
        swapped = bool(free_right)
        if self.values.rounding.each and sides.mask is None and not self._loops_in(sides):
            # A loss inside the claim is worked out line by line, as in an equation.
            sides = replace(sides, left=self.values.node(left), right=self.values.node(right))
        result, claimed = self._two_values(sides, swap=swapped)
        stated = left if swapped else right
        return value_verdict(
            base,
            sides.relation,
            result,
            claimed,
            stated,
            tolerance,
            model,
            self.values,
            sides,
            swapped,
        )

    @staticmethod
    def _loops_in(sides: Sides) -> bool:
        return any(n.loops for n in sides.nodes)

    def _two_values(self, sides: Sides, *, swap: bool) -> tuple[Array, Array]:
        with decimal_context(), np.errstate(all="ignore"):
            left, right, _ = aligned(self.values.evaluator, sides)
        return (right, left) if swap else (left, right)

    def _partly_given(self, base: Verdict, sides: Sides, valued: set[str]) -> Verdict:
        """With the given values fixed, whatever the other names are."""
        fixed = self._given(valued)
        found = compare(self.model, sides, fixed=fixed)
        if found.counter is None and found.points:
            return replace(
                base,
                verdict=HERE,
                points=found.points,
                why=f"true with the given values at {found.points} random points of the rest.",
            )
        return _refuted(base, found) if found.counter else _undefined(base, found)

    def _given(self, names: set[str] | None = None) -> dict[str, Array]:
        with decimal_context():
            values = self.model.given_values(exact=True)
        return {n: a for n, a in values.items() if names is None or n in names}

    # --- for all values ----------------------------------------------------------------------

    def _for_all(self, base: Verdict, sides: Sides, proofs: bool) -> Verdict:
        model = self.model
        found = compare(model, sides)
        if sides.relation == "ne":
            return self._different(base, sides)
        if found.counter is not None:
            return self._here_or_refuted(base, sides, found)
        if not found.points:
            return _undefined(base, found)
        if proofs:
            proof = prove(model, sides, seconds=self._seconds)
            if proof is not None:
                facts = tuple(proof.facts)
                using = f", using that {' and '.join(facts)}" if facts else ""
                return replace(
                    base,
                    verdict=PROVED,
                    points=found.points,
                    facts=facts,
                    why=f"{proof.how}{using}; also checked at {found.points} points.",
                )
            counter = counterexample(model, sides)
            if counter is not None:
                return self._here_or_refuted(base, sides, replace(found, counter=counter))
        left_out = _left_out(found)
        return replace(
            base,
            verdict=AGREES,
            points=found.points,
            why=f"equal at all of {found.points} random points{left_out}; no proof was found."
            if sides.relation == "eq"
            else f"true at all of {found.points} random points{left_out}; no proof was found.",
        )

    def _different(self, base: Verdict, sides: Sides) -> Verdict:
        """`!=` claims that two sides are not the same for all values."""
        sides = replace(sides, relation="eq")
        found = compare(self.model, sides)
        counter = found.counter or counterexample(self.model, sides)
        if counter is not None:
            return replace(
                base,
                verdict=PROVED,
                points=found.points,
                counterexample=counter,
                why="they differ at one point, which is shown.",
            )
        if not found.points:
            return _undefined(base, found)
        return replace(
            base,
            verdict=REFUTED,
            points=found.points,
            why=f"both sides are equal at all of {found.points} points.",
        )

    def _here_or_refuted(self, base: Verdict, sides: Sides, found: Comparison) -> Verdict:
        """True at the sheet's own values, though not in general, is `here`."""
        used = self.model.depends_on(sides.left) | self.model.depends_on(sides.right)
        fixed = self._given(used)
        if fixed:
            again = compare(self.model, sides, fixed=fixed, seed=1)
            if again.counter is None and again.points:
                rest = "" if used <= set(fixed) else ", whatever the other names are"
                return replace(
                    _refuted(base, found),
                    verdict=HERE,
                    points=found.points + again.points,
                    why=f"true at the sheet's own values{rest}, but not in general: "
                    + _differs(found.counter, sides.relation),
                )
        return _refuted(base, found, sides.relation)


def _chain(base: Verdict, claim: ast.Claim, links: Sequence[Verdict], model: Model) -> Verdict:
    """One verdict for a chain: the weakest of its links; the first broken one is named."""
    order = (PROVED, AGREES, HERE, UNDECIDED, REFUTED)
    worst = max(links, key=lambda v: order.index(v.verdict))
    points = sum(v.points for v in links)
    facts = tuple(dict.fromkeys(f for v in links for f in v.facts))
    if worst.verdict in (PROVED, AGREES, HERE):
        why = f"all {len(links)} links hold."
        return replace(
            base, verdict=worst.verdict, why=why, points=points, links=tuple(links), facts=facts
        )
    at = links.index(worst)
    left, right = (_written(model, s) for s in claim.sides[at : at + 2])
    sign = RELATIONS[claim.relations[at]]
    return replace(
        worst,
        why=f"link {at + 1} breaks: {left} {sign} {right}: {worst.why}",
        points=points,
        links=tuple(links),
    )


def _written(model: Model, expr: ast.Expr) -> str:
    return " ".join(model.sheet.source.slice(expr.span).split())


def _tuple(dims: Sequence[Any]) -> str:
    if len(dims) == 1:
        return f"({dims[0]},)"
    return "(" + ", ".join(str(d) for d in dims) + ")"


def _refuted(base: Verdict, found: Comparison, relation: str = "eq") -> Verdict:
    assert found.counter is not None
    return replace(
        base,
        verdict=REFUTED,
        points=found.points,
        counterexample=found.counter,
        why=_differs(found.counter, relation) + ".",
    )


def _differs(counter: Counterexample | None, relation: str) -> str:
    assert counter is not None
    where = "" if counter.entry is None else f" at entry [{', '.join(map(str, counter.entry))}]"
    verb = "the sides differ" if relation == "eq" else f"{RELATIONS[relation]} fails"
    left, right = f"{counter.left_entry:.6g}", f"{counter.right_entry:.6g}"
    return f"{verb}{where}: {left} on the left, {right} on the right"


def _left_out(found: Comparison) -> str:
    parts = []
    if found.undefined:
        parts.append(f"{found.undefined} where a side is undefined")
    if found.kinks:
        parts.append(f"{found.kinks} exactly on a kink")
    return f" (left out: {', '.join(parts)})" if parts else ""


def _undefined(base: Verdict, found: Comparison) -> Verdict:
    tried = found.undefined + found.kinks
    if not tried:
        why = "no point was found where the assumptions hold."
    else:
        why = f"no point was found where both sides are defined ({tried} tried{_left_out(found)})."
    return replace(base, verdict=UNDECIDED, why=why)
