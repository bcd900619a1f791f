"""Values and gradients far out on the axes: no overflow, no warning, and the right limit."""

from __future__ import annotations

import warnings
from decimal import Decimal, localcontext
from importlib.util import find_spec

import numpy as np
import pytest
from tests.engine.common import model_of

from backproof.engine.compiled import compile_gradient

ENGINES = [
    pytest.param(
        name, marks=pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is not installed")
    )
    for name in ("numpy", "jax", "numba")
]
FAR = (-1500.0, -800.0, -40.0, -1e-9, 0.5, 40.0, 800.0, 1500.0)
DTYPES = ["float64", "float32"]


def softplus(z: float) -> float:
    with localcontext() as context:
        context.prec = 60
        x = Decimal(z)
        return float(max(x, Decimal(0)) + (1 + (-abs(x)).exp()).ln())


def sigmoid(z: float) -> float:
    with localcontext() as context:
        context.prec = 60
        return float(1 / (1 + (-Decimal(z)).exp()))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "loss",
    [
        "-(y*log(a) + (1 - y)*log(1 - a))",
        "bce(a, y)",
        "-(y*log(1/(1 + exp(-z))) + (1 - y)*log(1 - 1/(1 + exp(-z))))",
        "y*log(1 + exp(-z)) + (1 - y)*log(1 + exp(z))",
    ],
)
def test_cross_entropy_of_a_sigmoid(loss: str, engine: str, dtype: str) -> None:
    f = compile_gradient(
        model_of(f"given y in {{0, 1}}\nlearn z in R\na = sigmoid(z)\nL = {loss}"),
        "L", engine=engine, dtype=dtype,
    )  # fmt: skip
    tight = 1e-9 if dtype == "float64" else 1e-4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for z in FAR:
            for y in (0.0, 1.0):
                value, gradients = f(y=y, z=z)
                assert float(value) == pytest.approx(
                    softplus((1 - 2 * y) * z), rel=tight, abs=tight**4
                )
                want = sigmoid(z) - y
                assert float(gradients["z"]) == pytest.approx(want, rel=1e-4, abs=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "loss",
    [
        "cross_entropy(softmax(Z), Y)",
        "-mean(sum(Y*log(exp(Z)/sum(exp(Z), axis=1)), axis=1))",
        "mean(log(sum(exp(Z), axis=1)) - sum(Y*Z, axis=1))",
    ],
)
def test_cross_entropy_of_a_softmax(loss: str, engine: str, dtype: str) -> None:
    f = compile_gradient(
        model_of(f"given Y in onehot[N, K]\nlearn Z in R[N, K]\nL = {loss}"),
        "L", engine=engine, dtype=dtype,
    )  # fmt: skip
    Z = np.array([[1500.0, -1500.0, 0.0], [-800.0, 800.0, 799.0], [0.1, 0.2, 0.3]])
    Y = np.eye(3)[[1, 2, 0]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, gradients = f(Y=Y.astype(dtype), Z=Z.astype(dtype))
    shifted = Z - Z.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    assert float(value) == pytest.approx(-(Y * log_p).sum() / 3, rel=1e-5)
    np.testing.assert_allclose(gradients["Z"], (np.exp(log_p) - Y) / 3, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("engine", ENGINES)
def test_activations_far_out(engine: str, dtype: str) -> None:
    f = compile_gradient(
        model_of(
            "learn z in R[8]\nL = sum(sigmoid(z)) + sum(softplus(z))/1000 + sum(tanh(z)) "
            "+ sum(silu(z))/1000 + logsumexp(z)/1000 + sum(softmax(z)*z)/1000"
        ),
        "L", engine=engine, dtype=dtype,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, gradients = f(z=np.array(FAR, dtype))
    want = sum(sigmoid(z) + softplus(z) / 1000 + np.tanh(z) + z * sigmoid(z) / 1000 for z in FAR)
    assert float(value) == pytest.approx(want + 3.0, rel=1e-4)
    assert np.isfinite(np.asarray(gradients["z"])).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_value_that_is_not_a_number_is_not_hidden(engine: str) -> None:
    f = compile_gradient(
        model_of("given x in R[3]\nlearn w in R[3]\nL = sum(relu(w*x))"), "L", engine=engine
    )
    with np.errstate(all="ignore"):
        value, _ = f(x=np.array([1.0, np.nan, 2.0]), w=np.ones(3))
    assert np.isnan(float(value))


@pytest.mark.parametrize("engine", ENGINES)
def test_silu_written_as_a_quotient(engine: str) -> None:
    f = compile_gradient(model_of("learn z in R\nL = z/(1 + exp(-z))"), "L", "z", engine=engine)
    for z, value, slope in ((-1500.0, 0.0, 0.0), (1500.0, 1500.0, 1.0), (0.0, 0.0, 0.5)):
        got, gradients = f(z=z)
        assert (float(got), float(gradients["z"])) == (value, slope)
