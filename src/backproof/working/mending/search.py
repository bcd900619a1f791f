"""The bounded search for the edit that makes one refuted claim hold.

Candidates are tried in the order of their cost. Most fall by their shape, the rest by their value
at one point; what is left is written out in the reader's spelling, read again and judged like any
other claim. What the sheet itself says elsewhere about the same thing is a candidate too, at a
cost that grows with its distance from what was claimed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from backproof.calculus.compare import Sides, aligned
from backproof.calculus.evaluate import defined
from backproof.calculus.notation import syntax
from backproof.calculus.points import Point, draw_points
from backproof.errors import BackproofError, Source
from backproof.language import syntax as ast
from backproof.language.statements import read_statements
from backproof.operators.dims import ONE, Shape, paper_shape
from backproof.operators.node import Node
from backproof.working.claims import AGREES, PROVED, Judge, Verdict
from backproof.working.mending.chains import apply, number
from backproof.working.mending.edits import (
    EXPRESSION,
    FACTOR_MISSING,
    NUMBER,
    ON_THE_LEFT,
    SIZE,
    TOLD,
    Edit,
    told_mistake,
)
from backproof.working.mending.factors import Families
from backproof.working.mending.facts import missing_fact
from backproof.working.mending.pieces import Pieces, built_on, names_in
from backproof.working.mending.places import Weigher
from backproof.working.mending.spelling import SIGNS, Spelling
from backproof.working.mending.stock import Stock
from backproof.working.mending.trial import CachedElaborator, SharedEvaluator
from backproof.working.mending.words import differing, token_distance, tokens

Array = Any
MOST_CANDIDATES = 2_500
PROOF_SECONDS = 0.3  # for the proof of what is suggested
MOST_SECONDS = 1.0  # of computing; the number of candidates is the bound that is met
CLOCK = 32  # candidates between two looks at the clock, which costs as much as a candidate does
OWN_WORDS = 0.3  # an edit that arrives at what the sheet says elsewhere is that much likelier
LEFT_SIDE = 0.5  # what an edit of the left side costs more
ALIKE = 0.6  # a definition is told where at most this share of its tokens differ
IDLE = 0.5  # what a truth costs more that says nothing new
LEFT_OUT = 1.65  # where nothing likelier is found, a term is looked for in the difference
TOLD_BASE, TOLD_TOKEN, TOLD_SHARE = 0.72, 0.08, 0.45
POINTS = 3
MOST_STATED = 16  # entries of a matrix of whole numbers that is written out
MOST_GRADIENTS = 12  # by names between, that may be missing
DERIVED = ("grad", "jac", "hess")
# A point, what the edited side must be there, and how nearly.
Wanted = tuple[SharedEvaluator, Array, float]


@dataclass(frozen=True, slots=True)
class Mending:
    """A mended claim: how unlikely the edit is, the claim in full, and what was wrong.

    told   in how many places it differs, where it is what the sheet says elsewhere and no edit
    """

    score: float
    text: str
    what: str
    told: int = 0


class Workbench:
    """What the searches of one sheet share."""

    def __init__(
        self, judge: Judge, claims: Sequence[ast.Claim], verdicts: Sequence[Verdict]
    ) -> None:
        self.judge = judge
        self.model = judge.model
        self.claims = claims
        self.verdicts = verdicts
        self.pieces = Pieces(judge.model, claims)

    @cached_property
    def points(self) -> list[Point]:
        return draw_points(self.model, POINTS, seed=11)

    @cached_property
    def runs(self) -> list[SharedEvaluator]:
        definitions = self.model.definitions
        return [SharedEvaluator(p.sizes, p.floats, definitions) for p in self.points]

    def truths(self, expr: ast.Expr, loops: tuple[ast.Loop, ...]) -> Iterator[ast.Expr]:
        """What the sheet says elsewhere, truly, to be equal to an expression."""
        for claim, verdict in zip(self.claims, self.verdicts, strict=True):
            if verdict.verdict not in (PROVED, AGREES) or claim.loops != loops:
                continue
            if any(r != "eq" for r in claim.relations) or claim.tolerance is not None:
                continue
            if expr in claim.sides:
                yield from (s for s in claim.sides if s != expr and not is_value(s))

    def definition(self, expr: ast.Expr) -> ast.Expr | None:
        """What a name is defined as."""
        if not isinstance(expr, ast.Name):
            return None
        equation = self.model.sheet.equations.get(expr.id)
        return None if equation is None else equation.expr

    def holds(self, claim: ast.Claim | None) -> bool:
        """Whether a mended claim is true for all values."""
        if claim is None:
            return False
        known = self._stated(claim)
        verdict = self.judge.claim(claim, proofs=False) if known is None else known
        return verdict.verdict in (PROVED, AGREES)

    def proved(self, text: str) -> bool:
        """Whether a mended claim has a proof, found in the time that a suggestion may take."""
        claim = read_claim(text)
        if claim is None:
            return False
        known = self._stated(claim)
        verdict = self.judge.claim(claim, seconds=PROOF_SECONDS) if known is None else known
        return verdict.verdict == PROVED

    def _stated(self, claim: ast.Claim) -> Verdict | None:
        """The verdict of the same claim, where the sheet makes it."""
        for other, verdict in zip(self.claims, self.verdicts, strict=True):
            if (
                other.sides == claim.sides and other.relations == claim.relations
                and other.loops == claim.loops and other.conditions == claim.conditions
                and other.tolerance is None and other.member is None
            ):  # fmt: skip
                return verdict
        return None


def is_value(expr: ast.Expr) -> bool:
    """A literal of numbers, such as `[0.25, -0.75]`, is the result of one computation."""
    match expr:
        case ast.Number():
            return expr.decimals is not None
        case ast.Array(items=items):
            return all(isinstance(i, ast.Number) or is_value(i) for i in items)
        case ast.Apply(op="neg", args=(inner,)):
            return is_value(inner)
        case _:
            return isinstance(expr, ast.TupleExpr)


def read_claim(text: str) -> ast.Claim | None:
    """A claim from its text, or None where it cannot be read."""
    try:
        (claim,) = read_statements(Source("", f"claim {text}"))
    except (BackproofError, ValueError):
        return None
    return claim if isinstance(claim, ast.Claim) else None


class Search:
    """The search for one claim."""

    def __init__(self, bench: Workbench, claim: ast.Claim, verdict: Verdict) -> None:
        self.bench = bench
        self.model = bench.model
        self.claim = claim
        self.broken = max(0, len(verdict.links) - 1)
        self.spelling = Spelling(self.model.sheet.source, claim.text)
        for other in (claim, *bench.claims):
            for side in other.sides:
                self.spelling.learn(side)
        for equation in self.model.sheet.equations.values():
            self.spelling.learn(equation.expr)
        self.elaborator = CachedElaborator(self.model)
        self.mask: Node | None = None
        _, ranges, _ = self.elaborator.enter(claim.loops)
        self.elaborator.opened()
        for condition in (*ranges, *map(self.elaborator.node, claim.conditions)):
            self.mask = condition if self.mask is None else self.mask * condition
        self.until = time.thread_time() + MOST_SECONDS

    def best(self) -> Mending | None:
        """The likeliest edit that makes the claim hold."""
        relation = self.claim.relations[self.broken]
        if relation == "ne":
            return None
        if relation != "eq":
            return self._bound(relation)
        left, right = self.claim.sides[self.broken], self.claim.sides[self.broken + 1]
        if is_value(right) or is_value(left):
            return self._number()
        found = None
        if not _is_number(right) or _is_derived(left):
            found = self._side(self.broken + 1, self.broken, None)
        if self.broken == 0 and not _is_asked(left):
            found = self._side(0, 1, found)
        return found or self._number()

    def fact(self) -> str | None:
        """The undeclared fact under which the claim would be true."""
        if self.claim.relations[self.broken] != "eq":
            return None
        left, right = (
            self.elaborator.node(s) for s in self.claim.sides[self.broken : self.broken + 2]
        )
        resolve = self.model.graph.resolve_shape
        if resolve(left.shape) != resolve(right.shape):
            return None
        return missing_fact(self.model, Sides(left, right, "eq", self.mask), self.bench.points)

    # --- edits of one side ---------------------------------------------------------------------

    def _side(self, target: int, against: int, best: Mending | None) -> Mending | None:
        """The best edit of the side *target* that makes it equal to the side *against*."""
        sides = self.claim.sides
        extra = LEFT_SIDE if target < against else 0.0
        old, other = sides[target], sides[against]
        try:
            reference = self.elaborator.node(other)
        except BackproofError:
            return best
        wanted = self._values(reference)
        if not wanted:
            return best
        truths = list(dict.fromkeys(self.bench.truths(other, self.claim.loops)))
        definition = self.bench.definition(other)
        if definition is not None and self._share(old, definition) < ALIKE:
            truths.append(definition)
        candidates = self._candidates(old, other, reference, truths, target < against)
        # What is told is true, so that nothing that costs more needs to be tried.
        for told in (True, False):
            tried = [e for e in candidates if (e.what == TOLD) is told]
            best = self._first(target, against, tried, truths, extra, best)
        if (best is None or best.score > LEFT_OUT) and target > against:
            more = self._missing(old, other, reference, wanted)
            best = self._first(target, against, more, truths, extra, best)
        return best

    def _first(
        self,
        target: int,
        against: int,
        candidates: Sequence[Edit],
        truths: Sequence[ast.Expr],
        extra: float,
        best: Mending | None,
    ) -> Mending | None:
        """The first of the candidates, in order, that makes the claim hold."""
        old, other = self.claim.sides[target], self.claim.sides[against]
        reference = self.elaborator.node(other)
        wanted = self._values(reference)
        may_circle = isinstance(other, ast.Number) or other in set(ast.walk(old))
        own = {t: t for t in truths}
        later = self._later(other) - names_in(old)
        seen: set[int] = set()
        late = False
        discount = OWN_WORDS if own else 0.0
        for k, edit in enumerate(candidates):
            cost = edit.cost + extra
            if best is not None and cost - discount >= best.score:
                break
            if k % CLOCK == 0:
                late = time.thread_time() > self.until
            if late and edit.what != TOLD:
                continue
            side = edit.side()
            if side in self.claim.sides:  # says nothing
                continue
            if later and edit.what != TOLD and later & names_in(side):
                continue  # what is asked would be explained by what is built on it
            told = own.get(side) if own else None
            score = cost if told is None else cost - OWN_WORDS
            if best is not None and score >= best.score:
                continue
            node = self._fits(side, reference)
            if node is None or (node.id in seen and told is None):
                continue
            seen.add(node.id)
            if not self._equal(node, reference, wanted):
                continue
            if edit.what != TOLD and (other in ast.walk(side) or side in ast.walk(other)):
                told = None  # true, and nothing that an edit should arrive at
                score = cost + (IDLE if edit.what == EXPRESSION else 0.0)
                if best is not None and score >= best.score:
                    continue
            if told is not None:
                side = told  # as the sheet spells it
            elif not may_circle and other in set(ast.walk(side)):
                continue
            text = self._text(target, side)
            claim = read_claim(text)
            if claim is not None and claim.sides[target] == side and self.bench.holds(claim):
                what, told_in = edit.what, 0
                if what == TOLD:
                    places = differing(self.claim.text, text)
                    what, told_in = told_mistake(places), len(places)
                best = Mending(score, text, what, told_in)
        return best

    def _later(self, other: ast.Expr) -> frozenset[str]:
        """The names that are built on what is asked, where that is a name."""
        sheet = self.model.sheet
        return built_on(sheet, other.id) if isinstance(other, ast.Name) else frozenset()

    def _missing(
        self,
        old: ast.Expr,
        other: ast.Expr,
        reference: Node,
        wanted: Sequence[Wanted],
    ) -> list[Edit]:
        """What is missing, found from what a place must hold at a point."""
        if reference.loops or self.claim.loops or self.mask is not None:
            return []
        run, value, _ = self._telling(old, reference, wanted)
        shape = self.model.graph.resolve_shape(reference.shape)
        stock = Stock(self.bench.pieces, self.elaborator, run, self._roots(old, other, reference))
        return Weigher(self.elaborator, run, stock, value, shape).edits(old, self.spelling)

    def _telling(self, old: ast.Expr, reference: Node, wanted: Sequence[Wanted]) -> Wanted:
        """The point at which the sides differ most."""
        node = self._fits(old, reference)
        if node is None:
            return wanted[0]
        gaps = [float(np.nan_to_num(np.abs(run.value(node) - v)).max()) for run, v, _ in wanted]
        return wanted[int(np.argmax(gaps))]

    def _roots(self, old: ast.Expr, other: ast.Expr, reference: Node) -> Iterator[ast.Expr]:
        """Expressions whose parts may be missing."""
        yield old
        yield other
        gradients = [
            n.args[0] for n in ast.walk(other) if isinstance(n, ast.Apply) and n.op == "grad"
        ]
        for target in gradients[:1]:
            for name in list(self.model.sheet.equations)[:MOST_GRADIENTS]:
                if target != ast.Name(name):
                    yield apply("grad", target, ast.Name(name))
        if isinstance(other, ast.Apply) and other.op == "grad":
            for n in ast.walk(old):  # the chain rule: what `grad(L, z)` was not multiplied with
                if isinstance(n, ast.Apply) and n.op == "grad" and n != other:
                    yield apply("jac", n.args[1], other.args[1])
        for op in ("jac", "hess"):
            for n in ast.walk(other):
                if isinstance(n, ast.Apply) and n.op == op:
                    for name in list(self.model.sheet.equations)[:MOST_GRADIENTS]:
                        if n.args[0] != ast.Name(name):
                            yield apply(op, ast.Name(name), n.args[1])
        if gradients or any(isinstance(n, ast.Apply) and n.op in DERIVED for n in ast.walk(other)):
            derived = syntax(self.bench.judge.simplifier.plain(reference))
            if derived is not None:
                yield derived

    def _candidates(
        self,
        old: ast.Expr,
        other: ast.Expr,
        reference: Node,
        truths: Sequence[ast.Expr],
        on_the_left: bool,
    ) -> list[Edit]:
        """All edits of a side, the likeliest first."""
        graph = self.model.graph
        try:
            shape = graph.resolve_shape(self.elaborator.node(old).shape)
        except (BackproofError, ValueError):
            shape = None
        wanted = graph.resolve_shape(reference.shape)
        turned = (
            shape is not None and len(shape) == 2 and shape != wanted
            and (shape[1], shape[0]) == wanted and ONE in shape
        )  # fmt: skip
        self.bench.pieces.any_shape = shape != wanted
        self.bench.pieces.near = frozenset(
            n for s in self.claim.sides if s is not old for n in ast.walk(s)
        )
        found = list(self._told(old, other, truths))
        if shape != wanted:
            found += self.bench.pieces.of_shape(wanted)
            found += _filled(old, wanted)
        found += Families(self.spelling, self.bench.pieces, turned=turned).of(old)
        if on_the_left:
            found = [e for e in found if e.what in ON_THE_LEFT]
        found.sort(key=lambda e: e.cost)
        kept = found[:MOST_CANDIDATES]
        return kept + [e for e in found[MOST_CANDIDATES:] if e.what == TOLD]

    def _told(self, old: ast.Expr, other: ast.Expr, truths: Sequence[ast.Expr]) -> Iterator[Edit]:
        """What the sheet says elsewhere; less likely where it only says `P @ P == P`."""
        before = self.spelling.spell(old)
        for truth in truths:
            distance = token_distance(before, self.spelling.spell(truth))
            cost = TOLD_BASE + TOLD_TOKEN * distance + TOLD_SHARE * self._share(old, truth)
            if other in set(ast.walk(truth)) or truth in set(ast.walk(other)):
                cost += IDLE
            yield Edit(OWN_WORDS + cost, _same, truth, TOLD)

    def _share(self, a: ast.Expr, b: ast.Expr) -> float:
        """The share of the tokens of two expressions that differ."""
        one, other = self.spelling.spell(a), self.spelling.spell(b)
        return token_distance(one, other) / max(len(tokens(one)), len(tokens(other)))

    def _fits(self, side: ast.Expr, reference: Node) -> Node | None:
        try:
            node = self.elaborator.node(side)
        except (BackproofError, RecursionError, ValueError):
            return None
        graph = self.model.graph
        if graph.resolve_shape(node.shape) != graph.resolve_shape(reference.shape):
            return None
        return node

    def _values(self, reference: Node) -> list[Wanted]:
        """The points at which the reference is defined, with its value there."""
        found = []
        for run in self.bench.runs:
            value = run.value(reference)
            if defined(value):
                near = 1e-7 * max(1e-3, float(np.abs(value).max()))
                found.append((run, value, near))
        return found

    def _equal(self, node: Node, reference: Node, wanted: Sequence[Wanted]) -> bool:
        looped = bool(node.loops or reference.loops or self.mask is not None)
        for run, value, near in wanted:
            try:
                have = run.value(node)
            except (ArithmeticError, ValueError, LookupError):
                return False
            if looped:
                have, value, mask = aligned(run, Sides(node, reference, "eq", self.mask))
                if mask is not None:
                    have, value = np.where(mask != 0, have, 0), np.where(mask != 0, value, 0)
            elif have.shape != value.shape:
                return False
            if not abs(have - value).max() <= near:
                return False
        return True

    # --- the mended claim ----------------------------------------------------------------------

    def _text(self, target: int, side: ast.Expr) -> str:
        """The claim with one side replaced, the rest letter by letter."""
        text, old = self.model.sheet.source.text, self.claim.sides[target]
        start, end = old.span.start, old.span.end
        if self.spelling.bracketed(old):
            start, end = text.rindex("(", 0, start), text.index(")", end) + 1
        whole = self.claim.text_span
        mended = text[whole.start : start] + self.spelling.side(side) + text[end : whole.end]
        return " ".join(mended.split())

    # --- bounds and numbers --------------------------------------------------------------------

    def _bound(self, relation: str) -> Mending | None:
        """A bound as the sheet states it elsewhere, turned round, or with a size missing."""
        if len(self.claim.relations) > 1 or self.claim.loops:
            return None
        left, right = self.claim.sides
        one, other = self.spelling.side(left), self.spelling.side(right)
        sign = SIGNS[relation]
        against = SIGNS[{"le": "ge", "ge": "le", "lt": "gt", "gt": "lt"}[relation]]
        stated = [" ".join(c.text.split()) for c in self.bench.claims if self._same_bound(c)]
        tries = []
        if relation in ("lt", "gt"):
            tries.append(f"{one} {sign}= {other}")
        turned = [f"{one} {against} {other}", f"{other} {sign} {one}"]
        tries += sorted(turned, key=lambda t: t not in stated)
        near = sorted(stated, key=lambda t: token_distance(t, self.claim.text))
        tries = [t for t in near if token_distance(t, self.claim.text) <= 3] + tries + near
        for text in dict.fromkeys(tries):
            if self.bench.holds(read_claim(text)):
                return Mending(1.0, text, "the bound")
        for k, side in ((1, right), (0, left)):
            for edit in sorted(
                Families(self.spelling, self.bench.pieces).of(side), key=lambda e: e.cost
            ):
                if edit.what in (SIZE,) and time.thread_time() < self.until:
                    text = self._text(k, edit.side())
                    if self.bench.holds(read_claim(text)):
                        return Mending(edit.cost, text, edit.what)
        return None

    def _same_bound(self, claim: ast.Claim) -> bool:
        """Whether another claim is a bound between the same things, or on one of them."""
        if len(claim.relations) != 1 or claim.relations[0] in ("eq", "ne") or claim.loops:
            return False
        return claim is not self.claim and bool(set(claim.sides) & set(self.claim.sides))

    def _number(self) -> Mending | None:
        """Whole numbers claimed for something that is others everywhere."""
        if len(self.claim.relations) > 1:
            return None
        left, right = self.claim.sides
        if any(isinstance(n, ast.Name | ast.Comprehension) for n in ast.walk(right)):
            return None
        values = [v for _, v, _ in self._values(self.elaborator.node(left))]
        if not values or values[0].ndim != 2 or values[0].size > MOST_STATED:
            return None
        value = np.round(values[0], 9)
        if any(v.shape != value.shape or np.abs(v - value).max() > 1e-9 for v in values):
            return None
        if (value != np.round(value)).any() or (value.size == 1 and value.item() < 0):
            return None
        rows = [[_whole(int(x)) for x in row] for row in value]
        stated = rows[0][0] if value.size == 1 else ast.Array(
            tuple(r[0] for r in rows) if value.shape[1] == 1 else tuple(
                ast.Array(tuple(r)) for r in rows
            )
        )  # fmt: skip
        text = self._text(1, stated)
        return Mending(1.0, text, NUMBER) if self.bench.holds(read_claim(text)) else None


def _whole(value: int) -> ast.Expr:
    return number(value) if value >= 0 else apply("neg", number(-value))


def _filled(old: ast.Expr, wanted: Shape) -> Iterator[Edit]:
    """A number for every entry: `1 / n` for `ones(n) / n`."""
    dims: list[ast.Expr] = []
    for d in paper_shape(wanted):
        size = d.as_int()
        if size is None and not str(d).isidentifier():
            return
        dims.append(ast.Name(str(d)) if size is None else number(size))
    ones = ast.Apply("ones", tuple(dims))
    if isinstance(old, ast.Apply) and old.op == "div" and isinstance(old.args[0], ast.Number):
        if old.args[0].value == 1:
            yield Edit(1.2, _same, apply("div", ones, old.args[1]), FACTOR_MISSING)
    elif isinstance(old, ast.Number):
        yield Edit(1.2, _same, ones if old.value == 1 else apply("mul", old, ones), FACTOR_MISSING)
    yield Edit(1.4, _same, apply("mul", old, ones), FACTOR_MISSING)


def _is_number(expr: ast.Expr) -> bool:
    while isinstance(expr, ast.Apply) and expr.op == "neg":
        expr = expr.args[0]
    return isinstance(expr, ast.Number)


def _is_asked(expr: ast.Expr) -> bool:
    """Whether a left side is a name or a derivative: what the claim is about."""
    while isinstance(expr, ast.Apply) and expr.op == "neg":
        expr = expr.args[0]
    if isinstance(expr, ast.Apply) and expr.op in ("grad", "jac", "hess"):
        return True
    return isinstance(expr, ast.Name)


def _is_derived(expr: ast.Expr) -> bool:
    """Whether an expression is a derivative."""
    return isinstance(expr, ast.Apply) and expr.op in DERIVED


def _same(expr: ast.Expr) -> ast.Expr:
    return expr
