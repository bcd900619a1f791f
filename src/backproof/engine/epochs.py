"""A whole epoch of minibatch gradient descent (with momentum) as one call, on every engine.

numba gets one compiled loop over the steps, JAX one `lax.scan`, NumPy a loop in Python over a
preallocated step. Data come samples first. Parameters and velocities are updated in place on
NumPy and numba; JAX gives new ones. Every engine returns them.

    velocity = momentum * velocity - rate * gradient;  parameter += velocity
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from backproof.calculus.model import Model
from backproof.engine.compiled import SMALL, builder, choose, installed
from backproof.engine.cost import cost
from backproof.engine.program import VALUE, Program, gradient_program
from backproof.engine.signature import Taken
from backproof.engine.threads import policy
from backproof.errors import NotAvailable, ShapeProblem

Arrays = Mapping[str, Any]
# (data, parameters, velocities, order of the samples, rate) -> (mean loss, parameters, velocities)
Epoch = Callable[[Arrays, Arrays, Arrays, Any, float], tuple[float, dict[str, Any], dict[str, Any]]]


@dataclass(frozen=True)
class Plan:
    """One step of an epoch.

    program   the loss and the gradients of what is learned
    taken     every array in its core shape, at the size of a batch
    axes      data name -> the axis of its core shape that runs over the samples
    batch     samples a step
    """

    program: Program
    taken: Taken
    axes: Mapping[str, int]
    batch: int
    momentum: float
    dtype: str

    @property
    def learned(self) -> tuple[str, ...]:
        return self.program.gradients

    @property
    def data(self) -> tuple[str, ...]:
        return tuple(n for n in self.program.inputs if n in self.axes)

    @property
    def still(self) -> tuple[str, ...]:
        """Inputs that are the same in every step and not learned."""
        mine = {*self.axes, *self.learned}
        return tuple(n for n in self.program.inputs if n not in mine)


@dataclass(frozen=True)
class Compiled:
    """An epoch that can be called; which engine it runs on, why, and its source."""

    run: Epoch
    engine: str
    why: str
    source: str
    plan: Plan

    def __call__(
        self, data: Arrays, parameters: Arrays, velocities: Arrays, order: Any, rate: float
    ) -> tuple[float, dict[str, Any], dict[str, Any]]:
        """(mean loss of the steps, parameters, velocities); a rest of *order* is left out."""
        return self.run(data, parameters, velocities, order, rate)


def compile_epoch(
    model: Model,
    target: str,
    axes: Mapping[str, int],
    batch: int,
    sizes: Mapping[str, int],
    *,
    wrt: Sequence[str] | None = None,
    momentum: float = 0.0,
    engine: str = "auto",
    dtype: str = "float64",
) -> Compiled:
    """Compiles an epoch of steps on minibatches.

    axes    data name -> the axis of its declared shape that runs over the samples
    batch   samples a step; the declared axis must come out as this
    sizes   the sizes of the sheet's dimension names, the batch's among them
    """
    names = tuple(wrt if wrt is not None else model.learned)
    program = gradient_program(model, target, names)
    known = {**model.number_sizes(), **sizes}
    cores = {
        name: tuple(program.graph.resolve(d).evaluate(known) for d in shape)
        for name, shape in program.shapes.items()
    }
    for name, axis in axes.items():
        if name in cores and cores[name][axis] != batch:
            raise ShapeProblem(
                f"axis {axis} of {name} runs over the samples of a batch and is "
                f"{cores[name][axis]}, and a batch has {batch}."
            )
    for name in names:  # a parameter that the loss does not reach has no shape in the program
        cores.setdefault(
            name, tuple(program.graph.resolve(d).evaluate(known) for d in model.shape(name))
        )
    results: dict[str, tuple[int, ...] | None] = {name: cores[name] for name in names}
    results[VALUE] = None
    kinds = dict.fromkeys(cores, "array")
    taken = Taken(known, cores, cores, results, frozenset(
        n for n, s in program.shapes.items() if all(d == 1 for d in s)
    ), kinds)  # fmt: skip
    why = "asked for"
    if engine == "auto":
        engine, why = choose_epoch(program, taken)
    else:
        builder(engine)
    plan = Plan(program, taken, axes, batch, momentum, dtype)
    run, source = _BUILD[engine](plan)
    return Compiled(run, engine, why, source, plan)


def choose_epoch(program: Program, taken: Taken) -> tuple[str, str]:
    """(engine, why): numba wherever it has the rules, since its loops fuse and BLAS multiplies."""
    from backproof.engine import numba_engine

    if installed("numba") and (numba_engine.has_blas() or cost(program, taken.sizes) <= SMALL):
        try:
            numba_engine.supports(program)
        except NotAvailable:
            return choose(program, taken)
        return "numba", "an epoch is one compiled loop, and its large products go to BLAS"
    return choose(program, taken)


# --- NumPy -----------------------------------------------------------------------------------


def _numpy(plan: Plan) -> tuple[Epoch, str]:
    from backproof.engine import numpy_engine

    f, source = numpy_engine.build(plan.program, plan.taken, plan.dtype, reuse=True, checked=False)
    names, kind = plan.program.inputs, np.dtype(plan.dtype)
    work = cost(plan.program, plan.taken.sizes)
    cores = plan.taken.cores
    batches = {n: np.empty(cores[n], kind) for n in plan.data}
    # Rows are taken straight into the batch; columns by way of a buffer of rows.
    rows = {
        n: np.empty((plan.batch, cores[n][1 - plan.axes[n]]), kind)
        if plan.axes[n] else batches[n]
        for n in plan.data
    }  # fmt: skip
    groups = _groups(plan)
    subtract, multiply, add = np.subtract, np.multiply, np.add
    momentum = np.asarray(plan.momentum, kind)

    def epoch(
        data: Arrays, parameters: Arrays, velocities: Arrays, order: Any, rate: float
    ) -> tuple[float, dict[str, Any], dict[str, Any]]:
        flat = {n: flattened(data[n], kind) for n in plan.data}
        gather = [
            (flat[n].take, rows[n], batches[n].T if plan.axes[n] else None) for n in plan.data
        ]
        joined = [_joined(group, cores, kind, parameters, velocities) for group in groups]
        views = {n: p for one in joined for n, p, _ in one.views}
        moves = [(n, m) for one in joined for n, _, m in one.views]
        update = [(one.moves, one.velocities, one.parameters) for one in joined]
        fixed = {**batches, **views, **{n: data[n] for n in plan.still}}
        arguments = [_core(fixed[n], cores[n], kind) for n in names]
        step = np.asarray(rate, kind)
        total, steps, size = 0.0, len(order) // plan.batch, plan.batch
        with policy(work):
            for k in range(steps):
                chosen = order[k * size : (k + 1) * size]
                for take, row, turned in gather:
                    take(chosen, 0, row, "clip")
                    if turned is not None:
                        turned[...] = row
                value, gradients = f(*arguments)
                total += value
                for name, move in moves:
                    multiply(gradients[name], step, move)
                for move, velocity, parameter in update:
                    multiply(velocity, momentum, velocity)
                    subtract(velocity, move, velocity)
                    add(parameter, velocity, parameter)
        for one in joined:
            one.leave()
        return total / max(1, steps), dict(parameters), dict(velocities)

    return epoch, source


SMALL_PARAMETER = 8_192  # numbers up to which it is the calls of an update that cost


def _groups(plan: Plan) -> list[list[str]]:
    """The parameters that are updated together: the small ones, and each large one alone."""
    small = [n for n in plan.learned if prod(plan.taken.cores[n]) <= SMALL_PARAMETER]
    large = [[n] for n in plan.learned if n not in small]
    return [small, *large] if small else large


@dataclass(frozen=True)
class _Joined:
    """Parameters one after the other in one array, their velocities in another.

    views   (name, its part of the parameters, its part of the moves), in the core shape
    apart   (the caller's array, where its numbers are now) of everything
    """

    parameters: Any
    velocities: Any
    moves: Any
    views: list[tuple[str, Any, Any]]
    apart: list[tuple[Any, Any]]

    def leave(self) -> None:
        """Writes the numbers back into the caller's arrays."""
        for theirs, ours in self.apart:
            theirs[...] = ours.reshape(theirs.shape)


def _joined(
    names: Sequence[str], cores: Mapping[str, tuple[int, ...]], kind: Any, parameters: Arrays,
    velocities: Arrays,
) -> _Joined:  # fmt: skip
    """One parameter stays where it is, if it lies as it must; several are copied."""
    size = sum(prod(cores[n]) for n in names)
    moves, at = np.empty(size, kind), 0
    views: list[tuple[str, Any, Any]] = []
    apart: list[tuple[Any, Any]] = []
    if len(names) == 1:
        (n,) = names
        own = parameters[n], velocities[n]
        if all(a.dtype == kind and a.flags.c_contiguous for a in own):
            views.append((n, own[0].reshape(cores[n]), moves.reshape(cores[n])))
            return _Joined(own[0].reshape(-1), own[1].reshape(-1), moves, views, apart)
    both = np.empty(size, kind), np.empty(size, kind)
    for n in names:
        end = at + prod(cores[n])
        for mine, theirs in zip(both, (parameters[n], velocities[n]), strict=True):
            part = mine[at:end]
            part[...] = np.asarray(theirs).reshape(-1)
            apart.append((theirs, part))
        views.append((n, both[0][at:end].reshape(cores[n]), moves[at:end].reshape(cores[n])))
        at = end
    return _Joined(*both, moves, views, apart)


def flattened(array: Any, kind: Any) -> Any:
    """Data with the samples first, as a matrix of one row a sample."""
    array = np.ascontiguousarray(array, kind)
    return array.reshape(len(array), -1)


def _core(array: Any, core: tuple[int, ...], kind: Any) -> Any:
    """An array of the program; parameters and batches have its shape and stay what they are."""
    if isinstance(array, np.ndarray) and array.shape == core and array.dtype == kind:
        return array
    return np.asarray(array, kind).reshape(core)


# --- JAX -------------------------------------------------------------------------------------


def _jax(plan: Plan) -> tuple[Epoch, str]:
    from backproof.engine import jax_engine

    jax = jax_engine.load_jax()
    import jax.numpy as jnp

    f, source = jax_engine.traced(plan.program, plan.taken, plan.dtype)
    names, size = plan.program.inputs, plan.batch
    outputs = tuple(plan.program.outputs)

    def epoch(data: Any, parameters: Any, velocities: Any, order: Any, rate: Any) -> Any:
        steps = order.shape[0] // size
        chosen = order[: steps * size].reshape(steps, size)

        def step(carry: Any, index: Any) -> Any:
            params, speeds = carry
            here = {**params, **{n: data[n] for n in plan.still}}
            for n in plan.data:
                rows = data[n].reshape(data[n].shape[0], -1)[index]
                here[n] = rows.T if plan.axes[n] else rows
            results = dict(zip(outputs, f(*(here[n] for n in names)), strict=True))
            new = {n: plan.momentum * speeds[n] - rate * results[n] for n in plan.learned}
            moved = {n: params[n] + new[n] for n in plan.learned}
            return (moved, new), results[VALUE]

        (parameters, velocities), losses = jax.lax.scan(step, (parameters, velocities), chosen)
        return jnp.mean(losses), parameters, velocities

    compiled = jax_engine.Precision(plan.dtype).wrap(jax.jit(epoch))
    kind = np.dtype(plan.dtype)

    def run(
        data: Arrays, parameters: Arrays, velocities: Arrays, order: Any, rate: float
    ) -> tuple[float, dict[str, Any], dict[str, Any]]:
        used = {n: data[n] for n in (*plan.data, *plan.still)}
        value, params, speeds = compiled(
            used, {n: parameters[n] for n in plan.learned},
            {n: velocities[n] for n in plan.learned}, order, kind.type(rate),
        )  # fmt: skip
        return float(value), dict(params), dict(speeds)

    return run, source


# --- numba -----------------------------------------------------------------------------------


def _numba(plan: Plan) -> tuple[Epoch, str]:
    from backproof.engine import numba_engine
    from backproof.engine.numba_functions import FAST, load_numba
    from backproof.engine.numba_writer import Writer

    numba = load_numba()
    numba_engine.supports(plan.program)
    w = Writer(plan.program, plan.taken, blas=numba_engine.has_blas())
    w.write()
    kind = np.dtype(plan.dtype)
    source = _numba_source(plan, w)
    names: dict[str, Any] = numba_engine.namespace(plan.dtype)
    names.update({n: np.asarray(v, kind) for n, v in w.tables.items()})
    exec(compile(source, "<backproof numba epoch>", "exec"), names)
    fast = numba.njit(fastmath=FAST, error_model="numpy")(names["epoch"])

    def run(
        data: Arrays, parameters: Arrays, velocities: Arrays, order: Any, rate: float
    ) -> tuple[float, dict[str, Any], dict[str, Any]]:
        given = [flattened(data[n], kind) for n in plan.data]
        fixed = [np.asarray(data[n], kind).reshape(plan.taken.cores[n]) for n in plan.still]
        params = [parameters[n] for n in plan.learned]
        speeds = [velocities[n] for n in plan.learned]
        value = fast(*given, *fixed, *params, *speeds, np.asarray(order, np.int64), float(rate))
        return value, dict(parameters), dict(velocities)

    return run, source


def _numba_source(plan: Plan, w: Any) -> str:
    """The whole epoch as the text of one function."""
    from backproof.engine.numba_writer import made, typed

    word = {n: w.arguments.get(n, f"p_{n}") for n in (*plan.program.inputs, *plan.learned)}
    speed = {n: f"v_{k}" for k, n in enumerate(plan.learned)}
    given = {n: f"d_{k}" for k, n in enumerate(plan.data)}
    head = [*given.values(), *(word[n] for n in plan.still), *(word[n] for n in plan.learned),
            *speed.values(), "order", "rate"]  # fmt: skip
    lines = [f"def epoch({', '.join(head)}):"]
    lines += [f"    {word[n]} = np.empty({plan.taken.cores[n]}, F)" for n in plan.data]
    lines += [f"    {line}" for line in made(w.allocations)]
    lines += [
        f"    momentum, rate = F({plan.momentum!r}), F(rate)",
        "    losses = 0.0",
        f"    steps = len(order) // {plan.batch}",
        "    for step in range(steps):",
    ]
    for n in plan.data:
        core, axis = plan.taken.cores[n], plan.axes[n]
        place = "q, r" if axis else "r, q"
        lines += [
            f"        for r in range({plan.batch}):",
            f"            s = order[step * {plan.batch} + r]",
            f"            for q in range({core[1 - axis]}):",
            f"                {word[n]}[{place}] = {given[n]}[s, q]",
        ]
    lines += [f"        {line}" for line in typed(w.body, plan.dtype)]
    lines.append(f"        losses += {w.results[VALUE]}")
    flat = [f"    {view} = {array}.reshape({size})" for array, (view, size) in w.flat.items()]
    for n in plan.learned:  # one long loop over the entries, whatever their shape is
        size, g = prod(plan.taken.cores[n]), w.results[n]
        views = {word[n]: f"w_{speed[n]}", speed[n]: f"f_{speed[n]}"}
        entry = g
        if g in w.allocations:
            views[g] = f"g_{speed[n]}"
            entry = f"{views[g]}[r]"
        flat += [f"    {view} = {array}.reshape({size})" for array, view in views.items()]
        v, p = views[speed[n]], views[word[n]]
        lines += [
            f"        for r in range({size}):",
            f"            {v}[r] = momentum * {v}[r] - rate * {entry}",
            f"            {p}[r] += {v}[r]",
        ]
    at = lines.index("    losses = 0.0")
    lines[at:at] = flat
    return "\n".join([*lines, "    return losses / max(1, steps)"]) + "\n"


_BUILD: dict[str, Callable[[Plan], tuple[Epoch, str]]] = {
    "numpy": _numpy, "jax": _jax, "numba": _numba,
}  # fmt: skip
