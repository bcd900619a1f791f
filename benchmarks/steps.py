"""Training: a step of gradient descent with momentum, out of an epoch that is one call.

Against torch eager in single precision, which both sides use here, with one thread each. The
row "auto" is the engine that `compile_epoch` chooses by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import backproof as bp
from backproof.engine.compiled import installed
from backproof.engine.epochs import compile_epoch
from backproof.engine.threads import policy
from benchmarks.lines import Line, Task, interleaved

Forward = Callable[..., Any]
ENGINES = ("numpy", "jax", "numba")
DTYPE = np.dtype("float32")


@dataclass(frozen=True)
class Case:
    """A model, as a sheet and for torch; data name -> numbers a sample; the goals by batch.

    fastest, numpy   batch -> the ratio that auto, and the NumPy engine, are to reach
    """

    name: str
    text: str
    widths: dict[str, int]
    forward: Forward
    fastest: dict[int, float]
    numpy: dict[int, float]


def _hinge(t: Any, S: Any, Y: Any) -> Any:
    right = (S * Y).sum(1, keepdim=True)
    return (t.relu(S - right + 1) * (1 - Y)).sum(1).mean()


def _twins(t: Any, A: Any, B: Any, y: Any, W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    d = (t.tanh(A @ W1 + b1) - t.tanh(B @ W1 + b1)) ** 2
    return t.nn.functional.binary_cross_entropy_with_logits(d @ W2 + b2, y)


def _weighted(t: Any, X: Any, y: Any, w: Any, b: Any) -> Any:
    z = X @ w + b
    loss = (10 * y + (1 - y)) * (t.nn.functional.softplus(z) - y * z)
    return loss.mean() + 1e-3 * (w**2).sum()


def _coded(t: Any, X: Any, W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    return ((t.sigmoid(t.sigmoid(X @ W1 + b1) @ W2 + b2) - X) ** 2).mean()


def _autoencoder(d: int, h: int) -> str:
    return (
        f"given X in R[N, {d}]\nlearn W1 in R[{d}, {h}], b1 in R[1, {h}]\n"
        f"learn W2 in R[{h}, {d}], b2 in R[1, {d}]\n"
        "L = mse(sigmoid(sigmoid(X @ W1 + b1) @ W2 + b2), X)"
    )


LINEAR = "given X in R[N, 784]\ngiven Y in onehot[N, 10]\nlearn W in R[784, 10], b in R[1, 10]\n"
SMALL = {1: 150.0, 32: 23.0, 256: 4.5}
SMALL_NUMPY = {1: 10.0, 32: 8.0}
CASES = (
    Case("softmax 784→10", LINEAR + "L = cross_entropy(softmax(X @ W + b), Y) + 0.0001*sumsq(W)",
         {"X": 784, "Y": 10},
         lambda t, X, Y, W, b: -(Y * t.log_softmax(X @ W + b, 1)).sum(1).mean()
         + 1e-4 * (W**2).sum(), {32: 10.0, 256: 4.0}, {}),
    Case("multi-class SVM 784→10", LINEAR + "L = hinge(X @ W + b, Y, margin=1) + 0.0001*sumsq(W)",
         {"X": 784, "Y": 10},
         lambda t, X, Y, W, b: _hinge(t, X @ W + b, Y) + 1e-4 * (W**2).sum(),
         {32: 10.0, 256: 4.0}, {}),
    Case("weighted logistic 30→1",
         "given X in R[N, 30]\ngiven y in {0, 1}[N]\nlearn w in R[30], b in R\nz = X @ w + b\n"
         "L = mean((10*y + (1 - y))*(softplus(z) - y*z)) + 0.001*sumsq(w)",
         {"X": 30, "y": 1}, _weighted, SMALL, SMALL_NUMPY),
    Case("Siamese 64→32",
         "given A in R[N, 64]\ngiven B in R[N, 64]\ngiven y in {0, 1}[N]\n"
         "learn W1 in R[64, 32], b1 in R[1, 32], W2 in R[32, 1], b2 in R\n"
         "d = (tanh(A @ W1 + b1) - tanh(B @ W1 + b1))**2\nL = bce(sigmoid(d @ W2 + b2), y)",
         {"A": 64, "B": 64, "y": 1}, _twins, SMALL, SMALL_NUMPY),
    Case("autoencoder 64-16-64", _autoencoder(64, 16), {"X": 64}, _coded, SMALL, SMALL_NUMPY),
)  # fmt: skip
LARGE = Case("autoencoder 784-128-784", _autoencoder(784, 128), {"X": 784}, _coded,
             {256: 1.4}, {})  # fmt: skip


def training() -> list[Line]:
    """Every model at every batch, on every engine that is installed."""
    lines = [line for case in CASES for batch in (1, 32, 256) for line in steps(case, batch)]
    return [*lines, *steps(LARGE, 256), *products(256, 784, 128)]


def _data(case: Case, count: int) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    data = {n: rng.random((count, k)).astype(DTYPE) for n, k in case.widths.items()}
    if "Y" in data:
        data["Y"] = np.eye(10, dtype=DTYPE)[rng.integers(0, 10, count)]
    if "y" in data:
        data["y"] = (rng.random((count, 1)) < 0.5).astype(DTYPE)
    return data


def steps(case: Case, batch: int) -> list[Line]:
    """The rows of one model at one size of a batch."""
    rng = np.random.default_rng(4)
    model = bp.Sheet(case.text)._build()
    count = max(2048, 16 * batch)  # a step in the middle of an epoch, not the first of a few
    data, sizes = _data(case, count), {"N": batch}
    shapes = {n: tuple(d.evaluate(sizes) for d in model.shape(n)) for n in model.learned}
    start = {n: (rng.normal(size=s) * 0.05).astype(DTYPE) for n, s in shapes.items()}
    order, rate = rng.permutation(count), 0.001
    tasks: dict[str, Task] = {}
    ends: dict[str, Any] = {}
    epochs = {}
    for engine in ("auto", *ENGINES):
        if engine not in ("auto", "numpy") and not installed(engine):
            continue
        if engine != "auto" and any(e.engine == engine for e in epochs.values()):
            continue  # the same as auto, which is timed already
        epoch = compile_epoch(
            model, "L", dict.fromkeys(case.widths, 0), batch, sizes, momentum=0.9, engine=engine,
            dtype=DTYPE.name,
        )  # fmt: skip
        epochs[engine] = epoch
        params = {n: a.copy() for n, a in start.items()}
        speed = {n: np.zeros_like(a) for n, a in start.items()}
        _, end, _ = epoch(data, params, speed, order, rate)
        ends[engine] = {n: np.array(a) for n, a in end.items()}
        tasks[engine] = lambda e=epoch, p=params, v=speed: e(data, p, v, order, rate)
    theirs, end = torch_steps(case.forward, data, start, order, batch, rate)
    for name in start:
        for engine, found in ends.items():
            want = end[name] if end else ends["auto"][name]
            np.testing.assert_allclose(
                found[name], want, rtol=1e-4, atol=1e-5, err_msg=f"{case.name}, {engine}"
            )
    if theirs is not None:
        tasks["torch eager"] = theirs
    times = _timed(tasks, count // batch)
    lines = []
    for engine, epoch in epochs.items():
        goals = case.fastest if engine == "auto" else case.numpy if engine == "numpy" else {}
        name = f"auto ({epoch.engine})" if engine == "auto" else engine
        lines.append(Line(
            f"{case.name}, batch {batch}, {name}", "torch eager", times.get("torch eager"),
            times[engine], goals.get(batch), "a training step",
        ))  # fmt: skip
    return lines


def _timed(tasks: dict[str, Task], per_run: int, runs: int = 9) -> dict[str, float]:
    """The median seconds of a step of each task; the tasks take turns of 20 ms or more.

    What runs right after another task is slower for about a millisecond, which is an epoch here.
    """
    with policy(1):
        return {name: t / per_run for name, t in interleaved(tasks, runs).items()}


def products(N: int, d: int, h: int) -> list[Line]:
    """The five matrix products of a step of an autoencoder alone: NumPy's against torch's."""
    rng = np.random.default_rng(5)
    X, G = rng.random((N, d)).astype(DTYPE), rng.random((N, d)).astype(DTYPE)
    A, W1, W2 = (rng.random(s).astype(DTYPE) for s in ((N, h), (d, h), (h, d)))
    out = [np.empty(s, DTYPE) for s in ((N, h), (N, d), (h, d), (N, h), (d, h))]

    def ours() -> None:
        X.dot(W1, out[0])
        A.dot(W2, out[1])
        A.T.dot(G, out[2])
        G.dot(W2.T, out[3])
        X.T.dot(A, out[4])

    tasks: dict[str, Task] = {"ours": ours}
    if installed("torch"):
        import torch

        torch.set_num_threads(1)
        x, g, a, w1, w2 = (torch.tensor(m) for m in (X, G, A, W1, W2))
        tasks["torch"] = lambda: (x @ w1, a @ w2, a.T @ g, g @ w2.T, x.T @ a)
    times = _timed(tasks, 1)
    what = f"  of which the five matrix products of {d}-{h}-{d} at batch {N} take"
    return [Line(what, "torch", times.get("torch"), times["ours"], None, "a training step")]


def torch_steps(
    forward: Forward, data: dict[str, Any], start: dict[str, Any], order: Any, batch: int,
    rate: float,
) -> tuple[Task | None, Any]:  # fmt: skip
    """(an epoch of torch eager, the parameters after one); None where torch is not installed."""
    if not installed("torch"):
        return None, None
    import torch

    torch.set_num_threads(1)
    fixed = {n: torch.tensor(a) for n, a in data.items()}
    rows = torch.tensor(order)

    def fresh() -> Any:
        leaves = {n: torch.tensor(a, requires_grad=True) for n, a in start.items()}
        return leaves, torch.optim.SGD(leaves.values(), lr=rate, momentum=0.9)

    def run(state: Any) -> Any:
        leaves, optimizer = state
        for k in range(len(order) // batch):
            chosen = rows[k * batch : (k + 1) * batch]
            optimizer.zero_grad()
            forward(torch, **{n: a[chosen] for n, a in fixed.items()}, **leaves).backward()
            optimizer.step()
        return leaves

    end = {n: a.detach().numpy().copy() for n, a in run(fresh()).items()}
    state = fresh()
    return lambda: run(state), end
