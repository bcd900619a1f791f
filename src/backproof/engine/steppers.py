"""How an epoch of training runs on each engine.

Gradient descent and momentum run a whole epoch in one compiled call where the engine has one;
the other rules step in Python; L-BFGS and Newton take all samples at once; JAX scans over the
steps, on one device or many (engine.parallel).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from backproof.engine import second_order
from backproof.engine.compiled import choose, compile_gradient
from backproof.engine.curvature import compile_products
from backproof.engine.data import Task
from backproof.engine.joint import MOST, Bound, compile_joint
from backproof.engine.optimisers import SECOND_ORDER, Optimiser, Slots, optimiser
from backproof.engine.signature import Taken
from backproof.engine.stepping import State, Stepper
from backproof.errors import NotAvailable, ValueProblem

Array = Any
WORTH_COMPILING = 50_000  # steps from which numba's seconds of compiling are won back


class Compiled(Stepper):
    """Gradient descent and momentum: a whole epoch in one call."""

    def __init__(self, task: Task, rule: Optimiser, batch: int, engine: str, dtype: str) -> None:
        from backproof.engine.epochs import compile_epoch

        self.task, self.rule, self.batch = task, rule, batch
        momentum = rule.momentum if rule.name == "momentum" else 0.0
        self.run = compile_epoch(
            task.model, task.loss, task.axes, batch, task.all_sizes(batch),
            wrt=task.model.learned, momentum=momentum, engine=engine, dtype=dtype,
        )  # fmt: skip
        self.engine, self.why = self.run.engine, self.run.why
        self.dtype = np.dtype(dtype)
        self.data = {n: np.ascontiguousarray(a, self.dtype) for n, a in task.parts["train"].items()}
        self.data.update(task.constants)

    def start(self, parameters: Mapping[str, Array]) -> State:
        copies = {n: np.array(p, self.dtype) for n, p in parameters.items()}
        return State(copies, self.rule.slots(copies))

    def epoch(self, state: State, order: Array, rate: float) -> tuple[float, State]:
        new = state.copy()
        speeds = new.slots.get("velocity") or {n: p * 0 for n, p in new.parameters.items()}
        with np.errstate(all="ignore"):
            loss, parameters, speeds = self.run(self.data, new.parameters, speeds, order, rate)
        slots: Slots = {"velocity": dict(speeds)} if "velocity" in state.slots else {}
        return float(loss), State(dict(parameters), slots, state.steps + len(order) // self.batch)


class Plain(Stepper):
    """Any first-order rule, a step at a time; *steps* are to be taken in all."""

    def __init__(
        self, task: Task, rule: Optimiser, batch: int, engine: str, dtype: str, steps: int = 0
    ) -> None:
        self.task, self.rule, self.batch = task, rule, batch
        self.f = compile_gradient(task.model, task.loss, engine=engine, dtype=dtype)
        self.dtype = np.dtype(dtype)
        self.engine, self.why = engine, "asked for"
        if engine == "auto":
            here = Taken(task.all_sizes(batch), {}, {}, {})
            self.engine, self.why = choose(self.f.program, here)
            if self.engine == "numba" and steps < WORTH_COMPILING:
                self.engine, self.why = "numpy", _too_few(steps)
            self.f = compile_gradient(task.model, task.loss, engine=self.engine, dtype=dtype)

    def start(self, parameters: Mapping[str, Array]) -> State:
        copies = {n: np.array(p, self.dtype) for n, p in parameters.items()}
        return State(copies, self.rule.slots(copies))

    def gradients(self, rows: Mapping[str, Array], parameters: Mapping[str, Array]) -> Any:
        """(loss, gradients) at some samples."""
        arrays = {**rows, **parameters}
        with np.errstate(all="ignore"):
            value, found = self.f(**{n: arrays[n] for n in self.f.names})
        shaped = {n: np.asarray(found[n]).reshape(np.shape(p)) for n, p in parameters.items()}
        return float(value), shaped

    def epoch(self, state: State, order: Array, rate: float) -> tuple[float, State]:
        task, size = self.task, self.batch
        params, slots, count = dict(state.parameters), state.slots, state.steps
        total, steps = 0.0, max(1, len(order) // size) if task.samples is None else (
            len(order) // size
        )  # fmt: skip
        for k in range(steps):
            rows = _typed(task.rows("train", order[k * size : (k + 1) * size]), self.dtype)
            value, gradients = self.gradients(rows, params)
            total += value
            count += 1
            with np.errstate(all="ignore"):
                params, slots = self.rule.step(np, params, gradients, slots, self.dtype.type(rate),
                                               count)  # fmt: skip
        return total / max(1, steps), State(params, slots, count)


def _typed(rows: Mapping[str, Array], dtype: Any) -> dict[str, Array]:
    return {n: a if a.dtype == dtype else a.astype(dtype) for n, a in rows.items()}


class Whole(Stepper):
    """L-BFGS and Newton: an epoch is one iteration on all training samples."""

    def __init__(self, task: Task, name: str, engine: str) -> None:
        if engine not in ("auto", "numpy", "numba"):
            raise NotAvailable(f"{name} runs on the NumPy engine.", hint="--engine numpy")
        self.task, self.name = task, name
        self.batch = task.count()
        self.f = compile_gradient(task.model, task.loss, engine="numpy")
        self.engine, self.why = "numpy", f"{name} takes all samples at once"
        self.rows = task.rows("train")
        self.now: second_order.Iterate | None = None
        if name == "newton":
            self._second_derivatives()

    def _second_derivatives(self) -> None:
        task = self.task
        names = task.model.learned
        count = sum(int(np.prod(task.parameter_shape(n))) for n in names)
        self.joint = compile_joint(task.model, task.loss, names) if count <= MOST else None
        self.bound: Bound | None = None
        if self.joint is not None:
            self.why += f"; its Hessian of {count} parameters is used as {self.joint.kind}"
            return
        self.times = compile_products(task.model, task.loss, names)
        self.why += "; Hessian-vector products are derived, and solved with by conjugate gradients"

    def start(self, parameters: Mapping[str, Array]) -> State:
        return State({n: np.array(p, np.float64) for n, p in parameters.items()})

    def _both(self, like: Mapping[str, Array]) -> second_order.Both:
        if self.name == "newton" and self.joint is not None:
            self.bound = self.bound or self.joint.bind(self.rows, like)
            return _quiet(self.bound.at)

        def at(column: Array) -> tuple[float, Array]:
            arrays = {**self.rows, **second_order.unflat(column, like)}
            value, found = self.f(**{n: arrays[n] for n in self.f.names})
            return float(value), second_order.flat({n: found[n] for n in like})

        return _quiet(at)

    def _direction(self, now: second_order.Iterate, like: Mapping[str, Array]) -> Array:
        if self.bound is not None:
            return second_order.solved(self.bound.matrix(), now.gradient)
        here = {**self.rows, **second_order.unflat(now.x, like)}

        def times(d: Array) -> Array:
            with np.errstate(all="ignore"):
                found = self.times(here, second_order.unflat(d, like))
            return second_order.flat({n: found[n] for n in like})

        return second_order.truncated(times, now.gradient)

    def epoch(self, state: State, order: Array, rate: float) -> tuple[float, State]:
        like = state.parameters
        both = self._both(like)
        x = second_order.flat(like)
        if self.now is None or not np.array_equal(self.now.x, x):
            loss, g = both(x)
            memory = state.slots.get("memory", {})
            self.now = second_order.Iterate(
                x, loss, g, list(memory.get("steps", ())), list(memory.get("changes", ()))
            )
        if self.name == "newton":
            now = second_order.newton(both, self.now, self._direction(self.now, like))
        else:
            now = second_order.lbfgs(both, self.now, rate)
        self.now = now
        slots: Slots = {}
        if now.steps:
            slots["memory"] = {"steps": np.stack(now.steps), "changes": np.stack(now.changes)}
        new = second_order.unflat(now.x, like)
        return now.loss, State(new, slots, state.steps + 1, now.done)


def _quiet(at: second_order.Both) -> second_order.Both:
    """A function of a column where overflow is no warning: the search turns such a point down."""

    def both(column: Array) -> tuple[float, Array]:
        with np.errstate(all="ignore"):
            return at(column)

    return both


def make_stepper(
    task: Task, name: str, momentum: float, batch: int, engine: str, dtype: str, steps: int,
) -> Stepper:  # fmt: skip
    """The stepper of an optimiser on an engine; *steps* are to be taken in all."""
    if engine not in ("auto", "numpy", "jax", "numba"):
        raise ValueProblem(f"There is no engine '{engine}'.",
                           hint="engines are auto, numpy, jax, numba")  # fmt: skip
    if name in SECOND_ORDER:
        return Whole(task, name, engine)
    rule = optimiser(name, momentum)
    if engine == "jax":
        from backproof.engine.parallel import Scan

        return Scan(task, rule, batch, dtype)
    flat = all(len(task.model.shape(n)) == 2 for n in (*task.axes, *task.model.learned))
    if name in ("sgd", "momentum") and flat and task.axes:
        stepper = Compiled(task, rule, batch, engine, dtype)
        if engine == "auto" and stepper.engine == "numba" and steps < WORTH_COMPILING:
            stepper = Compiled(task, rule, batch, "numpy", dtype)
            stepper.why = _too_few(steps)
        if stepper.engine != "jax":
            return stepper
        from backproof.engine.parallel import Scan

        scan = Scan(task, rule, batch, dtype)
        scan.why = stepper.why
        return scan
    return Plain(task, rule, batch, engine, dtype, steps)


def _too_few(steps: int) -> str:
    return f"{steps:,} steps are done before numba would have compiled"
