"""What `compile` gives: a function of named arrays, on the engine that was asked for or chosen.

An engine compiles for one signature (shapes as passed); other signatures compile when they are
first met. Says which engine it picked and why.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from backproof.calculus.model import Model
from backproof.engine.numpy_engine import Again
from backproof.engine.program import VALUE, Program, gradient_program
from backproof.engine.signature import Taken, check_arguments, checked_number, take
from backproof.errors import BackproofError, MissingExtra, NotAvailable
from backproof.operators.dims import Shape

ENGINES = ("auto", "numpy", "jax", "numba")
DTYPES = ("float64", "float32")
SMALL = 20_000  # multiplications in a call up to which numba's loops beat NumPy's dispatch
LARGE = 20_000_000  # and from which XLA's fusion and threads beat NumPy


class Compiled:
    """A function of named arrays: `f(x=…, y=…, W1=…)` gives `(value, {"W1": gradient})`.

    engine   the engine it runs on: "numpy", "jax" or "numba"; "" until an automatic choice is made
    why      why this engine
    names    its arguments, in the order of the sheet, then those that only tell a size it needs
    source   the code that was compiled last, where there is such a text
    also     arguments that only tell sizes, such as the name that a Hessian is in
    others   names of the sheet that it does not depend on; they may be passed, and are not used
    taken    what the last call was given
    """

    taken: Taken

    def __init__(
        self,
        program: Program,
        model: Model,
        engine: str = "auto",
        dtype: str = "float64",
        reuse: bool = False,
        also: Mapping[str, Shape] | None = None,
        wanted: Shape = (),
    ) -> None:
        if engine not in ENGINES:
            raise BackproofError(
                f"There is no engine '{engine}'.", hint=f"engines are {', '.join(ENGINES)}"
            )
        if dtype not in DTYPES:
            raise BackproofError(f"The dtype is float64 or float32, and not {dtype!r}.")
        self.program, self.dtype, self.reuse = program, dtype, reuse
        self.also = dict(also or {})
        self.shapes = {**program.shapes, **self.also}
        self.known = model.number_sizes()
        self.names = (*program.inputs, *self._telling(model, wanted))
        self.others = tuple(n for n in model.leaves if n not in self.names)
        values = model.given_values(exact=False)
        self.defaults = {n: values[n] for n in self.names if n in values}
        self.source = ""
        self.engine, self.why = ("", "") if engine == "auto" else (engine, "asked for")
        if engine != "auto":
            builder(engine)
        self._made: dict[Any, Callable[..., Any]] = {}
        self._fast: Callable[..., Any] = _nothing
        self._words = self._positional_words()

    def _telling(self, model: Model, wanted: Shape) -> list[str]:
        """Names that are needed for a size only, which no input has; they go into `also`."""
        graph = self.program.graph
        needed = self.program.sizes.union(*(graph.resolve(d).names() for d in wanted))
        missing = dict.fromkeys(sorted(needed - self.known.keys()))
        for shape in self.program.shapes.values():
            for d in shape:
                for name in d.names():
                    missing.pop(name, None)
        telling = []
        declared = {n: model.shape(n) for n in model.declared} if missing else {}
        for name, shape in {**self.also, **declared}.items():
            told = [n for d in shape if (n := graph.resolve(d).as_name()) in missing]
            if told:
                telling.append(name)
                self.also[name] = self.shapes[name] = graph.resolve_shape(shape)
            for n in told:
                missing.pop(str(n), None)
        return telling

    def _positional_words(self) -> bool:
        from backproof.engine.source import identifiers

        return all(name == word for name, word in identifiers(self.names).items())

    def __call__(self, *arrays: Any, **named: Any) -> Any:
        try:
            if not named:
                return self._fast(*arrays)
            if self._words:
                return self._fast(*arrays, **named)
            if len(arrays) + len(named) == len(self.names):  # lambda is no keyword of a function
                return self._fast(*arrays, *[named[n] for n in self.names[len(arrays) :]])
        except (Again, TypeError, AttributeError, KeyError, ValueError, OverflowError):
            pass  # not what was compiled last: looked at, and told about, in full
        return self._slow(arrays, named)

    def _slow(self, arrays: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
        """A call that the function compiled last was not made for."""
        given = dict(zip(self.names, arrays, strict=False))
        hint = f"the arguments are {', '.join(self.names)}"
        if len(arrays) > len(self.names):
            most = f"{len(self.names)} argument{'s' if len(self.names) != 1 else ''}"
            raise BackproofError(f"{len(arrays)} arrays were passed for {most}.", hint=hint)
        twice = [n for n in given if n in named]
        if twice:
            raise BackproofError(f"{twice[0]} was passed by position and by name.", hint=hint)
        given = {**self.defaults, **given, **named}
        check_arguments(self.names, tuple(given), self.others)
        wanted = {n: s for n, s in self.shapes.items() if n in given}
        for name in wanted:
            value = given[name]
            if not hasattr(value, "dtype"):
                checked = checked_number(name, value)
                if checked.ndim:
                    given[name] = checked
            elif isinstance(value, np.ndarray) and value.dtype.kind != "V":  # bfloat16 is a V
                checked = checked_number(name, value)
                wide = checked.dtype.kind == "f" and checked.dtype.itemsize > 8
                common = np.dtype(float) if wide else checked.dtype.newbyteorder("=")
                given[name] = checked.astype(common, copy=False)  # what every library knows
            elif getattr(value.dtype, "kind", "f") not in "fiubV":
                checked_number(name, value)
        taken = take(self.program.graph, wanted, self._out_shapes(), given, self.known, self.dtype)
        key = tuple((taken.shapes[n], taken.kinds[n]) for n in self.names)
        f = self._made.get(key)
        if f is None:
            f = self._made[key] = self._compile(taken)
        self.taken = taken
        if len(self.names) == len(self.program.inputs):  # else a size has to be looked at
            self._fast = f
        return f(*(given[n] for n in self.program.inputs))

    def _out_shapes(self) -> dict[str, Any]:
        graph = self.program.graph
        return {n: graph.resolve_shape(o.shape) for n, o in self.program.outputs.items()}

    def _compile(self, taken: Taken) -> Callable[..., Any]:
        if not self.engine:
            self.engine, self.why = choose(self.program, taken)
        f, self.source = builder(self.engine)(self.program, taken, self.dtype, self.reuse)
        return f

    def __repr__(self) -> str:
        wrt = ", ".join(self.program.gradients)
        engine = f"{self.engine} ({self.why})" if self.engine else "engine chosen at the first call"
        return (
            f"<{self.program.target} by {wrt or 'nothing'} of {', '.join(self.names)}; "
            f"{self.dtype}, {engine}>"
        )


def _nothing(*arrays: Any, **named: Any) -> Any:
    raise Again


Build = Callable[[Program, Taken, str, bool], tuple[Callable[..., Any], str]]


def builder(engine: str) -> Build:
    """What compiles for an engine; MissingExtra where its library is not installed."""
    if engine == "numpy":
        from backproof.engine import numpy_engine

        return numpy_engine.build
    if engine == "jax":
        from backproof.engine import jax_engine

        jax_engine.load_jax()
        return jax_engine.build
    from backproof.engine import numba_engine
    from backproof.engine.numba_functions import load_numba

    load_numba()
    return numba_engine.build


def installed(library: str) -> bool:
    """Whether a library can be imported, without importing it."""
    return importlib.util.find_spec(library) is not None


def work(program: Program, taken: Taken) -> int:
    """Roughly how many multiplications one call takes."""
    from backproof.engine.cost import cost

    return cost(program, taken.sizes)


def choose(program: Program, taken: Taken) -> tuple[str, str]:
    """(engine, why) for the work of one call and what is installed."""
    size = work(program, taken)
    amount = f"about {size:,} multiplications a call"
    if size <= SMALL:
        if not installed("numba"):
            return "numpy", f"{amount}; numba, which is faster at this size, is not installed"
        try:
            from backproof.engine.numba_engine import supports

            supports(program)
        except (NotAvailable, MissingExtra) as problem:
            return "numpy", f"{amount}; {problem.message}"
        return "numba", f"{amount}: at this size the dispatch of operations costs most"
    if size >= LARGE and installed("jax"):
        return "jax", f"{amount}: XLA fuses and uses every core"
    return "numpy", f"{amount}: NumPy's matrix products dominate, and nothing has to be compiled"


def compile_gradient(
    model: Model,
    target: str,
    wrt: Sequence[str] | str | None = None,
    *,
    engine: str = "auto",
    dtype: str = "float64",
    reuse: bool = False,
) -> Compiled:
    """A function that gives the value of *target* and its gradients by *wrt*.

    wrt     names; everything learned where left out; an empty list for the value alone
    reuse   results are the function's own arrays, which the next call overwrites
    """
    names = model.learned if wrt is None else (wrt,) if isinstance(wrt, str) else tuple(wrt)
    program = gradient_program(model, target, names)
    return Compiled(program, model, engine, dtype, reuse)


__all__ = ["VALUE", "Compiled", "choose", "compile_gradient"]
