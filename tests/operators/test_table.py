"""Walks the whole table of operators: values, shapes and every local derivative.

Each operator has examples below; an operator without one fails. Derivatives are checked in
decimals by central differences along random directions, which leaves no room for a wrong rule.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from backproof.calculus.derive import pull_back
from backproof.calculus.evaluate import Evaluator
from backproof.operators.arithmetic import decimal_context
from backproof.operators.dims import ONE, Dim, Shape, shape_of
from backproof.operators.node import Graph, Node
from backproof.operators.table import TABLE, new_graph

STEP, NEAR = Decimal("1e-14"), Decimal("1e-20")
SIZES = {"n": 3, "m": 4, "k": 2}
POINTS = 3
HALF = Fraction(1, 2)
PIECEWISE = "constant between its jumps: its derivative is zero wherever there is one"
LEAF = "has no arguments to differentiate by"
NOT_DIFFERENTIABLE = {
    "step": PIECEWISE,
    "sign": PIECEWISE,
    "floor": PIECEWISE,
    "ceil": PIECEWISE,
    "gt": PIECEWISE,
    "ge": PIECEWISE,
    "lt": PIECEWISE,
    "le": PIECEWISE,
    "eq": PIECEWISE,
    "ne": PIECEWISE,
    "argmax": PIECEWISE,
    "pick": "its argument is a position, which is counted and not varied",
    "stop": "holds its argument fixed under derivatives, by definition",
    "fill": LEAF,
    "name": LEAF,
    "literal": LEAF,
    "constant": LEAF,
    "dim": LEAF,
    "eye": LEAF,
    "loop": LEAF,
    "onehot": LEAF,
}


@dataclass
class Build:
    """What an example builds with: quantities, drawn in a domain, and the graph."""

    graph: Graph = field(default_factory=new_graph)
    domains: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)

    def var(self, name: str, *dims: int | str, domain: str = "real") -> Node:
        shape = shape_of(*dims)
        self.domains[name], self.shapes[name] = domain, shape
        return self.graph.quantity(name, shape)

    def __call__(self, op: str, *args: Node | int, params: tuple[Any, ...] = ()) -> Node:
        return self.graph.make(op, *args, params=params)

    def loop(self, name: str, size: int | str) -> tuple[Any, Node]:
        variable = self.graph.loop(name, Dim.of(size))
        return variable, self("loop", params=(variable,))

    def draw(self, rng: random.Random) -> dict[str, Any]:
        values = {}
        for name, shape in self.shapes.items():
            out = np.empty(tuple(d.evaluate(SIZES) for d in shape), dtype=object)
            for index in np.ndindex(*out.shape):
                out[index] = _number(self.domains[name], rng)
            if self.domains[name] == "matrix":  # keeps clear of singular matrices
                out = out + 3 * np.eye(len(out), dtype=int)
            values[name] = out
        return values


def _number(domain: str, rng: random.Random) -> Decimal:
    if domain == "positive":
        return Decimal(rng.randint(20_000, 300_000)) / 10**5
    if domain == "index":
        return Decimal(rng.randint(1, 3))
    if domain == "binary":
        return Decimal(rng.randint(0, 1))
    size = Decimal(rng.randint(5_000, 200_000)) / 10**5
    return size if rng.random() < 0.5 else -size


Example = Callable[[Build], Node]


def _unary(op: str, domain: str = "real") -> list[Example]:
    return [
        lambda b: b(op, b.var("x", domain=domain)),
        lambda b: b(op, b.var("x", "n", 4, domain=domain)),
        lambda b: b(op, b.var("x", 2, "n", 4, domain=domain)),
    ]


def _binary(op: str, left: str = "real", right: str = "real") -> list[Example]:
    pairs: list[tuple[tuple[int | str, ...], tuple[int | str, ...]]] = [
        ((), ()), (("n", "m"), ("n", "m")), (("n", "m"), ()), ((), ("n", "m")),
        (("n", "m"), (1, "m")), (("n", 1), ("n", "m")), ((2, "n", 4), ()), ((), (2, "n", 4)),
    ]  # fmt: skip
    return [
        lambda b, p=p, q=q: b(op, b.var("x", *p, domain=left), b.var("y", *q, domain=right))
        for p, q in pairs
    ]


def _reduction(op: str, domain: str = "real") -> list[Example]:
    shapes: list[tuple[tuple[int | str, ...], tuple[int | None, ...]]] = [
        (("n",), (None, 0)), (("n", "m"), (None, 0, 1)), ((1, "m"), (None, 1)),
        ((2, "n", 4), (None,)),
    ]  # fmt: skip
    return [
        lambda b, s=s, a=a: b(op, b.var("x", *s, domain=domain), params=(a,))
        for s, axes in shapes
        for a in axes
    ]


def _matmuls() -> list[Example]:
    pairs: list[tuple[tuple[int | str, ...], tuple[int | str, ...]]] = [
        (("n", "m"), ("m", "k")), ((1, "m"), ("m",)), (("n",), (1, "m")), (("n", "m"), ("m",)),
        ((2, 3, "m"), ("m", "k")), (("n", "m"), ("m", 2, 5)), ((2, 3, "m"), ("m",)),
        ((1, "m"), ("m", 2, 5)), ((2, 3, "m"), ("m", 5, 2)),
    ]  # fmt: skip
    return [lambda b, p=p, q=q: b("matmul", b.var("x", *p), b.var("y", *q)) for p, q in pairs]


def _einsums() -> list[Example]:
    def make(spec: str, *shapes: tuple[int | str, ...]) -> Example:
        return lambda b: b(
            "einsum", *(b.var(f"x{k}", *s) for k, s in enumerate(shapes)), params=(spec,)
        )

    return [
        make("ij,jk->ik", ("n", "m"), ("m", "k")),
        make("ij,ij->", ("n", "m"), ("n", "m")),
        make("ij->j", ("n", "m")),
        make("ij->ji", ("n", "m")),
        make("i,j->ij", ("n",), ("m",)),
        make("i,i,i->", ("n",), ("n",), ("n",)),
        make("ij->", ("n", "m")),
        make("ijk,k->ij", (2, "n", 4), (4,)),
        make("ijk,jk->ikj", (2, "n", 4), ("n", 4)),
        make("ij->ij", (1, "m")),
        make("ii->", ("n", "n")),
        make("ii->i", ("n", "n")),
        make("ii,i->", ("n", "n"), ("n",)),
        make("ijk->ik", (2, 1, 4)),
        make("ijk->ijk", (2, 1, 4)),
        make("i->i", (1, "m")),
    ]


def _spread_loop(b: Build, *dims: int | str) -> tuple[Any, Node]:
    """A loop over the rows of a matrix, and the row it stands at (as a column's entries)."""
    variable, _ = b.loop("i", dims[0])
    x = b.var("x", *dims)
    kept = tuple(k for k in range(1, len(x.shape)) if x.shape[k] != ONE)
    row = b("spread", x, params=((variable, *kept), (ONE, *x.shape[1:])))
    return variable, row


def _reduces(kind: str) -> list[Example]:
    def whole(b: Build) -> Node:
        variable, row = _spread_loop(b, "n", "m")
        return b("reduce", row * row + 2, params=(kind, variable))

    def masked(b: Build) -> Node:
        variable, row = _spread_loop(b, "n", "m")
        mask = b("ne", b("loop", params=(variable,)), 2)
        return b("reduce", row, mask, params=(kind, variable))

    def without_the_index(b: Build) -> Node:
        variable, _ = b.loop("i", "n")
        return b("reduce", b.var("x", "k", 2), params=(kind, variable))

    def masked_without_the_index(b: Build) -> Node:
        variable, position = b.loop("i", "n")
        return b("reduce", b.var("x", "k", 2), b("ge", position, 2), params=(kind, variable))

    def tensor(b: Build) -> Node:
        variable, position = b.loop("i", "n")
        x = b.var("x", 2, 3, 2)
        return b("reduce", x * position, b("ge", position, 2), params=(kind, variable))

    def nested(b: Build) -> Node:
        outer, i = b.loop("i", "n")
        inner, j = b.loop("j", "m")
        x = b("spread", b.var("x", "n", "m"), params=((outer, inner), (ONE, ONE)))
        under = b("reduce", x, b("le", j, i), params=(kind, inner))
        return b("reduce", under * under, params=("sum", outer))

    return [whole, masked, without_the_index, masked_without_the_index, tensor, nested]


def _collects() -> list[Example]:
    def two(b: Build) -> Node:
        i, _ = b.loop("i", "n")
        j, _ = b.loop("j", "m")
        x = b("spread", b.var("x", "n", "m"), params=((i, j), (ONE, ONE)))
        return b("collect", x * x, params=((j, i), shape_of("m", "n")))

    def with_core(b: Build) -> Node:
        i, row = _spread_loop(b, "n", "m")
        return b("collect", row * row, params=((1, i), shape_of("m", "n")))

    def repeated(b: Build) -> Node:
        i, _ = b.loop("i", "n")
        return b("collect", b.var("x", "m"), params=((0, i), shape_of("m", "n")))

    def outer_loop_left(b: Build) -> Node:
        i, _ = b.loop("i", "n")
        j, _ = b.loop("j", "m")
        x = b("spread", b.var("x", "n", "m"), params=((i, j), (ONE, ONE)))
        return b("collect", x * x, params=((j,), shape_of("m")))

    return [two, with_core, repeated, outer_loop_left]


def _onehot(b: Build) -> Node:
    i, _ = b.loop("i", "n")
    j, _ = b.loop("j", "m")
    return b("onehot", params=((i, j), shape_of("n", "m")))


def _slices(b: Build) -> Node:
    ranges = ((Dim.of(1), Dim.of("n") - 1), (Dim.of(0), Dim.of(2)))
    return b("slice", b.var("x", "n", "m"), params=(ranges,))


def _squares(op: str) -> list[Example]:
    return [
        lambda b: b(op, b.var("A", "n", "n", domain="matrix")),
        lambda b: b(op, b.var("A", 2, 2, domain="matrix")),
    ]


def _looped(op: str, domain: str = "real") -> Example:
    """The operator over a stack of square matrices, one for every setting of a loop."""

    def build(b: Build) -> Node:
        _, position = b.loop("i", "k")
        return b(op, b.var("A", "n", "n", domain=domain) * position)

    return build


def _krons() -> list[Example]:
    pairs: list[tuple[tuple[int | str, ...], tuple[int | str, ...]]] = [
        (("n", "m"), ("k", 2)), (("n",), ("m",)), ((1, "n"), ("m",)), ((1, "n"), (1, "m")),
        ((), ("n", "m")), (("n", "m"), ()),
    ]  # fmt: skip
    return [lambda b, p=p, q=q: b("kron", b.var("x", *p), b.var("y", *q)) for p, q in pairs]


def _reshapes() -> list[Example]:
    def make(old: tuple[int | str, ...], new: Callable[[], Shape]) -> Example:
        return lambda b: b("reshape", b.var("x", *old), params=(new(),))

    n, m = Dim.of("n"), Dim.of("m")
    return [
        make(("n", "m"), lambda: (n * m, ONE)),
        make(("n", "m"), lambda: (ONE, n, m)),
        make((6, 2), lambda: shape_of(2, 3, 2)),
        make((2, 3, 2), lambda: shape_of(6, 2)),
    ]


def _embeds() -> list[Example]:
    zero, one = Dim.of(0), Dim.of(1)
    n, m = Dim.of("n"), Dim.of("m")
    return [
        lambda b: b("embed", b.var("x", "n", 2), params=((one, one), (n + 2, m))),
        lambda b: b("embed", b.var("x"), params=((n - 1, zero), (n, ONE))),
        lambda b: b("embed", b.var("x", 1, 2, 1), params=((one, zero, zero), (n, Dim.of(2), ONE))),
    ]


def _concats() -> list[Example]:
    return [
        lambda b: b("concat", b.var("x", "n", "m"), b.var("y", "k", "m"), params=(0,)),
        lambda b: b("concat", b.var("x", "n", "m"), b.var("y", "n"), params=(1,)),
        lambda b: b("concat", b.var("x", "n"), b.var("y"), b.var("z", "m"), params=(0,)),
        lambda b: b("concat", _spread_loop(b, "n", "m")[1], b.var("y", 1, "k"), params=(1,)),
    ]


EXAMPLES: dict[str, list[Example]] = {
    **{op: _binary(op) for op in ("add", "sub", "mul", "div", "maximum", "minimum")},
    **{op: _binary(op) for op in ("gt", "ge", "lt", "le", "eq", "ne")},
    "pow": [
        *_binary("pow", "positive"),
        *(lambda b, k=k: b("pow", b.var("x", "n"), k) for k in (2, 3, -1, -2, 0, 1)),
        lambda b: b("pow", b.var("x", "n", domain="positive"), b.graph.number(HALF)),
        lambda b: b("pow", b.var("x", "n", domain="positive"), b("dim", params=(Dim.of("n"),))),
    ],
    **{
        op: _unary(op)
        for op in (
            *("neg", "exp", "sin", "cos", "sigmoid", "tanh", "softplus", "erf"),
            *("relu", "step", "abs", "sign", "floor", "ceil", "stop"),
        )
    },
    **{op: _unary(op, "positive") for op in ("log", "sqrt")},
    "where": [
        lambda b: b("where", b.var("c", "n", "m"), b.var("x", "n", "m"), b.var("y", "n", "m")),
        lambda b: b("where", b("gt", b.var("c", "n"), 0), b.var("x", "n"), b.var("y")),
        lambda b: b("where", b("gt", b.var("c"), 0), b.var("x", "n", "m"), b.var("y", 1, "m")),
    ],
    "matmul": _matmuls(),
    "einsum": _einsums(),
    "kron": _krons(),
    "transpose": [lambda b: b.var("x", "n", "m").T, _looped("transpose")],
    **{op: [*_squares(op), _looped(op)] for op in ("trace", "diag_part", "tril", "triu")},
    **{op: [*_squares(op), _looped(op, "matrix")] for op in ("det", "logdet", "inv")},
    "diag_of": [lambda b: b("diag_of", b.var("x", "n"))],
    "sum": _reduction("sum"),
    "prod": _reduction("prod"),
    **{op: _reduction(op) for op in ("amax", "amin", "argmax")},
    **{op: _reduction(op)[1:-1] for op in ("softmax", "logsumexp")},
    "slice": [
        _slices,
        lambda b: b(
            "slice", b.var("x", "n"), params=(((Dim.of("n") - 1, ONE), (Dim.of(0), ONE)),)
        ),
    ],
    "embed": _embeds(),
    "pick": [
        lambda b: b("pick", b.var("i", domain="index"), params=(0, shape_of("n"))),
        lambda b: b("pick", b.var("i", domain="index"), params=(1, shape_of(1, "n"))),
        lambda b: b("pick", b.loop("i", "n")[1], params=(0, shape_of("m"))),
    ],
    "concat": _concats(),
    "reshape": _reshapes(),
    "reduce": [e for kind in ("sum", "prod", "max", "min") for e in _reduces(kind)],
    "collect": _collects(),
    "spread": [lambda b: _spread_loop(b, "n", "m")[1], lambda b: _spread_loop(b, "n", 2, 4)[1]],
    "onehot": [_onehot],
    "loop": [lambda b: b.loop("i", "n")[1]],
    "fill": [lambda b: b.graph.filled(Fraction(3, 7), shape_of("n", "m"))],
    "name": [lambda b: b.var("x", "n", "m")],
    "literal": [
        lambda b: b("literal", params=(((Fraction(1), Fraction(-2)), (Fraction(0), HALF)),))
    ],
    "constant": [lambda b: b("constant", params=("pi",))],
    "dim": [lambda b: b("dim", params=(Dim.of("n") * 2 + 1,))],
    "eye": [lambda b: b("eye", params=(Dim.of("n"),))],
}  # fmt: skip
CASES = [
    pytest.param(op, example, id=f"{op}-{k}")
    for op, examples in EXAMPLES.items()
    for k, example in enumerate(examples)
]


def test_every_operator_has_an_example() -> None:
    assert set(EXAMPLES) == set(TABLE)
    assert all(o.name == name for name, o in TABLE.items())


def test_every_operator_has_a_derivative_or_a_reason_for_none() -> None:
    without = {name for name, o in TABLE.items() if o.pullback is None}
    assert without == set(NOT_DIFFERENTIABLE)


@pytest.mark.parametrize(("op", "example"), CASES)
def test_values_and_shapes(op: str, example: Example) -> None:
    for seed in range(POINTS):
        build = Build()
        node = example(build)
        values = build.draw(random.Random(seed))
        with decimal_context():
            exact = Evaluator(SIZES, values, {}, exact=True).value(node)
        floats = {name: a.astype(np.float64) for name, a in values.items()}
        double = Evaluator(SIZES, floats, {}).value(node)
        loops = tuple(v.size.evaluate(SIZES) for v in node.loops)
        shape = (*loops, *(d.evaluate(SIZES) for d in node.shape))
        assert exact.shape == double.shape == shape
        assert double.dtype == np.float64
        np.testing.assert_allclose(double, exact.astype(float), rtol=1e-12, atol=1e-12)


def _weighted(build: Build, node: Node) -> Node:
    """A number that depends on every entry: the sum of the node against random weights."""
    weights = build.var("weights", *node.shape)
    total = build("sum", node * weights, params=(None,))
    for variable in reversed(node.loops):
        position = build("loop", params=(variable,))
        total = build("reduce", total * (position + 1), params=("sum", variable))
    return total


@pytest.mark.parametrize(("op", "example"), [c for c in CASES if c.values[0] not in ("name",)])
def test_the_local_derivative(op: str, example: Example) -> None:
    for seed in range(POINTS):
        build = Build()
        node = example(build)
        wrt = [n for n in build.shapes if build.domains[n] not in ("index", "binary")]
        root = _weighted(build, node)
        found = pull_back(root, build.graph.number(1), root)
        rng = random.Random(seed)
        values = build.draw(rng)
        with decimal_context():
            here = Evaluator(SIZES, values, {}, exact=True)
            here.value(root)
            direction = {n: Build.draw(build, rng)[n] for n in wrt}
            slope, held = Decimal(0), _held(root, here)
            for name, g in found.items():
                if name in direction:
                    gradient = np.broadcast_to(here.value(g), values[name].shape)
                    assert g.loops == ()
                    slope += np.sum(gradient * direction[name])
            sides = []
            for sign in (1, -1):
                moved = {
                    n: a + sign * STEP * direction[n] if n in direction else a
                    for n, a in values.items()
                }
                run = Evaluator(SIZES, moved, {}, exact=True)
                run.hold(held)
                sides.append(run.value(root)[0, 0])
            numeric = (sides[0] - sides[1]) / (2 * STEP)
            assert abs(numeric - slope) <= NEAR * max(1, here.largest()), (numeric, slope)


def _held(root: Node, run: Evaluator) -> dict[int, Any]:
    """The values of what `stop` holds fixed."""
    found, pending = {}, [root]
    while pending:
        node = pending.pop()
        if node.op.holds:
            found[node.id] = run.value(node)
        pending.extend(node.args)
    return found
