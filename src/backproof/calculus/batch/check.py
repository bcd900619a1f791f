"""The witness of a batch: at random points it is, column by column, what each sample gives alone.

The batch sheet is read back from its text and evaluated as it stands; every sample is evaluated
with the per-sample sheet. In decimals, unless the arrays are too large for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from backproof.calculus.batch.sheet import BatchSheet
from backproof.calculus.evaluate import Evaluator, defined
from backproof.calculus.points import Point, draw_points
from backproof.errors import InternalContradiction
from backproof.operators.arithmetic import decimal_context
from backproof.operators.node import Node

Array = Any


@dataclass(frozen=True, slots=True)
class BatchChecked:
    """How a batch was checked.

    points       random points tried
    samples      samples compared, over all points
    quantities   names compared, column by column
    undefined    points left out because something is undefined there
    """

    points: int
    samples: int
    quantities: int
    undefined: int = 0


def check_batch(batch: BatchSheet, points: int = 2, seed: int = 11) -> BatchChecked:
    """Compares every quantity and the loss; a contradiction is our bug and is raised."""
    tried = samples = undefined = 0
    with decimal_context(), np.errstate(all="ignore"):
        for point, run, singles in _points(batch, points + 4, seed):
            if tried == points:
                break
            outcome = _compare(batch, run, singles, _near(point))
            if outcome is None:
                undefined += 1
                continue
            if outcome:
                raise _contradiction(f"the batch of {outcome}")
            tried += 1
            samples += len(singles)
    sampled = sum(e.sampled for e in batch.equations)
    return BatchChecked(tried, samples, sampled, undefined)


def check_gradients(
    batch: BatchSheet, nodes: Mapping[str, Node], points: int = 2, seed: int = 13
) -> BatchChecked:
    """Compares gradients of the batch loss with the mean of the samples' gradients.

    nodes   parameter -> the gradient, as a node of the batch model
    """
    tried = samples = undefined = 0
    single = batch.single
    root = single.leaves[batch.loss]
    alone = {p: single.deriver.gradient(root, p) for p in nodes}
    with decimal_context(), np.errstate(all="ignore"):
        for point, run, singles in _points(batch, points + 4, seed):
            if tried == points:
                break
            good = True
            for parameter, node in nodes.items():
                mine = run.value(node)
                mean = sum(s.value(alone[parameter]) for s in singles) / len(singles)
                if not (defined(mine) and defined(np.asarray(mean))):
                    good = False
                    break
                if _differ(mine, mean, _near(point) * max(run.largest(), 1)):
                    raise _contradiction(f"the gradient of the batch loss by {parameter}")
            if not good:
                undefined += 1
                continue
            tried += 1
            samples += len(singles)
    return BatchChecked(tried, samples, len(nodes), undefined)


def sample_values(batch: BatchSheet, run: Evaluator, k: int) -> dict[str, Array]:
    """The declared values of sample *k* (from zero), out of a batch's."""
    values = {}
    for name in batch.single.declared:
        array = run.named(batch.names[name])
        if name in batch.classes:
            column = _column(batch, array, k)
            place = int(np.argmax(column[:, 0] == 1)) + 1
            values[name] = run.xp.array([[place]])
        elif batch.names[name] == name and not _is_sampled(batch, name):
            values[name] = array
        else:
            column = _column(batch, array, k)
            values[name] = column.T if name in batch.turned else column
    return values


def _is_sampled(batch: BatchSheet, name: str) -> bool:
    return next(r.batched for r in batch.roles if r.name == name)


def _column(batch: BatchSheet, array: Array, k: int) -> Array:
    return array[k : k + 1, :].T if batch.rows else array[:, k : k + 1]


def _points(
    batch: BatchSheet, count: int, seed: int
) -> Iterator[tuple[Point, Evaluator, Sequence[Evaluator]]]:
    """(point, the batch there, each sample alone there)."""
    fixed = batch.model.given_values(exact=True)
    for point in draw_points(batch.model, count, seed, fixed=fixed):
        exact = not point.large
        run = point.evaluator(batch.model, exact=exact)
        size = int(batch.size) if batch.size.isdecimal() else point.sizes[batch.size]
        singles = [
            Evaluator(
                point.sizes, sample_values(batch, run, k), batch.single.definitions, exact=exact
            )
            for k in range(size)
        ]
        yield point, run, singles


def _near(point: Point) -> Any:
    return 1e-9 if point.large else Decimal("1e-32")


def _compare(
    batch: BatchSheet, run: Evaluator, singles: Sequence[Evaluator], near: Any
) -> str | None:
    """The name that differs, "" where all agree, None where something is undefined."""
    total = run.named(batch.loss)
    for equation in batch.equations:
        mine = run.named(equation.renamed)
        if not defined(mine):
            return None
        scale = near * max(run.largest(), 1)
        for k, alone in enumerate(singles):
            theirs = alone.named(equation.name)
            if not defined(theirs):
                return None
            if equation.sampled:
                column = _column(batch, mine, k)
                column = column.T if equation.turned else column
            else:
                column = mine
            if _differ(column, theirs, scale):
                return equation.name
    mean = sum(s.named(batch.loss) for s in singles) / len(singles)
    return batch.loss if _differ(total, mean, near * max(run.largest(), 1)) else ""


def _differ(a: Array, b: Array, near: Any) -> bool:
    return a.shape != np.shape(b) or bool((np.abs(a - b) > near).any())


def _contradiction(what: str) -> InternalContradiction:
    return InternalContradiction(
        f"{what} differs from what its samples give alone. This is a bug in backproof.",
        hint="please report the sheet that showed it",
    )
