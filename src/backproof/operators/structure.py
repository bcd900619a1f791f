"""Leaves, entries and ranges, joining and reshaping, and the loop operators.

The loop operators carry index notation: `reduce` sums over a loop variable, `collect` turns loop
variables into axes (how a Jacobian gets its shape), `spread` is its inverse, `onehot` is the seed
that picks one entry for every setting of the loops.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from backproof.errors import ShapeProblem
from backproof.operators import places, writing
from backproof.operators.arithmetic import PI, Arithmetic
from backproof.operators.base import Array, Index, Notation, Operator, Params, Term, misfit
from backproof.operators.dims import ONE, SCALAR, Dim, Shape, shape_of
from backproof.operators.node import Graph, Loop, Node, merged_loops

Args = tuple[Node, ...]
Rule = tuple[Shape, Params]


def _given(graph: Graph, n: Args, p: Params) -> Rule:
    """The shape stands in the parameters' last place."""
    shape = graph.resolve_shape(p[-1])
    return shape, (*p[:-1], shape)


def _number(graph: Graph, n: Args, p: Params) -> Rule:
    return SCALAR, p


def sizes(xp: Arithmetic, shape: Shape) -> tuple[int, ...]:
    """The integers of a shape, at the sizes that this evaluation uses."""
    env = getattr(xp, "sizes", {})
    return tuple(d.evaluate(env) for d in shape)


# --- leaves ----------------------------------------------------------------------------------


def _fill_index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
    return t.const(node.params[0])


def _literal_position(t: Notation, node: Node) -> Index | None:
    value = node.params[0]
    return t.literal(int(value)) if node.is_number and value.denominator == 1 else None


def _literal_shape(graph: Graph, n: Args, p: Params) -> Rule:
    rows = p[0]
    return shape_of(len(rows), len(rows[0])), p


def _literal_index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
    total = t.const(Fraction(0))
    for r, row in enumerate(node.params[0], 1):
        for c, value in enumerate(row, 1):
            if value:
                term = t.const(value)
                for axis, place in ((0, r), (1, c)):
                    if node.shape[axis] != ONE:
                        term = term * t.delta(index[axis], t.literal(place))
                total = total + term
    return total


def _constant_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    return xp.array([[PI if xp.exact else np.pi]])


def _dim_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    return xp.array([[sizes(xp, (node.params[0],))[0]]])


def _dim_simplify(graph: Graph, n: Args, p: Params, shape: Shape) -> Node | None:
    size = graph.resolve(p[0]).as_int()
    return None if size is None else graph.number(size)


def _eye_shape(graph: Graph, n: Args, p: Params) -> Rule:
    size = graph.resolve(p[0])
    return (size, size), (size,)


def _eye_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    return xp.truth(np.eye(sizes(xp, node.shape)[0], dtype=bool))


# --- entries and ranges ----------------------------------------------------------------------
# A range along one axis is (start, length): start counted from zero, both dimensions.


def _slice_shape(graph: Graph, n: Args, p: Params) -> Rule:
    return tuple(graph.resolve(length) for _, length in p[0]), p


def _slice_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    where = tuple(slice(s, s + k) for s, k in ((sizes(xp, (a, b))) for a, b in node.params[0]))
    return args[0][(..., *where)]


def _slice_index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
    arg = node.args[0]
    own: list[Index] = []
    for (start, length), size, label in zip(node.params[0], arg.shape, index, strict=True):
        if size == ONE:
            own.append(None)
        elif length == ONE:
            place = start.as_int()
            own.append(t.literal(place + 1) if place is not None else t.shift(t.literal(1), start))
        else:
            own.append(t.shift(label, start))
    return t.arg(arg, own)


def _slice_simplify(graph: Graph, n: Args, p: Params, shape: Shape) -> Node | None:
    """A range of a whole axis is the whole; ranges move into joins, products and transposes."""
    x, ranges = n[0], p[0]
    if shape == graph.resolve_shape(x.shape):
        return x
    if x.fill is not None:
        return graph.filled(x.fill, shape)
    if x.op.name == "concat":
        return _slice_of_concat(graph, x, ranges)
    if x.op.name == "transpose":
        return graph.make("slice", x.args[0], params=((ranges[1], ranges[0]),)).T
    if x.op.name == "neg":
        return -graph.make("slice", x.args[0], params=p)
    if x.op.name == "div" and x.args[1].is_number and not x.args[0].is_number:
        return graph.make("slice", x.args[0], params=p) / x.args[1]
    if x.op.name == "matmul" and all(len(a.shape) == 2 and not a.is_number for a in x.args):
        a, b = x.args
        whole_a, whole_b = (Dim.of(0), a.shape[1]), (Dim.of(0), b.shape[0])
        left = graph.make("slice", a, params=((ranges[0], whole_a),))
        right = graph.make("slice", b, params=((whole_b, ranges[1]),))
        return left @ right
    return None


def _slice_of_concat(graph: Graph, x: Node, ranges: tuple[tuple[Dim, Dim], ...]) -> Node | None:
    """The range of the one part that it lies in."""
    axis = x.params[0]
    start, length = ranges[axis]
    for part, offset in zip(x.args, _offsets(x), strict=True):
        inside = graph.resolve(start - offset)
        left = graph.resolve(part.shape[axis] - inside - length)
        low, high = inside.as_int(), left.as_int()
        if low is not None and high is not None and low >= 0 and high >= 0:
            own = list(ranges)
            own[axis] = (inside, length)
            return graph.make("slice", part, params=(tuple(own),))
    return None


def _embed_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    """Zeros of the given shape with the argument put at its offsets."""
    starts, shape = node.params
    inner = args[0]
    rank = len(shape)
    loops = inner.shape[: inner.ndim - rank]
    out = xp.full((*loops, *sizes(xp, shape)), Fraction(0))
    at = sizes(xp, starts)
    where = tuple(slice(s, s + k) for s, k in zip(at, inner.shape[-rank:], strict=True))
    out[(..., *where)] = inner
    return out


def _embed_index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
    starts, shape = node.params
    arg = node.args[0]
    term = t.const(Fraction(1))
    own: list[Index] = []
    bound: list[Index] = []
    for start, size, length, label in zip(starts, shape, arg.shape, index, strict=True):
        if size == ONE:
            own.append(None)
        elif length == ONE:
            place = start.as_int()
            spot = t.literal(place + 1) if place is not None else t.shift(t.literal(1), start)
            term = term * t.delta(label, spot)
            own.append(None)
        elif start == 0 and length == size:
            own.append(label)
        else:
            inner = t.fresh(length)
            term = term * t.embed(label, inner, start)
            own.append(inner)
            bound.append(inner)
    return t.sum(term * t.arg(arg, own), bound)


def _slice_pullback(node: Node, g: Node, y: Node) -> Sequence[Node | None]:
    starts = tuple(s for s, _ in node.params[0])
    return (node.graph.make("embed", g, params=(starts, node.args[0].shape)),)


def _embed_pullback(node: Node, g: Node, y: Node) -> Sequence[Node | None]:
    ranges = tuple(zip(node.params[0], node.args[0].shape, strict=True))
    return (node.graph.make("slice", g, params=(ranges,)),)


# pick(k) is the one-hot column (or row) with its one at position k, a number counted from one.


def _pick_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    axis, shape = node.params
    places = np.arange(1, sizes(xp, shape)[axis] + 1)
    places = places.reshape(-1, 1) if axis == 0 else places.reshape(1, -1)
    return xp.truth(args[0] == xp.array(places))


def _pick_index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
    place = t.position(node.args[0])
    label = index[node.params[0]]
    return t.opaque(node, index) if place is None else t.delta(label, place)


# --- joining and reshaping -------------------------------------------------------------------


def _concat_shape(graph: Graph, n: Args, p: Params) -> Rule:
    (axis,) = p
    shapes = [graph.resolve_shape(a.shape) for a in n]
    if any(len(s) != 2 for s in shapes) or axis not in (0, 1):
        raise ShapeProblem("concat joins columns and matrices along axis 0 or 1.")
    other = 1 - axis
    for s in shapes[1:]:
        if not graph.same(shapes[0][other], s[other]):
            raise misfit("concat", (shapes[0], s), "the axis that is not joined must agree")
    total = Dim.of(0)
    for s in shapes:
        total = total + s[axis]
    out = [shapes[0][0], shapes[0][1]]
    out[axis] = total
    return (out[0], out[1]), p


def _concat_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    loops = np.broadcast_shapes(*(a.shape[:-2] for a in args))
    parts = [np.broadcast_to(a, loops + a.shape[-2:]) for a in args]
    return np.concatenate(parts, axis=node.params[0] - 2)


def _offsets(node: Node) -> list[Dim]:
    result, at = [], Dim.of(0)
    for a in node.args:
        result.append(at)
        at = at + a.shape[node.params[0]]
    return result


def _concat_index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
    axis = node.params[0]
    total = t.const(Fraction(0))
    for arg, start in zip(node.args, _offsets(node), strict=True):
        own: list[Index] = list(index)
        length = arg.shape[axis]
        if length == ONE:
            place = start.as_int()
            spot = t.literal(place + 1) if place is not None else t.shift(t.literal(1), start)
            own[axis] = None
            total = total + t.delta(index[axis], spot) * t.arg(arg, own)
        else:
            inner = t.fresh(length)
            own[axis] = inner
            total = total + t.sum(t.embed(index[axis], inner, start) * t.arg(arg, own), (inner,))
    return total


def _concat_pullback(node: Node, g: Node, y: Node) -> Sequence[Node | None]:
    axis = node.params[0]
    results: list[Node | None] = []
    for arg, start in zip(node.args, _offsets(node), strict=True):
        ranges = [(Dim.of(0), node.shape[0]), (Dim.of(0), node.shape[1])]
        ranges[axis] = (start, arg.shape[axis])
        results.append(node.graph.make("slice", g, params=(tuple(ranges),)))
    return results


def _concat_simplify(graph: Graph, n: Args, p: Params, shape: Shape) -> Node | None:
    if len(n) == 1:
        return n[0]
    first = n[0].fill
    if first is not None and all(a.fill == first for a in n):
        return graph.filled(first, shape)
    return None


def _size(shape: Shape) -> Dim:
    total = ONE
    for d in shape:
        total = total * d
    return total


def _reshape_shape(graph: Graph, n: Args, p: Params) -> Rule:
    shape = graph.resolve_shape(p[0])
    if _size(graph.resolve_shape(n[0].shape)) != _size(shape):
        raise misfit("a reshape", (n[0].shape, shape))
    return shape, (shape,)


def _reshape_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    rank = len(node.args[0].shape)
    a = args[0]
    return a.reshape(*a.shape[: a.ndim - rank], *sizes(xp, node.params[0]))


def _reshape_index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
    """Row-major: an axis of the product of two becomes a composite index."""
    own = [d for d in node.args[0].shape if d != ONE]
    new = [(d, i) for d, i in zip(node.shape, index, strict=True) if d != ONE]
    if own == [d for d, _ in new]:
        return t.arg(node.args[0], _spaced(node.args[0].shape, [i for _, i in new]))
    term, bound, labels = t.const(Fraction(1)), [], []
    pending = list(new)
    for size in own:  # match axes one by one; split a product axis where one side has it
        if pending and pending[0][0] == size:
            labels.append(pending.pop(0)[1])
            continue
        if pending and size != pending[0][0]:
            rest = pending[0][0].divide(size)
            if rest is not None:  # the result's axis is a product: split its index
                cond, major, minor = t.split(pending[0][1], size, rest)
                term = term * cond
                bound += [major, minor]
                labels.append(major)
                pending[0] = (rest, minor)
                continue
            need, got = [], ONE
            while pending and got != size:
                need.append(pending.pop(0))
                got = got * need[-1][0]
            if got == size and len(need) == 2:  # the argument's axis is a product: join indices
                whole = t.fresh(size)
                cond, major, minor = t.split(whole, need[0][0], need[1][0])
                term = term * cond * t.delta(major, need[0][1]) * t.delta(minor, need[1][1])
                bound += [whole, major, minor]
                labels.append(whole)
                continue
        return t.opaque(node, index)
    if pending:
        return t.opaque(node, index)
    return t.sum(term * t.arg(node.args[0], _spaced(node.args[0].shape, labels)), bound)


def _spaced(shape: Shape, labels: Sequence[Index]) -> list[Index]:
    rest = iter(labels)
    return [None if d == ONE else next(rest) for d in shape]


def _reshape_simplify(graph: Graph, n: Args, p: Params, shape: Shape) -> Node | None:
    if n[0].shape == shape:
        return n[0]
    if n[0].op.name == "reshape":
        return graph.make("reshape", n[0].args[0], params=(shape,))
    if n[0].fill is not None:
        return graph.filled(n[0].fill, shape)
    return None


# --- loops -----------------------------------------------------------------------------------


def _own_loop(nodes: Args, params: Params) -> tuple[Loop, ...]:
    return (params[0],)


def _loop_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    n = sizes(xp, (node.params[0].size,))[0]
    return xp.array(np.arange(1, n + 1)).reshape(n, 1, 1)


def _reduce_shape(graph: Graph, n: Args, p: Params) -> Rule:
    return n[0].shape, p


def _reduce_loops(nodes: Args, params: Params) -> tuple[Loop, ...]:
    return tuple(v for v in merged_loops(nodes) if v is not params[1] and v != params[1])


_EMPTY: dict[str, Any] = {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min}


def _reduce_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    kind, loop = node.params
    loops = merged_loops(node.args)
    body = args[0]
    if len(args) == 2:
        neutral = {"sum": 0, "prod": 1, "max": -(10**12), "min": 10**12}[kind]
        mask = args[1].reshape(*args[1].shape[:-2], *[1] * len(node.shape))
        body = np.where(mask != 0, body, xp.const(Fraction(neutral)))
    size = sizes(xp, (loop.size,))[0]
    if loop not in loops:  # the same for every setting of the loop
        if kind == "prod":
            return xp.power(body, xp.full((1,) * body.ndim, Fraction(size)))
        return body * xp.const(Fraction(size)) if kind == "sum" else body
    axis = loops.index(loop)
    if body.shape[axis] != size:
        body = np.repeat(body, size, axis=axis)
    return _EMPTY[kind](body, axis=axis)


def _reduce_index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
    kind, loop = node.params
    label = t.fresh(loop.size)
    body = t.bind(loop, label, node.args[0], index)
    if len(node.args) == 2:
        mask = t.bind(loop, label, node.args[1], (None, None))
        if kind != "sum":
            return t.opaque(node, index)
        body = body * mask
    if kind == "sum":
        return t.sum(body, (label,))
    return t.reduction(kind, body, (label,))


def _reduce_pullback(node: Node, g: Node, y: Node) -> Sequence[Node | None]:
    kind, loop = node.params
    make = node.graph.make
    body, *masks = node.args
    if kind == "sum":
        share = g
    elif kind == "prod":
        share = g * (y / body)
    else:  # entries that are always equal share, as in a reduction over axes
        best = make("eq", body, node)
        for mask in masks:
            best = best * mask
        share = g * (best / make("reduce", best, params=("sum", loop)))
    for mask in masks:
        share = make("where", mask, share, 0)
    if loop not in share.loops and loop not in body.loops:  # every setting gives the same share
        share = share * make("dim", params=(loop.size,))
    return (share, *(None for _ in masks))


def _collect_shape(graph: Graph, n: Args, p: Params) -> Rule:
    order, shape = p
    return graph.resolve_shape(shape), (order, graph.resolve_shape(shape))


def _collect_loops(nodes: Args, params: Params) -> tuple[Loop, ...]:
    gone = {v for v in params[0] if isinstance(v, Loop)}
    return tuple(v for v in nodes[0].loops if v not in gone)


def _collect_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    """Loop axes and core axes in the given order; an int is a core axis of the argument."""
    order, shape = node.params
    arg, a = node.args[0], args[0]
    loops = list(arg.loops)
    for entry in order:  # a loop the argument does not depend on repeats it
        if isinstance(entry, Loop) and entry not in loops:
            loops.append(entry)
            n = sizes(xp, (entry.size,))[0]
            a = np.repeat(np.expand_dims(a, len(loops) - 1), n, axis=len(loops) - 1)
    kept = [k for k, v in enumerate(loops) if v not in order]
    moved = [loops.index(v) if isinstance(v, Loop) else len(loops) + v for v in order]
    for k, v in enumerate(loops):
        n = sizes(xp, (v.size,))[0]
        if v in order and a.shape[k] != n:
            a = np.repeat(a, n, axis=k)
    dropped = [k for k in range(a.ndim) if k not in kept and k not in moved]
    a = np.transpose(a, [*kept, *moved, *dropped])
    return a.reshape(*a.shape[: len(kept)], *sizes(xp, shape))


def _collect_index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
    order, shape = node.params
    arg = node.args[0]
    labels = iter([i for i, d in zip(index, shape, strict=True) if d != ONE])
    core: list[Index] = [None] * len(arg.shape)
    loops: list[tuple[Loop, Index]] = []
    for entry in order:
        label = next(labels)
        if isinstance(entry, Loop):
            loops.append((entry, label))
        else:
            core[entry] = label
    return t.bind([v for v, _ in loops], [i for _, i in loops], arg, core)  # type: ignore[arg-type]


def _collect_pullback(node: Node, g: Node, y: Node) -> Sequence[Node | None]:
    order, _ = node.params
    return (node.graph.make("spread", g, params=(order, node.args[0].shape)),)


def _spread_loops(nodes: Args, params: Params) -> tuple[Loop, ...]:
    own = {v for v in params[0] if isinstance(v, Loop)} | set(nodes[0].loops)
    return tuple(sorted(own, key=lambda v: v.id))


def _spread_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    order, shape = node.params
    arg, a = node.args[0], args[0]
    rank = len(arg.shape)
    base = a.ndim - rank
    flat = a.reshape(
        *a.shape[:base], *(s for s, d in zip(a.shape[base:], arg.shape, strict=True) if d != ONE)
    )
    names: list[Loop | int] = [*arg.loops, *order]
    core = [k for k in range(len(shape)) if k in [e for e in order if isinstance(e, int)]]
    wanted: list[Loop | int] = [*node.loops, *core]
    a = np.transpose(flat, [names.index(w) for w in wanted])
    return a.reshape(*a.shape[: len(node.loops)], *sizes(xp, shape))


def _spread_index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
    order, _ = node.params
    arg = node.args[0]
    labels = [t.loop(e) if isinstance(e, Loop) else index[e] for e in order]
    return t.arg(arg, _spaced(arg.shape, labels))


def _spread_pullback(node: Node, g: Node, y: Node) -> Sequence[Node | None]:
    order, _ = node.params
    return (node.graph.make("collect", g, params=(order, node.args[0].shape)),)


def _onehot_loops(nodes: Args, params: Params) -> tuple[Loop, ...]:
    return tuple(sorted((v for v in params[0] if v is not None), key=lambda v: v.id))


def _onehot_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    loops, shape = node.params
    order, n = list(node.loops), sizes(xp, shape)
    rank = len(order) + len(shape)
    result = np.ones((1,) * rank, dtype=bool)
    for axis, loop in enumerate(loops):
        if loop is not None:
            dims = [1] * rank
            dims[order.index(loop)] = dims[len(order) + axis] = n[axis]
            eye = np.eye(n[axis], dtype=bool)
            result = result & eye.reshape(dims)
    return xp.truth(result)


def _onehot_index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
    term = t.const(Fraction(1))
    for loop, label in zip(node.params[0], index, strict=True):
        if loop is not None:
            term = term * t.delta(label, t.loop(loop))
    return term


OPERATORS: tuple[Operator, ...] = (
    Operator("fill", _given, lambda xp, n, a: xp.full(sizes(xp, n.shape), n.params[0]), _fill_index,
             position=_literal_position, written=writing.fill, entry=places.fill),
    Operator("name", _given, lambda xp, n, a: _unbound(n), lambda t, n, i: t.opaque(n, i),
             position=lambda t, n: t.given_index(n.params[0]), written=writing.name),
    Operator("literal", _literal_shape, lambda xp, n, a: xp.array(n.params[0]), _literal_index,
             written=writing.literal),
    Operator("constant", _number, _constant_numeric, lambda t, n, i: t.opaque(n, i),
             promises="positive", written=writing.name),
    Operator("dim", _number, _dim_numeric, lambda t, n, i: t.dim(n.params[0]),
             simplify=_dim_simplify, written=writing.dim),
    Operator("eye", _eye_shape, _eye_numeric, lambda t, n, i: t.delta(i[0], i[1]),
             written=writing.eye),
    Operator("slice", _slice_shape, _slice_numeric, _slice_index, _slice_pullback, _slice_simplify,
             says="the gradient put at its place, zero elsewhere", written=writing.slice_,
             moves=True),
    Operator("embed", _given, _embed_numeric, _embed_index, _embed_pullback,
             lambda graph, n, p, s: n[0] if n[0].shape == s else
             graph.filled(0, s) if n[0].fill == 0 else None, says="the part that was put in",
             written=writing.embed, moves=True),
    Operator("pick", _given, _pick_numeric, _pick_index, written=writing.pick),
    Operator("concat", _concat_shape, _concat_numeric, _concat_index, _concat_pullback,
             _concat_simplify, says="each part takes its share of the gradient",
             written=writing.concat, moves=True),
    Operator("reshape", _reshape_shape, _reshape_numeric, _reshape_index,
             lambda n, g, y: (n.graph.make("reshape", g, params=(n.args[0].shape,)),),
             _reshape_simplify, says="the same entries in another shape", written=writing.reshape,
             moves=True),
    Operator("loop", _number, _loop_numeric, lambda t, n, i: t.counted(t.loop(n.params[0])),
             loops=_own_loop,
             position=lambda t, n: t.loop(n.params[0]), written=writing.loop),
    Operator("reduce", _reduce_shape, _reduce_numeric, _reduce_index, _reduce_pullback,
             loops=_reduce_loops, additive=True, says="derivative of a sum, index by index",
             written=writing.reduce),
    Operator("collect", _collect_shape, _collect_numeric, _collect_index, _collect_pullback,
             loops=_collect_loops, says="entries collected into axes", written=writing.nothing,
             moves=True),
    Operator("spread", _given, _spread_numeric, _spread_index, _spread_pullback,
             loops=_spread_loops, says="axes read as indices", written=writing.spread, moves=True),
    Operator("onehot", _given, _onehot_numeric, _onehot_index, loops=_onehot_loops,
             written=writing.nothing),
)  # fmt: skip


def _unbound(node: Node) -> Array:
    raise KeyError(node.params[0])
