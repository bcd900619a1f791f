"""Every engine against the deriver and the evaluator, on random networks and on the exam's."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.calculus.test_gradients_jax import one
from tests.engine.common import SIAMESE, agrees
from tests.strategies import EXTRAS, HEADS, LAYERS, Network, networks

from backproof.errors import NotAvailable

CALM = settings(
    max_examples=80,
    derandomize=True,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),  # a network is its own explanation; shrinking is slow
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
needs_jax = pytest.mark.skipif(find_spec("jax") is None, reason="jax is not installed")
needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")


@CALM
@given(networks(), st.integers(0, 3), st.booleans())
def test_numpy_on_random_networks(network: Network, seed: int, reuse: bool) -> None:
    agrees(network.text, "numpy", seed, reuse=reuse)


@needs_jax
@settings(CALM, max_examples=8)
@given(networks(max_layers=2), st.integers(0, 3))
def test_jax_on_random_networks(network: Network, seed: int) -> None:
    agrees(network.text, "jax", seed)


@needs_numba
@pytest.mark.slow
@settings(CALM, max_examples=8)
@given(networks(max_layers=2), st.integers(0, 3))
def test_numba_on_random_networks(network: Network, seed: int) -> None:
    try:
        agrees(network.text, "numba", seed)
    except NotAvailable as problem:
        assert "rule for" in problem.message


@pytest.mark.parametrize("rows", [False, True], ids=["column", "rows"])
@pytest.mark.parametrize("layer", sorted(set(LAYERS)))
def test_every_layer(layer: str, rows: bool) -> None:
    agrees(one(rows, layer).text, "numpy")


@pytest.mark.parametrize("rows", [False, True], ids=["column", "rows"])
@pytest.mark.parametrize("head", HEADS)
def test_every_loss(head: str, rows: bool) -> None:
    agrees(one(rows, head=head).text, "numpy")


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_extra_term(extra: str) -> None:
    agrees(one(False, extra=extra).text, "numpy")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "engine", ["numpy", pytest.param("jax", marks=needs_jax),
               pytest.param("numba", marks=needs_numba)],
)  # fmt: skip
def test_the_exam_network(engine: str, dtype: str) -> None:
    agrees(SIAMESE, engine, dtype=dtype)
