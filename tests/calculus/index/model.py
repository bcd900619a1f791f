"""Random expressions built twice: as index algebra, and as a plain numeric function.

The numeric side knows nothing of normal forms; it is the witness that the algebra is held against.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from fractions import Fraction

from backproof.calculus.index import algebra, functions, powers
from backproof.calculus.index.evaluate import Values
from backproof.calculus.index.terms import ONE, Expr, Size, const, size, var

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
                return algebra.delta(var(u), var(v), scope[u]), lambda env: float(env[u] == env[v])
        for _ in range(20):
            name = rng.choice(self.names)
            labels: list[str] = []
            for axis in SHAPES[name]:
                fitting = [label for label, s in scope.items() if s == axis]
                if not fitting:
                    break
                labels.append(rng.choice(fitting))
            else:
                made = algebra.entry(
                    name,
                    tuple(var(x) for x in labels),
                    SHAPES[name],
                    FACTS.get(name, frozenset()),
                )
                entry = self.vals.entries[name]
                return made, lambda env: entry(*[env[x] for x in labels])
        return ONE, lambda env: 1.0

    def make(self, depth: int, scope: dict[str, Size]) -> Both:
        rng = self.rng
        if depth == 0:
            return self.leaf(scope)
        kind = rng.choice(("add", "mul", "mul", "sum", "sum", "power", "func", "sub", "neg"))
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
