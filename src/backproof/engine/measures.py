"""What is measured while training: how good the predictions are, and what slows each layer.

The prediction is the quantity of the sheet that has the shape of what is predicted and does not
depend on it. Gradient and factor norms are those of `ask slow`, at a fixed probe of samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from backproof.calculus.evaluate import Evaluator
from backproof.engine.compiled import compile_gradient
from backproof.engine.data import Task
from backproof.engine.output import Output
from backproof.errors import BackproofError
from backproof.operators.dims import ONE
from backproof.operators.node import Node

Array = Any
PROBE = 64  # samples of the training split that gradients are measured at


def outputs_of(task: Task, node: Node, rows: Mapping[str, Array], parameters: Mapping[str, Array],
               count: int) -> Array:  # fmt: skip
    """The values of a node, samples first."""
    values = {**rows, **parameters}
    with np.errstate(all="ignore"):
        run = Evaluator(task.all_sizes(count), values, task.model.definitions)
        value = np.asarray(run.value(node), np.float64)
    shape = task.model.graph.resolve_shape(node.shape)
    axis = shape.index(task.samples) if task.samples in shape else 0
    if value.shape[axis] != count:  # the same for every sample
        value = np.broadcast_to(value, [count if k == axis else n for k, n in
                                        enumerate(value.shape)])  # fmt: skip
    return value.T if axis == 1 else value


def predict(task: Task, output: Output, rows: Mapping[str, Array],
            parameters: Mapping[str, Array], count: int) -> tuple[Array, Array]:  # fmt: skip
    """(what the output says of every sample: a class's place, a label or numbers; raw output)."""
    raw = outputs_of(task, output.node, rows, parameters, count)
    if output.kind == "classes":
        return raw.argmax(axis=1), raw
    if output.kind in ("half", "sign"):
        low, high = sorted(float(b) for b in task.model.declared[output.target].bounds)
        return np.where(raw > (0.5 if output.kind == "half" else 0.0), high, low), raw
    return raw, raw


def _answers(task: Task, output: Output, part: str, parameters: Mapping[str, Array]) -> Any:
    """(what is said, raw output, what is true) of a split."""
    said, raw, true = [], [], []
    for rows in task.chunks(part):
        count = task.fixed or task.count(part)
        answer, values = predict(task, output, rows, parameters, count)
        said.append(answer)
        raw.append(values)
        want = rows[output.target]
        true.append(want.T if task.axes[output.target] == 1 else want)
    return tuple(np.concatenate(x) for x in (said, raw, true)) if said else None


def found_and_right(task: Task, output: Output, part: str,
                    parameters: Mapping[str, Array]) -> dict[str, float]:  # fmt: skip
    """Recall and precision of the larger of two labels; nothing for other predictions."""
    if output.kind not in ("half", "sign"):
        return {}
    answers = _answers(task, output, part, parameters)
    if answers is None:
        return {}
    answer, _, want = answers
    top = want.max()
    hit = float(np.sum((answer.reshape(want.shape) == top) & (want == top)))
    many, said = float(np.sum(want == top)), float(np.sum(answer == top))
    return {"recall": hit / many, "precision": hit / said if said else float("nan")}


def quality(task: Task, output: Output, part: str, parameters: Mapping[str, Array]) -> float:
    """Accuracy, R², or the share of the variance that is reconstructed, on a split."""
    answers = _answers(task, output, part, parameters)
    if answers is None:
        return float("nan")
    answer, values, want = answers
    if output.kind == "classes":
        return float(np.mean(answer == want.argmax(axis=1)))
    if output.kind in ("half", "sign"):
        return float(np.mean(answer.reshape(want.shape) == want))
    error = float(np.sum((values.reshape(want.shape) - want) ** 2))
    spread = float(np.sum((want - want.mean(axis=0)) ** 2))
    return 1 - error / spread if spread else float("nan")


class Losses:
    """The loss on a whole split, by the NumPy engine."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.f = compile_gradient(task.model, task.loss, (), engine="numpy")

    def __call__(self, part: str, parameters: Mapping[str, Array]) -> float:
        found = []
        with np.errstate(all="ignore"):
            for rows in self.task.chunks(part):
                arrays = {**rows, **parameters}
                result = self.f(**{n: arrays[n] for n in self.f.names})
                found.append(float(result[0] if isinstance(result, tuple) else result))
        return float(np.mean(found)) if found else float("nan")


# --- what slows each layer ------------------------------------------------------------------------


class Probe:
    """Gradients of every parameter and quantity, and the factors along the longest path."""

    def __init__(self, task: Task) -> None:
        from backproof.calculus.factors import factor_gradient
        from backproof.working.slow import layer_names

        self.task = task
        model = task.model
        count = min(PROBE, task.count())
        self.count = task.fixed or count
        self.rows = task.rows("train", slice(0, self.count))
        reached = [n for n in model.sheet.order
                   if model.depends_on(model.leaves[n]) & set(model.learned)
                   and model.deriver.connected(model.leaves[task.loss], n)
                   and task.samples is not None and task.samples in model.shape(n)
                   and ONE not in model.shape(n)]  # fmt: skip
        self.layers = tuple(reached)
        self.learned = model.learned
        self.f = compile_gradient(model, task.loss, (*self.learned, *self.layers), engine="numpy")
        past = self.f.program.past  # a softmax that its loss absorbs has no gradient of use
        if past:
            self.layers = tuple(n for n in self.layers if n not in past)
            wrt = (*self.learned, *self.layers)
            self.f = compile_gradient(model, task.loss, wrt, engine="numpy")
        made = self.f.program.outputs
        self.layers = tuple(n for n in self.layers if made[n].fill != 0)
        self.product: Any = None
        self.first = ""
        try:
            names = layer_names(model, task.loss)
            if names:
                self.first = names[0]
                self.product = factor_gradient(model, task.loss, self.first)
        except BackproofError:
            self.product = None

    def __call__(self, parameters: Mapping[str, Array]) -> dict[str, Any]:
        """Norms by name, and what each factor on the way to the first layer lets through."""
        arrays = {**self.rows, **parameters}
        with np.errstate(all="ignore"):
            _, gradients = self.f(**{n: arrays[n] for n in self.f.names})
        norms = {n: float(np.linalg.norm(np.asarray(g))) for n, g in gradients.items()}
        found: dict[str, Any] = {
            "gradients": {n: norms[n] for n in self.learned if n in norms},
            "layers": {n: norms[n] for n in self.layers if n in norms},
            "parameters": {n: float(np.linalg.norm(p)) for n, p in parameters.items()},
        }
        if self.product is not None:
            found["factors"] = self._factors(arrays)
        return found

    def _factors(self, arrays: Mapping[str, Array]) -> dict[str, float]:
        """Factor -> what it multiplies the norm of the gradient by, on the path to the input."""
        from backproof.working.slow_numbers import gains_of

        model = self.task.model
        run = Evaluator(self.task.all_sizes(self.count), arrays, model.definitions)
        path = max(self.product.paths, key=lambda p: (len(p.names), len(p.factors)))
        found: dict[str, float] = {}
        with np.errstate(all="ignore"):
            try:
                rows = gains_of(run, path)
            except (BackproofError, KeyError, ValueError, np.linalg.LinAlgError):
                return found
        for factor, (_, before, after) in zip(path.factors, rows, strict=True):
            if factor.kind == "constant":
                continue
            if factor.kind == "loss":
                found[f"error {factor.shown}"] = after
            elif before:
                found[factor.shown] = after / before
        return found


def first_fault(task: Task, rows: Mapping[str, Array], parameters: Mapping[str, Array],
                count: int) -> tuple[str, str]:  # fmt: skip
    """(name, what is wrong) of the first equation that is not finite; ("", "") where all are."""
    values = {**rows, **parameters}
    for name, p in parameters.items():
        if not np.isfinite(p).all():
            return name, "the parameter itself"
    with np.errstate(all="ignore"):
        run = Evaluator(task.all_sizes(count), values, task.model.definitions)
        for name in task.model.sheet.order:
            value = np.asarray(run.named(name), np.float64)
            if not np.isfinite(value).all():
                bad = "NaN" if np.isnan(value).any() else "infinite"
                return name, bad
    return "", ""


def largest_equation(task: Task, rows: Mapping[str, Array], parameters: Mapping[str, Array],
                     count: int) -> str:  # fmt: skip
    """The equation with the largest entry."""
    with np.errstate(all="ignore"):
        run = Evaluator(task.all_sizes(count), {**rows, **parameters}, task.model.definitions)
        sizes = {n: float(np.abs(run.named(n)).max(initial=0)) for n in task.model.sheet.order
                 if n != task.loss}  # fmt: skip
    return max(sizes, key=lambda n: sizes[n]) if sizes else task.loss
