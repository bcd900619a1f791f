"""Whether a variant is fit to be handed out: every one is tested by itself.

Values that are defined and well conditioned, no unit saturated or dead, nothing zero that should
not be, no point next to a kink, no tie in rounding, about as much work as the paper it varies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from backproof.calculus.evaluate import Evaluator, defined
from backproof.calculus.values import round_half_away
from backproof.operators.arithmetic import decimal_context
from backproof.operators.node import Node, postorder
from backproof.papers.difficulty import NOTHING, Difficulty, difficulty
from backproof.papers.intervals import IntervalEvaluator, widened
from backproof.papers.paper import GRADIENT, VALUE, PaperSheet

Array = Any
EDGE = 0.03  # a sigmoid or softmax this near to 0 or 1 is saturated, a tanh twice as near to ±1
FLAT = 0.01  # of the steepest slope: below it a unit is saturated
NEAR = 2  # units of the last digit within which a kink is too near
TIE = 1e-6  # of a unit: nearer to a half than this is a tie
WIDEST = 8  # units of the last digit that rounding may move an answer by
ALIKE = 0.25  # by how much of its time a variant may differ


class SheetChecker:
    """Checks drawn values on one sheet (with its dimensions as they are)."""

    def __init__(self, sheet: PaperSheet) -> None:
        self.sheet = sheet
        values = sheet.values
        self.model = sheet.model
        self.rounding = values.rounding
        self.unit = 10.0**-self.rounding.decimals
        self.definitions = values.evaluator.definitions
        self.sizes = self.model.number_sizes()
        self.free = any(ask.what == "slow" for ask in sheet.sheet.asks)
        with decimal_context():
            self.base = self.model.given_values(exact=True)
        self.roots: dict[str, Node] = {}
        for item in sheet.items:
            if item.kind in (VALUE, GRADIENT) and item.expr is not None:
                node = values.node(item.expr)
                if self.sheet.values.computable(self.model.node(item.expr)):
                    self.roots[item.key] = node
        self.usual_flat = self._flat(self._run(self._floats(self.base))) if self.free else []
        self.usual = self._difficulty(self._floats(self.base))
        self.usual_width = self._widths(self._floats(self.base))
        self.usual_zeros = {k: (np.abs(v) < self.unit / 2).mean() for k, v in
                            self._values(self._floats(self.base)).items()}  # fmt: skip

    @staticmethod
    def _floats(values: Mapping[str, Array]) -> dict[str, Array]:
        return {n: np.asarray(a, dtype=np.float64) for n, a in values.items()}

    def _run(self, floats: Mapping[str, Array]) -> Evaluator:
        return Evaluator(self.sizes, floats, self.definitions)

    def _values(self, floats: Mapping[str, Array]) -> dict[str, Array]:
        run = self._run(floats)
        with np.errstate(all="ignore"):
            return {key: run.value(node) for key, node in self.roots.items()}

    def _difficulty(self, floats: Mapping[str, Array]) -> Difficulty:
        run = self._run(floats)
        with np.errstate(all="ignore"):
            if not self.roots:
                return NOTHING
            return difficulty(run, self.roots.values(), self.definitions, floats)

    def _widths(self, floats: Mapping[str, Array]) -> float:
        """How many units rounding may move the answers by, at most."""
        half = 0.5 * self.unit
        later = self.rounding.stated and not self.rounding.each
        run = IntervalEvaluator(
            self.sizes, {n: (a, a) for n, a in floats.items()}, self.definitions,
            None if later else lambda n, e: widened(e, half),
        )  # fmt: skip
        widest = 0.0
        with np.errstate(all="ignore"):
            for node in self.roots.values():
                low, high = run.value(node)
                widest = max(widest, float(np.max((high - low) / 2)) / self.unit)
        return widest

    def check(self, values: Mapping[str, Array]) -> tuple[str, Difficulty]:
        """(why these values are not fit, or "", how much work they are)."""
        floats = self._floats(values)
        run = self._run(floats)
        with np.errstate(all="ignore"):
            shown = {key: run.value(node) for key, node in self.roots.items()}
            if not all(defined(v) for v in shown.values()):
                return "undefined", NOTHING
            reason = self._units(run) if not self.free else ""
            if not reason and not self.free:
                for key, value in shown.items():
                    zeros = (np.abs(value) < self.unit / 2).mean()
                    if zeros == 1 and self.usual_zeros[key] < 1:
                        return f"{key} is zero", NOTHING
                    if zeros > max(self.usual_zeros[key], 0.5):
                        return f"{key} is mostly zero", NOTHING
            if self.free and self._flat(run) != self.usual_flat:
                reason = "other units saturated than in the paper"
            if reason:
                return reason, NOTHING
            if self._tie(values):
                return "a rounding tie", NOTHING
            width = self._widths(floats)
            if not width <= max(WIDEST, 1.5 * self.usual_width):
                return "ill conditioned", NOTHING
            work = self._difficulty(floats)
            if abs(work.seconds - self.usual.seconds) > ALIKE * self.usual.seconds:
                return "another difficulty", work
        return "", work

    def _flat(self, run: Evaluator) -> list[int]:
        """How many units of each kind are saturated; where that is the question it stays so."""
        found = []
        for node in self._all():
            if node.op.spans is not None:
                value = run.value(node)
                low, high = node.op.spans
                slope = 4 * (value - low) * (high - value) / (high - low) ** 2
                found.append(int((slope < FLAT).sum()))
        return found

    def _units(self, run: Evaluator) -> str:
        """Saturated or dead units, points next to a kink."""
        for node in self._all():
            name = node.op.name
            if node.op.spans is not None:
                value = run.value(node)
                low, high = node.op.spans
                edge = EDGE * (high - low)
                if ((value < low + edge) | (value > high - edge)).any():
                    return f"a saturated {name}"
            elif node.op.rectifies and (run.value(node) <= 0).all():
                return f"a dead {name}"
            if node.op.kinks is not None:
                for zero in node.op.kinks(node):
                    value = np.abs(run.value(zero))
                    if ((value < NEAR * self.unit) & (value > 0)).any() or (
                        len(node.args) == 1 and not node.op.abrupt and (value == 0).any()
                    ):
                        return "a kink too near"
        return ""

    def _all(self) -> list[Node]:
        if not hasattr(self, "_nodes"):
            values, leaves = self.sheet.values, self.model.leaves
            known = [d for n, d in self.model.definitions.items() if values.computable(leaves[n])]
            self._nodes = postorder([*self.roots.values(), *known])
        return self._nodes

    def _tie(self, values: Mapping[str, Array]) -> bool:
        """Whether a number that has to be rounded lies half-way."""
        raw: list[Array] = []

        def after(name: str, array: Array) -> Array:
            node = self.model.definitions.get(name)
            if node is not None and node.is_literal:
                return array
            raw.append(array)
            if not self.rounding.each:
                return array
            return round_half_away(array, self.rounding.decimals)

        with decimal_context():
            run = Evaluator(self.sizes, values, self.definitions, exact=True, after=after)
            for node in self.roots.values():
                raw.append(run.value(node))
            scale = 10**self.rounding.decimals
            for array in raw:
                for x in array.flat:
                    scaled = abs(x * scale)
                    if x.is_finite() and abs(float(scaled % 1) - 0.5) < TIE:
                        return True
        return False
