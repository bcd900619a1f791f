"""Random expressions built twice: as index algebra, and as a plain numeric function.

The numeric side knows nothing of normal forms; it is the witness that the algebra is held against.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from fractions import Fraction

from backproof.calculus.index import algebra, build, functions, matrices, powers
from backproof.calculus.index.evaluate import Values
from backproof.calculus.index.terms import ONE, Expr, Ix, Size, const, lit, size, var
from backproof.operators.dims import Dim

Env = dict[str, int]
Meaning = Callable[[Env], float]
Both = tuple[Expr, Meaning]

SIZES = {"n": 2, "m": 3}
N, M = size("n"), size("m")
AXES: dict[str, Size] = {"i": N, "j": N, "p": M, "q": M}
FACTS: dict[str, frozenset[str]] = {
    "S": frozenset({"sym"}),
    "D": frozenset({"diagonal"}),
    "Q": frozenset({"orthogonal"}),
    "Y": frozenset({"onehot"}),
    "c": frozenset({"positive"}),
    "t": frozenset({"binary"}),
    "u": frozenset({"unit"}),
    "g": frozenset({"signs"}),
    "w": frozenset({"prob"}),
}
SHAPES: dict[str, tuple[Size, ...]] = {
    "a": (),
    "b": (),
    "c": (N,),
    "x": (N,),
    "y": (M,),
    "A": (N, N),
    "B": (N, M),
    "S": (N, N),
    "D": (N, N),
    "Q": (N, N),
    "Y": (N, M),
    "t": (N,),
    "u": (N,),
    "g": (N,),
    "w": (M,),
}


class Undefined(Exception):
    """The numeric meaning has no value here."""


def values(rng: random.Random) -> Values:
    """Random values that obey the declared facts."""
    table: dict[str, dict[tuple[int, ...], float]] = {}

    def real() -> float:
        return rng.choice((-1, 1)) * rng.uniform(0.3, 1.7)

    extents = {N: SIZES["n"], M: SIZES["m"]}
    for name, shape in SHAPES.items():
        places: list[tuple[int, ...]] = [()]
        for axis in shape:
            places = [(*p, k) for p in places for k in range(1, extents[axis] + 1)]
        table[name] = {p: real() for p in places}
    for i, j in table["S"]:
        table["S"][i, j] = table["S"][j, i]
    for i, j in table["D"]:
        if i != j:
            table["D"][i, j] = 0.0
    angle, mirror = rng.uniform(0, 6), rng.choice((-1, 1))
    co, si = math.cos(angle), math.sin(angle)
    table["Q"] = {(1, 1): co, (1, 2): -si * mirror, (2, 1): si, (2, 2): co * mirror}
    for i in (1, 2):
        k = rng.randint(1, 3)
        for p in (1, 2, 3):
            table["Y"][i, p] = float(p == k)
        table["t"][i,] = float(rng.randint(0, 1))
        table["g"][i,] = float(rng.choice((-1, 1)))
        table["u"][i,] = rng.uniform(0.1, 0.9)
        table["c"][i,] = rng.uniform(0.2, 2.0)
    weights = [rng.uniform(0.1, 1) for _ in range(3)]
    for p in (1, 2, 3):
        table["w"][p,] = weights[p - 1] / sum(weights)

    def entry(name: str) -> Callable[..., float]:
        return lambda *at: table[name][at]

    return Values({name: entry(name) for name in table}, SIZES)


class Maker:
    """Makes random pairs (expression, meaning) for one set of values."""

    def __init__(self, rng: random.Random, vals: Values, names: str = "abcxyABSDQYtugw") -> None:
        self.rng = rng
        self.vals = vals
        self.names = names
        self.fresh = 0

    def leaf(self, scope: dict[str, Size]) -> Both:
        rng = self.rng
        if rng.random() < 0.15:
            k = Fraction(rng.choice((-3, -2, -1, 1, 2, 3)), rng.choice((1, 1, 2)))
            return const(k), lambda env: float(k)
        if rng.random() < 0.1 and len(scope) > 1:
            u, v = rng.sample(sorted(scope), 2)
            if scope[u] == scope[v]:
                return build.delta(var(u), var(v), scope[u]), lambda env: float(env[u] == env[v])
        for _ in range(20):
            found = self.quantity(rng.choice(self.names), scope)
            if found is not None:
                return found
        return ONE, lambda env: 1.0

    def quantity(self, name: str, scope: dict[str, Size]) -> Both | None:
        """An entry of the quantity at indices in scope, if there are fitting ones."""
        labels: list[str] = []
        for axis in SHAPES[name]:
            fitting = [label for label, s in scope.items() if s == axis]
            if not fitting:
                return None
            labels.append(self.rng.choice(fitting))
        args = tuple(var(x) for x in labels)
        made = build.entry(name, args, SHAPES[name], FACTS.get(name, frozenset()))
        entry = self.vals.entries[name]
        return made, lambda env: entry(*[env[x] for x in labels])

    def make(self, depth: int, scope: dict[str, Size]) -> Both:
        rng = self.rng
        if depth == 0:
            return self.leaf(scope)
        kinds = ("add", "mul", "mul", "sum", "sum", "power", "func", "sub", "neg")
        kind = rng.choice((*kinds, "matrix", "over", "literal", "range", "join", "kron"))
        if kind == "matrix":
            return self.matrix(depth, scope)
        if kind == "over":
            return self.over(depth, scope)
        if kind == "range":
            return self.range(depth, scope)
        if kind == "join":
            return self.join(depth, scope)
        if kind == "kron":
            return self.kron(depth, scope)
        if kind == "literal":
            return self.literal(depth, scope)
        if kind in ("add", "sub", "mul"):
            a, fa = self.make(depth - 1, scope)
            b, fb = self.make(depth - 1 if rng.random() < 0.6 else 0, scope)
            if kind == "mul":
                return algebra.mul(a, b), lambda env: fa(env) * fb(env)
            if kind == "add":
                return a + b, lambda env: fa(env) + fb(env)
            return a - b, lambda env: fa(env) - fb(env)
        a, fa = self.make(depth - 1, scope)
        if kind == "neg":
            return -a, lambda env: -fa(env)
        if kind == "sum":
            self.fresh += 1
            label = f"s{self.fresh}"
            axis = rng.choice((N, M))
            inner, f = self.make(depth - 1, {**scope, label: axis})
            extent = self.vals.size(axis)
            return (
                algebra.sum_over(inner, label, axis),
                lambda env: sum(f({**env, label: k}) for k in range(1, extent + 1)),
            )
        if kind == "power":
            r = rng.choice(
                (Fraction(2), Fraction(-1), Fraction(-2), Fraction(1, 2), Fraction(-1, 2))
            )

            def raised(env: Env) -> float:
                base = fa(env)
                if abs(base) < 1e-6 or (base < 0 and r.denominator > 1):
                    raise Undefined
                return float(base ** (int(r) if r.denominator == 1 else float(r)))

            return powers.power(a, r), raised
        name = rng.choice(
            (
                *("exp", "log", "sigmoid", "tanh", "softplus", "relu", "abs", "sign", "step"),
                *("sin", "cos", "erf"),
            )
        )
        return functions.func(name, a), lambda env: numeric(name, fa(env))

    def literal(self, depth: int, scope: dict[str, Size]) -> Both:
        """An expression with one index set to a position, or to that of another index."""
        self.fresh += 1
        label, axis = f"l{self.fresh}", self.rng.choice((N, M))
        inner, f = self.make(depth - 1, {**scope, label: axis})
        same = [x for x, s in scope.items() if s == axis]
        if same and self.rng.random() < 0.5:
            other = self.rng.choice(same)
            made = algebra.rename(inner, {label: var(other)})
            return made, lambda env: f({**env, label: env[other]})
        at = self.rng.randint(1, self.vals.size(axis))
        return algebra.rename(inner, {label: lit(at)}), lambda env: f({**env, label: at})

    def range(self, depth: int, scope: dict[str, Size]) -> Both:
        """A sum over two neighbouring positions of an axis of three."""
        self.fresh += 1
        label, short = f"g{self.fresh}", f"h{self.fresh}"
        inner, f = self.make(depth - 1, {**scope, label: M})
        off = self.rng.choice((0, 1))
        made = algebra.rename(inner, {label: var(short, off)})
        return (
            algebra.sum_over(made, short, 2),
            lambda env: f({**env, label: 1 + off}) + f({**env, label: 2 + off}),
        )

    def join(self, depth: int, scope: dict[str, Size]) -> Both:
        """The inner product of two concatenations, one of them possibly the other way round."""
        self.fresh += 1
        label, kn, km = f"b{self.fresh}", f"u{self.fresh}", f"v{self.fresh}"
        both = size(Dim.of("n") + Dim.of("m"))
        tops, lows, sides = [], [], []
        for first_is_n in (True, self.rng.random() < 0.7):
            top, f = self.make(depth - 1, {**scope, kn: N})
            low, g = self.leaf({**scope, km: M})
            off_n, off_m = (0, N) if first_is_n else (M, 0)
            at_n = build.delta(var(label), var(kn, off_n), both, N)
            at_m = build.delta(var(label), var(km, off_m), both, M)
            sides.append(
                algebra.sum_over(algebra.mul(at_n, top), kn, N)
                + algebra.sum_over(algebra.mul(at_m, low), km, M)
            )
            tops.append((f, 0 if first_is_n else 3))
            lows.append((g, 2 if first_is_n else 0))
        made = algebra.sum_over(algebra.mul(*sides), label, both)

        def value(env: Env, which: int, at: int) -> float:
            (f, start_f), (g, start_g) = tops[which], lows[which]
            if start_f < at <= start_f + 2:
                return f({**env, kn: at - start_f})
            return g({**env, km: at - start_g})

        return made, lambda env: sum(value(env, 0, p) * value(env, 1, p) for p in range(1, 6))

    def kron(self, depth: int, scope: dict[str, Size]) -> Both:
        """The inner product of two Kronecker products of a row of n and a row of m."""
        self.fresh += 1
        label, a, b = f"w{self.fresh}", f"y{self.fresh}", f"z{self.fresh}"
        both = size(Dim.of("n") * Dim.of("m"))
        sides: list[Expr] = []
        values_: list[Meaning] = []
        for _ in range(2):
            one, f = self.make(depth - 1, {**scope, a: N})
            two, g = self.leaf({**scope, b: M})
            e = algebra.mul(build.split(var(label), (var(a), var(b)), (N, M)), one)
            e = algebra.sum_over(algebra.sum_over(algebra.mul(e, two), a, N), b, M)
            sides.append(e)
            values_.append(lambda env, f=f, g=g: f(env) * g(env))  # type: ignore[misc]
        made = algebra.sum_over(algebra.mul(*sides), label, both)

        def value(env: Env) -> float:
            places = [{**env, a: p, b: q} for p in (1, 2) for q in (1, 2, 3)]
            return sum(values_[0](x) * values_[1](x) for x in places)

        return made, value

    def over(self, depth: int, scope: dict[str, Size]) -> Both:
        """A maximum or a product over an index."""
        self.fresh += 1
        label, axis = f"o{self.fresh}", self.rng.choice((N, M))
        inner, f = self.make(depth - 1, {**scope, label: axis})
        kind = self.rng.choice(("max", "min", "prod"))
        places = range(1, self.vals.size(axis) + 1)
        combine = {"max": max, "min": min, "prod": math.prod}[kind]
        return (
            matrices.red(kind, inner, (label,), (axis,)),
            lambda env: float(combine([f({**env, label: k}) for k in places])),  # type: ignore
        )

    def matrix(self, depth: int, scope: dict[str, Size]) -> Both:
        """An entry of an inverse, or a determinant, of a two by two matrix."""
        rng = self.rng
        self.fresh += 1
        row, col = f"r{self.fresh}", f"c{self.fresh}"
        inner, f = self.make(depth - 1, {**scope, row: N, col: N})
        if rng.random() < 0.5:
            a, b = rng.choice(("A", "S", "Q", "D")), rng.choice(("A", "S", "Q"))
            product_ = self.product(a, b, row, col) if rng.random() < 0.5 else None
            one, g = product_ or self.leaf_matrix(a, row, col)
            inner, old = (one, lambda env: 0.0) if rng.random() < 0.4 else (inner + one, f)
            f = lambda env: old(env) + g(env)  # noqa: E731

        def grid(env: Env) -> list[list[float]]:
            m = [[f({**env, row: i, col: j}) for j in (1, 2)] for i in (1, 2)]
            if abs(m[0][0] * m[1][1] - m[0][1] * m[1][0]) < 1e-3:
                raise Undefined
            return m

        if rng.random() < 0.4:

            def determinant(env: Env) -> float:
                m = grid(env)
                return m[0][0] * m[1][1] - m[0][1] * m[1][0]

            return matrices.det(inner, row, col, N), determinant
        places: list[tuple[Ix, Callable[[Env], int]]] = [
            (lit(1), lambda e: 1),
            (lit(2), lambda e: 2),
        ]
        for label, axis in scope.items():
            if axis == N:
                places.append((var(label), lambda e, x=label: e[x]))  # type: ignore[misc]
        (i, at_i), (j, at_j) = rng.choice(places), rng.choice(places)

        def inverse(env: Env) -> float:
            m = grid(env)
            d = m[0][0] * m[1][1] - m[0][1] * m[1][0]
            adjugate = [[m[1][1], -m[0][1]], [-m[1][0], m[0][0]]]
            return adjugate[at_i(env) - 1][at_j(env) - 1] / d

        return matrices.inv(inner, row, col, N, i, j), inverse

    def leaf_matrix(self, name: str, row: str, col: str) -> Both:
        entry = self.vals.entries[name]
        facts = FACTS.get(name, frozenset())
        if self.rng.random() < 0.3:
            row, col = col, row
        made = build.entry(name, (var(row), var(col)), SHAPES[name], facts)
        return made, lambda env: entry(env[row], env[col])

    def product(self, a: str, b: str, row: str, col: str) -> Both:
        self.fresh += 1
        k = f"k{self.fresh}"
        one, f = self.leaf_matrix(a, row, k)
        two, g = self.leaf_matrix(b, k, col)
        return (
            algebra.sum_over(algebra.mul(one, two), k, N),
            lambda env: sum(f({**env, k: x}) * g({**env, k: x}) for x in (1, 2)),
        )


def numeric(name: str, x: float) -> float:
    """An elementwise function, undefined on its kinks and where it would overflow."""
    if abs(x) > 30:
        raise Undefined
    if name in ("relu", "abs", "sign", "step", "log") and abs(x) < 1e-6:
        raise Undefined
    known: dict[str, Callable[[float], float]] = {
        "exp": math.exp,
        "log": lambda v: math.log(abs(v)),
        "sigmoid": lambda v: 1 / (1 + math.exp(-v)),
        "tanh": math.tanh,
        "softplus": lambda v: math.log1p(math.exp(v)),
        "relu": lambda v: max(v, 0.0),
        "abs": abs,
        "sign": lambda v: math.copysign(1, v),
        "step": lambda v: float(v > 0),
        "sin": math.sin,
        "cos": math.cos,
        "erf": math.erf,
    }
    return known[name](x)
