"""How many threads BLAS may use: one for small products, where threads cost more than they give.

With several, OpenBLAS wakes its threads for products that one core finishes sooner. threadpoolctl
sets the number where it is installed; without it, set OPENBLAS_NUM_THREADS=1 before Python starts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

SMALL = 20_000_000  # multiplications of a step up to which one thread is used


@lru_cache(maxsize=8)
def _controller(loaded: frozenset[str]) -> Any:
    """What sets the threads of every BLAS; each library that is loaded may bring one."""
    try:
        import threadpoolctl
    except ImportError:
        return None
    return threadpoolctl.ThreadpoolController()


LIBRARIES = ("numpy", "scipy.linalg", "numba", "torch")  # what brings a BLAS, when imported


@contextmanager
def policy(work: int) -> Iterator[None]:
    """One BLAS thread inside the block where a step has at most `SMALL` multiplications."""
    loaded = frozenset(n for n in LIBRARIES if n in sys.modules)
    controller = _controller(loaded) if work <= SMALL else None
    if controller is None:
        yield
        return
    with controller.limit(limits=1, user_api="blas"):
        yield
