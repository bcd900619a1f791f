"""How each operator acts on many samples: the `batch` rules, family by family.

A rule gets the node for one sample and its arguments for all samples, at least one of which
differs from sample to sample. An operator without a rule has no matrix form over samples.
"""

from __future__ import annotations

from collections.abc import Callable

from backproof.operators.base import BatchRule, Operator
from backproof.operators.dims import ONE, Dim
from backproof.operators.node import Loop, Node
from backproof.operators.samples import (
    COUNTED,
    Column,
    Diagonal,
    Factor,
    Index,
    Matrix,
    Sampled,
    Samples,
    Shared,
)

Args = tuple[Sampled, ...]
_DIFFERS = "works entry by entry on a matrix that differs from sample to sample"


# --- elementwise -------------------------------------------------------------------------------


def elementwise(s: Samples, node: Node, args: Args) -> Sampled:
    """The same operator on all samples at once; what is shared is repeated by broadcasting."""
    if any(isinstance(a, Index) for a in args):
        s.fail(COUNTED)
    if len(node.shape) != 2 or ONE not in node.shape or any(isinstance(a, Matrix) for a in args):
        s.fail(_DIFFERS)
    turned = node.shape[0] == ONE and not node.is_number
    full = node.is_number or any(isinstance(a, Column) and not s.is_number(a) for a in args)
    nodes = []
    for a in args:
        assert isinstance(a, Shared | Column)
        if isinstance(a, Column):
            nodes.append(a.node)
        elif full or a.node.is_number:
            nodes.append(s.beside(a.node))
        else:  # the samples bring numbers only: a shared column is written out for each
            nodes.append(s.repeated(a.node))
    return Column(s.graph.make(node.op.name, *nodes, params=node.params), turned)


def _waits(args: Args) -> bool:
    """Whether a matrix that differs from sample to sample takes part."""
    return any(isinstance(a, Matrix) for a in args)


def _sum(sign: int) -> BatchRule:
    def rule(s: Samples, node: Node, args: Args) -> Sampled:
        if not _waits(args):
            return elementwise(s, node, args)
        if any(s.is_number(a) for a in args if not isinstance(a, Index)):
            s.fail(_DIFFERS)
        a, b = args
        right = s.products(b) if sign > 0 else s.map_products(b, _negative).products
        return Matrix((*s.products(a), *right))

    return rule


def _negative(factor: Factor) -> Factor:
    if isinstance(factor, Column):
        return Column(-factor.node, factor.turned)
    return type(factor)(-factor.node)


def _neg(s: Samples, node: Node, args: Args) -> Sampled:
    return s.map_products(args[0], _negative) if _waits(args) else elementwise(s, node, args)


def _mul(s: Samples, node: Node, args: Args) -> Sampled:
    a, b = args
    if isinstance(a, Index) or isinstance(b, Index):
        s.fail(COUNTED)
    for x, y in ((a, b), (b, a)):
        if not s.is_number(x):
            continue
        if isinstance(x, Column) and isinstance(y, Shared) and not y.node.is_number:
            return s.matmul(x, y)  # a rank one product, c w: one column of w's scale a sample
        if isinstance(y, Matrix):
            return s.map_products(y, lambda f, x=x: _scale(s, x, f))  # type: ignore[misc]
    if ONE not in node.shape and len(node.shape) == 2:
        return _rows_or_columns_scaled(s, a, b)
    return elementwise(s, node, args)


def _scale(s: Samples, number: Shared | Column, factor: Factor) -> Factor:
    """A factor times a number (one for all, or one a sample)."""
    if isinstance(factor, Column):
        return Column(number.node * factor.node, factor.turned)
    if isinstance(factor, Diagonal):
        return Diagonal(number.node * factor.node)
    if isinstance(number, Shared):
        return Shared(number.node * factor.node)
    length = factor.node.shape[0]
    return Diagonal(s.repeated(s.graph.filled(1, (length, ONE))) * number.node)


def _rows_or_columns_scaled(s: Samples, a: Sampled, b: Sampled) -> Sampled:
    """u * M with a column u is diag(u) @ M, with a row M @ diag(u); outer products multiply."""
    for x, y in ((a, b), (b, a)):
        if isinstance(x, Column) and isinstance(y, Shared | Matrix):
            d: tuple[Factor, ...] = (Diagonal(x.node),)
            return Matrix(tuple((*q, *d) if x.turned else (*d, *q) for q in s.products(y)))
    p, q = s.products(a), s.products(b)
    if len(p) == len(q) == 1 and len(p[0]) == len(q[0]) == 2:
        pairs = list(zip(p[0], q[0], strict=True))
        if all(isinstance(x, Column) and isinstance(y, Column) for x, y in pairs):
            return Matrix((tuple(Column(x.node * y.node, x.turned) for x, y in pairs),))  # type: ignore[union-attr]
    s.fail(_DIFFERS)


def _div(s: Samples, node: Node, args: Args) -> Sampled:
    a, b = args
    if isinstance(a, Matrix) and s.is_number(b):
        assert isinstance(b, Shared | Column)
        inverse = 1 / b.node
        number: Shared | Column = Shared(inverse) if isinstance(b, Shared) else Column(inverse)
        return s.map_products(a, lambda f: _scale(s, number, f))
    return elementwise(s, node, args)


def _pow(s: Samples, node: Node, args: Args) -> Sampled:
    a, b = args
    if isinstance(a, Matrix) and isinstance(b, Shared) and b.node.is_number:
        if len(a.products) == 1 and all(isinstance(f, Column) for f in a.products[0]):
            return Matrix(
                (tuple(Column(f.node**b.node, f.turned) for f in a.products[0]),)  # type: ignore[union-attr]
            )
        s.fail(_DIFFERS)
    return elementwise(s, node, args)


# --- linear algebra ----------------------------------------------------------------------------


def _matmul(s: Samples, node: Node, args: Args) -> Sampled:
    if any(len(a.shape) != 2 for a in node.args):
        s.fail("takes a product with a tensor, which has no matrix form over samples")
    return s.matmul(args[0], args[1])


def _transpose(s: Samples, node: Node, args: Args) -> Sampled:
    return s.transposed(args[0])


def _diag_of(s: Samples, node: Node, args: Args) -> Sampled:
    (a,) = args
    if not isinstance(a, Column):
        s.fail(COUNTED)
    return Matrix(((Diagonal(a.node),),))


def _diag_part(s: Samples, node: Node, args: Args) -> Sampled:
    parts: list[Shared | Column | Matrix] = []
    for product in s.products(args[0]):
        match product:
            case (Diagonal(u),):
                parts.append(Column(u))
            case (Shared(m),):
                parts.append(Shared(s.graph.make("diag_part", m)))
            case (Column(u, False), Column(v, True)):
                parts.append(Column(u * v))
            case _:
                s.fail("takes the diagonal of a matrix that differs from sample to sample")
    return s.sum_of(parts)


def _trace(s: Samples, node: Node, args: Args) -> Sampled:
    (a,) = args
    assert isinstance(a, Matrix)
    return s.trace(a)


def _einsum(s: Samples, node: Node, args: Args) -> Sampled:
    """One more letter, for the samples, on everything that differs from sample to sample."""
    left, _, out = str(node.params[0]).partition("->")
    sides = left.split(",")
    fresh = next(c for c in "bszmBSZM" if c not in node.params[0])
    sizes: dict[str, Dim] = {}
    for letters, arg in zip(sides, node.args, strict=True):
        whole = len(letters) == len(arg.shape)
        sizes.update(zip(letters, [d for d in arg.shape if whole or d != ONE], strict=True))

    def with_samples(letters: str) -> str:
        kept = [c for c in letters if sizes[c] != ONE]
        if len(kept) > 1:
            s.fail("gives a matrix for every sample")
        return "".join([fresh, *kept] if s.rows else [*kept, fresh])

    nodes, terms = [], []
    for letters, a in zip(sides, args, strict=True):
        if not isinstance(a, Shared | Column):
            s.fail("works on a matrix that differs from sample to sample")
        nodes.append(a.node)
        terms.append(letters if isinstance(a, Shared) else with_samples(letters))
    spec = f"{','.join(terms)}->{with_samples(out)}"
    result = s.graph.make("einsum", *nodes, params=(spec,))
    if node.is_number and not s.rows:
        result = result.T
    return Column(result, turned=node.shape[0] == ONE and not node.is_number)


# --- reductions --------------------------------------------------------------------------------


def _over_entries(s: Samples, node: Node, a: Sampled) -> Column:
    """The argument of a reduction, once it is known to run over the entries of each sample."""
    if isinstance(a, Index):
        s.fail(COUNTED)
    if not isinstance(a, Column):
        s.fail("runs over a matrix that differs from sample to sample")
    axis = node.params[0]
    if axis is not None and axis != (1 if a.turned else 0) and not s.is_number(a):
        s.fail(f"runs over axis={axis}, which has a single entry for one sample")
    return a


def _reduce(keeps_shape: bool) -> BatchRule:
    def rule(s: Samples, node: Node, args: Args) -> Sampled:
        a = _over_entries(s, node, args[0])
        result = s.graph.make(node.op.name, a.node, params=(s.feature,))
        return Column(result, a.turned and keeps_shape)

    return rule


def _sum_rule(s: Samples, node: Node, args: Args) -> Sampled:
    (a,) = args
    if not isinstance(a, Matrix):
        return _reduce(False)(s, node, args)
    rows, columns = node.args[0].shape
    ones = [Shared(s.graph.filled(1, shape)) for shape in ((ONE, rows), (columns, ONE))]
    axis = node.params[0]
    result: Sampled = a
    if axis in (None, 1):
        result = s.matmul(result, ones[1])
    if axis in (None, 0):
        result = s.matmul(ones[0], result)
    return result


# --- entries, ranges, joining -------------------------------------------------------------------


def _span(s: Samples, entry: tuple[Dim, Dim]) -> tuple[tuple[Dim, Dim], ...]:
    whole = (Dim.of(0), s.size)
    return (whole, entry) if s.rows else (entry, whole)


def _slice(s: Samples, node: Node, args: Args) -> Sampled:
    (a,) = args
    rows, columns = node.params[0]
    if isinstance(a, Column):
        return _range(s, a, columns if a.turned else rows)
    if isinstance(a, Index):
        s.fail(COUNTED)
    parts = [_corner(s, p, rows, columns) for p in s.products(a)]
    return s.sum_of([s._chain(p) for p in parts])


def _range(s: Samples, a: Column, entry: tuple[Dim, Dim]) -> Column:
    return Column(s.graph.make("slice", a.node, params=(_span(s, entry),)), a.turned)


def _corner(
    s: Samples, product: tuple[Factor, ...], rows: tuple[Dim, Dim], columns: tuple[Dim, Dim]
) -> tuple[Factor, ...]:
    """Rows are taken of the first factor of a product, columns of the last."""
    factors = list(product)
    for at, axis, entry in ((0, 0, rows), (len(factors) - 1, 1, columns)):
        factor = factors[at]
        if isinstance(factor, Shared):
            whole = [(Dim.of(0), d) for d in factor.node.shape]
            whole[axis] = entry
            factors[at] = Shared(s.graph.make("slice", factor.node, params=(tuple(whole),)))
        elif isinstance(factor, Column) and factor.turned == bool(axis):
            factors[at] = _range(s, factor, entry)
        elif not (isinstance(factor, Column) and s.is_number(factor)):
            s.fail("takes entries of a diagonal matrix that differs from sample to sample")
    return tuple(factors)


def _embed(s: Samples, node: Node, args: Args) -> Sampled:
    (a,) = args
    starts, shape = node.params
    if not isinstance(a, Column) or len(shape) != 2 or ONE not in shape:
        s.fail("puts entries into a matrix that differs from sample to sample")
    long = 1 if shape[0] == ONE else 0
    at = (Dim.of(0), starts[long]) if s.rows else (starts[long], Dim.of(0))
    result = s.graph.make("embed", a.node, params=(at, s.shape(shape[long])))
    return Column(result, turned=long == 1)


def _pick(s: Samples, node: Node, args: Args) -> Sampled:
    (a,) = args
    axis, shape = node.params
    if isinstance(a, Index) and axis == 0 and s.graph.resolve(shape[0]) == a.node.shape[s.feature]:
        return Column(a.node)
    s.fail("takes an entry whose place is computed for each sample")


def _concat(s: Samples, node: Node, args: Args) -> Sampled:
    axis = node.params[0]
    turned = axis == 1
    if any(isinstance(a, Index) for a in args):
        s.fail(COUNTED)
    if node.shape[1 - axis] != ONE or any(isinstance(a, Matrix) for a in args):
        s.fail("would join columns into a matrix for every sample")
    nodes = []
    for a in args:
        assert isinstance(a, Shared | Column)
        nodes.append(a.node if isinstance(a, Column) else s.repeated(a.node))
    return Column(s.graph.make("concat", *nodes, params=(s.feature,)), turned)


def _reshape(s: Samples, node: Node, args: Args) -> Sampled:
    (a,) = args
    shape = node.shape
    if isinstance(a, Column) and len(shape) == 2 and ONE in shape:
        return Column(a.node, turned=shape[0] == ONE and shape[1] != ONE)
    s.fail("would give the entries of each sample the shape of a matrix")


# --- sums with an index -------------------------------------------------------------------------


def _spread(s: Samples, node: Node, args: Args) -> Sampled:
    (a,) = args
    order, _ = node.params
    if not isinstance(a, Column) or len(order) != 1:
        s.fail("indexes a matrix that differs from sample to sample")
    loop = order[0]
    new = (s.axis, loop) if s.rows else (loop, s.axis)
    return Column(s.graph.make("spread", a.node, params=(new, s.shape(ONE))))


def _collect(s: Samples, node: Node, args: Args) -> Sampled:
    (a,) = args
    order, shape = node.params
    if not (isinstance(a, Column) and s.is_number(a) and len(order) == 1 and len(shape) == 2):
        s.fail("would collect entries into a matrix for every sample")
    loop = order[0]
    assert isinstance(loop, Loop)
    new = (s.axis, loop) if s.rows else (loop, s.axis)
    result = s.graph.make("collect", a.node, params=(new, s.shape(loop.size)))
    return Column(result, turned=shape[0] == ONE)


def _loop_sum(s: Samples, node: Node, args: Args) -> Sampled:
    if not all(isinstance(a, Shared | Column) for a in args) or ONE not in node.shape:
        s.fail("sums a matrix that differs from sample to sample")
    body, *mask = args
    assert isinstance(body, Shared | Column)
    first = s.repeated(body.node) if isinstance(body, Shared) else body.node
    rest = [m.node for m in mask if isinstance(m, Shared | Column)]
    turned = node.shape[0] == ONE and not node.is_number
    return Column(s.graph.make("reduce", first, *rest, params=node.params), turned)


ELEMENTWISE: dict[str, BatchRule] = {
    "add": _sum(1), "sub": _sum(-1), "neg": _neg, "mul": _mul, "div": _div, "pow": _pow,
}  # fmt: skip
LINEAR: dict[str, BatchRule] = {
    "matmul": _matmul, "transpose": _transpose, "diag_of": _diag_of, "diag_part": _diag_part,
    "trace": _trace, "einsum": _einsum,
}  # fmt: skip
REDUCTIONS: dict[str, BatchRule] = {
    "sum": _sum_rule,
    **dict.fromkeys(("prod", "amax", "amin", "argmax", "logsumexp"), _reduce(False)),
    "softmax": _reduce(True),
}
STRUCTURE: dict[str, BatchRule] = {
    "slice": _slice, "embed": _embed, "pick": _pick, "concat": _concat, "reshape": _reshape,
    "spread": _spread, "collect": _collect, "reduce": _loop_sum,
}  # fmt: skip
_RULES = {**ELEMENTWISE, **LINEAR, **REDUCTIONS, **STRUCTURE}


def batch_rule(operator: Operator) -> BatchRule | None:
    """The rule of an operator: its own, or that of everything elementwise, or none."""
    own: Callable[..., Sampled] | None = _RULES.get(operator.name)
    return own or (elementwise if operator.elementwise else None)
