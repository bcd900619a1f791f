"""Operations written as expressions of an array library: NumPy, JAX or PyTorch.

One rule for every operator, as data; a dialect changes what a library spells differently. A
number (1 × 1 without loop axes) is a scalar in the written code, everything else an array of its
loop axes and then its core axes. Knows no sheet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from backproof.calculus.evaluate import Evaluator
from backproof.errors import NotAvailable
from backproof.operators.dims import ONE, SCALAR, Dim
from backproof.operators.node import Loop, Node, merged_loops, postorder

COMPARISON, SUM, PRODUCT, SIGN, POWER, ATOM = range(6)


@dataclass(frozen=True, slots=True)
class Text:
    """A written expression: how tightly it binds, and whether its entries are truth values."""

    text: str
    level: int = ATOM
    truth: bool = False

    def at(self, level: int) -> str:
        """The text, bracketed where something binds tighter."""
        return self.text if self.level >= level else f"({self.text})"

    def __str__(self) -> str:
        return self.text


Rule = Callable[["Dialect", Node, list[Text]], Text | str]


@dataclass
class Dialect:
    """An array library to write for.

    xp       the module's name in the code
    rules    operator -> rule
    sizes    dimension name -> its size, where it is known; else its name is written
    truth    how truth values are written as zeros and ones
    made     what a new array is told besides its shape, such as ", dtype=torch.float64"
    entry    how the one entry of a matrix is written
    digits   a constant with more digits is written as what it comes from, such as sqrt(2 * pi)
    helpers  names of helper functions that the written code needs
    """

    xp: str
    rules: Mapping[str, Rule]
    sizes: Mapping[str, int] = field(default_factory=dict)
    axis: str = "axis"
    keep: str = "keepdims"
    made: str = ""
    truth: str = "1.0 * {}"
    entry: str = "{xp}.reshape({text}, ())"
    digits: int = 99
    helpers: dict[str, None] = field(default_factory=dict)
    dims: dict[str, None] = field(default_factory=dict)

    def write(self, node: Node, args: Sequence[Text]) -> Text:
        """One operation over its arguments, which are written already."""
        folded = self.constant(node)
        if folded is not None:
            return folded
        rule = self.rules.get(node.op.name)
        if rule is None:
            raise NotAvailable(f"{self.xp} code cannot be written for '{node.op.name}' yet.")
        aligned = self.aligned(node, list(args))
        if node.op.name not in ("mul", "where") or all(a.truth for a in aligned):
            aligned = [self.numeric(a) for a in aligned]
        elif node.op.name == "where":
            aligned = [aligned[0], *map(self.numeric, aligned[1:])]
        written = rule(self, node, aligned)
        return written if isinstance(written, Text) else Text(written)

    def constant(self, node: Node) -> Text | None:
        """A number that depends on nothing, as a literal."""
        if not node.is_number or node.loops or node.name is not None:
            return None
        for n in postorder([node]):
            names = n.name is not None or n.loops
            if names or any(d.names() - self.sizes.keys() for d in n.shape):
                return None
            if n.op.name == "dim" and n.params[0].names() - self.sizes.keys():
                return None
        try:
            with np.errstate(all="ignore"):
                value = float(Evaluator(self.sizes, {}, {}).value(node)[0, 0])
        except KeyError:  # a size that is not known
            return None
        if node.fill is not None:
            return self.number(node.fill)
        found = literal(value)
        if len(found.text) <= self.digits:
            return found
        return None if all(n.op.name in ARITHMETIC for n in postorder([node])) else found

    def number(self, value: Fraction) -> Text:
        """A literal, or a fraction where that is shorter."""
        found = literal(float(value))
        top, below = Fraction(value).as_integer_ratio()
        short = len(found.text) <= self.digits or below > 1000
        return found if short else Text(f"{top} / {below}", PRODUCT)

    def aligned(self, node: Node, args: list[Text]) -> list[Text]:
        """Arguments with one set of loop axes, numbers with axes beside a tensor's."""
        loops = merged_loops(node.args)
        rank = len(node.shape) if node.op.elementwise else 0
        result = []
        for arg, a in zip(node.args, args, strict=True):
            if arg.fill is not None and not arg.is_number and node.op.elementwise:
                others = [n for n in node.args if n is not arg and n.fill is None]
                if any(n.shape == node.shape for n in others):
                    a = self.number(arg.fill)
                    result.append(a)
                    continue
            if not arg.loops:
                result.append(a)
                continue
            places = [":" if v in arg.loops else "None" for v in loops]
            places += ["None"] * max(0, rank - len(arg.shape)) if arg.is_number else []
            while places and places[-1] == ":":
                places.pop()
            result.append(Text(f"{a.at(ATOM)}[{', '.join(places)}]") if places else a)
        return result

    def numeric(self, a: Text) -> Text:
        """Truth values as zeros and ones."""
        return Text(self.truth.format(f"({a})"), PRODUCT) if a.truth else a

    # --- pieces of text ----------------------------------------------------------------------

    def dim(self, d: Dim) -> str:
        """A size: an integer where it is known."""
        try:
            return str(d.evaluate(self.sizes))
        except KeyError:
            self.dims.update(dict.fromkeys(sorted(d.names())))
            return re.sub(r"(?<!\*)\*(?!\*)", " * ", str(d))

    def shape(self, shape: Sequence[Dim], loops: Sequence[Loop] = ()) -> str:
        parts = [self.dim(d) for d in (*(v.size for v in loops), *shape)]
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"

    def array(self, node: Node, a: Text, level: int = ATOM) -> str:
        """The argument as an array with its core axes, also where it is a scalar."""
        if not node.is_number or node.loops:
            return a.at(level)
        if node.fill in (0, 1):
            return f"{self.xp}.{'ones' if node.fill else 'zeros'}((1, 1){self.made})"
        if plain(node):
            return f"{self.xp}.full((1, 1), {a}{self.made})"
        return f"{self.xp}.reshape({a}, (1, 1))"

    def only(self, a: Text) -> Text:
        """The one entry of a matrix as a scalar."""
        text = a.at(ATOM) if self.entry.startswith("{text}") else a.text
        return Text(self.entry.format(xp=self.xp, text=text))

    def scalar(self, node: Node, text: str) -> str:
        """An array of one entry as a scalar, where the node is a number."""
        return f"{self.xp}.reshape({text}, ())" if node.is_number and not node.loops else text

    def call(self, helper: str, *args: object) -> str:
        """A call of one of the helper functions."""
        self.helpers[helper] = None
        return f"{helper}({', '.join(map(str, args))})"

    def axes(self, node: Node) -> str:
        """`axis=1, keepdims=True` of a reduction; empty where everything is reduced."""
        axis = node.params[0]
        x = node.args[0]
        rank = len(x.shape)
        if not x.loops and node.is_number:
            return ""
        if axis is None:
            where = ", ".join(str(k) for k in range(-rank, 0))
            return f", {self.axis}=({where}), {self.keep}=True"
        return f", {self.axis}={axis - rank if x.loops else axis}, {self.keep}=True"


ARITHMETIC = ("add", "sub", "mul", "div", "neg", "pow", "sqrt", "exp", "log",
              "constant", "fill", "dim")  # fmt: skip


def plain(node: Node) -> bool:
    """Whether a number is one of Python's in the code: nothing in it is an array."""
    numbers = node.is_number and not node.loops
    return numbers and not any(n.name is not None for n in postorder([node]))


def literal(value: float) -> Text:
    """A number as Python writes it; whole ones without a point where that is exact."""
    if value != value or value in (float("inf"), float("-inf")):
        return Text(f'float("{value}")')
    text = repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    return Text(text, SIGN if value < 0 else ATOM)


# --- elementwise -----------------------------------------------------------------------------


def infix(sign: str, level: int, right: int) -> Rule:
    def rule(d: Dialect, node: Node, a: list[Text]) -> Text:
        return Text(f"{a[0].at(level)}{sign}{a[1].at(right)}", level)

    return rule


def _add(d: Dialect, node: Node, a: list[Text]) -> Text:
    left, right = a[0].at(SUM), a[1].at(SUM)
    minus = right.startswith("-")
    return Text(f"{left} - {right[1:]}" if minus else f"{left} + {right}", SUM)


def _neg(d: Dialect, node: Node, a: list[Text]) -> Text:
    power = a[0].level == POWER  # -x**2 is read twice
    return Text(f"-({a[0]})" if power else f"-{a[0].at(PRODUCT)}", SIGN)


def _mul(d: Dialect, node: Node, a: list[Text]) -> Text:
    if a[0].truth and not a[1].truth:
        a = [a[1], a[0]]
    left = f"({a[0]})" if " @ " in a[0].text and a[0].level == PRODUCT else a[0].at(PRODUCT)
    return Text(f"{left} * {a[1].at(SIGN)}", PRODUCT)


def function(name: str) -> Rule:
    return lambda d, node, a: f"{d.xp}.{name}({', '.join(map(str, a))})"


def helper(name: str) -> Rule:
    return lambda d, node, a: d.call(name, *a)


def compare(sign: str) -> Rule:
    def rule(d: Dialect, node: Node, a: list[Text]) -> Text:
        return Text(f"{a[0].at(SUM)} {sign} {a[1].at(SUM)}", COMPARISON, truth=True)

    return rule


def _pow(d: Dialect, node: Node, a: list[Text]) -> Text:
    base, power = a[0].at(ATOM), a[1].at(ATOM)
    close = all(x.isidentifier() or x.isdigit() for x in (base, power))
    return Text(f"{base}**{power}" if close else f"{base} ** {power}", POWER)


def _where(d: Dialect, node: Node, a: list[Text]) -> str:
    condition = a[0].text if a[0].truth else f"{a[0].at(SUM)} != 0"
    return f"{d.xp}.where({condition}, {a[1]}, {a[2]})"


# --- linear algebra --------------------------------------------------------------------------


def _matmul(d: Dialect, node: Node, a: list[Text]) -> Text:
    x, y = node.args
    if len(x.shape) == len(y.shape) == 2:
        product = f"{a[0].at(PRODUCT)} @ {a[1].at(SIGN)}"
        if node.is_number and not node.loops:
            return d.only(Text(product, PRODUCT))
        return Text(product, PRODUCT)
    left = [k for k in x.shape if k != ONE]
    right = [k for k in y.shape if k != ONE]
    la, lb = "zyxwvu"[: len(left)], "tsrqpo"[: len(right)]
    lb = la[-1] + lb[1:]
    return Text(einsum_text(d, node, a, [la, lb], la[:-1] + lb[1:]))


LOOP_LETTERS = "ABCDEFGHIJ"


def einsum_text(d: Dialect, node: Node, a: Sequence[Text], sides: Sequence[str], out: str) -> str:
    """An einsum with the loops of its operands as leading axes."""
    loops = merged_loops(node.args)
    letter = dict(zip(loops, LOOP_LETTERS, strict=False))
    terms, operands = [], []
    for letters, arg, text in zip(sides, node.args, a, strict=True):
        core = [k for k in arg.shape if k != ONE] if len(letters) != len(arg.shape) else arg.shape
        whole = arg.loops == loops or not arg.loops
        terms.append("".join(letter[v] for v in (loops if arg.loops else ())) + letters)
        operand = text.at(ATOM)
        if arg.is_number and not arg.loops:
            operand = d.array(arg, text) if letters else text.text
            if not letters:
                operand = f"{d.xp}.asarray({text}{d.made})"
        elif len(core) != len(arg.shape):
            own = loops if arg.loops else ()
            shape = d.shape(core, own)
            if not whole:
                shape = "(" + ", ".join(
                    [*(d.dim(v.size) if v in arg.loops else "1" for v in own), *map(d.dim, core)]
                ) + ",)"  # fmt: skip
            operand = f"{d.xp}.reshape({text}, {shape})"
        if arg.loops and not whole:  # einsum does not stretch axes of 1: leave them out
            own_letters = "".join(letter[v] for v in arg.loops)
            terms[-1] = own_letters + letters
            operand = f"{d.xp}.reshape({operand}, {d.shape(core, arg.loops)})"
        operands.append(operand)
    present = "".join(letter[v] for v in loops)
    made = f'{d.xp}.einsum("{",".join(terms)}->{present}{out}", {", ".join(operands)})'
    rest = [k for k in node.shape if k != ONE] if len(out) != len(node.shape) else node.shape
    if len(rest) != len(node.shape) or (node.is_number and out):
        made = f"{d.xp}.reshape({made}, {d.shape(node.shape, node.loops)})"
        return d.scalar(node, made)
    return made


def _einsum(d: Dialect, node: Node, a: list[Text]) -> str:
    left, _, out = node.params[0].partition("->")
    return einsum_text(d, node, a, left.split(","), out)


def _transpose(d: Dialect, node: Node, a: list[Text]) -> str:
    return f"{d.xp}.swapaxes({a[0]}, -1, -2)" if node.loops else f"{a[0].at(ATOM)}.T"


def _trace(d: Dialect, node: Node, a: list[Text]) -> str:
    if not node.loops:
        return f"{d.xp}.trace({d.array(node.args[0], a[0])})"
    return f'{d.xp}.einsum("...ii->...", {a[0]})[..., None, None]'


def _of_square(name: str, entry: str = "") -> Rule:
    def rule(d: Dialect, node: Node, a: list[Text]) -> str:
        text = f"{d.xp}.linalg.{name}({d.array(node.args[0], a[0])}){entry}"
        return f"{text}[..., None, None]" if node.loops else text

    return rule


def _diag_of(d: Dialect, node: Node, a: list[Text]) -> Text:
    if node.loops:
        return Text(f"{a[0].at(PRODUCT)} * {d.xp}.eye({d.dim(node.shape[0])}{d.made})", PRODUCT)
    return Text(f"{d.xp}.diag({a[0].at(ATOM)}[:, 0])")


def _diag_part(d: Dialect, node: Node, a: list[Text]) -> str:
    if node.loops:
        return f'{d.xp}.einsum("...ii->...i", {a[0]})[..., None]'
    return f"{d.xp}.diag({a[0]})[:, None]"


def _kron(d: Dialect, node: Node, a: list[Text]) -> str:
    if not node.loops:
        return f"{d.xp}.kron({', '.join(d.array(n, t) for n, t in zip(node.args, a, strict=True))})"
    parts = ", ".join(d.array(n, t) for n, t in zip(node.args, a, strict=True))
    text = f'{d.xp}.einsum("...ij,...kl->...ikjl", {parts})'
    return f"{d.xp}.reshape({text}, {d.shape(node.shape, node.loops)})"


# --- reductions ------------------------------------------------------------------------------


def reduction(name: str) -> Rule:
    def rule(d: Dialect, node: Node, a: list[Text]) -> str:
        text = f"{d.xp}.{name}({a[0]}{d.axes(node)})"
        if node.loops and node.params[0] is None and len(node.args[0].shape) > 2:
            return f"{d.xp}.reshape({text}, {d.shape(SCALAR, node.loops)})"
        return text

    return rule


def _argmax(d: Dialect, node: Node, a: list[Text]) -> Text:
    x, axis = node.args[0], node.params[0]
    if not x.loops and node.is_number:
        return Text(f"{d.xp}.argmax({a[0]}) + 1.0", SUM)
    rank = len(x.shape)
    if axis is None:
        flat = f"{d.xp}.reshape({a[0]}, {d.shape((), x.loops)[:-1].rstrip(',')}, -1))"
        return Text(f"{d.xp}.argmax({flat}, {d.axis}=-1)[..., None, None] + 1.0", SUM)
    return Text(f"{d.xp}.argmax({a[0]}, {d.axis}={axis - rank}, {d.keep}=True) + 1.0", SUM)


def along(name: str) -> Rule:
    """softmax and logsumexp: helpers that take an axis."""

    def rule(d: Dialect, node: Node, a: list[Text]) -> Text:
        x, axis = node.args[0], node.params[0]
        place = axis - len(x.shape) if x.loops else axis
        made = Text(d.call(name, d.array(x, a[0], COMPARISON), place))
        return d.only(made) if node.is_number and not node.loops else made

    return rule


# --- structure -------------------------------------------------------------------------------


def _fill(d: Dialect, node: Node, a: list[Text]) -> str:
    value = literal(float(node.params[0])).text
    if node.is_number:
        return value
    if node.params[0] in (0, 1):
        return f"{d.xp}.{'ones' if node.params[0] else 'zeros'}({d.shape(node.shape)}{d.made})"
    return f"{d.xp}.full({d.shape(node.shape)}, {float(node.params[0])!r}{d.made})"


def _literal(d: Dialect, node: Node, a: list[Text]) -> str:
    rows = [[float(v) for v in row] for row in node.params[0]]
    return d.scalar(node, f"{d.xp}.array({rows}{d.made})")


def _dim(d: Dialect, node: Node, a: list[Text]) -> Text:
    text = d.dim(d_ := node.graph.resolve(node.params[0]))
    return Text(text, ATOM if d_.as_name() or text.isdigit() else SUM)


def _bracketed(d: Dialect, size: Dim) -> str:
    text = d.dim(size)
    return text if text.isidentifier() or text.isdigit() else f"({text})"


def _plus(d: Dialect, a: Dim, b: Dim | int) -> str:
    return d.dim(a + b)


def _slice(d: Dialect, node: Node, a: list[Text]) -> str:
    x = node.args[0]
    if node.is_number and not x.loops and len(x.shape) == 2:
        return f"{a[0].at(ATOM)}[{', '.join(d.dim(start) for start, _ in node.params[0])}]"
    parts = ["..."] if x.loops else []
    for (start, length), size in zip(node.params[0], x.shape, strict=True):
        if start == 0 and length == x.graph.resolve(size):
            parts.append(":")
        else:
            parts.append(f"{d.dim(start)}:{_plus(d, start, length)}")
    return d.scalar(node, f"{a[0].at(ATOM)}[{', '.join(parts)}]")


def paddings(d: Dialect, node: Node) -> list[tuple[str, str]]:
    """How many zeros an embed puts before and after its part, axis by axis."""
    starts, shape = node.params
    inner = node.args[0].shape
    after = [_plus(d, size - start, length * -1)
             for start, size, length in zip(starts, shape, inner, strict=True)]  # fmt: skip
    return [(d.dim(s), e) for s, e in zip(starts, after, strict=True)]


def _embed(d: Dialect, node: Node, a: list[Text]) -> str:
    pads = [("0", "0")] * len(node.loops) + paddings(d, node)
    widths = ", ".join(f"({before}, {after})" for before, after in pads)
    return f"{d.xp}.pad({d.array(node.args[0], a[0], COMPARISON)}, ({widths}))"


def _pick(d: Dialect, node: Node, a: list[Text]) -> Text:
    axis, shape = node.params
    places = f"{d.xp}.arange(1, {_plus(d, shape[axis], 1)})"
    turned = "[:, None]" if axis == 0 else "[None, :]"
    return Text(f"{places}{turned} == {a[0].at(SUM)}", COMPARISON, truth=True)


def _concat(d: Dialect, node: Node, a: list[Text]) -> str:
    axis = node.params[0]
    parts = [d.array(n, t, COMPARISON) for n, t in zip(node.args, a, strict=True)]
    if node.loops:
        parts = [
            f"{d.xp}.broadcast_to({t}, {d.shape(n.shape, node.loops)})"
            for n, t in zip(node.args, parts, strict=True)
        ]
        axis -= 2
    return f"{d.xp}.{CONCAT.get(d.xp, 'concatenate')}([{', '.join(parts)}], {d.axis}={axis})"


CONCAT = {"torch": "cat"}


def _reshape(d: Dialect, node: Node, a: list[Text]) -> str:
    shape = d.shape(node.params[0], node.loops)
    if node.is_number and not node.loops:
        shape = "()"
    return f"{d.xp}.reshape({a[0]}, {shape})"


def _loop(d: Dialect, node: Node, a: list[Text]) -> str:
    return f"{d.xp}.arange(1.0, {_plus(d, node.params[0].size, 1)}{d.made})[:, None, None]"


_NEUTRAL = {"sum": "0.0", "prod": "1.0", "max": "-1e300", "min": "1e300"}
_REDUCED = {"sum": "sum", "prod": "prod", "max": "amax", "min": "amin"}


def _reduce(d: Dialect, node: Node, a: list[Text]) -> Text:
    kind, loop = node.params
    loops = merged_loops(node.args)
    body = a[0]
    if len(a) == 2:
        mask = a[1].at(ATOM)
        rank = len(node.shape)
        if rank > 2 and node.args[1].loops:
            mask += "[" + ":, " * len(loops) + "None, " * (rank - 2) + "...]"
        body = Text(f"{d.xp}.where({mask} != 0, {body}, {_NEUTRAL[kind]})")
    if loop not in loops:
        if kind == "sum":
            return Text(f"{body.at(PRODUCT)} * {_bracketed(d, loop.size)}", PRODUCT)
        return (
            Text(f"{body.at(ATOM)}**{_bracketed(d, loop.size)}", POWER) if kind == "prod" else body
        )
    text = f"{d.xp}.{_REDUCED[kind]}({body}, {d.axis}={loops.index(loop)})"
    return Text(d.scalar(node, text))


def _collect(d: Dialect, node: Node, a: list[Text]) -> str:
    order, shape = node.params
    arg = node.args[0]
    text = d.array(arg, a[0])
    loops = list(arg.loops)
    new = [v for v in order if isinstance(v, Loop) and v not in loops]
    if new:  # a loop that the argument does not depend on repeats it
        places = [":"] * len(loops) + ["None"] * len(new)
        loops += new
        text = f"{d.xp}.broadcast_to({text}[{', '.join(places)}], {d.shape(arg.shape, loops)})"
    kept = [k for k, v in enumerate(loops) if v not in order]
    moved = [loops.index(v) if isinstance(v, Loop) else len(loops) + v for v in order]
    total = len(loops) + len(arg.shape)
    dropped = [k for k in range(total) if k not in kept and k not in moved]
    places_ = [*kept, *moved, *dropped]
    if places_ != list(range(total)):
        text = f"{d.xp}.{TRANSPOSE.get(d.xp, 'transpose')}({text}, {tuple(places_)})"
    own = [loops[k] for k in kept]
    return d.scalar(node, f"{d.xp}.reshape({text}, {d.shape(shape, own)})")


TRANSPOSE = {"torch": "permute"}


def _spread(d: Dialect, node: Node, a: list[Text]) -> str:
    order, shape = node.params
    arg = node.args[0]
    text = d.array(arg, a[0])
    flat = [k for k in arg.shape if k != ONE]
    names: list[Loop | int] = [*arg.loops, *order]
    core = [k for k in range(len(shape)) if k in [e for e in order if isinstance(e, int)]]
    wanted: list[Loop | int] = [*node.loops, *core]
    places = tuple(names.index(w) for w in wanted)
    if places != tuple(range(len(places))):
        text = f"{d.xp}.reshape({text}, {d.shape(flat, arg.loops)})"
        text = f"{d.xp}.{TRANSPOSE.get(d.xp, 'transpose')}({text}, {places})"
    return d.scalar(node, f"{d.xp}.reshape({text}, {d.shape(shape, node.loops)})")


def _onehot(d: Dialect, node: Node, a: list[Text]) -> Text:
    loops, shape = node.params
    order = list(node.loops)
    rank = len(order) + len(shape)
    parts = []
    for axis, loop in enumerate(loops):
        if loop is None:
            continue
        size = d.dim(loop.size)
        dims = ["1"] * rank
        dims[order.index(loop)] = dims[len(order) + axis] = size
        parts.append(f"{d.xp}.reshape({d.xp}.eye({size}{d.made}), ({', '.join(dims)}))")
    return Text(" * ".join(parts), PRODUCT) if parts else Text("1.0")


RULES: dict[str, Rule] = {
    "add": _add,
    "sub": infix(" - ", SUM, PRODUCT),
    "mul": _mul,
    "div": infix(" / ", PRODUCT, SIGN),
    "neg": _neg,
    "pow": _pow,
    **{name: function(name) for name in ("exp", "log", "sqrt", "sin", "cos", "tanh", "abs")},
    **{name: function(name) for name in ("sign", "floor", "ceil", "maximum", "minimum")},
    **{name: function(name) for name in ("tril", "triu")},
    **{name: helper(name) for name in ("sigmoid", "softplus", "erf", "relu")},
    "step": lambda d, node, a: Text(f"{a[0].at(SUM)} > 0", COMPARISON, truth=True),
    "where": _where,
    "gt": compare(">"), "ge": compare(">="), "lt": compare("<"), "le": compare("<="),
    "eq": compare("=="), "ne": compare("!="),
    "stop": lambda d, node, a: a[0],
    "matmul": _matmul, "transpose": _transpose, "trace": _trace, "einsum": _einsum,
    "det": _of_square("det"), "logdet": _of_square("slogdet", "[1]"),
    "inv": lambda d, node, a: f"{d.xp}.linalg.inv({a[0]})",
    "diag_of": _diag_of, "diag_part": _diag_part, "kron": _kron,
    "sum": reduction("sum"), "prod": reduction("prod"), "amax": reduction("amax"),
    "amin": reduction("amin"), "argmax": _argmax,
    "softmax": along("softmax"), "logsumexp": along("logsumexp"),
    "fill": _fill, "literal": _literal, "dim": _dim,
    "eye": lambda d, node, a: f"{d.xp}.eye({d.dim(node.shape[0])}{d.made})",
    "name": lambda d, node, a: node.params[0],
    "constant": lambda d, node, a: f"{d.xp}.pi",
    "slice": _slice, "embed": _embed, "pick": _pick, "concat": _concat, "reshape": _reshape,
    "loop": _loop, "reduce": _reduce, "collect": _collect, "spread": _spread, "onehot": _onehot,
}  # fmt: skip
