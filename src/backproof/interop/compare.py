"""A trained sheet beside scikit-learn's counterpart, fitted on the same training split.

Softmax beside LogisticRegression, a hinge beside LinearSVC, a logistic output beside
LogisticRegression with the same weights, twins beside a threshold on the distance, an autoencoder
beside PCA of the same width, numbers beside Ridge.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from backproof.engine.training import Trained
from backproof.errors import MissingExtra, NotAvailable
from backproof.language import syntax as ast

Array = Any
Rows = dict[str, dict[str, float]]  # model -> split -> quality


def compared_lines(trained: Trained | None) -> list[str]:
    """A table: quality on every split, ours first."""
    if trained is None or trained.output is None:
        raise NotAvailable("Only a run with a prediction, in one process, can be compared.")
    mine = {part: found[trained.measure] for part, found in trained.results.items()}
    rows: Rows = {"this sheet": mine, **dict(_counterparts(trained))}
    parts = list(mine)
    wide = max(map(len, rows))
    lines = ["", f"{trained.measure:<{wide}}" + "".join(f"  {p:>10}" for p in parts)]
    for name, found in rows.items():
        cells = (f"{found[p]:>10.4f}" if p in found else f"{'–':>10}" for p in parts)
        lines.append(f"{name:<{wide}}  " + "  ".join(cells))
    return lines


def _counterparts(trained: Trained) -> Iterator[tuple[str, dict[str, float]]]:
    task, output = trained.task, trained.output
    assert output is not None
    data = [n for n in task.pictures if n != task.target]
    if len(data) == 2:
        yield "distance below a threshold", _distance(trained, data)
        return
    if len(data) != 1:
        raise NotAvailable("Only a sheet with one given of data has a counterpart.")
    try:
        from sklearn import decomposition, linear_model, svm
    except ImportError:
        raise MissingExtra("scikit-learn", "sklearn") from None
    name = data[0]
    X = {p: a[name].reshape(len(a[name]), -1) for p, a in task.parts.items()}
    if output.kind == "picture":
        width = _narrowest(trained)
        pca = decomposition.PCA(min(width, *X["train"].shape)).fit(X["train"])
        found = {}
        for part, a in X.items():
            made = pca.inverse_transform(pca.transform(a))
            found[part] = 1 - float(np.sum((made - a) ** 2) / np.sum((a - a.mean(axis=0)) ** 2))
        yield f"PCA({width})", found
        return
    y = {p: _labels(a[task.target or ""]) for p, a in task.parts.items()}
    if output.kind == "numbers":
        yield "Ridge()", _scores(linear_model.Ridge(), X, y)
        return
    how: dict[str, Any] = {"max_iter": 20000}
    weights = {n: float(a.reshape(-1)[0]) for n, a in task.constants.items() if a.size == 1}
    shown = ""
    if output.kind != "classes" and {"alpha", "beta"} <= weights.keys():
        how["class_weight"] = {1.0: weights["alpha"], 0.0: weights["beta"]}
        shown = "class_weight as here"
    hinge = _calls(trained, "hinge")
    make = svm.LinearSVC if hinge else linear_model.LogisticRegression
    label = "LinearSVC" if hinge else "LogisticRegression"
    yield f"{label}({shown})", _scores(make(**how), X, y)
    penalty = next((weights[n] for n in ("lambda", "λ", "lam", "decay") if n in weights), 0.0)
    if penalty > 0:
        C = 1 / (2 * penalty * len(X["train"]))
        with_shown = f"{label}({shown}{', ' if shown else ''}C={C:.3g}, the sheet's penalty)"
        yield with_shown, _scores(make(C=C, **how), X, y)


def _scores(model: Any, X: dict[str, Array], y: dict[str, Array]) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X["train"], y["train"])
    return {part: float(model.score(X[part], y[part])) for part in X}


def _labels(array: Array) -> Array:
    return array.argmax(axis=1) if array.ndim == 2 and array.shape[1] > 1 else array.reshape(-1)


def _calls(trained: Trained, function: str) -> bool:
    """Whether the loss is written with a function."""
    sheet = trained.task.single.sheet
    return any(
        isinstance(part, ast.Apply) and part.op == function
        for equation in sheet.equations.values()
        for part in ast.walk(equation.expr)
    )


def _narrowest(trained: Trained) -> int:
    """The width of the narrowest quantity of a sample: the code of an autoencoder."""
    task = trained.task
    sizes = task.all_sizes(1)
    widths = []
    for name in task.model.sheet.order:
        shape = task.model.shape(name)
        if task.samples in shape and len(shape) == 2:
            wide = int(np.prod([d.evaluate(sizes) for d in shape if d != task.samples]))
            if wide > 1:
                widths.append(wide)
    return min(widths)


def _distance(trained: Trained, twins: list[str]) -> dict[str, float]:
    """Same class where the Euclidean distance is below the best threshold of the training split."""
    task = trained.task
    far, same = {}, {}
    for part, arrays in task.parts.items():
        far[part] = np.linalg.norm(arrays[twins[0]] - arrays[twins[1]], axis=1)
        labels = arrays[task.target or ""].reshape(-1)
        same[part] = labels == labels.max()
    order = np.argsort(far["train"])
    hits = np.cumsum(np.where(same["train"][order], 1, -1))
    edge = far["train"][order][int(np.argmax(hits))]
    return {p: float(np.mean((far[p] <= edge) == same[p])) for p in far}
