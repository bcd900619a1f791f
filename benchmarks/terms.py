"""Random well-shaped expressions as small trees, which can be rewritten, mutated and written out.

Shapes are pairs of dimension names, "1" for an axis of one: a number is ("1", "1"), a column
("n", "1"). Nothing here knows values, or the operators under test.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

Shape = tuple[str, str]
NUMBER: Shape = ("1", "1")
INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "matmul": "@"}


@dataclass(frozen=True, slots=True)
class Term:
    """An operator or a function over terms.

    op         name | number | add sub mul div matmul neg transpose pow | a function's name
    text       a name or a number as written; the options of a function (", axis=1")
    positive   every entry is certainly above zero
    """

    op: str
    args: tuple[Term, ...]
    shape: Shape
    text: str = ""
    positive: bool = False

    def __str__(self) -> str:
        a = [str(x) for x in self.args]
        if self.op in ("name", "number"):
            return self.text
        if self.op in INFIX:
            return f"({a[0]} {INFIX[self.op]} {a[1]})"
        if self.op == "neg":
            return f"(-{a[0]})"
        if self.args[0].op == "pow" and self.op in ("transpose", "pow"):
            a[0] = f"({a[0]})"
        if self.op == "transpose":
            return f"{a[0]}.T" if self.args[0].op != "number" else a[0]
        if self.op == "pow":
            return f"{a[0]}**{a[1]}" if a[1].isalnum() else f"{a[0]}**({a[1]})"
        return f"{self.op}({', '.join(a)}{self.text})"

    @property
    def is_number(self) -> bool:
        return self.shape == NUMBER

    def with_args(self, *args: Term) -> Term:
        return replace(self, args=args)


def written(term: Term) -> str:
    """The term without brackets around the whole."""
    text = str(term)
    if term.op in INFIX or term.op == "neg":
        return text[1:-1]
    return text


def name(text: str, shape: Shape, positive: bool = False) -> Term:
    return Term("name", (), shape, text, positive)


def number(value: int | str) -> Term:
    text = str(value)
    return Term("number", (), NUMBER, text, not text.startswith("-") and text != "0")


def dim(text: str) -> Term:
    """A dimension as a number."""
    return number(1) if text == "1" else Term("name", (), NUMBER, text, True)


def add(a: Term, b: Term) -> Term:
    return Term("add", (a, b), wider(a, b), positive=a.positive and b.positive)


def sub(a: Term, b: Term) -> Term:
    return Term("sub", (a, b), wider(a, b))


def mul(a: Term, b: Term) -> Term:
    return Term("mul", (a, b), wider(a, b), positive=a.positive and b.positive)


def div(a: Term, b: Term) -> Term:
    return Term("div", (a, b), wider(a, b), positive=a.positive and b.positive)


def neg(a: Term) -> Term:
    return Term("neg", (a,), a.shape)


def matmul(a: Term, b: Term) -> Term:
    return Term("matmul", (a, b), (a.shape[0], b.shape[1]), positive=a.positive and b.positive)


def transpose(a: Term) -> Term:
    return Term("transpose", (a,), (a.shape[1], a.shape[0]), positive=a.positive)


def power(a: Term, exponent: int | str) -> Term:
    return Term("pow", (a, number(exponent)), a.shape, positive=a.positive)


POSITIVE_RESULTS = {"exp", "sigmoid", "softplus", "softmax"}


def call(op: str, *args: Term, shape: Shape | None = None, text: str = "") -> Term:
    """A function; elementwise, or with the shape it says."""
    positive = op in POSITIVE_RESULTS or (op in ("sum", "mean", "sqrt") and args[0].positive)
    return Term(op, args, args[0].shape if shape is None else shape, text, positive)


def wider(a: Term, b: Term) -> Shape:
    """The shape of an elementwise operator's result."""
    return a.shape if a.shape.count("1") <= b.shape.count("1") else b.shape


# --- positions -------------------------------------------------------------------------------


def positions(term: Term, at: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Term]]:
    """Every part of a term with the path to it."""
    yield at, term
    for k, arg in enumerate(term.args):
        yield from positions(arg, (*at, k))


def replaced(term: Term, at: Sequence[int], new: Term) -> Term:
    """The term with the part at a path replaced by one of the same shape."""
    if not at:
        return new
    args = list(term.args)
    args[at[0]] = replaced(args[at[0]], at[1:], new)
    return term.with_args(*args)


def size(term: Term) -> int:
    return 1 + sum(size(a) for a in term.args)


# --- random terms ----------------------------------------------------------------------------

ELEMENTWISE = ("tanh", "sigmoid", "relu", "softplus", "abs", "step", "silu", "square", "sign")


@dataclass(frozen=True)
class Pool:
    """What random terms are made of: dimensions and the names of every shape."""

    dims: tuple[str, ...]
    names: tuple[Term, ...]

    def of(self, shape: Shape, rng: random.Random) -> Term:
        """A name of this shape (or the transpose of one); ones where there is none."""
        own = [t for t in self.names if t.shape == shape]
        if not own:
            turned = [transpose(t) for t in self.names if t.shape == (shape[1], shape[0])]
            own = turned or [ones(shape)]
        return rng.choice(own)

    def positive(self, shape: Shape, rng: random.Random) -> Term:
        """A term that is certainly positive."""
        own = [t for t in self.names if t.shape == shape and t.positive]
        if own and rng.random() < 0.6:
            return rng.choice(own)
        return call(rng.choice(("exp", "sigmoid", "softplus")), self.of(shape, rng))


def ones(shape: Shape) -> Term:
    if shape == NUMBER:
        return number(1)
    dims = shape[:1] if shape[1] == "1" else shape
    return name(f"ones({', '.join(dims)})", shape, positive=True)


def random_term(pool: Pool, shape: Shape, depth: int, rng: random.Random) -> Term:
    """A random term of this shape."""
    if depth <= 0 or rng.random() < 0.08:
        return pool.of(shape, rng)

    def inner(s: Shape) -> Term:
        return random_term(pool, s, depth - 1, rng)

    kind = rng.choice(_KINDS_OF_NUMBERS if shape == NUMBER else _KINDS)
    if kind in ("add", "sub", "mul"):
        return {"add": add, "sub": sub, "mul": mul}[kind](inner(shape), inner(shape))
    if kind == "scale":
        factor = number(rng.choice((2, 3, 5))) if rng.random() < 0.5 else inner(NUMBER)
        return mul(factor, inner(shape))
    if kind == "div":
        return div(inner(shape), pool.positive(rng.choice((shape, NUMBER)), rng))
    if kind == "neg":
        return neg(inner(shape))
    if kind == "square":
        return power(inner(shape), 2)
    if kind == "function":
        return call(rng.choice(ELEMENTWISE), inner(shape))
    if kind == "exp":
        return call("exp", pool.of(shape, rng))
    if kind == "log":
        return call(rng.choice(("log", "sqrt")), pool.positive(shape, rng))
    if kind == "transpose":
        return transpose(inner((shape[1], shape[0])))
    if kind == "diag" and shape[0] != "1":
        return matmul(
            call("diag", inner((shape[0], "1")), shape=(shape[0], shape[0])), inner(shape)
        )
    if kind == "softmax":
        return call("softmax", inner(shape), text=_softmax_axis(shape, rng))
    if kind == "along" and shape[1] == "1" and shape[0] != "1":
        other = rng.choice(pool.dims)
        return call(
            rng.choice(("sum", "mean")), inner((shape[0], other)), shape=shape, text=", axis=1"
        )
    return (
        _number_of(pool, shape, depth, rng)
        if shape == NUMBER
        else _product(pool, shape, depth, rng)
    )


def _softmax_axis(shape: Shape, rng: random.Random) -> str:
    return rng.choice(("", ", axis=0", ", axis=1")) if "1" not in shape else ""


def _product(pool: Pool, shape: Shape, depth: int, rng: random.Random) -> Term:
    through = rng.choice((*pool.dims, "1"))
    return matmul(
        random_term(pool, (shape[0], through), depth - 1, rng),
        random_term(pool, (through, shape[1]), depth - 1, rng),
    )


def _number_of(pool: Pool, shape: Shape, depth: int, rng: random.Random) -> Term:
    n, m = rng.choice(pool.dims), rng.choice(pool.dims)

    def inner(s: Shape) -> Term:
        return random_term(pool, s, depth - 1, rng)

    kind = rng.choice(("sum", "mean", "trace", "inner", "sumsq", "norm", "logsumexp"))
    if kind in ("sum", "mean", "sumsq"):
        return call(kind, inner(rng.choice(((n, m), (n, "1")))), shape=NUMBER)
    if kind == "trace":
        return call("trace", matmul(inner((n, m)), inner((m, n))), shape=NUMBER)
    if kind == "inner":
        return matmul(transpose(inner((n, "1"))), inner((n, "1")))
    return call(kind, inner((n, "1")), shape=NUMBER)


_KINDS = (
    *("add", "sub", "mul", "scale", "scale", "div", "neg", "function", "function", "exp", "log"),
    *("transpose", "diag", "softmax", "along", "square", "product", "product", "product"),
)
_KINDS_OF_NUMBERS = (
    *("add", "sub", "mul", "div", "neg", "function", "exp", "log", "square"),
    *("number", "number", "number", "number", "number"),
)
