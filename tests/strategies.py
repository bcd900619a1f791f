"""Hypothesis strategies that write random well-shaped networks as sheets.

A network is a text: what is given and learned, layers, and a number L at the end. Whoever adds
something to the language adds it to one of the choices here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

ACTIVATIONS = (
    "relu", "sigmoid", "tanh", "softplus", "silu", "gelu", "gelu_tanh", "elu", "leaky_relu", "sin",
)  # fmt: skip
LAYERS = (
    "dense", "dense", "dense", "shared", "residual", "norm", "softmax", "gate", "concat", "maxout",
    "einsum", "indexed", "range", "attention", "batchnorm", "outer", "where", "matrix",
)  # fmt: skip
HEADS = ("cross_entropy", "bce", "weighted", "mse", "sse", "hinge", "logistic", "indexed", "huber")
EXTRAS = ("sumsq", "norm", "trace", "logdet", "det", "kron", "pairs", "prod", "max", "inverse")


@dataclass(frozen=True)
class Network:
    """A sheet whose last quantity L is a number.

    learned       the names that L may be differentiated by
    intermediate  names of equations between them and L
    """

    text: str
    learned: tuple[str, ...]
    intermediate: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Network:\n{self.text}"


@dataclass
class Writer:
    """Writes one network, layer by layer.

    rows       samples are rows of a matrix; else one column
    symbolic   dimensions are names without numbers
    h, width   the name of the last layer's output and its width
    """

    draw: Draw
    rows: bool
    symbolic: bool
    lines: list[str] = field(default_factory=list)
    learned: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    terms: list[str] = field(default_factory=list)
    count: int = 0
    sizes: int = 0
    h: str = ""
    width: str = ""

    def choose(self, options: tuple[str, ...]) -> str:
        return str(self.draw(st.sampled_from(options)))

    def size(self) -> str:
        """A new dimension: a name of its own, or a small number."""
        self.sizes += 1
        return f"d{self.sizes}" if self.symbolic else str(self.draw(st.integers(2, 3)))

    def fresh(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def learn(self, prefix: str, *dims: str) -> str:
        name = self.fresh(prefix)
        self.lines.append(f"learn {name} in R[{', '.join(dims)}]" if dims else f"learn {name} in R")
        self.learned.append(name)
        return name

    def given(self, prefix: str, kind: str, *dims: str) -> str:
        name = self.fresh(prefix)
        self.lines.append(f"given {name} in {kind}[{', '.join(dims)}]")
        return name

    def let(self, prefix: str, expr: str) -> str:
        name = self.fresh(prefix)
        self.lines.append(f"{name} = {expr}")
        self.names.append(name)
        return name

    @property
    def shape(self) -> tuple[str, ...]:
        return ("N", self.width) if self.rows else (self.width,)

    def start(self) -> None:
        if self.rows and not self.symbolic:
            self.lines.append("let N = 4")
        self.width = self.size()
        self.h = self.given("x", "R", *self.shape)

    def activated(self, expr: str) -> str:
        z = self.let("z", expr)
        return self.let("a", f"{self.choose(ACTIVATIONS)}({z})")

    # --- layers ------------------------------------------------------------------------------

    def product(self, weights: str, h: str) -> str:
        return f"{h} @ {weights}" if self.rows else f"{weights} @ {h}"

    def weights(self, width: str) -> str:
        return (
            self.learn("W", self.width, width) if self.rows else self.learn("W", width, self.width)
        )

    def bias(self, width: str) -> str:
        b = self.learn("b", width)
        return f"{b}.T" if self.rows else b

    def layer_dense(self) -> None:
        width = self.size()
        w, b = self.weights(width), self.bias(width)
        self.h, self.width = self.activated(f"{self.product(w, self.h)} + {b}"), width

    def layer_shared(self) -> None:
        w = self.learn("W", self.width, self.width)
        a = self.activated(self.product(w, self.h))
        self.h = self.activated(f"{self.product(w, a)} + {self.product(f'{w}.T', self.h)}")

    def layer_residual(self) -> None:
        w = self.learn("W", self.width, self.width)
        self.h = self.let("h", f"{self.h} + {self.choose(ACTIVATIONS)}({self.product(w, self.h)})")

    def layer_norm(self) -> None:
        axis = ", axis=1" if self.rows else ""
        mu = self.let("m", f"mean({self.h}{axis})")
        c = self.let("c", f"{self.h} - {mu}")
        v = self.let("v", f"mean({c}**2{axis})")
        g = self.learn("g", self.width)
        scale = f"{g}.T" if self.rows else g
        self.h = self.let("h", f"{scale}*{c}/sqrt({v} + 0.1) + {self.bias(self.width)}")

    def layer_batchnorm(self) -> None:
        if not self.rows:
            return self.layer_norm()
        mu = self.let("m", f"mean({self.h}, axis=0)")
        v = self.let("v", f"mean(({self.h} - {mu})**2, axis=0)")
        g = self.learn("g", "1", self.width)
        self.h = self.let("h", f"{g}*({self.h} - {mu})/sqrt({v} + 0.1)")
        return None

    def layer_softmax(self) -> None:
        axis = self.choose(("", ", axis=0"))
        self.h = self.let("p", f"{self.choose(('softmax', 'log_softmax'))}({self.h}{axis})")

    def layer_gate(self) -> None:
        w, v = (self.learn(n, self.width, self.width) for n in "UV")
        z, g = self.product(w, self.h), self.product(v, self.h)
        self.h = self.let("h", f"sigmoid({g})*tanh({z}) + (1 - sigmoid({g}))*{self.h}")

    def layer_concat(self) -> None:
        width = self.size()
        w = self.weights(width)
        a = self.activated(self.product(w, self.h))
        axis = ", axis=1" if self.rows else ""
        self.h = self.let("h", f"concat({self.h}, {a}{axis})")
        self.width = f"{self.width} + {width}"

    def layer_maxout(self) -> None:
        width = self.size()
        first, second = self.weights(width), self.weights(width)
        pair = self.choose(("max", "min"))
        self.h = self.let(
            "h", f"{pair}({self.product(first, self.h)}, {self.product(second, self.h)})"
        )
        self.width = width

    def layer_einsum(self) -> None:
        width = self.size()
        w = self.weights(width)
        spec = f'"ni,io->no", {self.h}, {w}' if self.rows else f'"oi,i->o", {w}, {self.h}'
        self.h, self.width = self.activated(f"einsum({spec})"), width

    def layer_indexed(self) -> None:
        """A dense layer's rows written as a sum with an index over outer products."""
        w = self.learn("W", self.width, self.width)
        if self.rows:
            expr = f"sum({self.h}[:, i] @ {w}[i, :] for i in 1..{self.width})"
        else:
            expr = f"sum({self.h}[i]*{w}[:, i] for i in 1..{self.width})"
        self.h = self.activated(expr)

    def layer_range(self) -> None:
        """Keeps the first half next to its negative, so that ranges are taken and joined."""
        part = f"{self.h}[:, 1:1]" if self.rows else f"{self.h}[1:1]"
        axis = ", axis=1" if self.rows else ""
        self.h = self.let("h", f"concat({self.h}, -{part}**2{axis})")
        self.width = f"{self.width} + 1"

    def layer_attention(self) -> None:
        if not self.rows:
            return self.layer_gate()
        k = self.size()
        q, w = self.weights(k), self.weights(k)
        v = self.learn("V", self.width, self.width)
        s = self.let("S", f"({self.h} @ {q}) @ ({self.h} @ {w}).T/sqrt({k})")
        p = self.let("P", f"softmax({s})")
        self.h = self.let("h", f"{p} @ {self.h} @ {v}")
        return None

    def layer_outer(self) -> None:
        u, v = self.learn("u", self.width), self.learn("v", self.width)
        a = self.let("A", f"{u} @ {v}.T + diag({u})")
        self.h = self.let("h", self.product(a, self.h))

    def layer_where(self) -> None:
        c = self.learn("c")
        self.h = self.let("h", f"where({self.h} > 0, {c}*{self.h}, clip({self.h}, -1, 1) - {c}**2)")

    def layer_matrix(self) -> None:
        w = self.learn("W", self.width, self.width)
        f = self.choose(("tril", "triu", "diag(diag", "(eye"))
        inner = {
            "diag(diag": f"diag(diag({w}))",
            "(eye": f"(eye({self.width}) + {w}.T @ {w})",
        }.get(f, f"{f}({w})")
        self.h = self.let("h", self.product(inner, self.h))

    # --- the loss ----------------------------------------------------------------------------

    def head(self, kind: str) -> None:
        h, shape = self.h, self.shape
        if kind in ("cross_entropy", "hinge"):
            y = self.given(
                "Y", self.choose(("onehot", "prob")) if kind[0] == "c" else "onehot", *shape
            )
            p = self.let("P", f"softmax({h})") if kind[0] == "c" else h
            self.terms.append(f"{kind}({p}, {y})")
        elif kind == "bce":
            y = self.given("Y", "{0, 1}", *shape)
            self.terms.append(f"bce(sigmoid({h}), {y})")
        elif kind == "weighted":
            y = self.given("Y", "{0, 1}", *shape)
            self.terms.append(f"weighted_bce(sigmoid({h}), {y}, 3, 0.5)")
        elif kind == "logistic":
            y = self.given("Y", "{-1, 1}", *shape)
            self.terms.append(f"mean(softplus(-{y}*{h}))")
        elif kind == "indexed":
            t = self.given("t", "R", *shape)
            if self.rows:
                body = f"({h}[n, j] - {t}[n, j])**2 for n in 1..N for j in 1..{self.width}"
            else:
                body = f"({h}[i] - {t}[i])**2 for i in 1..{self.width}"
            self.terms.append(f"{self.choose(('sum', 'mean'))}({body})/2")
        elif kind == "huber":
            t = self.given("t", "R", *shape)
            d = self.let("d", f"{h} - {t}")
            self.terms.append(f"sum(where(abs({d}) < 1, {d}**2/2, abs({d}) - 0.5))")
        else:
            t = self.given("t", "R", *shape)
            self.terms.append(f"{kind}({h}, {t})")

    def extra(self, kind: str) -> None:
        n = self.size()
        w = self.learn("R", n, n)
        spd = f"{w} @ {w}.T + eye({n})"
        texts = {
            "sumsq": f"0.1*sumsq({w})",
            "norm": f"norm({w})*norm({w}[1, :].T)",
            "trace": f"trace({w} @ {w}.T @ {w})",
            "logdet": f"logdet({spd})",
            "det": f"det({spd})/10",
            "kron": f"sum(tanh(kron({w}, {w}[:, 1])))",
            "pairs": f"sum({w}[i, j]*{w}[j, i]**2 for i in 1..{n} for j in 1..i if i != j)",
            "prod": f"prod({w}[i, 1] for i in 1..{n}) + prod({w}[:, 2])",
            "max": f"max(abs({w} @ {w}.T)) + max({w}[i, 1] - {w}[1, i] for i in 2..{n})",
            "inverse": f"sum(inv({spd}) @ {w}) + trace(solve({spd}, {w}))",
        }
        self.terms.append(texts[kind])

    def network(self) -> Network:
        self.lines.append(f"L = {' + '.join(self.terms)}")
        return Network("\n".join(self.lines) + "\n", tuple(self.learned), tuple(self.names))


@st.composite
def networks(draw: Draw, max_layers: int = 3) -> Network:
    """A random network with a loss L, as a sheet."""
    writer = Writer(draw, rows=draw(st.booleans()), symbolic=draw(st.booleans()))
    writer.start()
    for kind in draw(st.lists(st.sampled_from(LAYERS), max_size=max_layers)):
        getattr(writer, f"layer_{kind}")()
    writer.head(draw(st.sampled_from(HEADS)))
    for kind in draw(st.lists(st.sampled_from(EXTRAS), max_size=1)):
        writer.extra(kind)
    if not writer.learned:
        writer.terms.append(f"{writer.learn('c')}**2")
    return writer.network()


def dense_networks(depth: int, width: int = 3) -> str:
    """The sheet of a plain network of this depth, for measuring."""
    lines = [f"given x in R[{width}]", f"given t in R[{width}]"]
    h = "x"
    for k in range(1, depth + 1):
        lines.append(f"learn W{k} in R[{width}, {width}], b{k} in R[{width}]")
        lines += [f"z{k} = W{k} @ {h} + b{k}", f"a{k} = tanh(z{k})"]
        h = f"a{k}"
    return "\n".join([*lines, f"L = mse({h}, t)"]) + "\n"
