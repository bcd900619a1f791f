"""The typed expression graph: interned nodes over the closed set of operators.

A `Node` is an operator applied to nodes, with its shape. Equal nodes of one `Graph` are the same
object, so shared parts are stored and worked on once, and `is` compares expressions.

Besides its core shape (two axes or more; a number is 1 × 1 and a column n × 1) a node may carry
*loop axes*: it then stands for one value for every setting of these loop variables. Sums with an
index and Jacobians are written with them; every operator works on the core and is repeated over
the loops, the way NumPy repeats over leading axes.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from backproof.operators.dims import SCALAR, Dim, Shape

if TYPE_CHECKING:
    from backproof.operators.base import Operator


@dataclass(frozen=True, slots=True, order=True)
class Loop:
    """A loop variable: counts from 1 to `size`. `id` makes it unique in its graph."""

    id: int
    name: str
    size: Dim


class Node:
    """One operator applied to nodes. Make them through `Graph.make` or Python's operators.

    fill        the one value that every entry has, for a constant array; else None
    name        the quantity's name, for a leaf that is one; else None
    is_number   whether its core has one entry
    """

    __slots__ = (
        "args", "fill", "graph", "id", "is_number", "loops", "name", "op", "params", "shape",
    )  # fmt: skip

    def __init__(
        self,
        graph: Graph,
        id: int,
        op: Operator,
        args: tuple[Node, ...],
        params: tuple[Any, ...],
        shape: Shape,
        loops: tuple[Loop, ...],
    ) -> None:
        self.graph = graph
        self.id = id
        self.op = op
        self.args = args
        self.params = params
        self.shape = shape
        self.loops = loops
        self.fill: Fraction | None = params[0] if op.name == "fill" else None
        self.name: str | None = params[0] if op.name == "name" else None
        self.is_number = shape == SCALAR

    def _make(self, op: str, *args: Node | Fraction | int, params: tuple[Any, ...] = ()) -> Node:
        return self.graph.make(op, *args, params=params)

    def __add__(self, other: Node | Fraction | int) -> Node:
        return self._make("add", self, other)

    def __radd__(self, other: Fraction | int) -> Node:
        return self._make("add", other, self)

    def __sub__(self, other: Node | Fraction | int) -> Node:
        return self._make("sub", self, other)

    def __rsub__(self, other: Fraction | int) -> Node:
        return self._make("sub", other, self)

    def __mul__(self, other: Node | Fraction | int) -> Node:
        return self._make("mul", self, other)

    def __rmul__(self, other: Fraction | int) -> Node:
        return self._make("mul", other, self)

    def __truediv__(self, other: Node | Fraction | int) -> Node:
        return self._make("div", self, other)

    def __rtruediv__(self, other: Fraction | int) -> Node:
        return self._make("div", other, self)

    def __pow__(self, other: Node | Fraction | int) -> Node:
        return self._make("pow", self, other)

    def __matmul__(self, other: Node) -> Node:
        return self._make("matmul", self, other)

    def __neg__(self) -> Node:
        return self._make("neg", self)

    def over(self, args: Sequence[Node]) -> Node:
        """The same operator over other arguments; the node itself where they are its own."""
        if all(a is b for a, b in zip(args, self.args, strict=True)):
            return self
        return self._make(self.op.name, *args, params=self.params)

    @property
    def T(self) -> Node:
        return self._make("transpose", self)

    # How the algebra of whole arrays is recognised: each is empty, or None, for any other node.

    @property
    def terms(self) -> tuple[tuple[Node, int], ...]:
        """What a sum adds up entry by entry, each with its sign."""
        return tuple(zip(self.args, self.op.signs, strict=False)) if self.op.signs else ()

    @property
    def powers(self) -> tuple[tuple[Node, int], ...]:
        """What a product multiplies entry by entry, each with its power."""
        return tuple(zip(self.args, self.op.powers, strict=False)) if self.op.powers else ()

    @property
    def exponent(self) -> Fraction | None:
        """The constant to whose power the first argument is raised."""
        return self.args[1].fill if self.op.name == "pow" else None

    @property
    def choice(self) -> tuple[Node, ...]:
        """The condition, and what is chosen where it holds and where it does not."""
        return self.args if self.op.chooses else ()

    @property
    def matrices(self) -> tuple[Node, ...]:
        """The two sides of a matrix product."""
        return self.args if self.op.name == "matmul" else ()

    @property
    def transposed(self) -> Node | None:
        """What a transpose turns."""
        return self.args[0] if self.op.name == "transpose" else None

    @property
    def diagonal(self) -> Node | None:
        """The column on the diagonal of a diagonal matrix."""
        return self.args[0] if self.op.name == "diag_of" else None

    @property
    def summed(self) -> Node | None:
        """What a sum of entries runs over, along the axis `params[0]` (None: over all)."""
        return self.args[0] if self.op.name == "sum" else None

    @property
    def collected(self) -> Node | None:
        """What is collected from loop variables into axes, in the order `params[0]`."""
        return self.args[0] if self.op.name == "collect" else None

    @property
    def spread(self) -> Node | None:
        """What has axes read as loop variables, in the order `params[0]`."""
        return self.args[0] if self.op.name == "spread" else None

    @property
    def is_identity(self) -> bool:
        return self.op.name == "eye"

    @property
    def is_literal(self) -> bool:
        """Whether the node is a constant that is written out: a number or a matrix of numbers."""
        return self.op.name in ("fill", "literal")

    @property
    def dimension(self) -> Dim | None:
        """The dimension that a number stands for."""
        return self.params[0] if self.op.name == "dim" else None

    @property
    def loop(self) -> Loop | None:
        """The loop variable that a number is."""
        return self.params[0] if self.op.name == "loop" else None

    def __repr__(self) -> str:
        if self.name is not None:
            return self.name
        if self.fill is not None:
            return str(self.fill) if self.is_number else f"fill({self.fill}, {self.shape})"
        inner = ", ".join([*map(repr, self.args), *map(str, self.params)])
        return f"{self.op.name}({inner})"


class Graph:
    """Makes and interns nodes; holds the sizes that dimension names have been solved for."""

    def __init__(self, table: dict[str, Operator]) -> None:
        self.table = table
        self.sizes: dict[str, Dim] = {}
        self.may_bind = True
        self._interned: dict[tuple[Any, ...], Node] = {}
        self._named: dict[int, frozenset[str]] = {}
        self._loops = 0

    def loop(self, name: str, size: Dim) -> Loop:
        """A new loop variable."""
        self._loops += 1
        return Loop(self._loops, name, self.resolve(size))

    def resolve(self, dim: Dim) -> Dim:
        """The dimension with solved names replaced."""
        return dim.substitute(self.sizes) if self.sizes else dim

    def resolve_shape(self, shape: Iterable[Dim]) -> Shape:
        return tuple([self.resolve(d) for d in shape] if self.sizes else shape)

    def same(self, a: Dim, b: Dim) -> bool:
        """Whether two dimensions are one; solves an unsolved name where that is allowed."""
        a, b = self.resolve(a), self.resolve(b)
        if a == b:
            return True
        if not self.may_bind:
            return False
        solved = a.solve_for(b) or b.solve_for(a)
        if solved is None:
            return False
        self.sizes[solved[0]] = solved[1]
        return True

    def names(self, node: Node) -> frozenset[str]:
        """The names that a node depends on directly."""
        if node.id not in self._named:
            below = postorder([node])
            self._named[node.id] = frozenset(n.name for n in below if n.name is not None)
        return self._named[node.id]

    def number(self, value: Fraction | int) -> Node:
        return self.filled(Fraction(value), SCALAR)

    def filled(self, value: Fraction | int, shape: Shape) -> Node:
        """The array of this shape whose entries are all *value*."""
        return self.make("fill", params=(Fraction(value), shape))

    def quantity(self, name: str, shape: Shape) -> Node:
        """The leaf for a named quantity."""
        return self.make("name", params=(name, shape))

    def lift(self, value: Node | Fraction | int) -> Node:
        return value if isinstance(value, Node) else self.number(value)

    def make(self, op: str, *args: Node | Fraction | int, params: tuple[Any, ...] = ()) -> Node:
        """The node for *op*; ShapeProblem when the shapes do not fit (without a place)."""
        entry = self.table[op]
        nodes = tuple([self.lift(a) for a in args])
        key = (op, *[n.id for n in nodes], params)
        found = self._interned.get(key)
        if found is not None:
            return found
        shape, params = entry.shape(self, nodes, params)
        simpler = entry.simplify(self, nodes, params, shape) if entry.simplify else None
        if simpler is None:
            loops = entry.loops(nodes, params)
            simpler = Node(self, len(self._interned) + 1, entry, nodes, params, shape, loops)
        self._interned[key] = simpler
        return simpler


def merged_loops(nodes: Sequence[Node]) -> tuple[Loop, ...]:
    """The loop axes that any of the nodes has, in one order."""
    if len(nodes) == 1:
        return nodes[0].loops
    first = nodes[0].loops if nodes else ()
    if all(n.loops == first for n in nodes):
        return first
    return tuple(sorted({loop for n in nodes for loop in n.loops}, key=lambda v: v.id))


def postorder(roots: Iterable[Node], known: Container[int] = ()) -> list[Node]:
    """Every node below the roots once, arguments before what uses them (no recursion).

    known   ids of nodes that are left out, with what only they need
    """
    done: set[int] = set()
    order: list[Node] = []
    stack = list(roots)
    stack.reverse()
    while stack:
        node = stack[-1]
        if node.id in done or node.id in known:
            stack.pop()
            continue
        todo = [a for a in node.args if a.id not in done and a.id not in known]
        if todo:
            todo.reverse()
            stack += todo
            continue
        stack.pop()
        done.add(node.id)
        order.append(node)
    return order


def replaced(root: Node, by: Mapping[int, Node]) -> Node:
    """The node with other nodes, given by the ids of those they stand for, put in."""
    done = dict(by)
    for node in postorder([root]):
        if node.id not in done:
            done[node.id] = node.over([done[a.id] for a in node.args])
    return done[root.id]


def quantities(roots: Iterable[Node]) -> set[str]:
    """The names that the nodes depend on directly."""
    return {name for root in roots for name in root.graph.names(root)}
