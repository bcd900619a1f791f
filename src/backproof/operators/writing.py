"""How operators are written in the sheet language, for the entries where a plain call is not it.

Each rule gets the node and its arguments as written, and gives the expression, or None where the
language has no words for it. These are the spellings that a reader can paste behind `claim`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

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
    Text,
)
from backproof.operators.dims import ONE, SCALAR, Dim

if TYPE_CHECKING:
    from backproof.operators.node import Node

Args = tuple[Expr, ...]
Rule = Callable[["Node", Args], Expr | None]


def number(value: Fraction | int) -> Expr:
    """A rational number as a reader would write it: 2, 0.5, 1/3, -4."""
    value = Fraction(value)
    if value < 0:
        return Apply("neg", (number(-value),))
    if value.denominator == 1:
        return Number(value, str(value.numerator))
    rest, places = value.denominator, 0
    while rest % 10 == 0 or rest % 5 == 0 or rest % 2 == 0:
        rest = rest // 10 if rest % 10 == 0 else rest // 5 if rest % 5 == 0 else rest // 2
        places += 1
    if rest == 1 and places <= 6:
        whole = value * 10**places
        digits = str(whole.numerator // whole.denominator).rjust(places + 1, "0")
        return Number(value, f"{digits[:-places]}.{digits[-places:]}".rstrip("0"))
    top, bottom = value.numerator, value.denominator
    return Apply("div", (number(top), number(bottom)))


def dimension(dim_: Dim) -> Expr:
    """A dimension, with its names and numbers."""
    total: Expr | None = None
    for names, c in sorted(dim_.terms, key=lambda t: (-len(t[0]), t[0])):
        part: Expr | None = number(abs(c)) if abs(c) != 1 or not names else None
        for n in names:
            part = Name(n) if part is None else Apply("mul", (part, Name(n)))
        assert part is not None
        if total is None:
            total = Apply("neg", (part,)) if c < 0 else part
        else:
            total = Apply("sub" if c < 0 else "add", (total, part))
    return number(0) if total is None else total


def sized(word: str, shape: tuple[Dim, ...]) -> Expr:
    """`ones(n)` for a column, `zeros(m, n)` for a matrix."""
    dims = shape[:1] if len(shape) == 2 and shape[1] == ONE else shape
    return Apply(word, tuple(map(dimension, dims)))


def call(word: str) -> Rule:
    """A function of the language with another name."""
    return lambda node, args: Apply(word, args)


def along(word: str, default: Callable[[Node, Any], int] | None = None) -> Rule:
    """A function with an axis, which is left out where it is the usual one."""

    def rule(node: Node, args: Args) -> Expr:
        axis = node.params[0]
        usual = default(node.args[0], None) if default else None
        options = () if axis == usual else (("axis", number(axis)),)
        return Apply(word, args, options)

    return rule


def nothing(node: Node, args: Args) -> Expr | None:
    """The language has no words for this."""
    return None


def root(node: Node, args: Args) -> Expr:
    """The root of a sum of squares is a norm."""
    (inner,) = args
    if isinstance(inner, Apply) and inner.op == "sum":
        (x,) = inner.args
        if isinstance(x, Apply) and x.op == "pow" and x.args[1] == number(2):
            return Apply("norm", (x.args[0],), inner.options)
    return Apply("sqrt", args)


def einsum(node: Node, args: Args) -> Expr:
    return Apply("einsum", (Text(node.params[0]), *args))


def fill(node: Node, args: Args) -> Expr:
    value, shape = node.params[0], node.shape
    if shape == SCALAR:
        return number(value)
    if not value:
        return sized("zeros", shape)
    ones = sized("ones", shape)
    if abs(value) == 1:
        return Apply("neg", (ones,)) if value < 0 else ones
    return Apply("mul", (number(value), ones))


def name(node: Node, args: Args) -> Expr:
    return Name(node.params[0])


def literal(node: Node, args: Args) -> Expr:
    rows = [tuple(map(number, row)) for row in node.params[0]]
    if node.shape[1] == ONE:
        return Array(tuple(row[0] for row in rows))
    return Array(tuple(Array(row) for row in rows))


def dim(node: Node, args: Args) -> Expr:
    return dimension(node.params[0])


def eye(node: Node, args: Args) -> Expr:
    return Apply("eye", (dimension(node.params[0]),))


def slice_(node: Node, args: Args) -> Expr:
    items: list[Expr | Slice] = []
    for (start, length), size in zip(node.params[0], node.args[0].shape, strict=True):
        if size == ONE:
            continue
        first = dimension(start + 1)
        if length == ONE:
            items.append(first)
        elif start == 0 and length == size:
            items.append(Slice(None, None))
        else:
            items.append(Slice(first, dimension(start + length)))
    return Subscript(args[0], tuple(items)) if items else args[0]


def embed(node: Node, args: Args) -> Expr | None:
    """Zeros around the part, where it is moved along one axis."""
    starts, shape = node.params
    inner = node.args[0].shape
    moved = [k for k, d in enumerate(shape) if inner[k] != d]
    if len(shape) != 2 or len(moved) != 1:
        return None
    axis = moved[0]
    parts: list[Expr] = [args[0]]
    before, after = starts[axis], shape[axis] - starts[axis] - inner[axis]
    for length, put in ((before, 0), (after, 2)):
        if length != 0:
            size = list(shape)
            size[axis] = length
            parts.insert(put, sized("zeros", tuple(size)))
    return _joined(tuple(parts), axis)


def pick(node: Node, args: Args) -> Expr:
    axis, shape = node.params
    whole = Slice(None, None)
    items = (whole, args[0]) if axis == 0 else (args[0], whole)
    return Subscript(Apply("eye", (dimension(shape[axis]),)), items)


def _joined(parts: Args, axis: int) -> Expr:
    return Apply("concat", parts, (("axis", number(axis)),) if axis else ())


def concat(node: Node, args: Args) -> Expr:
    return _joined(args, node.params[0])


def reshape(node: Node, args: Args) -> Expr | None:
    """Only axes of 1 coming and going can be written."""
    kept = [d for d in node.args[0].shape if d != ONE]
    if len(kept) == 1 and node.shape[0] == ONE:  # a column read as a row, or a row as itself
        return Apply("transpose", args) if node.args[0].shape[1] == ONE else args[0]
    return args[0] if kept == [d for d in node.shape if d != ONE] else None


def loop(node: Node, args: Args) -> Expr:
    return Name(node.params[0].name)


def _conditions(mask: Expr) -> Args:
    """A product of conditions as the conditions."""
    if isinstance(mask, Apply) and mask.op == "mul":
        return tuple(c for part in mask.args for c in _conditions(part))
    return (mask,)


def reduce(node: Node, args: Args) -> Expr:
    kind, variable = node.params
    own = Loop(variable.name, number(1), dimension(variable.size))
    body = args[0]
    conditions = tuple(c for mask in args[1:] for c in _conditions(mask))
    loops: tuple[Loop, ...] = (own,)
    if isinstance(body, Comprehension) and body.kind == kind and not conditions:
        loops, conditions, body = (own, *body.loops), body.conditions, body.body
    return Comprehension(kind, body, loops, conditions)


def spread(node: Node, args: Args) -> Expr:
    order = node.params[0]
    items: list[Expr | Slice] = [
        Slice(None, None) if isinstance(e, int) else Name(e.name) for e in order
    ]
    return Subscript(args[0], tuple(items))
