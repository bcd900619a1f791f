"""Marks sets of names, counts and bounds: what stands below in a tree, what slows learning.

A set earns its part for each name, and names that do not belong there cost one each, so that
writing down everything earns nothing. Data may be left out of a tree. What depends on earlier
lines follows them: the paths of the student's own tree, the smallest of the student's own norms.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from backproof.calculus.points import draw_points
from backproof.errors import BackproofError
from backproof.language import syntax as ast
from backproof.language.format import unparse
from backproof.language.names import free_names
from backproof.operators.node import quantities
from backproof.papers.asked import SlowFactor, slow_factors, slow_product
from backproof.papers.numbers import read_numeric
from backproof.papers.paper import COUNT, SET, Item, PaperSheet
from backproof.working.claims import PROVED, REFUTED, Judge

if TYPE_CHECKING:
    from backproof.papers.marking import Line
    from backproof.papers.symbolic import SymbolicJudge

MOST_PIECES = 60
CLOSE = 1.5  # within this of the smallest, a factor may be named as the weakest too
POINTS = 24
SAME = 1e-9


class SetMarker:
    """Marks the sets, counts and bounds of one sheet."""

    def __init__(self, sheet: PaperSheet, symbolic: SymbolicJudge) -> None:
        self.sheet = sheet
        self.model = sheet.model
        self.symbolic = symbolic
        self._factors: dict[str, list[SlowFactor]] = {}
        self._passing: dict[str, dict[str, float]] = {}
        self._bounds: dict[tuple[str, str], tuple[str, Fraction | None, str]] = {}

    def mark(
        self, item: Item, text: str, answers: Mapping[str, str], own: Mapping[str, float],
        wrong: Sequence[str],
    ) -> Line:  # fmt: skip
        """The marked line.

        answers   what the script says, by item id
        own       the student's own norms, by key; those in `wrong` are wrong
        """
        if item.kind == SET and item.key.startswith("below("):
            return self._below(item, text)
        if item.kind == SET:
            return self._slow(item, text, own, wrong)
        if item.kind == COUNT:
            return self._count(item, text, answers)
        return self._bound(item, text)

    # --- a tree ------------------------------------------------------------------------------

    def _below(self, item: Item, text: str) -> Line:
        from backproof.papers.marking import RIGHT, UNREADABLE, WRONG, Line

        assert isinstance(item.expr, ast.Name)
        found = names_in(text)
        if not found:
            return Line(item.id, text, UNREADABLE, Fraction(0), "expected names, such as a2, y.")
        wanted, optional = self.wanted(item)
        extra = [n for n in found if n not in wanted and n not in optional]
        missing = [n for n in wanted if n not in found]
        hits = len(wanted) - len(missing)
        share = Fraction(max(0, hits - len(extra)), len(wanted))
        if share == 1:
            return Line(item.id, text, RIGHT, share, "right.")
        reason = f"right below {item.prompt} stand {item.answer}."
        if extra:
            reason += f" Not there: {', '.join(extra[:6])}."
        return Line(item.id, text, WRONG, share, reason, self._tree_mistake(item, extra, missing))

    def wanted(self, item: Item) -> tuple[list[str], set[str]]:
        """(the names that must be there, those that may): data may be left out."""
        names = item.answer.split(", ")
        data = {n for n in names if self.model.sheet.kind_of(n) == "given"}
        return ([n for n in names if n not in data], data) if data < set(names) else (names, set())

    def _tree_mistake(self, item: Item, extra: list[str], missing: list[str]) -> str:
        uses = self.model.sheet.uses
        above = {n for n in uses if item.prompt in uses[n]}
        if extra and set(extra) <= above:
            return "the tree turned round"
        deeper = {m for n in item.answer.split(", ") for m in uses.get(n, ())}
        if extra and set(extra) <= deeper:
            return "a level left out"
        return "a name missing" if missing and not extra else ""

    def _count(self, item: Item, text: str, answers: Mapping[str, str]) -> Line:
        from backproof.papers.marking import FOLLOWS, RIGHT, UNREADABLE, WRONG, Line

        numeric = read_numeric(text)
        if numeric is None or numeric.array.size != 1:
            return Line(item.id, text, UNREADABLE, Fraction(0), "expected a whole number.")
        number = float(numeric.array.item())
        if number == float(item.answer):
            return Line(item.id, text, RIGHT, Fraction(1), "right.")
        if item.expr is not None and number > 0:
            count, own = self._own_paths(item, answers)
            if own and count == number:
                reason = f"it follows from your own {', '.join(own)}."
                return Line(item.id, text, FOLLOWS, Fraction(1), reason, carried=own)
        mistake = ""
        if item.key.startswith("updates(") and number == float(item.answer) - 1:
            mistake = "the last, smaller batch left out"
        return Line(item.id, text, WRONG, Fraction(0), f"it is {item.answer}.", mistake)

    def _own_paths(self, item: Item, answers: Mapping[str, str]) -> tuple[int, tuple[str, ...]]:
        """(how many paths lead to the name in the student's own tree, the wrong lines in it)."""
        children: dict[str, list[str]] = {}
        wrong: list[str] = []
        below = [i for i in self.sheet.items if i.kind == SET and i.key.startswith("below(")]
        for one in below:
            wanted, optional = self.wanted(one)
            children[one.prompt] = [*wanted, *optional]
            text = answers.get(one.id, "")
            found = [n for n in names_in(text) if n in self.model.leaves]
            if found:
                children[one.prompt] = found
                if set(found) - optional != set(wanted):
                    wrong.append(one.key)
        counts: dict[str, int] = {}

        def count(name: str, depth: int) -> int:
            if name == item.prompt:
                return 1
            if depth > len(below):
                raise RecursionError  # the student's tree runs in a circle
            if name not in counts:
                counts[name] = sum(count(n, depth + 1) for n in children.get(name, ()))
            return counts[name]

        try:
            return (count(below[0].prompt, 0) if below else 0), tuple(wrong)
        except RecursionError:
            return 0, ()

    # --- slow learning -------------------------------------------------------------------------

    def factors(self, name: str) -> list[SlowFactor]:
        """The factors of the gradient by a parameter."""
        if name not in self._factors:
            self._factors[name] = slow_factors(self.model, slow_product(self.model, name))
        return self._factors[name]

    def _slow(self, item: Item, text: str, own: Mapping[str, float], wrong: Sequence[str]) -> Line:
        from backproof.papers.marking import FOLLOWS, RIGHT, UNREADABLE, WRONG, Line

        factors = self.factors(item.prompt if item.expr is None else unparse(item.expr))
        found: set[str] = set()
        extra: list[str] = []
        for piece in pieces(text):
            factor = self._meant(piece, factors)
            if factor is not None:
                found.add(factor.key)
            elif not self._rate(piece, factors):
                extra.append(piece)
        if not found:
            why = f"expected factors, such as {factors[0].key}."
            return Line(item.id, text, UNREADABLE, Fraction(0), why)
        if item.key.startswith("factors("):
            share = Fraction(max(0, len(found) - len(extra)), len(factors))
            told = f"the factors are {', '.join(f.key for f in factors)}, and the learning rate."
            verdict, reason = (RIGHT, "right.") if share == 1 else (WRONG, told)
            return Line(item.id, text, verdict, share, reason)
        right = self.weakest(item, {})
        if not extra and found <= right:
            told = f"{', '.join(sorted(right))}: it lets least through."
            return Line(item.id, text, RIGHT, Fraction(1), told)
        mine = self.weakest(item, own) if wrong else set()
        if not extra and found <= mine:
            reason = f"it follows from your own {', '.join(wrong)}."
            return Line(item.id, text, FOLLOWS, Fraction(1), reason, carried=tuple(wrong))
        reason = f"the weakest factor is {' or '.join(sorted(right))}."
        return Line(item.id, text, WRONG, Fraction(0), reason)

    def weakest(self, item: Item, own: Mapping[str, float]) -> set[str]:
        """The keys of the factors that may be called the weakest.

        The smallest norm counts, and so does the factor at which the gradient shrinks most.

        own   the student's own norms, in place of the right ones
        """
        name = unparse(item.expr) if item.expr is not None else item.prompt
        norms, passing = self._numbers(name)
        norms = {key: own.get(key, value) for key, value in norms.items()}
        told = _smallest(norms)
        return told if own else told | _smallest(passing)

    def _numbers(self, name: str) -> tuple[dict[str, float], dict[str, float]]:
        """(norm, what share of the gradient passes) of each factor but the error itself."""
        values, kept = self.sheet.values, [f for f in self.factors(name) if f.kind != "loss"]
        norms = {f.key: float(values.expression(f.expr).item()) for f in kept}
        if name not in self._passing:
            self._passing[name] = self._passes(name)
        return norms, self._passing[name]

    def _passes(self, name: str) -> dict[str, float]:
        from backproof.working.slow_numbers import gains_of, given_run

        product = slow_product(self.model, name)
        run = given_run(self.model, product)
        found: dict[str, float] = {}
        keyed = [f for f in self.factors(name) if f.kind != "loss"]
        if run is None or len(product.paths) != 1:
            return found
        (path,) = product.paths
        with np.errstate(all="ignore"):
            rows = [r for r, f in zip(gains_of(run, path), path.factors, strict=True)
                    if f.kind not in ("loss", "constant", "jacobian")]  # fmt: skip
        if len(rows) == len(keyed):
            for factor, (_, before, after) in zip(keyed, rows, strict=True):
                if before:
                    found[factor.key] = float(after / before)
        return found

    def _meant(self, piece: str, factors: Sequence[SlowFactor]) -> SlowFactor | None:
        """The factor that a piece of text stands for."""
        if piece.casefold() in ("error", "the error", "loss"):
            return next((f for f in factors if f.kind == "loss"), None)
        names = self._names(piece)
        if not names:
            return None
        keyed = re.match(r"\s*(slope|norm)\s*\(", piece)
        fits = []
        for factor in factors:
            if keyed and not factor.key.startswith(keyed[1]):
                continue
            own = {n for n in names if n in factor.names or self._made_of(n, factor.names)}
            if own == names:
                fits.append(factor)
        fits.sort(key=lambda f: (f.names != names, len(f.names), f.kind == "loss"))
        return fits[0] if fits else None

    def _names(self, piece: str) -> set[str]:
        from backproof.papers.symbolic import read_expression

        plain = re.sub(r"^\s*(slope|norm|max|of)\s*\(", "(", piece.replace("'", ""))
        expr = read_expression(re.sub(r"[‖|]₂?", " ", plain).strip())
        return set() if expr is None else {n.id for n in free_names(expr)}

    def _made_of(self, name: str, names: frozenset[str]) -> bool:
        """Whether a name, such as D1, is computed from these only."""
        node = self.model.definitions.get(name)
        return node is not None and bool(quantities([node])) and quantities([node]) <= set(names)

    def _rate(self, piece: str, factors: Sequence[SlowFactor]) -> bool:
        """Whether a piece names the learning rate, which may be left out."""
        used = {n for f in factors for n in f.names}
        names = self._names(piece)
        return "rate" in piece.casefold() or bool(
            names
            and all(
                n in self.model.leaves and n not in used and self.model.leaves[n].is_number
                and self.model.sheet.kind_of(n) == "given"
                for n in names
            )
        )  # fmt: skip

    # --- a bound -------------------------------------------------------------------------------

    def _bound(self, item: Item, text: str) -> Line:
        from backproof.papers.marking import Line

        said = re.sub(r"‖([^‖]*)‖[₂]?", r"norm(\1)", re.split(r"<=|≤", text)[-1]).strip()
        key = (item.id, " ".join(said.split()))
        if key not in self._bounds:
            self._bounds[key] = self._judged_bound(item, said)
        verdict, share, reason = self._bounds[key]
        return Line(item.id, text, verdict, share, reason)

    def _judged_bound(self, item: Item, text: str) -> tuple[str, Fraction | None, str]:
        """(verdict, share, reason): as tight as ours and never below is right."""
        from backproof.papers.marking import UNDECIDED, UNREADABLE
        from backproof.papers.symbolic import (
            SECONDS,
            TooSlow,
            limited,
            read_expression,
            too_large,
        )

        theirs, ours = self.symbolic.read(text), read_expression(item.answer)
        if theirs is None:
            return UNREADABLE, Fraction(0), "this cannot be read as an expression."
        assert ours is not None
        unknown = [n.id for n in free_names(theirs) if n.id not in self.model.leaves]
        if unknown:
            return UNDECIDED, None, f"'{unknown[0]}' is not a name of the paper."
        if too_large(self.model, theirs):
            return UNDECIDED, None, "it is too large to be compared."
        gradient = f"norm({item.prompt})"
        try:
            with limited(SECONDS), np.errstate(all="ignore"):
                return self._compared(gradient, theirs, ours) or (UNDECIDED, None, "no points.")
        except (TooSlow, MemoryError, RecursionError, ArithmeticError, ValueError, LookupError):
            return UNDECIDED, None, "this took too long to compare."
        except BackproofError as error:
            return UNDECIDED, None, error.message

    def _compared(
        self, gradient: str, theirs: ast.Expr, ours: ast.Expr
    ) -> tuple[str, Fraction | None, str]:
        from backproof.papers.marking import RIGHT, UNDECIDED, WRONG

        ratios = []
        for point in draw_points(self.model, POINTS, 17):
            run = point.evaluator(self.model, exact=False)
            mine = run.value(self.model.node(theirs))
            if mine.size != 1:
                return WRONG, Fraction(0), "a bound is a number."
            ratios.append(float(mine.item()) / float(run.value(self.model.node(ours)).item()))
        if not ratios or not np.isfinite(ratios).all():
            return UNDECIDED, None, "it could not be evaluated."
        if max(ratios) < 1 + SAME and min(ratios) > 1 - SAME:
            return RIGHT, Fraction(1), "right."
        longer = copy.copy(self.model)
        longer.sheet = self.model.sheet.extended(f"claim {gradient} <= {unparse(theirs)}")
        verdict = Judge(longer).claim(longer.sheet.claims[-1], proofs=True)
        if verdict.verdict == REFUTED:
            return WRONG, Fraction(0), f"this is no bound: {verdict.why}"
        if verdict.verdict == PROVED and max(ratios) < 1 + SAME:
            return RIGHT, Fraction(1), "right, and proved."
        loose = max(ratios)
        if loose > 1 + SAME:
            return UNDECIDED, None, (
                f"true at every point tried, but up to {loose:.3g} times {unparse(ours)}; a person "
                "decides what that is worth."
            )  # fmt: skip
        return UNDECIDED, None, "neither refuted nor proved; a person decides."


def _smallest(sizes: Mapping[str, float]) -> set[str]:
    if not sizes:
        return set()
    least = min(sizes.values())
    return {key for key, size in sizes.items() if size <= CLOSE * least}


def names_in(text: str) -> list[str]:
    """The names in a list such as `{a2, y}` or `a2 and y`, each once."""
    words = re.split(r"[\s,;{}\[\]()]+|\band\b", text.strip())
    return list(dict.fromkeys(w for w in words if re.fullmatch(r"[^\W\d]\w*", w)))[:MOST_PIECES]


def pieces(text: str) -> Iterator[str]:
    """What stands between the commas of a text, outside of brackets."""
    depth, piece, count = 0, "", 0
    for sign in text.strip().strip("{}") + ",":
        if sign in "([":
            depth += 1
        elif sign in ")]":
            depth -= 1
        if sign in ",;" and depth <= 0:
            if piece.strip() and count < MOST_PIECES:
                count += 1
                yield piece.strip()
            piece = ""
        else:
            piece += sign
