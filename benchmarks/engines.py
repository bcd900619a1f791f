"""The engines against torch eager and JAX: one gradient call of exam size, epochs, Hessians.

`python -m benchmarks engine`. Every row first checks that both sides compute the same; runs take
turns, and ratios are of medians of one run. BLAS is on one thread. torch is used where it is
installed, else its column says so.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import backproof as bp
from backproof.engine.compiled import installed
from backproof.engine.epochs import compile_epoch
from backproof.engine.threads import policy

ROOT = Path(__file__).resolve().parent.parent
SIAMESE = (ROOT / "examples" / "siamese.sheet").read_text()
AUTOENCODER = """
given x in R[4]
learn W1 in R[3, 4], b1 in R[3], W2 in R[4, 3], b2 in R[4]
a1 = sigmoid(W1 @ x + b1)
a2 = sigmoid(W2 @ a1 + b2)
L = sse(a2, x)
"""
Task = Callable[[], Any]
ENGINES = ("numpy", "jax", "numba")


@dataclass(frozen=True)
class Line:
    """One row: what was timed, the peer's name and seconds, ours, and the goal as a ratio."""

    what: str
    peer: str
    theirs: float | None
    ours: float
    goal: float | None = None

    @property
    def ratio(self) -> float | None:
        return None if self.theirs is None else self.theirs / self.ours


def interleaved(tasks: dict[str, Task], runs: int = 15, budget: float = 0.02) -> dict[str, float]:
    """The median seconds of a call of each task; the tasks take turns."""
    loops = {}
    for name, task in tasks.items():
        task()
        once = min(timeit.repeat(task, number=1, repeat=3))
        loops[name] = max(1, int(budget / max(once, 1e-7)))
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(runs):
        for name, task in tasks.items():
            taken[name].append(timeit.timeit(task, number=loops[name]) / loops[name])
    return {name: median(times) for name, times in taken.items()}


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
        if engine == "numba":
            again = sheet.compile(engine=engine, reuse=True)
            again(*row)
            tasks["numba, reuse"] = lambda f=again, row=row: f(*row)
    times = interleaved(tasks)
    goals = {"numpy": 10.0, "jax": 10.0, "numba": 100.0, "numba, reuse": 100.0}
    return [
        Line(f"{what}, {e}", "torch eager", times.get("torch eager"), times[e], goals[e])
        for e in tasks
        if e in goals
    ]


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
    lines = [Line(f"{what}, dense", "jit(jax.hessian)", peer, times["dense"], dense)]
    title = f"{what}, structured ({h.kind})"
    return [*lines, Line(title, "jit(jax.hessian)", peer, times["structured"], structured)]


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


# --- a training step -------------------------------------------------------------------------


def training() -> list[Line]:
    """Softmax regression 784 → 10 and an autoencoder 64-16-64: a step, by epochs of many."""
    lines = []
    for batch in (1, 32, 256):
        lines += steps(
            f"softmax 784→10, batch {batch}",
            "given X in R[N, 784]\ngiven Y in onehot[N, 10]\nlearn W in R[784, 10], b in R[1, 10]\n"
            "L = cross_entropy(softmax(X @ W + b), Y) + 0.0001*sumsq(W)",
            {"X": 784, "Y": 10}, batch,
            lambda t, X, Y, W, b: -(Y * t.log_softmax(X @ W + b, 1)).sum(1).mean()
            + 1e-4 * (W**2).sum(),
        )  # fmt: skip
        lines += steps(
            f"autoencoder 64-16-64, batch {batch}",
            "given X in R[N, 64]\nlearn W1 in R[64, 16], b1 in R[1, 16]\n"
            "learn W2 in R[16, 64], b2 in R[1, 64]\n"
            "L = mse(sigmoid(sigmoid(X @ W1 + b1) @ W2 + b2), X)",
            {"X": 64}, batch,
            lambda t, X, W1, b1, W2, b2: (
                (t.sigmoid(t.sigmoid(X @ W1 + b1) @ W2 + b2) - X) ** 2
            ).mean(),
        )  # fmt: skip
    return lines


def steps(
    what: str, text: str, widths: dict[str, int], batch: int, forward: Callable[..., Any]
) -> list[Line]:
    rng = np.random.default_rng(3)
    model = bp.Sheet(text)._build()
    count = max(512, 4 * batch)
    data = {n: rng.random((count, k)) for n, k in widths.items()}
    if "Y" in data:
        data["Y"] = np.eye(10)[rng.integers(0, 10, count)]
    sizes = {"N": batch}
    shapes = {n: tuple(d.evaluate(sizes) for d in model.shape(n)) for n in model.learned}
    start = {n: rng.normal(size=s) * 0.05 for n, s in shapes.items()}
    order, rate = rng.permutation(count), 0.001
    per_run = count // batch
    tasks: dict[str, Task] = {}
    ends: dict[str, Any] = {}
    for engine in here():
        epoch = compile_epoch(
            model, "L", dict.fromkeys(widths, 0), batch, sizes, momentum=0.9, engine=engine
        )
        params = {n: a.copy() for n, a in start.items()}
        speed = {n: np.zeros_like(a) for n, a in start.items()}
        _, end, _ = epoch(data, params, speed, order, rate)
        ends[engine] = {n: np.array(a) for n, a in end.items()}
        tasks[engine] = lambda e=epoch, p=params, v=speed: e(data, p, v, order, rate)
    theirs, end = torch_steps(forward, data, start, order, batch, rate)
    for name in start:
        for engine in here():
            want = end[name] if end else ends["numpy"][name]
            np.testing.assert_allclose(ends[engine][name], want, rtol=1e-6, atol=1e-9)
    if theirs is not None:
        tasks["torch eager"] = theirs
    with policy(1):
        times = {n: t / per_run for n, t in interleaved(tasks, runs=5).items()}
    return [Line(f"{what}, {e}", "torch eager", times.get("torch eager"), times[e]) for e in here()]


def torch_steps(
    forward: Callable[..., Any], data: dict[str, Any], start: dict[str, Any], order: Any,
    batch: int, rate: float,
) -> tuple[Task | None, Any]:  # fmt: skip
    if not installed("torch"):
        return None, None
    import torch

    torch.set_num_threads(1)
    fixed = {n: torch.tensor(a) for n, a in data.items()}

    def fresh() -> Any:
        leaves = {n: torch.tensor(a, requires_grad=True) for n, a in start.items()}
        return leaves, torch.optim.SGD(leaves.values(), lr=rate, momentum=0.9)

    def run(state: Any) -> Any:
        leaves, optimizer = state
        for k in range(len(order) // batch):
            rows = order[k * batch : (k + 1) * batch]
            optimizer.zero_grad()
            forward(torch, **{n: a[rows] for n, a in fixed.items()}, **leaves).backward()
            optimizer.step()
        return leaves

    end = {n: a.detach().numpy().copy() for n, a in run(fresh()).items()}
    state = fresh()
    return lambda: run(state), end


# --- the table -------------------------------------------------------------------------------


def seconds(value: float | None) -> str:
    if value is None:
        return "not installed"
    for scale, unit in ((1e-6, "µs"), (1e-3, "ms"), (1.0, "s")):
        if value < 1000 * scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:.3g} s"


def markdown(lines: list[Line]) -> str:
    """The lines as a table."""
    rows = [
        "| what | peer | peer's time | ours | ratio | goal |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for x in lines:
        ratio = "" if x.ratio is None else f"{x.ratio:.3g}×"
        goal = "" if x.goal is None else f"≥ {x.goal:g}×"
        if x.goal is not None and x.ratio is not None and x.ratio < x.goal:
            goal += " (missed)"
        cells = (x.what, x.peer, seconds(x.theirs), seconds(x.ours), ratio, goal)
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def main() -> int:
    """Prints the table."""
    if installed("jax"):
        import jax

        jax.config.update("jax_enable_x64", True)
    with policy(1):
        lines = one_call("Siamese 4-3", SIAMESE, siamese)
        lines += one_call("autoencoder 4-3-4", AUTOENCODER, autoencoder)
        lines += second_order()
        lines += training()
    print(markdown(lines))
    return 0
