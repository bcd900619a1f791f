"""Slow learning: true bounds, what factors are, saturated units, layers, and changes that help."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from tests.strategies import Network, networks

from backproof.calculus.factors import factor_gradient, norm_of
from backproof.calculus.points import draw_points
from backproof.errors import FileProblem, NameProblem, ShapeProblem, ValueProblem
from backproof.operators.slow import FUNCTIONS, OPERATORS
from backproof.working.samples import load_samples
from backproof.working.slow import slow_working
from backproof.working.slow_numbers import bar
from backproof.working.spelled import line_latex, with_latex
from backproof.working.variants import variant

from .sheets import AUTOENCODER, SIAMESE, lines, model

SATURATED = """\
given x = [0.9, 0.1, 0.8, 0.2]
learn W1 = [[6, -4, 5, -3], [-5, 2, -6, 1], [1, 1, -1, 0.5]]
learn b1 = [1, -1, 0]
learn W2 = [[-7, 1, 2], [3, -2, 1], [8, 1, -1], [-2, 6, 1]]
learn b2 = [1, 0, -1, 2]
z1 = W1 @ x + b1
a1 = sigmoid(z1)
z2 = W2 @ a1 + b2
a2 = sigmoid(z2)
L = sse(a2, x)
"""
X = np.array([0.9, 0.1, 0.8, 0.2])
W1 = np.array([[6, -4, 5, -3], [-5, 2, -6, 1], [1, 1, -1, 0.5]])
B1 = np.array([1.0, -1, 0])
W2 = np.array([[-7.0, 1, 2], [3, -2, 1], [8, 1, -1], [-2, 6, 1]])
B2 = np.array([1.0, 0, -1, 2])


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def deep(layers: int) -> str:
    rng = random.Random(3)
    text = ["given x = [0.5, -1, 0.3, 0.8]", "given y = [1, 0, 1, 0]"]
    for k in range(1, layers + 1):
        rows = [[round(rng.gauss(0, 1), 2) for _ in range(4)] for _ in range(4)]
        text.append(f"learn W{k} = {rows}")
    above = "x"
    for k in range(1, layers + 1):
        text.append(f"z{k} = W{k} @ {above}")
        text.append(f"a{k} = sigmoid(z{k})")
        above = f"a{k}"
    return "\n".join([*text, f"L = sse({above}, y)\n"])


# --- slopes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*OPERATORS, *FUNCTIONS])
def test_no_slope_is_ever_above_its_bound(name: str) -> None:
    rule = {**OPERATORS, **FUNCTIONS}[name]
    if rule.sup is None:
        return
    slopes = [abs(rule.slope(k / 997)) for k in range(-20_000, 20_001)]
    assert max(slopes) <= rule.sup
    assert max(slopes) >= 0.999 * rule.sup or rule.sup == 0


def test_where_a_sigmoid_and_a_tanh_fall_under_one_percent() -> None:
    a = (1 - math.sqrt(0.99)) / 2  # a (1 - a) = 0.0025
    assert OPERATORS["sigmoid"].edge(0.01) == pytest.approx(math.log((1 - a) / a))
    assert OPERATORS["tanh"].edge(0.01) == pytest.approx(math.atanh(math.sqrt(0.99)))
    assert OPERATORS["relu"].edge(0.01) == 0
    assert OPERATORS["softplus"].edge(0.01) == pytest.approx(math.log(99))
    assert FUNCTIONS["leaky_relu"].edge(0.01) is None


# --- factors and bounds --------------------------------------------------------------------------


def test_the_factors_of_the_autoencoder() -> None:
    m = model(AUTOENCODER)
    product = factor_gradient(m, "L", "W1")
    (path,) = product.paths
    assert path.names == ("a2", "z2", "a1", "z1", "W1")
    assert [f.kind for f in path.factors] == ["loss", "slope", "weights", "slope", "input"]
    assert [f.norm for f in path.factors[1:]] == [
        "max |sigmoid'(z2)|", "‖W2‖₂", "max |sigmoid'(z1)|", "‖x‖",
    ]  # fmt: skip
    shown = lines(slow_working(m, "W1"))
    assert "‖∂L/∂W1‖ ≤ ‖2*(a2 - x)‖ · 1/4 · ‖W2‖₂ · 1/4 · ‖x‖" in shown
    assert "  norm(grad(L, W1)) <= 1/16*norm(2*(a2 - x))*norm(W2)*norm(x)" in shown
    assert "  W1: slopes on the way 1/4 · 1/4 = 1/16" in shown
    why = [s.because for s in slow_working(m, "W1").steps]
    assert any("under 1 % of 1/4 where |z2| > 5.99 (saturated)" in w for w in why)


def test_a_logarithm_cancels_the_slope_of_the_output() -> None:
    working = slow_working(model(SIAMESE), "W1")
    shown = lines(working)
    assert "  ∂L/∂z2 = a2 - y" in shown
    assert [line for line in shown if "The slope at a2 has cancelled" in line]
    assert [line for line in shown if line.startswith("L → z2 → a1 → aA1 → zA1 → W1")]
    assert [line for line in shown if line.startswith("L → z2 → a1 → aB1 → zB1 → W1")]


def test_a_score_without_a_name_gets_one() -> None:
    text = (
        "given x in R[3]\ngiven y in {0, 1}\nlearn v in R[3]\na = sigmoid(v.T @ x)\nL = bce(a, y)\n"
    )
    shown = lines(slow_working(model(text), "v"))
    assert "Here z_a names what a is the sigmoid of: z_a = v.T @ x." in shown
    assert "‖∂L/∂v‖ ≤ ‖a - y‖ · ‖x‖" in shown


def test_a_penalty_is_a_path_of_its_own() -> None:
    text = (
        "given X in R[N, d]\ngiven Y in onehot[N, k]\ngiven lambda in Rpos\nlearn W in R[d, k]\n"
        "S = X @ W\nP = softmax(S)\nLreg = lambda*sumsq(W)\nL = cross_entropy(P, Y) + Lreg\n"
    )
    shown = lines(slow_working(model(text), "W"))
    assert "‖∂L/∂W‖ ≤ ‖(P - Y)/N‖ · ‖X‖₂ + ‖2*lambda*W‖" in shown


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks())
def test_bounds_are_true_and_paths_add_up(net: Network) -> None:
    m = model(net.text)
    for name in net.learned:
        if not m.deriver.connected(m.leaves["L"], name):
            continue
        product = factor_gradient(m, "L", name)
        for point in draw_points(m, 2, 5):
            run = point.evaluator(m, exact=False)
            with np.errstate(all="ignore"):
                true = norm_of(run, product.gradient, m.leaves[name])
                here = product.bounds(run, sups=False)[name]
                ever = product.bounds(run, sups=True)[name]
                if not all(map(math.isfinite, (true, here, ever))):
                    continue
                assert true <= here * (1 + 1e-7) + 1e-10
                assert here <= ever * (1 + 1e-7) + 1e-10
                if product.more:
                    continue
                shape = run.named(name).shape
                total = sum(np.broadcast_to(run.value(p.after[-1]), shape) for p in product.paths)
                whole = np.broadcast_to(run.value(product.gradient), shape)
                if np.isfinite(total).all():
                    near = 1e-8 * (1 + np.abs(whole).max())
                    assert np.allclose(total, whole, rtol=1e-6, atol=near)


# --- in numbers ----------------------------------------------------------------------------------


def test_numbers_of_the_saturated_autoencoder() -> None:
    z1 = W1 @ X + B1
    a1 = sigmoid(z1)
    z2 = W2 @ a1 + B2
    a2 = sigmoid(z2)
    error = 2 * (a2 - X)
    at_z2 = a2 * (1 - a2) * error
    at_z1 = a1 * (1 - a1) * (W2.T @ at_z2)
    found = slow_working(model(SATURATED), "W1").data["numbers"]
    assert found["gradient"] == pytest.approx(np.linalg.norm(np.outer(at_z1, X)))
    rows = {row["factor"]: row for row in found["factors"][0]}
    assert rows["2*(a2 - x)"]["norm"] == pytest.approx(np.linalg.norm(error))
    assert rows["W2.T"]["norm"] == pytest.approx(np.linalg.norm(W2, 2))
    assert rows["sigmoid'(z2)"]["after"] == pytest.approx(np.linalg.norm(at_z2))
    assert rows["sigmoid'(z1)"]["after"] == pytest.approx(np.linalg.norm(at_z1))
    units = {u["at"]: u["shares"] for u in found["units"]}
    assert units == {"sigmoid'(z2)": [0, 0, 1, 0], "sigmoid'(z1)": [1, 1, 0]}


def test_the_worst_factor_comes_first() -> None:
    shown = lines(slow_working(model(SATURATED), "W1"))
    at = shown.index("What slows it, the worst first")
    assert shown[at + 1].startswith("sigmoid'(z1)")
    assert "  2 of 3 units are saturated: 1, 2" in shown


def test_vanishing_is_visible_layer_by_layer() -> None:
    working = slow_working(model(deep(8)), "W1")
    layers = working.data["numbers"]["layers"]
    assert [row["name"] for row in layers] == [f"W{k}" for k in range(1, 9)]
    sizes = [row["gradient"] for row in layers]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1] / 100
    bars = [line.count("█") for line in lines(working) if "█" in line]
    assert bars == sorted(bars)
    assert [d["slopes_at_most"] for d in working.data["depth"]] == [
        0.25**k for k in range(8, 0, -1)
    ]
    assert [s.text for s in working.steps if "it is their number that slows it" in s.text]


def test_a_bar_loses_a_block_with_every_halving() -> None:
    assert [len(bar(x, 8)) for x in (8, 4, 2, 1)] == [24, 23, 22, 21]
    assert bar(0, 8) == ""
    assert len(bar(1e-12, 8)) == 1


def test_a_dead_relu_lets_nothing_through() -> None:
    text = (
        "given x = [1, 2]\ngiven y = 1\nlearn W = [[-1, -1], [-2, -1]], v = [1, 1]\n"
        "z = W @ x\nh = relu(z)\ns = v.T @ h\nL = (s - y)**2\n"
    )
    working = slow_working(model(text), "W")
    shown = lines(working)
    assert "  2 of 2 units are dead: 1, 2" in shown
    assert "relu'(z): lets nothing through" in shown
    assert working.data["remedies"][0]["what"] == "relu → leaky_relu in h"


def test_a_network_that_fits_is_not_at_fault() -> None:
    text = "given x = [1, 1]\ngiven y = 2\nlearn w = [1, 1.001]\ns = w.T @ x\nL = (s - y)**2\n"
    assert [line for line in lines(slow_working(model(text), "w")) if "is no fault" in line]


def test_units_of_a_batch_have_shares() -> None:
    text = (
        "given X = [[9, 0, 1, 0], [0, 9, 0, 1]]\ngiven Y = [[1, 0, 1, 0]]\n"
        "learn W = [[1, 0], [0, 0.1]], v = [[1, 1]]\n"
        "Z = W @ X\nA = sigmoid(Z)\nS = v @ A\nL = mse(S, Y)\n"
    )
    (units,) = slow_working(model(text), "W").data["numbers"]["units"]
    assert (units["samples"], units["shares"]) == (4, [0.25, 0])
    assert len(units["slope_quartiles"]) == 5


def test_quartiles_over_samples() -> None:
    rng = np.random.default_rng(0)
    samples = rng.uniform(size=(25, 4))
    text = SATURATED.replace("given x = [0.9, 0.1, 0.8, 0.2]", "given x in R[4]")
    found = slow_working(model(text), "W1", samples={"x": samples}).data["samples"]
    norms = []
    for x in samples:
        a1 = sigmoid(W1 @ x + B1)
        a2 = sigmoid(W2 @ a1 + B2)
        delta = a1 * (1 - a1) * (W2.T @ (a2 * (1 - a2) * 2 * (a2 - x)))
        norms.append(np.linalg.norm(delta) * np.linalg.norm(x))
    assert found["count"] == 25
    assert found["gradient"] == pytest.approx(np.quantile(norms, [0, 0.25, 0.5, 0.75, 1]))


# --- changes that would help ---------------------------------------------------------------------


def test_changes_are_real_sheets_whose_gradients_are_right() -> None:
    working = slow_working(model(SATURATED), "W1")
    changes = {c["what"]: c for c in working.data["remedies"]}
    assert len(changes) == 5
    for change in changes.values():
        m = variant(model(SATURATED).sheet, change["sheet"])
        point = m.given_values(exact=False)
        gradient = m.deriver.gradient(m.leaves["L"], "W1")

        def loss(w: np.ndarray, m=m, point=point) -> float:  # type: ignore[no-untyped-def]
            from backproof.calculus.evaluate import Evaluator

            run = Evaluator({}, {**point, "W1": w}, m.definitions)
            return float(run.named("L").item())

        from backproof.calculus.evaluate import Evaluator

        derived = Evaluator({}, point, m.definitions)
        with np.errstate(all="ignore"):
            exact = derived.value(gradient)
            for index in np.ndindex(3, 4):
                step = np.zeros((3, 4))
                step[index] = 1e-5
                slope = (loss(point["W1"] + step) - loss(point["W1"] - step)) / 2e-5
                if math.isfinite(slope) and math.isfinite(exact[index]):
                    assert exact[index] == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_cross_entropy_cancels_the_output_slope_provably() -> None:
    working = slow_working(model(AUTOENCODER), "W1")
    step = next(s for s in working.steps if s.label == "cancels")
    assert step.text == "grad(L, z2) = a2 - x"
    assert step.verified is not None
    assert "proved" in step.verified.how
    old = sigmoid(W2 @ sigmoid(W1 @ X + B1) + B2)
    change = next(
        c
        for c in slow_working(model(SATURATED), "W1").data["remedies"]
        if c["what"].startswith("squared error")
    )
    a1 = sigmoid(W1 @ X + B1)
    now = np.linalg.norm(np.outer(a1 * (1 - a1) * (W2.T @ (old - X)), X))
    assert change["norms"][-1]["after"] == pytest.approx(now)


def test_a_change_that_does_not_help_says_so() -> None:
    steps = slow_working(model(SATURATED), "W1").steps
    assert [s for s in steps if s.because.endswith("by itself this change does not help here")]


# --- what cannot be asked ------------------------------------------------------------------------


def test_errors_say_what_to_ask_instead(tmp_path: Path) -> None:
    m = model(AUTOENCODER)
    with pytest.raises(NameProblem, match="W9 is not defined"):
        slow_working(m, "W9")
    with pytest.raises(ShapeProblem, match="x is given and not learned, so nothing updates it"):
        slow_working(m, "x")
    unused = model(AUTOENCODER + "learn U in R[2]\n")
    with pytest.raises(ShapeProblem, match="L does not depend on U"):
        slow_working(unused, "U", "L")
    with pytest.raises(ValueProblem, match="every row must hold the 4 numbers of one x"):
        slow_working(model(SATURATED), "W1", samples={"x": np.ones((3, 5))})
    path = tmp_path / "x.csv"
    path.write_text("1,2,3\n")
    with pytest.raises(FileProblem, match=r"has 3 columns, .* have 4 entries: x \(4\)"):
        load_samples(path, m)
    path.write_text("1,2,3,4\n5,6,7,8\n")
    assert load_samples(path, m)["x"].shape == (2, 4)


def test_every_factor_and_the_bound_are_formulas() -> None:
    gated = """\
given x in R[m], h0, t in R[n]
given X in R[p, m]
learn W in R[n, m], V in R[3, n]
s = sigmoid(W @ x)
h = s*h0
L = sumsq(h - t)
Z = relu(X @ W.T)
g = mean(Z, axis=0).T
u = V @ g
M = sumsq(u)
"""
    for loss, has in (("L", r"\max\left|h^{[0]}\right|"), ("M", r"\sqrt{p}")):
        steps = with_latex(model(gated), slow_working(model(gated), "W", loss)).steps
        factors = [s for s in steps if s.kind == "local"]
        (bound,) = [s for s in steps if s.label == f"‖∂{loss}/∂W‖" and s.kind == "result"]
        assert all(s.latex for s in (*factors, bound)), [s.text for s in factors if not s.latex]
        assert has in bound.latex


def test_a_large_count_is_told_behind_a_formula() -> None:
    shown = line_latex("‖∂L/∂W1‖ = 0.0661 → 7.48e-08, 885,000 times smaller", ())
    assert shown.endswith(r",\; \text{885,000 times smaller}")
    assert shown.startswith(r"\left\lVert \frac{\partial L}{\partial W^{[1]}}\right\rVert = ")
