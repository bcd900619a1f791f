"""Expressions as text: what a reader may paste behind `claim`, and cannot misread."""

from __future__ import annotations

import pytest

from backproof.calculus.notation import text
from backproof.errors import Source
from backproof.language.statements import parse_expression


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        # an elementwise product stands in brackets before @, whatever its factors are
        ("z*v*(1 - z) @ x.T", "(z*v*(1 - z)) @ x.T"),
        ("-z*v @ x.T", "(-z*v) @ x.T"),
        ("z/s @ x.T", "(z/s) @ x.T"),
        ("z*v @ x.T @ y", "(z*v) @ x.T @ y"),
        # nothing to misread: one factor beside numbers, or a product behind
        ("2*z @ x.T", "2*z @ x.T"),
        ("1/2*z @ x.T", "1/2*z @ x.T"),
        ("2*(a - x) @ x.T/m", "2*(a - x) @ x.T/m"),
        ("z @ (v*x).T", "z @ (v*x).T"),
    ],
)
def test_a_product_of_two_kinds_cannot_be_misread(written: str, shown: str) -> None:
    read = parse_expression(Source("test", written))
    assert text(read) == shown
    again = parse_expression(Source("test", shown))
    assert text(again) == shown
