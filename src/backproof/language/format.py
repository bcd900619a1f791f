"""Writes a syntax tree back as plain text, so that reading it again gives the same tree.

The spelling is canonical: plain signs, the fewest brackets, spaces around binary operators but
`**`. It must not know what the operators mean.
"""

from __future__ import annotations

from backproof.language.syntax import (
    Apply,
    Array,
    Claim,
    Comprehension,
    Expr,
    Loop,
    Name,
    Number,
    SetExpr,
    Slice,
    Subscript,
    Text,
    TupleExpr,
)

_COMPARISON, _SUM, _PRODUCT, _SIGN, _POWER, _POSTFIX = range(6)

_INFIX = {
    "eq": ("==", _COMPARISON),
    "ne": ("!=", _COMPARISON),
    "le": ("<=", _COMPARISON),
    "ge": (">=", _COMPARISON),
    "lt": ("<", _COMPARISON),
    "gt": (">", _COMPARISON),
    "add": ("+", _SUM),
    "sub": ("-", _SUM),
    "mul": ("*", _PRODUCT),
    "matmul": ("@", _PRODUCT),
    "div": ("/", _PRODUCT),
}
_LEVELS = {op: level for op, (_, level) in _INFIX.items()} | {"neg": _SIGN, "pow": _POWER}
_SET_NAMES = {"real": "R", "pos": "Rpos"}


def unparse(expr: Expr) -> str:
    """The expression in canonical plain text."""
    match expr:
        case Number(text=text):
            return text
        case Name(id=name):
            return name
        case Apply():
            return _apply(expr)
        case Subscript(base=base, items=items):
            return f"{_at_least(_POSTFIX, base)}[{', '.join(map(_index, items))}]"
        case Array(items=items):
            return f"[{', '.join(map(unparse, items))}]"
        case TupleExpr(items=items):
            return f"({', '.join(map(unparse, items))}{',' if len(items) == 1 else ''})"
        case Comprehension(kind=kind, body=body, loops=loops, conditions=conditions):
            return f"{kind}({unparse(body)}{unparse_loops(loops, conditions)})"
        case Text(value=value):
            return f"'{value}'" if '"' in value else f'"{value}"'


def unparse_loops(loops: tuple[Loop, ...], conditions: tuple[Expr, ...]) -> str:
    """` for i in 1..N if i != k`, with its leading space."""
    parts = [f" for {loop.name} in {_range(loop.lower, loop.upper)}" for loop in loops]
    parts += [f" if {unparse(condition)}" for condition in conditions]
    return "".join(parts)


def unparse_set(set_: SetExpr) -> str:
    """The set in canonical plain text."""
    dims = f"[{', '.join(map(unparse, set_.dims))}]" if set_.dims else ""
    bounds = ", ".join(map(unparse, set_.bounds))
    match set_.kind:
        case "range":
            return _range(*set_.bounds)
        case "interval":
            return f"({bounds}){dims}"
        case "labels":
            return f"{{{bounds}}}{dims}"
        case kind:
            return _SET_NAMES.get(kind, kind) + dims


def unparse_claim(claim: Claim) -> str:
    """The claim in canonical plain text, as it would stand after the word `claim`."""
    text = unparse(claim.sides[0])
    for relation, side in zip(claim.relations, claim.sides[1:], strict=True):
        text += f" {_INFIX[relation][0]} {_at_least(_SUM, side)}"
    if claim.member is not None:
        text += f" in {unparse_set(claim.member)}"
    if claim.tolerance is not None:
        text += f" ± {unparse(claim.tolerance)}"
    return text + unparse_loops(claim.loops, claim.conditions)


def _apply(expr: Apply) -> str:
    op, args = expr.op, expr.args
    if op in _INFIX and len(args) == 2:
        sign, level = _INFIX[op]
        # Left to right; only comparisons do not chain.
        left = _at_least(level if level != _COMPARISON else _SUM, args[0])
        return f"{left} {sign} {_at_least(level + 1, args[1])}"
    if op == "neg":
        return f"-{_at_least(_SIGN, args[0])}"
    if op == "pow":
        return f"{_at_least(_POSTFIX, args[0])}**{_at_least(_SIGN, args[1])}"
    if op == "transpose":
        return f"{_at_least(_POSTFIX, args[0])}.T"
    options = [f"{name}={unparse(value)}" for name, value in expr.options]
    return f"{op}({', '.join([*map(unparse, args), *options])})"


def _at_least(level: int, expr: Expr) -> str:
    """The expression, in brackets if it binds less tightly than *level*."""
    text = unparse(expr)
    return f"({text})" if _level(expr) < level else text


def _level(expr: Expr) -> int:
    if isinstance(expr, Apply):
        return _LEVELS.get(expr.op, _POSTFIX)
    if isinstance(expr, Number) and expr.text.endswith("."):
        return _POWER  # `2..T` and `1...3` would be read otherwise than meant
    return _POSTFIX


def _index(item: Expr | Slice) -> str:
    if not isinstance(item, Slice):
        return unparse(item)
    lower = unparse(item.lower) if item.lower is not None else ""
    upper = unparse(item.upper) if item.upper is not None else ""
    return f"{lower}:{upper}"


def _range(lower: Expr, upper: Expr) -> str:
    start = f"({unparse(lower)})" if unparse(lower).endswith(".") else unparse(lower)
    return f"{start}..{unparse(upper)}"
