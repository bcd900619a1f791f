"""Names the wrong entries of a matrix that is claimed entry by entry."""

from __future__ import annotations

from typing import Any

import numpy as np

from backproof.language import syntax as ast
from backproof.working.claims import Verdict

MOST_ENTRIES = 6


def wrong_entries(claim: ast.Claim, verdict: Verdict) -> str | None:
    """ "entries [1, 2] and [2, 1] are wrong", or None where no matrix is claimed entry by entry."""
    counter = verdict.counterexample
    if counter is None or claim.relations != ("eq",) or claim.loops:
        return None
    literal = next((s for s in reversed(claim.sides) if isinstance(s, ast.Array)), None)
    if literal is None:
        return None
    left, right = (_matrix(v) for v in (counter.left, counter.right))
    if left.shape != right.shape or left.size < 2:
        return None
    near = _tolerances(literal, left.shape)
    if near is None:
        near = np.zeros(left.shape)
    scale = max(1.0, float(np.abs(left).max()))
    over = np.abs(left - right) > near + 1e-9 * scale
    bad = [tuple(int(i) for i in at) for at in np.argwhere(over)]
    if not bad or len(bad) > MOST_ENTRIES or len(bad) == left.size:
        return None
    column = left.shape[1] == 1
    shown = [f"[{r + 1}]" if column else f"[{r + 1}, {c + 1}]" for r, c in bad]
    if len(shown) == 1:
        return f"Only entry {shown[0]} is wrong."
    return f"The wrong entries are {', '.join(shown[:-1])} and {shown[-1]}."


def _matrix(value: Any) -> Any:
    a = np.asarray(value, dtype=np.float64)
    return a.reshape(-1, 1) if a.ndim < 2 else a


def _tolerances(literal: ast.Array, shape: tuple[int, ...]) -> Any:
    """Per entry, half a unit of the last decimal that is written ; 0 where it is exact."""
    rows = [list(i.items) if isinstance(i, ast.Array) else [i] for i in literal.items]
    if (len(rows), len(rows[0])) != shape:
        return None
    near = np.zeros(shape)
    for r, row in enumerate(rows):
        for c, expr in enumerate(row):
            inner = expr.args[0] if isinstance(expr, ast.Apply) and expr.op == "neg" else expr
            if isinstance(inner, ast.Number) and inner.decimals is not None:
                near[r, c] = 0.5000001 * 10.0**-inner.decimals
    return near
