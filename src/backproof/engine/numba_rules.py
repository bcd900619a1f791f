"""One entry of an operation's result as a scalar expression: the rules of the numba engine.

Every operator says what its entry at an index is, given the entries of its arguments; operators
that sum or choose along axes say what is reduced. Engines of loops are made of these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from backproof.operators.dims import ONE
from backproof.operators.node import Loop, Node

if TYPE_CHECKING:
    from backproof.engine.numba_writer import Writer

Env = dict[Loop, str]
Core = tuple[str, ...]
Entry = Callable[["Writer", Node, Env, Core], str]


def _elementwise(pattern: str) -> Entry:
    def rule(w: Writer, node: Node, env: Env, core: Core) -> str:
        return pattern.format(*(w.entry(a, env, w.stretched(a, node, core)) for a in node.args))

    return rule


def _call(name: str) -> Entry:
    return lambda w, node, env, core: f"{name}({w.entry(node.args[0], env, core)})"


def _pow(w: Writer, node: Node, env: Env, core: Core) -> str:
    x, k = node.args
    base = w.entry(x, env, w.stretched(x, node, core))
    if k.fill == 2:
        return f"square_({base})"
    if k.fill is not None and k.fill.denominator == 1 and abs(k.fill) < 64:
        return f"({base} ** {int(k.fill)})" if k.fill > 0 else f"(1.0 / {base} ** {-int(k.fill)})"
    return f"power_({base}, {w.entry(k, env, w.stretched(k, node, core))})"


# --- structure -------------------------------------------------------------------------------


def _fill(w: Writer, node: Node, env: Env, core: Core) -> str:
    return repr(float(node.params[0]))


def _eye(w: Writer, node: Node, env: Env, core: Core) -> str:
    return f"(1.0 if {core[0]} == {core[1]} else 0.0)"


def _slice(w: Writer, node: Node, env: Env, core: Core) -> str:
    starts = [w.size(start) for start, _ in node.params[0]]
    own = tuple(plus(i, s) for i, s in zip(core, starts, strict=True))
    return w.entry(node.args[0], env, own)


def plus(index: str, offset: int) -> str:
    """An index moved by a constant."""
    if not offset:
        return index
    return str(int(index) + offset) if index.isdigit() else f"({index} + {offset})"


def _embed(w: Writer, node: Node, env: Env, core: Core) -> str:
    starts, _ = node.params
    inner = node.args[0]
    tests, own = [], []
    for i, start, length, whole in zip(core, starts, inner.shape, node.shape, strict=True):
        s, n = w.size(start), w.size(length)
        own.append(plus(i, -s) if not i.isdigit() else str(max(0, int(i) - s)))
        if n != w.size(whole):
            tests.append(f"{s} <= {i} < {s + n}")
    body = w.entry(inner, env, tuple(own))
    return f"({body} if {' and '.join(tests)} else 0.0)" if tests else body


def _pick(w: Writer, node: Node, env: Env, core: Core) -> str:
    axis, _ = node.params
    place = w.entry(node.args[0], env, ("0", "0"))
    return f"(1.0 if {core[axis]} + 1 == {place} else 0.0)"


def _concat(w: Writer, node: Node, env: Env, core: Core) -> str:
    axis, at = node.params[0], 0
    text, i = "", core[node.params[0]]
    close = 0
    for k, arg in enumerate(node.args):
        n = w.size(arg.shape[axis])
        own = list(core)
        own[axis] = plus(i, -at) if not i.isdigit() else str(max(0, int(i) - at))
        body = w.entry(arg, env, tuple(own))
        at += n
        if k < len(node.args) - 1:
            text += f"({body} if {i} < {at} else "
            close += 1
        else:
            text += body
    return text + ")" * close


def _reshape(w: Writer, node: Node, env: Env, core: Core) -> str:
    shape = [w.size(d) for d in node.shape]
    flat = ""
    for i, n in zip(core, shape, strict=True):
        if n == 1:
            continue
        flat = f"({flat} * {n} + {i})" if flat else i
    flat = flat or "0"
    own: list[str] = []
    sizes = [w.size(d) for d in node.args[0].shape]
    live = [k for k, n in enumerate(sizes) if n != 1]
    rest = 1
    places = {}
    for k in reversed(live):
        below = f"({flat} // {rest})" if rest > 1 else flat
        places[k] = f"({below} % {sizes[k]})" if k != live[0] else below
        rest *= sizes[k]
    own = [places.get(k, "0") for k in range(len(sizes))]
    return w.entry(node.args[0], env, tuple(own))


def _loop(w: Writer, node: Node, env: Env, core: Core) -> str:
    return f"({env[node.params[0]]} + 1.0)"


def _collect(w: Writer, node: Node, env: Env, core: Core) -> str:
    order, shape = node.params
    arg = node.args[0]
    labels = iter([i for i, d in zip(core, shape, strict=True) if d != ONE])
    own = ["0"] * len(arg.shape)
    inner = dict(env)
    for part in order:
        label = next(labels)
        if isinstance(part, Loop):
            inner[part] = label
        else:
            own[part] = label
    return w.entry(arg, inner, tuple(own))


def _spread(w: Writer, node: Node, env: Env, core: Core) -> str:
    order, _ = node.params
    arg = node.args[0]
    labels = iter([env[e] if isinstance(e, Loop) else core[e] for e in order])
    own = tuple("0" if d == ONE else next(labels) for d in arg.shape)
    return w.entry(arg, env, own)


def _onehot(w: Writer, node: Node, env: Env, core: Core) -> str:
    tests = [f"{env[loop]} == {i}" for loop, i in zip(node.params[0], core, strict=True) if loop]
    return f"(1.0 if {' and '.join(tests)} else 0.0)" if tests else "1.0"


# --- linear algebra --------------------------------------------------------------------------


def _transpose(w: Writer, node: Node, env: Env, core: Core) -> str:
    return w.entry(node.args[0], env, core[::-1])


def _diag_of(w: Writer, node: Node, env: Env, core: Core) -> str:
    return f"({w.entry(node.args[0], env, (core[0], '0'))} if {core[0]} == {core[1]} else 0.0)"


def _diag_part(w: Writer, node: Node, env: Env, core: Core) -> str:
    return w.entry(node.args[0], env, (core[0], core[0]))


def _triangle(sign: str) -> Entry:
    def rule(w: Writer, node: Node, env: Env, core: Core) -> str:
        return f"({w.entry(node.args[0], env, core)} if {core[0]} {sign} {core[1]} else 0.0)"

    return rule


def _kron(w: Writer, node: Node, env: Env, core: Core) -> str:
    a, b = node.args
    q, r = (w.size(d) for d in b.shape)
    left = tuple(over(i, n) for i, n in zip(core, (q, r), strict=True))
    right = tuple(within(i, n) for i, n in zip(core, (q, r), strict=True))
    return f"({w.entry(a, env, left)} * {w.entry(b, env, right)})"


def over(index: str, n: int) -> str:
    """The block that an index is in."""
    return index if n == 1 else f"({index} // {n})"


def within(index: str, n: int) -> str:
    """The place of an index in its block."""
    return "0" if n == 1 else f"({index} % {n})"


ENTRIES: dict[str, Entry] = {
    "add": _elementwise("({} + {})"), "sub": _elementwise("({} - {})"),
    "mul": _elementwise("({} * {})"), "div": _elementwise("({} / {})"),
    "neg": _elementwise("(-{})"), "stop": _elementwise("{}"), "pow": _pow,
    "maximum": _elementwise("max({}, {})"), "minimum": _elementwise("min({}, {})"),
    "where": _elementwise("({1} if {0} != 0.0 else {2})"),
    **{
        name: _elementwise(f"(1.0 if {{}} {sign} {{}} else 0.0)")
        for name, sign in (
            ("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="), ("eq", "=="), ("ne", "!="),
        )
    },
    **{name: _call(f"math.{name}") for name in ("sin", "cos", "erf")},
    **{name: _call(f"{name}_") for name in ("exp", "tanh", "sigmoid", "softplus", "relu", "step",
                                           "sign", "log", "sqrt")},
    "abs": _call("abs"), "floor": _call("math.floor"), "ceil": _call("math.ceil"),
    "fill": _fill, "eye": _eye, "slice": _slice, "embed": _embed, "pick": _pick,
    "concat": _concat, "reshape": _reshape, "loop": _loop, "collect": _collect,
    "spread": _spread, "onehot": _onehot, "transpose": _transpose, "diag_of": _diag_of,
    "diag_part": _diag_part, "tril": _triangle(">="), "triu": _triangle("<="), "kron": _kron,
    "constant": lambda w, node, env, core: "math.pi",
    "dim": lambda w, node, env, core: f"{float(w.size(node.params[0]))!r}",
    "literal": lambda w, node, env, core: w.table(node, core),
}  # fmt: skip


# --- reductions: what runs, and what is combined -----------------------------------------------

# (start, how an entry is taken in), with `acc` and `x`; long sums are taken in double precision
COMBINE: dict[str, tuple[str, str]] = {
    "sum": ("np.float64(0)", "acc += {x}"),
    "products": ("0.0", "acc += {x}"),
    "prod": ("1.0", "acc *= {x}"),
    "max": ("-math.inf", "acc = max(acc, {x})"),
    "min": ("math.inf", "acc = min(acc, {x})"),
}
Bound = tuple[list[tuple[str, int]], str]  # the bound indices with their sizes, the entry
Reduction = Callable[["Writer", Node, Env, Core], Bound]


def _along(w: Writer, node: Node, env: Env, core: Core) -> Bound:
    axis, x = node.params[0], node.args[0]
    bound: list[tuple[str, int]] = []
    own: list[str] = []
    for k, d in enumerate(x.shape):
        if axis is None or k == axis:
            own.append(w.bound(bound, w.size(d)))
        else:
            own.append(core[k])
    return bound, w.entry(x, env, tuple(own))


def _trace(w: Writer, node: Node, env: Env, core: Core) -> Bound:
    bound: list[tuple[str, int]] = []
    k = w.bound(bound, w.size(node.args[0].shape[0]))
    return bound, w.entry(node.args[0], env, (k, k))


def _matmul(w: Writer, node: Node, env: Env, core: Core) -> Bound:
    x, y = node.args
    bound: list[tuple[str, int]] = []
    if len(x.shape) == len(y.shape) == 2:
        k = w.bound(bound, w.size(x.shape[1]))
        return bound, f"{w.entry(x, env, (core[0], k))} * {w.entry(y, env, (k, core[1]))}"
    left = [d for d in x.shape if d != ONE]
    k = w.bound(bound, w.size(left[-1]))
    free = [i for i, d in zip(core, node.shape, strict=True) if d != ONE]
    a = _placed(x, [*free[: len(left) - 1], k])
    b = _placed(y, [k, *free[len(left) - 1 :]])
    return bound, f"{w.entry(x, env, a)} * {w.entry(y, env, b)}"


def _placed(node: Node, labels: Sequence[str]) -> Core:
    rest = iter(labels)
    return tuple("0" if d == ONE else next(rest) for d in node.shape)


def _einsum(w: Writer, node: Node, env: Env, core: Core) -> Bound:
    left, _, out = node.params[0].partition("->")
    full = len(out) == len(node.shape)
    free = core if full else [i for i, d in zip(core, node.shape, strict=True) if d != ONE]
    labels = dict(zip(out, free, strict=False))
    bound: list[tuple[str, int]] = []
    factors = []
    for letters, arg in zip(left.split(","), node.args, strict=True):
        whole = len(letters) == len(arg.shape)
        axes = list(arg.shape) if whole else [d for d in arg.shape if d != ONE]
        for letter, d in zip(letters, axes, strict=True):
            if letter not in labels:
                labels[letter] = w.bound(bound, w.size(d))
        own = [labels[c] for c in letters]
        place = tuple(own) if whole else _placed(arg, own)
        place = tuple("0" if w.size(d) == 1 else i for i, d in zip(place, arg.shape, strict=True))
        factors.append(w.entry(arg, env, place))
    return bound, " * ".join(factors)


def _reduce(w: Writer, node: Node, env: Env, core: Core) -> Bound:
    _, loop = node.params
    bound: list[tuple[str, int]] = []
    inner = {**env, loop: w.bound(bound, w.size(loop.size))}
    body = w.entry(node.args[0], inner, core)
    if len(node.args) == 2:
        neutral = COMBINE[kind_of(node)][0]
        body = f"({body} if {w.entry(node.args[1], inner, ('0', '0'))} != 0.0 else {neutral})"
    return bound, body


KINDS = {"prod": "prod", "amax": "max", "amin": "min", "matmul": "products", "einsum": "products"}


def kind_of(node: Node) -> str:
    """Which way of combining a reduction uses."""
    if node.op.name == "reduce":
        kind: str = node.params[0]
        return kind
    return KINDS.get(node.op.name, "sum")


REDUCTIONS: dict[str, Reduction] = {
    "sum": _along, "prod": _along, "amax": _along, "amin": _along, "trace": _trace,
    "matmul": _matmul, "einsum": _einsum, "reduce": _reduce,
}  # fmt: skip
BLOCKS = ("softmax", "logsumexp", "argmax")  # the writer has a block of loops for each
UNSUPPORTED = ("inv", "det", "logdet")
