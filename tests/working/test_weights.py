"""Weighted losses: their values, what their weights mean, and weights on real unbalanced data."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backproof.calculus.values import sheet_values
from backproof.errors import MissingExtra, NotAvailable, ShapeProblem, ValueProblem
from backproof.interop import unbalanced
from backproof.working.claims import check_claims
from backproof.working.weights import weights_working

from .sheets import expr, lines, model

LABELS = "given y = [1, 0, 0, 0, 0, 1]\ngiven x in R[6]\nlearn w in R[6]\na = sigmoid(x*w)\n"
WRITTEN = """\
given x = [1, 2]
given y = 1
given alpha = 9
given beta = 1
learn w = [0.5, -1], b = 0.25
z = w.T @ x + b
a = sigmoid(z)
L = alpha*(-y*log(a)) - beta*((1 - y)*log(1 - a))
"""


def answers(text: str, *targets: str) -> dict[str, Any]:
    (found,) = weights_working(model(text), [expr(t) for t in targets]).data["losses"]
    return dict(found)


# --- the losses ----------------------------------------------------------------------------------


def test_values_by_hand() -> None:
    m = model(
        "given P = [[0.2, 0.8], [0.5, 0.5]]\ngiven Y = [[0, 1], [1, 0]]\ngiven w = [3, 1]\n"
        "given a = [0.2, 0.7]\ngiven y = [1, 0]\n"
        "L = cross_entropy(P, Y, weights=w)\nM = weighted_bce(a, y, 9, 1)\n"
    )
    values = sheet_values(m)
    assert float(values.named("L").item()) == pytest.approx(
        (-math.log(0.8) - 3 * math.log(0.5)) / 2
    )
    assert float(values.named("M").item()) == pytest.approx(
        (-9 * math.log(0.2) - math.log(0.3)) / 2
    )


def test_what_is_proved_about_them() -> None:
    m = model(
        "given S in R[N, K]\ngiven Y in onehot[N, K]\ngiven w in Rpos[K]\ngiven z in R[N]\n"
        "given y in {0, 1}[N]\ngiven alpha, beta in Rpos\nP = softmax(S)\na = sigmoid(z)\n"
        "L = cross_entropy(P, Y, weights=w)\nM = weighted_bce(a, y, alpha, beta)\n"
        "claim L == -sum(w[k]*Y[i, k]*log(P[i, k]) for i in 1..N for k in 1..K)/N\n"
        "claim cross_entropy(P, Y, weights=ones(K)) == cross_entropy(P, Y)\n"
        "claim cross_entropy(P, Y, weights=w.T) == L\n"
        "claim grad(L, S) == (Y @ w)*(P - Y)/N\n"
        "claim grad(M, z) == (alpha*y + beta*(1 - y))*(a - y)/N\n"
        "claim weighted_bce(a, y, 1, 1) == bce(a, y)\n"
    )
    assert [v.verdict for v in check_claims(m)] == ["proved"] * 6


@pytest.mark.parametrize("given_weights", ["R[3]", "R[2, 4]", "R"])
def test_one_weight_for_each_class(given_weights: str) -> None:
    text = (
        f"given P, Y in R[5, 4]\ngiven w in {given_weights}\nL = cross_entropy(P, Y, weights=w)\n"
    )
    with pytest.raises(ShapeProblem, match="one weight for each of 4 classes") as caught:
        model(text)
    assert caught.value.hint == "weights is a column of 4; P is 5 × 4 (line 1), Y is 5 × 4 (line 1)"


# --- what the weights mean -----------------------------------------------------------------------


def test_every_line_of_the_derivation_is_judged() -> None:
    working = weights_working(model(LABELS + "L = weighted_bce(a, y, 9, 1)\n"))
    judged = [s for s in working.steps if s.verified is not None]
    assert len(judged) >= 14
    shown = lines(working)
    assert "s = alpha*p/(alpha*p + beta*(1 - p))" in shown
    assert "a*(1 - a)*grad(R, a) = (alpha*p + beta*(1 - p))*(a - s)" in shown
    proved = [s for s in judged if s.verified is not None and "proved" in s.verified.how]
    assert len(proved) >= len(judged) - 2


@given(st.floats(0.1, 50), st.floats(0.1, 50), st.floats(0.02, 0.98), st.floats(0.01, 0.99))
def test_the_minimiser_is_the_least(alpha: float, beta: float, p: float, a: float) -> None:
    def risk(x: float) -> float:
        return -alpha * p * math.log(x) - beta * (1 - p) * math.log(1 - x)

    s = alpha * p / (alpha * p + beta * (1 - p))
    assert risk(s) <= risk(a) + 1e-9
    if abs(p - beta / (alpha + beta)) > 1e-9:
        assert (s > 0.5) == (p > beta / (alpha + beta))


def test_weights_and_labels_of_the_sheet() -> None:
    found = answers(LABELS + "L = weighted_bce(a, y, 9, 1)\n")
    assert found["threshold"] == pytest.approx(0.1)
    assert (found["ones"], found["zeros"]) == (2, 4)
    assert found["balanced"] == {"alpha": 6 / 4, "beta": 6 / 8}


def test_a_loss_written_out_is_recognised() -> None:
    found = answers(WRITTEN, "L")
    assert (found["loss"], found["alpha"], found["beta"]) == ("L", 9, 1)
    shown = lines(weights_working(model(WRITTEN)))
    assert [line for line in shown if line.endswith("= weighted_bce(a, y, alpha, beta)")]


def test_other_names_are_translated() -> None:
    text = WRITTEN.replace("alpha", "miss").replace("beta", "alarm")
    shown = lines(weights_working(model(text)))
    assert "Below, alpha stands for miss and beta for alarm." in shown


def test_class_weights() -> None:
    text = (
        "given S in R[4, 3]\ngiven Y = [[1,0,0],[1,0,0],[0,1,0],[0,0,1]]\ngiven w = [1, 2, 2]\n"
        "P = softmax(S)\nL = cross_entropy(P, Y, weights=w)\n"
    )
    found = answers(text)
    assert found["weights"] == [1, 2, 2]
    assert found["balanced"] == pytest.approx([4 / 6, 4 / 3, 4 / 3])
    working = weights_working(model(text))
    assert "grad(R, c) = sum(w*q)*(p - t)" in lines(working)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LABELS + "L = weighted_bce(a, y, -9, 1)\n", "weight alpha is -9, .* must not be negative"),
        (LABELS + "L = weighted_bce(a, y, 0, 0)\n", "Both weights are zero"),
        (
            LABELS.replace("[1, 0, 0, 0, 0, 1]", "[1, 1, 1, 1, 1, 1]")
            + "L = weighted_bce(a, y, 9, 1)\n",
            "All 6 labels in y are 1; balanced weights need both labels",
        ),
        (
            "given S in R[2, 2]\ngiven Y = [[1, 0], [0, 1]]\ngiven w = [1, -2]\nP = softmax(S)\n"
            "L = cross_entropy(P, Y, weights=w)\n",
            "The weight of class 2 is -2",
        ),
        (
            "given S in R[2, 2]\ngiven Y = [[1, 0], [0, 1]]\ngiven w = [0, 0]\nP = softmax(S)\n"
            "L = cross_entropy(P, Y, weights=w)\n",
            "All class weights are zero",
        ),
        (
            "given S in R[2, 2]\ngiven Y = [[1, 0], [1, 0]]\ngiven w = [1, 1]\nP = softmax(S)\n"
            "L = cross_entropy(P, Y, weights=w)\n",
            "All 2 labels in Y are of one class",
        ),
    ],
)
def test_weights_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(ValueProblem, match=message) as caught:
        weights_working(model(text))
    assert caught.value.place is not None
    assert caught.value.hint


def test_a_zero_weight_is_warned_about() -> None:
    working = weights_working(model(LABELS + "L = weighted_bce(a, y, 1, 0)\n"))
    assert [s for s in working.steps if s.kind == "warning" and "answer 1 to everything" in s.text]


def test_only_losses_have_weights() -> None:
    text = LABELS + "L = mse(a, y)\n"
    with pytest.raises(NotAvailable, match="L is no logistic loss or cross-entropy"):
        weights_working(model(text), [expr("L")])
    with pytest.raises(ShapeProblem, match="asks about a loss of the sheet, by its name"):
        weights_working(model(text), [expr("y")])
    assert weights_working(model(text)).data["losses"] == [{"loss": "", "kind": "two weights"}]


# --- real data -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study() -> Any:
    pytest.importorskip("sklearn")
    return unbalanced.unbalanced_working()


def test_the_data_are_thinned_and_it_is_said(study: Any) -> None:
    assert (study.data["samples"], study.data["ones"]) == (389, 32)
    assert [line for line in lines(study) if "made unbalanced on purpose" in line]


def test_the_table_adds_up(study: Any) -> None:
    rows = {row["choice"]: row for row in study.data["table"]}
    assert list(rows) == ["no weights", "moved threshold", "balanced", "formula", "cross-validated"]
    for row in rows.values():
        tp, fp, fn, tn = (row[k] for k in ("true_1", "false_1", "false_0", "true_0"))
        assert (tp + fn, tp + fp + fn + tn) == (32, 389)
        assert row["cost"] == pytest.approx((10 * fn + fp) / 389)
        assert row["recall"] == pytest.approx(tp / 32)
        assert row["precision"] == pytest.approx(tp / (tp + fp))
        assert sum(b["samples"] for b in row["calibration"]) == 389
    assert rows["formula"]["cost"] < rows["no weights"]["cost"]
    assert rows["formula"]["alpha"] / rows["formula"]["beta"] == pytest.approx(10)


def test_the_curve_has_the_ratio_of_the_formula(study: Any) -> None:
    ratios = [row["ratio"] for row in study.data["curve"]]
    assert ratios == sorted(ratios)
    assert 10 in ratios


def test_the_derived_gradient_trains_to_the_optimum() -> None:
    pytest.importorskip("sklearn")
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(1)
    X = rng.normal(size=(80, 3))
    y = (X[:, 0] + rng.normal(size=80) > 0.8).astype(float)
    w = unbalanced.Classifier().fit(X, y, 3.0, 1.0, penalty=0.05).ravel()
    weight = np.where(y == 1, 3.0, 1.0)
    # scikit-learn's loss is C·Σ weight·loss + |w|²/2, and with an intercept column of its own.
    peer = linear_model.LogisticRegression(
        C=1 / (2 * 0.05 * 80), fit_intercept=False, tol=1e-10, max_iter=2000
    )
    peer.fit(np.column_stack([X, np.ones(80)]), y, sample_weight=weight)
    assert w == pytest.approx(peer.coef_.ravel(), abs=1e-5)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"data": "iris"}, "There is no data set 'iris'"),
        ({"thin": 0.0}, "must be above 0 and at most 1"),
        ({"thin": 0.01}, "Only 2 malignant samples would be kept"),
        ({"missed": -1.0}, "costs are zero or more"),
        ({"alarm": 0.0}, "nothing to choose"),
    ],
)
def test_studies_that_cannot_be(how: dict[str, Any], message: str) -> None:
    pytest.importorskip("sklearn")
    with pytest.raises(ValueProblem, match=message):
        unbalanced.unbalanced_working(**how)


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("sklearn"):
            raise ImportError(name)
        return found(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match="scikit-learn is not installed") as caught:
        unbalanced.unbalanced_working()
    assert caught.value.hint == 'install it with: pip install "backproof[sklearn]"'
