"""The estimators: scikit-learn's own checks, pipelines, grid search, and sheets of one's own."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from backproof.interop.estimators import (
    EXPECTED_FAILURES,
    SheetAutoencoder,
    SheetClassifier,
    SheetRegressor,
)

SVM = """given X in R[N, D]
given Y in onehot[N, K]
given lambda = 0.001
learn W in R[D, K], b in R[1, K]
S = X @ W + b
L = hinge(S, Y, margin=1) + lambda*sumsq(W)
"""
MLP = """given x in R[d]
given y in {0, 1}
learn W1 in R[h, d], b1 in R[h]
learn w2 in R[h], b2 in R
a1 = tanh(W1 @ x + b1)
a2 = sigmoid(w2.T @ a1 + b2)
L = bce(a2, y)
"""


@pytest.mark.parametrize("kind", [SheetClassifier, SheetRegressor, SheetAutoencoder])
def test_scikit_learns_checks(kind: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = check_estimator(
            kind(), expected_failed_checks=dict(EXPECTED_FAILURES), on_fail=None, on_skip=None
        )
    failed = [f for f in found if f["status"] == "failed"]
    assert not failed, [(f["check_name"], f["exception"]) for f in failed]
    assert sum(f["status"] == "passed" for f in found) > 40


def test_in_a_pipeline_and_a_grid_search() -> None:
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), SheetClassifier(epochs=60))
    assert cross_val_score(model, X, y, cv=3).mean() > 0.94
    search = GridSearchCV(SheetClassifier(MLP_OF_THREE), {"values": [{"h": 2}, {"h": 6}]}, cv=2)
    search.fit(X, y)
    assert search.best_score_ > 0.9 and search.best_params_["values"]["h"] in (2, 6)


MLP_OF_THREE = """given x in R[d]
given y in onehot[k]
learn W1 in R[h, d], b1 in R[h]
learn W2 in R[k, h], b2 in R[k]
p = softmax(W2 @ tanh(W1 @ x + b1) + b2)
L = cross_entropy(p, y) + 0.01*(sumsq(W1) + sumsq(W2))
"""


def test_sheets_of_ones_own() -> None:
    X, y = load_digits(return_X_y=True)
    svm = SheetClassifier(SVM, optimizer="momentum", rate=0.01, epochs=10).fit(X[:1200], y[:1200])
    assert svm.score(X[1200:], y[1200:]) > 0.88
    assert svm.decision_function(X[:5]).shape == (5, 10) and not hasattr(svm, "predict_proba")
    two = y < 2
    net = SheetClassifier(MLP, values={"h": 4}, epochs=40).fit(
        X[two], np.array(["no", "yes"])[y[two]]
    )
    assert set(net.predict(X[two])) == {"no", "yes"}
    assert net.predict_proba(X[two][:3]).sum(axis=1) == pytest.approx(1)
    again = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(again.predict(X[two]), net.predict(X[two]))
    with pytest.raises(ValueError, match="The size h is not fixed by the data"):
        SheetClassifier(MLP).fit(X[two], y[two])


def test_the_regressor_is_ridge() -> None:
    X, y = load_diabetes(return_X_y=True)
    ours = SheetRegressor(epochs=300).fit(X, y)
    assert ours.score(X, y) == pytest.approx(Ridge(1e-6).fit(X, y).score(X, y), abs=1e-3)


def test_the_autoencoder_goes_there_and_back() -> None:
    X, _ = load_iris(return_X_y=True)
    auto = SheetAutoencoder(epochs=150).fit(X)
    code = auto.transform(X)
    assert code.shape == (150, 2) and auto.score(X) > 0.9
    np.testing.assert_allclose(auto.inverse_transform(code), auto.reconstruct(X), rtol=1e-9)
    assert list(auto.get_feature_names_out()) == ["sheetautoencoder0", "sheetautoencoder1"]


TWO = """given x in R[d]
given y in R
learn w in R[d]
a = w.T @ x
E = (a - y)**2
L = E + 100*sumsq(w)
"""


def test_which_loss_and_which_sheet(tmp_path: Path) -> None:
    X, y = load_diabetes(return_X_y=True)
    plain = SheetRegressor(TWO, loss="E").fit(X, y)
    assert plain.score(X, y) > 0.5 > 0.1 > SheetRegressor(TWO).fit(X, y).score(X, y)
    file = tmp_path / "net.sheet"
    file.write_text(TWO)
    again = SheetRegressor(file, loss="E").fit(X, y)
    np.testing.assert_array_equal(again.predict(X), plain.predict(X))
    text = TWO.replace("given y in R", "given y, c in R").replace("w.T @ x", "c*(w.T @ x)")
    scaled = SheetRegressor(text, loss="E", values={"c": 2}).fit(X, y)
    np.testing.assert_allclose(scaled.predict(X), plain.predict(X), rtol=1e-3)
    for sheet, says in (
        ("given x in R[d]", "neither the text of a sheet, which has several lines, nor the path"),
        (str(tmp_path / "none.sheet"), "There is no file"),
        (str(tmp_path), "nor the path of a .sheet file"),
        (3, "A sheet is a text, a path or a Sheet, and this is 3."),
    ):
        with pytest.raises(ValueError) as error:
            SheetRegressor(sheet).fit(X, y)
        assert says in str(error.value)


def test_columns_that_have_names() -> None:
    pandas = pytest.importorskip("pandas")
    X = np.random.default_rng(0).normal(size=(40, 3))
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    for kind in (SheetRegressor, SheetAutoencoder):
        model = kind(epochs=5).fit(frame, X[:, 0])
        assert list(model.feature_names_in_) == ["a", "b", "c"]
        with pytest.raises(ValueError, match="feature names"):
            model.score(frame[["b", "a", "c"]], X[:, 0])
