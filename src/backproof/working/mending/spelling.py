"""Writes an edited expression in the reader's own spelling.

What an edit left alone is copied from the sheet letter by letter; what it put in is written the
way the rest of the claim is written (`ᵀ` or `.T`, `⊙` or `*`, `σ` or `sigmoid`). Brackets stand
where the reader put them and where they are needed. A node that an edit made has no span of its
own (its `end` is 0); `BRACKETED` marks one that takes the place of something in brackets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from backproof.errors import Source, Span
from backproof.language import syntax as ast
from backproof.language.format import unparse

COMPARISON, SUM, PRODUCT, SIGN, POWER, POSTFIX = range(6)
BRACKETED = Span(1, 0)

LEVELS = {
    "eq": COMPARISON, "ne": COMPARISON, "le": COMPARISON, "ge": COMPARISON, "lt": COMPARISON,
    "gt": COMPARISON, "add": SUM, "sub": SUM, "mul": PRODUCT, "div": PRODUCT, "matmul": PRODUCT,
    "neg": SIGN, "pow": POWER,
}  # fmt: skip
SIGNS = {
    "eq": "==", "ne": "!=", "le": "<=", "ge": ">=", "lt": "<", "gt": ">",
    "add": "+", "sub": "-", "mul": "*", "div": "/", "matmul": "@",
}  # fmt: skip
_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"

Node = TypeVar("Node", ast.Apply, ast.Subscript, ast.Array, ast.Comprehension, ast.TupleExpr)


def level(expr: ast.Expr) -> int:
    """How tightly an expression binds."""
    return LEVELS.get(expr.op, POSTFIX) if isinstance(expr, ast.Apply) else POSTFIX


def written(expr: ast.Expr | ast.Slice) -> bool:
    """Whether the reader wrote this very expression."""
    return expr.span.end != 0


class Spelling:
    """Knows how one claim is written.

    source   the sheet's source, into which all spans point
    text     the claim as written: where the style is looked up first
    """

    def __init__(self, source: Source, text: str) -> None:
        self.source = source
        self._bracketed: set[Span] = set()
        self._marks: set[int] = set()
        self._kept: list[ast.Expr] = []
        whole = source.text
        self.transpose = "ᵀ" if "ᵀ" in (text if "ᵀ" in text or ".T" in text else whole) else ".T"
        self.times = self._sign("*", ("⊙", "·"), text)
        self.square = "²" if "²" in text and "**" not in text else "**2"
        self.sigmoid = "σ" if "σ(" in text and "sigmoid(" not in text else "sigmoid"
        self._text = text

    @staticmethod
    def _sign(plain: str, fancy: Iterable[str], text: str) -> str:
        single = text.replace("**", "")
        found = [s for s in (plain, *fancy) if s in single]
        return found[0] if found else plain

    # --- brackets ----------------------------------------------------------------------------

    def learn(self, root: ast.Expr, *, top: bool = True) -> None:
        """Notes which parts of an expression the reader put in brackets."""
        self._kept.append(root)
        if top and self._in_brackets(root):
            self._marks.add(id(root))
        for parent in ast.walk(root):
            if not _shows_brackets(parent):
                continue
            for child in ast.children(parent):
                if self._in_brackets(child):
                    self._marks.add(id(child))

    def bracketed(self, expr: ast.Expr) -> bool:
        """Whether the reader, or an edit in the same place, has brackets around this."""
        return id(expr) in self._marks if written(expr) else expr.span == BRACKETED

    def _in_brackets(self, expr: ast.Expr) -> bool:
        text = self.source.text
        before, after = expr.span.start - 1, expr.span.end
        while before >= 0 and text[before].isspace():
            before -= 1
        while after < len(text) and text[after].isspace():
            after += 1
        return before >= 0 and after < len(text) and text[before] == "(" and text[after] == ")"

    def remade(self, node: Node, **changes: object) -> Node:
        """The node with other parts, still in its place."""
        span = BRACKETED if self.bracketed(node) else ast.NOWHERE
        return replace(node, span=span, **changes)  # type: ignore[arg-type]

    def in_place_of(self, old: ast.Expr, new: ast.Expr) -> ast.Expr:
        """*new*, in brackets where *old* was and an operator needs or had them."""
        if (
            self.bracketed(old)
            and isinstance(new, ast.Apply)
            and level(new) < SIGN
            and not written(new)
        ):
            return replace(new, span=BRACKETED)
        return new

    # --- text --------------------------------------------------------------------------------

    def side(self, expr: ast.Expr) -> str:
        """A whole side of a claim."""
        text = self.spell(expr)
        keeps = level(expr) < POSTFIX and not written(expr) and expr.span == BRACKETED
        return f"({text})" if keeps else text

    def spell(self, expr: ast.Expr) -> str:
        """The expression without brackets around it."""
        if written(expr):
            return " ".join(self.source.slice(expr.span).split())
        match expr:
            case ast.Apply():
                return self._apply(expr)
            case ast.Subscript(base=base, items=items):
                return f"{self._operand(POSTFIX, base)}[{', '.join(map(self._index, items))}]"
            case ast.Array(items=items):
                return f"[{', '.join(map(self.spell, items))}]"
            case ast.TupleExpr(items=items):
                return f"({', '.join(map(self.spell, items))}{',' if len(items) == 1 else ''})"
            case ast.Comprehension(kind=kind, body=body, loops=loops, conditions=conditions):
                parts = [
                    f" for {v.name} in {self.spell(v.lower)}..{self.spell(v.upper)}" for v in loops
                ]
                parts += [f" if {self.spell(c)}" for c in conditions]
                return f"{kind}({self.spell(body)}{''.join(parts)})"
            case _:
                return unparse(expr)

    def _index(self, item: ast.Expr | ast.Slice) -> str:
        if not isinstance(item, ast.Slice):
            return self.spell(item)
        lower = "" if item.lower is None else self.spell(item.lower)
        upper = "" if item.upper is None else self.spell(item.upper)
        return f"{lower}:{upper}"

    def _operand(self, least: int, expr: ast.Expr) -> str:
        text = self.spell(expr)
        needed = level(expr) < least or (self.bracketed(expr) and level(expr) < POSTFIX)
        return f"({text})" if needed else text

    def _apply(self, expr: ast.Apply) -> str:
        op, args = expr.op, expr.args
        if op in SIGNS and len(args) == 2:
            own = LEVELS[op]
            left = self._operand(own if own != COMPARISON else SUM, args[0])
            right = self._operand(own + 1, args[1])
            if right.startswith("-") and own >= SUM:
                right = f"({right})"
            return f"{left}{self._joint(expr)}{right}"
        if op == "neg":
            return f"-{self._operand(SIGN, args[0])}"
        if op == "pow":
            return self._power(args[0], args[1])
        if op == "transpose":
            sign = self.source.slice(expr.op_span) if expr.op_span.end else self.transpose
            return f"{self._operand(POSTFIX, args[0])}{sign}"
        name = self.source.slice(expr.op_span) if expr.op_span.end else op
        if name == "sigmoid":
            name = self.sigmoid
        options = [f"{key}={self.spell(value)}" for key, value in expr.options]
        return f"{name}({', '.join([*map(self.spell, args), *options])})"

    def _power(self, base: ast.Expr, exponent: ast.Expr) -> str:
        low = self._operand(POSTFIX, base)
        if written(exponent):
            text = self.source.slice(exponent.span)
            if text and all(c in _SUPERSCRIPTS for c in text):
                return low + text
        elif isinstance(exponent, ast.Number) and exponent.text == "2" and self.square == "²":
            return low + "²"
        return f"{low}**{self._operand(SIGN, exponent)}"

    def _joint(self, expr: ast.Apply) -> str:
        """The operator with the spaces around it."""
        span = expr.op_span
        if span.end:
            text = self.source.text
            start, end = span.start, span.end
            while start > 0 and text[start - 1] == " ":
                start -= 1
            while end < len(text) and text[end] == " ":
                end += 1
            return text[start:end]
        sign = self.times if expr.op == "mul" else SIGNS[expr.op]
        tight = expr.op in ("mul", "div") and f" {sign} " not in self._text and (
            sign in self._text or "/" in self._text.replace(" / ", "")
            or "*" in self._text.replace(" * ", "").replace("**", "")
        )  # fmt: skip
        return sign if tight else f" {sign} "


def _shows_brackets(parent: ast.Expr) -> bool:
    """Whether round brackets directly around a part of this can only be the reader's own."""
    if isinstance(parent, ast.Apply):
        return parent.op in LEVELS or parent.op == "transpose"
    return isinstance(parent, ast.Subscript)
