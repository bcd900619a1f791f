"""Sheets with one thing changed: the syntax tree is edited and written out again.

Used where another reading or a remedy is shown beside the sheet as it is. What comes out is read
again like any sheet, so it can be saved, checked and asked about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from backproof.calculus.model import Model, build_model
from backproof.errors import Source
from backproof.language import syntax as ast
from backproof.language.format import unparse, unparse_set
from backproof.language.sheet import Sheet, parse_sheet


def edited(
    sheet: Sheet,
    equations: Mapping[str, ast.Expr] | None = None,
    *,
    values: Mapping[str, ast.Expr] | None = None,
    rounding: ast.Round | None = None,
    before: Mapping[str, tuple[str, ast.Expr]] | None = None,
) -> str:
    """The text of the sheet with some of its statements changed, without asks and claims.

    equations   name -> its new right-hand side
    values      declared name -> its new value
    rounding    in place of the sheet's own
    before      name of an equation -> an equation to put in before it: (name, right-hand side)
    """
    equations, values, before = equations or {}, values or {}, before or {}
    lines: list[str] = []
    for s in sheet.statements:
        match s:
            case ast.Declaration(name=name):
                value = values.get(name)
                if value is not None and s.file is None and s.value is not None:
                    s = replace(s, value=value)
                lines.append(_declaration(s))
            case ast.Let(name=name, value=value):
                lines.append(f"let {name} = {unparse(value)}")
            case ast.Assume(condition=condition):
                lines.append(f"assume {unparse(condition)}")
            case ast.Equation(name=name, expr=expr):
                if name in before:
                    lines.append(f"{before[name][0]} = {unparse(before[name][1])}")
                changed = values.get(name) if name in sheet.declarations else equations.get(name)
                lines.append(f"{name} = {unparse(changed if changed is not None else expr)}")
            case ast.Round():
                lines.append(_round(rounding or s))
            case ast.Layout(denominator=denominator):
                lines.append(f"layout {'denominator' if denominator else 'numerator'}")
            case _:
                continue
    if rounding is not None and sheet.round is None:
        lines.append(_round(rounding))
    return "\n".join(lines) + "\n"


def variant(sheet: Sheet, text: str) -> Model:
    """The model of an edited text; files are looked for beside the original."""
    return build_model(parse_sheet(Source(sheet.source.name, text), name=sheet.name))


def _declaration(s: ast.Declaration) -> str:
    text = f"{s.role} {s.name}"
    if s.set is not None:
        text += f" in {unparse_set(s.set)}"
    if s.file is not None:
        return f'{text} = file("{s.file}")'
    return text if s.value is None else f"{text} = {unparse(s.value)}"


def _round(s: ast.Round) -> str:
    return f"round {s.decimals} {'each' if s.each else 'end'}"
