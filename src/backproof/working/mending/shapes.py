"""Mends a claimed shape: the right sizes, written the way the sheet writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backproof.calculus.model import Model
from backproof.errors import BackproofError
from backproof.language import syntax as ast
from backproof.operators.dims import Dim, Shape, paper_shape


def mended_shape(model: Model, claim: ast.Claim) -> str | None:
    """`shape(X) == (N, d)` or `X in R[N, d]` with the shape that it has."""
    try:
        if claim.member is not None:
            return _member(model, claim, claim.member)
        left, right = claim.sides
        if not (isinstance(left, ast.Apply) and left.op == "shape"):
            return None
        if not isinstance(right, ast.TupleExpr):
            return None
        shape = model.graph.resolve_shape(model.node(left.args[0]).shape)
        entries = _spelled(model, _as_long(shape, len(right.items)), right.items)
    except (BackproofError, ValueError):
        return None
    comma = "," if len(entries) == 1 else ""
    return _spliced(model, claim, right, f"({', '.join(entries)}{comma})")


def _member(model: Model, claim: ast.Claim, member: ast.SetExpr) -> str | None:
    if member.kind != "real":
        return None
    shape = model.graph.resolve_shape(model.node(claim.sides[0]).shape)
    entries = _spelled(model, _as_long(shape, len(member.dims)), member.dims)
    name = model.sheet.source.slice(member.span).partition("[")[0].strip()
    return _spliced(model, claim, member, f"{name}[{', '.join(entries)}]" if entries else name)


def _as_long(shape: Shape, wanted: int) -> Sequence[Dim]:
    """The shape with a column's 1 where the reader wrote two sizes."""
    return shape if wanted == len(shape) else paper_shape(shape)


def _spelled(model: Model, dims: Sequence[Dim], first: Sequence[ast.Expr]) -> list[str]:
    elaborator = model.elaborator()
    known: dict[Dim, str] = {}
    for expr in (*first, *_declared(model)):
        dim = elaborator.try_dim(expr)
        if dim is not None:
            known.setdefault(dim, model.sheet.source.slice(expr.span))
    return [known.get(d, str(d)) for d in dims]


def _declared(model: Model) -> Iterator[ast.Expr]:
    """The sizes as the declarations write them."""
    for declaration in model.sheet.declarations.values():
        if declaration.set is not None:
            yield from declaration.set.dims


def _spliced(model: Model, claim: ast.Claim, old: ast.TupleExpr | ast.SetExpr, new: str) -> str:
    text, whole = model.sheet.source.text, claim.text_span
    mended = text[whole.start : old.span.start] + new + text[old.span.end : whole.end]
    return " ".join(mended.split())
