"""Values and gradients far out on the axes: no overflow, no warning, and the right limit."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from functools import cache
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


def exp(z: Decimal) -> Decimal:
    return z.exp()


def tanh(z: Decimal) -> Decimal:
    return 1 - 2 / (1 + exp(2 * z))


# written -> (value, slope) in sixty digits, worked out by hand
FORMS: dict[str, Callable[[Decimal], tuple[Decimal, Decimal]]] = {
    "log(exp(z) + exp(-z))": lambda z: ((exp(z) + exp(-z)).ln(), tanh(z)),
    "log((exp(z) + exp(-z))/2)": lambda z: (((exp(z) + exp(-z)) / 2).ln(), tanh(z)),
    "log(2 + 3*exp(z))": lambda z: ((2 + 3 * exp(z)).ln(), 3 * exp(z) / (2 + 3 * exp(z))),
    "log(1 + exp(z) + exp(2*z))": lambda z: (
        (1 + exp(z) + exp(2 * z)).ln(),
        (exp(z) + 2 * exp(2 * z)) / (1 + exp(z) + exp(2 * z)),
    ),
    "exp(z)/(exp(z) + exp(-z))": lambda z: (
        1 / (1 + exp(-2 * z)), 2 / ((1 + exp(-2 * z)) * (1 + exp(2 * z)))
    ),
    "log(exp(z)/(exp(z) + exp(-z)))": lambda z: (
        -(1 + exp(-2 * z)).ln(), 2 / (1 + exp(2 * z))
    ),
    "2/(exp(z) + exp(-z))": lambda z: (
        2 / (exp(z) + exp(-z)), -tanh(z) * 2 / (exp(z) + exp(-z))
    ),
    "(1 - exp(-z))/(1 + exp(-z))": lambda z: (
        tanh(z / 2), 2 / ((1 + exp(-z)) * (1 + exp(z)))
    ),
    "(exp(z) + exp(2*z))/(1 + exp(z) + exp(2*z))": lambda z: (
        1 - 1 / (1 + exp(z) + exp(2 * z)),
        (exp(z) + 2 * exp(2 * z)) / (1 + exp(z) + exp(2 * z)) ** 2,
    ),
    "elu(z)": lambda z: (z, Decimal(1)) if z > 0 else (exp(z) - 1, exp(z)),
    "where(z <= 0, 3*(exp(z) - 1), z)": lambda z: (
        (z, Decimal(1)) if z > 0 else (3 * (exp(z) - 1), 3 * exp(z))
    ),
    "where(z > 20, z, log(1 + exp(z)))": lambda z: (
        (z, Decimal(1)) if z > 20 else ((1 + exp(z)).ln(), 1 / (1 + exp(-z)))
    ),
}  # fmt: skip


@cache
def worked(form: str, z: float) -> tuple[float, float]:
    with localcontext(Context(prec=1400)):  # log(1 + exp(-1500)) needs 650 digits
        value, slope = FORMS[form](Decimal(z))
        return float(value), float(slope)


@pytest.mark.parametrize("form", FORMS)
def test_exponentials_written_out(form: str) -> None:
    f = compile_gradient(model_of(f"learn z in R[8]\nL = sum({form})"), "L", engine="numpy")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, gradients = f(z=np.array(FAR))
    want = [worked(form, z) for z in FAR]
    assert float(value) == pytest.approx(sum(v for v, _ in want), rel=1e-12, abs=1e-12)
    got = np.ravel(gradients["z"])
    np.testing.assert_allclose(got, [s for _, s in want], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("engine", ENGINES)
def test_exponentials_of_numbers_written_out(engine: str, dtype: str) -> None:
    lines = [f"z{k} = z[{k}]" for k, _ in enumerate(FORMS, 1)]
    terms = [re.sub(r"\bz\b", f"z{k}", form) for k, form in enumerate(FORMS, 1)]
    text = "\n".join([f"learn z in R[{len(FORMS)}]", *lines, f"L = {' + '.join(terms)}"])
    f = compile_gradient(model_of(text), "L", engine=engine, dtype=dtype)
    tight, least = (1e-9, 1e-15) if dtype == "float64" else (1e-4, 1e-6)
    for z in (*FAR, 0.0):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            value, gradients = f(z=np.full(len(FORMS), z, dtype))
        want = [worked(form, float(np.dtype(dtype).type(z))) for form in FORMS]
        assert float(value) == pytest.approx(sum(v for v, _ in want), rel=tight, abs=1e3 * least)
        got = np.asarray(gradients["z"], dtype=float).ravel()
        np.testing.assert_allclose(got, [s for _, s in want], rtol=tight, atol=least)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("form", "scale"),
    [
        ("log(sum(exp(z)))", 1.0), ("log(sum(2*exp(z)))", 2.0), ("log(mean(exp(z)))", 0.25),
        ("log(sum(exp(z)/3))", 1 / 3), ("log(sum(exp(z[i]) for i in 1..4))", 1.0),
    ],
)  # fmt: skip
def test_logarithms_of_scaled_sums_of_exponentials(form: str, scale: float, engine: str) -> None:
    f = compile_gradient(model_of(f"learn z in R[4]\nL = {form}"), "L", engine=engine)
    for shift in (0.0, 1500.0, -1500.0):
        value, gradients = f(z=np.array([0.0, 1.0, -2.0, 3.0]) + shift)
        weights = np.exp([0.0, 1.0, -2.0, 3.0])
        assert float(value) == pytest.approx(shift + np.log(scale * weights.sum()), rel=1e-12)
        got = np.asarray(gradients["z"]).ravel()
        np.testing.assert_allclose(got, weights / weights.sum(), rtol=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("form", "slopes"),
    [
        ("elu(z)", {0.0: 1.0, 1500.0: 1.0, -1500.0: 0.0}),
        ("leaky_relu(z)", {0.0: 0.01, 1500.0: 1.0, -1500.0: 0.01}),
        ("min(exp(z), 10)", {1500.0: 0.0, 0.0: 1.0}),
        ("sqrt(relu(z))", {-1.0: 0.0, 4.0: 0.25}),
        ("where(z > 0, sqrt(z), 0)", {-1.0: 0.0, 0.0: 0.0, 4.0: 0.25}),
        ("where(z > 0, log(z), 0)", {-1.0: 0.0, 0.0: 0.0, 4.0: 0.25}),
        ("where(z == 0, 1, sin(z)/z)", {0.0: 0.0, np.pi: -1 / np.pi}),
        ("where(z > 0, 1/z, 3*z)", {-1.0: 3.0, 0.0: 3.0, 2.0: -0.25}),
    ],
)
def test_a_branch_that_is_not_taken_has_no_slope(
    form: str, slopes: dict[float, float], engine: str
) -> None:
    f = compile_gradient(model_of(f"learn z in R[2]\nL = sum({form})"), "L", engine=engine)
    for z, slope in slopes.items():
        with np.errstate(all="ignore"):
            value, gradients = f(z=np.array([z, 0.5]))
        assert np.isfinite(float(value))
        assert float(np.ravel(gradients["z"])[0]) == pytest.approx(slope, abs=1e-15)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_branch_hides_no_value_that_is_not_a_number(engine: str) -> None:
    f = compile_gradient(model_of("learn z in R[2]\nL = sum(elu(z))"), "L", engine=engine)
    with np.errstate(all="ignore"):
        value, gradients = f(z=np.array([np.nan, 1.0]))
    assert np.isnan(float(value))
    assert np.isnan(np.ravel(gradients["z"])[0])


def test_a_named_exponential_in_the_condition_itself() -> None:
    f = compile_gradient(
        model_of("learn z in R\ne = exp(z)\nL = max(z, 0) + min(e - 1, 0)*e"), "L", engine="numpy"
    )
    value, gradients = f(z=-1.0)
    e = np.exp(-1.0)
    assert float(value) == pytest.approx((e - 1) * e)
    assert float(gradients["z"]) == pytest.approx(2 * e * e - e)


@pytest.mark.parametrize(
    "loss",
    [
        "sum(elu(where(2*w > c*w, elu(c*w), exp(w) - 1)))",
        "sum(elu(elu(elu(elu(w)))))",
        "sum(where(w > 0, where(w > 1, exp(-w), exp(w)), where(w < -1, exp(w)*w, w)))",
    ],
)
def test_choices_within_choices(loss: str) -> None:
    model = model_of(f"given c in R\nlearn w in R[4]\nL = {loss}")
    f = compile_gradient(model, "L", "w", engine="numpy")
    plain = compile_gradient(model, "L", (), engine="numpy")
    w, h = np.array([-2.3, -0.4, 0.3, 1.7]), 1e-6
    _, gradients = f(w=w, **({"c": 0.7} if "c" in f.names else {}))
    for k in range(4):
        step = np.eye(4)[k] * h
        given = {"c": 0.7} if "c" in f.names else {}
        difference = float(plain(w=w + step, **given)[0]) - float(plain(w=w - step, **given)[0])
        assert np.ravel(gradients["w"])[k] == pytest.approx(difference / (2 * h), rel=1e-6)
