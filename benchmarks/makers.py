"""Random sheets with claims: rewritten by identities, mutated, and about derivatives.

A maker gives a sheet's text and its claims, each with the way it was made. Whether a claim is
true is not decided here: a mutation may happen to leave it so.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.rewrites import mutated, rewritten
from benchmarks.terms import (
    NUMBER,
    Pool,
    Shape,
    Term,
    add,
    call,
    dim,
    div,
    matmul,
    mul,
    name,
    number,
    power,
    random_term,
    sub,
    transpose,
    written,
)

CLAIMS_A_SHEET = 6
ONE, TWO = number(1), number(2)


@dataclass(frozen=True, slots=True)
class Made:
    """A claim and how it was made: "rewritten" by identities only, or "mutated" after that."""

    text: str
    how: str


@dataclass(frozen=True, slots=True)
class MadeSheet:
    text: str
    claims: tuple[Made, ...]

    @property
    def whole(self) -> str:
        """The sheet with its claims, one a line at the end."""
        return self.text + "".join(f"claim {c.text}\n" for c in self.claims)


def make_sheet(seed: int) -> MadeSheet:
    """The random sheet of this seed."""
    rng = random.Random(seed)
    maker = rng.choice((algebra, algebra, gradients, network, network, facts))
    return maker(rng)


# --- claims over plain names -----------------------------------------------------------------

NAMES = (
    *(name(x, ("n", "1")) for x in ("x", "y")),
    *(name(x, ("m", "1")) for x in ("u", "v")),
    name("z", ("k", "1")),
    *(name(x, ("n", "m")) for x in ("A", "B")),
    name("C", ("m", "k")),
    *(name(x, ("n", "n")) for x in ("S", "T")),
    name("M", ("m", "m")),
    *(name(x, NUMBER) for x in ("s", "t")),
    name("p", ("n", "1"), positive=True),
    name("q", ("m", "1"), positive=True),
    name("P", ("n", "m"), positive=True),
    *(name(x, NUMBER, positive=True) for x in ("c", "d")),
)
POOL = Pool(("n", "m", "k"), NAMES)
SHAPES: tuple[Shape, ...] = (NUMBER, NUMBER, ("n", "1"), ("n", "m"), ("n", "n"), ("m", "1"))


def declared(names: Sequence[Term], texts: Sequence[str]) -> str:
    """Declarations of the names that occur in the texts, and of one name for every dimension."""
    used = {"x", "u", "z"} | set(re.findall(r"[A-Za-z]\w*", " ".join(texts)))
    lines = [f"given {t.text} in {_set(t)}" for t in names if t.text in used]
    return "\n".join(lines) + "\n"


def _set(t: Term) -> str:
    dims = [d for d in t.shape if d != "1"]
    if t.shape[0] == "1" and dims:
        dims = ["1", *dims]
    letter = "Rpos" if t.positive else "R"
    return f"{letter}[{', '.join(dims)}]" if dims else letter


def claim(left: Term, right: Term, pool: Pool, rng: random.Random, most: int = 3) -> Made:
    """left == right after some identities, and every third time after a mistake as well."""
    right = rewritten(right, pool, rng.randint(0, most), rng)
    how = "rewritten"
    if rng.random() < 1 / 3:
        right, how = mutated(right, pool, rng), "mutated"
    if rng.random() < 0.2:
        left, right = right, left
    return Made(f"{written(left)} == {written(right)}", how)


def algebra(rng: random.Random) -> MadeSheet:
    """Random expressions against rewritten ones."""
    claims = []
    for _ in range(CLAIMS_A_SHEET):
        term = random_term(POOL, rng.choice(SHAPES), rng.choice((1, 2, 2, 3)), rng)
        claims.append(claim(term, rewritten(term, POOL, 1, rng), POOL, rng))
    return MadeSheet(declared(NAMES, [c.text for c in claims]), tuple(claims))


def grad(f: Term, by: Term) -> Term:
    return Term("grad", (f,), by.shape, f", {by.text}")


def gradients(rng: random.Random) -> MadeSheet:
    """The rules of differentiation on random numbers."""
    claims = []
    for _ in range(CLAIMS_A_SHEET):
        by = rng.choice([t for t in NAMES if t.text in ("x", "A", "S", "p", "s", "v")])
        f, g = (random_term(POOL, NUMBER, 2, rng) for _ in range(2))
        df, dg = grad(f, by), grad(g, by)
        left, right = rng.choice((
            (grad(add(f, g), by), add(df, dg)),
            (grad(sub(f, g), by), sub(df, dg)),
            (grad(mul(f, g), by), add(mul(g, df), mul(f, dg))),
            (grad(call("tanh", f), by), mul(sub(ONE, power(call("tanh", f), 2)), df)),
            (grad(call("relu", f), by), mul(call("step", f), df)),
            (grad(power(f, 2), by), mul(mul(TWO, f), df)),
            (df, grad(rewritten(f, POOL, 2, rng), by)),
            (df, grad(rewritten(f, POOL, 3, rng), by)),
        ))  # fmt: skip
        claims.append(claim(left, right, POOL, rng, most=1))
    return MadeSheet(declared(NAMES, [c.text for c in claims]), tuple(claims))


# --- networks --------------------------------------------------------------------------------


def _slope(act: str, z: Term, a: Term) -> Term:
    sigmoid = call("sigmoid", z)
    return {
        "tanh": sub(ONE, power(a, 2)),
        "sigmoid": mul(a, sub(ONE, a)),
        "relu": call("step", z),
        "softplus": sigmoid,
        "silu": mul(sigmoid, add(ONE, mul(z, sub(ONE, sigmoid)))),
    }[act]


def network(rng: random.Random) -> MadeSheet:
    """Chain-rule forms of the gradients of a dense network, samples as a column or as rows."""
    rows = rng.random() < 0.5
    widths = [f"d{k}" for k in range(rng.choice((2, 2, 3)))]

    def samples(width: str) -> Shape:
        return ("N", width) if rows else (width, "1")

    h = name("x", samples(widths[0]))
    names, lines = [h], [f"given x in {_set(h)}"]
    pairs: list[tuple[Term, Term]] = []
    for k, (before, after) in enumerate(pairwise(widths), 1):
        w = name(f"W{k}", (before, after) if rows else (after, before))
        b, z, a = (
            name(f"b{k}", (after, "1")),
            name(f"z{k}", samples(after)),
            name(f"a{k}", samples(after)),
        )
        act = rng.choice(("tanh", "sigmoid", "relu", "softplus", "silu"))
        product = f"{h} @ {w} + {b}.T" if rows else f"{w} @ {h} + {b}"
        lines += [
            f"learn {w} in {_set(w)}, {b} in {_set(b)}",
            f"{z} = {product}",
            f"{a} = {act}({z})",
        ]
        g = _of_loss(z)
        if rows:
            pairs.append((_of_loss(w), matmul(transpose(h), g)))
            down = call("sum", g, shape=("1", after), text=", axis=0")
            pairs.append((_of_loss(b), transpose(down)))
            pairs.append((_of_loss(h), matmul(g, transpose(w))))
        else:
            pairs.append((_of_loss(w), matmul(g, transpose(h))))
            pairs.append((_of_loss(b), g))
            pairs.append((_of_loss(h), matmul(transpose(w), g)))
        pairs.append((g, mul(_of_loss(a), _slope(act, z, a))))
        names += [w, b, z, a]
        h = a
    head_lines, head_names, head_pairs = _head(rng, h, rows)
    pool = Pool((*widths, *(("N",) if rows else ())), (*names, *head_names, name("L", NUMBER)))
    pairs += [*head_pairs, *head_pairs]
    claims = [claim(*rng.choice(pairs), pool, rng) for _ in range(CLAIMS_A_SHEET)]
    return MadeSheet("\n".join([*lines, *head_lines]) + "\n", tuple(claims))


def _of_loss(by: Term) -> Term:
    return grad(name("L", NUMBER), by)


def _head(
    rng: random.Random, h: Term, rows: bool
) -> tuple[list[str], list[Term], list[tuple[Term, Term]]]:
    """(lines, names, true claims) of a loss over the last layer."""
    kind = rng.choice(("mse", "sse", "cross_entropy", "bce"))
    dims = ", ".join(d for d in h.shape if d != "1")
    count = dim(h.shape[0]) if rows else ONE
    entries = mul(dim(h.shape[0]), dim(h.shape[1])) if rows else dim(h.shape[0])
    t = name("t", h.shape)
    if kind in ("mse", "sse"):
        gap = sub(h, t)
        total = call("sum", power(gap, 2), shape=NUMBER)
        slope = mul(TWO, gap) if kind == "sse" else div(mul(TWO, gap), entries)
        loss = total if kind == "sse" else div(total, entries)
        lines = [f"given t in R[{dims}]", f"L = {kind}({h}, t)"]
        return lines, [t], [(_of_loss(h), slope), (name("L", NUMBER), loss)]
    p = name("p", h.shape, positive=True)
    if kind == "cross_entropy":
        lines = [f"given t in onehot[{dims}]", f"p = softmax({h})", "L = cross_entropy(p, t)"]
        log = call("log", p)
        loss = Term("neg", (div(call("sum", mul(t, log), shape=NUMBER), count),), NUMBER)
        slope = div(sub(p, t), count)
        return lines, [p], [(_of_loss(h), slope), (name("L", NUMBER), loss)]
    lines = [f"given t in {{0, 1}}[{dims}]", f"p = sigmoid({h})", "L = bce(p, t)"]
    return lines, [p], [(_of_loss(h), div(sub(p, t), entries))]


# --- what sets promise -----------------------------------------------------------------------

FACTS = """given S in sym[n], Q in orthogonal[n], D in diagonal[n], H in posdef[n]
given Y in onehot[n, k], y in onehot[k], r in prob[n, k], g in prob[k]
given l in {0, 1}[n], e in {-1, 1}[n], x, w in R[n], Z in R[n, k], f in (0, 1)[n]
"""
TRUE = (
    ("S.T", "S"), ("x.T @ S @ w", "w.T @ S @ x"), ("grad(x.T @ S @ x, x)", "2*S @ x"),
    ("Q.T @ Q", "eye(n)"), ("Q @ Q.T", "eye(n)"), ("norm(Q @ x)", "norm(x)"), ("inv(Q)", "Q.T"),
    ("D.T", "D"), ("D @ S @ D", "(D @ S.T @ D).T"), ("D", "diag(diag(D))"), ("inv(H).T", "inv(H)"),
    ("H @ inv(H) @ x", "x"), ("sum(Y, axis=1)", "ones(n)"), ("sum(y)", "1"), ("Y*Y", "Y"),
    ("sum(r, axis=1)", "ones(n)"), ("sum(g)", "1"), ("l*l", "l"), ("l*(1 - l)", "zeros(n)"),
    ("e*e", "ones(n)"), ("e**3", "e"), ("(1 - l)**2", "1 - l"),
    ("sum(Y*Z, axis=1)**2", "sum(Y*Z**2, axis=1)"),
    ("grad(-sum(y*log(softmax(g))), g)", "softmax(g) - y"), ("trace(S @ Q)", "trace(Q.T @ S)"),
    ("log(f*(1 - f))", "log(f) + log(1 - f)"), ("grad(logdet(H), H)", "inv(H)"), ("sumsq(Q)", "n"),
    ("grad(cross_entropy(softmax(Z), Y), Z)", "(softmax(Z) - Y)/n"), ("sqrt(f**2)", "f"),
    ("grad(sum(softplus(-e*x)), x)", "-e*sigmoid(-e*x)"), ("sumsq(Y)", "n"), ("abs(f)", "f"),
    ("x.T @ (S + D) @ w", "w.T @ (S + D) @ x"), ("det(H @ H)", "det(H)**2"), ("relu(f)", "f"),
    ("logdet(H)", "log(det(H))"), ("y @ y.T", "diag(y)"), ("sum(g*ones(k))", "1"),
)  # fmt: skip


def _swap(old: str, new: str) -> Callable[[str], str]:
    return lambda t: re.sub(rf"\b{old}\b", new, t)


SLIPS: tuple[Callable[[str], str], ...] = (
    lambda t: f"2*({t})",
    lambda t: f"-({t})",
    lambda t: t.replace(" + ", " - "),
    lambda t: t.replace(".T", ""),
    lambda t: re.sub(r"\be\*(?!\*)", "", t),
    lambda t: t.replace("/n", ""),
    *(_swap(a, b) for a, b in (("S", "D"), ("Q", "S"), ("Y", "r"), ("y", "g"), ("l", "f"))),
    *(_swap(a, b) for a, b in (("f", "w"), ("H", "S"), ("D", "S"), ("g", "y"))),
)


def facts(rng: random.Random) -> MadeSheet:
    """Identities that need what a set promises, some of them with a slip."""
    claims = []
    for left, right in rng.sample(TRUE, CLAIMS_A_SHEET):
        text, how = f"{left} == {right}", "rewritten"
        if rng.random() < 1 / 3:
            slip = rng.choice(SLIPS)
            sides = (slip(left), right) if rng.random() < 0.5 else (left, slip(right))
            text, how = " == ".join(sides), "mutated"
        elif rng.random() < 0.3:
            text = f"{right} == {left}"
        claims.append(Made(text, how))
    return MadeSheet(FACTS, tuple(claims))
