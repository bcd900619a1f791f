"""The JAX engine: a program as one function of JAX arrays, jitted for whatever device JAX has.

The derivation is ours; XLA only compiles it. Needs the extra `jax`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from backproof.engine.expressions import RULES, Dialect, Rule
from backproof.engine.numpy_engine import Again, as_numbers
from backproof.engine.program import VALUE, Program
from backproof.engine.signature import Taken, header, shaped
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


def build(
    program: Program, taken: Taken, dtype: str, reuse: bool = False
) -> tuple[Callable[..., Any], str]:
    """(the compiled function of positional arrays, its source)."""
    jax = load_jax()
    f, text = traced(program, taken, dtype)
    return adapted(program, taken, Precision(dtype).wrap(jax.jit(f)), dtype), text


def adapted(
    program: Program, taken: Taken, fast: Callable[..., Any], dtype: str
) -> Callable[..., Any]:
    """The jitted function with named results; other shapes than it was made for are turned down."""
    words = identifiers(program.inputs, ("fast", "Again", "ndarray", "known", "F"))
    lines = [f"def f({', '.join(words.values())}):"]
    for name, word in words.items():
        if taken.kinds[name] == "array":  # JAX reads other byte orders as if they were its own
            lines.append(
                f"    if {word}.__class__ is not ndarray or {word}.dtype != F: raise Again"
            )
        if taken.kinds[name] == "cast":
            lines.append(f"    {word} = known({word})")
        if taken.kinds[name] in ("array", "cast"):
            lines.append(f"    if {word}.shape != {taken.shapes[name]}: raise Again")
    outs = [f"r{k}" for k, _ in enumerate(program.outputs)]
    lines.append(f"    {', '.join(outs)}, = fast({', '.join(words.values())})")
    pairs = ", ".join(
        f"{n!r}: {r}" for n, r in zip(program.outputs, outs, strict=True) if n != VALUE
    )
    value = "r0, " if VALUE in program.outputs else ""
    lines.append(f"    return {value}{{{pairs}}}")
    kind, array = np.dtype(dtype), load_jax().Array

    def known(value: Any) -> Any:
        return value if isinstance(value, array) else as_numbers(value, kind)

    names: dict[str, Any] = {
        "fast": fast, "Again": Again, "ndarray": np.ndarray, "F": kind, "known": known,
    }  # fmt: skip
    exec(compile("\n".join(lines), "<backproof jax call>", "exec"), names)
    made: Callable[..., Any] = names["f"]
    return made
