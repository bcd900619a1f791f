"""Multiple choice whose wrong choices are real mistakes, and matchings made from gradient chains.

The repair machinery run backwards: the edits that would mend a wrong answer, applied to the right
one, give the mistakes that people make. Each is judged and taken only when it is *refuted*, so no
wrong choice is right by accident, and no two choices are the same.
"""

from __future__ import annotations

import copy
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from backproof.calculus.evaluate import Evaluator, defined
from backproof.calculus.points import draw_points
from backproof.calculus.values import show_array
from backproof.errors import NotAvailable
from backproof.language import syntax as ast
from backproof.language.format import unparse
from backproof.papers.naming import edits_of, right_form
from backproof.papers.paper import GRADIENT, VALUE, Item, PaperSheet
from backproof.working.claims import REFUTED, Judge
from backproof.working.gradient import gradient_working
from backproof.working.steps import Step

WRONG_CHOICES = 3
CANDIDATES = 160
_ONE = Fraction(1)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FACTOR = re.compile(r"∂\w+/∂\w+")


@dataclass(frozen=True)
class Option:
    """One choice: what it says, whether it is right, and which mistake it is."""

    text: str
    right: bool
    mistake: str = ""


@dataclass(frozen=True)
class Choice:
    """A multiple choice in the order shown."""

    prompt: str
    options: tuple[Option, ...]

    @property
    def letter(self) -> str:
        """The letter of the right one."""
        return LETTERS[next(k for k, o in enumerate(self.options) if o.right)]


@dataclass(frozen=True)
class Match:
    """A matching: the left side in order, the right side in the order shown.

    pairs    (left, right) that belong together
    shown    the right side as shown
    """

    prompt: str
    pairs: tuple[tuple[str, str], ...]
    shown: tuple[str, ...]

    @property
    def letters(self) -> str:
        """The right letters, in the order of the left side."""
        return "".join(LETTERS[self.shown.index(right)] for _, right in self.pairs)


def choice_of(sheet: PaperSheet, target: ast.Expr) -> Choice:
    """The multiple choice for an expression: in symbols, or in numbers where it has a value."""
    prompt = unparse(target)
    kind = GRADIENT if isinstance(target, ast.Apply) and target.op == "grad" else VALUE
    item = Item(f"{sheet.name}.{prompt}", prompt, kind, target, _ONE, "")
    form = right_form(sheet, item)
    if form is None:
        raise NotAvailable(f"'{prompt}' has no form that wrong choices could be made of.")
    numeric = kind == VALUE and sheet.values.computable(sheet.model.node(target))
    right, wrong = (_in_numbers if numeric else _in_symbols)(sheet, item, form)
    if len(wrong) < 2:
        raise NotAvailable(f"too few wrong choices were found for '{prompt}'.")
    options = [Option(right, True), *(Option(text, False, what) for text, what in wrong)]
    random.Random(f"{sheet.name} {prompt}").shuffle(options)
    return Choice(prompt, tuple(options))


def _in_symbols(sheet: PaperSheet, item: Item, form: ast.Expr) -> tuple[str, list[tuple[str, str]]]:
    """(the right form, the wrong ones with their mistakes)."""
    model = sheet.model
    points = [p.evaluator(model, exact=False) for p in draw_points(model, 2, seed=5)]
    taken = [_at(points, model.node(form))]
    found: list[tuple[str, str]] = []
    kinds: dict[str, int] = {}
    with np.errstate(all="ignore"):
        for what, text, node in _spread(edits_of(sheet, form, item, CANDIDATES)):
            here = _at(points, node)
            if not here or any(_alike(here, other) for other in taken) or kinds.get(what, 0) > 1:
                continue
            if not refuted(sheet, f"{unparse(target_of(item))} == {text}"):
                continue
            taken.append(here)
            kinds[what] = kinds.get(what, 0) + 1
            found.append((text, what))
            if len(found) == WRONG_CHOICES:
                break
    return unparse(form), found


def _in_numbers(sheet: PaperSheet, item: Item, form: ast.Expr) -> tuple[str, list[tuple[str, str]]]:
    """The same in numbers: what the wrong equations would come to."""
    values = sheet.values
    decimals = values.rounding.decimals
    truth = np.asarray(values.expression(target_of(item)), dtype=np.float64)
    below = {n: np.asarray(values.named(n), dtype=np.float64) for n in sheet.model.leaves
             if values.computable(sheet.model.leaves[n])}  # fmt: skip
    run = Evaluator(sheet.model.number_sizes(), below, {})
    apart = 3 * 10.0**-decimals
    taken = [truth]
    found: list[tuple[str, str]] = []
    with np.errstate(all="ignore"):
        for what, _, node in _spread(edits_of(sheet, form, item, CANDIDATES)):
            try:
                value = run.value(node)
            except (ArithmeticError, ValueError, LookupError):
                continue
            if not defined(value) or any(np.abs(value - t).max() < apart for t in taken):
                continue
            text = show_array(value, decimals)
            if not refuted(sheet, f"{unparse(target_of(item))} == {text}"):
                continue
            taken.append(value)
            found.append((text, what))
            if len(found) == WRONG_CHOICES:
                break
    return show_array(truth, decimals), found


def target_of(item: Item) -> ast.Expr:
    """What an item asks for."""
    assert item.expr is not None
    return item.expr


def refuted(sheet: PaperSheet, text: str) -> bool:
    """Whether the judge refutes a claim over the sheet's names."""
    longer = copy.copy(sheet.model)
    longer.sheet = sheet.model.sheet.extended(f"claim {text}")
    return Judge(longer).claim(longer.sheet.claims[-1], proofs=False).verdict == REFUTED


def _spread(edits: list[tuple[str, str, Any]]) -> Iterator[tuple[str, str, Any]]:
    """The likeliest edit of each kind first, then the second likeliest of each."""
    kinds: dict[str, list[tuple[str, str, Any]]] = {}
    for edit in edits:
        kinds.setdefault(edit[0], []).append(edit)
    for rank in range(max(map(len, kinds.values()), default=0)):
        for group in kinds.values():
            if rank < len(group):
                yield group[rank]


def _at(points: list[Evaluator], node: Any) -> list[Any]:
    """The values at a few points; [] where one is undefined."""
    found = []
    for run in points:
        try:
            value = run.value(node)
        except (ArithmeticError, ValueError, LookupError):
            return []
        if not defined(value):
            return []
        found.append(value)
    return found


def _alike(a: list[Any], b: list[Any]) -> bool:
    return all(
        x.shape == y.shape and np.allclose(x, y, rtol=1e-9, atol=1e-12)
        for x, y in zip(a, b, strict=True)
    )


# --- matching ------------------------------------------------------------------------------------


def match_of(sheet: PaperSheet, target: ast.Expr) -> Match:
    """Each factor of a gradient's chain, to be matched to its local derivative.

    Where the chain is no product, each gradient on the way stands for a factor.
    """
    if not isinstance(target, ast.Apply) or target.op != "grad":
        raise NotAvailable(f"'{unparse(target)}' is no gradient, so it has no chain to match.")
    working = gradient_working(sheet.model, target.args[0], target.args[1])
    pairs = _factor_pairs(working.steps) or _backward_pairs(working.steps)
    if len(pairs) < 3:  # two leave nothing to choose
        raise NotAvailable(f"the chain of '{unparse(target)}' is too short to be matched.")
    shown = [right for _, right in pairs]
    random.Random(f"{sheet.name} {unparse(target)}").shuffle(shown)
    return Match(unparse(target), tuple(pairs), tuple(shown))


def _factor_pairs(steps: Sequence[Step]) -> list[tuple[str, str]]:
    """The factors of the chain along every path, each once, with their local derivatives."""
    factors = dict.fromkeys(
        label
        for step in steps
        if step.kind == "chain"
        for label in _FACTOR.findall(step.text.partition(" = ")[2] or step.text)
    )
    return _told([next(_locals(steps, label), ("", "")) for label in factors])


def _backward_pairs(steps: Sequence[Step]) -> list[tuple[str, str]]:
    """Where the chain is no product of matrices: each gradient on the way, in its shortest form."""
    labels = dict.fromkeys(s.label for s in steps if s.kind == "local" and "[" not in s.label)
    return _told([list(_locals(steps, label))[-1] for label in labels])


def _locals(steps: Sequence[Step], label: str) -> Iterator[tuple[str, str]]:
    for step in steps:
        left, sign, right = step.text.partition(" = ")
        if step.kind == "local" and step.label == label and sign:
            yield left, right


def _told(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The pairs whose right side no other has: two that say the same could be exchanged."""
    counts = Counter(right for _, right in pairs)
    return [(left, right) for left, right in pairs if right and counts[right] == 1]
