"""The Hessian in all parameters at once, and Newton's method with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.engine.common import model_of

import backproof as bp
from backproof.engine.compiled import compile_gradient
from backproof.engine.curvature import compile_products
from backproof.engine.joint import compile_joint
from backproof.engine.second_order import flat, solved, unflat

ROWS = "given X in R[N, 4]\ngiven Y in onehot[N, 3]\nlearn W in R[4, 3], b in R[1, 3]\n"
COLUMNS = "given X in R[4, N]\ngiven T in R[3, N]\nlearn W in R[3, 4], b in R[3]\n"
LABELS = "given X in R[N, 4]\ngiven y in {0, 1}[N]\nlearn w in R[4], b in R\nz = X @ w + b\n"
CASES = [
    (ROWS + "L = cross_entropy(softmax(X @ W + b), Y) + 0.1*sumsq(W)", "Kronecker"),
    (LABELS + "L = bce(sigmoid(z), y) + 0.01*sumsq(w)", "weighted Gram"),
    (LABELS + "a = sigmoid(z)\nL = mean(-3*y*log(a) - (1 - y)*log(1 - a) + 0.1*sumsq(w))", "Gram"),
    (LABELS + "L = mse(2*z + 1, y)", "weighted Gram"),
    (COLUMNS + "L = mean(exp(W @ X + b)) + mse(W @ X + b, T)", None),
    (COLUMNS + "L = mean((W @ X + b - T)**4)", "Gram"),
    (COLUMNS + "L = mean(logsumexp(W @ X + b, axis=0))", "Kronecker"),
]
MLP = (
    "given X in R[N, 4]\ngiven Y in onehot[N, 3]\n"
    "learn W1 in R[4, 5], b1 in R[1, 5], W2 in R[5, 3]\n"
    "L = cross_entropy(softmax(tanh(X @ W1 + b1) @ W2), Y) + 0.1*sumsq(W1)"
)
ONE = {"W": (4, 3), "b": (1, 3), "w": (4,), "W1": (4, 5), "b1": (1, 5), "W2": (5, 3)}


def world(text: str) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    rng = np.random.default_rng(0)
    model, N = model_of(text), 7
    turned = text.startswith(COLUMNS)
    data = {"X": rng.normal(size=(4, N) if turned else (N, 4)), "T": rng.normal(size=(3, N)),
            "Y": np.eye(3)[rng.integers(0, 3, N)],
            "y": (rng.random((N, 1)) < 0.5) * 1.0}  # fmt: skip
    sizes = {n: tuple(d.evaluate({"N": N}) for d in model.shape(n)) for n in model.learned}
    params = {n: rng.normal(size=(*s, *(1,) * (2 - len(s)))) for n, s in sizes.items()}
    return model, {n: a for n, a in data.items() if n in model.sheet.given}, params


def differences(model: Any, data: Any, params: Any) -> Any:
    """The Hessian by central differences of the gradient, which is tested elsewhere."""
    f = compile_gradient(model, "L", engine="numpy")
    x, step = flat(params), 1e-5

    def g(column: Any) -> Any:
        arrays = {**data, **unflat(column, params)}
        found = f(**{n: arrays[n] for n in f.names})[1]
        return flat({n: found[n] for n in params})

    eye = step * np.eye(len(x))
    return np.stack([(g(x + e) - g(x - e)) / (2 * step) for e in eye])


@pytest.mark.parametrize("text, kind", CASES)
def test_the_matrix_is_that_of_differences(text: str, kind: str | None) -> None:
    model, data, params = world(text)
    joint = compile_joint(model, "L", model.learned)
    if kind is None:
        assert joint is None or "plus" in joint.kind or joint.kind
        if joint is None:
            return
    else:
        assert joint is not None and kind in joint.kind
    bound = joint.bind(data, params)
    value, gradient = bound.at(flat(params))
    f = compile_gradient(model, "L", engine="numpy")
    arrays = {**data, **params}
    want, theirs = f(**{n: arrays[n] for n in f.names})
    assert value == pytest.approx(want)
    np.testing.assert_allclose(gradient, flat({n: theirs[n] for n in params}))
    np.testing.assert_allclose(
        bound.matrix(), differences(model, data, params), rtol=1e-6, atol=1e-8
    )


def test_a_network_has_products_instead() -> None:
    model, data, params = world(MLP)
    assert compile_joint(model, "L", model.learned) is None
    times = compile_products(model, "L", model.learned)
    matrix = differences(model, data, params)
    rng = np.random.default_rng(1)
    for _ in range(3):
        v = rng.normal(size=len(matrix))
        found = times({**data, **params}, unflat(v, params))
        np.testing.assert_allclose(flat({n: found[n] for n in params}), matrix @ v,
                                   rtol=1e-6, atol=1e-8)  # fmt: skip


def test_a_product_of_parameters_is_not_affine_in_both() -> None:
    text = "given X in R[N, 4]\ngiven y in R[N]\nlearn A in R[4, 2], c in R[2]\n"
    assert compile_joint(model_of(text + "L = mse(X @ A @ c, y)"), "L", ["A", "c"]) is None


def test_solving_with_a_matrix_that_is_singular_or_indefinite_goes_down() -> None:
    g = np.array([1.0, -2.0, 0.5])
    for matrix in (np.zeros((3, 3)), np.diag([1.0, 0, 2]), np.diag([1.0, -3, 2]), np.eye(3)):
        p = solved(matrix, g)
        assert p @ g < 0
    np.testing.assert_allclose(solved(np.diag([1.0, 2, 4]), g), [-1, 1, -0.125])


def test_training_by_newton_uses_the_structure_and_ends_flat() -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(200, 4))
    y = (X @ [1.0, -2, 0.5, 0] + rng.normal(size=200) > 0) * 1.0
    sheet = bp.Sheet(LABELS + "L = bce(sigmoid(z), y) + 0.01*sumsq(w)")
    r = sheet.fit({"X": X, "y": y}, optimizer="newton", epochs=30, scale="none")
    assert "its Hessian of 5 parameters is used as weighted Gram" in r.why
    assert len(r.history) < 12 and "flat" in r.stopped
    model = model_of(LABELS + "L = bce(sigmoid(z), y) + 0.01*sumsq(w)")
    rows = r.task.rows("train")
    f = compile_gradient(model, "L", engine="numpy")
    arrays = {**rows, **r.parameters}
    _, g = f(**{n: arrays[n] for n in f.names})
    assert max(float(np.abs(a).max()) for a in g.values()) < 1e-9
