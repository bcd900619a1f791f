"""The numba engine's own: functions in vectors, results used again, numbers in the precision."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from tests.engine.common import SIAMESE, agrees, model_of

pytest.importorskip("numba")

from backproof.engine.compiled import compile_gradient
from backproof.engine.epochs import compile_epoch
from backproof.engine.numba_functions import functions
from backproof.engine.numba_writer import typed


def _exact(name: str, x: float) -> float:
    """The value by the standard library's decimals."""
    with localcontext() as context:
        context.prec = 60
        z = Decimal(x)
        e = abs(z).copy_negate().exp()
        up = 1 / (1 + e) if z >= 0 else e / (1 + e)
        twice = (2 * abs(z)).copy_negate().exp()
        return float({
            "exp_": z.exp(), "sigmoid_": up, "softplus_": max(z, Decimal(0)) + (1 + e).ln(),
            "tanh_": (1 - twice) / (1 + twice) * (1 if z >= 0 else -1),
        }[name])  # fmt: skip


POINTS = (*np.linspace(-40, 40, 321), *np.linspace(-1, 1, 101), *(10.0**-k for k in range(2, 12)),
          -700.0, 700.0, 0.62499, 0.62501)  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["exp_", "sigmoid_", "softplus_", "tanh_"])
def test_functions_are_right_to_a_few_units_in_the_last_place(name: str, dtype: str) -> None:
    f, kind = functions(dtype)[name], np.dtype(dtype).type
    info = np.finfo(kind)
    for x in map(kind, POINTS):
        want = _exact(name, float(x))
        if float(info.tiny) < abs(want) < float(info.max):
            assert abs(float(f(x)) - want) <= 3 * float(info.eps) * abs(want), x


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_functions_at_the_ends(dtype: str) -> None:
    kind = np.dtype(dtype).type
    ends = {
        n: [float(f(kind(x))) for x in (-math.inf, -1500.0, 0.0, 1500.0, math.inf)]
        for n, f in functions(dtype).items()
        if n in ("exp_", "sigmoid_", "softplus_", "tanh_")
    }
    assert ends["exp_"] == [0, 0, 1, math.inf, math.inf]
    assert ends["sigmoid_"] == [0, 0, 0.5, 1, 1]
    assert ends["softplus_"][:2] == [0, 0] and ends["softplus_"][3:] == [1500, math.inf]
    assert ends["tanh_"] == [-1, -1, 0, 1, 1]
    for name in ("exp_", "sigmoid_", "softplus_", "tanh_"):
        assert math.isnan(functions(dtype)[name](kind(math.nan)))


@lru_cache(maxsize=1)
def _call() -> tuple[Any, list[Any]]:
    rng = np.random.default_rng(0)
    f = compile_gradient(model_of(SIAMESE), "L", engine="numba")
    sizes = {"xA": 4, "xB": 4, "b1": 3, "W1": (3, 4), "W2": (1, 3)}
    arrays = {n: rng.normal(size=s) for n, s in sizes.items()}
    return f, [{**arrays, "y": 1.0, "b2": 0.1}.get(n) for n in f.names]


def test_results_that_are_held_are_never_overwritten() -> None:
    f, row = _call()
    kept, copies = [], []
    for k in range(6):
        _, g = f(*[a + k if isinstance(a, np.ndarray) else a for a in row])
        kept.append(g)
        copies.append({n: np.array(a) for n, a in g.items()})
    for g, want in zip(kept, copies, strict=True):
        for n, a in g.items():
            np.testing.assert_array_equal(a, want[n])


@pytest.mark.parametrize("hold", [lambda a: a[:1], lambda a: a.T, memoryview, lambda a: a])
def test_a_view_of_a_result_holds_it(hold: Any) -> None:
    f, row = _call()
    f(*row)
    part = hold(f(*row)[1]["W1"])
    before = np.array(part)
    for k in range(1, 5):
        f(*[a * (k + 1.5) if isinstance(a, np.ndarray) else a for a in row])
    np.testing.assert_array_equal(np.array(part), before)


def test_results_that_nobody_holds_are_used_again() -> None:
    f, row = _call()
    places = {f(*row)[1]["W1"].ctypes.data for _ in range(20)}
    assert len(places) <= 2


def test_numbers_are_written_in_the_precision() -> None:
    lines = ["acc = np.float64(0)", "a[i1, i2] = (2.0 * b[i1] + 1e-3) if i1 < 4 else -math.inf"]
    assert typed(lines, "float64")[0] == "acc = 0.0"
    assert typed(lines[1:], "float64") == lines[1:]
    assert typed(lines, "float32") == [
        "acc = np.float64(0)", "a[i1, i2] = (F(2.0) * b[i1] + F(1e-3)) if i1 < 4 else -F(math.inf)",
    ]  # fmt: skip


def test_an_epoch_in_single_precision_is_close_to_double() -> None:
    text = (
        "given X in R[N, 5]\nlearn W1 in R[5, 3], b1 in R[1, 3], W2 in R[3, 5], b2 in R[1, 5]\n"
        "L = mse(sigmoid(tanh(X @ W1 + b1) @ W2 + b2), X) + 0.01*sumsq(W1)"
    )
    rng = np.random.default_rng(1)
    X = rng.random((64, 5))
    start = {"W1": (5, 3), "b1": (1, 3), "W2": (3, 5), "b2": (1, 5)}
    first = {n: rng.normal(size=s) for n, s in start.items()}
    ends = {}
    for dtype in ("float64", "float32"):
        epoch = compile_epoch(model_of(text), "L", {"X": 0}, 16, {"N": 16}, momentum=0.9,
                              engine="numba", dtype=dtype)  # fmt: skip
        params = {n: a.astype(dtype) for n, a in first.items()}
        speeds = {n: np.zeros_like(a) for n, a in params.items()}
        value, ends[dtype], _ = epoch({"X": X.astype(dtype)}, params, speeds, np.arange(64), 0.1)
        assert value > 0
    for n, a in ends["float64"].items():
        np.testing.assert_allclose(ends["float32"][n], a, rtol=1e-5, atol=1e-6)


# Sizes at which a product has whole groups of rows and a rest, and at which entries are written
# in one loop over the whole array unless something is read in another order.
LAYOUTS = {
    "one row": "given x in R[1, 7]\nlearn W in R[7, 5], V in R[5, 6]\nL = sumsq(tanh(x @ W) @ V)",
    "rows": "given X in R[9, 6]\nlearn W in R[6, 11]\nL = sum(tanh(X @ W))",
    "fewer rows than a group": "given X in R[2, 3]\nlearn W in R[3, 40]\nL = sumsq(X @ W)",
    "transposed": "given X in R[9, 10]\nlearn W in R[10, 9]\nL = sum(exp(0.1*X * W.T) * (W.T + X))",
    "broadcast": "given X in R[9, 10]\nlearn b in R[1, 10], c in R[9]\nL = sum(tanh(X*X + b) * X)"
                 " + sum(sin(X + c @ ones(1, 10)))",
    "a part of what is larger": "given A in R[12, 11]\nlearn W in R[9, 8]\n"
                                "P = A[1:9, 1:8]\nL = sum(exp(W * P) + sin(W) * P)",
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("text", LAYOUTS.values(), ids=LAYOUTS)
def test_loops_read_the_right_entries(text: str, dtype: str) -> None:
    agrees(text, "numba", dtype=dtype)


def test_entries_that_lie_alike_are_written_in_one_loop() -> None:
    """A loop for each row would test for each of them whether arrays overlap."""
    text = "given X in R[9, 10]\nlearn W in R[9, 10]\nL = sum(exp(0.1*X * W))"
    model = model_of(text)
    f = compile_gradient(model, "L", engine="numba")
    rng = np.random.default_rng(0)
    f(**{n: rng.normal(size=(9, 10)) for n in f.names})
    assert "in range(90):" in f.source
    small = compile_gradient(model_of(text.replace("9, 10", "2, 3")), "L", engine="numba")
    small(**{n: rng.normal(size=(2, 3)) for n in small.names})
    assert "in range(6):" not in small.source


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 11, 31])
def test_a_weighted_gram_is_the_product(n: int) -> None:
    from backproof.engine.numba_functions import gram_writer

    rng = np.random.default_rng(n)
    for count in (1, 7, 40):
        rows, d = rng.normal(size=(n, count)), rng.normal(size=count)
        np.testing.assert_allclose(
            gram_writer()(rows, d), rows @ np.diag(d) @ rows.T, rtol=1e-12, atol=1e-12
        )


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6, 9])
@pytest.mark.parametrize("count", [1, 3, 4, 10])
def test_a_transposed_matrix_times_a_column(count: int, n: int) -> None:
    """Written down the rows, some at a time: every remainder of both sizes."""
    text = f"given X in R[{count}, {n}]\ngiven r in R[{count}]\nlearn w in R[{n}]\nL = r.T @ X @ w"
    rng = np.random.default_rng(n)
    X, r, w = rng.normal(size=(count, n)), rng.normal(size=count), rng.normal(size=n)
    for dtype, close in (("float64", 1e-12), ("float32", 1e-5)):
        kind = np.dtype(dtype)
        f = compile_gradient(model_of(text), "L", engine="numba", dtype=dtype)
        value, found = f(X=X.astype(kind), r=r.astype(kind), w=w.astype(kind))
        assert value == pytest.approx(r @ X @ w, rel=close, abs=close)
        np.testing.assert_allclose(found["w"], X.T @ r, rtol=close, atol=close)
