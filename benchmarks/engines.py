"""The engines against torch eager and JAX: one gradient call of exam size, epochs, Hessians.

`python -m benchmarks engine`. Every row first checks that both sides compute the same; runs take
turns, and ratios are of medians of one run. BLAS is on one thread, but for Hessians, where both
sides have every core. torch is used where it is installed, else its column says so. Training
steps are in `steps`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

import backproof as bp
from backproof.engine.compiled import installed
from backproof.engine.joint import compile_joint
from backproof.engine.second_order import Iterate, flat, solved
from backproof.engine.second_order import newton as newton_step
from backproof.engine.threads import policy
from benchmarks.lines import Line, Task, interleaved
from benchmarks.steps import training

ROOT = Path(__file__).resolve().parent.parent
SIAMESE = (ROOT / "examples" / "siamese.sheet").read_text()
AUTOENCODER = """
given x in R[4]
learn W1 in R[3, 4], b1 in R[3], W2 in R[4, 3], b2 in R[4]
a1 = sigmoid(W1 @ x + b1)
a2 = sigmoid(W2 @ a1 + b2)
L = sse(a2, x)
"""
ENGINES = ("numpy", "jax", "numba")


def here() -> list[str]:
    return [e for e in ENGINES if e == "numpy" or installed(e)]


# --- one call --------------------------------------------------------------------------------


def torch_call(forward: Callable[..., Any], data: dict[str, Any], params: dict[str, Any]) -> Any:
    """A gradient call of torch eager, and its gradients; None where torch is not installed."""
    if not installed("torch"):
        return None, None
    import torch

    torch.set_num_threads(1)
    fixed = {n: torch.tensor(a) for n, a in data.items()}
    leaves = {n: torch.tensor(a, requires_grad=True) for n, a in params.items()}

    def call() -> Any:
        loss = forward(torch, **fixed, **leaves)
        gradients = torch.autograd.grad(loss, list(leaves.values()))
        return loss.item(), gradients

    return call, {n: g.numpy() for n, g in zip(leaves, call()[1], strict=True)}


def siamese(t: Any, xA: Any, xB: Any, y: Any, W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    a1 = t.relu(W1 @ xA + b1) - t.relu(W1 @ xB + b1)
    a2 = t.sigmoid(W2 @ a1 + b2)
    return -(y * t.log(a2) + (1 - y) * t.log(1 - a2)).sum()


def autoencoder(t: Any, x: Any, W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    return ((t.sigmoid(W2 @ t.sigmoid(W1 @ x + b1) + b2) - x) ** 2).sum()


def one_call(what: str, text: str, forward: Callable[..., Any]) -> list[Line]:
    rng = np.random.default_rng(0)
    sheet = bp.Sheet(text)
    arrays = {
        n: rng.normal(size=_ints(sheet.shape(n)) or (1,)) for n in (*sheet.given, *sheet.learned)
    }
    if "y" in arrays:
        arrays["y"] = np.ones(1)
    data = {n: arrays[n] for n in sheet.given}
    params = {n: arrays[n] for n in sheet.learned}
    theirs, want = torch_call(forward, data, params)
    tasks: dict[str, Task] = {} if theirs is None else {"torch eager": theirs}
    for engine in here():
        f = sheet.compile(engine=engine)
        given = dict(arrays)
        if engine == "jax":
            import jax

            given = {n: jax.numpy.asarray(a) for n, a in arrays.items()}
        elif engine == "numpy":
            given = {n: float(a[0]) if a.shape == (1,) else a for n, a in arrays.items()}
        _, gradients = f(**given)
        for name, g in (want or {}).items():
            np.testing.assert_allclose(
                np.asarray(gradients[name]).reshape(g.shape), g, rtol=1e-6, atol=1e-12
            )
        row = [given[n] for n in f.names]
        tasks[engine] = lambda f=f, row=row: f(*row)
        if engine == "jax":
            plain = sheet.compile(engine=engine)
            ours = [arrays[n] for n in f.names]
            plain(*ours)
            tasks["jax, NumPy in and out"] = lambda f=plain, row=ours: f(*row)
        if engine == "numba":
            again = sheet.compile(engine=engine, reuse=True)
            again(*row)
            tasks["numba, reuse"] = lambda f=again, row=row: f(*row)
    times = interleaved(tasks)
    goals = {"numpy": 10.0, "jax": 10.0, "numba": 100.0, "numba, reuse": 100.0}
    return [
        Line(f"{what}, {e}", "torch eager", times.get("torch eager"), times[e], goals.get(e),
             "one gradient call")
        for e in tasks
        if e != "torch eager"
    ]  # fmt: skip


def _ints(shape: tuple[int | str, ...]) -> tuple[int, ...]:
    return tuple(int(n) for n in shape)


# --- second order ----------------------------------------------------------------------------


def jax_hessian(loss: Callable[..., Any], wrt: str, arrays: dict[str, Any]) -> Task | None:
    if not installed("jax"):
        return None
    import jax

    jax.config.update("jax_enable_x64", True)
    rest = {n: jax.numpy.asarray(a) for n, a in arrays.items() if n != wrt}
    at = jax.numpy.asarray(arrays[wrt])
    f = jax.jit(jax.hessian(lambda w, rest: loss(**{wrt: w}, **rest)))
    return lambda: f(at, rest).block_until_ready()


def hessian(
    what: str, text: str, wrt: str, arrays: dict[str, Any], loss: Callable[..., Any],
    dense: float | None, structured: float | None, runs: int = 7,
) -> list[Line]:  # fmt: skip
    h = bp.Sheet(text).compile_hessian("L", wrt)
    theirs = jax_hessian(loss, wrt, arrays)
    got = h(**arrays)
    out = np.empty_like(got)
    tasks: dict[str, Task] = {
        "dense": lambda: h(**arrays, out=out), "structured": lambda: h.structured(**arrays),
    }  # fmt: skip
    if theirs is not None:
        np.testing.assert_allclose(
            got, np.asarray(theirs()).reshape(got.shape), rtol=1e-6, atol=1e-9
        )
        tasks["jax"] = theirs
    times = interleaved(tasks, runs)
    peer = times.get("jax")
    said, group = "jit(jax.hessian)", "Hessians"
    title = f"{what}, structured ({h.kind})"
    return [Line(f"{what}, dense", said, peer, times["dense"], dense, group),
            Line(title, said, peer, times["structured"], structured, group)]  # fmt: skip


def mlp(d: int, h: int, k: int) -> tuple[str, dict[str, Any]]:
    rng = np.random.default_rng(1)
    text = f"""
    given x in R[{d}]
    given y in onehot[{k}]
    learn W1 in R[{h}, {d}], b1 in R[{h}], W2 in R[{k}, {h}], b2 in R[{k}]
    a1 = tanh(W1 @ x + b1)
    L = cross_entropy(softmax(W2 @ a1 + b2), y)
    """
    arrays = {
        "x": rng.normal(size=d), "y": np.eye(k)[0], "W1": rng.normal(size=(h, d)) / d**0.5,
        "b1": rng.normal(size=h), "W2": rng.normal(size=(k, h)) / h**0.5, "b2": np.zeros(k),
    }  # fmt: skip
    return text, arrays


def mlp_loss(x: Any, y: Any, W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    import jax

    z = W2 @ jax.numpy.tanh(W1 @ x + b1) + b2
    return -jax.numpy.sum(y * jax.nn.log_softmax(z))


def second_order() -> list[Line]:
    rng = np.random.default_rng(2)
    lines = []
    X, w = rng.normal(size=(1000, 300)), rng.normal(size=300) / 20
    y = (rng.random(1000) < 0.5) * 1.0

    def logistic(X: Any, y: Any, w: Any) -> Any:
        import jax

        z = X @ w
        return jax.numpy.mean(jax.nn.softplus(z) - y * z)

    lines += hessian(
        "logistic regression 1000 × 300",
        "given X in R[1000, 300]\ngiven y in {0, 1}[1000]\nlearn w in R[300]\n"
        "L = bce(sigmoid(X @ w), y)",
        "w", {"X": X, "y": y, "w": w}, logistic, 3.0, None,
    )  # fmt: skip
    U, V, T = rng.normal(size=(100, 10)), rng.normal(size=(80, 10)), rng.normal(size=(100, 80))
    lines += hessian(
        "‖T − U Vᵀ‖² by U, 100 × 10",
        "given T in R[100, 80]\nlearn U in R[100, 10], V in R[80, 10]\nL = sse(T, U @ V.T)",
        "U", {"T": T, "U": U, "V": V}, lambda T, U, V: ((T - U @ V.T) ** 2).sum(), None, None,
    )  # fmt: skip
    for (d, h, k), structured in (((20, 16, 5), 30.0), ((50, 64, 10), 400.0)):
        text, arrays = mlp(d, h, k)
        lines += hessian(
            f"MLP {d}-{h}-{k}, in W1", text, "W1", arrays, mlp_loss, 9.0, structured,
            runs=7 if h < 50 else 5,
        )  # fmt: skip
    return lines


# --- Newton's method -------------------------------------------------------------------------

LOGISTIC = """given X in R[N, D]
given y in {0, 1}[N]
given lambda = 1
learn w in R[D], b in R
z = X @ w + b
L = bce(sigmoid(z), y) + lambda*sumsq(w)
"""
SOLVERS = ("newton-cholesky", "newton-cg", "lbfgs")


def newton() -> list[Line]:
    """Logistic regression on the 569 × 30 numbers of breast-cancer, to a gradient below 1e-8."""
    if not installed("sklearn"):
        return []
    import warnings

    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression

    X, y = load_breast_cancer(return_X_y=True)
    X = np.ascontiguousarray((X - X.mean(axis=0)) / X.std(axis=0))
    count = len(y)
    engine = "numba" if installed("numba") else "numpy"
    model = bp.Sheet(LOGISTIC)._build()
    joint = compile_joint(model, "L", model.learned, engine)
    assert joint is not None
    data = {"X": X, "y": y.astype(float)[:, None], "lambda": np.asarray(1 / (2 * count))}
    like = {"w": np.zeros((X.shape[1], 1)), "b": np.zeros((1, 1))}

    def gradient(w: Any, b: float) -> float:
        p = 1 / (1 + np.exp(-(X @ w + b)))
        return float(np.abs(np.append(X.T @ (p - y) / count + w / count, (p - y).mean())).max())

    def ours() -> Any:
        bound = joint.bind(data, like)

        x = flat(like)
        now = Iterate(x, *bound.at(x))
        while not now.done:
            now = newton_step(bound.at, now, solved(bound.matrix(), now.gradient))
        return now.x

    tasks: dict[str, Task] = {"ours": ours}
    for solver in SOLVERS:
        peer = LogisticRegression(C=1.0, solver=solver, tol=1e-8, max_iter=1000)
        tasks[solver] = lambda peer=peer: peer.fit(X, y)
        peer.fit(X, y)
        assert gradient(peer.coef_[0], peer.intercept_[0]) < 1e-7, solver
    end = ours()
    assert gradient(end[:-1], end[-1]) < 1e-9
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        times = interleaved(tasks, runs=9)
    best = min(SOLVERS, key=lambda s: times[s])
    what = f"logistic regression 569 × 30 by Newton ({engine}, compiled before)"
    return [Line(what, f"scikit-learn, {best}", times[best], times["ours"], 4.0, "Newton")]


def lines() -> list[Line]:
    """All rows of the table."""
    if installed("jax"):
        import jax

        jax.config.update("jax_enable_x64", True)
    with policy(1):
        found = [
            *one_call("Siamese 4-3", SIAMESE, siamese),
            *one_call("autoencoder 4-3-4", AUTOENCODER, autoencoder),
        ]
    with every_core():
        found += second_order()
    with policy(1):
        return [*found, *newton(), *training()]


def every_core() -> Any:
    """A block in which BLAS uses every core, as XLA does by itself."""
    try:
        import threadpoolctl
    except ImportError:
        return nullcontext()
    return threadpoolctl.threadpool_limits(os.cpu_count(), user_api="blas")
