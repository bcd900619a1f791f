"""`ask slow` in numbers: the norm of every factor, what it lets through, saturated units, layers.

Everything is measured at the values that the sheet gives, or over many samples as quartiles.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from backproof.calculus.evaluate import Evaluator
from backproof.calculus.factors import Path, Product, measure, norm_of
from backproof.calculus.model import Model
from backproof.calculus.values import sheet_values
from backproof.calculus.ways import Factor
from backproof.errors import ValueProblem
from backproof.operators.node import Node, postorder, quantities
from backproof.working.slow import SHARE, heading, layer_names, note, percent
from backproof.working.spelled import line_latex
from backproof.working.steps import Step

if TYPE_CHECKING:
    from backproof.working.slow import Words

Array = Any
BAR = 24  # blocks of the longest bar; each block less is a factor of 2
SLOW = 0.1  # a factor that lets less than this through is named as a cause
FITS = 0.05  # a loss whose gradient is below this has little left to learn
MOST_SAMPLES = 2000
MOST_UNITS = 8  # units whose share is written out


def given_run(model: Model, product: Product) -> Evaluator | None:
    """An evaluator at the sheet's values, or None where some are missing."""
    values = sheet_values(model)
    if not values.computable(product.gradient) or not values.computable(model.leaves[product.loss]):
        return None
    return Evaluator(model.number_sizes(), model.given_values(exact=False), model.definitions)


def numbers(words: Words, run: Evaluator) -> tuple[list[Step], dict[str, Any]]:
    """The working at the sheet's values, and the same as data."""
    of, model = words.of, words.model
    with np.errstate(all="ignore"):
        steps = [heading("In numbers, at the sheet's values")]
        total = norm_of(run, of.gradient, model.leaves[of.wrt])
        weights = float(np.linalg.norm(run.named(of.wrt)))
        steps.append(
            Step(
                f"‖∂{of.loss}/∂{of.wrt}‖", f"‖∂{of.loss}/∂{of.wrt}‖ = {n(total)}", value=total,
                kind="result",
                because=f"the bound is {n(of.bounds(run, sups=True)[of.wrt])}, with the slopes "
                f"as they are {n(of.bounds(run, sups=False)[of.wrt])}",
            )
        )  # fmt: skip
        if weights:
            steps.append(
                Step(
                    "size", f"‖{of.wrt}‖ = {n(weights)}; a step at rate 1 would change it by "
                    f"{percent(total / weights)}", value=total / weights, kind="numbers", depth=1,
                )
            )  # fmt: skip
        gains = [gains_of(run, p) for p in of.paths]
        for k, (path, rows) in enumerate(zip(of.paths, gains, strict=True), 1):
            if len(of.paths) > 1:
                steps.append(Step(f"path {k}", " → ".join((of.loss, *path.names)), kind="path"))
            steps.extend(_table(words, path, rows))
        units = list(_units(words, run))
        steps.extend(u[0] for u in units)
        steps.extend(_causes(words, gains, total))
        layers, layer_steps = _layers(words, run)
        steps.extend(layer_steps)
    data = {
        "gradient": total,
        "factors": [
            [
                {"factor": words.shown(p, f), "norm": size, "before": before, "after": after}
                for f, (size, before, after) in zip(p.factors, rows, strict=True)
            ]
            for p, rows in zip(of.paths, gains, strict=True)
        ],
        "units": [u[1] for u in units],
        "layers": layers,
    }
    return steps, data


Gains = list[tuple[float, float, float]]  # of each factor: its norm, the gradient before, after


def gains_of(run: Evaluator, path: Path) -> Gains:
    """The norm of each factor, and the gradient along the path before and after it."""
    rows: Gains = []
    before = math.nan
    for factor, node in zip(path.factors, path.after, strict=True):
        a = np.asarray(run.value(node), dtype=np.float64)
        after = float(np.sqrt(np.sum(a * a)))
        rows.append((measure(run, factor), before, after))
        before = after
    return rows


def _table(words: Words, path: Path, rows: Gains) -> Iterator[Step]:
    for factor, (size, before, after) in zip(path.factors, rows, strict=True):
        if factor.kind == "constant":
            continue
        line = f"{words.norm(factor)} = {n(size)}"
        if factor.sup is not None:
            line += f" of at most {factor.sup_shown}"
        if factor.kind == "loss":
            yield Step(factor.shown, line, value=size, kind="numbers", depth=1)
            continue
        passes = after / before if before else 0.0
        because = f"the gradient goes from {n(before)} to {n(after)}, times {n(passes)}"
        if factor.kind == "weights" and size and passes < SLOW * size:
            because += f"; nearly orthogonal, {percent(passes / size)} of what its norm lets by"
        yield Step(factor.shown, line, value=size, because=because, kind="numbers", depth=1)


def _causes(words: Words, gains: Sequence[Gains], total: float) -> Iterator[Step]:
    """The factors that let little through, the worst first; or that there is none."""
    worst: dict[tuple[str, str], tuple[float, Factor]] = {}
    for path, rows in zip(words.of.paths, gains, strict=True):
        for factor, (_, before, after) in zip(path.factors, rows, strict=True):
            if factor.kind in ("loss", "constant"):
                continue
            passes = after / before if before else math.nan
            key = (factor.owner, factor.shown)
            if not math.isnan(passes) and (key not in worst or passes > worst[key][0]):
                worst[key] = (passes, factor)
    ranked = sorted(worst.values(), key=lambda w: w[0])
    yield heading("What slows it, the worst first")
    named = [w for w in ranked if w[0] < 1] or ranked[:1]
    for k, (passes, factor) in enumerate(named, 1):
        shrinks = "lets nothing through" if passes == 0 else f"times {n(passes)}"
        flag = "a cause" if passes < SLOW else ""
        yield Step(f"{k}.", f"{factor.shown}: {shrinks}", value=passes, because=flag, kind="result")
    heads = [rows[0][0] for rows in gains]
    if heads and max(heads) < FITS:
        yield note(
            f"The error itself is small ({n(max(heads))}): the network nearly fits, and a small "
            "update is no fault."
        )
    slopes = [w[0] for w in ranked if w[1].kind == "slope"]
    if len(slopes) > 2 and math.prod(slopes) < SLOW:
        yield note(
            f"Together the {len(slopes)} slopes let {percent(math.prod(slopes))} through: it is "
            "their number that slows it, more than any one of them."
        )
    elif not any(w[0] < SLOW for w in ranked):
        yield note(f"No factor lets less than {percent(SLOW)} through: nothing is stuck here.")


# --- units -----------------------------------------------------------------------------------


def sample_axis(model: Model, node: Node) -> int | None:
    """The axis of the samples of an array of units, or None where it is one sample.

    In W @ X the units are the rows and the samples the columns; in X @ W the other way round.
    """
    seen: set[str] = set()
    pending = [node]
    shape = model.graph.resolve_shape(node.shape)
    if len(shape) != 2 or shape[1] == 1:
        return None
    while pending:
        current = pending.pop()
        for part in postorder([current]):
            if part.matrices and model.graph.resolve_shape(part.shape) == shape:
                left, right = (bool(quantities([a]) & set(model.learned)) for a in part.args)
                if left != right:
                    return 1 if left else 0
        for name in quantities([current]) - seen:
            seen.add(name)
            if name in model.definitions:
                pending.append(model.definitions[name])
    return None


def _units(words: Words, run: Evaluator) -> Iterator[tuple[Step, dict[str, Any]]]:
    """For every slope that has flat ends: the share of samples in which each unit is there."""
    done: set[int] = set()
    for path in words.of.paths:
        for factor in path.factors:
            if factor.rule is None or factor.at is None or factor.at.id in done:
                continue
            edge = factor.rule.edge(SHARE)
            if edge is None or factor.rule.sup is None:
                continue
            done.add(factor.at.id)
            z = np.asarray(run.value(factor.at), dtype=np.float64)
            axis = sample_axis(words.model, factor.at)
            flat = flat_entries(factor, z)
            shares = flat.mean(axis=axis) if axis is not None else flat.reshape(-1).astype(float)
            count = z.shape[axis] if axis is not None else 1
            yield _unit_step(factor, z, shares, count), {
                "at": factor.shown, "word": factor.rule.word, "beyond": edge, "samples": count,
                "shares": [float(s) for s in np.ravel(shares)],
                "slope_quartiles": quartiles(run.value(factor.of)),
            }  # fmt: skip


def flat_entries(factor: Factor, z: Array) -> Array:
    """Where a function is flat: saturated or dead."""
    assert factor.rule is not None
    edge = factor.rule.edge(SHARE) or 0.0
    if factor.rule.flat == "both":
        return np.abs(z) > edge
    return z < -edge if factor.rule.flat == "left" else z > edge


def _unit_step(factor: Factor, z: Array, shares: Array, count: int) -> Step:
    assert factor.rule is not None
    word, flat = factor.rule.word, np.ravel(shares)
    where = factor.shown.partition("'")[2].strip("()")
    if count == 1:
        which = [k + 1 for k, s in enumerate(flat) if s]
        verb = "is" if len(which) == 1 else "are"
        listed = ", ".join(map(str, which[:MOST_UNITS])) + ("…" if len(which) > MOST_UNITS else "")
        line = f"{len(which)} of {flat.size} units {verb} {word}" + (f": {listed}" if which else "")
    else:
        worst = sorted(enumerate(flat, 1), key=lambda u: -u[1])
        shown = ", ".join(f"unit {k} {percent(s)}" for k, s in worst[:MOST_UNITS])
        line = f"{word} in {percent(float(flat.mean()))} of {count} samples: {shown}"
    return Step(
        where, line, value=[float(s) for s in flat], kind="numbers", depth=1,
        because=f"{where} from {n(float(z.min()))} to {n(float(z.max()))}",
    )  # fmt: skip


# --- layers ----------------------------------------------------------------------------------


def _layers(words: Words, run: Evaluator) -> tuple[list[dict[str, Any]], list[Step]]:
    """The gradient of every parameter, from the input up, with bars."""
    model, loss = words.model, words.of.loss
    rows = []
    for name in layer_names(model, loss):
        node = model.deriver.gradient(model.leaves[loss], name)
        size = norm_of(run, node, model.leaves[name])
        rows.append((name, size, float(np.linalg.norm(run.named(name)))))
    data = [{"name": a, "gradient": b, "parameter": c} for a, b, c in rows]
    if len(rows) < 2:
        return data, []
    top = max(r[1] for r in rows)
    wide = max(len(r[0]) for r in rows)
    steps = [heading("Every parameter, from the input up")]
    for name, size, own in rows:
        line = f"{name:<{wide}}  {bar(size, top):<{BAR}}  ‖∂{loss}/∂{name}‖ = {n(size)}"
        part = f"{percent(size / own)} of ‖{name}‖" if own else ""
        latex = line_latex(f"‖∂{loss}/∂{name}‖ = {n(size)}", ())
        steps.append(Step("", line, latex, None, size, part, None, "numbers", 1))
    steps.append(Step("bars", "Each block more is a factor of 2.", kind="note"))
    return data, steps


def bar(size: float, top: float) -> str:
    """A bar of blocks: the full length for *top*, one block less for every halving."""
    if not size or not top:
        return ""
    return "█" * max(1, BAR + round(math.log2(size / top)))


# --- many samples ----------------------------------------------------------------------------


def over_samples(words: Words, samples: Mapping[str, Any]) -> tuple[list[Step], dict[str, Any]]:
    """Quartiles of every factor's norm and of the gradient's over the samples."""
    model, of = words.model, words.of
    base = model.given_values(exact=False)
    points = list(_points(model, samples))
    norms: dict[str, list[float]] = {}
    labels: dict[str, str] = {}
    totals: list[float] = []
    flats: dict[str, list[Array]] = {}
    with np.errstate(all="ignore"):
        for values in points:
            run = Evaluator(model.number_sizes(), {**base, **values}, model.definitions)
            totals.append(norm_of(run, of.gradient, model.leaves[of.wrt]))
            for path in of.paths:
                for factor in path.factors:
                    if factor.kind == "constant":
                        continue
                    key = f"{factor.owner}: {factor.shown}"
                    labels[key] = words.norm(factor)
                    norms.setdefault(key, []).append(measure(run, factor))
                    if factor.rule is not None and factor.at is not None:
                        z = np.asarray(run.value(factor.at), dtype=np.float64)
                        flats.setdefault(key, []).append(flat_entries(factor, z))
    steps = [heading(f"Over {len(points)} samples: least, quartiles, most")]
    data: dict[str, Any] = {"count": len(points), "gradient": quartiles(totals), "factors": {}}
    steps.append(_spread(f"‖∂{of.loss}/∂{of.wrt}‖", totals))
    for key, found in norms.items():
        steps.append(_spread(labels[key], found))
        data["factors"][key] = quartiles(found)
    for key, seen in flats.items():
        shares = np.mean(np.stack([s.reshape(-1) for s in seen]), axis=0)
        data.setdefault("shares", {})[key] = [float(s) for s in shares]
        shown = ", ".join(f"unit {k} {percent(float(s))}" for k, s in enumerate(shares, 1))
        steps.append(Step("flat", f"{key.partition(': ')[2]} is flat in: {shown}",
                          kind="numbers", depth=1))  # fmt: skip
    return steps, data


def _spread(label: str, found: Sequence[float]) -> Step:
    marks = quartiles(found)
    line = f"{label}: " + " | ".join(n(m) for m in marks)
    return Step(label, line, value=marks, kind="numbers", depth=1)


def quartiles(values: Any) -> list[float]:
    """Least, first quartile, median, third quartile, most."""
    a = np.abs(np.asarray(values, dtype=np.float64)).ravel()
    return [float(q) for q in np.quantile(a, [0, 0.25, 0.5, 0.75, 1])]


def _points(model: Model, samples: Mapping[str, Any]) -> Iterator[dict[str, Array]]:
    """The values of the given names, sample by sample."""
    arrays: dict[str, Array] = {}
    count: int | None = None
    for name, values in samples.items():
        if name not in model.declared:
            raise ValueProblem(f"The samples name {name}, which the sheet does not declare.")
        shape = tuple(d.evaluate(model.number_sizes()) for d in model.shape(name))
        a = np.asarray(values, dtype=np.float64)
        size = int(np.prod(shape))
        if a.size % size or (a.ndim and a.size // size != a.shape[0]):
            raise ValueProblem(
                f"The samples of {name} have shape {a.shape}; every row must hold the {size} "
                f"numbers of one {name}."
            )
        arrays[name] = a.reshape(-1, *shape)
        if count is not None and len(arrays[name]) != count:
            raise ValueProblem(
                f"There are {len(arrays[name])} samples of {name} and {count} of the others."
            )
        count = len(arrays[name])
    for k in range(min(count or 0, MOST_SAMPLES)):
        yield {name: a[k] for name, a in arrays.items()}


def n(value: float) -> str:
    """A number in a few digits."""
    return f"{value:.3g}"
