"""How the parts of a data set are written for a declared set: classes as codes, numbers in scale.

Says what it did; a label outside the set is an error that names it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backproof.calculus.model import Fact, Model
from backproof.engine.datasets import shown_label
from backproof.errors import ValueProblem

Array = Any
EDGE = 0.01  # how far inside an open interval the least and largest values are put


def coded(
    fact: Fact, model: Model, name: str, values: Array, width: int | None, classes: bool = True
) -> tuple[Array, tuple[str, ...], list[str]]:
    """(labels as the set has them, one row a sample; the classes in order; what was done)."""
    if fact.kind in ("onehot", "range"):
        if values.ndim == 2 and values.shape[1] > 1:
            return _rows_onehot(name, values), (), []
        return _onehot(name, values.reshape(len(values)), width, fact)
    if fact.kind == "labels":
        return _labels(fact, name, values, width)
    array = np.asarray(_numbers(name, values), np.float64).reshape(len(values), -1)
    if fact.kind == "pos" and (array <= 0).any():
        raise _outside(name, array, array <= 0, "a positive number")
    if fact.kind == "interval":
        low, high = (float(b) for b in fact.bounds)
        bad = (array <= low) | (array >= high)
        if bad.any():
            raise _outside(name, array, bad, f"strictly between {low:g} and {high:g}")
    if fact.kind == "prob":
        bad = (array < 0).any(axis=1) | (abs(array.sum(axis=1) - 1) > 1e-6)
        if bad.any():
            raise ValueProblem(f"{name}, sample {int(np.argmax(bad)) + 1}: a row of probabilities "
                               "is not negative and sums to 1.")  # fmt: skip
    return array, (), []


def set_of(fact: Fact) -> str:
    """A set of labels as one says it."""
    if fact.kind == "labels":
        return "{" + ", ".join(str(b) for b in fact.bounds) + "}"
    return fact.kind if fact.kind != "range" else "1..K"


def _numbers(name: str, values: Array) -> Array:
    if values.dtype.kind not in "fiub":
        raise ValueProblem(
            f"{name} takes numbers, and its part of the data holds words, such as '{values[0]}'.",
            hint="declare it as a label: onehot[K], {0, 1}, or 1..K",
        )
    return values


def _outside(name: str, array: Array, bad: Array, what: str) -> ValueProblem:
    row, column = (int(k) for k in np.argwhere(bad)[0])
    return ValueProblem(
        f"{name}, sample {row + 1}, column {column + 1} is {array[row, column]:g}, and must be "
        f"{what}.",
        hint="--scale minmax moves the data inside",
    )


def _rows_onehot(name: str, values: Array) -> Array:
    array = np.asarray(_numbers(name, values), np.float64)
    bad = ((array != 0) & (array != 1)).any(axis=1) | (array.sum(axis=1) != 1)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueProblem(f"{name}, sample {row + 1} is {array[row].tolist()}, and a one-hot row "
                           "has one 1 and otherwise 0.")  # fmt: skip
    return array


def _onehot(
    name: str, values: Array, width: int | None, fact: Fact
) -> tuple[Array, tuple[str, ...], list[str]]:
    classes = np.unique(values)
    number = values.dtype.kind in "fiub"
    if number and not np.all(classes == np.round(classes)):
        bad = float(classes[classes != np.round(classes)][0])
        raise ValueProblem(
            f"{name} takes classes, and the target holds {bad:g}, which is not a whole number.",
            hint="a target of measured numbers is declared y in R[N]",
        )
    if len(classes) > 1000:
        raise ValueProblem(f"{name} takes classes, and the target has {len(classes)} of them.")
    if width is not None and len(classes) != width:
        some = ", ".join(shown_label(c) for c in classes[:12])
        raise ValueProblem(
            f"{name} is declared with {width} classes, and the target has {len(classes)}: {some}"
            + ("…." if len(classes) > 12 else "."),
        )
    code = (values[:, None] == classes[None, :]).astype(np.float64)
    shown = tuple(shown_label(c) for c in classes)
    said = f"{name}: {len(classes)} classes, one-hot in the order {', '.join(shown[:12])}"
    return code, shown, [said + ("…." if len(shown) > 12 else ".")]


def _labels(
    fact: Fact, name: str, values: Array, width: int | None
) -> tuple[Array, tuple[str, ...], list[str]]:
    labels = sorted(float(b) for b in fact.bounds)
    classes = np.unique(values)
    wanted = "{" + ", ".join(f"{b:g}" for b in labels) + "}"
    number = values.dtype.kind in "fiub"
    if number and set(classes.tolist()) <= set(labels):
        array = np.asarray(values, np.float64).reshape(len(values), -1)
        return array, tuple(f"{b:g}" for b in labels), []
    flat = values.ndim == 1 or values.shape[1] == 1
    if flat and len(classes) == 2 == len(labels):
        array = np.where(values == classes[1], labels[1], labels[0]).astype(np.float64)
        shown = tuple(shown_label(c) for c in classes)
        said = f"{name}: {shown[0]} is written {labels[0]:g}, {shown[1]} is written {labels[1]:g}."
        return array.reshape(len(values), 1), shown, [said]
    if flat and width is not None and width == len(classes) > 2 and len(labels) == 2:
        hot = values.reshape(-1, 1) == classes[None, :]
        shown = tuple(shown_label(c) for c in classes)
        return np.where(hot, labels[1], labels[0]), shown, [f"{name}: one column a class."]
    bad = next((c for c in classes.tolist() if not number or c not in labels), classes[-1])
    places = np.argwhere(np.asarray(values == bad).reshape(len(values), -1))
    raise ValueProblem(
        f"{name} is a label in {wanted}, and the target holds {shown_label(bad)} (sample "
        f"{int(places[0][0]) + 1}); it has {len(classes)} different values.",
        hint="for several classes declare onehot[N, K]; --pairs makes same-or-not of them",
    )


def scaled(
    fact: Fact, name: str, array: Array, train: Array, scale: str
) -> tuple[Array, tuple[Array, Array], list[str]]:
    """(numbers in the scale of the set, (subtracted, divided by), what was done)."""
    kind = scale
    if scale == "auto":
        kind = {"real": "standard", "interval": "minmax"}.get(fact.kind, "none")
    rows = array[train]
    width = array.shape[1]
    said = f"{name}: numbers as they are."
    middle, spread = np.zeros(width), np.ones(width)
    if kind == "standard":
        with np.errstate(over="ignore", invalid="ignore"):
            middle, spread = rows.mean(axis=0), rows.std(axis=0)
        far = np.flatnonzero(~np.isfinite(spread))
        if len(far):
            raise ValueProblem(
                f"{name}: column {int(far[0]) + 1} holds numbers too large to be standardised.",
                hint="give them in another unit, or --scale minmax or none",
            )
        flat = spread <= 1e-12 * (1 + np.abs(middle))
        spread = np.where(flat, 1.0, spread)
        said = f"{name}: standardised, with means and deviations of the training split"
        many = int(flat.sum())
        constant = (
            "1 constant column becomes 0" if many == 1 else f"{many} constant columns become 0"
        )
        said += f" ({constant})." if many else "."
    elif kind == "minmax":
        low, high = 0.0, 1.0
        if fact.kind == "interval":
            low, high = (float(b) for b in fact.bounds)
        least, most = float(rows.min()), float(rows.max())
        edge = EDGE * (high - low) if fact.kind == "interval" else 0.0
        span = (most - least) or 1.0
        factor = (high - low - 2 * edge) / span
        middle, spread = middle + (least - (low + edge) / factor), spread / factor
        said = f"{name}: {least:g} to {most:g} of the training split is brought to "
        said += f"{low + edge:g} to {high - edge:g}."
    result = (array - middle) / spread
    if kind == "minmax" and fact.kind == "interval":
        low, high = (float(b) for b in fact.bounds)
        tiny = EDGE / 10 * (high - low)
        result = np.clip(result, low + tiny, high - tiny)  # other splits may reach further
    return coded(fact, _NO_MODEL, name, result, None)[0], (middle, spread), [said]


_NO_MODEL: Any = None
