"""A whole epoch in one call: every engine takes the same steps as gradient descent by hand."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from tests.engine.common import model_of

from backproof.engine import epochs
from backproof.engine.compiled import compile_gradient
from backproof.engine.epochs import compile_epoch
from backproof.errors import ShapeProblem

ROWS = """
given X in R[N, d]
given Y in onehot[N, K]
learn W in R[d, K], b in R[1, K], c in R
P = softmax(X @ W + b)
L = cross_entropy(P, Y) + 0.01*sumsq(W) + 0.1*c**2
"""
COLUMNS = """
given X in R[4, b]
learn W1 in R[3, 4], b1 in R[3], W2 in R[4, 3]
L = sse(W2 @ tanh(W1 @ X + b1 @ ones(1, b)), X)/b
"""
ENGINES = [
    pytest.param(
        name, marks=pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is not installed")
    )
    for name in ("numpy", "jax", "numba")
]


def problem(text: str, seed: int = 0) -> tuple[Any, dict[str, int], dict[str, Any]]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(23, 4))
    Y = np.eye(3)[rng.integers(0, 3, 23)]
    return model_of(text), {"N": 5, "d": 4, "K": 3, "b": 5}, {"X": X, "Y": Y}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("text", "axes"), [(ROWS, {"X": 0, "Y": 0}), (COLUMNS, {"X": 1})], ids=["rows", "columns"]
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_epoch_is_its_steps(engine: str, text: str, axes: dict[str, int], dtype: str) -> None:
    model, sizes, data = problem(text)
    data = {n: a.astype(dtype) for n, a in data.items() if n in axes}
    rng = np.random.default_rng(1)
    shapes = {n: tuple(d.evaluate(sizes) for d in model.shape(n)) for n in model.learned}
    start = {n: rng.normal(size=s).astype(dtype) for n, s in shapes.items()}
    order, rate, momentum = rng.permutation(23), 0.05, 0.9
    epoch = compile_epoch(model, "L", axes, 5, sizes, momentum=momentum, engine=engine, dtype=dtype)
    loss, params, speeds = epoch(
        data, {n: a.copy() for n, a in start.items()},
        {n: np.zeros_like(a) for n, a in start.items()}, order, rate,
    )  # fmt: skip

    f = compile_gradient(model, "L", engine="numpy")
    mine = {n: a.astype(float) for n, a in start.items()}
    v = {n: np.zeros_like(a) for n, a in mine.items()}
    losses = []
    for k in range(4):
        rows = order[5 * k : 5 * k + 5]
        here = {n: a[rows].T if axes[n] else a[rows] for n, a in data.items()}
        value, gradients = f(**here, **mine)
        losses.append(value)
        for n, g in gradients.items():
            v[n] = momentum * v[n] - rate * np.asarray(g).reshape(v[n].shape)
            mine[n] = mine[n] + v[n]
    tight = 1e-9 if dtype == "float64" else 2e-4
    assert loss == pytest.approx(np.mean(losses), rel=tight)
    for n in mine:
        np.testing.assert_allclose(params[n], mine[n], rtol=tight, atol=tight)
        np.testing.assert_allclose(speeds[n], v[n], rtol=tight, atol=tight)


def test_a_batch_that_is_not_the_sheets_is_told() -> None:
    model, sizes, _ = problem(ROWS)
    with pytest.raises(ShapeProblem, match="axis 0 of X runs over the samples"):
        compile_epoch(model, "L", {"X": 0, "Y": 0}, 4, sizes, engine="numpy")


@pytest.mark.parametrize("layout", ["C", "F"])
def test_parameters_moved_together_and_alone_come_to_the_same_bits(
    layout: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small parameters share one array while an epoch runs; the caller's arrays are updated."""
    model, sizes, data = problem(ROWS)
    rng = np.random.default_rng(1)
    shapes = {n: tuple(d.evaluate(sizes) for d in model.shape(n)) for n in model.learned}
    start = {n: rng.normal(size=s) for n, s in shapes.items()}
    order = rng.permutation(23)
    found = []
    for most in (epochs.SMALL_PARAMETER, 5, 0):  # all together, W alone, each alone
        monkeypatch.setattr(epochs, "SMALL_PARAMETER", most)
        epoch = compile_epoch(model, "L", {"X": 0, "Y": 0}, 5, sizes, momentum=0.9, engine="numpy")
        mine = {n: np.array(a, order=layout) for n, a in start.items()}
        speeds = {n: np.zeros_like(a) for n, a in mine.items()}
        for _ in range(2):
            _, given, gone = epoch(data, mine, speeds, order, 0.05)
        for n in mine:
            assert given[n] is mine[n] and gone[n] is speeds[n]
            assert not np.array_equal(mine[n], start[n])
        found.append([a.tobytes() for a in (*mine.values(), *speeds.values())])
    assert found[0] == found[1] == found[2]
