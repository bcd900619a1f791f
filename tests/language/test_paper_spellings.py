"""Paper spellings give the same sheet as the plain ones."""

from __future__ import annotations

import pytest

from backproof.errors import Source
from backproof.language import parse_expression, parse_sheet


@pytest.mark.parametrize(
    ("paper", "plain"),
    [
        ("Wᵀ @ x", "W.T @ x"),
        ("(a - b)ᵀ", "(a - b).T"),
        ("W⊤", "W.T"),
        ("a ⊙ b", "a * b"),
        ("2 · a", "2 * a"),
        ("2 × a", "2 * a"),
        ("a − b", "a - b"),
        ("σ(z)", "sigmoid(z)"),
        ("where(a ≤ b, a ≥ b, a ≠ b)", "where(a <= b, a >= b, a != b)"),
        ("x²", "x**2"),
        ("(x + 1)¹²", "(x + 1)**12"),
        ("-x²", "-x**2"),
        ("Σ(i=1..N) y[i]", "sum(y[i] for i in 1..N)"),
        ("Π(i=1..N) y[i]", "prod(y[i] for i in 1..N)"),
        ("sum(y[i] for i ∈ 1..N)", "sum(y[i] for i in 1..N)"),
    ],
)
def test_expressions(paper: str, plain: str) -> None:
    assert parse_expression(Source("paper", paper)) == parse_expression(Source("plain", plain))


def test_statements() -> None:
    paper = """
        given X ∈ ℝ[N × d], c ∈ ℝpos
        learn W ∈ ℝ[d × 3*k]
        P = σ(X @ W) ⊙ c
        claim shape(P) == (N, 3·k)
        claim P ≤ c
        claim P ∈ ℝ[N × 3*k]
    """
    plain = """
        given X in R[N, d], c in Rpos
        learn W in R[d, 3*k]
        P = sigmoid(X @ W) * c
        claim shape(P) == (N, 3*k)
        claim P <= c
        claim P in R[N, 3*k]
    """
    read, wanted = (parse_sheet(Source("test", text)) for text in (paper, plain))
    assert read.declarations == wanted.declarations
    assert read.equations == wanted.equations
    for one, other in zip(read.claims, wanted.claims, strict=True):
        assert (one.sides, one.relations, one.member) == (
            other.sides,
            other.relations,
            other.member,
        )


def test_greek_letters_are_names() -> None:
    sheet = parse_sheet(
        Source("test", "given λ, γ, Σ, σ in Rpos, lambda in R, x₁ in R\nμ = σ*λ/γ + Σ*lambda*x₁")
    )
    assert list(sheet.declarations) == ["λ", "γ", "Σ", "σ", "lambda", "x₁"]
    assert sheet.uses["μ"] == ("σ", "λ", "γ", "Σ", "lambda", "x₁")


def test_times_is_a_product_in_brackets_within_dimensions() -> None:
    sheet = parse_sheet(Source("test", "given X in R[m × (2 × n)], Y in R[m, 2 * n]"))
    x, y = (d.set for d in sheet.declarations.values())
    assert x == y
