"""Elementwise operators: arithmetic, activations, comparisons and selections.

Each entry says its shape rule, its values, its local derivative and its index notation.
Piecewise operators are written in index notation with indicators [u > 0].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from backproof.operators import norms, places, writing
from backproof.operators.arithmetic import Arithmetic
from backproof.operators.base import Array, Index, Notation, Operator, Params, Term, broadcast
from backproof.operators.dims import Shape
from backproof.operators.node import Graph, Node
from backproof.operators.slow import OPERATORS as SLOW

Terms = Sequence[Term]


def _shape(symbol: str) -> Callable[[Graph, tuple[Node, ...], Params], tuple[Shape, Params]]:
    def rule(graph: Graph, nodes: tuple[Node, ...], params: Params) -> tuple[Shape, Params]:
        return broadcast(graph, nodes, symbol), params

    return rule


def _index(build: Callable[[Notation, Terms], Term]) -> Callable[..., Term]:
    """The index rule of an elementwise operator, from what it does to the entries."""

    def rule(t: Notation, node: Node, index: Sequence[Index]) -> Term:
        entries = []
        for arg in node.args:
            if arg.is_number:
                entries.append(t.arg(arg, (None, None)))
            else:
                own = [
                    i if d == e else None
                    for i, d, e in zip(index, arg.shape, node.shape, strict=True)
                ]
                entries.append(t.arg(arg, own))
        return build(t, entries)

    return rule


def _constant(op: Callable[..., Fraction | None]) -> Callable[..., Node | None]:
    """Folds an operator over constants; *op* gives None where the value is not rational."""

    def fold(graph: Graph, nodes: tuple[Node, ...], params: Params, shape: Shape) -> Node | None:
        values = [n.fill for n in nodes]
        if any(v is None for v in values):
            return None
        result = op(*values)
        return None if result is None else graph.filled(result, shape)

    return fold


def _binary(
    name: str,
    symbol: str,
    numeric: Callable[[Arithmetic, Array, Array], Array],
    index: Callable[[Notation, Terms], Term],
    pullback: Callable[[Node, Node, Node], Sequence[Node | None]] | None,
    simplify: Callable[..., Node | None] | None = None,
    **more: Any,
) -> Operator:
    return Operator(
        name,
        _shape(symbol),
        lambda xp, node, args: numeric(xp, args[0], args[1]),
        _index(index),
        pullback=pullback,
        simplify=simplify,
        elementwise=True,
        **more,
    )


def _unary(
    name: str,
    derivative: Callable[[Node, Node], Node | None] | None,
    index: Callable[[Notation, Terms], Term] | None = None,
    numeric: Callable[[Arithmetic, Array], Array] | None = None,
    simplify: Callable[..., Node | None] | None = None,
    **more: Any,
) -> Operator:
    """A function of one argument; *derivative* gets the argument and the result."""

    def values(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
        return numeric(xp, args[0]) if numeric else xp.apply(name, args[0])

    def pullback(node: Node, g: Node, y: Node) -> Sequence[Node | None]:
        slope = derivative(node.args[0], y) if derivative else None
        return (None if slope is None else g * slope,)

    return Operator(
        name,
        _shape(name),
        values,
        _index(index or (lambda t, a: t.func(name, a[0]))),
        pullback=pullback if derivative else None,
        simplify=simplify,
        elementwise=True,
        slow=SLOW.get(name),
        **more,
    )


# --- simplifications -------------------------------------------------------------------------


def _add_simplify(graph: Graph, n: tuple[Node, ...], p: Params, shape: Shape) -> Node | None:
    for a, b in ((n[0], n[1]), (n[1], n[0])):
        if a.fill == 0 and b.shape == shape:
            return b
    if n[1].op.name == "neg":
        return n[0] - n[1].args[0]
    return _constant(lambda a, b: a + b)(graph, n, p, shape)


def _sub_simplify(graph: Graph, n: tuple[Node, ...], p: Params, shape: Shape) -> Node | None:
    if n[1].fill == 0 and n[0].shape == shape:
        return n[0]
    if n[0].fill == 0 and n[1].shape == shape:
        return -n[1]
    if n[0] is n[1]:
        return graph.filled(0, shape)
    if n[1].op.name == "neg":
        return n[0] + n[1].args[0]
    return _constant(lambda a, b: a - b)(graph, n, p, shape)


def _mul_simplify(graph: Graph, n: tuple[Node, ...], p: Params, shape: Shape) -> Node | None:
    for a, b in ((n[0], n[1]), (n[1], n[0])):
        if a.fill == 1 and b.shape == shape:
            return b
        if a.fill == 0:
            return graph.filled(0, shape)
        if a.fill == -1 and b.shape == shape:
            return -b
        if a.op.name == "neg":
            return -(a.args[0] * b)
    if n[1].is_number and n[1].fill is not None and n[0].fill is None:
        return n[1] * n[0]
    if n[0].is_number and n[0].fill is not None and n[1].op.name == "mul":
        inner = n[1].args[0]
        if inner.is_number and inner.fill is not None:
            return graph.number(n[0].fill * inner.fill) * n[1].args[1]
    return _constant(lambda a, b: a * b)(graph, n, p, shape)


def _div_simplify(graph: Graph, n: tuple[Node, ...], p: Params, shape: Shape) -> Node | None:
    if n[1].fill == 1 and n[0].shape == shape:
        return n[0]
    if n[0].fill == 0 and n[1].fill != 0:
        return graph.filled(0, shape)
    if n[0].op.name == "neg":
        return -(n[0].args[0] / n[1])
    return _constant(lambda a, b: a / b if b else None)(graph, n, p, shape)


def _pow_simplify(graph: Graph, n: tuple[Node, ...], p: Params, shape: Shape) -> Node | None:
    if n[1].fill == 1 and n[0].shape == shape:
        return n[0]
    if n[1].fill == 0:
        return graph.filled(1, shape)

    def fold(a: Fraction, b: Fraction) -> Fraction | None:
        whole = b.denominator == 1 and abs(b) <= 64 and (a != 0 or b > 0)
        return a ** int(b) if whole else None

    return _constant(fold)(graph, n, p, shape)


def _neg_simplify(graph: Graph, n: tuple[Node, ...], p: Params, shape: Shape) -> Node | None:
    if n[0].op.name == "neg":
        return n[0].args[0]
    if n[0].op.name == "sub":
        return n[0].args[1] - n[0].args[0]
    return _constant(lambda a: -a)(graph, n, p, shape)


# --- pullbacks -------------------------------------------------------------------------------


def _pow_pullback(node: Node, g: Node, y: Node) -> Sequence[Node | None]:
    x, k = node.args
    if k.fill is not None:
        return g * (k * x ** (k.fill - 1)), None
    at_exponent = None if k.op.name == "dim" else g * (y * node.graph.make("log", x))
    return g * (k * x ** (k - 1)), at_exponent


def _where_pullback(node: Node, g: Node, y: Node) -> Sequence[Node | None]:
    make, c = node.graph.make, node.args[0]
    return None, make("where", c, g, 0), make("where", c, 0, g)


def _sqrt_pi(x: Node) -> Node:
    return x.graph.make("sqrt", x.graph.make("constant", params=("pi",)))


# --- index notation --------------------------------------------------------------------------

ONE_, MINUS = Fraction(1), Fraction(-1)


def _shifted(sign: int) -> Callable[[Notation, Node], Index | None]:
    """The position of `index + k` or `index - k`."""

    def rule(t: Notation, node: Node) -> Index | None:
        a, b = node.args
        if sign > 0 and t.position(a) is None:
            a, b = b, a
        at = t.position(a)
        if at is None or b.fill is None or b.fill.denominator != 1:
            return None
        return t.shift(at, sign * int(b.fill))

    return rule


def _minus(t: Notation, a: Term, b: Term) -> Term:
    return a + t.const(MINUS) * b


def _compare(name: str) -> Operator:
    ufunc = {
        "gt": np.greater, "ge": np.greater_equal, "lt": np.less,
        "le": np.less_equal, "eq": np.equal, "ne": np.not_equal,
    }[name]  # fmt: skip

    def index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
        places = [t.position(a) for a in node.args]
        if name in ("eq", "ne") and None not in places:
            same = t.delta(*places)
        elif None not in places:
            low, high = places if name in ("lt", "ge") else places[::-1]
            strictly = t.before(low, high)
            return strictly if name in ("lt", "gt") else _minus(t, t.const(ONE_), strictly)
        else:
            a, b = _index(lambda t, e: e)(t, node, index)
            if name in ("gt", "ge"):
                return t.indicator(_minus(t, a, b))
            if name in ("lt", "le"):
                return t.indicator(_minus(t, b, a))
            same = t.equal(_minus(t, a, b))
        return same if name == "eq" else _minus(t, t.const(ONE_), same)

    return Operator(
        name,
        _shape({"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "eq": "==", "ne": "!="}[name]),
        lambda xp, node, a: xp.truth(ufunc(a[0], a[1])),
        index,
        elementwise=True,
        abrupt=True,
        jumps=None if name in ("eq", "ne") else lambda n: (n.args[0] - n.args[1],),
    )


def _max_like(name: str, first_wins: Callable[[Node, Node], Node]) -> Operator:
    def pullback(node: Node, g: Node, y: Node) -> Sequence[Node | None]:
        a, b = node.args
        return g * first_wins(a, b), g * first_wins(b, a)

    def index(t: Notation, e: Terms) -> Term:
        a, b = e
        gap = _minus(t, a, b) if name == "maximum" else _minus(t, b, a)
        return b + _minus(t, a, b) * t.indicator(gap)

    ufunc = np.maximum if name == "maximum" else np.minimum
    return _binary(
        name, "max" if name == "maximum" else "min",
        lambda xp, a, b: ufunc(a, b), index, pullback,
        kinks=lambda n: (n.args[0] - n.args[1],),
        written=writing.call("max" if name == "maximum" else "min"),
    )  # fmt: skip


def _step_of(z: Node) -> Node:
    return z.graph.make("step", z)


def _relu_index(t: Notation, e: Terms) -> Term:
    return e[0] * t.indicator(e[0])


def _sign_index(t: Notation, e: Terms) -> Term:
    return t.const(Fraction(2)) * t.indicator(e[0]) + t.const(MINUS)


def _step_simplify(graph: Graph, n: tuple[Node, ...], p: Params, shape: Shape) -> Node | None:
    if n[0].op.name == "relu":  # relu(z) is positive exactly where z is
        return graph.make("step", n[0].args[0])
    return None


OPERATORS: tuple[Operator, ...] = (
    _binary("add", "+", lambda xp, a, b: a + b, lambda t, e: e[0] + e[1],
            lambda n, g, y: (g, g), _add_simplify, position=_shifted(1), additive=True,
            says="derivative of a sum", signs=(1, 1), size=norms.triangle),
    _binary("sub", "-", lambda xp, a, b: a - b, lambda t, e: _minus(t, *e),
            lambda n, g, y: (g, -g), _sub_simplify, position=_shifted(-1), additive=True,
            says="derivative of a difference", signs=(1, -1), size=norms.triangle),
    _binary("mul", "*", lambda xp, a, b: a * b, lambda t, e: e[0] * e[1],
            lambda n, g, y: (g * n.args[1], g * n.args[0]), _mul_simplify, says="product rule",
            powers=(1, 1), size=norms.entrywise_product, entry=places.product),
    _binary("div", "/", lambda xp, a, b: _divide(a, b),
            lambda t, e: e[0] * t.power(e[1], t.const(MINUS)),
            lambda n, g, y: (g / n.args[1], -(g * y) / n.args[1]), _div_simplify,
            domain="nonzero", says="quotient rule", powers=(1, -1), size=norms.quotient,
            needs=(1, "nothing can be divided by zero")),
    _binary("pow", "**", lambda xp, a, b: xp.power(a, b), lambda t, e: t.power(e[0], e[1]),
            _pow_pullback, _pow_simplify, domain="positive", says="power rule", size=norms.square,
            needs=(0, "this power of it does not exist")),
    _unary("neg", lambda x, y: x.graph.number(-1), lambda t, e: t.const(MINUS) * e[0],
           lambda xp, x: -x, _neg_simplify, additive=True, says="derivative of a negative",
           signs=(-1,), size=norms.same),
    _unary("exp", lambda x, y: y, promises="positive", says="derivative of exp: itself",
           needs=(0, "its exponential is too large to be computed")),
    _unary("log", lambda x, y: 1 / x, domain="positive", says="derivative of log: 1/x",
           undoes="exp", needs=(0, "a logarithm needs a positive number")),
    _unary("sqrt", lambda x, y: 1 / (2 * y), lambda t, e: t.power(e[0], t.const(Fraction(1, 2))),
           domain="positive", promises="positive", says="derivative of the root: 1/(2 root)",
           written=writing.root, size=norms.root, root=2,
           needs=(0, "a square root needs a number that is not negative")),
    _unary("sin", lambda x, y: x.graph.make("cos", x), says="derivative of sin: cos"),
    _unary("cos", lambda x, y: -x.graph.make("sin", x), says="derivative of cos: -sin"),
    _unary("sigmoid", lambda x, y: y * (1 - y), promises="unit",
           says="derivative of sigmoid: a (1 - a)", spans=(0, 1)),
    _unary("tanh", lambda x, y: 1 - y**2, says="derivative of tanh: 1 - a²", spans=(-1, 1)),
    _unary("softplus", lambda x, y: x.graph.make("sigmoid", x), promises="positive",
           says="derivative of softplus: sigmoid"),
    _unary("erf", lambda x, y: 2 / _sqrt_pi(x) * x.graph.make("exp", -(x**2)),
           says="derivative of erf: 2/√π exp(-z²)"),
    _unary("relu", lambda x, y: _step_of(x), _relu_index,
           lambda xp, x: np.where(x > 0, x, x * 0), kinks=lambda n: n.args,
           says="derivative of relu: step", rectifies=True),
    _unary("step", None, lambda t, e: t.indicator(e[0]), lambda xp, x: xp.truth(x > 0),
           _step_simplify, kinks=lambda n: n.args, promises="binary", abrupt=True),
    _unary("abs", lambda x, y: x.graph.make("sign", x), lambda t, e: e[0] * _sign_index(t, e),
           kinks=lambda n: n.args, says="derivative of the absolute value: sign",
           size=norms.same),
    _unary("sign", None, _sign_index, kinks=lambda n: n.args, abrupt=True),
    _unary("floor", None, abrupt=True),
    _unary("ceil", None, abrupt=True),
    _max_like("maximum", lambda a, b: _step_of(a - b)),
    _max_like("minimum", lambda a, b: _step_of(b - a)),
    Operator(
        "where", _shape("where"),
        lambda xp, n, a: np.where(a[0] != 0, a[1], a[2]),
        _index(lambda t, e: e[2] + e[0] * _minus(t, e[1], e[2])),
        pullback=_where_pullback, elementwise=True, says="each branch where it is taken",
        abrupt=True, chooses=True,
    ),
    *(_compare(name) for name in ("gt", "ge", "lt", "le", "eq", "ne")),
    _unary("stop", None, lambda t, e: e[0], lambda xp, x: x, holds=True),
)  # fmt: skip


def _divide(a: Array, b: Array) -> Array:
    """a / b, with NaN where b is zero in either arithmetic (infinity is no value on paper)."""
    quotient = a / b
    bad = b == 0
    if np.any(bad):
        quotient = np.where(bad, quotient * 0 + (b * 0) / (b * 0), quotient)
    return quotient
