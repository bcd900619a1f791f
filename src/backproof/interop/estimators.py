"""scikit-learn estimators that are sheets: they fit, predict, go into pipelines and grid search.

A sheet is a text or the path of a `.sheet` file; without one, each has a small sheet of its own.
What is kept after `fit` is plain data, so estimators can be pickled and copied.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from backproof.calculus.evaluate import Evaluator
from backproof.calculus.model import build_model
from backproof.engine.data import LABELS, Task, Wanted, predict_arrays, prepare, task_for
from backproof.engine.datasets import Raw
from backproof.engine.measures import outputs_of, predict
from backproof.engine.output import Output, find_output
from backproof.engine.training import Options, train
from backproof.errors import BackproofError, MissingExtra, Source, ValueProblem
from backproof.language.files import read_source
from backproof.language.sheet import parse_sheet
from backproof.operators.node import quantities

try:
    from sklearn.base import (
        BaseEstimator,
        ClassifierMixin,
        ClassNamePrefixFeaturesOutMixin,
        RegressorMixin,
        TransformerMixin,
    )
    from sklearn.utils import check_random_state
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError:
    raise MissingExtra("scikit-learn 1.6 or newer", "sklearn") from None

Array = Any

SOFTMAX = """# Softmax regression
given X in R[N, D]
given Y in onehot[N, K]
given lambda = 0.0001
learn W in R[D, K], b in R[1, K]
S = X @ W + b
P = softmax(S)
L = cross_entropy(P, Y) + lambda*sumsq(W)
"""
LINEAR = """# Linear regression with a small penalty
given X in R[N, D]
given y in R[N]
given lambda = 0.0001
learn w in R[D], b in R
a = X @ w + b
L = mse(a, y) + lambda*sumsq(w)
"""
AUTOENCODER = """# An autoencoder with a code of h numbers
given x in R[n]
learn W1 in R[h, n], b1 in R[h]
learn W2 in R[n, h], b2 in R[n]
z1 = W1 @ x + b1
a1 = tanh(z1)
a2 = W2 @ a1 + b2
L  = sse(a2, x)
"""
# Checks of scikit-learn that are expected to fail, with the reason. None at present.
EXPECTED_FAILURES: Mapping[str, str] = {}


@lru_cache(maxsize=64)
def _model(text: str, name: str) -> Any:
    return build_model(parse_sheet(Source(name, text)))


def _text(sheet: Any, default: str) -> tuple[str, str]:
    """(the sheet's text, what errors call it)."""
    if sheet is None:
        return default, "sheet"
    text = getattr(sheet, "text", None)
    if isinstance(text, str):
        return text, "sheet"
    if isinstance(sheet, str) and "\n" in sheet:
        return sheet, "sheet"
    if not isinstance(sheet, (str, os.PathLike)):
        raise ValueProblem(f"A sheet is a text, a path or a Sheet, and this is {sheet!r:.60}.")
    path = Path(os.fsdecode(sheet))
    if path.suffix.lower() != ".sheet" and not os.path.isfile(path):
        raise ValueProblem(
            f"'{sheet:.60}' is neither the text of a sheet, which has several lines, nor the path "
            "of a .sheet file.",
            hint="one statement a line: given x in R[d], then what is learned and the equations",
        )
    return read_source(path).text, str(path)


@lru_cache(maxsize=64)
def _bare(
    text: str, name: str, loss: str | None, values: tuple[str, ...]
) -> tuple[Task, Output | None]:
    """A task without data and where its prediction is; *values* are names with a value."""
    model = _model(text, name)
    task = prepare(model, loss, [n for n in values if n in model.sheet.given])
    facts = task.model.declared
    task.target = next((n for n in task.axes if facts[n].kind in LABELS), None)
    if task.target is None and len(task.axes) > 1:
        task.target = next((n for n in task.axes if n[:1].lower() in "yt"), None)
    return task, find_output(task.model, task.axes, task.target)


class _SheetEstimator(BaseEstimator):  # type: ignore[misc]
    """What the three have in common."""

    _default = ""

    def __init__(
        self,
        sheet: Any = None,
        *,
        epochs: int = 200,
        batch: int = 32,
        rate: float | None = None,
        optimizer: str = "lbfgs",
        schedule: str = "constant",
        engine: str = "auto",
        scale: str = "auto",
        values: Mapping[str, Any] | None = None,
        loss: str | None = None,
        random_state: Any = 0,
    ) -> None:
        self.sheet = sheet
        self.epochs = epochs
        self.batch = batch
        self.rate = rate
        self.optimizer = optimizer
        self.schedule = schedule
        self.engine = engine
        self.scale = scale
        self.values = values
        self.loss = loss
        self.random_state = random_state

    def _source(self) -> tuple[str, str]:
        return _text(self.sheet, self._default)

    def _parts(self) -> tuple[Task, Output | None]:
        return _bare(*self._source(), self.loss, tuple(sorted(self._values())))

    def _values(self) -> Mapping[str, Any]:
        return self.values or {}

    def _train(self, X: Array, target: Array | None) -> None:
        """Trains on all samples and keeps what prediction needs."""
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        wanted = Wanted(values=self._values(), scale=self.scale, test=0.0, validation=0.0,
                        seed=seed)  # fmt: skip
        options = Options(self.epochs, self.batch, self.rate, self.optimizer, 0.9, self.schedule,
                          seed=seed, engine=self.engine)  # fmt: skip
        try:
            model = _model(*self._source())
            task = task_for(model, Raw("X", X, target), wanted, loss=self.loss)
            trained = train(task, options, probe=False)
        except BackproofError as error:
            raise ValueError(str(error)) from error
        if trained.output is None:
            raise ValueError("This sheet has no prediction of the target.")
        self.parameters_ = trained.parameters
        self.loss_ = trained.results["train"]["loss"]
        self.n_iter_ = len(trained.history)
        self._kept: dict[str, Any] = {
            "sizes": task.sizes, "constants": task.constants, "scalers": task.scalers,
            "data": task.pictures[0],
        }  # fmt: skip

    def _task(self) -> tuple[Task, Output]:
        bare, output = self._parts()
        assert output is not None
        task = Task(bare.single, bare.model, bare.loss, bare.samples, bare.axes)
        task.target = bare.target
        task.sizes, task.constants = self._kept["sizes"], self._kept["constants"]
        task.scalers = self._kept["scalers"]
        return task, output

    def _said(self, X: Array) -> tuple[Array, Array]:
        """(what is said of every sample, raw output)."""
        task, output = self._task()
        rows = predict_arrays(task, {self._kept["data"]: X})
        said, raw = predict(task, output, rows, self.parameters_, len(X))
        return said, raw.reshape(len(X), -1)

    def _checked(self, X: Any) -> Array:
        check_is_fitted(self)
        return validate_data(self, X, dtype=np.float64, reset=False)


def _output(estimator: Any) -> Output | None:
    try:
        found: Output | None = estimator._parts()[1]
        return found
    except BackproofError:
        return None


def _has_probabilities(estimator: Any) -> bool:
    output = _output(estimator)
    if output is None:
        return False
    if output.kind != "classes":
        return output.kind == "half"
    definitions = estimator._parts()[0].model.definitions
    return bool(definitions.get(output.name, output.node).op.promises == "rows sum to one")


def _has_scores(estimator: Any) -> bool:
    return not _has_probabilities(estimator)


class SheetClassifier(ClassifierMixin, _SheetEstimator):  # type: ignore[misc]
    """A classifier whose network and loss are a sheet; softmax regression, if none is given.

    sheet         its text, the path of its file, or a `Sheet`
    epochs        passes over the samples (iterations, of lbfgs and newton)
    values        dimensions and constants that the data do not fix, such as {"h": 16}
    loss          which number is made smaller, where the sheet has several
    random_state  first values and order of the samples

    After `fit`: `classes_`, `parameters_` (name -> array), `loss_`, `n_iter_`.
    """

    _default = SOFTMAX

    def fit(self, X: Any, y: Any) -> SheetClassifier:
        """Trains on X (one row a sample) and its classes y."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("A classifier needs samples of 2 classes, and y holds one class.")
        self._train(X, codes.astype(np.float64))
        return self

    def predict(self, X: Any) -> Array:
        """The class of every sample."""
        X = self._checked(X)
        said, raw = self._said(X)
        if raw.shape[1] > 1:
            return self.classes_[raw.argmax(axis=1)]
        return self.classes_[(said.reshape(-1) > _middle_of(self)).astype(int)]

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Array:
        """The probability of every class, where the sheet ends in a softmax or a sigmoid."""
        _, raw = self._said(self._checked(X))
        return raw if raw.shape[1] > 1 else np.hstack([1 - raw, raw])

    @available_if(_has_scores)  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> Array:
        """The score of every class (of the second one, for two), where no probability is given."""
        _, raw = self._said(self._checked(X))
        if raw.shape[1] == 2:
            return raw[:, 1] - raw[:, 0]
        return raw.reshape(-1) if raw.shape[1] == 1 else raw


def _middle_of(estimator: Any) -> float:
    """What separates the two labels of a sheet: one half for {0, 1}, zero for {-1, 1}."""
    task, output = estimator._parts()
    assert output is not None
    low, high = (float(b) for b in task.model.declared[output.target].bounds)
    return (low + high) / 2


class SheetRegressor(RegressorMixin, _SheetEstimator):  # type: ignore[misc]
    """A regressor whose network and loss are a sheet; linear regression, if none is given.

    The target is standardised while training and brought back in `predict`. Parameters as in
    `SheetClassifier`.
    """

    _default = LINEAR

    def fit(self, X: Any, y: Any) -> SheetRegressor:
        """Trains on X (one row a sample) and numbers y."""
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        y = np.asarray(y, np.float64)
        self._middle, self._spread = float(y.mean()), float(y.std()) or 1.0
        self._train(X, (y - self._middle) / self._spread)
        return self

    def predict(self, X: Any) -> Array:
        """A number for every sample."""
        X = self._checked(X)
        return self._said(X)[1].reshape(len(X)) * self._spread + self._middle


class SheetAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _SheetEstimator):  # type: ignore[misc]
    """A transformer to the code of an autoencoder that is a sheet, and back.

    The code is the narrowest quantity of a sample; without a sheet it has values["h"] numbers, or
    2. Parameters as in `SheetClassifier`. After `fit`: `code_`, the name of the quantity.
    """

    _default = AUTOENCODER

    def _values(self) -> Mapping[str, Any]:
        return self.values or ({"h": 2} if self.sheet is None else {})

    def fit(self, X: Any, y: Any = None) -> SheetAutoencoder:
        """Trains on X, one row a sample."""
        X = validate_data(self, X, dtype=np.float64)
        self._train(X, None)
        task, output = self._task()
        sizes = task.all_sizes(1)
        widths: dict[str, int] = {}
        for name in _leading_to(task, output):
            shape = task.model.shape(name)
            if task.samples in shape and len(shape) == 2:
                widths[name] = int(np.prod([d.evaluate(sizes) for d in shape if d != task.samples]))
        if not widths:
            raise ValueError("This sheet names no quantity between its data and its output.")
        least = min(widths.values())
        self.code_ = [n for n, w in widths.items() if w == least][-1]
        self._n_features_out = least
        return self

    def transform(self, X: Any) -> Array:
        """The code of every sample."""
        X = self._checked(X)
        task, _ = self._task()
        rows = predict_arrays(task, {self._kept["data"]: X})
        node = task.model.leaves[self.code_]
        return outputs_of(task, node, rows, self.parameters_, len(X)).reshape(len(X), -1)

    def inverse_transform(self, Z: Any) -> Array:
        """What the network makes of codes."""
        check_is_fitted(self)
        Z = np.asarray(Z, np.float64).reshape(len(Z), -1)
        task, output = self._task()
        axis = task.model.shape(self.code_).index(task.samples)
        values = {**task.constants, **self.parameters_, self.code_: Z.T if axis == 1 else Z}
        run = Evaluator(task.all_sizes(len(Z)), values, task.model.definitions)
        made = np.asarray(run.value(output.node))
        made = made.T if task.axes[self._kept["data"]] == 1 else made
        return self._back(made)

    def reconstruct(self, X: Any) -> Array:
        """Every sample through the network and back."""
        return self._back(self._said(self._checked(X))[1])

    def score(self, X: Any, y: Any = None) -> float:
        """The share of the variance of X that is reconstructed."""
        X = self._checked(X)
        error = float(np.sum((self._back(self._said(X)[1]) - X) ** 2))
        spread = float(np.sum((X - X.mean(axis=0)) ** 2))
        return 1 - error / spread if spread else 0.0

    def _back(self, made: Array) -> Array:
        middle, spread = self._kept["scalers"][self._kept["data"]]
        return made * spread + middle


def _leading_to(task: Task, output: Output) -> list[str]:
    """The equations that the output is computed from, in the order of the sheet."""
    definitions = task.model.definitions
    pending, found = [definitions.get(output.name, output.node)], set[str]()
    while pending:
        for name in quantities([pending.pop()]):
            if name in definitions and name not in found:
                found.add(name)
                pending.append(definitions[name])
    return [n for n in task.model.sheet.order if n in found and n != output.name]
