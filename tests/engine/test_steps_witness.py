"""Training against a witness: losses written by hand in JAX, derived by JAX, stepped in NumPy.

What is shared with the runs under test is the data of the task, the first values and the order of
the samples, which follows from the seed alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.engine.common import model_of

from backproof.engine.data import Task, Wanted, task_for
from backproof.engine.initial import initial_values
from backproof.engine.training import Options, train

jax = pytest.importorskip("jax")
pytest.importorskip("sklearn")
import jax.numpy as jnp  # noqa: E402

Loss = Callable[[Any, Any], Any]
SEED, BATCH, EPOCHS, RATE = 3, 16, 2, 0.01

DEEP = """given x in R[4]
given y in onehot[3]
learn W1 in R[8, 4], b1 in R[8], W2 in R[8, 8], b2 in R[8], W3 in R[8, 8], W4 in R[3, 8]
a1 = relu(W1 @ x + b1)
a2 = gelu(W2 @ a1 + b2)
a3 = silu(W3 @ a2)
L = cross_entropy(softmax(W4 @ a3), y)
"""
BATCHNORM = """given X in R[N, 4]
given Y in onehot[N, 3]
learn W1 in R[4, 6], g in R[1, 6], c in R[1, 6], W2 in R[6, 3]
Z = X @ W1
m = mean(Z, axis=0)
v = mean((Z - m)**2, axis=0)
H = relu(g*(Z - m)/sqrt(v + 1e-5) + c)
L = cross_entropy(softmax(H @ W2), Y)
"""
SHARED = """given x in R[4]
learn U in R[5, 4], W in R[5, 5], b in R[5]
h1 = tanh(W @ tanh(U @ x) + b)
h2 = tanh(W @ h1 + b)
L = sse(U.T @ (W.T @ h2), x)
"""
TWO = """given x in R[4]
given t in R[2]
given y in onehot[3]
learn W1 in R[5, 4], b1 in R[5], W2 in R[2, 5], W3 in R[3, 5]
h = tanh(W1 @ x + b1)
L = sse(W2 @ h, t) + cross_entropy(softmax(W3 @ h), y) + 0.01*sumsq(W1)
"""
TWINS = """given xA, xB in R[4]
given y in {0, 1}
learn W in R[5, 4], v in R[5], c in R
d = (tanh(W @ xA) - tanh(W @ xB))**2
a = sigmoid(v.T @ d + c)
L = bce(a, y)
"""


def entropy(scores: Any, y: Any) -> Any:
    return -jnp.mean(jnp.sum(y * jnp.log(jax.nn.softmax(scores)), 1))


def deep(p: Any, r: Any) -> Any:
    a = jax.nn.relu(r["X"] @ p["W1"].T + p["b1"].T)
    a = jax.nn.gelu(a @ p["W2"].T + p["b2"].T, approximate=False)
    return entropy(jax.nn.silu(a @ p["W3"].T) @ p["W4"].T, r["Y"])


def batchnorm(p: Any, r: Any) -> Any:
    z = r["X"] @ p["W1"]
    z = (z - z.mean(0)) / jnp.sqrt(z.var(0) + 1e-5)
    return entropy(jax.nn.relu(p["g"] * z + p["c"]) @ p["W2"], r["Y"])


def shared(p: Any, r: Any) -> Any:
    h = jnp.tanh(r["X"] @ p["U"].T)
    for _ in range(2):
        h = jnp.tanh(h @ p["W"].T + p["b"].T)
    return jnp.mean(jnp.sum((h @ p["W"] @ p["U"] - r["X"]) ** 2, 1))


def two(p: Any, r: Any) -> Any:
    h = jnp.tanh(r["X"] @ p["W1"].T + p["b1"].T)
    far = jnp.mean(jnp.sum((h @ p["W2"].T - r["T"]) ** 2, 1))
    return far + entropy(h @ p["W3"].T, r["Y"]) + 0.01 * jnp.sum(p["W1"] ** 2)


def twins(p: Any, r: Any) -> Any:
    d = (jnp.tanh(r["XA"] @ p["W"].T) - jnp.tanh(r["XB"] @ p["W"].T)) ** 2
    a = jax.nn.sigmoid(d @ p["v"] + p["c"])
    return -jnp.mean(r["Y"] * jnp.log(a) + (1 - r["Y"]) * jnp.log(1 - a))


def data(text: str) -> Task:
    from sklearn.datasets import load_iris

    x, y = load_iris(return_X_y=True)
    parts = {"x": x, "y": y, "t": x @ np.array([[1, 0], [0.5, 1], [0, -1], [2, 1]])}
    return task_for(model_of(text), parts, Wanted(seed=SEED))


def stepped(task: Task, loss: Loss) -> tuple[dict[str, Any], list[float]]:
    """Parameters and losses after the epochs, by Adam as its paper has it (Kingma and Ba, 2015)."""
    shapes = {n: task.parameter_shape(n) for n in task.model.learned}
    p = {n: np.array(a) for n, a in initial_values(task.model, shapes, task.all_sizes(BATCH),
                                                   SEED)[0].items()}  # fmt: skip
    m, v = ({n: 0 * a for n, a in p.items()} for _ in range(2))
    slope, k, means = jax.jit(jax.value_and_grad(loss)), 0, []
    for epoch in range(1, EPOCHS + 1):
        order = np.random.default_rng([SEED, 7, epoch]).permutation(task.count())
        losses = []
        for i in range(task.count() // BATCH):
            chosen = order[i * BATCH : (i + 1) * BATCH]
            value, g = slope(p, {n: a[chosen] for n, a in task.parts["train"].items()})
            losses.append(float(value))
            k += 1
            for n in p:
                d = np.asarray(g[n])
                m[n], v[n] = 0.9 * m[n] + 0.1 * d, 0.999 * v[n] + 0.001 * d**2
                p[n] = p[n] - RATE * (m[n] / (1 - 0.9**k)) / (np.sqrt(v[n] / (1 - 0.999**k)) + 1e-8)
        means.append(float(np.mean(losses)))
    return p, means


@pytest.mark.parametrize(
    ("text", "loss", "engine", "dtype"),
    [
        (DEEP, deep, "numpy", "float64"),
        (BATCHNORM, batchnorm, "numpy", "float64"),
        (SHARED, shared, "numpy", "float64"),
        (TWO, two, "numpy", "float64"),
        (TWINS, twins, "numpy", "float64"),
        (TWO, two, "numpy", "float32"),
        (BATCHNORM, batchnorm, "numba", "float64"),
        (SHARED, shared, "numba", "float32"),
        (TWINS, twins, "jax", "float64"),
        (DEEP, deep, "jax", "float32"),
    ],
)
def test_epochs_are_those_of_the_witness(text: str, loss: Loss, engine: str, dtype: str) -> None:
    pytest.importorskip(engine)
    task = data(text)
    options = Options(EPOCHS, BATCH, RATE, seed=SEED, engine=engine, dtype=dtype)
    done = train(task, options, probe=False)
    with jax.enable_x64(True):
        wanted, losses = stepped(data(text), loss)
    tight = 1e-9 if dtype == "float64" else 1e-4
    np.testing.assert_allclose([r["loss"] for r in done.history], losses, rtol=tight)
    for name, p in wanted.items():
        np.testing.assert_allclose(done.parameters[name], p, rtol=tight, atol=tight, err_msg=name)
