"""Values, gradients, Jacobians and Hessians of random networks, against JAX.

The other side is an independent reading of the same sheet (tests/oracle.py) under jax.grad.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.oracle import World
from tests.sheets import model_of, point_of
from tests.strategies import EXTRAS, HEADS, LAYERS, Network, Writer, networks

from backproof.calculus.model import Model
from backproof.calculus.points import Point
from backproof.language import syntax as ast

CALM = settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def agree(model: Model, text: str, point: Point, world: World) -> None:
    """One expression, ours and the oracle's."""
    expr = model.sheet.extended(f"claim {text} == 0").claims[-1].sides[0]
    equal(
        model, text, point.evaluator(model, exact=False).value(model.node(expr)), world.value(expr)
    )


def equal(model: Model, what: str, ours: Any, theirs: Any) -> None:
    said = f"{what}\n{model.sheet.source.text}"
    assert ours.shape == theirs.shape, said
    scale = max(1.0, float(np.abs(theirs).max()))
    np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9 * scale, err_msg=said)


def compare(network: Network, *, second: bool = False, seed: int = 0) -> None:
    model = model_of(network.text)
    with np.errstate(all="ignore"):
        point = point_of(model, seed)
        world = World(model.sheet, point.sizes, point.floats)
        run = point.evaluator(model, exact=False)
        loss = model.leaves["L"]
        agree(model, "L", point, world)
        for name, theirs in world.gradients(ast.Name("L"), network.learned).items():
            ours = run.value(model.deriver.gradient(loss, name))
            equal(model, f"the gradient by {name}", ours, np.asarray(theirs))
        for name in network.intermediate[-1:]:
            agree(model, f"grad(L, {name})", point, world)
        if second:
            agree(model, f"hess(L, {network.learned[0]})", point, world)
            target = network.intermediate[-1] if network.intermediate else "L"
            agree(model, f"jac({target}, {network.learned[0]})", point, world)


@CALM
@given(networks(), st.integers(0, 3))
def test_gradients_of_random_networks(network: Network, seed: int) -> None:
    compare(network, seed=seed)


@settings(CALM, max_examples=10)
@given(networks(max_layers=1))
def test_second_derivatives_of_random_networks(network: Network) -> None:
    compare(network, second=True)


class _First:
    """Draws the first of everything, so that a network of one kind can be named."""

    def __init__(self, pick: int = 0) -> None:
        self.pick = pick

    def __call__(self, strategy: Any) -> Any:
        elements = getattr(strategy, "elements", None)
        return elements[self.pick % len(elements)] if elements is not None else 2 + self.pick % 2


def one(rows: bool, layer: str = "", head: str = "sse", extra: str = "") -> Network:
    writer = Writer(_First(3), rows=rows, symbolic=rows)
    writer.start()
    writer.layer_dense()
    if layer:
        getattr(writer, f"layer_{layer}")()
    writer.head(head)
    if extra:
        writer.extra(extra)
    return writer.network()


@pytest.mark.parametrize("rows", [False, True], ids=["column", "rows"])
@pytest.mark.parametrize("layer", sorted(set(LAYERS)))
def test_every_layer(layer: str, rows: bool) -> None:
    compare(one(rows, layer))


@pytest.mark.parametrize("rows", [False, True], ids=["column", "rows"])
@pytest.mark.parametrize("head", HEADS)
def test_every_loss(head: str, rows: bool) -> None:
    compare(one(rows, head=head), second=not rows)


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_extra_term(extra: str) -> None:
    network = one(False, extra=extra)
    compare(network)
    model = model_of(network.text)
    point = point_of(model)
    world = World(model.sheet, point.sizes, point.floats)
    with np.errstate(all="ignore"):
        agree(model, f"hess(L, {network.learned[-1]})", point, world)


GIVEN = """
let n = 3
let m = 4
given x, y in R[n]
given u in R[m]
given a, b in R
given k in 1..n
learn A in R[n, m], S in R[n, n], M in R[m, m]
learn w, v in R[n], p in Rpos[n]
learn r in R[1, m]
z = S @ x + w
q = tanh(z)
P = softmax(A)
G = A @ M @ A.T + 4*eye(n)
l = sum(q**2) + a*b
"""
JACOBIANS = [
    ("z", "x"), ("z", "S"), ("q", "w"), ("q", "x"), ("P", "A"), ("G", "A"), ("G", "M"), ("l", "x"),
    ("l", "S"), ("A @ M", "A"), ("A.T", "A"), ("S @ S", "S"), ("inv(S)", "S"), ("r", "r"),
    ("l", "a"),
    ("x", "x"), ("a*x", "a"), ("r @ M", "r"), ("sum(A, axis=0)", "A"), ("A/norm(A)", "A"),
    ("r", "A"),
    ("kron(x, u)", "x"), ("vec(A)", "A"), ("diag(w)", "w"), ("concat(w, v)", "v"), ("q", "z"),
    ("logsumexp(A, axis=1)", "A"), ("max(A, axis=1)", "A"), ("A[1, :]", "A"), ("S[k, :]", "S"),
    ("sum(S[i, :]*w[i] for i in 1..n)", "S"), ("w.T @ S @ w", "w"), ("det(S)", "S"), ("l*w", "b"),
    ("tril(S) @ w", "S"), ("softmax(w)", "w"), ("jac(q, x) @ w", "x"), ("A @ u", "r"),
    ("stack(w, v)", "w"), ("where(w > v, w**2, v)", "w"), ("p**a", "p"), ("p**a", "a"),
]  # fmt: skip
NUMBERS = [
    ("sum(w[i]*v[j] for i in 1..n for j in 1..i)", "w"),
    ("sum(w[i]*v[j]**2 for i in 1..n for j in 1..n if i != j)", "v"),
    ("sum(S[i, j]*S[j, i] for i in 1..n for j in i..n)", "S"),
    ("sum(exp(w[i + 1] - w[i]) for i in 1..n - 1)", "w"),
    ("sum(log(p[i])*p[k] for i in 1..n if i != k)", "p"),
    ("prod(w[i] + i for i in 1..n)", "w"),
    ("prod(a for i in 1..n)", "a"),
    ("sum(a*b for i in 1..n)", "a"),
    ("sum(a*w[1] for i in 1..n for j in 1..i)", "w"),
    ("mean(S[i, :] @ w for i in 1..n)", "S"),
    ("mean(w[i]*v[j] for i in 1..n for j in 1..i)", "w"),
    ("max((w[i] - v[j])**2 for i in 1..n for j in 1..n)", "w"),
    ("max((w[i] - w[j])**2 for i in 1..n for j in 1..n)", "w"),
    ("min(S[i, j] for i in 1..n for j in 1..n if i != j)", "S"),
    ("max(a*b for i in 1..n)", "a"),
    ("max(S @ S.T)", "S"),
    ("sum(max(S + S.T, axis=0))", "S"),
    ("sum(sum(A[i, j] for j in 1..m)**2 for i in 1..n)", "A"),
    ("sum(prod(S[i, j] for j in 1..n if j != i) for i in 1..n)", "S"),
    ("log(sum(exp(A[k, j]) for j in 1..m)) - A[k, 2]", "A"),
    ('einsum("ii->", S)', "S"),
    ('einsum("ij,jk,ki->", S, S, G)', "S"),
    ('sum(einsum("ii->i", S)**2)', "S"),
    ('einsum("i,ij->", w, A)', "A"),
    ("sumsq(grad(l, w))", "w"),
    ("sum(stop(w)*w**2)", "w"),
    ("sum(hess(l, w) @ v)", "w"),
    ("trace(jac(q, x))", "S"),
    ("sum(grad(l, z)*v)", "S"),
    ("logdet(G)", "A"),
    ("prod(p)", "p"),
    ("norm(A, axis=1)[2]", "A"),
    ("cross_entropy(P, P)", "A"),
    ("sum(abs(w))*sum(sign(w)*v)", "w"),
    ("sum(clip(A, -1, 1)**3)", "A"),
    ("w[k]*w[1]", "w"),
    ("sum(A[1:2, 2:3] @ M[2:3, :])", "A"),
    ("sum(kron(S, A)**2)", "S"),
    ("sum(cos(w)*floor(v) + ceil(w)*v)", "v"),
    ("sum(erf(w)*log2(p) + log10(p))", "p"),
]


@pytest.mark.parametrize("layout", ["denominator", "numerator"])
@pytest.mark.parametrize(("what", "wrt"), JACOBIANS)
def test_jacobians_in_both_layouts(what: str, wrt: str, layout: str) -> None:
    model = model_of(f"{GIVEN}layout {layout}\n")
    with np.errstate(all="ignore"):
        point = point_of(model, 5)
        world = World(model.sheet, point.sizes, point.floats)
        agree(model, f"jac({what}, {wrt})", point, world)


@pytest.mark.parametrize(("what", "wrt"), NUMBERS)
def test_derivatives_of_numbers(what: str, wrt: str) -> None:
    model = model_of(GIVEN)
    with np.errstate(all="ignore"):
        point = point_of(model, 5)
        world = World(model.sheet, point.sizes, point.floats)
        agree(model, what, point, world)
        agree(model, f"grad({what}, {wrt})", point, world)
        agree(model, f"hess({what}, {wrt})", point, world)
