"""Measurements: `python -m benchmarks` for speed, `python -m benchmarks.soundness` for verdicts."""
