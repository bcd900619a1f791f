"""Proofs by normal form: two sides are equal when their difference rewrites to zero.

Names are atoms first, and definitions are unfolded only as far as a proof needs: the latest
defined name first, then the next, and in the end every function is written through exponentials.
A proof says which declared facts it used: each is left out in turn to see whether it was needed.
A difference that does not rewrite to zero proves nothing; only a point refutes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from backproof.calculus.bounds import DEEPEST, never_negative
from backproof.calculus.compare import Sides
from backproof.calculus.index.algebra import mul
from backproof.calculus.index.budget import Budget, OutOfBudget, remaining, within
from backproof.calculus.index.match import Rule
from backproof.calculus.index.powers import Undefined
from backproof.calculus.index.reduce import assumption, is_zero, settle
from backproof.calculus.index.terms import Expr, size
from backproof.calculus.model import Model
from backproof.calculus.norms import Bounds
from backproof.calculus.simplify import Simplifier
from backproof.calculus.translate import Translator, facts_of
from backproof.language.syntax import Apply
from backproof.operators.dims import Dim
from backproof.operators.node import Node, quantities

MOST_STEPS = 10
BOUND_SHARE = 4  # bounds that have no short proof get a quarter of the time


@dataclass(frozen=True, slots=True)
class Proof:
    """How a claim was proved, and the declared facts that were used."""

    how: str
    facts: tuple[str, ...] = ()


def prove(model: Model, sides: Sides, *, seconds: float = 2.0) -> Proof | None:
    """A proof that the relation holds for all values, or None when none was found in time."""
    budget = Budget(seconds)
    try:
        with within(budget):
            found = _search(model, sides)
    except (OutOfBudget, Undefined, RecursionError):
        return None
    if found is None:
        return None
    if found.by_norms:
        return Proof("it follows from ‖A B‖ ≤ ‖A‖ ‖B‖ and the like")
    facts = _needed(model, sides, found.names, found.cheap, min(seconds, 0.3))
    unfolded = f" after unfolding {', '.join(found.names)}" if found.names else ""
    if sides.relation == "eq":
        return Proof(f"both sides have the same normal form{unfolded}", facts)
    sign = "positive" if sides.relation in ("gt", "lt") else "never negative"
    return Proof(f"the larger side less the smaller is {sign}{unfolded}", facts)


@dataclass(frozen=True, slots=True)
class _Found:
    """The names whose definitions had to be unfolded, and whether cheap rewriting was enough."""

    names: tuple[str, ...]
    cheap: bool
    by_norms: bool = False


def _search(model: Model, sides: Sides) -> _Found | None:
    """How the relation is shown, or None.

    Cheap rewriting is tried at every stage of unfolding first; everything else only afterwards.
    """
    stages = []
    for unfolded, _ in _unfoldings(model, sides.nodes):
        if _holds(model, sides, unfolded, cheap=True):
            return _Found(tuple(unfolded), True)
        stages.append(unfolded)
    if sides.relation != "eq":
        return _by_norms(model, sides, stages) or _bound(model, sides, stages)
    for unfolded in reversed(stages):
        if _holds(model, sides, unfolded, cheap=False):
            return _Found(tuple(unfolded), False)
    return None


def _bound(model: Model, sides: Sides, stages: list[list[str]]) -> _Found | None:
    """A bound by everything that bounds are proved with, at every stage of unfolding."""
    deadline = time.thread_time() + remaining() / BOUND_SHARE
    for unfolded in stages:
        try:
            with within(Budget(min(remaining(), deadline - time.thread_time()))):
                if _holds(model, sides, unfolded, cheap=False):
                    return _Found(tuple(unfolded), False)
        except (OutOfBudget, Undefined, RecursionError):
            if time.thread_time() > deadline:
                return None
    return None


def _by_norms(model: Model, sides: Sides, stages: list[list[str]]) -> _Found | None:
    """A bound through an inequality of norms: a bound of the smaller side, at most the larger."""
    if sides.relation not in ("le", "ge") or sides.left.loops or sides.right.loops:
        return None
    low, high = (sides.left, sides.right) if sides.relation == "le" else (sides.right, sides.left)
    if not (low.is_number and high.is_number):
        return None
    low = model.definitions.get(low.name or "", low)
    readable = Simplifier(model).plain(low)
    known = Bounds(model)
    bounds = list(dict.fromkeys([*known.size(low)[1:], *known.size(readable)[1:]]))
    gaps: list[tuple[list[str], Expr]] = []
    for unfolded in (stages[0], stages[-1]):
        translator = Translator(model, unfolded)  # the bounds share most of their parts
        above = translator.entry(high, ("", ""))
        for bound in bounds:
            gap = above - translator.entry(bound, ("", ""))
            if gap.is_zero:  # nothing to search for
                return _Found(tuple(unfolded), False, by_norms=True)
            gaps.append((unfolded, gap))
    for unfolded, gap in gaps:
        if never_negative(gap, deepest=1) or settle(gap).is_zero:
            return _Found(tuple(unfolded), False, by_norms=True)
    return None


def _holds(
    model: Model,
    sides: Sides,
    unfolded: Iterable[str],
    *,
    cheap: bool,
    without: Iterable[str] = (),
) -> bool:
    """Whether the difference is zero (or of one sign) with these names unfolded."""
    gap = difference(model, sides, unfolded, without)
    if sides.relation != "eq":
        turned = gap if sides.relation in ("ge", "gt") else -gap
        strictly = sides.relation in ("gt", "lt")
        return never_negative(turned, strictly=strictly, deepest=1 if cheap else DEEPEST)
    if gap.is_zero:
        return True
    rules = _assumptions(model, unfolded, without)
    if cheap:
        return settle(gap, rules).is_zero
    sizes = {f"x{k}": size(d) for k, d in enumerate(_axes(model, sides))}
    return is_zero(gap, rules, Budget(remaining()), sizes)


def _axes(model: Model, sides: Sides) -> tuple[Dim, ...]:
    shapes = [model.graph.resolve_shape(n.shape) for n in (sides.left, sides.right)]
    return max(shapes, key=len)


def _assumptions(model: Model, unfolded: Iterable[str], without: Iterable[str]) -> tuple[Rule, ...]:
    """The sheet's assumed equations, as rewriting rules."""
    rules = []
    for assume in model.sheet.assumes:
        condition = assume.condition
        if isinstance(condition, Apply) and condition.op == "eq":
            left, right = (model.node(a) for a in condition.args)
            translator = Translator(model, unfolded, without)
            labels = [f"x{k}" for k in range(len(left.shape))]
            rule = assumption(translator.entry(left, labels), translator.entry(right, labels))
            if rule is not None:
                rules.append(rule)
    return tuple(rules)


def _unfoldings(model: Model, nodes: Iterable[Node]) -> Iterator[tuple[list[str], bool]]:
    """Sets of names to unfold, growing from none to all; the last with functions unfolded too."""
    order = {name: k for k, name in enumerate(model.definitions)}
    unfolded: list[str] = []
    frontier = {n for n in quantities(nodes) if n in order}
    yield [], not frontier
    steps = 0
    while frontier:
        take = [max(frontier, key=lambda n: order[n])] if steps < MOST_STEPS else list(frontier)
        steps += 1
        for name in take:
            unfolded.append(name)
            frontier |= {n for n in quantities([model.definitions[name]]) if n in order}
        frontier -= set(unfolded)
        yield list(unfolded), not frontier


def difference(
    model: Model, sides: Sides, unfolded: Iterable[str] = (), without: Iterable[str] = ()
) -> Expr:
    """left - right in index notation, over free labels x0, x1, … for the axes."""
    translator = Translator(model, unfolded, without)
    rank = max(len(sides.left.shape), len(sides.right.shape))
    labels = [f"x{k}" for k in range(rank)]
    left = translator.entry(sides.left, labels[: len(sides.left.shape)])
    right = translator.entry(sides.right, labels[: len(sides.right.shape)])
    if sides.mask is None:
        return left - right
    # Only where the condition holds is anything claimed: there the difference times 1 vanishes.
    return mul(left - right, translator.entry(sides.mask, ("", "")))


def _needed(
    model: Model, sides: Sides, unfolded: tuple[str, ...], cheap: bool, seconds: float
) -> tuple[str, ...]:
    """The declared facts without which the same proof does not go through."""
    used = {n for node in sides.nodes for n in model.depends_on(node)}
    candidates = [n for n in model.declared if n in used and facts_of(model.declared[n])]
    needed = []
    deadline = time.thread_time() + seconds
    for name in candidates:
        try:
            with within(Budget(max(0.01, deadline - time.thread_time()))):
                if _holds(model, sides, unfolded, cheap=cheap, without=(name,)):
                    continue
        except (OutOfBudget, Undefined, RecursionError):
            if time.thread_time() > deadline:
                break
        needed.append(f"{name} is {_in_words(model, name)}")
    return tuple(needed)


_WORDS = {
    "pos": "positive",
    "onehot": "one-hot",
    "prob": "a probability",
    "sym": "symmetric",
    "posdef": "positive definite",
    "diagonal": "diagonal",
    "orthogonal": "orthogonal",
}


def _in_words(model: Model, name: str) -> str:
    fact = model.declared[name]
    if fact.kind == "labels":
        return "in {" + ", ".join(str(b) for b in fact.bounds) + "}"
    if fact.kind == "interval":
        return f"in ({fact.bounds[0]}, {fact.bounds[1]})"
    return _WORDS[fact.kind]
