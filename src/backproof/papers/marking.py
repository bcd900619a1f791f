"""Marks one script: every line gets a verdict, marks and the reason, with errors carried forward.

A value is right where consistent rounding can produce it. Where it is not, the sheet is evaluated
with the values that the student wrote above it: a value that follows from these is right too, so
that one slip costs once. Rounding, shapes, follow-through and what a person must look at are kept
apart; the guards are in `guards`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from backproof.language import syntax as ast
from backproof.language.format import unparse
from backproof.operators.arithmetic import decimal_context
from backproof.operators.base import Ends
from backproof.operators.node import Node, quantities
from backproof.papers.guards import trivial_rest, trivial_value
from backproof.papers.intervals import SLACK, IntervalEvaluator, widened
from backproof.papers.lines import other_line
from backproof.papers.naming import Namer
from backproof.papers.numbers import Numeric, fitted, readings, show, tidied
from backproof.papers.paper import (
    BOUND,
    COUNT,
    EQUATION,
    GRADIENT,
    SET,
    VALUE,
    Item,
    Paper,
    PaperSheet,
)
from backproof.papers.scripts import Script
from backproof.papers.sets import SetMarker
from backproof.papers.symbolic import (
    MOST_OPERATIONS,
    SymbolicJudge,
    constant_value,
    operations,
)

Array = Any
RIGHT, FOLLOWS, WRONG, DIGITS = "right", "follows", "wrong", "digits"
SHAPE, BLANK, UNREADABLE, UNDECIDED = "shape", "blank", "unreadable", "undecided"
FEW, UNWORKED = "too few digits", "not worked out"
GUARDED, EARLY, PARTLY = "no follow-through", "rounded early", "partly"
QUEUED = (UNDECIDED, UNREADABLE)
MOST_WRONG = 3  # wrong values that a line uses, of which every combination is tried


@dataclass(frozen=True)
class Scheme:
    """What smaller matters cost, as shares of a line's marks.

    digits   a right value with too few digits
    early    a value that is off because intermediate results were rounded against the policy
    """

    digits: Fraction = Fraction(1, 4)
    early: Fraction = Fraction(1, 4)


@dataclass(frozen=True)
class Line:
    """One marked line.

    share     the share of the marks that it earns; None where a person has to decide
    reason    why, in a sentence
    mistake   the mistake by name, where it has one
    carried   the student's own wrong values that it follows from
    """

    item: str
    answer: str
    verdict: str
    share: Fraction | None
    reason: str
    mistake: str = ""
    carried: tuple[str, ...] = ()


@dataclass
class _Written:
    """A value that the student wrote: its ends, whether it is right, why it is not carried on."""

    label: str
    node: Node
    name: str | None
    ends: Ends
    centre: Array
    right: bool
    barred: str = ""


@dataclass(frozen=True)
class Truth:
    """The right value of an item: exact, and as the interval that rounding can produce."""

    node: Node
    centre: Array
    ends: Ends
    sampled: bool


class SheetMarker:
    """Marks the lines of one sheet.

    items   those that it marks; left out: all that are about the sheet itself
    """

    def __init__(
        self, sheet: PaperSheet, scheme: Scheme, items: Sequence[Item] | None = None
    ) -> None:
        self.sheet = sheet
        self.scheme = scheme
        self.items = [i for i in sheet.items if not i.part] if items is None else items
        self.model = sheet.model
        self.rounding = sheet.values.rounding
        self.unit = 0.5 * 10.0**-self.rounding.decimals
        self.sizes = self.model.number_sizes()
        self.definitions = sheet.values.evaluator.definitions
        self.symbolic = SymbolicJudge(sheet)
        self.sets = SetMarker(sheet, self.symbolic)
        self.namer = Namer(sheet)
        self._nodes: dict[str, Node] = {}
        self._below: dict[int, frozenset[str]] = {}
        with decimal_context(), np.errstate(all="ignore"):
            values = self.model.given_values(exact=True)
        self.givens = {n: np.asarray(a, dtype=np.float64) for n, a in values.items()}
        self.positions = {name: k for k, name in enumerate(self.model.sheet.order)}

    @cached_property
    def parts(self) -> dict[str, SheetMarker]:
        """Markers of the sheets that some questions are about, such as the sheet of a batch."""
        found = {}
        for name in dict.fromkeys(i.part for i in self.sheet.items if i.part):
            items = [i for i in self.sheet.items if i.part == name]
            found[name] = SheetMarker(self.sheet.parts[name], self.scheme, items)
        return found

    def of(self, item: Item) -> SheetMarker:
        """The marker of an item: this one, or that of a part."""
        return self.parts[item.part] if item.part and item.part in self.parts else self

    # --- the truth ---------------------------------------------------------------------------

    @cached_property
    def right_run(self) -> IntervalEvaluator:
        """The evaluation with the given values."""
        return self._run({}, ())

    @cached_property
    def truths(self) -> dict[str, Truth]:
        """Every numeric item's truth, by its key."""
        found: dict[str, Truth] = {}
        for item in self.items:
            truth = self.truth_of(item.expr) if item.kind in (VALUE, GRADIENT) else None
            if truth is not None:
                found[item.key] = truth
        return found

    def truth_of(self, expr: ast.Expr | None) -> Truth | None:
        """The truth of an expression; None where it has no value."""
        values = self.sheet.values
        if expr is None or not values.computable(self.model.node(expr)):
            return None
        with np.errstate(all="ignore"):
            node = self._definition(expr)
            centre = values.named(expr.id) if isinstance(expr, ast.Name) else values.value(node)
            run = self.right_run
            before, run.sampled = run.sampled, False
            ends = widened(run.value(node), self.unit)
            sampled, run.sampled = run.sampled, before
        exact = np.asarray(centre, dtype=np.float64)
        low, high = np.minimum(ends[0], exact), np.maximum(ends[1], exact)
        return Truth(node, exact, (low, high), sampled)

    def _definition(self, expr: ast.Expr) -> Node:
        """What computes an expression: of a name, its right-hand side."""
        if isinstance(expr, ast.Name):
            found = self.sheet.values.definition(expr.id)
            if found is not None:
                return found
        return self.sheet.values.node(expr)

    def _run(self, names: Mapping[str, Ends], held: Sequence[_Written]) -> IntervalEvaluator:
        values: dict[str, Ends] = {n: (a, a) for n, a in self.givens.items()}
        values.update(names)
        run = IntervalEvaluator(self.sizes, values, self.definitions, self._after)
        for one in held:
            run.hold(one.node, one.ends)
        return run

    def _after(self, name: str, ends: Ends) -> Ends:
        """What rounding an intermediate result may do to it, under the sheet's policy."""
        node = self.model.definitions.get(name)
        if node is not None and node.is_literal:
            return ends
        if self.rounding.stated and not self.rounding.each:
            return ends
        return widened(ends, self.unit)

    def below(self, node: Node) -> frozenset[str]:
        """Every quantity that a node depends on."""
        if node.id not in self._below:
            pending, seen = list(quantities([node])), set[str]()
            while pending:
                name = pending.pop()
                if name not in seen:
                    seen.add(name)
                    if name in self.definitions:
                        pending.extend(quantities([self.definitions[name]]))
            self._below[node.id] = frozenset(seen)
        return self._below[node.id]

    # --- a script ----------------------------------------------------------------------------

    def mark(self, answers: Mapping[str, str], extra: Mapping[str, str]) -> Iterator[Line]:
        """The lines of one script on this sheet, one for every item, in the paper's order."""
        lines = self._marked(answers, extra)
        for part in self.parts.values():
            lines |= part._marked(answers, {})
        for item in self.sheet.items:
            found = lines.get(item.id)
            yield found or Line(item.id, "", BLANK, Fraction(0), "nothing is written.")

    def _marked(self, answers: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, Line]:
        written: list[_Written] = []
        equations: dict[str, str] = {}
        lines: dict[str, Line] = {}
        with np.errstate(all="ignore"):
            for item, text in self._in_order(answers, extra):
                if item.kind == EQUATION or (item.kind == GRADIENT and item.key not in self.truths):
                    line = self._equation(item, text, equations)
                elif item.kind in (VALUE, GRADIENT):
                    line = self._value(item, text, written)
                elif item.kind in (SET, COUNT, BOUND):
                    fair = [w for w in written if not w.barred]
                    own = {w.label: float(w.centre.item()) for w in fair if w.centre.size == 1}
                    wrong = [w.label for w in fair if not w.right]
                    line = self.sets.mark(item, text, answers, own, wrong)
                else:
                    line = other_line(self.sheet, item, text, self.symbolic)
                lines[item.id] = line
        return lines

    def _in_order(
        self, answers: Mapping[str, str], extra: Mapping[str, str]
    ) -> list[tuple[Item, str]]:
        """What is written, every value after those that it is computed from."""
        found = [(i, answers[i.id]) for i in self.items if i.id in answers]
        asked = {i.key for i, _ in found}
        found += [
            (Item(f"{self.sheet.name}.{n}", n, VALUE, ast.Name(n), Fraction(0), ""), text)
            for n, text in extra.items()
            if n not in asked and self.sheet.values.computable(self.model.leaves[n])
        ]
        return sorted(found, key=lambda pair: self._position(pair[0]))

    def _position(self, item: Item) -> tuple[int, int]:
        if item.kind in (SET, COUNT, BOUND):
            return 2, 0
        if isinstance(item.expr, ast.Name):
            return 0, self.positions.get(item.expr.id, 0)
        truth = self.truths.get(item.key)
        return 1, truth.node.id if truth is not None else 0

    # --- equations -----------------------------------------------------------------------------

    def _equation(self, item: Item, text: str, equations: dict[str, str]) -> Line:
        text = without_left(text, item)
        opinion = self.symbolic.opinion(item, text)
        if opinion.verdict == "wrong" and equations:
            names, carried = self.symbolic.carried(item, text, equations)
            if carried.verdict == "right":
                reason = f"it follows from your own {', '.join(names)}."
                return Line(item.id, text, FOLLOWS, Fraction(1), reason, carried=names)
        wrong = opinion.verdict == "wrong" and item.kind == EQUATION
        if wrong and not self.symbolic.carries(item, text):
            equations[unparse(item.expr) if item.expr is not None else item.key] = text
        share = {"right": Fraction(1), "wrong": Fraction(0)}.get(opinion.verdict)
        reason = opinion.reason
        if opinion.instead:
            reason += f" Instead: {item.key} = {opinion.instead}"
        elif opinion.verdict == "wrong" and item.answer:
            reason += f" Right: {item.key} = {item.answer}."
        verdict = opinion.verdict if opinion.verdict != "unreadable" else UNREADABLE
        if verdict == UNREADABLE:
            share = Fraction(0)
        return Line(item.id, text, verdict, share, reason, opinion.mistake)

    # --- values ------------------------------------------------------------------------------

    def _value(self, item: Item, text: str, written: list[_Written]) -> Line:
        truth = self.truths.get(item.key) or self.truth_of(item.expr)
        assert truth is not None
        numeric, fit = None, None
        constant, open_sum = self._constant(text)
        for reading in itertools.chain(readings(text), constant):
            numeric = numeric or reading
            fit = fitted(reading, truth.centre.shape)
            if fit is not None:
                break
        if numeric is None:
            return self._in_symbols(item, text)
        if fit is None:
            return self._misfit(item, text, numeric, truth)
        value, as_asked = fit
        if np.isnan(value.array).any():
            return self._partly(item, text, value, truth, written)
        line, right, barred = self._judged(item, text, value, truth, written)
        if open_sum and line.share:
            reason = f"{line.reason} It is left to be worked out; a person decides."
            line = replace(line, verdict=UNDECIDED, share=None, reason=reason, mistake=UNWORKED)
        if not as_asked and line.share:
            line = _said(line, " Its shape is turned round: a column was asked for, or a row.")
        self._keep(item, value, truth, written, right, barred)
        return line

    def _constant(self, text: str) -> tuple[list[Numeric], bool]:
        """(the value of an expression without names, such as 1/3 or log(3); whether it is long).

        A long one has its numbers put in and is not worked out.
        """
        plain = tidied(text)
        if next(readings(text), None) is not None:
            return [], False
        constant = constant_value(self.sheet, plain)
        if constant is None:
            return [], False
        digits = np.full(constant.shape, max(self.rounding.decimals, 0))
        return [Numeric(constant, digits, constant.shape[1] == 1)], operations(
            plain
        ) > MOST_OPERATIONS

    def _partly(
        self, item: Item, text: str, value: Numeric, truth: Truth, written: list[_Written]
    ) -> Line:
        """A value with entries left out: what is there counts for its part, if all of it is right.

        It is not carried on: the lines below are judged as if nothing stood here.
        """
        there = ~np.isnan(value.array)
        right = value.array
        own = self._own(item, [w for w in written if self._used(truth.node, w)])
        ends = [truth.ends] + (
            [own[1]] if own is not None and not any(w.barred for w in own[2]) else []
        )
        count = f"{int(there.sum())} of {there.size} entries are written"
        for low, high in ends:
            filled = np.where(there, right, low)
            if self._inside(filled, (low, high))[there].all():
                share = Fraction(int(there.sum()), there.size)
                return Line(item.id, text, PARTLY, share, f"{count}, and right.")
        shown = show(truth.centre, self.rounding.decimals)
        return Line(item.id, text, WRONG, Fraction(0), f"{count}; the value is {shown}.")

    def _in_symbols(self, item: Item, text: str) -> Line:
        """An expression where a number was asked for: judged as it stands."""
        opinion = self.symbolic.opinion(item, text)
        if opinion.verdict == "unreadable":
            return Line(item.id, text, UNREADABLE, Fraction(0), opinion.reason)
        if opinion.verdict == "right" and item.kind == VALUE and not item.ask.startswith("weights"):
            reason = "a number was asked for; this only says how it is worked out."
            return Line(item.id, text, WRONG, Fraction(0), reason, UNWORKED)
        share = {"right": Fraction(1), "wrong": Fraction(0)}.get(opinion.verdict)
        return Line(item.id, text, opinion.verdict, share, opinion.reason, opinion.mistake)

    def _misfit(self, item: Item, text: str, numeric: Numeric, truth: Truth) -> Line:
        have, want = numeric.array.shape, truth.centre.shape
        reason = f"it is {have[0]} × {have[1]}, and {item.key} is {want[0]} × {want[1]}."
        mistake = "the shape"
        if have == (want[1], want[0]) and self._inside(numeric.array.T, truth.ends).all():
            reason += " The entries are right: it is the transpose."
            mistake = "a transpose"
        return Line(item.id, text, SHAPE, Fraction(0), reason, mistake)

    @staticmethod
    def _inside(value: Array, ends: Ends) -> Array:
        slack = SLACK * (1 + np.abs(value))
        return (value >= ends[0] - slack) & (value <= ends[1] + slack)

    def _judged(
        self, item: Item, text: str, value: Numeric, truth: Truth, written: list[_Written]
    ) -> tuple[Line, bool, str]:
        """(the line, whether the value is right by the true path, why it is not carried on)."""
        entries = value.array

        def line(verdict: str, share: Fraction, reason: str, **more: Any) -> Line:
            return Line(item.id, text, verdict, share, reason, **more)

        if self._inside(entries, truth.ends).all():
            reason = self._accepted(truth.ends) + self._many(value)
            return line(RIGHT, Fraction(1), reason), True, ""
        used = [w for w in written if self._used(truth.node, w)]
        own = self._own(item, used)
        if own is not None and self._inside(entries, own[1]).all():
            wrong = own[2]
            if not wrong:
                reason = "it follows from your own rounded values. "
                return line(RIGHT, Fraction(1), reason + self._accepted(own[1])), True, ""
            return self._follows(line, own, truth, wrong)
        for other in self._mixed(item, used):
            if self._inside(entries, other[1]).all():
                return self._follows(line, other, truth, other[2])
        smaller = self._smaller(line, value, truth)
        if smaller is not None:
            return smaller, True, ""
        if own is not None and own[2] and self._with_few(value, own[1]):
            found = self._follows(line, own, truth, own[2])
            if found[0].share:
                reason = f"{self.rounding.decimals} decimals were asked for; " + found[0].reason
                share = 1 - self.scheme.digits
                found = (replace(found[0], share=share, reason=reason, mistake=FEW), *found[1:])
            return found
        wrong_line = self._wrong(line, item, value, truth, used, own)
        named = bool(wrong_line.mistake)
        barred = trivial_value(entries, truth.centre, self.unit, named=named)
        if barred:
            barred = f"of {item.key}, {barred}"
        return wrong_line, False, barred

    def _follows(
        self, line: Any, own: tuple[IntervalEvaluator, Ends, list[_Written]], truth: Truth,
        wrong: list[_Written],
    ) -> tuple[Line, bool, str]:  # fmt: skip
        run, ends, _ = own
        names = tuple(w.label for w in wrong)
        barred = next((w.barred for w in wrong if w.barred), "")
        centre = (ends[0] + ends[1]) / 2
        rest = (
            ""
            if barred
            else trivial_rest(run, self.right_run, truth.node, centre, truth.centre, self.unit)
        )
        barred = barred or (f"from there on, {rest}" if rest else "")
        if barred:
            reason = f"it follows from your own {', '.join(names)}, which earns nothing: {barred}."
            return line(GUARDED, Fraction(0), reason, carried=names), False, barred
        reason = f"it follows from your own {', '.join(names)}. " + self._accepted(ends)
        return line(FOLLOWS, Fraction(1), reason, carried=names), False, ""

    def _used(self, node: Node, one: _Written) -> bool:
        """Whether a value that was written is one that a node is computed from."""
        if one.name is not None:
            return one.name in self.below(node)
        from backproof.operators.node import postorder

        return any(n is one.node for n in postorder([node])) and node is not one.node

    def _own(
        self, item: Item, used: list[_Written]
    ) -> tuple[IntervalEvaluator, Ends, list[_Written]] | None:
        """The evaluation with these values of the student's; None where there are none."""
        if not used:
            return None
        names = {w.name: w.ends for w in used if w.name is not None}
        run = self._run(names, [w for w in used if w.name is None])
        node = self.truths[item.key].node if item.key in self.truths else None
        if node is None:
            assert item.expr is not None
            node = self._definition(item.expr)
        ends = widened(run.value(node), self.unit)
        reached = set(run.leaves_of(node))
        wrong = [w for w in used if not w.right and (w.name is None or w.name in reached)]
        return run, ends, wrong

    def _mixed(
        self, item: Item, used: list[_Written]
    ) -> Iterator[tuple[IntervalEvaluator, Ends, list[_Written]]]:
        """Where some of the wrong values were carried on and others were not."""
        wrong = [w for w in used if not w.right]
        if len(wrong) < 2 or len(wrong) > MOST_WRONG:
            return
        for size in range(len(wrong) - 1, 0, -1):
            for chosen in itertools.combinations(wrong, size):
                own = self._own(item, [w for w in used if w.right or w in chosen])
                if own is not None and own[2]:
                    yield own

    def _with_few(self, value: Numeric, ends: Ends) -> bool:
        """Whether a value is inside of these ends, given the digits that it has too few."""
        margin = 0.5 * 10.0 ** -np.maximum(value.decimals, 0)
        few = value.decimals < self.rounding.decimals
        visible = np.abs(ends[0] + ends[1]) / 2 >= 10 * margin  # 1 says next to nothing about 0.914
        if not few.any() or not (visible | ~few).all():
            return False
        wide = np.where(few, margin, 0.0)
        centre = (ends[0] + ends[1]) / 2
        low, high = np.minimum(centre - wide, ends[0]), np.maximum(centre + wide, ends[1])
        return bool(self._inside(value.array, (low, high)).all())

    def _smaller(self, line: Any, value: Numeric, truth: Truth) -> Line | None:
        """Right but for the digits: too few of them, or rounded early against the policy."""
        if self._with_few(value, (truth.centre, truth.centre)) or self._with_few(value, truth.ends):
            reason = f"right, but {self.rounding.decimals} decimals were asked for."
            found: Line = line(DIGITS, 1 - self.scheme.digits, reason, mistake=FEW)
            return found
        if self.rounding.stated and not self.rounding.each:
            run = IntervalEvaluator(
                self.sizes, {n: (a, a) for n, a in self.givens.items()}, self.definitions,
                lambda n, e: widened(e, self.unit),
            )  # fmt: skip
            ends = widened(run.value(truth.node), self.unit)
            if self._inside(value.array, ends).all():
                reason = "intermediate results were rounded; only what is shown is to be rounded."
                found = line(EARLY, 1 - self.scheme.early, reason, mistake="rounded early")
                return found
        return None

    def _wrong(
        self, line: Any, item: Item, value: Numeric, truth: Truth, used: list[_Written], own: Any
    ) -> Line:
        places = self.rounding.decimals
        reason = f"the value is {show(truth.centre, places)}."
        right = truth.centre
        if own is not None and own[2]:
            right = (own[1][0] + own[1][1]) / 2
            names = ", ".join(w.label for w in own[2])
            reason += f" With your own {names} it would be {show(right, places)}."
        named = {w.name: w.centre for w in used if w.name is not None}
        values = {**self.givens, **named}
        few = (value.decimals >= 0) & (value.decimals < places)
        margins = np.where(few, 0.5 * 10.0 ** -np.maximum(value.decimals, 0), self.unit)
        unit = float(np.max(margins))
        mistake = self.namer.mistake(
            item, value.array, values, (right, truth.centre), unit,
            slipped=any(not w.right for w in used),
        )  # fmt: skip
        found: Line = line(WRONG, Fraction(0), reason, mistake=mistake)
        return found

    def _keep(
        self, item: Item, value: Numeric, truth: Truth, written: list[_Written], right: bool,
        barred: str,
    ) -> None:  # fmt: skip
        """Notes a value for the lines below it."""
        decimals = np.maximum(value.decimals, self.rounding.decimals)
        ends = widened((value.array, value.array), 0.5 * 10.0**-decimals)
        name = item.expr.id if isinstance(item.expr, ast.Name) else None
        written.append(_Written(item.key, truth.node, name, ends, value.array, right, barred))

    # --- words -------------------------------------------------------------------------------

    def _accepted(self, ends: Ends) -> str:
        return f"Accepted: {accepted_text(ends, self.rounding.decimals)}."

    def _many(self, value: Numeric) -> str:
        most = int(value.decimals.max())
        if most <= self.rounding.decimals or not self.rounding.stated:
            return ""
        return f" ({self.rounding.decimals} decimals were asked for, and {most} are written.)"


def accepted_text(ends: Ends, decimals: int) -> str:
    """The accepted interval of a value, entry by entry."""
    shown = decimals + 1
    low, high = ends
    if low.size == 1:
        return f"{low.item():.{shown}f} to {high.item():.{shown}f}"
    return f"{show(low, shown)} to {show(high, shown)}"


def without_left(text: str, item: Item) -> str:
    """An equation without its left side, where that is the name asked for."""
    left, sign, right = text.partition("=")
    name = isinstance(item.expr, ast.Name) and left.strip() in (item.expr.id, item.key)
    return right.strip() if sign and name and not right.startswith("=") else text


def _said(line: Line, more: str) -> Line:
    return replace(line, reason=line.reason + more)


@dataclass
class Marker:
    """Marks scripts on one paper."""

    paper: Paper
    scheme: Scheme = field(default_factory=Scheme)

    def __post_init__(self) -> None:
        self.sheets = {s.name: SheetMarker(s, self.scheme) for s in self.paper.sheets if s.items}

    def mark(self, script: Script) -> list[Line]:
        """Every line of a script, in the paper's order; blank ones too."""
        lines: list[Line] = []
        for name, marker in self.sheets.items():
            lines.extend(marker.mark(script.answers, script.extra.get(name, {})))
        return lines
