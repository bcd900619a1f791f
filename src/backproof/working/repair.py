"""Finds the mistake in a refuted claim: a bounded search over small edits.

Candidates are tried in the order of their cost. Most fall by their shape, the rest by their value
at one point; what is left is written out in the reader's spelling, read again and judged like any
other claim. What the sheet itself says elsewhere about the same left side is a candidate too, at
a cost that grows with its distance from what was claimed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from backproof.calculus.compare import RELATIONS, Sides, aligned
from backproof.calculus.elaborate import Elaborator
from backproof.calculus.evaluate import Evaluator, defined
from backproof.calculus.model import Model
from backproof.calculus.points import Point, draw_points
from backproof.errors import BackproofError, Source
from backproof.language import syntax as ast
from backproof.language.statements import read_statements
from backproof.operators.node import Node
from backproof.working.claims import AGREES, PROVED, REFUTED, Judge, Verdict
from backproof.working.edits import Edit, Edits
from backproof.working.pieces import Pieces
from backproof.working.spelling import SIGNS, Spelling

Array = Any
MOST_CANDIDATES = 6_000
MOST_SECONDS = 0.6
OWN_WORDS = 0.3  # an edit that arrives at what the sheet says elsewhere is that much likelier
LEFT_SIDE = 0.6  # what an edit of the left side costs more
SIBLING = 0.75
SIBLING_TOKEN = 0.1
POINTS = 3


def mended(
    judge: Judge, claims: Sequence[ast.Claim], verdicts: Sequence[Verdict]
) -> list[Verdict]:
    """The verdicts, with a suggestion where a small edit makes a refuted claim hold."""
    mender = Mender(judge, claims, verdicts)
    return [mender.mended(c, v) for c, v in zip(claims, verdicts, strict=True)]


def caret_diff(claim: str, suggestion: str) -> tuple[str, str, str]:
    """(the claim, the suggestion, carets under the places of the claim that differ)."""
    old, new = _tokens(claim), _tokens(suggestion)
    from difflib import SequenceMatcher

    marks = [" "] * (len(claim) + 1)
    matcher = SequenceMatcher(None, [t for t, _ in old], [t for t, _ in new], autojunk=False)
    for tag, low, high, _, _ in matcher.get_opcodes():
        if tag == "equal":
            continue
        if low == high:  # something goes in before this token
            at = old[low][1] if low < len(old) else len(claim)
            marks[at] = "^"
            continue
        start, end = old[low][1], old[high - 1][1] + len(old[high - 1][0])
        marks[start:end] = "^" * (end - start)
    return claim, suggestion, "".join(marks).rstrip()


_TOKEN = re.compile(r"\s*([^\W\d]\w*|\d+(?:\.\d+)?|\.T\b|\*\*|==|!=|<=|>=|\.\.|\S)")


def _tokens(text: str) -> list[tuple[str, int]]:
    return [(m[1], m.start(1)) for m in _TOKEN.finditer(text)]


def token_distance(a: str, b: str) -> int:
    """How many tokens have to be put in, taken out or changed between two texts."""
    one, two = [t for t, _ in _tokens(a)], [t for t, _ in _tokens(b)]
    row = list(range(len(two) + 1))
    for i, x in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(two, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


class _Cached(Elaborator):
    """Elaborates edited expressions; parts that the reader wrote are worked out once."""

    def __init__(self, model: Model) -> None:
        plain = model.elaborator()
        super().__init__(
            plain.graph, plain.source, plain.leaves, plain.dimensions, plain.deriver,
            plain.denominator,
        )  # fmt: skip
        self._known: dict[int, tuple[ast.Expr, Node]] = {}
        self._open = 0

    def opened(self) -> None:
        """Loops opened so far belong to the whole claim."""
        self._open = len(self.loops)

    def node(self, expr: ast.Expr) -> Node:
        if not expr.span.end or len(self.loops) != self._open:
            return super().node(expr)
        known = self._known.get(id(expr))
        if known is None:
            known = self._known[id(expr)] = expr, super().node(expr)
        return known[1]

    def _chain(self, expr: ast.Apply) -> Node:
        left, right = self.node(expr.args[0]), self.node(expr.args[1])
        return self._at(expr.op_span, lambda: self.graph.make(expr.op, left, right))


class _Quick(Evaluator):
    """Evaluates nodes that share most of their parts with nodes evaluated before."""

    def value(self, node: Node) -> Array:
        done = self._done
        stack = [node]
        while stack:
            top = stack[-1]
            if top.id in done:
                stack.pop()
                continue
            missing = [a for a in top.args if a.id not in done]
            if missing:
                stack.extend(missing)
                continue
            if top.op.name == "name":
                self.named(top.params[0])
            self._run(top)
            stack.pop()
        return done[node.id]


@dataclass(frozen=True, slots=True)
class _Found:
    score: float
    text: str
    what: str


class Mender:
    """Mends the refuted claims of one sheet."""

    def __init__(
        self, judge: Judge, claims: Sequence[ast.Claim], verdicts: Sequence[Verdict]
    ) -> None:
        self.judge = judge
        self.model = judge.model
        self.claims = claims
        self.verdicts = verdicts
        self.pieces = Pieces(judge.model)

    @cached_property
    def points(self) -> list[Point]:
        return draw_points(self.model, POINTS, seed=11)

    def mended(self, claim: ast.Claim, verdict: Verdict) -> Verdict:
        """The verdict with a suggestion, if it needs one and one is found."""
        if verdict.verdict != REFUTED or verdict.suggestion is not None or not claim.relations:
            return verdict
        try:
            with np.errstate(all="ignore"):
                found = _Search(self, claim, verdict).best()
        except (BackproofError, ArithmeticError, MemoryError, RecursionError):
            return verdict
        return verdict if found is None else replace(verdict, suggestion=found.text)

    def truths(self, expr: ast.Expr, loops: tuple[ast.Loop, ...]) -> Iterator[ast.Expr]:
        """What the sheet says elsewhere, truly, to be equal to an expression."""
        for claim, verdict in zip(self.claims, self.verdicts, strict=True):
            if verdict.verdict not in (PROVED, AGREES) or claim.loops != loops:
                continue
            if any(r != "eq" for r in claim.relations) or claim.tolerance is not None:
                continue
            if expr in claim.sides:
                yield from (s for s in claim.sides if s != expr and not _is_value(s))
        if isinstance(expr, ast.Name) and expr.id in self.model.sheet.equations:
            yield self.model.sheet.equations[expr.id].expr


def _is_value(expr: ast.Expr) -> bool:
    """A literal of decimals, such as `[0.25, -0.75]`, is the result of one computation."""
    return isinstance(expr, ast.Array | ast.TupleExpr) or (
        isinstance(expr, ast.Number) and expr.decimals is not None
    )


class _Search:
    """The search for one claim."""

    def __init__(self, mender: Mender, claim: ast.Claim, verdict: Verdict) -> None:
        self.mender = mender
        self.model = mender.model
        self.claim = claim
        self.broken = max(0, len(verdict.links) - 1)
        source = self.model.sheet.source
        self.spelling = Spelling(source, claim.text)
        for c in mender.claims:
            for side in c.sides:
                self.spelling.learn(side)
        for equation in self.model.sheet.equations.values():
            self.spelling.learn(equation.expr)
        self.elaborator = _Cached(self.model)
        self.mask: Node | None = None
        _, ranges, _ = self.elaborator.enter(claim.loops)
        self.elaborator.opened()
        for condition in (*ranges, *map(self.elaborator.node, claim.conditions)):
            self.mask = condition if self.mask is None else self.mask * condition
        sizes = [p for p in mender.points]
        self.runs = [_Quick(p.sizes, p.floats, self.model.definitions) for p in sizes]
        self.until = time.perf_counter() + MOST_SECONDS
        self.tried = 0

    def best(self) -> _Found | None:
        """The cheapest edit that makes the claim hold."""
        relation = self.claim.relations[self.broken]
        if relation not in ("eq", "ne"):
            return self._bound(relation)
        if relation == "ne":
            return None
        left, right = self.claim.sides[self.broken], self.claim.sides[self.broken + 1]
        if _is_value(right) or _is_value(left):
            return None
        found = self._side(self.broken + 1, self.broken, 0.0, None)
        if self.broken == 0 and not isinstance(left, ast.Name):
            found = self._side(0, 1, LEFT_SIDE, found)
        return found or self._number()

    # --- edits of one side ---------------------------------------------------------------------

    def _side(
        self, target: int, against: int, extra: float, best: _Found | None
    ) -> _Found | None:
        """The best edit of the side *target* that makes it equal to the side *against*."""
        sides = self.claim.sides
        try:
            reference = self.elaborator.node(sides[against])
        except BackproofError:
            return best
        wanted = self._values(reference)
        if not wanted:
            return best
        truths = list(dict.fromkeys(self.mender.truths(sides[against], self.claim.loops)))
        candidates = [e for e in self._from_truths(sides[target], truths)]
        candidates += Edits(self.spelling, self.mender.pieces).of(sides[target])
        candidates.sort(key=lambda e: e.cost)
        own = set(truths)
        seen: set[int] = set()
        for edit in candidates[:MOST_CANDIDATES]:
            cost = edit.cost + extra
            if best is not None and cost - OWN_WORDS >= best.score:
                break
            self.tried += 1
            if time.perf_counter() > self.until:
                break
            side = edit.side()
            score = cost - OWN_WORDS if side in own else cost
            if best is not None and score >= best.score:
                continue
            if side == sides[against] and edit.what != TOLD:
                continue
            node = self._fits(side, reference)
            if node is None or node.id in seen:
                continue
            seen.add(node.id)
            if not self._equal(node, reference, wanted):
                continue
            seen.discard(node.id)
            text = self._text(target, side)
            if self._holds(text, target, side):
                best = _Found(score, text, edit.what)
        return best

    def _from_truths(self, old: ast.Expr, truths: Sequence[ast.Expr]) -> Iterator[Edit]:
        before = self.spelling.spell(old)
        for truth in truths:
            distance = token_distance(before, self.spelling.spell(truth))
            yield Edit(SIBLING + OWN_WORDS + SIBLING_TOKEN * distance, _same, truth, TOLD)

    def _fits(self, side: ast.Expr, reference: Node) -> Node | None:
        try:
            node = self.elaborator.node(side)
        except (BackproofError, RecursionError):
            return None
        graph = self.model.graph
        if graph.resolve_shape(node.shape) != graph.resolve_shape(reference.shape):
            return None
        return node

    def _values(self, reference: Node) -> list[tuple[_Quick, Array]]:
        """The points at which the reference is defined, with its value there."""
        found = []
        for run in self.runs:
            value = run.value(reference)
            if defined(value):
                found.append((run, value))
        return found

    def _equal(
        self, node: Node, reference: Node, wanted: Sequence[tuple[_Quick, Array]]
    ) -> bool:
        looped = bool(node.loops or reference.loops or self.mask is not None)
        for run, value in wanted:
            have = run.value(node)
            if looped:
                have, value, mask = aligned(run, Sides(node, reference, "eq", self.mask))
                if mask is not None:
                    have, value = np.where(mask != 0, have, 0), np.where(mask != 0, value, 0)
            elif have.shape != value.shape:
                return False
            near = 1e-7 * max(1e-3, float(np.abs(value).max()))
            gap = np.abs(have - value).max()
            if not gap <= near:
                return False
        return True

    # --- the mended claim ----------------------------------------------------------------------

    def _text(self, target: int, side: ast.Expr, relation: str | None = None) -> str:
        """The claim with one side replaced, the rest letter by letter."""
        source, claim = self.model.sheet.source, self.claim
        old = claim.sides[target].span
        start, end = old.start, old.end
        text = source.text
        if self.spelling.bracketed(claim.sides[target]):
            start, end = text.rindex("(", 0, start), text.index(")", end) + 1
        whole = claim.text_span
        mended = text[whole.start : start] + self.spelling.side(side) + text[end : whole.end]
        return " ".join(mended.split())

    def _holds(self, text: str, target: int, side: ast.Expr) -> bool:
        """Reads the text again and judges it."""
        claim = read_claim(text)
        if claim is None or claim.sides[target] != side:
            return False
        return self.mender.judge.claim(claim, proofs=False).verdict in (PROVED, AGREES)

    # --- bounds and numbers --------------------------------------------------------------------

    def _bound(self, relation: str) -> _Found | None:
        """A bound turned round, or one side changed."""
        if len(self.claim.relations) > 1:
            return None
        left, right = self.claim.sides
        sign = SIGNS[relation]
        texts = [self.spelling.side(s) for s in (left, right)]
        turned = {"le": "ge", "ge": "le", "lt": "gt", "gt": "lt"}[relation]
        plain = {"lt": "le", "gt": "ge"}.get(relation)
        tries = [f"{texts[0]} {SIGNS[turned]} {texts[1]}", f"{texts[1]} {sign} {texts[0]}"]
        own = {" ".join(c.text.split()) for c in self.mender.claims}
        tries.sort(key=lambda t: t not in own)
        if plain is not None:
            tries.insert(0, f"{texts[0]} {SIGNS[plain]} {texts[1]}")
        for text in tries:
            claim = read_claim(text)
            if claim and self.mender.judge.claim(claim, proofs=False).verdict in (PROVED, AGREES):
                return _Found(1.0, text, "the bound")
        return None

    def _number(self) -> _Found | None:
        """A whole number claimed for something that is another one everywhere."""
        if len(self.claim.relations) > 1:
            return None
        left, right = self.claim.sides
        if not isinstance(right, ast.Number) or right.value.denominator != 1:
            return None
        values = [v for _, v in self._values(self.elaborator.node(left))]
        if not values or any(v.size != 1 for v in values):
            return None
        numbers = {round(float(v.reshape(-1)[0]), 9) for v in values}
        if len(numbers) != 1 or (value := numbers.pop()) != int(value) or value < 0:
            return None
        side = ast.Number(right.value.__class__(int(value)), str(int(value)))
        text = self._text(1, side)
        return _Found(1.0, text, "a number") if self._holds(text, 1, side) else None


TOLD = "what the sheet says elsewhere"


def _same(expr: ast.Expr) -> ast.Expr:
    return expr


def read_claim(text: str) -> ast.Claim | None:
    """A claim from its text, or None where it cannot be read."""
    try:
        (claim,) = read_statements(Source("", f"claim {text}"))
    except (BackproofError, ValueError):
        return None
    return claim if isinstance(claim, ast.Claim) else None


__all__ = ["RELATIONS", "Mender", "caret_diff", "mended", "read_claim", "token_distance"]
