"""What is measured against: the same networks written for JAX and, where installed, SymPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)

Params = dict[str, Any]
Loss = Callable[[Params, dict[str, Any]], Any]


def siamese(p: Params, data: dict[str, Any]) -> Any:
    """The loss of examples/siamese.sheet."""
    a, b = (jax.nn.relu(p["W1"] @ data[x] + p["b1"]) for x in ("xA", "xB"))
    s = jax.nn.sigmoid(p["W2"] @ (a - b) + p["b2"])
    y = data["y"]
    return -jnp.sum(y * jnp.log(s) + (1 - y) * jnp.log(1 - s))


def dense(depth: int) -> Loss:
    """The loss of a plain network of this depth with tanh, as tests.strategies writes it."""

    def loss(p: Params, data: dict[str, Any]) -> Any:
        h = data["x"]
        for k in range(1, depth + 1):
            h = jnp.tanh(p[f"W{k}"] @ h + p[f"b{k}"])
        return jnp.mean((h - data["t"]) ** 2)

    return loss


def classifier(p: Params, data: dict[str, Any]) -> Any:
    """The loss of a 50-64-10 network with tanh and softmax."""
    z = p["W2"] @ jnp.tanh(p["W1"] @ data["x"] + p["b1"]) + p["b2"]
    return -jnp.sum(data["y"] * jax.nn.log_softmax(z, axis=0))


def trace_gradients(loss: Loss, params: Params, data: dict[str, Any]) -> Any:
    """JAX's own derivation: the gradient traced to a graph of equations, anew every time."""
    return jax.make_jaxpr(jax.grad(lambda p: loss(p, data)))(params)


def trace_hessian(loss: Loss, params: Params, wrt: str, data: dict[str, Any]) -> Any:
    """The Hessian in one parameter, traced to a graph of equations."""
    return jax.make_jaxpr(jax.hessian(lambda w: loss({**params, wrt: w}, data)))(params[wrt])


def sympy_siamese() -> Callable[[], Any] | None:
    """Every entry of the Siamese gradient by SymPy, from scalar symbols; None without SymPy."""
    try:
        import sympy as sp
    except ImportError:
        return None

    def derive() -> list[Any]:
        def matrix(name: str, rows: int, columns: int) -> Any:
            return sp.Matrix(rows, columns, lambda i, j: sp.Symbol(f"{name}{i}{j}", real=True))

        xa, xb, w1, b1 = (
            matrix("xA", 4, 1),
            matrix("xB", 4, 1),
            matrix("W", 3, 4),
            matrix("b", 3, 1),
        )
        w2, b2, y = matrix("V", 1, 3), sp.Symbol("c", real=True), sp.Symbol("y", real=True)
        a, b = ((w1 @ x + b1).applyfunc(lambda z: sp.Max(z, 0)) for x in (xa, xb))
        s = 1 / (1 + sp.exp(-((w2 @ (a - b))[0] + b2)))
        loss = -(y * sp.log(s) + (1 - y) * sp.log(1 - s))
        return [sp.diff(loss, v) for v in (*w1, *b1, *w2, b2)]

    return derive


def tensorgrad_siamese() -> Callable[[], Any] | None:
    """The Siamese gradients by tensorgrad, a symbolic peer; None where it is not installed."""
    try:
        import tensorgrad.functions as F
        from sympy import symbols
        from tensorgrad import Variable
        from tensorgrad.tensor import Derivative
    except ImportError:
        return None

    def derive() -> list[Any]:
        d, h = symbols("d h")
        xa, xb = Variable("xA", d), Variable("xB", d)
        w1, b1, w2 = Variable("W1", h, d), Variable("b1", h), Variable("W2", h)
        a, b = (F.relu(w1 @ x + b1) for x in (xa, xb))
        z = w2 @ (a - b)
        loss = F.log(F.exp(z) + F.exp(-z)) - z  # of the same size as the sheet's cross-entropy
        return [Derivative(loss, v).full_simplify() for v in (w1, b1, w2)]

    return derive
