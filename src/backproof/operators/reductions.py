"""Reductions over all entries, down the columns or along the rows, and softmax's family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

from backproof.errors import ShapeProblem
from backproof.operators import norms, places, writing
from backproof.operators.arithmetic import Arithmetic
from backproof.operators.base import Array, Index, Notation, Operator, Params, Term
from backproof.operators.dims import ONE, SCALAR, Dim, Shape, show_shape
from backproof.operators.node import Graph, Node

Args = tuple[Node, ...]
Rule = tuple[Shape, Params]


def _axes(node: Node) -> tuple[int, ...]:
    """The axes reduced, counted from the end: all core axes, or the one asked for."""
    axis = node.params[0]
    rank = len(node.args[0].shape)
    return tuple(range(-rank, 0)) if axis is None else (axis - rank,)


def _shape(graph: Graph, n: Args, p: Params) -> Rule:
    (axis,) = p
    if axis is None:
        return SCALAR, p
    shape = n[0].shape
    if not 0 <= axis < len(shape):
        raise ShapeProblem(f"axis={axis} is not an axis of an array {show_shape(shape)}.")
    left = tuple(ONE if k == axis else d for k, d in enumerate(shape))
    return left, p


def _collapse(node: Node, reduced: Array) -> Array:
    """Restores two core axes after a reduction of every axis of a tensor."""
    rank = len(node.args[0].shape)
    if node.params[0] is None and rank > 2:
        loops = reduced.ndim - rank
        return reduced.reshape(*reduced.shape[:loops], 1, 1)
    return reduced


def _bound(t: Notation, node: Node, index: Sequence[Index]) -> tuple[list[Index], list[Index]]:
    """(index of the argument, labels that are reduced) of a reduction."""
    axis, shape = node.params[0], node.args[0].shape
    labels: list[Index] = []
    own: list[Index] = []
    for k, d in enumerate(shape):
        if axis is None or k == axis:
            label = t.fresh(d)
            labels.append(label)
            own.append(label)
        else:
            own.append(index[k])
    return own, labels


def _sum_index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
    own, labels = _bound(t, node, index)
    return t.sum(t.arg(node.args[0], own), labels)


def count(node: Node) -> Dim:
    """How many entries go into each result of a reduction."""
    total = ONE
    for axis in _axes(node):
        total = total * node.args[0].shape[axis]
    return total


def _spread(node: Node, g: Node) -> Node:
    """*g* stretched back to the argument's shape."""
    return g * node.graph.filled(1, node.args[0].shape)


def _sum_simplify(graph: Graph, n: Args, p: Params, shape: Shape) -> Node | None:
    if n[0].shape == shape and p[0] is not None:
        return n[0]
    if n[0].is_number:
        return n[0]
    if n[0].fill == 0:
        return graph.filled(0, shape)
    return None


def _reduction(
    name: str,
    values: Callable[..., Array],
    kind: str,
    steepest: tuple[float, str] | None = None,
) -> Operator:
    def numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
        return _collapse(node, values(args[0], axis=_axes(node), keepdims=True))

    def index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
        own, labels = _bound(t, node, index)
        return t.reduction(kind, t.arg(node.args[0], own), labels)

    def pullback(node: Node, g: Node, y: Node) -> Sequence[Node | None]:
        x = node.args[0]
        if kind == "prod":
            return (g * (y / x),)
        # Entries that are always equal (of X Xᵀ, say) share: the slope is the mean of theirs.
        best = node.graph.make("eq", x, node)
        return (g * (best / node.graph.make("sum", best, params=node.params)),)

    return Operator(
        name, _shape, numeric, index, pullback, _sum_simplify,
        domain="nonzero" if kind == "prod" else "real",
        says="product over each factor" if kind == "prod" else f"the entry that is the {kind}",
        written=writing.along(kind), steepest=steepest, along=True,
    )  # fmt: skip


def _argmax_index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
    return t.opaque(node, index)


def _argmax_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    x = args[0]
    if node.params[0] is None:
        rank = len(node.args[0].shape)
        flat = x.reshape(*x.shape[:-rank], -1)
        best = np.argmax(flat, axis=-1)[..., None, None]
    else:
        best = np.expand_dims(np.argmax(x, axis=_axes(node)[0]), _axes(node)[0])
    return xp.array(best + 1)


# --- softmax, logsumexp ----------------------------------------------------------------------


def last_axis(node: Node, axis: int | None) -> int:
    """The axis that softmax and logsumexp run over: along the rows, or down a lone column."""
    if axis is not None:
        return axis
    return 0 if len(node.shape) == 2 and node.shape[1] == ONE else len(node.shape) - 1


def _softmax_shape(graph: Graph, n: Args, p: Params) -> Rule:
    axis = last_axis(n[0], p[0])
    if not 0 <= axis < len(n[0].shape):
        raise ShapeProblem(f"axis={axis} is not an axis of an array {show_shape(n[0].shape)}.")
    return n[0].shape, (axis,)


def _softmax_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    axis = _axes(node)
    e = xp.apply("exp", args[0] - np.max(args[0], axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def _softmax_index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
    k = t.fresh(node.shape[node.params[0]])
    own = [k if a == node.params[0] else i for a, i in enumerate(index)]
    total = t.sum(t.func("exp", t.arg(node.args[0], own)), (k,))
    return t.func("exp", t.arg(node.args[0], index)) * t.power(total, t.const(Fraction(-1)))


def _softmax_pullback(node: Node, g: Node, y: Node) -> Sequence[Node | None]:
    return (y * (g - node.graph.make("sum", g * y, params=node.params)),)


def _lse_shape(graph: Graph, n: Args, p: Params) -> Rule:
    axis = last_axis(n[0], p[0])
    return _shape(graph, n, (axis,))[0], (axis,)


def _lse_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    axis = _axes(node)
    top = np.max(args[0], axis=axis, keepdims=True)
    return top + xp.apply("log", np.sum(xp.apply("exp", args[0] - top), axis=axis, keepdims=True))


def _lse_index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
    own, labels = _bound(t, node, index)
    return t.func("log", t.sum(t.func("exp", t.arg(node.args[0], own)), labels))


def _lse_pullback(node: Node, g: Node, y: Node) -> Sequence[Node | None]:
    return (g * node.graph.make("softmax", node.args[0], params=node.params),)


OPERATORS: tuple[Operator, ...] = (
    Operator("sum", _shape,
             lambda xp, n, a: _collapse(n, np.sum(a[0], axis=_axes(n), keepdims=True)),
             _sum_index, lambda n, g, y: (_spread(n, g),), _sum_simplify,
             additive=True, says="derivative of a sum: ones", written=writing.along("sum"),
             size=norms.total, entry=places.total, along=True),
    _reduction("prod", np.prod, "prod"),
    _reduction("amax", np.max, "max", steepest=(1.0, "1")),
    _reduction("amin", np.min, "min", steepest=(1.0, "1")),
    Operator("argmax", _shape, _argmax_numeric, _argmax_index, written=writing.along("argmax"),
             abrupt=True, along=True),
    Operator("softmax", _softmax_shape, _softmax_numeric, _softmax_index, _softmax_pullback,
             lambda graph, n, p, s: graph.filled(1, s) if n[0].is_number else None,
             promises="rows sum to one", says="derivative of softmax: diag(p) - p pᵀ",
             written=writing.along("softmax", last_axis), steepest=(0.5, "1/2"), spans=(0, 1),
             along=True),
    Operator("logsumexp", _lse_shape, _lse_numeric, _lse_index, _lse_pullback,
             says="derivative of logsumexp: softmax",
             written=writing.along("logsumexp", last_axis), steepest=(1.0, "1"), along=True),
)  # fmt: skip
