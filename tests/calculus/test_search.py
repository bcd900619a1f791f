"""Counterexamples beyond ordinary random points: far out, at kinks, near one point, at zero."""

from __future__ import annotations

import pytest

from backproof.calculus.model import build_model
from backproof.errors import Source
from backproof.language.sheet import parse_sheet
from backproof.working.claims import Judge, Verdict

GIVEN = """given x, y in R, p in Rpos, u in (0, 1), w, z in R[n], q in prob[K]
given A in R[n, n], S in posdef[n]
"""


def judged(claim: str, given: str = GIVEN) -> Verdict:
    model = build_model(parse_sheet(Source("far.sheet", f"{given}claim {claim}\n")))
    return Judge(model).claim(model.sheet.claims[0])


@pytest.mark.parametrize(
    "claim",
    [
        "sigmoid(x) <= 0.999",  # only where x > 6.9
        "x**2 <= 100",
        "p >= 0.01",
        "u <= 0.99",
        "max(q) <= 0.95",
        "norm(w) <= 100",
        "trace(A) >= -50",
        "sigmoid(x)*(1 - sigmoid(x)) <= 0.2499",  # only near x = 0
        "p + 1/p >= 2.001",  # only near p = 1
        "x**2 - 3*x + 2.2 >= 0",  # only near x = 3/2, where it is -0.05
        "logsumexp([x, y]) <= max(x, y) + 0.69",  # log 2 = 0.6931 where x = y
        "sumsq(q) >= 1/K + 0.001",  # only near equal entries
        "x**2 > 0",  # not at zero
        "z.T @ S @ z > 0",
    ],
)
def test_a_bound_that_fails_somewhere_is_refuted(claim: str) -> None:
    verdict = judged(claim)
    assert verdict.verdict == "refuted", verdict.why
    assert verdict.counterexample is not None


@pytest.mark.parametrize(
    "claim",
    [
        "clip(x, -10, 10) == x",
        "min(max(x, 0), 6) == max(x, 0)",
        "relu(p - 4) == 0",
        "floor(p/3) == 0",
        "where(u > 0.99, 0, u) == u",
        "where(abs(x - y) < 0.001, 0, 1) == 1",
        "grad(relu(x + 15), x) == 1",
        "log(max(p, 0.001)) == log(p)",
        "det(-A) == det(A)",  # for even sizes only
        "(-1)**n == 1",
    ],
)
def test_sides_that_differ_beyond_a_kink_are_refuted(claim: str) -> None:
    assert judged(claim).verdict == "refuted"


@pytest.mark.parametrize(
    "claim",
    [
        "sigmoid(x) < 1",  # far out it is 1 to any number of digits
        "tanh(x) < 1",
        "exp(x) > 0",
        "softplus(x) > 0",
        "log(p) <= p - 1",
        "log(1 + exp(x)) >= x",
        "logsumexp(w) <= max(w) + log(n)",
        "-log(u) > 0",
        "sumsq(q) >= 1/K",
        "det(S) > 0",
        "grad(max(w), w) == where(w == max(w), 1, 0)",  # no derivative where entries are equal
        "elu(x) == max(x, min(0, exp(x) - 1))",
        "abs(sin(x)) <= 1",
        "(-1)**(n + 1) == -(-1)**n",
        "det(-A) == (-1)**n*det(A)",
    ],
)
def test_what_holds_is_not_refuted(claim: str) -> None:
    verdict = judged(claim)
    assert verdict.verdict in ("proved", "agrees"), verdict.why


def test_a_refuted_inequality_of_two_names() -> None:
    verdict = judged("x != clip(x, -30, 30)")
    assert verdict.verdict == "proved"
    assert verdict.counterexample is not None
    assert abs(verdict.counterexample.point["x"]) > 30


def test_assumptions_hold_at_what_is_found() -> None:
    given = "given a, b in R\nassume a < b\nassume 0 < a\n"
    assert judged("a - b <= 0", given).verdict in ("proved", "agrees")
    verdict = judged("a + b <= 50", given)
    assert verdict.verdict == "refuted"
    assert verdict.counterexample is not None
    assert 0 < verdict.counterexample.point["a"] < verdict.counterexample.point["b"]


def test_facts_hold_at_what_is_found() -> None:
    found = judged("max(q) <= 0.95").counterexample
    assert found is not None
    entries = found.point["q"]
    assert min(entries) >= 0
    assert sum(entries) == pytest.approx(1)
    assert max(entries) > 0.95
