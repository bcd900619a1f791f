"""Writing a tree back as text, and reading it again."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backproof.errors import Source
from backproof.language import parse_expression, parse_sheet, unparse, unparse_claim, unparse_set
from backproof.language.functions import FUNCTIONS, WITH_INDEX
from backproof.language.syntax import (
    Apply,
    Array,
    Comprehension,
    Expr,
    Loop,
    Name,
    Number,
    Slice,
    Subscript,
    TupleExpr,
)

NAMES = st.sampled_from(["a", "b", "W1", "λ", "x_2", "T", "e", "sum", "R", "lambda", "z₁"])
NUMBERS = st.sampled_from(["0", "1", "2.50", "1.", ".5", "1.2e-3", "10E2"])
INFIX = st.sampled_from(["add", "sub", "mul", "div", "matmul", "pow"])
RELATION = st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"])
PLAIN_CALLS = sorted(
    name
    for name, signature in FUNCTIONS.items()
    if signature.least <= 2 and name not in ("grad", "jac", "hess", "einsum")
)


def apply(op: str, *args: Expr) -> Apply:
    return Apply(op, args)


def calls(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    def call(name: str, args: list[Expr], axis: Expr) -> Expr:
        signature = FUNCTIONS[name]
        most = signature.most or len(args)
        options = (("axis", axis),) if "axis" in signature.options else ()
        return Apply(name, tuple(args[: max(signature.least, min(most, len(args)))]), options)

    return st.builds(
        call, st.sampled_from(PLAIN_CALLS), st.lists(inner, min_size=2, max_size=3), inner
    )


def slices(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Slice]:
    return st.builds(Slice, st.none() | inner, st.none() | inner)


def comprehensions(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    loop = st.builds(Loop, st.sampled_from("ijk"), inner, inner)
    condition = st.builds(apply, RELATION, inner, inner)
    return st.builds(
        Comprehension,
        st.sampled_from(sorted(WITH_INDEX)),
        inner,
        st.lists(loop, min_size=1, max_size=2).map(tuple),
        st.lists(condition, max_size=2).map(tuple),
    )


def larger(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    grad = st.builds(apply, st.sampled_from(["grad", "jac", "hess"]), inner, st.builds(Name, NAMES))
    index = st.lists(inner | slices(inner), min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.builds(apply, INFIX, inner, inner),
        st.builds(apply, RELATION, inner, inner).map(lambda c: apply("where", c, c, c)),
        st.builds(apply, st.sampled_from(["neg", "transpose"]), inner),
        st.builds(Subscript, inner, index),
        st.lists(inner, min_size=1, max_size=3).map(column),
        st.lists(inner, max_size=3).map(tuple).map(TupleExpr),
        calls(inner),
        grad,
        comprehensions(inner),
    )


def column(items: list[Expr]) -> Array:
    """A column, or the rows of a matrix; ragged lists are not part of the language."""
    if any(isinstance(item, Array) for item in items):
        return Array(tuple(items[:1] * len(items)))
    return Array(tuple(items))


LEAVES = st.builds(Name, NAMES) | NUMBERS.map(lambda text: Number(Fraction(text), text))
EXPRESSIONS: st.SearchStrategy[Expr] = st.recursive(LEAVES, larger, max_leaves=12)


@settings(deadline=None, max_examples=300)
@given(EXPRESSIONS)
def test_reading_what_was_written_gives_the_same_tree(expr: Expr) -> None:
    text = unparse(expr)
    again = parse_expression(Source("test", text))
    assert again == expr, text
    assert unparse(again) == text


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("((a)+(b*c))", "a + b * c"),
        ("(a+b)*c", "(a + b) * c"),
        ("a-(b+c)", "a - (b + c)"),
        ("(a-b)+c", "a - b + c"),
        ("a/(b*c)", "a / (b * c)"),
        ("(a**b)**c", "(a**b)**c"),
        ("a**(b**c)", "a**b**c"),
        ("(-a)**2", "(-a)**2"),
        ("-(a**2)", "-a**2"),
        ("-(a*b)", "-(a * b)"),
        ("(-a)*b", "-a * b"),
        ("a**(-b)", "a**-b"),
        ("Wᵀ·(a−b)", "W.T * (a - b)"),
        ("(W @ x).T", "(W @ x).T"),
        ("σ( z )", "sigmoid(z)"),
        ("Σ(i=1..N) y[i]*z[i]", "sum(y[i] * z[i] for i in 1..N)"),
        ("X[1 , :]", "X[1, :]"),
        ("(1.).T", "(1.).T"),
        ("( n , )", "(n,)"),
        ("einsum('ij->i',A)", 'einsum("ij->i", A)'),
        ("sum((a > 0)*b)", "sum((a > 0) * b)"),
    ],
)
def test_canonical_spelling(written: str, canonical: str) -> None:
    assert unparse(parse_expression(Source("test", written))) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "x in R[N, 3]",
        "x in 1..N",
        "x in {-1, 1}[N]",
        "x in (0, 1)[N]",
        "x == x + 1 <= 2",
        "x == 0.5 ± 0.02",
        "x[i] == 1 for i in 1..N for j in 1..i if i != j",
    ],
)
def test_claims(text: str) -> None:
    sheet = parse_sheet(Source("test", f"given x in R[N]\nclaim {text}"))
    assert unparse_claim(sheet.claims[0]) == text


def test_sets() -> None:
    sheet = parse_sheet(Source("test", "given a in ℝ[m × 2*n], b in Rpos, c in onehot[m,n]"))
    shown = [unparse_set(d.set) for d in sheet.declarations.values() if d.set]
    assert shown == ["R[m, 2 * n]", "Rpos", "onehot[m, n]"]
