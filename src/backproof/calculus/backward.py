"""The backward sweep from a number to one name, kept readable: one line for every name on the way.

At each name the gradient is simplified before it is passed on, so that a sigmoid meets its
cross-entropy where they touch. What grows too long, or is used on several ways, keeps its name
(`grad(L, z2)`) in the lines below it, so the cost grows linearly with the equations.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from backproof.calculus.derive import pull_back
from backproof.calculus.model import Model
from backproof.calculus.simplify import Simplifier
from backproof.language import syntax as ast
from backproof.operators.dims import ONE
from backproof.operators.node import Node, postorder, quantities, replaced

LONGEST = 44  # a gradient of more parts than this keeps its name in what follows
SHARED = 14  # the same where it is passed on along several ways


@dataclass(frozen=True, slots=True)
class Share:
    """What one equation passes on to one of the names that it uses.

    of, by   the name whose equation it is, and the name that it uses
    raw      with the gradient at *of* as it came
    inlined  the same, simplified
    line     over the gradient at *of* as a name
    form     the same before the two were put together, over the gradient at *of* as a name
    slope    the entrywise derivative, where the equation is elementwise in *by*; else None
    merged   what the equation does and the gradient at *of* cancelled against each other
    """

    of: str
    by: str
    raw: Node
    inlined: Node
    line: Node
    form: Node
    slope: Node | None = None
    merged: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """The gradient at one name: its shares, their sum, and the readable forms of it.

    value   in terms of the names (and of gradients that keep their name)
    line    in terms of the gradients right above it
    """

    name: str
    shares: tuple[Share, ...]
    value: Node
    line: Node
    named: bool = False


@dataclass(eq=False)
class Backward:
    """The sweep from *root*, written as *title*, to the name *wrt*.

    root        the number, as a node; its own name where it has one
    expression  how the number is written, for `grad(…, z)`
    """

    model: Model
    root: Node
    expression: ast.Expr
    wrt: str
    simplify: Simplifier = field(init=False)
    gradients: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.simplify = Simplifier(self.model)
        self.graph = self.model.graph
        self.start = self.root.name if self.root.name in self.model.definitions else None

    # --- the tree ----------------------------------------------------------------------------

    def uses(self, name: str | None) -> list[str]:
        """The names of the equation of *name* (None: of the number asked about), as written."""
        node = self.root if name is None else self.model.definitions.get(name)
        if node is None or name == self.wrt:
            return []
        return list(dict.fromkeys(n.params[0] for n in postorder([node]) if n.name is not None))

    @cached_property
    def on_way(self) -> frozenset[str]:
        """The names on some way from the number to *wrt*, both ends included."""
        below = self._below()
        users: dict[str, list[str]] = {}
        for name in below:
            for child in self.uses(name):
                users.setdefault(child, []).append(name)
        found, stack = {self.wrt}, [self.wrt]
        while stack:
            for user in users.get(stack.pop(), ()):
                if user not in found:
                    found.add(user)
                    stack.append(user)
        return frozenset(found & set(below) | {self.wrt})

    def _below(self) -> list[str]:
        seen: dict[str, None] = {}
        stack = list(quantities([self.root]))
        while stack:
            name = stack.pop()
            if name not in seen:
                seen[name] = None
                stack.extend(self.uses(name))
        return list(seen)

    def ways(self, name: str | None) -> list[str]:
        """The names that the way from *name* to *wrt* may go on with."""
        return [n for n in self.uses(name) if n in self.on_way]

    def count_paths(self) -> int:
        """How many paths lead from the number to *wrt*."""
        counts: dict[str, int] = {self.wrt: 1}
        for name in self.order(upwards=True):
            counts[name] = sum(counts.get(n, 0) for n in self.ways(name))
        return counts[self.start] if self.start else sum(counts.get(n, 0) for n in self.ways(None))

    def paths(self, most: int) -> list[list[str]]:
        """The first few paths, each a list of names from the number's own (if any) to *wrt*."""
        found: list[list[str]] = []
        stack: list[list[str]] = [[self.start]] if self.start else [
            [n] for n in reversed(self.ways(None))
        ]  # fmt: skip
        while stack and len(found) < most:
            path = stack.pop()
            while path[-1] != self.wrt:
                first, *others = self.ways(path[-1])
                stack.extend([*path, n] for n in reversed(others))
                path = [*path, first]
            found.append(path)
        return found

    def order(self, *, upwards: bool = False) -> list[str]:
        """The names on the way that have equations, *wrt* left out, from the number down."""
        names = [n for n in self.model.definitions if n in self.on_way and n != self.wrt]
        return names if upwards else names[::-1]

    # --- the sweep ---------------------------------------------------------------------------

    @cached_property
    def lines(self) -> dict[str, Line]:
        """The gradient at every name on the way, from the number down to *wrt*."""
        result: dict[str, Line] = {}
        pending: dict[str, list[Share]] = {}
        if self.start is None:
            self._pass_on(self.root, None, None, pending)
        for name in [*self.order(), self.wrt]:
            if name == self.start:
                one = self.graph.number(1)
                result[name] = Line(name, (), one, one)
            elif name in pending:
                result[name] = self._line(name, pending[name])
            if name != self.wrt and name in result:
                self._pass_on(self.model.definitions[name], name, result[name], pending)
        return result

    @property
    def value(self) -> Node:
        """The readable gradient by *wrt*."""
        return self.lines[self.wrt].value

    def kept(self) -> list[Line]:
        """The lines whose gradient keeps its name below, and so must be given first."""
        wanted, found = list(quantities([self.value])), dict[str, Line]()
        by_leaf = {leaf: name for name, leaf in self.gradients.items()}
        while wanted:
            name = by_leaf.get(wanted.pop())
            if name is not None and name not in found:
                found[name] = self.lines[name]
                wanted.extend(quantities([self.lines[name].value]))
        return [line for name, line in self.lines.items() if name in found]

    def spellings(self) -> dict[str, ast.Expr]:
        """How the gradients that are names are written: `grad(L, z2)`."""
        return {
            leaf: ast.Apply("grad", (self.expression, ast.Name(name)))
            for name, leaf in self.gradients.items()
        }

    def leaf(self, name: str) -> Node:
        """The gradient at *name* as a name of its own."""
        known = self.gradients.setdefault(name, f"∂/∂{name}")
        shape = self.graph.resolve_shape(self.model.leaves[name].shape)
        return self.graph.quantity(known, shape)

    def _pass_on(
        self, node: Node, name: str | None, line: Line | None, pending: dict[str, list[Share]]
    ) -> None:
        one = self.graph.number(1)
        output = node if name is None else self.model.leaves[name]
        seed = one if line is None else self.leaf(line.name) if line.named else line.value
        by_name = seed if line is None or not line.shares else self.leaf(line.name)
        raw = pull_back(node, seed, output)
        named = pull_back(node, by_name, output)
        for child in self.ways(name):
            if child not in raw:
                continue
            share = self._share(name or "", child, node, output, seed, by_name, raw, named)
            pending.setdefault(child, []).append(share)

    def _share(
        self,
        name: str,
        child: str,
        node: Node,
        output: Node,
        seed: Node,
        by_name: Node,
        raw: dict[str, Node],
        named: dict[str, Node],
    ) -> Share:
        s = self.simplify
        whole, form = s(raw[child]), s(named[child])
        line = form
        slope = self.slope(node, child, output)
        if slope is not None:
            merged = s.cost(whole) < s.cost(slope) + s.cost(seed) - 2
            if not merged:
                whole = self._times(slope, seed)
            line = whole if merged or by_name is seed else self._times(slope, by_name)
        else:
            merged = by_name is not seed and s.cost(whole) <= s.cost(form) - 2
        merged = merged and by_name is not seed
        return Share(name, child, raw[child], whole, line, form, slope, merged)

    def _times(self, slope: Node, g: Node) -> Node:
        """slope * g; for columns `diag(slope) @ g`, so that the chain stays a product."""
        if slope.fill is not None or g.is_number or slope.is_number:
            return self.simplify(slope * g)
        if g.shape[1] == ONE and len(g.shape) == 2:
            number, rest = self.simplify.split(slope)
            if rest is None:
                return self.simplify(slope * g)
            product = self.graph.make("diag_of", rest) @ g
            return self.simplify(product if number is None else number * product)
        return self.simplify(g * slope)

    def slope(self, node: Node, by: str, output: Node) -> Node | None:
        """d(entry)/d(entry), where *node* is elementwise in the name *by* and of its shape."""
        leaf = self.model.leaves[by]
        shape = self.graph.resolve_shape(leaf.shape)
        if shape != self.graph.resolve_shape(node.shape) or node.loops:
            return None
        active: set[int] = set()
        for n in postorder([node]):
            if n.name == by:
                active.add(n.id)
            elif any(a.id in active for a in n.args):
                if not n.op.elementwise or self.graph.resolve_shape(n.shape) != shape:
                    return None
                active.add(n.id)
        found = pull_back(node, self.graph.filled(1, shape), output).get(by)
        return None if found is None else self.simplify(found)

    def before(self, share: Share) -> Node:
        """What a share is before anything cancels, the gradient above put in term by term."""
        above = self.lines[share.of]
        seed = above.value
        first = above.shares[0].of if len(above.shares) == 1 else None
        if first is not None and (not first or self.lines[first].value.fill is not None):
            seed = self.simplify.tidy(above.shares[0].raw)
        if share.slope is not None:
            return seed * share.slope
        return replaced(share.form, {self.leaf(share.of).id: seed})

    def _line(self, name: str, shares: Iterable[Share]) -> Line:
        s = self.simplify
        parts = tuple(shares)
        value, line, before = (
            self._full(_total(nodes), name)
            for nodes in (
                [p.inlined for p in parts], [p.line for p in parts], [p.raw for p in parts]
            )
        )  # fmt: skip
        if len(parts) > 1:
            short = s(value)
            if 2 * s.cost(short) <= s.cost(value):
                value = line = short
        s.check(before, value)
        if line is not value:
            s.check(before, line)
        if s.cost(value) <= s.cost(line):
            line = value
        ways = len(self.ways(name))
        named = s.cost(value) > (LONGEST if ways <= 1 else SHARED)
        if name != self.wrt:
            s.extra[self.leaf(name).params[0]] = value
        return Line(name, parts, value, line, named)

    def _full(self, node: Node, name: str) -> Node:
        shape = self.graph.resolve_shape(self.model.leaves[name].shape)
        return node if node.shape == shape else node * self.graph.filled(1, shape)


def _total(nodes: list[Node]) -> Node:
    """The sum, positive terms first, in the order in which the equations stand."""
    nodes = nodes[::-1]
    nodes.sort(key=lambda n: n.op.signs == (-1,))
    result = nodes[0]
    for n in nodes[1:]:
        result = result + n
    return result
