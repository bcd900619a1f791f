"""Left minus right of a refuted claim, as one would write it by hand."""

from __future__ import annotations

import pytest

from backproof.calculus.model import build_model
from backproof.errors import Source
from backproof.language.sheet import parse_sheet
from backproof.working.claims import REFUTED, Judge

SHEET = """
given X in R[N, d], y in R[N], q in R[k], s in R[k], c in R, h in R
learn w in R[d], E in R[N, m], W in R[m, k], u in R[d], v in R[m]
p = X @ w - y
J = sumsq(p)/N
"""


@pytest.mark.parametrize(
    ("claim", "difference"),
    [
        # A division by a number is written as one, behind the product.
        ("grad(J, w) == 3*X.T @ p/N - X.T @ p/N - 2*X.T @ p/N", "2*X.T @ p/N"),
        ("s/c == 0*s", "s/c"),
        ("s/(c*h) == 0*s", "s/(c*h)"),
        ("s/(2*c) == 0*s", "s/(2*c)"),
        # A number stands before a column, not behind it with an @ between.
        ("s*sum(q) == s", "sum(q)*s - s"),
        ("c*h*s == 0*s", "c*h*s"),
        ("s*c*c == 0*s", "c**2*s"),
        ("s/c/c == 0*s", "s/c**2"),
        # One number between a column and a row is the error of a single output.
        ("u @ c @ v.T == 0*u @ v.T", "u @ c @ v.T"),
        ("c*h*u @ v.T == 0*u @ v.T", "c*h*(u @ v.T)"),
        # Brackets that change nothing go.
        ("X.T @ (E @ W) == 0*X.T @ E @ W", "X.T @ E @ W"),
        ("X.T @ (E @ (W @ s)) == 0*w", "X.T @ E @ W @ s"),
        ("X.T @ (E*(p @ v.T)) == 0*X.T @ E", "X.T @ ((p @ v.T)*E)"),
    ],
)
def test_the_difference_reads_as_one_writes_it(claim: str, difference: str) -> None:
    model = build_model(parse_sheet(Source("test", f"{SHEET}claim {claim}")))
    (stated,) = model.sheet.claims
    judge = Judge(model)
    verdict = judge.explained(stated, judge.claim(stated))
    assert verdict.verdict == REFUTED
    assert verdict.difference == difference
