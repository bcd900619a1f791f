"""The numba engine: a program as one compiled function of scalar loops, for small networks.

At these sizes what costs is the dispatch of operations, and there is one. Needs the extra `numba`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from backproof.engine.numba_rules import BLOCKS, ENTRIES, REDUCTIONS
from backproof.engine.numba_writer import Writer
from backproof.engine.numpy_engine import Again
from backproof.engine.program import VALUE, Program
from backproof.engine.signature import Taken
from backproof.errors import MissingExtra, NotAvailable

FAST = {"reassoc", "contract", "nsz", "arcp"}  # sums may be reordered; NaN and infinity stay


def load_numba() -> Any:
    """The library, or an error that says how to install it."""
    try:
        import numba
    except ImportError:
        raise MissingExtra("numba", "numba") from None
    return numba


def supports(program: Program) -> None:
    """Raises NotAvailable where an operator of the program has no rule."""
    for node in program.order:
        op = node.op.name
        if op != "name" and op not in ENTRIES and op not in REDUCTIONS and op not in BLOCKS:
            raise NotAvailable(f"the numba engine has no rule for '{op}'.")


def _square(x: float) -> float:
    return x * x


def _power(x: float, y: float) -> float:
    return math.pow(x, y)


def _sigmoid(x: float) -> float:
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _relu(x: float) -> float:
    return x if x > 0.0 else 0.0 * x


def _step(x: float) -> float:
    return 1.0 if x > 0.0 else 0.0


def _sign(x: float) -> float:
    return 1.0 if x > 0.0 else (-1.0 if x < 0.0 else 0.0)


def _log(x: float) -> float:
    return math.log(x) if x > 0.0 else math.nan


def _sqrt(x: float) -> float:
    return math.sqrt(x) if x >= 0.0 else math.nan


@lru_cache(maxsize=1)
def namespace() -> dict[str, Any]:
    """What the generated functions use."""
    njit = load_numba().njit
    helpers = {
        "square_": _square, "power_": _power, "sigmoid_": _sigmoid, "softplus_": _softplus,
        "relu_": _relu, "step_": _step, "sign_": _sign, "log_": _log, "sqrt_": _sqrt,
    }  # fmt: skip
    made = {name: njit(f, inline="never", error_model="numpy") for name, f in helpers.items()}
    return {"np": np, "math": math, "Again": Again, **made}


def has_blas() -> bool:
    """Whether numba can reach a BLAS (through SciPy)."""
    from importlib.util import find_spec

    return find_spec("scipy") is not None


def function_source(program: Program, taken: Taken) -> tuple[str, Writer]:
    """The function as text, and what was written."""
    w = Writer(program, taken, blas=has_blas())
    w.write()
    head = [f"def f({', '.join(w.arguments.values())}):"]
    for name, word in w.arguments.items():
        shape = taken.shapes[name]
        if shape:
            test = " or ".join(f"{word}.shape[{k}] != {n}" for k, n in enumerate(shape))
            head.append(f"    if {test}: raise Again")
    lines = [*head, *(f"    {line}" for line in (*w.allocations, *w.body))]
    results = ", ".join(w.results[n] for n in program.outputs)
    return "\n".join([*lines, f"    return {results},"]) + "\n", w


def build(
    program: Program, taken: Taken, dtype: str, reuse: bool = False
) -> tuple[Callable[..., Any], str]:
    """(the compiled function of positional arrays, its source)."""
    numba = load_numba()
    supports(program)
    text, w = function_source(program, taken)
    kind = np.dtype(dtype)
    names: dict[str, Any] = {**namespace(), "F": kind.type}
    names.update({n: np.asarray(v, kind) for n, v in w.tables.items()})
    exec(compile(text, "<backproof numba>", "exec"), names)
    number = numba.float64
    scalar = numba.from_dtype(kind)
    types = []
    for name in program.inputs:
        if taken.kinds[name] in ("float", "number"):
            types.append(number)
        else:
            types.append(numba.types.Array(scalar, len(taken.shapes[name]), "C"))
    fast = numba.njit([tuple(types)], fastmath=FAST, error_model="numpy")(names["f"])
    return adapted(program, taken, fast, kind), text


def adapted(
    program: Program, taken: Taken, fast: Callable[..., Any], kind: Any
) -> Callable[..., Any]:
    """The compiled function with named results; arrays of another kind are copied first."""
    from backproof.engine.source import identifiers

    words = identifiers(program.inputs, ("fast", "cast", "np", "F"))
    names: dict[str, Any] = {"fast": fast, "F": kind}
    lines = [f"def f({', '.join(words.values())}):"]
    names["take"] = lambda x: np.ascontiguousarray(x, kind).reshape(np.shape(x))
    for name, word in words.items():
        if taken.kinds[name] == "cast":
            lines.append(f"    {word} = take({word})")
    outs = [f"r{k}" for k, _ in enumerate(program.outputs)]
    lines.append(f"    {', '.join(outs)}, = fast({', '.join(words.values())})")
    pairs = ", ".join(
        f"{n!r}: {r}" for n, r in zip(program.outputs, outs, strict=True) if n != VALUE
    )
    value = "r0, " if VALUE in program.outputs else ""
    lines.append(f"    return {value}{{{pairs}}}")
    exec(compile("\n".join(lines), "<backproof numba call>", "exec"), names)
    f: Callable[..., Any] = names["f"]
    return f
