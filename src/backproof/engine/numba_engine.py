"""The numba engine: a program as one compiled function of scalar loops, for small networks.

At these sizes what costs is the dispatch of operations, and there is one. Needs the extra `numba`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import prod
from sys import getrefcount
from typing import Any

import numpy as np

from backproof.engine.numba_functions import FAST, functions, load_numba
from backproof.engine.numba_rules import BLOCKS, ENTRIES, REDUCTIONS
from backproof.engine.numba_writer import Writer, carved, typed
from backproof.engine.numpy_engine import Again, as_numbers
from backproof.engine.program import VALUE, Program
from backproof.engine.signature import Taken
from backproof.engine.source import identifiers
from backproof.errors import NotAvailable


def supports(program: Program) -> None:
    """Raises NotAvailable where an operator of the program has no rule."""
    for node in program.order:
        op = node.op.name
        if op != "name" and op not in ENTRIES and op not in REDUCTIONS and op not in BLOCKS:
            raise NotAvailable(f"the numba engine has no rule for '{op}'.")


def namespace(dtype: str) -> dict[str, Any]:
    """What the generated functions use."""
    kind = np.dtype(dtype).type
    return {"np": np, "math": math, "Again": Again, "F": kind, **functions(dtype)}


def has_blas() -> bool:
    """Whether numba can reach a BLAS (through SciPy)."""
    from importlib.util import find_spec

    return find_spec("scipy") is not None


def function_source(
    program: Program, taken: Taken, dtype: str
) -> tuple[str, Writer, dict[str, int], int]:
    """(the function as text, what was written, where each array of a result lies, how many
    numbers the results and the workspace take).

    Both lie in one flat array, because every array that is passed costs as much as the loops of
    a small network, and one that is returned costs more.
    """
    w = Writer(program, taken, blas=has_blas())
    w.write()
    outs = {w.results[n]: w.allocations[w.results[n]] for n in arrays_out(program, taken)}
    inner = {n: s for n, s in w.allocations.items() if n not in outs}
    lines, places, length = carved({**outs, **inner}, "flat")
    head = [f"def f({', '.join([*w.arguments.values(), 'flat'])}):"]
    for name, word in w.arguments.items():
        shape = taken.shapes[name]
        if shape:
            test = " or ".join(f"{word}.shape[{k}] != {n}" for k, n in enumerate(shape))
            head.append(f"    if {test}: raise Again")
    lines += [f"{view} = {array}.reshape({size})" for array, (view, size) in w.flat.items()]
    head += [f"    {line}" for line in (*lines, *typed(w.body, dtype))]
    numbers = [w.results[n] for n in program.outputs if not taken.results[n]]
    where = {n: places[w.results[n]] for n in arrays_out(program, taken)}
    text = "\n".join([*head, f"    return {', '.join(numbers) or '0.0'}"]) + "\n"
    return text, w, where, length


def arrays_out(program: Program, taken: Taken) -> list[str]:
    """The outputs that are arrays."""
    return [n for n in program.outputs if taken.results[n]]


def build(
    program: Program, taken: Taken, dtype: str, reuse: bool = False
) -> tuple[Callable[..., Any], str]:
    """(the compiled function of positional arrays, its source)."""
    numba = load_numba()
    supports(program)
    text, w, where, length = function_source(program, taken, dtype)
    kind = np.dtype(dtype)
    names = namespace(dtype)
    names.update({n: np.asarray(v, kind) for n, v in w.tables.items()})
    exec(compile(text, "<backproof numba>", "exec"), names)
    scalar = numba.from_dtype(kind)

    def array(shape: tuple[int, ...]) -> Any:
        return numba.types.Array(scalar, len(shape), "C")

    types = [
        numba.float64 if taken.kinds[n] in ("float", "number") else array(taken.shapes[n])
        for n in program.inputs
    ]
    types.append(array((1,)))
    fast = numba.njit([tuple(types)], fastmath=FAST, error_model="numpy")(names["f"])

    def fresh() -> tuple[Any, ...]:
        """A flat array, and the arrays of the results in it."""
        flat = np.empty(max(1, length), kind)
        views = []
        for n in arrays_out(program, taken):
            shape, at = taken.results[n] or (), where[n]
            views.append(flat[at : at + prod(shape)].reshape(shape))
        return (flat, *views)

    return adapted(program, taken, fast, kind, fresh, reuse), text


def plain(value: Any, kind: Any) -> Any:
    """An array as the compiled loops take it: theirs to write to, in rows."""
    array = as_numbers(value, kind)
    return np.require(array, kind, ("C", "W")).reshape(array.shape)


def adapted(
    program: Program, taken: Taken, fast: Callable[..., Any], kind: Any,
    fresh: Callable[[], tuple[Any, ...]], reuse: bool,
) -> Callable[..., Any]:  # fmt: skip
    """The compiled function with named results; arrays of another kind are copied first.

    Results that the caller has let go of are used again, as their memory would be: a set of
    arrays is taken where nobody but this function refers to it or to a view of it. There are two
    sets, because a caller in a loop still holds the results of the call before.
    """
    own = ("fast", "take", "flat", "count", "spare", "fresh", "named", "found")
    words = identifiers(program.inputs, own)
    names: dict[str, Any] = {"fast": fast, "count": getrefcount}
    names["take"] = lambda x: plain(x, kind)
    results = {n: f"_r{k}" for k, n in enumerate(program.outputs)}
    outs = arrays_out(program, taken)
    held = ["flat", *(results[n] for n in outs)]
    together = ", ".join([*held, "named"])

    def kept() -> tuple[Any, ...]:
        """A set of arrays, and the results by name, where numbers have yet to be put."""
        arrays = fresh()
        views = dict(zip(outs, arrays[1:], strict=True))
        return (*arrays, {n: views.get(n) for n in results if n != VALUE})

    names["fresh"] = kept
    names.update(zip([*held, "named"], kept(), strict=True))
    names["spare"] = kept()
    lines = [f"def f({', '.join(words.values())}):"]
    for name, word in words.items():
        if taken.kinds[name] == "cast":
            lines.append(f"    {word} = take({word})")
    if not reuse and outs:
        counts = ", ".join(f"count({h})" for h in held)
        exec(f"def idle(): return {counts},", names)  # what counts says while only `f` holds a set
        busy = " or ".join(f"count({h}) > {n}" for h, n in zip(held, names["idle"](), strict=True))
        lines[1:1] = [
            f"    global {together}, spare",
            f"    if {busy}:",
            f"        ({together},), spare = spare, ({together},)",
            f"        if {busy}: {together}, = fresh()",
        ]
    numbers = [results[n] for n in program.outputs if n not in outs]
    call = f"fast({', '.join([*words.values(), 'flat'])})"
    lines.append(f"    {', '.join(numbers)} = {call}" if numbers else f"    {call}")
    # Copying a dict takes half the time of writing one out.
    lines.append("    found = named.copy()")
    lines += [f"    found[{n!r}] = {results[n]}" for n in results if n not in (*outs, VALUE)]
    value = f"{results[VALUE]}, " if VALUE in program.outputs else ""
    lines.append(f"    return {value}found")
    exec(compile("\n".join(lines), "<backproof numba call>", "exec"), names)
    f: Callable[..., Any] = names["f"]
    return f
