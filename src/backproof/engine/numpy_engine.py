"""The NumPy engine: a program as Python source that works in preallocated buffers.

What is compiled is the text made here, from operators and identifiers; a sheet's text is never
evaluated. Numbers are Python floats, arrays keep two axes, a variable whose value is no longer
needed gives its buffer to the next. Results are fresh arrays (or the function's own buffers, with
`reuse`). A compiled function is for one thread at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from backproof.engine.expressions import RULES, SIGN, Dialect, Rule, Text
from backproof.engine.numpy_steps import STEPS, Place
from backproof.engine.program import VALUE, Program
from backproof.engine.signature import Taken
from backproof.engine.source import LEAVES, _Fresh, identifiers, uses_of
from backproof.operators.node import Node

# What may give a view of its argument, so that the argument's buffer lives as long.
VIEWS = ("transpose", "slice", "reshape", "stop", "spread", "collect", "diag_part", "einsum",
         "reduce")  # fmt: skip
PLAIN_VIEWS = ("transpose", "slice", "reshape", "stop")
CONSTANT_ARRAYS = ("fill", "literal", "eye", "loop", "onehot")


LARGEST_EXPONENT = {"float64": 709.0, "float32": 88.0}


class Again(Exception):
    """The arrays are not those that the function was compiled for."""


def _item(x: Any) -> float:
    return float(x.item()) if hasattr(x, "item") else float(x)


def _on_floats(name: str, function: str) -> Rule:
    """math's function where the argument is a Python float."""

    def rule(d: Dialect, node: Node, a: list[Text]) -> str:
        if node.is_number and not node.loops:
            return f"{function}({a[0]})"
        made = RULES[name](d, node, a)
        return made.text if isinstance(made, Text) else made

    return rule


def _choice(name: str) -> Rule:
    def rule(d: Dialect, node: Node, a: list[Text]) -> str:
        xp = "" if node.is_number and not node.loops else "np."
        word = {"maximum": "max", "minimum": "min"}[name] if not xp else name
        return f"{xp}{word}({a[0]}, {a[1]})"

    return rule


def _div(d: Dialect, node: Node, a: list[Text]) -> Text | str:
    if node.is_number and not node.loops and node.args[1].fill is None:
        return f"divided({a[0]}, {a[1]})"
    return RULES["div"](d, node, a)


def _pow(d: Dialect, node: Node, a: list[Text]) -> Text | str:
    if node.is_number and not node.loops:
        if node.args[1].fill == 2 and a[0].text.isidentifier():
            return Text(f"{a[0]} * {a[0]}", RULES_PRODUCT)
        return f"raised({a[0]}, {a[1]})"
    return RULES["pow"](d, node, a)


RULES_PRODUCT = 2
NUMPY_RULES: dict[str, Rule] = {
    **RULES,
    "div": _div,
    "pow": _pow,
    **{n: _choice(n) for n in ("maximum", "minimum")},
    **{n: _on_floats(n, f) for n, f in (
        ("exp", "exp_"), ("log", "log_"), ("sqrt", "sqrt_"), ("sin", "math.sin"),
        ("cos", "math.cos"), ("tanh", "math.tanh"), ("sigmoid", "sigmoid_"), ("abs", "abs"),
        ("softplus", "softplus_"), ("relu", "relu_"), ("erf", "math.erf"),
        ("floor", "math.floor"), ("ceil", "math.ceil"), ("sign", "sign_"),
    )},
    "where": lambda d, node, a: (
        f"({a[1]} if {a[0]} else {a[2]})" if node.is_number and not node.loops
        else RULES["where"](d, node, a)
    ),
}  # fmt: skip


def _exp(z: float) -> float:
    return math.exp(z) if z < 709.7 else (math.inf if z == z else z)


def _log(z: float) -> float:
    return math.log(z) if z > 0 else math.nan


def _sqrt(z: float) -> float:
    return math.sqrt(z) if z >= 0 else math.nan


def _sigmoid(z: float) -> float:
    if z >= 0:
        return 1.0 / (1.0 + math.exp(-z))
    e = math.exp(z)
    return e / (1.0 + e)


def _softplus(z: float) -> float:
    return (z if z > 0 else 0.0) + math.log1p(math.exp(-abs(z)))


def _divided(a: float, b: float) -> float:
    return a / b if b else math.nan


def _raised(a: float, b: float) -> float:
    try:
        value = a**b
    except (ZeroDivisionError, OverflowError):
        return math.nan if not a else math.inf
    return value if isinstance(value, int | float) else math.nan


def as_numbers(value: Any, kind: Any) -> Any:
    """An array of this kind; `Again` where a part of the value would be dropped in silence."""
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        raise Again from None
    if array.dtype.kind not in "fiubV" or isinstance(value, np.ma.MaskedArray):
        raise Again
    return np.asarray(array, kind)


NAMESPACE: dict[str, Any] = {
    "np": np, "math": math, "ndarray": np.ndarray, "Again": Again, "item": _item,
    "asarray": np.asarray, "as_numbers": as_numbers,
    "exp_": _exp, "log_": _log, "sqrt_": _sqrt, "sigmoid_": _sigmoid,
    "softplus_": _softplus, "divided": _divided, "raised": _raised,
    "relu_": lambda z: z if z > 0 else z * 0.0,
    "sign_": lambda z: float(z > 0) - float(z < 0),
    "sigmoid": lambda z: np.exp(-np.logaddexp(0.0, -z)),
    "softplus": lambda z: np.logaddexp(0.0, z),
    "relu": lambda z: np.maximum(z, 0.0),
    "erf": np.vectorize(math.erf, otypes=[np.float64]),
    **{name: getattr(np, name) for name in (
        "add", "subtract", "multiply", "divide", "negative", "exp", "log", "sqrt", "sin", "cos",
        "tanh", "absolute", "sign", "floor", "ceil", "maximum", "minimum", "logaddexp",
        "heaviside", "log1p", "reciprocal", "copyto", "square", "power", "matmul", "vdot",
        "greater",
    )},
}  # fmt: skip
_SUM = np.add.reduce
_TOP = np.maximum.reduce
NAMESPACE["total"] = _SUM
NAMESPACE["highest"] = _TOP


def _softmax(z: Any, axis: int) -> Any:
    e = np.exp(z - np.max(z, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def _logsumexp(z: Any, axis: int) -> Any:
    top = np.max(z, axis=axis, keepdims=True)
    return top + np.log(np.sum(np.exp(z - top), axis=axis, keepdims=True))


NAMESPACE["softmax"] = _softmax
NAMESPACE["logsumexp"] = _logsumexp


class Writer:
    """Writes the statements of one program for one signature.

    lines     the statements so far
    texts     node id -> how it is written where it is used
    buffers   buffer name -> its shape
    """

    def __init__(self, program: Program, taken: Taken, reuse: bool) -> None:
        self.program, self.taken, self.reuse = program, taken, reuse
        self.dialect = Dialect("np", NUMPY_RULES, taken.sizes)
        self.arguments = identifiers(program.inputs, NAMESPACE)
        words = identifiers(program.labels.values(), {*NAMESPACE, *self.arguments.values()})
        self.labels = {i: words[label] for i, label in program.labels.items()}
        self.fresh = _Fresh({*self.arguments.values(), *words.values(), *NAMESPACE})
        self.order = program.order
        self.count = uses_of(program)
        self.roots = {n.id for n in program.outputs.values()}
        self.by_key = {(n.op.name, tuple(a.id for a in n.args), n.params): n for n in self.order}
        self.lines: list[str] = []
        self.texts: dict[int, Text] = {}
        self.constants: dict[str, Any] = {}
        self.buffers: dict[str, tuple[int, ...]] = {}
        self.owner: dict[int, str] = {}  # node id -> the buffer that its value lives in
        self.free: list[str] = []
        self.inside: set[int] = set()  # nodes that are written inside another's statement
        self._plan()

    # --- planning ----------------------------------------------------------------------------

    def _plan(self) -> None:
        """When every buffer's value is read for the last time."""
        place = {n.id: k for k, n in enumerate(self.order)}
        self.last = dict(place)
        base: dict[int, list[int]] = {}
        users: dict[int, list[Node]] = {}
        for n in self.order:
            for a in n.args:
                users.setdefault(a.id, []).append(n)
        for n in self.order:
            base[n.id] = [n.id]
            if n.op.name in VIEWS:
                base[n.id] += [b for a in n.args for b in base[a.id]]
            for a in n.args:
                for b in base[a.id]:
                    self.last[b] = max(self.last[b], place[n.id])
        for root in self.roots:
            for b in base[root]:
                self.last[b] = len(self.order)
        self.users, self.base = users, base

    def keep(self, node: Node, position: int) -> None:
        """The node is read as late as at *position*."""
        for b in self.base[node.id]:
            self.last[b] = max(self.last[b], position)

    def is_scalar(self, node: Node) -> bool:
        """Whether the value is a Python float."""
        return node.is_number and not node.loops

    def ints(self, node: Node) -> tuple[int, ...]:
        loops = tuple(v.size.evaluate(self.taken.sizes) for v in node.loops)
        core = tuple(self.program.graph.resolve(d).evaluate(self.taken.sizes) for d in node.shape)
        return loops + core

    # --- what steps use ----------------------------------------------------------------------

    def text(self, node: Node, full: bool = False) -> str:
        """How a node is written as an operand; a constant array as a number unless *full*."""
        if node.fill is not None and not self.is_scalar(node):
            value = float(node.fill)
            return self.constant(np.full(self.ints(node), value) if full else np.float64(value))
        if self.is_scalar(node):
            text = self.texts[node.id]
            folded = self.dialect.constant(node)
            return self.constant(np.float64(float(folded.text))) if folded else text.text
        return self.texts[node.id].text

    def constant(self, value: Any) -> str:
        """A constant of the function, as an array of its dtype: fastest as an operand."""
        key = f"{np.shape(value)} {np.asarray(value).tobytes()!r}"
        for name, (k, _) in self.constants.items():
            if k == key:
                return name
        name = f"_c{len(self.constants) + 1}"
        self.constants[name] = (key, value)
        return name

    def variable(self, node: Node) -> str:
        return self.labels.get(node.id) or self.fresh()

    def out(self, node: Node, position: int, *inplace: Node) -> str:
        """The buffer that a node's value goes to, as an argument: ", _3"; "" for a fresh array."""
        if node.id in self.roots and not self.reuse:
            return ""
        shape = self.ints(node)
        for arg in inplace:
            owner = self.owner.get(arg.id)
            dying = self.last[arg.id] <= position
            if owner and dying and self.buffers[owner] == shape and owner not in self.free:
                self.owner[node.id] = owner
                return f", {owner}"
        name = self.buffer(shape)
        self.owner[node.id] = name
        return f", {name}"

    def buffer(self, shape: tuple[int, ...]) -> str:
        for name in self.free:
            if self.buffers[name] == shape:
                self.free.remove(name)
                return name
        name = f"_{len(self.buffers) + 1}"
        self.buffers[name] = shape
        return name

    def release(self, position: int) -> None:
        held = {b for i, b in self.owner.items() if self.last[i] > position}
        for i, b in list(self.owner.items()):
            if self.last[i] <= position:
                if b not in held and b not in self.free:
                    self.free.append(b)
                del self.owner[i]

    # --- writing -----------------------------------------------------------------------------

    def write(self) -> None:
        for position, node in enumerate(self.order):
            if node.id in self.texts:
                continue
            if node.name is not None:
                self.texts[node.id] = Text(self.arguments[node.name])
            elif self.is_scalar(node):
                self._scalar(node, position)
            elif node.op.name in CONSTANT_ARRAYS:
                self._constant(node)
            else:
                self._array(node, position)
            self.release(position)

    def _constant(self, node: Node) -> None:
        value = node.op.numeric(self._xp(), node, [])
        self.texts[node.id] = Text(self.constant(np.asarray(value, dtype=np.float64)))

    def _xp(self) -> Any:
        from backproof.calculus.evaluate import Evaluator

        return Evaluator(self.taken.sizes, {}, {}).xp

    def _scalar(self, node: Node, position: int) -> None:
        step = STEPS.get(node.op.name)
        place = Place(self, node, position)
        if step is not None and not all(self.is_scalar(a) for a in node.args) and step(place):
            return
        text = self._expression(node)
        if not all(self.is_scalar(a) for a in node.args):
            text = Text(f"item({text})")
        label = self.labels.get(node.id)
        short = len(text.text) <= 60 and not text.text.startswith("item(")
        if label is None and ((self.count[node.id] == 1 and short) or text.text.isidentifier()):
            self.texts[node.id] = text
            return
        if self.dialect.constant(node) is not None and label is None:
            self.texts[node.id] = text
            return
        name = self.variable(node)
        self.lines.append(f"{name} = {text}")
        self.texts[node.id] = Text(name)

    def _array(self, node: Node, position: int) -> None:
        step = STEPS.get(node.op.name)
        plain = not node.loops and all(len(a.shape) == 2 for a in (node, *node.args))
        if step is not None and plain and step(Place(self, node, position)):
            return
        text = self._expression(node)
        name = self.variable(node)
        view = node.op.name in PLAIN_VIEWS and not node.loops
        line = text.text if view else f"asarray({text}, F)"
        self.lines.append(f"{name} = {line}")
        self.texts[node.id] = Text(name)

    def _expression(self, node: Node) -> Text:
        args = []
        for a in node.args:
            t = self.texts[a.id]
            if a.fill is not None and not self.is_scalar(a) and node.op.name not in (
                "add", "sub", "mul", "div", "where", "maximum", "minimum", "pow"
            ):  # fmt: skip
                t = Text(self.constant(np.full(self.ints(a), float(a.fill))))
            args.append(t)
        return self.dialect.numeric(self.dialect.write(node, args))


def source(
    program: Program, taken: Taken, reuse: bool = False, checked: bool = True
) -> tuple[str, Writer]:
    """The function as text, and what was written."""
    w = Writer(program, taken, reuse)
    w.write()
    head = [f"def f({', '.join(w.arguments.values())}):"]
    for name, word in w.arguments.items():
        head += [f"    {line}" for line in _enter(taken, name, word, checked, reuse)]
    tail: list[str] = []
    results = [_leave(w, name, node) for name, node in program.outputs.items()]
    if VALUE in program.outputs:
        rest = ", ".join(
            f"{n!r}: {r}" for n, r in zip(program.outputs, results, strict=True) if n != VALUE
        )
        tail.append(f"    return {results[0]}, {{{rest}}}")
    else:
        tail.append(
            "    return {"
            + ", ".join(f"{n!r}: {r}" for n, r in zip(program.outputs, results, strict=True))
            + "}"
        )
    return "\n".join([*head, *(f"    {line}" for line in w.lines), *tail]) + "\n", w


def _enter(taken: Taken, name: str, word: str, checked: bool, reuse: bool) -> list[str]:
    """The lines that take one argument as what it was when the function was compiled."""
    kind = taken.kinds[name]
    shape = taken.shapes[name]
    if kind == "float":
        return [f"if {word}.__class__ is not float: raise Again"]
    if kind == "number":  # float("1.5") would be a number; a product with text is none
        return [f"if {word}.__class__ is ndarray: raise Again", f"{word} = float(1.0 * {word})"]
    check = f"if {word}.__class__ is not ndarray or {word}.shape != {shape}"
    lines = [f"{check} or {word}.dtype is not F: raise Again"] if checked else []
    if kind == "cast":
        lines = [f"{word} = as_numbers({word}, F)", f"if {word}.shape != {shape}: raise Again"]
    if name in taken.numbers:
        return [*lines, f"{word} = {word}.item()"]
    if checked and reuse:  # a result of the call before, which this one writes over
        lines.append(f"if id({word}) in OWN or id({word}.base) in OWN: {word} = {word}.copy()")
    core = taken.cores[name]
    if shape != core:
        lines.append(f"{word} = {word}.reshape({core})")
    return lines


def _leave(w: Writer, name: str, node: Node) -> str:
    """A result as it goes out."""
    text = w.texts[node.id].text
    shape = w.taken.result(name)
    if w.is_scalar(node):
        if shape is None or (shape == () and w.taken.kinds.get(name) in ("float", "number")):
            return f"float({text})" if name != VALUE or not text.isidentifier() else text
        if w.reuse and shape is not None:
            own_buffer = w.buffer(shape)
            w.lines.append(f"{own_buffer}.fill({text})")
            return own_buffer
        return f"np.full({shape}, {text}, F)"
    own = node.name is not None or node.op.name in VIEWS or node.op.name in CONSTANT_ARRAYS
    twice = next(n for n, other in w.program.outputs.items() if other is node) != name
    if node.fill is not None:
        return f"np.full({shape}, {float(node.fill)!r}, F)"
    if own or twice:
        text = f"np.array({text}, F)"
    return f"{text}.reshape({shape})" if shape is not None and shape != w.ints(node) else text


def build(
    program: Program, taken: Taken, dtype: str, reuse: bool = False, checked: bool = True
) -> tuple[Callable[..., Any], str]:
    """(the compiled function, its source); with *checked* False, its arrays must be as taken."""
    text, w = source(program, taken, reuse, checked)
    kind = np.dtype(dtype)
    names: dict[str, Any] = {**NAMESPACE, "F": kind}
    names["TOP"] = np.asarray(LARGEST_EXPONENT[kind.name], kind)
    names.update({name: np.empty(shape, kind) for name, shape in w.buffers.items()})
    names["OWN"] = frozenset(id(names[name]) for name in w.buffers)
    names.update({name: np.asarray(v, kind) for name, (_, v) in w.constants.items()})
    exec(compile(text, "<backproof numpy>", "exec"), names)
    return names["f"], text


__all__ = ["LEAVES", "SIGN", "Again", "as_numbers", "build", "source"]
