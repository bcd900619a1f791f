"""How the NumPy engine carries out the operations that matter for speed, in place.

A step writes the statements of one node, or gives False to leave it to the general rule. Only
for matrices without loop axes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from backproof.engine.expressions import Text
from backproof.operators.node import Node

if TYPE_CHECKING:
    from backproof.engine.numpy_engine import Writer


@dataclass(frozen=True, slots=True)
class Place:
    """A node that is written at its position in the order."""

    w: Writer
    node: Node
    position: int

    @property
    def args(self) -> list[str]:
        """The operands; a constant array is a number where another operand has the full shape."""
        whole = [
            a.fill is None and not self.w.is_scalar(a) and self.full(a) for a in self.node.args
        ]
        spread = not self.node.op.elementwise or not any(whole)
        return [self.w.text(a, full=spread) for a in self.node.args]

    def out(self, *inplace: Node) -> str:
        return self.w.out(self.node, self.position, *inplace)

    def start(self, text: str) -> str:
        """The first statement of the node; its variable."""
        name = self.w.variable(self.node)
        self.w.lines.append(f"{name} = {text}")
        self.w.texts[self.node.id] = Text(name)
        return name

    def then(self, *statements: str) -> bool:
        self.w.lines.extend(statements)
        return True

    def full(self, *nodes: Node) -> bool:
        """Whether the nodes have the node's own shape."""
        shape = self.w.ints(self.node)
        return all(self.w.ints(n) == shape for n in nodes)


FEW = 128  # entries up to which the number of statements is what counts
MOST_ADDED = 4_096  # numbers up to which a sum is a product with ones, which is called faster
BY_NAME = ("maximum", "minimum")  # NumPy takes no third argument by position here
Step = Callable[[Place], bool]


def _binary(ufunc: str) -> Step:
    def step(p: Place) -> bool:
        a, b = p.args
        inplace = [n for n in p.node.args if not p.w.is_scalar(n) and n.fill is None and p.full(n)]
        out = p.out(*inplace)
        if ufunc in BY_NAME:
            out = out.replace(", ", ", out=")
        p.start(f"{ufunc}({a}, {b}{out})")
        return True

    return step


def _unary(ufunc: str) -> Step:
    def step(p: Place) -> bool:
        p.start(f"{ufunc}({p.args[0]}{p.out(p.node.args[0])})")
        return True

    return step


def _pow(p: Place) -> bool:
    exponent = p.node.args[1].fill
    name = {2: "square", -1: "reciprocal"}.get(int(exponent) if exponent is not None else 0)
    if name is None or exponent not in (2, -1):
        return False
    p.start(f"{name}({p.args[0]}{p.out(p.node.args[0])})")
    return True


def _relu(p: Place) -> bool:
    """z times step(z): the step is there anyway where there is a gradient, and NaN stays NaN."""
    z = p.node.args[0]
    step = p.w.by_key.get(("step", (z.id,), ()))
    if step is None:
        out = p.out(z).replace(", ", ", out=")
        p.start(f"maximum({p.args[0]}, {p.w.constant(np.float64(0))}{out})")
        return True
    if step.id not in p.w.texts:
        _step(Place(p.w, step, p.position))
    p.start(f"multiply({p.args[0]}, {p.w.texts[step.id]}{p.out(z)})")
    return True


def _step(p: Place) -> bool:
    zero = p.w.constant(np.float64(0))
    p.start(f"heaviside({p.args[0]}, {zero}{p.out()})")
    return True


def _sigmoid(p: Place) -> bool:
    """exp(z - log(1 + exp z)) where few entries make statements dear; else 1/(1 + exp(-z)).

    Neither overflows, and both are accurate to the last digits also where the result is tiny.
    """
    z = p.args[0]
    if prod(p.w.ints(p.node)) <= FEW:
        zero = p.w.constant(np.float64(0))
        t = p.start(f"logaddexp({z}, {zero}{p.out()})")
        return p.then(f"subtract({z}, {t}, {t})", f"exp({t}, {t})")
    one = p.w.constant(np.float64(1))
    t = p.start(f"negative({z}{p.out(p.node.args[0])})")
    return p.then(
        f"minimum({t}, TOP, out={t})",
        f"exp({t}, {t})",
        f"add({t}, {one}, {t})",
        f"reciprocal({t}, {t})",
    )


def _softplus(p: Place) -> bool:
    """log(1 + exp z) in one call; max(z, 0) + log1p(exp(-|z|)) where entries are dear."""
    z, zero = p.args[0], p.w.constant(np.float64(0))
    if prod(p.w.ints(p.node)) <= FEW:
        p.start(f"logaddexp({z}, {zero}{p.out(p.node.args[0])})")
        return True
    work = p.w.buffer(p.w.ints(p.node))
    t = p.start(f"absolute({z}{p.out()})")
    p.w.free.append(work)
    return p.then(
        f"negative({t}, {t})",
        f"exp({t}, {t})",
        f"log1p({t}, {t})",
        f"maximum({z}, {zero}, out={work})",
        f"add({t}, {work}, {t})",
    )


def _matmul(p: Place) -> bool:
    a, b = p.args
    if p.w.is_scalar(p.node):
        p.start(f"{a}.dot({b}).item()")
    else:
        p.start(f"{a}.dot({b}{p.out()})")
    return True


def _sum(p: Place) -> bool:
    x = p.node.args[0]
    if len(x.shape) != 2 or x.loops:
        return False
    if p.w.is_scalar(p.node):
        p.start(_total(p, x))
        return True
    axis = p.node.params[0]
    added = p.w.ints(x)[axis]
    if added > MOST_ADDED:  # NumPy adds in pairs, which keeps the digits of long sums
        p.start(f"total({p.args[0]}, {axis}, None{p.out() or ', None'}, True)")
    elif axis == 0:
        p.start(f"{p.w.constant(np.ones((1, added)))}.dot({p.args[0]}{p.out()})")
    else:
        p.start(f"{p.args[0]}.dot({p.w.constant(np.ones((added, 1)))}{p.out()})")
    return True


def _total(p: Place, x: Node) -> str:
    """A sum of all entries; a sum of products is one inner product."""
    if x.id in p.w.inside:
        a, b = (x.args[0], x.args[0]) if x.op.name == "pow" else x.args
        return f"vdot({p.w.text(a)}, {p.w.text(b)}).item()"
    if prod(p.w.ints(x)) <= MOST_ADDED and x.fill is None:
        return f"vdot({p.w.constant(np.ones(p.w.ints(x)))}, {p.w.text(x)}).item()"
    return f"total({p.w.text(x)}, None).item()"


def fused(w: Writer, x: Node) -> bool:
    """Whether a product is used by nothing but a sum of all its entries."""
    if w.count[x.id] != 1 or x.id in w.roots or x.loops or len(x.shape) != 2:
        return False
    (user,) = w.users[x.id]
    if user.op.name != "sum" or not w.is_scalar(user):
        return False
    if x.op.name == "pow":
        return x.args[1].fill == 2
    return all(
        a.fill is None and not w.is_scalar(a) and w.ints(a) == w.ints(x) and not a.loops
        for a in x.args
    )


def _mul(p: Place) -> bool:
    if fused(p.w, p.node):
        p.w.inside.add(p.node.id)
        p.w.texts[p.node.id] = Text("?")  # written by the sum
        for a in p.node.args:  # its operands are read where the sum is
            p.w.keep(a, p.w.last[p.node.id])
        return True
    return _binary("multiply")(p)


def _square(p: Place) -> bool:
    return _mul(p) if fused(p.w, p.node) else _pow(p)


def _softmax(p: Place) -> bool:
    axis = p.node.params[0]
    x = p.args[0]
    shape = list(p.w.ints(p.node))
    shape[axis] = 1
    line = p.w.buffer(tuple(shape))
    p.w.lines.append(f"highest({x}, {axis}, None, {line}, True)")
    t = p.start(f"subtract({x}, {line}{p.out(p.node.args[0])})")
    p.w.free.append(line)
    return p.then(
        f"exp({t}, {t})", f"total({t}, {axis}, None, {line}, True)", f"divide({t}, {line}, {t})"
    )


def _logsumexp(p: Place) -> bool:
    if p.w.is_scalar(p.node):
        return False
    axis = p.node.params[0]
    x = p.args[0]
    work = p.w.buffer(p.w.ints(p.node.args[0]))
    top = p.w.buffer(p.w.ints(p.node))
    p.w.lines += [
        f"highest({x}, {axis}, None, {top}, True)",
        f"subtract({x}, {top}, {work})",
        f"exp({work}, {work})",
    ]
    t = p.start(f"total({work}, {axis}, None{p.out() or ', None'}, True)")
    p.w.free += [work, top]
    return p.then(f"log({t}, {t})", f"add({t}, {top}, {t})")


def _transpose(p: Place) -> bool:
    """A view, written where it is used."""
    p.w.texts[p.node.id] = Text(f"{p.args[0]}.T")
    return True


STEPS: dict[str, Step] = {
    "add": _binary("add"), "sub": _binary("subtract"), "mul": _mul, "div": _binary("divide"),
    "maximum": _binary("maximum"), "minimum": _binary("minimum"),
    **{name: _unary(name) for name in ("exp", "sqrt", "sin", "cos", "tanh", "floor", "ceil")},
    "log": _unary("log"), "neg": _unary("negative"), "abs": _unary("absolute"),
    "sign": _unary("sign"), "pow": _square, "relu": _relu, "step": _step,
    "sigmoid": _sigmoid, "softplus": _softplus, "matmul": _matmul, "sum": _sum,
    "softmax": _softmax, "logsumexp": _logsumexp, "transpose": _transpose,
}  # fmt: skip
