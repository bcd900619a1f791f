"""What all tests share: the memory that earlier tests left is no part of what is measured."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def settled_memory() -> Iterator[None]:
    """Proofs are bounded by the time they compute, and a collection of all that JAX, numba and
    thousands of tests hold may take longer than a proof: it is left out of later collections."""
    gc.collect(1)
    gc.freeze()
    yield
