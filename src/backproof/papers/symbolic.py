"""Symbolic answers: read within bounds, judged by the claim machinery, mistakes named by repair.

What cannot be decided in time, or uses names that the paper does not have, is *undecided*: a
person looks at it. The same answer is judged once, however many students wrote it.
"""

from __future__ import annotations

import copy
import re
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType

import numpy as np

from backproof.calculus.evaluate import defined
from backproof.calculus.model import Model
from backproof.errors import BackproofError, Source
from backproof.language import syntax as ast
from backproof.language.format import unparse
from backproof.language.functions import CONSTANTS
from backproof.language.names import free_names
from backproof.language.statements import parse_expression
from backproof.operators.node import postorder
from backproof.papers.paper import EQUATION, Item, PaperSheet
from backproof.papers.spelling import spellings
from backproof.working.claims import HERE, REFUTED, UNDECIDED, Judge
from backproof.working.mending.search import Search, Workbench
from backproof.working.variants import edited, variant

LONGEST = 600
MOST_NODES = 200
DEEPEST = 30
LARGEST_SIZE = 64  # of a literal dimension or the end of a range
LARGEST_POWER = 12
MOST_ENTRIES = 20_000_000  # of any array on the way
MOST_OPERATIONS = 2  # of a number that is left as a fraction or a logarithm
SECONDS = 4.0  # for one answer, before a person is asked
_NUMBERS = re.compile(r"\d[\d.]*(?:[eE][-+]?\d+)?")
_DERIVATIVES = frozenset(("grad", "jac", "hess"))
_SIZED = frozenset(("eye", "ones", "zeros"))
_GROWING = frozenset(("kron", "outer", "einsum", "concat", "stack", "inv", "solve", "det"))


@dataclass(frozen=True)
class Opinion:
    """What became of a symbolic answer.

    verdict    "right" | "wrong" | "undecided" | "unreadable"
    reason     a sentence
    mistake    what was wrong, in words ("a transpose")
    instead    the mended answer
    """

    verdict: str
    reason: str
    mistake: str = ""
    instead: str = ""


class TooSlow(Exception):
    """An answer took longer to judge than it may."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Ends what runs inside after so many seconds; only the main thread can be ended so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def read_expression(text: str) -> ast.Expr | None:
    """The expression of a text, or None where it is none or is larger than anyone writes."""
    if len(text) > LONGEST or any(_too_long(n) for n in _NUMBERS.findall(text)):
        return None
    try:
        expr = parse_expression(Source("answer", text))
    except (BackproofError, ValueError, RecursionError):
        return None
    return expr if _bounded(expr) else None


def _too_long(number: str) -> bool:
    digits, _, exponent = number.lower().partition("e")
    return len(digits) > 20 or len(exponent) > 3 or (exponent != "" and abs(int(exponent)) > 30)


def _bounded(expr: ast.Expr) -> bool:
    """Whether judging an expression cannot cost more than what people write by hand."""
    count, growing, powers = 0, 0, 0
    stack: list[tuple[ast.Expr, int]] = [(expr, 0)]
    while stack:
        node, depth = stack.pop()
        count += 1
        if count > MOST_NODES or depth > DEEPEST or isinstance(node, ast.Comprehension | ast.Text):
            return False
        if isinstance(node, ast.Apply):
            growing += node.op in _GROWING
            if node.op in _DERIVATIVES:
                return False
            if node.op in _SIZED and not all(_small(a, LARGEST_SIZE) for a in node.args):
                return False
            if node.op == "pow":
                powers += 1
                if not _small(node.args[1], LARGEST_POWER):
                    return False
        stack.extend((child, depth + 1) for child in ast.children(node))
    return growing <= 3 and powers <= 6


def _small(expr: ast.Expr, most: int) -> bool:
    """Whether every number in an expression is small."""
    return all(abs(e.value) <= most for e in ast.walk(expr) if isinstance(e, ast.Number))


class SymbolicJudge:
    """Judges symbolic answers on one sheet.

    equations   name -> the student's own right-hand side, where earlier equations are carried on
    """

    def __init__(self, sheet: PaperSheet) -> None:
        self.sheet = sheet
        self.names = {*sheet.model.leaves, *sheet.sheet.dimensions}
        self._scalars = {n for n, leaf in sheet.model.leaves.items() if leaf.is_number}
        self._read: dict[str, ast.Expr | None] = {}
        self._models: dict[tuple[tuple[str, str], ...], Model | None] = {(): sheet.model}
        self._known: dict[tuple[str, str, tuple[tuple[str, str], ...]], Opinion] = {}

    def read(self, text: str) -> ast.Expr | None:
        """The expression of an answer, also where it is written as on paper or in LaTeX.

        As it stands, if that means anything on the sheet; else the first spelling that does.
        """
        if text not in self._read:
            first: ast.Expr | None = None
            chosen: ast.Expr | None = None
            for k, wording in enumerate(spellings(text, self.names, self._scalars)):
                expr = read_expression(wording)
                if k < 2:  # signs that were put in make words of prose an expression
                    first = first or expr
                if expr is not None and self._fits(expr):
                    chosen = expr
                    break
            self._read[text] = chosen or first
        return self._read[text]

    def _fits(self, expr: ast.Expr) -> bool:
        try:
            self.sheet.model.node(expr)
        except (BackproofError, RecursionError, ValueError):
            return False
        return True

    def opinion(self, item: Item, text: str, equations: Mapping[str, str] | None = None) -> Opinion:
        """What is to be said of an answer."""
        own = tuple(sorted((equations or {}).items()))
        key = (item.id, " ".join(text.split()), own)
        if key not in self._known:
            self._known[key] = self._judged(item, text, own)
        return self._known[key]

    def _judged(self, item: Item, text: str, own: tuple[tuple[str, str], ...]) -> Opinion:
        if "".join(text.split()) == "".join(item.key.split()):
            return Opinion("wrong", "it only repeats the question.")
        expr = self.read(text)
        if expr is None:
            if re.search(r"\b(?:grad|jac|hess)\s*\(", text):
                return Opinion("undecided", "it uses another derivative; a person compares.")
            return Opinion("unreadable", "this cannot be read as an expression.")
        model = self._model(own)
        if model is None:
            return Opinion("undecided", "the sheet with your own equations does not fit together.")
        problem = self._names(item, expr)
        if problem:
            return Opinion("undecided" if "not a name" in problem else "wrong", problem)
        assert item.expr is not None
        try:
            with limited(SECONDS), np.errstate(all="ignore"):
                return self._decided(model, item, expr, named=not own)
        except (TooSlow, MemoryError, RecursionError, ArithmeticError, ValueError, LookupError):
            return Opinion("undecided", "this took too long to compare.")
        except BackproofError as error:
            return Opinion("undecided", error.message)

    def carried(
        self, item: Item, text: str, equations: Mapping[str, str]
    ) -> tuple[tuple[str, ...], Opinion]:
        """(the student's own lines that count, what is to be said with these).

        An own equation takes the place of the sheet's; what was written of a quantity that has
        none, such as a weight of the loss, takes its place in what is asked for.
        """
        own = {n: t for n, t in equations.items() if n in self.sheet.sheet.equations}
        found = Opinion("wrong", "")
        if own:
            found = self.opinion(item, text, own)
        said = {n: e for n, t in equations.items() if n not in own
                if (e := self.read(t)) is not None}  # fmt: skip
        if found.verdict == "right" or not said or item.expr is None:
            return tuple(own), found

        def instead(part: ast.Expr) -> ast.Expr | None:
            return said.get(part.id) if isinstance(part, ast.Name) else None

        asked = ast.rewritten(item.expr, instead)
        before = {n.id for n in free_names(item.expr)}
        if asked == item.expr or len({n.id for n in free_names(asked)}) < len(before):
            return tuple(own), found  # nothing of it, or a part of the question is gone
        known = f"{item.id} with {sorted(equations.items())}"
        other = replace(item, id=known, expr=asked)
        names = tuple(n for n in said if n in before)
        return names, self.opinion(other, text)

    def _names(self, item: Item, expr: ast.Expr) -> str:
        sheet = self.sheet.sheet
        used = {n.id for n in free_names(expr)}
        unknown = [
            n for n in used
            if n not in self.sheet.model.leaves and n not in sheet.dimensions
            and n not in CONSTANTS
        ]  # fmt: skip
        if unknown:
            return f"'{sorted(unknown)[0]}' is not a name of the paper."
        if item.kind == EQUATION and isinstance(item.expr, ast.Name):
            order = list(sheet.order)
            later = set(order[order.index(item.expr.id) :]) if item.expr.id in order else set()
            circular = used & later
            if circular:
                return f"it uses '{sorted(circular)[0]}', which is not known there yet."
        if item.expr == expr and unparse(expr) == item.key:
            return "it only repeats the question."
        return ""

    def _model(self, own: tuple[tuple[str, str], ...]) -> Model | None:
        """The sheet with the student's own equations in place of the right ones."""
        if own not in self._models:
            changed: dict[str, ast.Expr] = {}
            for name, text in own:
                expr = self.read(text)
                if expr is not None:
                    changed[name] = expr
            sheet = self.sheet.sheet
            try:
                self._models[own] = variant(sheet, edited(sheet, changed))
            except BackproofError:
                self._models[own] = None
        return self._models[own]

    def _decided(self, model: Model, item: Item, expr: ast.Expr, *, named: bool) -> Opinion:
        assert item.expr is not None
        longer = copy.copy(model)
        longer.sheet = model.sheet.extended(f"claim {unparse(item.expr)} == {unparse(expr)}")
        claim = longer.sheet.claims[-1]
        if too_large(longer, expr):
            return Opinion("undecided", "it is too large to be compared.")
        judge = Judge(longer)
        verdict = judge.claim(claim, proofs=False)
        if verdict.holds:
            how = "true with the values given" if verdict.verdict == HERE else (
                f"equal at {verdict.points} points" if verdict.points else "the value is right"
            )  # fmt: skip
            return Opinion("right", f"{how}.")
        if verdict.verdict == UNDECIDED:
            return Opinion("undecided", verdict.why)
        assert verdict.verdict == REFUTED
        if not named:
            return Opinion("wrong", verdict.why)
        bench = Workbench(judge, [claim], [verdict])
        try:
            found = Search(bench, claim, verdict).best()
        except (BackproofError, ArithmeticError, ValueError, MemoryError, RecursionError):
            found = None
        if found is None:
            return Opinion("wrong", verdict.why)
        instead = found.text.partition("==")[2].strip()
        return Opinion("wrong", verdict.why, found.what, instead)

    # --- what carries an equation on -------------------------------------------------------------

    def carries(self, item: Item, text: str) -> str:
        """Why a wrong equation earns no follow-through; "" where it may be carried on."""
        expr = self.read(text)
        if expr is None or not isinstance(item.expr, ast.Name):
            return "it cannot be read."
        if item.key != item.expr.id and item.expr.id in self.sheet.model.declared:
            return "" if next(free_names(expr), None) else "it is a number."
        equation = self.sheet.sheet.equations.get(item.expr.id)
        if equation is None:
            return "it is no equation of the sheet."
        model = self._model(((item.expr.id, text),))
        if model is None:
            return "the rest does not fit together with it."
        truth = self.sheet.model
        needed = truth.depends_on(truth.definitions[item.expr.id])
        lost = needed - model.depends_on(model.definitions[item.expr.id])
        if 3 * len(lost) > len(needed) or model.definitions[item.expr.id].fill is not None:
            return "it leaves out much of what the equation is about."
        return ""


def too_large(model: Model, expr: ast.Expr) -> bool:
    """Whether evaluating an expression would make an array that no answer needs."""
    try:
        node = model.node(expr)
    except BackproofError:
        return False  # the judge says what does not fit
    for part in postorder([node]):
        entries = 1
        for dim in (*part.shape, *(loop.size for loop in part.loops)):
            entries *= model.graph.resolve(dim).as_int() or 1
        if entries > MOST_ENTRIES:
            return True
    return False


def operations(text: str) -> int:
    """How many operations the entry of an expression takes that has most of them."""
    expr = read_expression(text)
    return 0 if expr is None else max((_count(e) for e in _entries(expr)), default=0)


def _entries(expr: ast.Expr) -> list[ast.Expr]:
    if not isinstance(expr, ast.Array):
        return [expr]
    return [entry for item in expr.items for entry in _entries(item)]


def _count(expr: ast.Expr) -> int:
    return sum(
        isinstance(e, ast.Apply) and e.op not in ("neg", "transpose") for e in ast.walk(expr)
    )


def constant_value(sheet: PaperSheet, text: str) -> np.ndarray | None:
    """The value of an expression without names, such as `1/3` or `log(3)`."""
    expr = read_expression(text)
    if expr is None or any(True for n in free_names(expr) if n.id not in CONSTANTS):
        return None
    from backproof.calculus.evaluate import Evaluator

    try:
        with np.errstate(all="ignore"), limited(SECONDS):
            run = Evaluator(sheet.model.number_sizes(), {}, {})
            value: np.ndarray = run.value(sheet.model.node(expr))
    except (BackproofError, TooSlow, ArithmeticError, ValueError, LookupError, MemoryError):
        return None
    return value if value.ndim == 2 and defined(value) else None
