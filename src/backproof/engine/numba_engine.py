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
from backproof.engine.numba_writer import Writer, carved
from backproof.engine.numpy_engine import Again
from backproof.engine.program import VALUE, Program
from backproof.engine.signature import Taken
from backproof.engine.source import identifiers
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


def function_source(program: Program, taken: Taken) -> tuple[str, Writer, int]:
    """(the function as text, what was written, the length of its workspace).

    Results that are arrays are arguments too: to make them outside costs less than to return them.
    """
    w = Writer(program, taken, blas=has_blas())
    w.write()
    outs = {w.results[n]: w.allocations[w.results[n]] for n in arrays_out(program, taken)}
    inner = {n: s for n, s in w.allocations.items() if n not in outs}
    lines, length = carved(inner, "work")
    head = [f"def f({', '.join([*w.arguments.values(), 'work', *outs])}):"]
    for name, word in w.arguments.items():
        shape = taken.shapes[name]
        if shape:
            test = " or ".join(f"{word}.shape[{k}] != {n}" for k, n in enumerate(shape))
            head.append(f"    if {test}: raise Again")
    head += [f"    {line}" for line in (*lines, *w.body)]
    numbers = [w.results[n] for n in program.outputs if not taken.results[n]]
    return "\n".join([*head, f"    return {', '.join(numbers) or '0.0'}"]) + "\n", w, length


def arrays_out(program: Program, taken: Taken) -> list[str]:
    """The outputs that are arrays."""
    return [n for n in program.outputs if taken.results[n]]


def build(
    program: Program, taken: Taken, dtype: str, reuse: bool = False
) -> tuple[Callable[..., Any], str]:
    """(the compiled function of positional arrays, its source)."""
    numba = load_numba()
    supports(program)
    text, w, length = function_source(program, taken)
    kind = np.dtype(dtype)
    names: dict[str, Any] = {**namespace(), "F": kind.type}
    names.update({n: np.asarray(v, kind) for n, v in w.tables.items()})
    exec(compile(text, "<backproof numba>", "exec"), names)
    scalar = numba.from_dtype(kind)

    def array(shape: tuple[int, ...]) -> Any:
        return numba.types.Array(scalar, len(shape), "C")

    types = [
        numba.float64 if taken.kinds[n] in ("float", "number") else array(taken.shapes[n])
        for n in program.inputs
    ]
    types += [array((1,)), *(array(taken.results[n] or ()) for n in arrays_out(program, taken))]
    fast = numba.njit([tuple(types)], fastmath=FAST, error_model="numpy")(names["f"])
    return adapted(program, taken, fast, kind, np.empty(max(1, length), kind), reuse), text


def adapted(
    program: Program, taken: Taken, fast: Callable[..., Any], kind: Any, work: Any, reuse: bool
) -> Callable[..., Any]:
    """The compiled function with named results; arrays of another kind are copied first."""
    words = identifiers(program.inputs, ("fast", "take", "work", "empty", "F", "zeros"))
    names: dict[str, Any] = {"fast": fast, "F": kind, "work": work, "empty": np.empty}
    names["take"] = lambda x: np.ascontiguousarray(x, kind).reshape(np.shape(x))
    lines = [f"def f({', '.join(words.values())}):"]
    for name, word in words.items():
        if taken.kinds[name] == "cast":
            lines.append(f"    {word} = take({word})")
    results = {n: f"_r{k}" for k, n in enumerate(program.outputs)}
    outs = arrays_out(program, taken)
    for n in outs:
        if reuse:
            names[results[n]] = np.empty(taken.results[n] or (), kind)
        else:
            lines.append(f"    {results[n]} = empty({taken.results[n]}, F)")
    numbers = [results[n] for n in program.outputs if n not in outs]
    call = f"fast({', '.join([*words.values(), 'work', *(results[n] for n in outs)])})"
    lines.append(f"    {', '.join(numbers)} = {call}" if numbers else f"    {call}")
    pairs = ", ".join(f"{n!r}: {r}" for n, r in results.items() if n != VALUE)
    value = f"{results[VALUE]}, " if VALUE in program.outputs else ""
    lines.append(f"    return {value}{{{pairs}}}")
    exec(compile("\n".join(lines), "<backproof numba call>", "exec"), names)
    f: Callable[..., Any] = names["f"]
    return f
