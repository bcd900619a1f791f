"""Linear algebra: products, transposes, inverses, determinants, diagonals, Kronecker products.

Matrices are the last two axes; everything repeats over loop axes before them. Products of
tensors contract the last axis of the left with the first of the right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from backproof.errors import ShapeProblem
from backproof.operators import norms, places, writing
from backproof.operators.arithmetic import Arithmetic
from backproof.operators.base import Array, Index, Notation, Operator, Params, Term, misfit
from backproof.operators.dims import ONE, SCALAR, Dim, Shape, show_shape, squeeze
from backproof.operators.node import Graph, Node
from backproof.operators.structure import sizes

Args = tuple[Node, ...]
Rule = tuple[Shape, Params]


def _square(graph: Graph, node: Node, what: str) -> Dim:
    rows, columns = node.shape[0], node.shape[-1]
    if len(node.shape) != 2 or not graph.same(rows, columns):
        raise ShapeProblem(f"{what} needs a square matrix, and got {show_shape(node.shape)}.")
    return graph.resolve(rows)


def _matrix(node: Node, what: str) -> None:
    if len(node.shape) != 2:
        raise ShapeProblem(f"{what} needs a matrix, and got a tensor {show_shape(node.shape)}.")


# --- matmul ----------------------------------------------------------------------------------


def _matmul_shape(graph: Graph, n: Args, p: Params) -> Rule:
    a, b = graph.resolve_shape(n[0].shape), graph.resolve_shape(n[1].shape)
    if len(a) == len(b) == 2:
        if n[0].is_number or n[1].is_number:  # the trace of two numbers written with @
            return (b if n[0].is_number else a), p
        if not graph.same(a[1], b[0]):
            raise misfit("@", (a, b), _matmul_hint(a, b))
        return (graph.resolve(a[0]), graph.resolve(b[1])), p
    left, right = _tensor_axes(a, b)
    if not left or not right or not graph.same(left[-1], right[0]):
        raise misfit("@", (a, b), "a product contracts the last axis with the first")
    return squeeze(left[:-1] + right[1:]), p


def _tensor_axes(a: Shape, b: Shape) -> tuple[Shape, Shape]:
    return tuple(d for d in a if d != ONE), tuple(d for d in b if d != ONE)


def _matmul_hint(a: Shape, b: Shape) -> str:
    if a[0] == b[0]:
        return "the inner dimensions must agree; the left operand transposed would fit"
    if a[1] == b[1]:
        return "the inner dimensions must agree; the right operand transposed would fit"
    return f"the inner dimensions must agree: {a[1]} on the left, {b[0]} on the right"


def _matmul_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    a, b = args
    x, y = node.args
    if x.is_number or y.is_number:
        return a * b
    if len(x.shape) == len(y.shape) == 2:
        return np.matmul(a, b)
    loops = a.ndim - len(x.shape)
    left, right = _tensor_axes(x.shape, y.shape)
    la, lb = "zyxwvu"[: len(left)], "tsrqpo"[: len(right)]
    lb = la[-1] + lb[1:]
    batch = "abcdefghij"[:loops]
    a = a.reshape(
        *a.shape[:loops], *[s for s, d in zip(a.shape[loops:], x.shape, strict=True) if d != ONE]
    )
    b = b.reshape(
        *b.shape[:loops], *[s for s, d in zip(b.shape[loops:], y.shape, strict=True) if d != ONE]
    )
    full = np.broadcast_shapes(a.shape[:loops], b.shape[:loops])
    a = np.broadcast_to(a, full + a.shape[loops:])
    b = np.broadcast_to(b, full + b.shape[loops:])
    out = np.asarray(np.einsum(f"{batch}{la},{batch}{lb}->{batch}{la[:-1]}{lb[1:]}", a, b))
    return out.reshape(*full, *sizes(xp, node.shape))


def _matmul_index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
    x, y = node.args
    if x.is_number or y.is_number:
        a, b = (x, y) if x.is_number else (y, x)
        return t.arg(a, (None, None)) * t.arg(b, index)
    if len(x.shape) == len(y.shape) == 2:
        k = t.fresh(x.shape[1])
        return t.sum(t.arg(x, (index[0], k)) * t.arg(y, (k, index[1])), (k,))
    left, _ = _tensor_axes(x.shape, y.shape)
    free = [i for i, d in zip(index, node.shape, strict=True) if d != ONE]
    k = t.fresh(left[-1])
    rows, columns = free[: len(left) - 1], free[len(left) - 1 :]
    return t.sum(
        t.arg(x, _place(x.shape, [*rows, k])) * t.arg(y, _place(y.shape, [k, *columns])), (k,)
    )


def _place(shape: Shape, labels: Sequence[Index]) -> list[Index]:
    """The labels at the axes that are not 1."""
    rest = iter(labels)
    return [None if d == ONE else next(rest) for d in shape]


def _matmul_pullback(node: Node, g: Node, y: Node) -> Sequence[Node | None]:
    a, b = node.args
    if a.is_number or b.is_number:
        return g * b, g * a
    if len(a.shape) == len(b.shape) == 2:
        return g @ b.T, a.T @ g
    left, right = _tensor_axes(a.shape, b.shape)
    la, lb = "zyxwvu"[: len(left)], "tsrqpo"[: len(right)]
    lb = la[-1] + lb[1:]
    out = la[:-1] + lb[1:]
    make = node.graph.make
    return (
        make("reshape", make("einsum", g, b, params=(f"{out},{lb}->{la}",)), params=(a.shape,)),
        make("reshape", make("einsum", a, g, params=(f"{la},{out}->{lb}",)), params=(b.shape,)),
    )


def _matmul_simplify(graph: Graph, n: Args, p: Params, shape: Shape) -> Node | None:
    a, b = n
    if a.is_number or b.is_number:
        return a * b
    if a.fill == 0 or b.fill == 0:
        return graph.filled(0, shape)
    if a.op.name == "eye":
        return b
    if b.op.name == "eye":
        return a
    if a.op.name == "neg":
        return -(a.args[0] @ b)
    if b.op.name == "neg":
        return -(a @ b.args[0])
    return None


# --- transpose, trace, det, inv --------------------------------------------------------------


def _transpose_shape(graph: Graph, n: Args, p: Params) -> Rule:
    if len(n[0].shape) != 2:
        raise ShapeProblem(f".T needs a matrix, and got a tensor {show_shape(n[0].shape)}.")
    return (n[0].shape[1], n[0].shape[0]), p


def _transpose_simplify(graph: Graph, n: Args, p: Params, shape: Shape) -> Node | None:
    a = n[0]
    if a.is_number or a.op.name in ("eye", "diag_of"):
        return a
    if a.op.name == "transpose":
        return a.args[0]
    if a.op.name == "neg":
        return -a.args[0].T
    if a.fill is not None:
        return graph.filled(a.fill, shape)
    return None


def _number_of_square(what: str):  # type: ignore[no-untyped-def]
    def rule(graph: Graph, n: Args, p: Params) -> Rule:
        _square(graph, n[0], what)
        return SCALAR, p

    return rule


def _same_square(what: str):  # type: ignore[no-untyped-def]
    def rule(graph: Graph, n: Args, p: Params) -> Rule:
        size = _square(graph, n[0], what)
        return (size, size), p

    return rule


def _trace_index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
    k = t.fresh(node.args[0].shape[0])
    return t.sum(t.arg(node.args[0], (k, k)), (k,))


def _trace_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    diagonal = np.diagonal(args[0], axis1=-2, axis2=-1)[..., None]
    return np.sum(diagonal, axis=-2, keepdims=True)


def _logdet_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    return xp.apply("logabs", xp.det(args[0]))[..., None, None]


# --- diagonals and triangles -----------------------------------------------------------------


def _diag_of_shape(graph: Graph, n: Args, p: Params) -> Rule:
    return (n[0].shape[0], n[0].shape[0]), p


def _diag_of_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    x = args[0]
    eye = xp.truth(np.eye(x.shape[-2], dtype=bool))
    return x * eye


def _diag_part_shape(graph: Graph, n: Args, p: Params) -> Rule:
    return (_square(graph, n[0], "diag"), ONE), p


def _tri(name: str) -> Operator:
    mask = np.tri if name == "tril" else lambda r, c: np.tri(c, r).T

    def numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
        keep = mask(args[0].shape[-2], args[0].shape[-1]) != 0
        return np.where(keep, args[0], args[0] * 0)

    def shape(graph: Graph, n: Args, p: Params) -> Rule:
        _matrix(n[0], name)
        return n[0].shape, p

    def index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
        row, column = (t.literal(1) if k is None else k for k in index)
        outside = t.before(row, column) if name == "tril" else t.before(column, row)
        entry = t.arg(node.args[0], index)
        return entry + t.const(Fraction(-1)) * outside * entry

    return Operator(
        name, shape, numeric, index,
        pullback=lambda n, g, y: (n.graph.make(name, g),), says=f"{name} keeps its triangle",
    )  # fmt: skip


# --- kron, einsum ----------------------------------------------------------------------------


def _kron_shape(graph: Graph, n: Args, p: Params) -> Rule:
    for a in n:
        _matrix(a, "kron")
    (m, k), (q, r) = n[0].shape, n[1].shape
    return (m * q, k * r), p


def _kron_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    a, b = args
    product = a[..., :, None, :, None] * b[..., None, :, None, :]
    *loops, m, q, k, r = product.shape
    return product.reshape(*loops, m * q, k * r)


def _kron_index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
    (m, k), (q, r) = node.args[0].shape, node.args[1].shape
    rows, i, p = t.split(index[0], m, q)
    columns, j, s = t.split(index[1], k, r)
    inner = t.arg(node.args[0], (i, j)) * t.arg(node.args[1], (p, s))
    parts = [label for label in (i, p, j, s) if label not in (index[0], index[1])]
    return t.sum(rows * columns * inner, parts)


def _kron_pullback(node: Node, g: Node, y: Node) -> Sequence[Node | None]:
    a, b = node.args
    (m, k), (q, r) = a.shape, b.shape
    make = node.graph.make
    ones = [d == ONE for d in (m, q, k, r)]
    letters = "".join(c for c, o in zip("mqkr", ones, strict=True) if not o)
    la = "".join(c for c in "mk" if c in letters)
    lb = "".join(c for c in "qr" if c in letters)
    blocks = make("reshape", g, params=(squeeze((m, q, k, r)),))
    return (
        make(
            "reshape",
            make("einsum", blocks, b, params=(f"{letters},{lb}->{la}",)),
            params=(a.shape,),
        ),
        make(
            "reshape",
            make("einsum", blocks, a, params=(f"{letters},{la}->{lb}",)),
            params=(b.shape,),
        ),
    )


def _einsum_parts(params: Params) -> tuple[list[str], str]:
    left, _, right = params[0].partition("->")
    return left.split(","), right


def _einsum_shape(graph: Graph, n: Args, p: Params) -> Rule:
    sides, out = _einsum_parts((p[0].replace(" ", ""),))
    if len(sides) != len(n):
        raise ShapeProblem(f"einsum names {len(sides)} operands, and got {len(n)}.")
    known: dict[str, Dim] = {}
    for letters, node in zip(sides, n, strict=True):
        axes = (
            [d for d in node.shape if d != ONE] if len(letters) != len(node.shape) else node.shape
        )
        if len(axes) != len(letters):
            raise ShapeProblem(
                f"einsum writes {letters!r} for an operand of shape {show_shape(node.shape)}."
            )
        for letter, size in zip(letters, axes, strict=True):
            if letter in known and not graph.same(known[letter], size):
                raise ShapeProblem(
                    f"einsum's axis {letter!r} is {known[letter]} in one operand "
                    f"and {size} in another."
                )
            known.setdefault(letter, graph.resolve(size))
    missing = [c for c in out if c not in known]
    if missing:
        raise ShapeProblem(f"einsum's result has the axis {missing[0]!r} that no operand has.")
    axes = tuple(known[c] for c in out)
    shape = axes if len(axes) == 2 else squeeze(axes)
    return shape, (f"{','.join(sides)}->{out}",)


def _einsum_numeric(xp: Arithmetic, node: Node, args: list[Array]) -> Array:
    sides, out = _einsum_parts(node.params)
    batch, operands, terms = "", [], []
    loops = args[0].ndim - len(node.args[0].shape)
    full = np.broadcast_shapes(*(a.shape[:loops] for a in args))
    batch = "ABCDEFGHIJ"[:loops]
    for letters, node_, a in zip(sides, node.args, args, strict=True):
        core = a.shape[loops:]
        if len(letters) != len(node_.shape):
            core = tuple(s for s, d in zip(core, node_.shape, strict=True) if d != ONE)
        operands.append(np.broadcast_to(a.reshape((*a.shape[:loops], *core)), full + core))
        terms.append(batch + letters)
    result = np.asarray(np.einsum(f"{','.join(terms)}->{batch}{out}", *operands))
    return result.reshape(*full, *sizes(xp, node.shape))


def _einsum_index(t: Notation, node: Node, index: Sequence[Index]) -> Term:
    sides, out = _einsum_parts(node.params)
    free = list(index) if len(out) == len(node.shape) else [
        i for i, d in zip(index, node.shape, strict=True) if d != ONE
    ]  # fmt: skip
    labels: dict[str, Index] = dict(zip(out, free, strict=False))
    bound: list[Index] = []
    product = t.const(Fraction(1))
    for letters, arg in zip(sides, node.args, strict=True):
        full = len(letters) == len(arg.shape)
        axes = list(arg.shape) if full else [d for d in arg.shape if d != ONE]
        for letter, size in zip(letters, axes, strict=True):
            if letter not in labels:
                labels[letter] = t.fresh(size)
                bound.append(labels[letter])
        own = [labels[c] for c in letters]
        place = own if full else _place(arg.shape, own)
        place = [None if d == ONE else i for i, d in zip(place, arg.shape, strict=True)]
        product = product * t.arg(arg, place)
    return t.sum(product, bound)


def _einsum_pullback(node: Node, g: Node, y: Node) -> Sequence[Node | None]:
    """Each operand's share is an einsum of the gradient with the other operands.

    Axes of 1 carry no letter here. An axis that is summed away meets a vector of ones; an axis
    that an operand repeats (`ii`) is split in two, which an identity holds together.
    """
    graph = node.graph
    sides, out = _einsum_parts(node.params)
    sizes_of: dict[str, Dim] = {}
    for letters, arg in zip(sides, node.args, strict=True):
        sizes_of.update(zip(letters, _axes(arg, letters), strict=True))
    sides, out = [_long_axes(s, sizes_of) for s in sides], _long_axes(out, sizes_of)
    spare = [c for c in "abcdefghijklmnopqrstuvwxyz" if c not in sizes_of]
    results: list[Node | None] = []
    for k, (letters, arg) in enumerate(zip(sides, node.args, strict=True)):
        operands, terms = [g], [out]
        for j, other in enumerate(node.args):
            if j != k:
                operands.append(other)
                terms.append(sides[j])
        known, target, free = set("".join(terms)), "", list(spare)
        for letter in letters:
            if letter in target:
                twin = free.pop()
                operands.append(graph.make("eye", params=(sizes_of[letter],)))
                terms.append(letter + twin)
                target += twin
                continue
            if letter not in known:
                operands.append(graph.filled(1, (sizes_of[letter], ONE)))
                terms.append(letter)
            target += letter
        share = graph.make("einsum", *operands, params=(f"{','.join(terms)}->{target}",))
        results.append(graph.make("reshape", share, params=(arg.shape,)))
    return results


def _long_axes(letters: str, sizes_of: Mapping[str, Dim]) -> str:
    return "".join(c for c in letters if sizes_of[c] != ONE)


def _axes(node: Node, letters: str) -> list[Dim]:
    return (
        list(node.shape) if len(letters) == len(node.shape) else [d for d in node.shape if d != ONE]
    )


OPERATORS: tuple[Operator, ...] = (
    Operator("matmul", _matmul_shape, _matmul_numeric, _matmul_index, _matmul_pullback,
             _matmul_simplify,
             says="product rule for matrices: ∇_A(AB)·G = G Bᵀ, ∇_B(AB)·G = Aᵀ G",
             size=norms.matrix_product, entry=places.matrix_product),
    Operator("transpose", _transpose_shape, lambda xp, n, a: np.swapaxes(a[0], -1, -2),
             lambda t, n, i: t.arg(n.args[0], (i[1], i[0])), lambda n, g, y: (g.T,),
             _transpose_simplify, says="transpose of the gradient", moves=True,
             size=norms.same, entry=places.transpose),
    Operator("trace", _number_of_square("trace"),
             _trace_numeric, _trace_index,
             lambda n, g, y: (g * n.graph.make("eye", params=(n.args[0].shape[0],)),),
             says="derivative of the trace: I", size=norms.trace),
    Operator("det", _number_of_square("det"), lambda xp, n, a: xp.det(a[0])[..., None, None],
             lambda t, n, i: t.det(n.args[0]),
             lambda n, g, y: (g * (y * n.graph.make("inv", n.args[0]).T),),
             says="Jacobi: derivative of det is det(A) A⁻ᵀ", abrupt=True),
    Operator("logdet", _number_of_square("logdet"), _logdet_numeric,
             lambda t, n, i: t.func("log", t.det(n.args[0])),
             lambda n, g, y: (g * n.graph.make("inv", n.args[0]).T,),
             says="derivative of log |det|: A⁻ᵀ", abrupt=True,
             needs=(0, "the determinant is zero")),
    Operator("inv", _same_square("inv"), lambda xp, n, a: xp.inv(a[0]),
             lambda t, n, i: t.inverse(n.args[0], i[0], i[1]),
             lambda n, g, y: (-(y.T @ g @ y.T),),
             lambda graph, n, p, s: n[0].args[0] if n[0].op.name == "inv" else
             n[0] if n[0].op.name == "eye" else 1 / n[0] if n[0].is_number else None,
             domain="nonzero", says="derivative of the inverse: -A⁻ᵀ G A⁻ᵀ", abrupt=True,
             needs=(0, "the matrix has no inverse")),
    Operator("diag_of", _diag_of_shape, _diag_of_numeric,
             lambda t, n, i: t.delta(i[0], i[1]) * t.arg(n.args[0], (i[0], None)),
             lambda n, g, y: (n.graph.make("diag_part", g),),
             lambda graph, n, p, s: n[0] if n[0].is_number else
             graph.make("eye", params=(s[0],)) if n[0].fill == 1 else None,
             says="the diagonal of the gradient", written=writing.call("diag"), moves=True),
    Operator("diag_part", _diag_part_shape,
             lambda xp, n, a: np.diagonal(a[0], axis1=-2, axis2=-1)[..., None],
             lambda t, n, i: t.arg(n.args[0], (i[0], i[0])),
             lambda n, g, y: (n.graph.make("diag_of", g),),
             lambda graph, n, p, s: n[0].args[0] if n[0].op.name == "diag_of" else
             n[0] if n[0].is_number else None, says="a diagonal matrix of the gradient",
             written=writing.call("diag"), moves=True),
    _tri("tril"), _tri("triu"),
    Operator("kron", _kron_shape, _kron_numeric, _kron_index, _kron_pullback,
             says="each factor meets the blocks of the gradient"),
    Operator("einsum", _einsum_shape, _einsum_numeric, _einsum_index, _einsum_pullback,
             says="the index written out", written=writing.einsum),
)  # fmt: skip
