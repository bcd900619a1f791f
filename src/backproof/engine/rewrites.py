"""Rewriting by rule: the same mathematics in a form that neither overflows nor cancels.

A rule is a pair of patterns written as Python expressions over operators of the graph: small
letters and capitals stand for any expression, `axis=k` for any axis. `STABLE` is applied to the
equations before anything is derived, so that derivatives of stable forms are derived; `SHORT`
tidies what was derived; `EVALUATED` is applied last, to what will be computed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from backproof.calculus.model import Fact
from backproof.errors import ShapeProblem
from backproof.operators.dims import ONE
from backproof.operators.functions import dim_node
from backproof.operators.node import Graph, Loop, Node, postorder

Bound = dict[str, Any]  # the node of each letter, the value of each parameter
Condition = Callable[["Rewriter", Bound], bool]
Builder = Callable[["Rewriter", Node], Node | None]
MOST_ROUNDS = 12


@dataclass(frozen=True)
class Rule:
    """`before` is replaced by `after` where `when` holds; `through`: also behind names."""

    before: str
    after: str
    when: Condition | None = None
    through: bool = False


@dataclass(frozen=True, slots=True)
class Pattern:
    """An operator over patterns; `op` None is a letter, or a constant where `value` is one."""

    op: str | None
    args: tuple[Pattern, ...] = ()
    letter: str = ""
    value: Fraction | None = None
    axis: str = ""


_BINARY: dict[type, str] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow",
    ast.MatMult: "matmul",
}  # fmt: skip
_EITHER_WAY = ("add", "mul")


def parse(text: str) -> Pattern:
    """A pattern from its text (ours, never a sheet's)."""
    return _parsed(ast.parse(text, mode="eval").body)


def _parsed(tree: ast.AST) -> Pattern:
    match tree:
        case ast.Constant(value=value):
            return Pattern(None, value=Fraction(str(value)))
        case ast.Name(id=letter):
            return Pattern(None, letter=letter)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return Pattern("neg", (_parsed(operand),))
        case ast.BinOp(left=left, op=op, right=right):
            return Pattern(_BINARY[type(op)], (_parsed(left), _parsed(right)))
        case ast.Attribute(value=inner, attr="T"):
            return Pattern("transpose", (_parsed(inner),))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            axis = keywords[0].value.id if keywords else ""  # type: ignore[attr-defined]
            return Pattern(name, tuple(map(_parsed, args)), axis=axis)
    raise ValueError(f"not a pattern: {ast.dump(tree)}")


# --- conditions ------------------------------------------------------------------------------


def _along(rewriter: Rewriter, bound: Bound) -> bool:
    """The sum runs over the one axis that softmax would: a lone axis, or the whole of a column."""
    shape, axis = bound["Z"].shape, bound["k"]
    if axis is not None:
        return True
    if len(shape) == 2 and shape[1] == ONE:
        bound["k"] = 0
        return True
    return False


def _is_label(rewriter: Rewriter, bound: Bound) -> bool:
    fact = rewriter.facts.get(bound["y"].name or "")
    return fact is not None and fact.kind == "labels" and set(fact.bounds) == {0, 1}


def _number(*letters: str) -> Condition:
    return lambda rewriter, bound: all(bound[c].is_number for c in letters)


def _matrix(rewriter: Rewriter, bound: Bound) -> bool:
    return len(bound["A"].shape) == 2


def _two_axes(rewriter: Rewriter, bound: Bound) -> bool:
    return len(bound["A"].shape) == len(bound["B"].shape) == 2


# --- the rules -------------------------------------------------------------------------------

STABLE: tuple[Rule, ...] = (
    Rule("1/(1 + exp(-z))", "sigmoid(z)", through=True),
    Rule("1/(1 + exp(z))", "sigmoid(-z)", through=True),
    Rule("exp(z)/(1 + exp(z))", "sigmoid(z)", through=True),
    Rule("exp(Z)/sum(exp(Z), axis=k)", "softmax(Z, axis=k)", _along, through=True),
    Rule("(exp(z) - exp(-z))/(exp(z) + exp(-z))", "tanh(z)", through=True),
    Rule("2*sigmoid(2*z) - 1", "tanh(z)", through=True),
    Rule("log(1 + exp(z))", "softplus(z)", through=True),
    Rule("log(sum(exp(Z), axis=k))", "logsumexp(Z, axis=k)", _along, through=True),
    Rule("log(sigmoid(z))", "-softplus(-z)", through=True),
    Rule("log(1 - sigmoid(z))", "-softplus(z)", through=True),
    Rule("log(softmax(Z, axis=k))", "Z - logsumexp(Z, axis=k)", through=True),
    Rule("log(exp(z))", "z", through=True),
    Rule("y*softplus(-z) + (1 - y)*softplus(z)", "softplus(z) - y*z"),
)
SHORT: tuple[Rule, ...] = (
    Rule("-a - b", "-(a + b)"),
    Rule("-a + b", "b - a"),
    Rule("sum(-z, axis=k)", "-sum(z, axis=k)"),
    Rule("sum(c*z, axis=k)", "c*sum(z, axis=k)", _number("c")),
    Rule("sum(z/c, axis=k)", "sum(z, axis=k)/c", _number("c")),
    Rule("c*a - c*b", "c*(a - b)"),
    Rule("c*a + c*b", "c*(a + b)"),
    Rule("a/c - b/c", "(a - b)/c"),
    Rule("a/c + b/c", "(a + b)/c"),
    Rule("(c*A) @ B", "c*(A @ B)", lambda r, b: b["c"].is_number and _two_axes(r, b)),
    Rule("A @ (c*B)", "c*(A @ B)", lambda r, b: b["c"].is_number and _two_axes(r, b)),
    Rule("diag_of(d) @ A", "d*A", _matrix),
    Rule("A @ diag_of(d)", "A*d.T", _matrix),
    Rule("trace(A @ B)", "total(A*B.T)"),
    Rule("(c*A).T", "c*A.T", _number("c")),
)
EVALUATED: tuple[Rule, ...] = (
    Rule("a + softplus(b - a)", "maximum(a, b) + softplus(-abs(b - a))"),
    Rule("sqrt(z**2)", "abs(z)"),
    Rule("softplus(z) - y*z", "softplus((1 - 2*y)*z)", _is_label),
    Rule("softplus(z) - y*z", "relu(z) - y*z + softplus(-abs(z))"),
    Rule("y*z - softplus(z)", "-softplus((1 - 2*y)*z)", _is_label),
    Rule("y*z - softplus(z)", "y*z - relu(z) - softplus(-abs(z))"),
)


# --- rewriting -------------------------------------------------------------------------------


class Rewriter:
    """Applies rules over the nodes of one graph, bottom up and once for every node.

    definitions   name -> right-hand side, for rules that look through names
    facts         declared name -> what its set promises
    builders      operator -> what no pattern says, tried in turn where no rule applies
    """

    def __init__(
        self,
        graph: Graph,
        rules: Sequence[Rule],
        definitions: Mapping[str, Node],
        facts: Mapping[str, Fact],
        builders: Sequence[Mapping[str, Builder]] = (),
    ) -> None:
        self.graph = graph
        self.definitions = definitions
        self.facts = facts
        self.builders: dict[str, list[Builder]] = {}
        for table in (*builders, SETTLED):
            for name, builder in table.items():
                self.builders.setdefault(name, []).append(builder)
        self.memory: dict[int, Any] = {}  # what a builder found out about a node
        self.used: dict[str, None] = {}
        self._done: dict[int, Node] = {}
        self._by_op: dict[str, list[tuple[Rule, Pattern, Pattern]]] = {}
        for rule in rules:
            before = parse(rule.before)
            assert before.op is not None
            self._by_op.setdefault(before.op, []).append((rule, before, parse(rule.after)))

    def __call__(self, root: Node) -> Node:
        """The node rewritten."""
        for node in postorder([root]):
            if node.id in self._done:
                continue
            args = [self._done[a.id] for a in node.args]
            self._done[node.id] = self._settled(stretched(node.over(args), node), MOST_ROUNDS)
        return self._done[root.id]

    def _settled(self, node: Node, rounds: int) -> Node:
        """One node whose arguments are rewritten already."""
        for _ in range(rounds):
            new = self._once(node)
            if new is None or new is node:
                break
            node = stretched(self._inside(new, rounds - 1), node)
        return node

    def _inside(self, new: Node, rounds: int) -> Node:
        """What a rule gave, with the new nodes below it rewritten too."""
        for inner in postorder([new]):
            if inner.id in self._done and inner is not new:
                continue
            args = [self._done[a.id] for a in inner.args]
            if any(a is not b for a, b in zip(args, inner.args, strict=True)):
                made = self.graph.make(inner.op.name, *args, params=inner.params)
                made = stretched(made, inner)
            else:
                made = inner
            if inner is new:
                return made
            self._done[inner.id] = self._settled(made, rounds)
        raise AssertionError

    def _once(self, node: Node) -> Node | None:
        for rule, before, after in self._by_op.get(node.op.name, ()):
            bound = self._match(before, node, {}, rule.through)
            if bound is not None and (rule.when is None or rule.when(self, bound)):
                self.used[f"{rule.before} → {rule.after}"] = None
                return self._build(after, bound)
        for builder in self.builders.get(node.op.name, ()):
            new = builder(self, node)
            if new is not None:
                return new
        return None

    def seen(self, node: Node) -> Node:
        """What a name stands for."""
        while node.name is not None and node.name in self.definitions:
            node = self.definitions[node.name]
        return node

    def sums_to_one(self, x: Node) -> int | None:
        """The axis along which the entries of *x* sum to one, by its set or its operator."""
        if len(x.shape) != 2:
            return None
        fact = self.facts.get(x.name or "")
        if fact is not None and fact.kind in ("onehot", "prob"):
            return 0 if x.shape[1] == ONE else 1
        meaning = self.seen(x)
        if meaning.op.promises != "rows sum to one":
            return None
        axis: int = meaning.params[0]
        return axis

    def _match(self, p: Pattern, node: Node, bound: Bound, through: bool) -> Bound | None:
        if p.op is None:
            if p.value is not None:
                return bound if node.fill == p.value else None
            if p.letter in bound:
                there = bound[p.letter]
                same = node is there or self.seen(node) is self.seen(there)
                return bound if same else None
            return {**bound, p.letter: node}
        if through:
            node = self.seen(node)
        if node.op.name != p.op or len(node.args) != len(p.args):
            return None
        if p.axis:
            if p.axis in bound and bound[p.axis] != node.params[0]:
                return None
            bound = {**bound, p.axis: node.params[0]}
        orders = [node.args]
        if p.op in _EITHER_WAY:
            orders.append(node.args[::-1])
        for args in orders:
            found: Bound | None = bound
            for part, arg in zip(p.args, args, strict=True):
                found = self._match(part, arg, found, through) if found is not None else None
            if found is not None:
                return found
        return None

    def _build(self, p: Pattern, bound: Bound) -> Node:
        if p.op is None:
            if p.value is not None:
                return self.graph.number(p.value)
            node: Node = bound[p.letter]
            return node
        args = [self._build(a, bound) for a in p.args]
        if p.op == "total":
            return self.graph.make("sum", *args, params=(None,))
        params = (bound[p.axis],) if p.axis else ()
        return self.graph.make(p.op, *args, params=params)


def stretched(new: Node, old: Node) -> Node:
    """The new node in the shape of the old one."""
    if new.shape == old.shape or (len(new.shape) != len(old.shape) and not new.is_number):
        return new
    return new * new.graph.filled(1, old.shape)


# --- what no pattern says --------------------------------------------------------------------


def _times_constant(rewriter: Rewriter, node: Node) -> Node | None:
    """An array of equal entries times an array is a number times it."""
    for a, b in (node.args, node.args[::-1]):
        if b.shape != node.shape:
            continue
        if a.fill is not None and not a.is_number:
            return rewriter.graph.number(a.fill) * b
        if a.op.name == "mul" and a.loops == node.loops:
            for c, ones in (a.args, a.args[::-1]):
                if ones.fill == 1 and not ones.is_number and (c.is_number or c.shape != a.shape):
                    return c * b
    return None


def _flipped(node: Node) -> Node | None:
    """Minus a node without a sign of its own, where a difference in it can be turned round."""
    make = node.graph.make
    if node.op.name == "neg":
        return node.args[0]
    if node.op.name == "sub":
        return node.args[1] - node.args[0]
    if node.op.name in ("sum", "transpose"):
        inner = _flipped(node.args[0])
        return None if inner is None else make(node.op.name, inner, params=node.params)
    if node.op.name in ("mul", "matmul"):
        a, b = node.args
        if (turned := _flipped(b)) is not None:
            return make(node.op.name, a, turned)
        if (turned := _flipped(a)) is not None:
            return make(node.op.name, turned, b)
    return None


def _minus(rewriter: Rewriter, node: Node) -> Node | None:
    return _flipped(node.args[0])


def _negative_constant(rewriter: Rewriter, node: Node) -> Node | None:
    """-1/n as -(1/n), so that the sign can find a difference to turn round."""
    top = node.args[0].fill
    return -(-node.args[0] / node.args[1]) if top is not None and top < 0 else None


def _settled_sum(rewriter: Rewriter, node: Node) -> Node | None:
    """Sums that a declared fact settles, and sums of equal entries."""
    x, (axis,) = node.args[0], node.params
    graph = rewriter.graph
    count = ONE
    for k, d in enumerate(x.shape):
        if axis is None or k == axis:
            count = count * graph.resolve(d)
    if x.fill is not None:
        return stretched(dim_node(graph, count) * x.fill, node)
    along = rewriter.sums_to_one(x)
    if along is None:
        return None
    if axis == along or (axis is None and x.shape[1 - along] == ONE):
        return graph.filled(1, node.shape)
    if axis is None:
        return dim_node(graph, x.shape[1 - along])
    return None


def _whole_sum(rewriter: Rewriter, node: Node) -> Node | None:
    """A sum with an index over entries of arrays, as a sum of the whole array."""
    kind, loop = node.params
    body = node.args[0]
    if kind != "sum" or len(node.args) > 1 or node.loops or not body.is_number:
        return None
    loops: tuple[Loop, ...] = (loop,)
    if body.op.name == "reduce" and body.params[0] == "sum" and len(body.args) == 1:
        loops, body = (loop, body.params[1]), body.args[0]
    if set(body.loops) != set(loops) or not body.is_number:
        return None
    whole = entries_as_arrays(body, loops)
    if whole is None:
        return None
    sizes = tuple(v.size for v in loops)
    want = sizes if len(loops) == 2 else (*sizes, ONE)
    if whole.shape != want:
        whole = whole * rewriter.graph.filled(1, want)
    return rewriter.graph.make("sum", whole, params=(None,))


def entries_as_arrays(node: Node, loops: tuple[Loop, ...]) -> Node | None:
    """An expression over entries x[i], X[i, j] as the same over the arrays."""
    if not node.loops:
        return node if node.is_number else None
    if node.op.name == "spread":
        own, x = node.params[0], node.args[0]
        if not node.is_number or x.loops or len(x.shape) != 2:
            return None
        if own == loops:
            return x
        if len(loops) == 2 and own == loops[::-1]:
            return x.T
        if len(loops) == 2 and x.shape[1] == ONE and len(own) == 1:
            return x if own[0] == loops[0] else x.T
        return None
    if not node.op.elementwise:
        return None
    args = [entries_as_arrays(a, loops) for a in node.args]
    known = [a for a in args if a is not None]
    if len(known) < len(args):
        return None
    try:
        return node.over(known)
    except ShapeProblem:  # a column meets a row: no array of the graph says that
        return None


# Turns differences round to get rid of a minus (which hides 1 - y from rules).
SIGNS: dict[str, Builder] = {"div": _negative_constant, "neg": _minus}
SETTLED: dict[str, Builder] = {
    "mul": _times_constant,
    "sum": _settled_sum,
    "reduce": _whole_sum,
}
