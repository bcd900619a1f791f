"""Verdicts where large numbers stand on the way: they excuse nothing that is false."""

from __future__ import annotations

import pytest

from backproof.calculus.model import build_model
from backproof.errors import Source
from backproof.language.sheet import parse_sheet
from backproof.working.claims import Verdict, check_claims


def judged(text: str) -> list[Verdict]:
    return check_claims(build_model(parse_sheet(Source("test", text))), mend=False)


NET = """given x in R[N, k]
learn W in R[k, m], b in R[m]
z = x @ W + b.T
a = tanh(z)
given t in R[N, m]
L = sse(3*a, t)
"""


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        # exp(L) reaches e^100 and more here, and cancels again: the sign is still wrong.
        ("grad(L, a) == exp(L)*(3*a - t)/(exp(L)*exp(L)/exp(L))*6", "proved"),
        ("grad(L, a) == -exp(L)*(3*a - t)/(exp(L)*exp(L)/exp(L))*6", "refuted"),
        ("tanh(z)*exp(100*L)/exp(100*L) == a", "proved"),
        ("tanh(z)*exp(100*L)/exp(100*L) == 1.0001*a", "refuted"),
    ],
)
def test_what_cancels_does_not_hide_a_difference(claim: str, verdict: str) -> None:
    (found,) = judged(f"{NET}claim {claim}\n")
    assert found.verdict == verdict


VALUES = """given N = 1000000000000
given k = 6
given w = [2, 3]
"""


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ("k == 5", "refuted"),
        ("N*k/N == 5", "refuted"),  # multiplied and divided away again: no term of a sum
        ("N*k/N == 6", "proved"),
        ("w.T @ w == 13", "proved"),
        ("w.T @ w == 13.0001", "refuted"),
        ("N + k == 1000000000001", "proved"),  # to 1e-9 of the largest term, which is N
        ("k + 0.0000000001 == 6", "proved"),
        ("k + 0.0001 == 6", "refuted"),
    ],
)
def test_an_exact_number_is_told_to_the_largest_term(claim: str, verdict: str) -> None:
    (found,) = judged(f"{VALUES}claim {claim}\n")
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("claim", "exact", "rough"),
    [
        ("s == 0.54", "proved", "proved"),
        ("s == 0.55", "refuted", "refuted"),
        # Half a unit of the 14th decimal is less than double precision is trusted with.
        ("s == 0.54000000000000", "proved", "undecided"),
    ],
)
def test_double_precision_decides_no_last_digit(
    monkeypatch: pytest.MonkeyPatch, claim: str, exact: str, rough: str
) -> None:
    text = f"given A = [[0.1, 0.2], [0.3, 0.4]]\nB = A @ A\ns = sum(B)\nclaim {claim}\n"
    assert judged(text)[0].verdict == exact
    monkeypatch.setattr("backproof.calculus.values.BY_HAND", 7)  # A @ A takes eight
    assert judged(text)[0].verdict == rough
