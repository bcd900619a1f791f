"""Fifty people typing at once, for three seconds: nobody sees an error."""

from __future__ import annotations

import pytest

pytest.importorskip("uvicorn", reason="the extra `web` is not installed")

from benchmarks.serve import p95, run


def test_fifty_clients_type_without_an_error() -> None:
    seen = run(50, 3.0)
    assert seen.faults == []
    assert len(seen.whole) > 20
    # A bound that a busy machine keeps too; the benchmark states the figure.
    assert p95(seen.whole) < 5.0
