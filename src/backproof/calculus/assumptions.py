"""Moves a random point to where the sheet's `assume` lines hold.

Inequalities are met by drawing again; equations by Gauss–Newton steps from the random start,
first in double precision and then refined in decimals with the same factorised Jacobian, so that
the assumption holds to more digits than any comparison looks at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from backproof.calculus.evaluate import Evaluator
from backproof.calculus.model import Model
from backproof.operators.node import Node

Array = Any
Condition = tuple[str, Node, Node]

_HOLDS = {
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "ne": np.not_equal,
}  # fmt: skip


def satisfy(
    model: Model,
    conditions: Sequence[Condition],
    sizes: Mapping[str, int],
    exact: Mapping[str, Array],
    fixed: frozenset[str],
) -> dict[str, Array] | None:
    """The leaves' values moved to where all conditions hold, or None when that fails."""
    values = dict(exact)
    equations = [(a, b) for relation, a, b in conditions if relation == "eq"]
    if equations:
        moved = _solve(model, equations, sizes, values, fixed)
        if moved is None:
            return None
        values = moved
    run = Evaluator(sizes, values, model.definitions, exact=True)
    for relation, a, b in conditions:
        if relation != "eq" and not np.all(_HOLDS[relation](run.value(a), run.value(b))):
            return None
    return values


def _solve(
    model: Model,
    equations: Sequence[tuple[Node, Node]],
    sizes: Mapping[str, int],
    values: dict[str, Array],
    fixed: frozenset[str],
) -> dict[str, Array] | None:
    gaps = [a - b for a, b in equations]
    names = sorted(
        {n for g in gaps for n in model.depends_on(g)} - fixed
        - {n for n, f in model.declared.items() if f.kind not in ("real", "pos", "interval")}
    )  # fmt: skip
    if not names:
        run = Evaluator(sizes, values, model.definitions, exact=True)
        small = all(abs(x) < Decimal("1e-30") for g in gaps for x in run.value(g).flat)
        return values if small else None
    jacobians = [[model.deriver.jacobian(g, n) for n in names] for g in gaps]
    floats = {n: a.astype(np.float64) for n, a in values.items()}
    inverse = None
    for _ in range(40):
        run = Evaluator(sizes, floats, model.definitions)
        residual = np.concatenate([run.value(g).ravel() for g in gaps])
        inverse = np.linalg.pinv(_jacobian(run, gaps, jacobians, floats, names), rcond=1e-8)
        if np.abs(residual).max() < 1e-13:
            break
        floats = _moved(floats, names, -(inverse @ residual))
    else:
        return None
    result = {
        n: np.frompyfunc(Decimal, 1, 1)(floats[n]) if n in names else a for n, a in values.items()
    }
    for _ in range(12):  # chord steps: each gains about ten digits
        exact_run = Evaluator(sizes, result, model.definitions, exact=True)
        gap = np.concatenate([exact_run.value(g).ravel() for g in gaps])
        if all(abs(x) < Decimal("1e-42") for x in gap):
            return result if _inside(model, result, names) else None
        step = -(np.frompyfunc(Decimal, 1, 1)(inverse) @ gap)
        result = _moved(result, names, step)
    return None


def _jacobian(
    run: Evaluator,
    gaps: Sequence[Node],
    jacobians: Sequence[Sequence[Node]],
    values: Mapping[str, Array],
    names: Sequence[str],
) -> Array:
    rows = []
    for gap, parts in zip(gaps, jacobians, strict=True):
        entries = run.value(gap).size
        blocks = [
            run.value(j).reshape(values[n].size, entries).T
            for j, n in zip(parts, names, strict=True)
        ]
        rows.append(np.concatenate(blocks, axis=1))
    return np.concatenate(rows, axis=0)


def _moved(values: Mapping[str, Array], names: Sequence[str], step: Array) -> dict[str, Array]:
    result, at = dict(values), 0
    for name in names:
        size = values[name].size
        result[name] = values[name] + step[at : at + size].reshape(values[name].shape)
        at += size
    return result


def _inside(model: Model, values: Mapping[str, Array], names: Sequence[str]) -> bool:
    for name in names:
        fact = model.declared[name]
        if fact.kind == "pos" and not (values[name] > 0).all():
            return False
        if fact.kind == "interval":
            low, high = (float(b) for b in fact.bounds)
            array = values[name].astype(np.float64)
            if not ((array > low) & (array < high)).all():
                return False
    return True
