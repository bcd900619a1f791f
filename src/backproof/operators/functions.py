"""The functions a sheet may call, each as the nodes that it stands for.

A function is either one operator or a textbook definition over operators (losses, activations).
A definition is expanded here and nowhere else, so every interpreter sees only operators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from backproof.errors import ShapeProblem
from backproof.operators.base import misfit
from backproof.operators.dims import ONE, Dim, show_shape
from backproof.operators.node import Graph, Node

Options = Mapping[str, Node]
Builder = Callable[[Graph, Sequence[Node], Options], Node]
HALF = Fraction(1, 2)


def axis_of(options: Options) -> int | None:
    """The `axis=` option as an integer, None when it is left out."""
    node = options.get("axis")
    if node is None:
        return None
    if node.fill is None or node.fill.denominator != 1 or node.fill < 0:
        raise ShapeProblem("axis must be 0 (down the columns) or 1 (along the rows).")
    return int(node.fill)


def _operator(name: str) -> Builder:
    return lambda g, a, o: g.make(name, *a)


def _reduction(name: str) -> Builder:
    return lambda g, a, o: g.make(name, a[0], params=(axis_of(o),))


def _count(x: Node, axis: int | None) -> Dim:
    total = ONE
    for k, d in enumerate(x.shape):
        if axis is None or k == axis:
            total = total * d
    return total


def dim_node(graph: Graph, dim: Dim) -> Node:
    """A dimension as a number."""
    return graph.make("dim", params=(graph.resolve(dim),))


def mean(x: Node, axis: int | None = None) -> Node:
    """The mean of all entries, or along an axis."""
    g = x.graph
    return g.make("sum", x, params=(axis,)) / dim_node(g, _count(x, axis))


def _sum(x: Node, axis: int | None = None) -> Node:
    return x.graph.make("sum", x, params=(axis,))


def _log(x: Node) -> Node:
    return x.graph.make("log", x)


def _norm(g: Graph, a: Sequence[Node], o: Options) -> Node:
    return g.make("sqrt", _sum(a[0] ** 2, axis_of(o)))


def _extreme(reduce: str, elementwise: str) -> Builder:
    def build(g: Graph, a: Sequence[Node], o: Options) -> Node:
        if len(a) == 1:
            return g.make(reduce, a[0], params=(axis_of(o),))
        result = a[0]
        for other in a[1:]:
            result = g.make(elementwise, result, other)
        return result

    return build


def _log_softmax(g: Graph, a: Sequence[Node], o: Options) -> Node:
    return a[0] - g.make("logsumexp", a[0], params=(axis_of(o),))


# --- activations -----------------------------------------------------------------------------


def _leaky_relu(g: Graph, a: Sequence[Node], o: Options) -> Node:
    slope = a[1] if len(a) > 1 else g.number(Fraction(1, 100))
    return g.make("where", g.make("gt", a[0], 0), a[0], slope * a[0])


def _elu(g: Graph, a: Sequence[Node], o: Options) -> Node:
    scale = a[1] if len(a) > 1 else g.number(1)
    return g.make("where", g.make("gt", a[0], 0), a[0], scale * (g.make("exp", a[0]) - 1))


def _gelu(g: Graph, a: Sequence[Node], o: Options) -> Node:
    return a[0] * (1 + g.make("erf", a[0] / g.make("sqrt", g.number(2)))) * HALF


def _gelu_tanh(g: Graph, a: Sequence[Node], o: Options) -> Node:
    pi = g.make("constant", params=("pi",))
    inner = g.make("sqrt", 2 / pi) * (a[0] + Fraction("0.044715") * a[0] ** 3)
    return a[0] * (1 + g.make("tanh", inner)) * HALF


# --- linear algebra --------------------------------------------------------------------------


def _diag(g: Graph, a: Sequence[Node], o: Options) -> Node:
    x = a[0]
    if len(x.shape) == 2 and x.shape[1] == ONE:
        return g.make("diag_of", x)
    if len(x.shape) == 2 and g.same(x.shape[0], x.shape[1]):
        return g.make("diag_part", x)
    raise ShapeProblem(
        f"diag takes a column or a square matrix, and got {show_shape(x.shape)}.",
        hint="a row must be transposed first" if x.shape[0] == ONE else "",
    )


def _vec(g: Graph, a: Sequence[Node], o: Options) -> Node:
    rows, columns = a[0].shape
    return g.make("reshape", a[0].T, params=((columns * rows, ONE),))


def _column(x: Node, what: str) -> None:
    if len(x.shape) != 2 or x.shape[1] != ONE:
        raise ShapeProblem(f"{what} takes columns, and got {show_shape(x.shape)}.")


def _outer(g: Graph, a: Sequence[Node], o: Options) -> Node:
    for x in a:
        _column(x, "outer")
    return a[0] @ a[1].T


def _dot(g: Graph, a: Sequence[Node], o: Options) -> Node:
    if g.resolve_shape(a[0].shape) != g.resolve_shape(a[1].shape):
        raise misfit("dot", (a[0].shape, a[1].shape))
    return _sum(a[0] * a[1])


def _concat(g: Graph, a: Sequence[Node], o: Options) -> Node:
    return g.make("concat", *a, params=(axis_of(o) or 0,))


def _stack(g: Graph, a: Sequence[Node], o: Options) -> Node:
    for x in a:
        _column(x, "stack")
    axis = axis_of(o) or 0
    return g.make("concat", *(x if axis else x.T for x in a), params=(axis,))


def _bias_trick(g: Graph, a: Sequence[Node], o: Options) -> Node:
    if len(a) == 1:
        return g.make("concat", a[0], g.filled(1, (a[0].shape[0], ONE)), params=(1,))
    weights, bias = a
    if bias.shape[1] == ONE and g.resolve(bias.shape[0]) == g.resolve(weights.shape[0]):
        return g.make("concat", weights, bias, params=(1,))
    row = bias.T if bias.shape[1] == ONE else bias
    return g.make("concat", weights, row, params=(0,))


def _clip(g: Graph, a: Sequence[Node], o: Options) -> Node:
    return g.make("minimum", g.make("maximum", a[0], a[1]), a[2])


# --- losses, by their textbook definitions ---------------------------------------------------


def samples(p: Node) -> tuple[Node, int]:
    """(how many samples, the axis of the classes): rows are samples, a lone column is one."""
    if p.shape[1] == ONE:
        return p.graph.number(1), 0
    return dim_node(p.graph, p.shape[0]), 1


def _pair(name: str, a: Sequence[Node]) -> None:
    g = a[0].graph
    x, y = g.resolve_shape(a[0].shape), g.resolve_shape(a[1].shape)
    fits = len(x) == len(y) and all(g.same(d, e) for d, e in zip(x, y, strict=True))
    if not fits:
        raise misfit(name, (x, y), "both arguments must have one shape")


def _cross_entropy(g: Graph, a: Sequence[Node], o: Options) -> Node:
    _pair("cross_entropy", a)
    p, y = a
    count, axis = samples(p)
    if "weights" not in o:
        return -_sum(y * _log(p)) / count
    return -_sum(_by_class(o["weights"], p, axis) * y * _log(p)) / count


def _by_class(weights: Node, p: Node, axis: int) -> Node:
    """One weight a class, laid along the axis of the classes of *p*."""
    g = p.graph
    shape = g.resolve_shape(weights.shape)
    classes = g.resolve(p.shape[axis])
    entries = shape[0] if shape[1] == ONE else shape[1] if shape[0] == ONE else None
    if entries is None or len(shape) != 2 or not g.same(entries, classes):
        raise ShapeProblem(
            f"cross_entropy needs one weight for each of {classes} classes, and got "
            f"{show_shape(shape)}.",
            hint=f"weights is a column of {classes}",
        )
    column = weights if shape[1] == ONE else weights.T
    return column.T if axis == 1 else column


def _bce(g: Graph, a: Sequence[Node], o: Options) -> Node:
    _pair("bce", a)
    p, y = a
    return -mean(y * _log(p) + (1 - y) * _log(1 - p))


def _weighted_bce(g: Graph, a: Sequence[Node], o: Options) -> Node:
    _pair("weighted_bce", a[:2])
    p, y, alpha, beta = a
    return -mean(alpha * y * _log(p) + beta * (1 - y) * _log(1 - p))


def _hinge(g: Graph, a: Sequence[Node], o: Options) -> Node:
    _pair("hinge", a[:2])
    s, y = a[0], a[1]
    margin = o.get("margin", a[2] if len(a) > 2 else g.number(1))
    count, axis = samples(s)
    correct = _sum(s * y, axis)
    return _sum((1 - y) * g.make("maximum", 0, s - correct + margin)) / count


def _mse(g: Graph, a: Sequence[Node], o: Options) -> Node:
    _pair("mse", a)
    return mean((a[0] - a[1]) ** 2)


def _sse(g: Graph, a: Sequence[Node], o: Options) -> Node:
    _pair("sse", a)
    return _sum((a[0] - a[1]) ** 2)


FUNCTIONS: dict[str, Builder] = {
    **{
        name: _operator(name)
        for name in (
            *("relu", "softplus", "sigmoid", "tanh", "exp", "log", "sqrt", "abs", "sign", "step"),
            *("sin", "cos", "floor", "ceil", "erf", "stop", "where", "tril", "triu", "trace"),
            *("det", "inv", "logdet", "kron"),
        )
    },
    "square": lambda g, a, o: a[0] ** 2,
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "silu": lambda g, a, o: a[0] * g.make("sigmoid", a[0]),
    "log2": lambda g, a, o: _log(a[0]) / _log(g.number(2)),
    "log10": lambda g, a, o: _log(a[0]) / _log(g.number(10)),
    "softmax": _reduction("softmax"),
    "logsumexp": _reduction("logsumexp"),
    "log_softmax": _log_softmax,
    "sum": _reduction("sum"),
    "prod": _reduction("prod"),
    "argmax": _reduction("argmax"),
    "mean": lambda g, a, o: mean(a[0], axis_of(o)),
    "max": _extreme("amax", "maximum"),
    "min": _extreme("amin", "minimum"),
    "norm": _norm,
    "sumsq": lambda g, a, o: _sum(a[0] ** 2, axis_of(o)),
    "diag": _diag,
    "vec": _vec,
    "outer": _outer,
    "dot": _dot,
    "solve": lambda g, a, o: g.make("inv", a[0]) @ a[1],
    "concat": _concat,
    "stack": _stack,
    "bias_trick": _bias_trick,
    "clip": _clip,
    "size": lambda g, a, o: dim_node(g, _count(a[0], None)),
    "cross_entropy": _cross_entropy,
    "bce": _bce,
    "weighted_bce": _weighted_bce,
    "hinge": _hinge,
    "mse": _mse,
    "sse": _sse,
}
