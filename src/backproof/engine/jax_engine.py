"""The JAX engine: a program as one function of JAX arrays, jitted for whatever device JAX has.

The derivation is ours; XLA only compiles it. Needs the extra `jax`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np

from backproof.engine.expressions import RULES, Dialect, Rule
from backproof.engine.numpy_engine import Again, as_numbers
from backproof.engine.program import VALUE, Program
from backproof.engine.signature import Taken, header, kind_of, shaped
from backproof.engine.source import identifiers, ordered, write
from backproof.errors import MissingExtra

JAX_RULES: dict[str, Rule] = dict(RULES)

HELPERS = {
    "sigmoid": "def sigmoid(z):\n    return jax.nn.sigmoid(z)\n",
    "softplus": "def softplus(z):\n    return jnp.logaddexp(z, 0.0)\n",
    "relu": "def relu(z):\n    return jnp.maximum(z, 0)\n",
    "erf": "def erf(z):\n    return jax.scipy.special.erf(z)\n",
    "softmax": "def softmax(z, axis):\n    return jax.nn.softmax(z, axis=axis)\n",
    "logsumexp": (
        "def logsumexp(z, axis):\n"
        "    return jax.scipy.special.logsumexp(z, axis=axis, keepdims=True)\n"
    ),
}


def load_jax() -> Any:
    """The library, or an error that says how to install it."""
    try:
        import jax
    except ImportError:
        raise MissingExtra("jax", "jax") from None
    return jax


def dialect(sizes: Mapping[str, int]) -> Dialect:
    return Dialect("jnp", JAX_RULES, sizes, made=", dtype=dtype")


def source(program: Program, taken: Taken) -> str:
    """The function as text: positional arrays in, (value, gradients…) out."""
    d = dialect(taken.sizes)
    written = write(program, d)
    lines = [f"def f({', '.join(written.arguments.values())}):"]
    for name, word in written.arguments.items():
        lines.append(f"    {word} = jnp.asarray({word}, dtype).reshape({header(taken, name)})")
    lines += [f"    {line.name} = {line.text}" for line in ordered(written.lines)]
    results = [shaped("jnp", written.results[n], taken.result(n)) for n in program.outputs]
    lines.append(f"    return {', '.join(results)},")
    return "\n".join(lines) + "\n"


def traced(program: Program, taken: Taken, dtype: str) -> tuple[Callable[..., Any], str]:
    """(the function before jit, its source); to be traced by jit, vmap or scan."""
    jax = load_jax()
    import jax.numpy as jnp

    text = source(program, taken)
    names: dict[str, Any] = {"jax": jax, "jnp": jnp, "dtype": dtype}
    for helper in HELPERS.values():
        exec(compile(helper, "<backproof jax helpers>", "exec"), names)
    exec(compile(text, "<backproof jax>", "exec"), names)
    return names["f"], text


class Precision:
    """Switches JAX to double precision for a block, where it is not on already."""

    def __init__(self, dtype: str) -> None:
        jax = load_jax()
        self.needed = dtype == "float64" and not jax.config.jax_enable_x64
        self.enable = getattr(jax, "enable_x64", None)
        if self.enable is None:
            self.enable = importlib.import_module("jax.experimental").enable_x64

    def wrap(self, f: Callable[..., Any]) -> Callable[..., Any]:
        if not self.needed:
            return f
        enable: Any = self.enable

        def precise(*args: Any) -> Any:
            with enable(True):
                return f(*args)

        return precise


PACKED = 4096  # numbers up to which arguments cross over as one array, and results come back so


def build(
    program: Program, taken: Taken, dtype: str, reuse: bool = False
) -> tuple[Callable[..., Any], str]:
    """(the compiled function of positional arrays, its source).

    Results are JAX's arrays, and NumPy's where a call passes nothing but small arrays of NumPy.
    """
    jax = load_jax()
    f, text = traced(program, taken, dtype)
    wrap = Precision(dtype).wrap
    numbers = sum(prod(taken.shapes[n]) for n in program.inputs)
    if numbers <= PACKED and all(taken.kinds[n] in ("array", "float") for n in program.inputs):
        return packed(program, taken, lambda g: wrap(jax.jit(g)), f, dtype), text
    return adapted(program, taken, wrap(jax.jit(f)), dtype), text


def packed(
    program: Program, taken: Taken, jit: Callable[[Any], Any], f: Callable[..., Any], dtype: str
) -> Callable[..., Any]:
    """The function of NumPy's arrays: one array in and one out, as each costs a microsecond."""
    import jax.numpy as jnp

    kind = np.dtype(dtype)
    ends = [0, *accumulate(prod(taken.shapes[n]) for n in program.inputs)]
    flat = np.empty(max(1, ends[-1]), kind)

    def whole(row: Any) -> Any:
        given = [row[a:b].reshape(taken.shapes[n])
                 for n, a, b in zip(program.inputs, ends, ends[1:], strict=False)]  # fmt: skip
        return jnp.concatenate([jnp.ravel(r) for r in f(*given)])

    views = [f"v_{k}" for k, _ in enumerate(program.inputs)]
    own_words = ("fast", "Again", "ndarray", "F", "flat", "out", "array", *views)
    words = identifiers(program.inputs, own_words)
    names: dict[str, Any] = {
        "fast": jit(whole), "Again": Again, "ndarray": np.ndarray, "F": kind, "flat": flat,
        "array": np.array,
    }  # fmt: skip
    lines = [f"def f({', '.join(words.values())}):"]
    for k, (name, word) in enumerate(words.items()):
        shape = taken.shapes[name]
        if taken.kinds[name] == "float":
            lines.append(f"    if {word}.__class__ is not float: raise Again")
        else:
            lines.append(
                f"    if {word}.__class__ is not ndarray or {word}.shape != {shape}"
                f" or {word}.dtype is not F: raise Again"
            )
        names[views[k]] = flat[ends[k] : ends[k + 1]].reshape(shape)
        lines.append(f"    {views[k]}[...] = {word}")
    lines.append("    out = array(fast(flat))")  # waits, so that `flat` may be written again
    at, results = 0, {}
    for name in program.outputs:
        own = taken.result(name)
        size = prod(own or ())
        results[name] = f"out[{at}]" if own is None else f"out[{at} : {at + size}].reshape({own})"
        at += size
    pairs = ", ".join(f"{n!r}: {r}" for n, r in results.items() if n != VALUE)
    value = f"{results[VALUE]}, " if VALUE in results else ""
    lines.append(f"    return {value}{{{pairs}}}")
    exec(compile("\n".join(lines), "<backproof jax call>", "exec"), names)
    made: Callable[..., Any] = names["f"]
    return made


def adapted(
    program: Program, taken: Taken, fast: Callable[..., Any], dtype: str
) -> Callable[..., Any]:
    """The jitted function with named results; other shapes than it was made for are turned down."""
    words = identifiers(program.inputs, ("fast", "Again", "ndarray", "known", "F", "own"))
    lines = [f"def f({', '.join(words.values())}):"]
    for name, word in words.items():
        if taken.kinds[name] == "array":  # JAX reads other byte orders as if they were its own
            lines.append(
                f"    if {word}.__class__ is not ndarray or {word}.dtype != F: raise Again"
            )
        if taken.kinds[name] == "cast":
            lines.append(f"    if {word}.__class__ is not own: {word} = known({word})")
        if taken.kinds[name] in ("float", "number"):
            lines.append(f"    if {word}.__class__ is not float: {word} = known({word})")
        if taken.kinds[name] in ("array", "cast"):
            lines.append(f"    if {word}.shape != {taken.shapes[name]}: raise Again")
    outs = [f"r{k}" for k, _ in enumerate(program.outputs)]
    lines.append(f"    {', '.join(outs)}, = fast({', '.join(words.values())})")
    pairs = ", ".join(
        f"{n!r}: {r}" for n, r in zip(program.outputs, outs, strict=True) if n != VALUE
    )
    value = "r0, " if VALUE in program.outputs else ""
    lines.append(f"    return {value}{{{pairs}}}")
    jax = load_jax()
    kind, array = np.dtype(dtype), jax.Array

    def known(value: Any) -> Any:
        if isinstance(value, array):
            return value
        if isinstance(value, np.ndarray) and kind_of(value, kind) == "array":
            raise Again  # arrays of NumPy alone give such arrays
        return as_numbers(value, kind)

    names: dict[str, Any] = {
        "fast": fast, "Again": Again, "ndarray": np.ndarray, "F": kind, "known": known,
        "own": type(jax.numpy.zeros(())),
    }  # fmt: skip
    exec(compile("\n".join(lines), "<backproof jax call>", "exec"), names)
    made: Callable[..., Any] = names["f"]
    return made
