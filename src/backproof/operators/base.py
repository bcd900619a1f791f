"""What an operator is: one entry that says everything the interpreters need to know.

Interpreters (shapes, values, derivatives, index notation, matrix notation, source code) read the
entry and never know an operator by name. To add an operator is to add one entry to one family.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

from backproof.errors import ShapeProblem
from backproof.language.syntax import Expr
from backproof.operators.dims import ONE, SCALAR, Dim, Shape, show_shape
from backproof.operators.node import Graph, Loop, Node, merged_loops
from backproof.operators.slow import SlowRule

if TYPE_CHECKING:
    from backproof.operators.arithmetic import Arithmetic
    from backproof.operators.samples import Sampled, Samples

Array = Any  # a NumPy array of the arithmetic's own number type
Params = tuple[Any, ...]
Index = Any  # an index label of the algebra; None along an axis of 1
Term = Any  # an expression of the index algebra


class Notation(Protocol):
    """The index algebra, as an operator's `index` rule sees it (see calculus.index)."""

    def arg(self, node: Node, index: Sequence[Index]) -> Term: ...
    def const(self, value: Any) -> Term: ...
    def dim(self, dim: Dim) -> Term: ...
    def fresh(self, dim: Dim) -> Index: ...
    def literal(self, position: int) -> Index: ...
    def shift(self, index: Index, offset: Dim | int) -> Index: ...
    def sum(self, term: Term, indices: Sequence[Index]) -> Term: ...
    def delta(self, a: Index, b: Index) -> Term: ...
    def before(self, a: Index, b: Index) -> Term: ...
    def embed(self, outer: Index, inner: Index, offset: Dim | int) -> Term: ...
    def split(self, index: Index, major: Dim, minor: Dim) -> tuple[Term, Index, Index]: ...
    def func(self, name: str, term: Term) -> Term: ...
    def power(self, term: Term, exponent: Term) -> Term: ...
    def indicator(self, term: Term) -> Term: ...
    def equal(self, term: Term) -> Term: ...
    def inverse(self, node: Node, i: Index, j: Index) -> Term: ...
    def det(self, node: Node) -> Term: ...
    def reduction(self, kind: str, term: Term, indices: Sequence[Index]) -> Term: ...
    def loop(self, loop: Loop) -> Index: ...
    def bind(self, loop: Loop, index: Index, node: Node, core: Sequence[Index]) -> Term: ...
    def position(self, node: Node) -> Index | None: ...
    def given_index(self, name: str) -> Index | None: ...
    def counted(self, index: Index) -> Term: ...
    def opaque(self, node: Node, index: Sequence[Index]) -> Term: ...


class Sizes(Protocol):
    """Upper bounds of norms, as an operator's `size` rule sees them (see calculus.norms)."""

    def size(self, node: Node) -> list[Node]: ...
    def times(self, *parts: Sequence[Node]) -> list[Node]: ...
    def highest(self, node: Node) -> Fraction | None: ...
    def meaning(self, node: Node) -> Node: ...


class Places(Protocol):
    """Entries written with indices, as an operator's `entry` rule sees them (calculus.entrywise).

    `whole` writes a node without indices and `added` a sum over one more index; both give up
    where there are no words.
    """

    def entry(self, node: Node, i: Expr, j: Expr) -> Expr: ...
    def whole(self, node: Node) -> Expr: ...
    def added(self, size: Dim, term: Callable[[Expr], Expr]) -> Expr: ...
    def meaning(self, node: Node) -> Node: ...


class Boxes(Protocol):
    """A run over intervals, as an operator's `interval` rule sees it (see papers.intervals).

    xp        the arithmetic that ends are computed in
    sampled   to be set where an enclosure was sampled, not proved
    """

    xp: Any
    sampled: bool


ShapeRule = Callable[[Graph, tuple[Node, ...], Params], tuple[Shape, Params]]
NumericRule = Callable[["Arithmetic", Node, list[Array]], Array]
# (the node, the gradient at its output, the node to write its output as) -> one per argument
PullbackRule = Callable[[Node, Node, Node], Sequence[Node | None]]
SimplifyRule = Callable[[Graph, tuple[Node, ...], Params, Shape], Node | None]
IndexRule = Callable[[Notation, Node, Sequence[Index]], Term]
WritingRule = Callable[[Node, tuple[Expr, ...]], Expr | None]
# (how samples are laid out, the node for one sample, its arguments for all samples) -> the result
BatchRule = Callable[["Samples", Node, tuple["Sampled", ...]], "Sampled"]
Ends = tuple[Array, Array]  # the low and the high end of every entry
IntervalRule = Callable[[Boxes, Node, list[Ends]], Ends]
SizeRule = Callable[[Sizes, Node], list[Node]]
EntryRule = Callable[[Places, Node, Expr, Expr], Expr | None]


def _loops_of_args(nodes: tuple[Node, ...], params: Params) -> tuple[Loop, ...]:
    return merged_loops(nodes)


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator.

    name          its name in the graph
    shape         shape rule: (graph, arguments, parameters) -> (shape, parameters made canonical)
    numeric       values: arrays have loop axes first, then the core axes
    pullback      reverse-mode local derivative: the gradient at each argument, as nodes;
                  None where the operator does not pass a gradient on
    index         the definition in index notation
    simplify      a simpler node for the same thing, or None
    elementwise   arguments are broadcast entry by entry
    domain        where a single argument must lie: real | positive | nonzero | unit | binary
    kinks         the arguments whose zeros are points without a derivative
    jumps         the arguments at whose zeros the value jumps (orders of two numbers)
    signature     how the derivative test draws arguments: shapes such as ("n", "mn", "nn")
    promises      what is known of every entry of the result: "positive", "binary", or
                  "rows sum to one" along its axis
    position      the index that a number stands for, where the operator counts positions
    signs         the result is the sum of the arguments, entry by entry, with these signs
    powers        the result is the product of the arguments, entry by entry, to these powers
    along         the operator works along the axis `params[0]` (None: over all entries)
    undoes        the operator that this one takes back: log(exp(x)) is x
    root          the result to this power is the argument again (0: it is no root)
    additive      the result is a sum of entries of the arguments, up to signs
    holds         the operator keeps its argument fixed under derivatives
    batch         what it is for many samples side by side (see `samples`); None: no matrix form
    says          the rule's name as a reader should see it ("derivative of sigmoid: a (1 - a)")
    slow          how steep an elementwise function gets, and where it is flat
    steepest      a number that the norm of its Jacobian never passes, with its text
    moves         entries are only moved, repeated nowhere and perhaps dropped: no norm grows
    interval      the interval of the result, from those of the arguments; the table fills it in
    size          upper bounds of the norm of the result, by a textbook inequality
    entry         one entry of the result written with its indices; None where it has no words;
                  left out where that is the function of the entries, or the result indexed
    needs         (which argument, what it has to be), for a value that does not exist
    rectifies     the result is the positive part of the argument: a kink of it is one of its own
    chooses       the first argument says, entry by entry, which of the two others the result is
    abrupt        a slightly different argument may give quite another value
    spans         the bounds between which every entry lies and towards which units saturate
    written       how it is written in the sheet language, given its arguments as written; left
                  out where it is a function or a sign of the same name; its result is None where
                  the language has no words for it
    """

    name: str
    shape: ShapeRule
    numeric: NumericRule
    index: IndexRule
    pullback: PullbackRule | None = None
    simplify: SimplifyRule | None = None
    loops: Callable[[tuple[Node, ...], Params], tuple[Loop, ...]] = _loops_of_args
    elementwise: bool = False
    domain: str = "real"
    kinks: Callable[[Node], Sequence[Node]] | None = None
    jumps: Callable[[Node], Sequence[Node]] | None = None
    promises: str = ""
    position: Callable[[Notation, Node], Index | None] | None = None
    signs: tuple[int, ...] = ()
    powers: tuple[int, ...] = ()
    along: bool = False
    undoes: str = ""
    root: int = 0
    additive: bool = False
    holds: bool = False
    batch: BatchRule | None = None
    interval: IntervalRule | None = None
    says: str = ""
    slow: SlowRule | None = None
    steepest: tuple[float, str] | None = None
    moves: bool = False
    size: SizeRule | None = None
    entry: EntryRule | None = None
    needs: tuple[int, str] | None = None
    rectifies: bool = False
    chooses: bool = False
    abrupt: bool = False
    spans: tuple[float, float] | None = None
    written: WritingRule | None = None


def broadcast(graph: Graph, nodes: Sequence[Node], what: str) -> Shape:
    """The shape of an elementwise operator's result.

    An axis of 1 is stretched only where the result has the shape of one of the operands, so a
    column of n plus a row of n is an error, never an n × n matrix.
    """
    shapes = [graph.resolve_shape(n.shape) for n in nodes]
    if all(shape == shapes[0] for shape in shapes):
        return shapes[0]
    result = max(shapes, key=lambda s: (len(s), sum(d != ONE for d in s)))
    for shape in shapes:
        if shape in (result, SCALAR):
            continue
        fits = len(shape) == len(result) and all(
            a == ONE or (b != ONE and graph.same(a, b))  # a size is never found to be 1 here
            for a, b in zip(shape, result, strict=True)
        )
        if not fits:
            raise misfit(what, shapes)
    return graph.resolve_shape(result)


def misfit(what: str, shapes: Sequence[Shape], why: str = "") -> ShapeProblem:
    """The error for operands whose shapes do not fit together."""
    shown = " and ".join(show_shape(s) for s in shapes)
    hint = why
    if not hint and len(shapes) == 2 and shapes[0] == tuple(reversed(shapes[1])):
        hint = "one side is the transpose of the other's shape; write .T on one of them"
    return ShapeProblem(f"{what} cannot combine shapes {shown}.", hint=hint)
