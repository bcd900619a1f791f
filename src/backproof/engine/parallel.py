"""Training on JAX: an epoch as one scan over its steps, on one device, several, or many hosts.

Every step's batch is sharded over all devices; parameters are the same on all of them. The loss is
a mean over the whole batch, so XLA puts the collective that averages the gradients where it is
needed; no code here sends anything. Each process hands its own devices only their samples.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from backproof.engine import jax_engine
from backproof.engine.data import Task
from backproof.engine.optimisers import Optimiser, Slots
from backproof.engine.program import VALUE, gradient_program
from backproof.engine.signature import Taken
from backproof.engine.stepping import State, Stepper
from backproof.errors import TrainingStopped, ValueProblem

Array = Any


@dataclass(frozen=True)
class Place:
    """This process among those of a run: the coordinator's address, its number, how many."""

    coordinator: str = ""
    number: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes the run folder and reports."""
        return self.number == 0


def join(place: Place) -> None:
    """Joins the processes of a run, before JAX is used for anything else."""
    jax = jax_engine.load_jax()
    if place.count == 1 and not place.coordinator:
        return
    if not 0 <= place.number < place.count:
        raise ValueProblem(
            f"The process number is {place.number}; it is 0 to {place.count - 1} of {place.count}."
        )
    host, _, port = place.coordinator.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueProblem(f"'{place.coordinator}' is not HOST:PORT.",
                           hint="--coordinator 10.0.0.1:7733")  # fmt: skip
    kwargs: dict[str, Any] = {}
    local = os.environ.get("BACKPROOF_LOCAL_DEVICE")
    if local is not None:
        kwargs["local_device_ids"] = [int(local)]
    with suppress(AttributeError, ValueError):  # a later JAX may choose by itself
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(place.coordinator, place.count, place.number, **kwargs)
    except Exception as error:
        raise TrainingStopped(
            f"Process {place.number} could not join the run at {place.coordinator}: "
            f"{str(error).splitlines()[0]}",
            hint="every process needs the same --coordinator HOST:PORT and --process-count, and "
            "its own --process-id",
        ) from None


def agreed(flag: bool) -> bool:
    """What the first process says, on all of them."""
    jax = jax_engine.load_jax()
    if jax.process_count() == 1:
        return flag
    from jax.experimental import multihost_utils

    return bool(multihost_utils.broadcast_one_to_all(np.asarray(flag, np.int32)))


class Scan(Stepper):
    """Any first-order rule on JAX, one jitted call an epoch."""

    engine = "jax"

    def __init__(self, task: Task, rule: Optimiser, batch: int, dtype: str) -> None:
        self.jax = jax = jax_engine.load_jax()
        self.task, self.rule, self.batch = task, rule, batch
        self.dtype = np.dtype(dtype)
        with self._precise():
            devices = jax.devices()
        if batch % len(devices):
            near = max(len(devices), batch // len(devices) * len(devices))
            raise ValueProblem(
                f"A batch of {batch} samples cannot be shared evenly by {len(devices)} devices.",
                hint=f"--batch {near}, or another number of processes",
            )
        self.mesh = jax.sharding.Mesh(np.array(devices), ("samples",))
        named, spec = jax.sharding.NamedSharding, jax.sharding.PartitionSpec
        self.everywhere = named(self.mesh, spec())
        self.shared_out = named(self.mesh, spec(None, "samples"))
        kind, self.processes = devices[0].platform, jax.process_count()
        self.why = (f"asked for; {len(devices)} {kind} device{'s' * (len(devices) > 1)}, "
                    f"{self.processes} process{'es' * (self.processes > 1)}")  # fmt: skip
        self.data = {n: a.astype(self.dtype) for n, a in task.parts["train"].items()}
        self.run = self._compiled()

    def _precise(self) -> AbstractContextManager[Any]:
        precision = jax_engine.Precision(str(self.dtype))
        if not precision.needed:
            return nullcontext()
        assert precision.enable is not None
        context: AbstractContextManager[Any] = precision.enable(True)
        return context

    def _compiled(self) -> Any:
        jax, task, rule, kind = self.jax, self.task, self.rule, self.dtype
        import jax.numpy as jnp

        learned = task.model.learned
        program = gradient_program(task.model, task.loss, learned)
        f, self.source = jax_engine.traced(program, _taken(task, program, self.batch), str(kind))
        outputs, names = tuple(program.outputs), program.inputs
        fixed = {n: a.astype(kind) for n, a in task.constants.items()}
        turned = {n for n, axis in task.axes.items() if axis == 1}

        def epoch(params: Any, slots: Any, count: Any, data: Any, rate: Any) -> Any:
            def step(carry: Any, rows: Any) -> Any:
                params, slots, count = carry
                here = {**fixed, **params}
                for n, a in rows.items():
                    here[n] = a.T if n in turned else a
                results = dict(zip(outputs, f(*(here[n] for n in names)), strict=True))
                gradients = {n: results[n].reshape(params[n].shape) for n in learned}
                params, slots = rule.step(jnp, params, gradients, slots, rate, count + 1)
                return (params, slots, count + 1), results[VALUE]

            carry, losses = jax.lax.scan(step, (params, slots, count), data)
            return jnp.mean(losses), carry[0], carry[1]

        same, apart = self.everywhere, self.shared_out
        return jax.jit(epoch, in_shardings=(same, same, same, apart, same), out_shardings=same)

    def start(self, parameters: Mapping[str, Array]) -> State:
        copies = {n: np.array(p, self.dtype) for n, p in parameters.items()}
        return State(copies, self.rule.slots(copies))

    def agreed(self, flag: bool) -> bool:
        """What the first process says."""
        return agreed(flag)

    def epoch(self, state: State, order: Array, rate: float) -> tuple[float, State]:
        steps = len(order) // self.batch
        places = order[: steps * self.batch].reshape(steps, self.batch)
        with self._precise():
            try:
                loss, params, slots = self.run(
                    self._whole(state.parameters),
                    {s: self._whole(own) for s, own in state.slots.items()},
                    self._array(np.asarray(state.steps, self.dtype)),
                    {n: self._parted(a, places) for n, a in self.data.items()},
                    self._array(np.asarray(rate, self.dtype)),
                )
                kept: Slots = {s: self._host(own) for s, own in slots.items()}
                return float(_host(loss)), State(self._host(params), kept, state.steps + steps)
            except self.jax.errors.JaxRuntimeError as error:
                raise TrainingStopped(
                    "A process of the run was lost, or its connection: "
                    f"{str(error).splitlines()[0]}",
                    hint="the last checkpoint is whole: go on with --resume",
                ) from None

    def _array(self, a: Array) -> Any:
        return self.jax.make_array_from_callback(a.shape, self.everywhere, lambda index: a[index])

    def _whole(self, arrays: Mapping[str, Array]) -> dict[str, Any]:
        return {n: self._array(np.asarray(a, self.dtype)) for n, a in arrays.items()}

    def _parted(self, data: Array, places: Array) -> Any:
        """The steps of an epoch; a device gets its part of each batch."""
        shape = (*places.shape, *data.shape[1:])
        return self.jax.make_array_from_callback(
            shape, self.shared_out, lambda index: data[places[index[:2]]]
        )

    def _host(self, arrays: Mapping[str, Any]) -> dict[str, Array]:
        return {n: np.array(_host(a)) for n, a in arrays.items()}


def _host(array: Any) -> Array:
    """A replicated array as NumPy, whichever process holds it."""
    return np.asarray(array.addressable_data(0))


def _taken(task: Task, program: Any, batch: int) -> Taken:
    """Every array of a step in its core shape."""
    sizes = task.all_sizes(batch)
    graph = program.graph
    cores = {
        name: tuple(graph.resolve(d).evaluate(sizes) for d in shape)
        for name, shape in program.shapes.items()
    }
    results: dict[str, tuple[int, ...] | None] = {
        n: task.parameter_shape(n) for n in task.model.learned
    }
    results[VALUE] = None
    numbers = frozenset(n for n, s in program.shapes.items() if all(d == 1 for d in s))
    return Taken(sizes, cores, cores, results, numbers, dict.fromkeys(cores, "array"))
