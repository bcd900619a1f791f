"""How the arrays of one call come in: their shapes, kinds and sizes, and how results go out.

A function is compiled for one signature; `Taken` says what it is. Errors name the argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backproof.errors import BackproofError, ShapeProblem, ValueProblem
from backproof.operators.dims import ONE, SCALAR, Dim, Shape, paper_shape
from backproof.operators.node import Graph


@dataclass(frozen=True)
class Taken:
    """What one call was given.

    sizes    dimension name -> size
    shapes   argument -> its shape as passed
    cores    argument -> its core shape, two axes or more
    results  result -> the shape it goes out in; None: as a number
    numbers  the arguments that the sheet declares as numbers
    kinds    argument -> "float", "number" (int and the like), "array" of the right dtype, "cast"
    """

    sizes: Mapping[str, int]
    shapes: Mapping[str, tuple[int, ...]]
    cores: Mapping[str, tuple[int, ...]]
    results: Mapping[str, tuple[int, ...] | None]
    numbers: frozenset[str] = frozenset()
    kinds: Mapping[str, str] = field(default_factory=dict)

    def result(self, name: str) -> tuple[int, ...] | None:
        """The shape that a result goes out in; None: as a number."""
        return self.results[name]


def take(
    graph: Graph,
    shapes: Mapping[str, Shape],
    outputs: Mapping[str, Shape],
    arrays: Mapping[str, Any],
    known: Mapping[str, int],
    dtype: str = "float64",
) -> Taken:
    """What a call was given; ShapeProblem where it does not fit the sheet.

    shapes    input -> its declared shape
    outputs   result -> its core shape; results named like an input take its shape as passed
    known     sizes that are fixed
    """
    sizes = dict(known)
    passed = {name: tuple(np.shape(arrays[name])) for name in shapes}
    for name, came in passed.items():
        if 0 in came:
            raise ShapeProblem(
                f"{name} has no entries: it came with the shape {came}.",
                hint="a size is 1 or more; a batch has at least one sample",
            )
    pending = list(shapes)
    for _ in range(len(pending) + 1):  # sizes such as d + 1 wait until d is known
        left = [n for n in pending if not _bind(n, passed[n], shapes[n], sizes, graph)]
        if not left or len(left) == len(pending):
            pending = left
            break
        pending = left
    cores = {}
    for name, shape in shapes.items():
        core = _known(graph, shape, sizes, name)
        if not _fits(passed[name], core):
            raise _misfit(name, passed[name], shape, core, sizes)
        cores[name] = core
    results: dict[str, tuple[int, ...] | None] = {}
    for name, shape in outputs.items():
        if name in passed and shape == shapes[name]:
            results[name] = passed[name]
            continue
        core = _known(graph, shape, sizes, name)
        results[name] = None if core == (1, 1) and shape == SCALAR else core
    numbers = frozenset(n for n, s in shapes.items() if s == SCALAR)
    kinds = {n: kind_of(arrays[n], np.dtype(dtype)) for n in shapes}
    return Taken(sizes, passed, cores, results, numbers, kinds)


def _known(graph: Graph, shape: Shape, sizes: Mapping[str, int], name: str) -> tuple[int, ...]:
    try:
        return tuple(graph.resolve(d).evaluate(sizes) for d in shape)
    except KeyError as missing:
        raise ShapeProblem(
            f"the size {missing.args[0]} of {name} cannot be told from what was passed.",
            hint=f"give it a number in the sheet: let {missing.args[0]} = …",
        ) from None


def kind_of(value: Any, dtype: np.dtype[Any]) -> str:
    """How a value comes in (see `Taken.kinds`)."""
    if value.__class__ is float:
        return "float"
    if not isinstance(value, np.ndarray):
        return "number" if np.ndim(value) == 0 else "cast"
    plain = value.flags.c_contiguous and value.flags.writeable  # what compiled loops take as it is
    return "array" if value.dtype is dtype and plain else "cast"


def _bind(
    name: str, passed: tuple[int, ...], shape: Shape, sizes: dict[str, int], graph: Graph
) -> bool:
    """Finds sizes from one array; whether nothing is left to find."""
    if len(passed) == len(shape):
        axes = list(zip(passed, shape, strict=True))
    elif len(passed) == 1 and len(shape) == 2 and ONE in shape:
        long = shape[0] if shape[1] == ONE else shape[1]
        axes = [(passed[0], long)]
    else:
        return True
    done = True
    for n, d in axes:
        names = graph.resolve(d).names() - sizes.keys()
        if not names:
            continue
        solved = graph.resolve(d).substitute(sizes).solve_for(Dim.of(n)) if n else None
        number = solved[1].as_int() if solved is not None else None
        if solved is None or number is None:
            done = False
        else:
            sizes[solved[0]] = number
    return done


def _fits(passed: tuple[int, ...], core: tuple[int, ...]) -> bool:
    if passed == core:
        return True
    if core == (1, 1):
        return all(n == 1 for n in passed)
    return len(core) == 2 and 1 in core and passed == (max(core),)


def _misfit(
    name: str,
    passed: tuple[int, ...],
    shape: Shape,
    core: tuple[int, ...],
    sizes: Mapping[str, int],
) -> ShapeProblem:
    wanted = tuple(core[: len(paper_shape(shape))])
    also = " (or as a column, " + str(core) + ")" if len(wanted) == 1 else ""
    names = sorted({n for d in shape for n in d.names()})
    where = "; ".join(f"{n} is {sizes[n]}" for n in names if n in sizes)
    turned = len(core) == 2 and passed == core[::-1]
    return ShapeProblem(
        f"{name} has shape {passed}, and the sheet says {wanted or 'a number'}{also}"
        + (f", where {where}." if where else "."),
        hint=f"{name}.T has the shape that fits" if turned else "",
    )


def check_arguments(wanted: Sequence[str], got: Sequence[str], optional: Sequence[str]) -> None:
    """Raises where a name is missing or unknown."""
    unknown = [n for n in got if n not in wanted and n not in optional]
    if unknown:
        raise BackproofError(
            f"'{unknown[0]}' is not an argument.", hint=f"the arguments are {', '.join(wanted)}"
        )
    missing = [n for n in wanted if n not in got]
    if missing:
        raise BackproofError(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing.",
            hint=f"the arguments are {', '.join(wanted)}",
        )


def checked_number(name: str, value: Any) -> Any:
    """The value as an array of numbers; ValueProblem where it is none."""
    try:
        array = np.asarray(value)
    except Exception:
        array = np.asarray(None)
    if array.dtype.kind not in "fiub":
        raise ValueProblem(
            f"{name} must be an array of numbers, and is {_described(value, array)}.",
            hint="pass its real part" if array.dtype.kind == "c" else "",
        )
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueProblem(f"{name} has masked entries.", hint=f"{name}.filled(…) says their value")
    return array


def _described(value: Any, array: Any) -> str:
    """What was passed in the place of numbers."""
    named = array.dtype.kind in "cMm" and hasattr(value, "dtype")
    return f"one of {array.dtype}" if named else type(value).__name__


def header(taken: Taken, name: str) -> str:
    """The shape that an argument is brought to: () for a number."""
    return "()" if name in taken.numbers else str(taken.cores[name])


def shaped(xp: str, text: str, shape: tuple[int, ...] | None) -> str:
    """A result in the shape that it goes out in."""
    return f"{xp}.reshape({text}, {shape if shape is not None else '()'})"
