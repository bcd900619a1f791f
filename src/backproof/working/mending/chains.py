"""Sums as lists of signed terms, and products as lists of factors.

Both are views of the reader's own tree: operators keep their places in the text, and brackets are
not looked into.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from backproof.errors import Span
from backproof.language import syntax as ast
from backproof.working.mending.spelling import Spelling

ADDITIVE = ("add", "sub")
MULTIPLICATIVE = ("mul", "div", "matmul")


class Term(NamedTuple):
    """One term of a sum: its sign, what stands behind the sign, and where the sign stands."""

    minus: bool
    body: ast.Expr
    sign: Span = ast.NOWHERE


class Factor(NamedTuple):
    """One factor of a product and the operator before it ("mul" before the first)."""

    op: str
    body: ast.Expr
    sign: Span = ast.NOWHERE


def number(value: int | str) -> ast.Number:
    from fractions import Fraction

    return ast.Number(Fraction(str(value)), str(value))


def apply(op: str, *args: ast.Expr) -> ast.Apply:
    return ast.Apply(op, args)


def terms(expr: ast.Expr, spelling: Spelling) -> list[Term]:
    """The terms of a sum; one term where it is none."""
    found: list[Term] = []
    while (
        isinstance(expr, ast.Apply)
        and expr.op in ADDITIVE
        and (not found or not spelling.bracketed(expr))
    ):
        found.append(Term(expr.op == "sub", expr.args[1], expr.op_span))
        expr = expr.args[0]
    minus, body = unsigned(expr, spelling)
    found.append(Term(minus, body))
    found.reverse()
    return found


def unsigned(expr: ast.Expr, spelling: Spelling) -> tuple[bool, ast.Expr]:
    """(whether it begins with a minus, the expression without it)."""
    if isinstance(expr, ast.Apply) and expr.op == "neg":
        return True, expr.args[0]
    parts = factors(expr, spelling)
    first = parts[0].body
    if len(parts) > 1 and isinstance(first, ast.Apply) and first.op == "neg" and not (
        spelling.bracketed(first)
    ):  # fmt: skip
        return True, product([parts[0]._replace(body=first.args[0]), *parts[1:]])
    return False, expr


def negated(expr: ast.Expr, spelling: Spelling) -> ast.Expr:
    """The expression with the other sign in front, the way it is written: `-a*b`."""
    minus, body = unsigned(expr, spelling)
    if minus:
        return body
    parts = factors(expr, spelling)
    first = parts[0]._replace(body=apply("neg", parts[0].body))
    return product([first, *parts[1:]])


def total(parts: Sequence[Term], spelling: Spelling) -> ast.Expr:
    """The sum of terms; a term with a plus is put first if the first has a minus."""
    first, *rest = parts
    result = negated(first.body, spelling) if first.minus else first.body
    for part in rest:
        op = "sub" if part.minus else "add"
        result = ast.Apply(op, (result, part.body), (), ast.NOWHERE, part.sign)
    return result


def factors(expr: ast.Expr, spelling: Spelling) -> list[Factor]:
    """The factors of a product; one factor where it is none."""
    found: list[Factor] = []
    while (
        isinstance(expr, ast.Apply)
        and expr.op in MULTIPLICATIVE
        and (not found or not spelling.bracketed(expr))
    ):
        found.append(Factor(expr.op, expr.args[1], expr.op_span))
        expr = expr.args[0]
    found.append(Factor("mul", expr))
    found.reverse()
    return found


def product(parts: Sequence[Factor]) -> ast.Expr:
    """The product of factors, from the left."""
    first, *rest = parts
    result = apply("div", number(1), first.body) if first.op == "div" else first.body
    for part in rest:
        result = ast.Apply(part.op, (result, part.body), (), ast.NOWHERE, part.sign)
    return result


def transposed(expr: ast.Expr) -> ast.Expr:
    """The transpose, without piling up two of them."""
    if isinstance(expr, ast.Apply) and expr.op == "transpose":
        return expr.args[0]
    return apply("transpose", expr)


def size_of(expr: ast.Expr) -> int:
    """How many nodes an expression has."""
    return sum(1 for _ in ast.walk(expr))


def led(parts: Sequence[Factor]) -> list[Factor]:
    """The factors with the first one leading (a division keeps its 1 above the line)."""
    first, *rest = parts
    if first.op == "div":
        return [first, *rest]
    return [Factor("mul", first.body), *rest]


def is_transpose(expr: ast.Expr) -> bool:
    return isinstance(expr, ast.Apply) and expr.op == "transpose"


def spliced(parts: Sequence[Factor], k: int, body: ast.Expr, spelling: Spelling) -> list[Factor]:
    """The factors with one replaced; a product put in for a plain factor needs no brackets."""
    part = parts[k]
    new = [part._replace(body=body)]
    fresh = not body.span.end and isinstance(body, ast.Apply) and body.op == "mul"
    if fresh and part.op == "mul" and not spelling.bracketed(body):
        inner = factors(body, spelling)
        if all(f.op == "mul" for f in inner) and not (
            k + 1 < len(parts) and parts[k + 1].op == "matmul"
        ):
            new = [part._replace(body=inner[0].body), *inner[1:]]
    return [*parts[:k], *new, *parts[k + 1 :]]
