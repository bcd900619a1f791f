"""The syntax tree of a sheet: frozen data with source spans, and nothing else.

Every node remembers its span (character offsets into the source), so that every later error
can point at it. Nothing here knows shapes, values or arrays. Operators, functions and
comparisons are all `Apply`: the parser turns `a + b` into Apply("add", (a, b)).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

from backproof.errors import Span

NOWHERE = Span(0, 0)


@dataclass(frozen=True, slots=True)
class Number:
    """A literal number, exact. `text` is as written (`1.070` and `1.07` claim different things)."""

    value: Fraction
    text: str
    span: Span = field(default=NOWHERE, compare=False)

    @property
    def decimals(self) -> int | None:
        """How many decimals it is written with; None for an integer. `1.2e-3` has 4."""
        mantissa, _, exponent = self.text.lower().partition("e")
        _, dot, digits = mantissa.partition(".")
        if not dot and not exponent:
            return None
        return max(0, len(digits) - int(exponent or 0))


@dataclass(frozen=True, slots=True)
class Name:
    id: str
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Text:
    """A quoted string; only `einsum` and `file` take one."""

    value: str
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Apply:
    """An operator or function applied to arguments.

    Infix and postfix spellings have fixed op names: add sub mul div pow matmul neg transpose
    gt ge lt le eq ne. `options` are keyword arguments in the order written (`axis=1`).
    `op_span` is the span of the operator sign or of the function's name.
    """

    op: str
    args: tuple[Expr, ...]
    options: tuple[tuple[str, Expr], ...] = ()
    span: Span = field(default=NOWHERE, compare=False)
    op_span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Slice:
    """`lower:upper` inside an index, counted from one, end included; None where left out."""

    lower: Expr | None
    upper: Expr | None
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Subscript:
    """`base[items]`, entries counted from one."""

    base: Expr
    items: tuple[Expr | Slice, ...]
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Array:
    """`[a, b]` (a column) or `[[a, b], [c, d]]` (rows of a matrix); entries may be expressions."""

    items: tuple[Expr, ...]
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class TupleExpr:
    """`(a, b)`: a shape. Also `()` and `(n,)`."""

    items: tuple[Expr, ...]
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Loop:
    """`for name in lower..upper`, both ends included."""

    name: str
    lower: Expr
    upper: Expr
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Comprehension:
    """`sum(body for i in 1..N for j in 1..i if i != j)`; kind is sum, mean, prod, max or min."""

    kind: str
    body: Expr
    loops: tuple[Loop, ...]
    conditions: tuple[Expr, ...] = ()
    span: Span = field(default=NOWHERE, compare=False)


Expr = Number | Name | Text | Apply | Subscript | Array | TupleExpr | Comprehension


@dataclass(frozen=True, slots=True)
class SetExpr:
    """A set after `in`.

    kind      real | pos | interval | labels | onehot | prob | sym | posdef | diagonal |
              orthogonal | range
    dims      the expressions in brackets; () for a number
    bounds    interval: the two ends; range (`1..K`): the two ends; labels: the values
    """

    kind: str
    dims: tuple[Expr, ...] = ()
    bounds: tuple[Expr, ...] = ()
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Declaration:
    """One declared name of a `given` or `learn` statement (a statement may declare several).

    At least one of `set` and `value` is there; `file` is the path in `file("…")`.
    """

    role: str  # "given" | "learn"
    name: str
    set: SetExpr | None
    value: Expr | None
    file: str | None
    span: Span = field(default=NOWHERE, compare=False)
    name_span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Let:
    """`let h = 3`: a dimension with a number."""

    name: str
    value: Expr
    span: Span = field(default=NOWHERE, compare=False)
    name_span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Assume:
    condition: Expr
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Equation:
    """`name = expr`: a forward equation, or the value of a declared name."""

    name: str
    expr: Expr
    span: Span = field(default=NOWHERE, compare=False)
    name_span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Ask:
    """`ask WHAT …`.

    what      shapes | forward | value | tree | gradient | step | batch | slow | weights
    targets   expressions asked about (`shapes X, P - Y`; `value L`; `tree L`; `gradient L`;
              `batch b`; `slow W1`; `step W, b`)
    wrt       names after `wrt`
    options   words with a value, such as ("rate", Number(0.01)); ("rows", None) for bare words
    blanks    names after `blank`
    text      the ask as written, without the word `ask` and without its form and marks
    form      how a paper puts the question: "open" (the default) | "match" | "choice" | "essay"
    marks     what the answer is worth on a paper, or None
    """

    what: str
    targets: tuple[Expr, ...] = ()
    wrt: tuple[Expr, ...] = ()
    options: tuple[tuple[str, Expr | None], ...] = ()
    blanks: tuple[Expr, ...] = ()
    text: str = ""
    span: Span = field(default=NOWHERE, compare=False)
    form: str = "open"
    marks: Number | None = None


@dataclass(frozen=True, slots=True)
class Vary:
    """`vary W in {-0.5..0.5 step 0.1}`: what a variant of a paper may put in place of a value.

    choices   the values in braces; () where a range is written
    range     (lowest, highest, step), all exact; None where choices are listed
    """

    name: str
    choices: tuple[Fraction, ...] = ()
    range: tuple[Fraction, Fraction, Fraction] | None = None
    span: Span = field(default=NOWHERE, compare=False)
    name_span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Claim:
    """`claim A == B == C … for i in 1..N`.

    sides/relations   a chain: sides[k] relations[k] sides[k+1]; relations are eq ne lt le gt ge
    member            for `claim X in SET`: sides has one entry, relations none
    tolerance         the expression after ± (belongs to the last side), or None
    text              the claim as written, without the word `claim` and without a comment
    """

    sides: tuple[Expr, ...]
    relations: tuple[str, ...] = ()
    member: SetExpr | None = None
    tolerance: Expr | None = None
    loops: tuple[Loop, ...] = ()
    conditions: tuple[Expr, ...] = ()
    text: str = ""
    span: Span = field(default=NOWHERE, compare=False)
    text_span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Round:
    decimals: int
    each: bool
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Layout:
    denominator: bool
    span: Span = field(default=NOWHERE, compare=False)


Statement = Declaration | Let | Assume | Equation | Ask | Claim | Round | Layout | Vary


def children(expr: Expr | Slice) -> Iterator[Expr]:
    """The direct sub-expressions of a node, in the order written."""
    match expr:
        case Apply(args=args, options=options):
            yield from args
            yield from (value for _, value in options)
        case Subscript(base=base, items=items):
            yield base
            for item in items:
                if isinstance(item, Slice):
                    yield from children(item)
                else:
                    yield item
        case Slice(lower=lower, upper=upper):
            if lower is not None:
                yield lower
            if upper is not None:
                yield upper
        case Array(items=items) | TupleExpr(items=items):
            yield from items
        case Comprehension(body=body, loops=loops, conditions=conditions):
            yield body
            for loop in loops:
                yield loop.lower
                yield loop.upper
            yield from conditions
        case _:
            return


def walk(expr: Expr) -> Iterator[Expr]:
    """The node and everything below it, parents first."""
    stack: list[Expr] = [expr]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(tuple(children(node))))


def rewritten(expr: Expr, change: Callable[[Expr], Expr | None]) -> Expr:
    """The expression with every part for which *change* gives something replaced, from the top."""
    found = change(expr)
    if found is not None:
        return found

    def go(e: Expr) -> Expr:
        return rewritten(e, change)

    def item(part: Expr | Slice) -> Expr | Slice:
        if not isinstance(part, Slice):
            return go(part)
        lower = go(part.lower) if part.lower is not None else None
        upper = go(part.upper) if part.upper is not None else None
        return replace(part, lower=lower, upper=upper)

    match expr:
        case Apply(args=args, options=options):
            options = tuple((key, go(value)) for key, value in options)
            return replace(expr, args=tuple(map(go, args)), options=options)
        case Subscript(base=base, items=items):
            return replace(expr, base=go(base), items=tuple(map(item, items)))
        case Array(items=parts) | TupleExpr(items=parts):
            return replace(expr, items=tuple(map(go, parts)))
        case Comprehension(body=body, loops=loops, conditions=conditions):
            own = tuple(replace(v, lower=go(v.lower), upper=go(v.upper)) for v in loops)
            return replace(expr, body=go(body), loops=own, conditions=tuple(map(go, conditions)))
        case _:
            return expr
