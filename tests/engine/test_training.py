"""Training: optimisers, initial values, the loop, faults, the five systems on real data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.common import model_of

import backproof as bp
from backproof.engine.initial import initial_values
from backproof.engine.optimisers import FIRST_ORDER, Optimiser, schedule
from backproof.errors import NameProblem, TrainingStopped, ValueProblem

pytest.importorskip("sklearn")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "train"

LINEAR = """given X in R[N, d]
given y in R[N]
learn w in R[d], b in R
a = X @ w + b
L = mse(a, y)
"""


def line(n: int = 80, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return {"X": X, "y": X @ [1.0, -2.0, 0.5] + 3}


# --- parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*FIRST_ORDER, "lbfgs", "newton"])
def test_every_optimiser_fits_a_line(name: str) -> None:
    s = bp.Sheet(LINEAR)
    rate = {"rmsprop": 0.02, "adam": 0.1}.get(name)
    r = s.fit(line(), epochs=60, batch=8, optimizer=name, rate=rate, scale="none")
    np.testing.assert_allclose(r.parameters["w"].ravel(), [1, -2, 0.5], atol=0.06)
    assert r.parameters["b"] == pytest.approx(3, abs=0.06)
    assert r.results["test"]["r2"] > 0.99


def test_adam_and_momentum_against_their_formulas() -> None:
    p, g = {"w": np.array([1.0])}, {"w": np.array([0.5])}
    rule = Optimiser("adam")
    new, slots = rule.step(np, p, g, rule.slots(p), 0.1, 1)
    assert new["w"][0] == pytest.approx(1 - 0.1, abs=1e-6)  # the first step is the rate
    rule = Optimiser("momentum")
    new, slots = rule.step(np, p, g, {"velocity": {"w": np.array([2.0])}}, 0.1, 1)
    assert slots["velocity"]["w"][0] == pytest.approx(0.9 * 2 - 0.05)
    assert new["w"][0] == pytest.approx(1 + 0.9 * 2 - 0.05)


def test_schedules() -> None:
    assert schedule("constant", 0.1, 9)(9) == 0.1
    assert schedule("cosine", 0.1, 10)(6) == pytest.approx(0.05)
    assert schedule("step:2:0.5", 0.1, 9)(5) == pytest.approx(0.025)
    assert schedule("warmup:4", 0.1, 9)(2) == pytest.approx(0.05)
    for wrong in ("steep", "step:a", "cosine:3"):
        with pytest.raises(ValueProblem, match="There is no schedule"):
            schedule(wrong, 0.1, 9)


def test_first_values_follow_the_activation() -> None:
    model = model_of(
        "given x in R[200]\nlearn W1 in R[300, 200], b1 in R[300]\nlearn W2 in R[100, 300]\n"
        "learn v in R[100]\na1 = relu(W1 @ x + b1)\na2 = tanh(W2 @ a1)\nL = (v.T @ a2)**2"
    )
    shapes = {n: tuple(d.evaluate({}) for d in model.shape(n)) for n in model.learned}
    values, said = initial_values(model, shapes, {}, 0)
    assert values["W1"].std() == pytest.approx((2 / 200) ** 0.5, rel=0.02)
    assert values["W2"].max() <= (6 / 400) ** 0.5 and not values["b1"].any()
    text = " ".join(said)
    assert "W1: He, as relu follows" in text and "b1: zeros, as a bias" in text
    assert "W2: Glorot, as tanh follows" in text
    ones, _ = initial_values(model, shapes, {}, 0, {"v": "ones", "*": "normal:0.5"})
    assert (ones["v"] == 1).all() and ones["W1"].std() == pytest.approx(0.5, rel=0.02)
    with pytest.raises(NameProblem, match="'W9' is not a parameter"):
        initial_values(model, shapes, {}, 0, {"W9": "ones"})
    with pytest.raises(ValueProblem, match="no initial value 'magic'"):
        initial_values(model, shapes, {}, 0, {"v": "magic"})


def test_engines_take_the_same_steps() -> None:
    pytest.importorskip("jax")
    s = bp.Sheet(LINEAR)
    for rule in ("momentum", "adam"):
        one = s.fit(line(), epochs=3, optimizer=rule, engine="numpy")
        two = s.fit(line(), epochs=3, optimizer=rule, engine="jax")
        for n in one.parameters:
            np.testing.assert_allclose(one.parameters[n], two.parameters[n], rtol=1e-9)


def test_values_in_the_sheet_are_first_values_and_all_the_data() -> None:
    s = bp.Sheet("given x = [1, 2]\nlearn w = [0, 0]\nL = (w.T @ x - 5)**2")
    r = s.fit(epochs=30, optimizer="sgd", rate=0.05)
    assert float(r.parameters["w"].ravel() @ [1, 2]) == pytest.approx(5, abs=1e-6)


def test_early_stopping_gives_back_the_best() -> None:
    rng = np.random.default_rng(0)
    noise = {"X": rng.normal(size=(60, 3)), "y": rng.normal(size=60)}
    r = bp.Sheet(LINEAR).fit(noise, epochs=500, rate=0.05, patience=5, validation=0.3)
    assert len(r.history) < 500 and "stopped early" in r.stopped
    best = min(h["validation_loss"] for h in r.history)
    assert r.results["validation"]["loss"] == pytest.approx(best)


# --- faults --------------------------------------------------------------------------------------


def test_divergence_names_the_equation_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    s = bp.Sheet(LINEAR)
    with pytest.raises(TrainingStopped) as error:
        s.fit(line(), epochs=400, optimizer="sgd", rate=3.0, out=tmp_path / "r")
    text = str(error.value)
    assert re.search(r"Training stopped in epoch \d+: the loss (grew|is)", text)
    assert "'a = X @ w + b'" in text and "is kept" in text
    with np.load(tmp_path / "r" / "checkpoint.npz") as archive:
        assert np.isfinite(archive["param/w"]).all()


def test_nan_names_the_equation_where_it_first_appears() -> None:
    s = bp.Sheet(
        "given X in R[N, d]\ngiven y in R[N]\nlearn w in R[d] , c = 1\n"
        "u = log(c)\na = X @ w + u\nL = mse(a, y)"
    )
    with pytest.raises(TrainingStopped, match=r"NaN first appears in the equation 'u = log\(c\)'"):
        far = line()
        s.fit({"X": far["X"], "y": far["y"] - 40}, epochs=50, optimizer="sgd", rate=0.1)
    with pytest.raises(TrainingStopped, match="before the first step"):
        s.fit(line(), initial={"c": "zeros"})


def test_a_fault_in_a_derived_batch_is_told_in_the_equations_of_the_sheet() -> None:
    s = bp.Sheet("given x in R[2]\ngiven y in R\nlearn w in R[2]\n"
                 "a = w.T @ x\nL = (a - y)**2 + sqrt(x[1])")  # fmt: skip
    data = {"x": -np.ones((20, 2)), "y": np.arange(20.0)}
    wanted = re.escape("NaN in 'L = (a - y)**2 + sqrt(x[1])' (line 5).")
    with pytest.raises(TrainingStopped, match=wanted):
        s.fit(data, epochs=1, scale="none")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rate": -1}, "learning rate is -1"),
        ({"optimizer": "magic"}, "There is no optimiser 'magic'"),
        ({"engine": "abacus"}, "There is no engine 'abacus'"),
        ({"epochs": 0}, "at least 1"),
        ({"epochs": 2.5}, "epochs is 2.5; it is a whole number"),
        ({"seed": -1}, "seed at least 0"),
        ({"dtype": "float16"}, "float64 or float32"),
        ({"colour": 3}, "fit has no option 'colour'"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], says: str) -> None:
    with pytest.raises(bp.BackproofError, match=says):
        bp.Sheet(LINEAR).fit(line(), **options)


def test_an_engine_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(bp.MissingExtra, match=r"pip install \"backproof\[numba\]\""):
        bp.Sheet(LINEAR).fit(line(), optimizer="sgd", engine="numba")


# --- the five systems ----------------------------------------------------------------------------


def trained(name: str, **options: Any) -> Any:
    return bp.read(EXAMPLES / f"{name}.sheet").fit(**options)


def test_softmax_reaches_logistic_regression() -> None:
    from backproof.interop.compare import compared_lines

    r = trained("softmax", data="digits", optimizer="lbfgs", epochs=80)
    assert r.results["test"]["accuracy"] >= 0.955
    lines = compared_lines(r)
    theirs = float(next(x for x in lines if x.startswith("LogisticRegression()")).split()[-1])
    assert abs(r.results["test"]["accuracy"] - theirs) < 0.015


def test_svm_reaches_linear_svc() -> None:
    from backproof.interop.compare import compared_lines

    r = trained("svm", data="digits", optimizer="momentum", rate=0.01, epochs=15, schedule="cosine")
    theirs = float(next(x for x in compared_lines(r) if x.startswith("LinearSVC()")).split()[-1])
    assert r.results["test"]["accuracy"] >= 0.945
    assert r.results["test"]["accuracy"] > theirs - 0.015


def test_weights_find_more_of_the_rare_label() -> None:
    how: dict[str, Any] = {"data": "breast-cancer", "thin": 0.15, "test": 0.4, "epochs": 15,
                           "optimizer": "newton"}  # fmt: skip
    weighted = trained("weighted-logistic", **how).results["test"]
    plain = trained("weighted-logistic", values={"alpha": 1}, **how).results["test"]
    assert weighted["accuracy"] > 0.97
    assert weighted["recall"] > plain["recall"]


def test_twins_verify_classes_never_seen() -> None:
    r = trained("siamese", data="digits", unseen="3,6", pairs=4, batch=64, epochs=8,
                schedule="cosine")  # fmt: skip
    assert r.results["test"]["accuracy"] > 0.9
    assert r.results["unseen"]["accuracy"] > 0.8


def test_the_autoencoder_reconstructs_and_draws(tmp_path: Path) -> None:
    r = trained("autoencoder", data="digits", epochs=15, out=tmp_path / "run")
    assert r.results["test"]["reconstruction"] > 0.6
    made = {p.name for p in (tmp_path / "run").iterdir()}
    assert {"loss.svg", "quality.svg", "gradients.svg", "factors.svg", "reconstructions.svg",
            "reconstructions.txt", "report.txt", "metrics.jsonl", "sheet.sheet", "batch.sheet",
            "run.json", "checkpoint.npz", "parameters.npz"} <= made  # fmt: skip
    report = (tmp_path / "run" / "report.txt").read_text("utf-8")
    assert "sigmoid'(Z1)" in report and "██" in report
    record = r.history[0]
    assert set(record["gradients"]) == {"W1", "b1", "W2", "b2"} and record["factors"]
