"""Valid identities as rewrites of terms, and mutations that usually break them.

Every rewrite gives terms equal to the one it was given, wherever both are defined.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from benchmarks.terms import (
    ELEMENTWISE,
    NUMBER,
    Pool,
    Term,
    add,
    call,
    dim,
    div,
    matmul,
    mul,
    neg,
    number,
    ones,
    positions,
    power,
    replaced,
    size,
    sub,
    transpose,
)

Rewrite = Callable[[Term, Pool, random.Random], Iterator[Term]]
LARGEST = 45
ONE, TWO = number(1), number(2)


def rewritten(term: Term, pool: Pool, times: int, rng: random.Random) -> Term:
    """The term after *times* random identities at random places."""
    for _ in range(times):
        places = list(positions(term))
        rng.shuffle(places)
        for at, part in places[:12]:
            options = [t for rule in RULES for t in rule(part, pool, rng) if t.shape == part.shape]
            if options:
                changed = replaced(term, at, rng.choice(options))
                if size(changed) <= LARGEST:
                    term = changed
                    break
    return term


def _algebra(t: Term, pool: Pool, rng: random.Random) -> Iterator[Term]:
    a, b = (*t.args, t, t)[:2]
    if t.op == "add":
        yield add(b, a)
        yield sub(a, neg(b))
        if b.op == "add":
            yield add(add(a, b.args[0]), b.args[1])
    if t.op == "sub":
        yield neg(sub(b, a))
        yield add(a, neg(b))
    if t.op == "neg":
        yield mul(number("(-1)"), a)
        if a.op == "sub":
            yield sub(a.args[1], a.args[0])
        if a.op == "add":
            yield sub(neg(a.args[0]), a.args[1])
    if t.op == "mul":
        yield mul(b, a)
        for x, y in ((a, b), (b, a)):
            if y.op in ("add", "sub") and y.shape == y.args[0].shape == y.args[1].shape:
                join = add if y.op == "add" else sub
                yield join(mul(x, y.args[0]), mul(x, y.args[1]))
            if y.op == "mul" and x.is_number:
                yield mul(mul(x, y.args[0]), y.args[1])
    if t.op == "div":
        yield mul(a, power(b, -1))
        yield mul(a, div(ONE, b))
        if a.op in ("add", "sub"):
            join = add if a.op == "add" else sub
            yield join(div(a.args[0], b), div(a.args[1], b))
    if t.op in ("pow", "square") and (t.op == "square" or t.args[1].text == "2"):
        yield mul(a, a)
        yield power(neg(a), 2)
        yield power(a, 2)
    if t.op not in ("number",) and rng.random() < 0.25:
        yield sub(mul(TWO, t), t)
        yield div(mul(number(3), t), number(3))
        yield neg(neg(t))
        p = pool.positive(NUMBER, rng)
        yield div(mul(p, t), p)
        other = pool.of(t.shape, rng)
        yield sub(add(t, other), other)


def _matrices(t: Term, pool: Pool, rng: random.Random) -> Iterator[Term]:
    if t.op == "matmul":
        a, b = t.args
        if not (a.is_number or b.is_number):
            yield transpose(matmul(transpose(b), transpose(a)))
        if a.op == "matmul" and a.args[1].shape[1] == b.shape[0]:
            yield matmul(a.args[0], matmul(a.args[1], b))
        if b.op == "matmul" and b.args[0].shape[0] == a.shape[1]:
            yield matmul(matmul(a, b.args[0]), b.args[1])
        for x, side in ((a, 0), (b, 1)):
            if x.op in ("add", "sub") and x.args[0].shape == x.args[1].shape == x.shape:
                join = add if x.op == "add" else sub
                parts = [matmul(y, b) if side == 0 else matmul(a, y) for y in x.args]
                yield join(*parts)
            if x.op == "mul" and x.args[0].is_number:
                inner = matmul(x.args[1], b) if side == 0 else matmul(a, x.args[1])
                yield mul(x.args[0], inner)
        if a.op == "diag" and a.args[0].shape[1] == "1":
            yield mul(a.args[0], b)
        if b.op == "diag" and b.args[0].shape[1] == "1":
            yield mul(a, transpose(b.args[0]))
        if t.is_number and a.shape[1] != "1":
            yield call("sum", mul(transpose(a), b), shape=NUMBER)
            yield call("trace", matmul(b, a), shape=NUMBER)
    if t.op == "transpose":
        (a,) = t.args
        if a.op in ("add", "sub", "mul"):
            yield _turned(a)
        if a.op == "transpose":
            yield a.args[0]
        if a.op == "matmul" and not any(x.is_number for x in a.args):
            yield matmul(transpose(a.args[1]), transpose(a.args[0]))
        if a.op in ELEMENTWISE:
            yield call(a.op, transpose(a.args[0]))
        if a.is_number:
            yield a
    if t.op == "mul" and rng.random() < 0.5:
        a, b = t.args
        if a.shape == t.shape == b.shape and t.shape[1] == "1" and not t.is_number:
            yield matmul(call("diag", a, shape=(t.shape[0], t.shape[0])), b)
    if rng.random() < 0.1:
        yield transpose(transpose(t))


def _turned(a: Term) -> Term:
    make = {"add": add, "sub": sub, "mul": mul}[a.op]
    return make(transpose(a.args[0]), transpose(a.args[1]))


def _functions(t: Term, pool: Pool, rng: random.Random) -> Iterator[Term]:
    if len(t.args) != 1:
        return
    (z,) = t.args

    def f(op: str, x: Term) -> Term:
        return call(op, x)

    match t.op:
        case "sigmoid":
            yield sub(ONE, f("sigmoid", neg(z)))
            yield div(add(ONE, f("tanh", div(z, TWO))), TWO)
            yield div(ONE, add(ONE, f("exp", neg(z))))
        case "tanh":
            yield sub(mul(TWO, f("sigmoid", mul(TWO, z))), ONE)
            yield neg(f("tanh", neg(z)))
        case "softplus":
            yield add(z, f("softplus", neg(z)))
            yield f("log", add(ONE, f("exp", z)))
            yield neg(f("log", f("sigmoid", neg(z))))
        case "silu":
            yield mul(z, f("sigmoid", z))
        case "relu":
            yield mul(z, f("step", z))
            yield call("max", z, number(0), shape=t.shape)
            yield div(add(z, f("abs", z)), TWO)
            yield add(z, f("relu", neg(z)))
        case "step":
            yield power(t, 2)
            yield mul(t, t)
            yield sub(ONE, f("step", neg(z)))
            yield f("step", mul(number(3), z))
        case "abs":
            yield add(f("relu", z), f("relu", neg(z)))
            yield mul(z, f("sign", z))
            yield f("abs", neg(z))
            yield call("max", z, neg(z), shape=t.shape)
        case "sign":
            yield sub(mul(TWO, f("step", z)), ONE)
            yield neg(f("sign", neg(z)))
        case "exp":
            if z.op in ("add", "sub"):
                join = mul if z.op == "add" else div
                yield join(f("exp", z.args[0]), f("exp", z.args[1]))
            if z.op == "neg":
                yield div(ONE, f("exp", z.args[0]))
            yield power(f("exp", div(z, TWO)), 2)
        case "log":
            if z.op in ("mul", "div") and all(a.positive for a in z.args):
                join = add if z.op == "mul" else sub
                yield join(f("log", z.args[0]), f("log", z.args[1]))
            if z.op == "exp":
                yield z.args[0]
            if z.positive:
                yield div(f("log", power(z, 2)), TWO)
                yield neg(f("log", div(ONE, z)))
        case "sqrt":
            if z.positive:
                yield power(z, "0.5")
                yield div(z, f("sqrt", z))
    if t.positive and rng.random() < 0.2:
        yield f("exp", f("log", t))
        yield power(f("sqrt", t), 2)


def _reductions(t: Term, pool: Pool, rng: random.Random) -> Iterator[Term]:
    if not t.args:
        return
    x = t.args[0]
    rows, columns = x.shape
    if t.op == "softmax":
        axis = {", axis=0": 0, ", axis=1": 1}.get(t.text, 0 if columns == "1" else 1)
        shape = ("1", columns) if axis == 0 else (rows, "1")
        if columns == "1" or axis == 1 or rows != "1":
            e, text = call("exp", x), f", axis={axis}"
            yield div(e, call("sum", e, shape=shape, text=text))
            yield call("exp", call("log_softmax", x, text=t.text))
        yield call("softmax", add(x, pool.of(NUMBER, rng)), text=t.text)
        yield call("softmax", sub(x, number(3)), text=t.text)
    if t.op == "logsumexp" and columns == "1":
        yield call("log", call("sum", call("exp", x), shape=NUMBER), shape=NUMBER)
        shift = pool.of(NUMBER, rng)
        yield add(call("logsumexp", sub(x, shift), shape=NUMBER), shift)
    if t.op == "trace":
        yield call("trace", transpose(x), shape=NUMBER)
        if x.op == "matmul":
            a, b = x.args
            yield call("trace", matmul(b, a), shape=NUMBER)
            yield call("sum", mul(a, transpose(b)), shape=NUMBER)
        if x.op in ("add", "sub"):
            join = add if x.op == "add" else sub
            yield join(*(call("trace", y, shape=NUMBER) for y in x.args))
    if t.op == "sum" and not t.text:
        if x.op in ("add", "sub") and x.args[0].shape == x.args[1].shape:
            join = add if x.op == "add" else sub
            yield join(*(call("sum", y, shape=NUMBER) for y in x.args))
        if columns == "1" and x.op == "mul" and x.args[0].shape == x.args[1].shape:
            yield matmul(transpose(x.args[0]), x.args[1])
        if x.op == "mul" and x.args[0].shape == x.args[1].shape:
            yield call("trace", matmul(transpose(x.args[0]), x.args[1]), shape=NUMBER)
        if x.op == "mul" and x.args[0].is_number:
            yield mul(x.args[0], call("sum", x.args[1], shape=NUMBER))
        if rows != "1":
            total = matmul(transpose(ones((rows, "1"))), x)
            yield total if columns == "1" else matmul(total, ones((columns, "1")))
            inner = call("sum", x, shape=("1", columns), text=", axis=0")
            yield call("sum", inner, shape=NUMBER)
        yield call("sum", transpose(x), shape=NUMBER)
    if t.op == "sum" and t.text == ", axis=1":
        yield matmul(x, ones((columns, "1")))
        yield transpose(call("sum", transpose(x), shape=("1", rows), text=", axis=0"))
    if t.op == "mean":
        count = dim(columns) if t.text else mul(dim(rows), dim(columns))
        yield div(call("sum", x, shape=t.shape, text=t.text), count)
    if t.op == "sumsq":
        yield call("sum", power(x, 2), shape=NUMBER)
        yield power(call("norm", x, shape=NUMBER), 2)
    if t.op == "norm":
        yield call("sqrt", call("sum", power(x, 2), shape=NUMBER))
        yield call("norm", neg(x), shape=NUMBER)
    if t.op == "pow" and x.op == "norm":
        y = x.args[0]
        yield matmul(transpose(y), y) if y.shape[1] == "1" else call("sumsq", y, shape=NUMBER)


RULES: tuple[Rewrite, ...] = (_algebra, _matrices, _functions, _reductions)


# --- mistakes --------------------------------------------------------------------------------


def mutated(term: Term, pool: Pool, rng: random.Random) -> Term:
    """The term with one small mistake, of the kinds that people make; it may still be true."""
    places = list(positions(term))
    rng.shuffle(places)
    for at, part in places:
        options = [t for t in _mistakes(part, pool, rng) if str(t) != str(part)]
        if options:
            return replaced(term, at, rng.choice(options))
    return neg(term)


def _mistakes(t: Term, pool: Pool, rng: random.Random) -> Iterator[Term]:
    if t.op in ("add", "sub"):
        a, b = t.args
        yield (sub if t.op == "add" else add)(a, b)
        for kept in (a, b):
            if kept.shape == t.shape:
                yield kept
    if t.op == "neg":
        yield t.args[0]
    if t.op == "transpose":
        yield t.args[0]  # fits where the matrix is square, and is refuted by its shape elsewhere
    if t.op == "matmul":
        a, b = t.args
        yield matmul(b, a)
        yield matmul(a, transpose(b))
        if a.shape == b.shape:
            yield mul(a, b)
    if t.op == "mul" and t.args[0].shape == t.shape:
        yield t.args[0]
    if t.op == "div":
        yield mul(*t.args)
    if t.op in ELEMENTWISE:
        yield call(rng.choice(ELEMENTWISE), *t.args)
        yield t.args[0]
    if t.op == "pow":
        yield t.args[0]
    if t.op in ("sum", "mean"):
        yield call("mean" if t.op == "sum" else "sum", *t.args, shape=t.shape, text=t.text)
        if t.text:
            other = ", axis=0" if t.text == ", axis=1" else ", axis=1"
            yield call(t.op, *t.args, shape=t.shape, text=other)
    if t.op == "softmax" and t.text:
        yield call("softmax", *t.args, text=", axis=0" if "1" in t.text else ", axis=1")
    if t.op == "name" and t.shape != NUMBER:
        yield pool.of(t.shape, rng)
    if t.op == "number" and t.text in ("1", "2", "3"):
        yield number(int(t.text) + 1)
    if rng.random() < 0.3:
        yield mul(TWO, t)
        yield neg(t)
        yield div(t, TWO)
