"""Decides whether an index expression is zero, by the algebra's rewriting."""

from __future__ import annotations

from backproof.calculus.index.terms import Expr


def is_zero(expr: Expr, *, generators: bool) -> bool:
    """Whether *expr* rewrites to zero. `generators`: nothing is left to unfold, try everything."""
    return expr.is_zero
