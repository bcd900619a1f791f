"""Nodes written as expressions of the sheet language, and expressions written as text.

Every operator says itself how it is written; the text is what a reader may paste behind `claim`.
Knows no operator by name. The pretty form of the same expressions is in `latex`.
"""

from __future__ import annotations

from collections.abc import Mapping

from backproof.language import syntax as ast
from backproof.language.format import unparse
from backproof.operators.node import Node, postorder

_COMPARISON, _SUM, _PRODUCT, _SIGN, _POWER, _POSTFIX = range(6)

# sign as written, how tightly it binds
SIGNS: dict[str, tuple[str, int]] = {
    "eq": (" == ", _COMPARISON),
    "ne": (" != ", _COMPARISON),
    "le": (" <= ", _COMPARISON),
    "ge": (" >= ", _COMPARISON),
    "lt": (" < ", _COMPARISON),
    "gt": (" > ", _COMPARISON),
    "add": (" + ", _SUM),
    "sub": (" - ", _SUM),
    "mul": ("*", _PRODUCT),
    "div": ("/", _PRODUCT),
    "matmul": (" @ ", _PRODUCT),
}
_LEVELS = {op: level for op, (_, level) in SIGNS.items()} | {"neg": _SIGN, "pow": _POWER}


def syntax(node: Node, names: Mapping[str, ast.Expr] | None = None) -> ast.Expr | None:
    """The node in the sheet language; None where the language has no words for it.

    names   how some quantities are to be written, where that is not their name
    """
    done: dict[int, ast.Expr | None] = {}
    for n in postorder([node]):
        args = [done[a.id] for a in n.args]
        if any(a is None for a in args):
            done[n.id] = None
            continue
        done[n.id] = written(n, tuple(a for a in args if a is not None), names)
    return done[node.id]


def written(
    node: Node, args: tuple[ast.Expr, ...], names: Mapping[str, ast.Expr] | None = None
) -> ast.Expr | None:
    """One node, its arguments written already."""
    if names and node.name is not None and node.name in names:
        return names[node.name]
    rule = node.op.written
    return ast.Apply(node.op.name, args) if rule is None else rule(node, args)


def text(expr: ast.Expr | None) -> str:
    """The expression as text, products without spaces as one writes them by hand."""
    match expr:
        case ast.Apply(op=op, args=args, options=options):
            return _apply(op, args, options)
        case ast.Subscript(base=base, items=items):
            return f"{_at_least(_POSTFIX, base)}[{', '.join(map(_index, items))}]"
        case ast.Array(items=items):
            return f"[{', '.join(map(text, items))}]"
        case ast.Comprehension(kind=kind, body=body, loops=loops, conditions=conditions):
            parts = [f" for {v.name} in {text(v.lower)}..{text(v.upper)}" for v in loops]
            parts += [f" if {text(c)}" for c in conditions]
            return f"{kind}({text(body)}{''.join(parts)})"
        case None:
            return "?"
        case _:
            return unparse(expr)


def _apply(op: str, args: tuple[ast.Expr, ...], options: tuple[tuple[str, ast.Expr], ...]) -> str:
    if op in SIGNS and len(args) == 2:
        sign, level = SIGNS[op]
        left = _at_least(level if level != _COMPARISON else _SUM, args[0])
        if op == "mul" and isinstance(args[0], ast.Apply) and args[0].op == "matmul":
            left = f"({left})"  # (A @ B)*C: not needed, but easier to read
        if op == "matmul" and _factors(args[0]) > 1:
            left = f"({left})"  # (A*B) @ C: what A*B @ C means only if read from the left
        return f"{left}{sign}{_at_least(level + 1, args[1])}"
    if op == "neg":
        inner = _at_least(_PRODUCT, args[0])
        return f"-({inner})" if inner.startswith("-") else f"-{inner}"
    if op == "pow":
        return f"{_at_least(_POSTFIX, args[0])}**{_at_least(_POSTFIX, args[1])}"
    if op == "transpose":
        return f"{_at_least(_POSTFIX, args[0])}.T"
    return f"{op}({', '.join([*map(text, args), *(f'{k}={text(v)}' for k, v in options)])})"


def _factors(expr: ast.Expr) -> int:
    """How many factors an elementwise product has, plain numbers left out."""
    match expr:
        case ast.Apply(op="mul" | "div", args=(left, right)):
            return _factors(left) + _factors(right)
        case ast.Apply(op="neg", args=(inner,)):
            return _factors(inner)
        case ast.Number():
            return 0
        case _:
            return 1


def _at_least(level: int, expr: ast.Expr) -> str:
    shown = text(expr)
    return f"({shown})" if _level(expr) < level else shown


def _level(expr: ast.Expr) -> int:
    return _LEVELS.get(expr.op, _POSTFIX) if isinstance(expr, ast.Apply) else _POSTFIX


def _index(item: ast.Expr | ast.Slice) -> str:
    if not isinstance(item, ast.Slice):
        return text(item)
    lower = text(item.lower) if item.lower is not None else ""
    upper = text(item.upper) if item.upper is not None else ""
    return f"{lower}:{upper}"
