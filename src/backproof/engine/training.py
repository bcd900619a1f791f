"""The training loop: epochs of minibatches by seed, metrics, early stopping, checkpoints.

Everything that is random comes from the seed and the number of the epoch, so a run that goes on
from a checkpoint does what it would have done. Knows engines only through `Stepper`, and shows
nothing: what happened comes back as a `Trained`.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from backproof.engine.data import Task
from backproof.engine.initial import initial_values
from backproof.engine.measures import (
    Losses,
    Probe,
    first_fault,
    found_and_right,
    largest_equation,
    outputs_of,
    quality,
)
from backproof.engine.optimisers import FIRST_ORDER, RATES, SECOND_ORDER, optimiser, schedule
from backproof.engine.output import Output, find_output
from backproof.engine.runs import Checkpoint, RunFolder, versions
from backproof.engine.steppers import Plain, make_stepper
from backproof.engine.stepping import State, Stepper
from backproof.errors import BackproofError, FileProblem, TrainingStopped, ValueProblem

Array = Any
Record = dict[str, Any]
EXPLODED = 1e6  # times the first loss: a loss above this has diverged
PROBES = 60  # epochs of a run at which gradients and factors are measured


@dataclass(frozen=True)
class Options:
    """How to train.

    batch      samples a step
    rate       learning rate; None: the optimiser's usual one
    patience   epochs without a better validation loss after which it stops; 0: never
    initial    parameter -> a rule for its first value; see engine.initial
    """

    epochs: int = 50
    batch: int = 32
    rate: float | None = None
    optimizer: str = "adam"
    momentum: float = 0.9
    schedule: str = "constant"
    patience: int = 0
    seed: int = 0
    engine: str = "auto"
    dtype: str = "float64"
    initial: Mapping[str, str] = field(default_factory=dict)

    def checked(self) -> Options:
        """These, with the rate filled in; ValueProblem where one makes no sense."""
        if self.optimizer not in (*FIRST_ORDER, *SECOND_ORDER):
            optimiser(self.optimizer)
        for name in ("epochs", "batch", "patience", "seed"):
            if not isinstance(getattr(self, name), (int, np.integer)):
                raise ValueProblem(f"{name} is {getattr(self, name)!r}; it is a whole number.")
        if self.epochs < 1 or self.batch < 1 or self.patience < 0 or self.seed < 0:
            raise ValueProblem("Epochs and batch are at least 1; patience and seed at least 0.")
        if self.dtype not in ("float64", "float32"):
            raise ValueProblem(f"The dtype is float64 or float32, and not '{self.dtype}'.")
        rate = RATES[self.optimizer] if self.rate is None else float(self.rate)
        schedule(self.schedule, rate, self.epochs)
        return replace(self, rate=rate)


@dataclass(eq=False)
class Trained:
    """What training gave.

    parameters   name -> array, in the shapes of the sheet (a column is n × 1)
    history      one record an epoch
    results      split -> {"loss": …, and accuracy, r2 or reconstruction}
    stopped      why it ended
    said         what was decided on the way, in sentences
    """

    task: Task
    options: Options
    parameters: dict[str, Array]
    history: list[Record]
    results: dict[str, dict[str, float]]
    stopped: str
    engine: str
    why: str
    said: list[str]
    output: Output | None
    seconds: float = 0.0

    @property
    def measure(self) -> str:
        """What the quality of a prediction is called here."""
        return self.output.measure if self.output else ""

    def outputs(self, part: str, name: str | None = None) -> Array:
        """The values of a quantity (the prediction) on a split, samples first."""
        if name is None and self.output is None:
            raise ValueProblem("This sheet has no prediction; name a quantity.")
        node = self.task.model.leaves[name] if name else self.output.node  # type: ignore[union-attr]
        count = self.task.fixed or self.task.count(part)
        found = [outputs_of(self.task, node, rows, self.parameters, count)
                 for rows in self.task.chunks(part)]  # fmt: skip
        return np.concatenate(found)

    def __repr__(self) -> str:
        from backproof.engine.reports import result_lines

        return "\n".join(result_lines(self))


Told = Callable[[Record], None]


def train(
    task: Task,
    options: Options | None = None,
    *,
    folder: RunFolder | None = None,
    resume: bool = False,
    told: Told | None = None,
    extra: Mapping[str, Any] | None = None,
    probe: bool = True,
) -> Trained:
    """Trains a task; with a folder, everything is written there as it goes.

    told    called with each epoch's record
    extra   further facts for run.json
    probe   whether gradients and factors are measured on the way
    """
    chosen = (options or Options()).checked()
    # An overflow ends the run with its equation, so NumPy's own warning would only stand before it.
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            return _Loop(task, chosen, folder, resume, told, extra, probe).run()
        except MemoryError:
            raise ValueProblem(
                "Training needs more memory than there is.",
                hint="a smaller --batch, smaller sizes in the sheet or with --set, or --dtype "
                "float32",
            ) from None


def fingerprint(task: Task) -> str:
    """A short hash of the training data and the sheet."""
    h = hashlib.sha256(task.single.sheet.source.text.encode("utf-8"))
    for part, arrays in sorted(task.parts.items()):
        for name, a in sorted(arrays.items()):
            h.update(f"{part}/{name}{a.shape}".encode())
            h.update(np.ascontiguousarray(a).tobytes())
    for name, a in sorted(task.constants.items()):
        h.update(name.encode() + np.ascontiguousarray(a).tobytes())
    return h.hexdigest()[:24]


class _Loop:
    def __init__(
        self, task: Task, options: Options, folder: RunFolder | None, resume: bool,
        told: Told | None, extra: Mapping[str, Any] | None, probe: bool,
    ) -> None:  # fmt: skip
        self.task, self.options, self.folder = task, options, folder
        self.told, self.extra = told, dict(extra or {})
        if options.patience and "validation" not in task.parts:
            raise ValueProblem(
                "Patience waits for a better validation loss, and there is no validation split.",
                hint="--validation 0.1, or --patience 0",
            )
        self.count = task.count()
        batch = self._batch()
        shapes = {n: task.parameter_shape(n) for n in task.model.learned}
        self.first, said = initial_values(task.model, shapes, task.all_sizes(batch), options.seed,
                                          options.initial)  # fmt: skip
        self.stepper: Stepper = make_stepper(
            task, options.optimizer, options.momentum, batch, options.engine, options.dtype,
            options.epochs * max(1, self.count // batch),
        )  # fmt: skip
        self.said = [*task.said, *said]
        self.losses = Losses(task)
        self.output = find_output(task.model, task.axes, task.target)
        self.probe = Probe(task) if probe else None
        self.rate_at = schedule(options.schedule, options.rate or 1.0, options.epochs)
        self.print_ = fingerprint(task)
        self.history: list[Record] = []
        self.saved = 0.0
        self.point = self._resumed() if resume else self._fresh()

    def _batch(self) -> int:
        task, batch = self.task, self.options.batch
        if task.samples is None:
            return 1
        fixed = task.fixed
        if fixed is not None:
            for part in task.parts:
                if task.count(part) < fixed:
                    share = (
                        "" if part in ("train", "unseen") else f"another share with --{part}, or "
                    )
                    raise ValueProblem(
                        f"The sheet is for {fixed} samples, and the {part} split has "
                        f"{task.count(part)}.",
                        hint=f"{share}a name for their number in the sheet, such as X in R[N, 4]",
                    )
            left = [f"{task.count(p) % fixed} of {p}" for p in task.parts if task.count(p) % fixed]
            if left:
                task.said.append(f"Left out, as the sheet takes {fixed} samples at a time: "
                                 f"{', '.join(left)}.")  # fmt: skip
            return fixed
        return min(batch, self.count)

    # --- starting ------------------------------------------------------------------------------

    def _fresh(self) -> Checkpoint:
        state = self.stepper.start(self.first)
        initial = self.losses("train", self.first)
        if not math.isfinite(initial):
            where = self._where(self.first, np.arange(min(self.stepper.batch, self.count)))
            raise TrainingStopped(
                f"The loss is {initial:g} before the first step: {where}.",
                hint="other first values, --init '*=normal:0.01', or data in another --scale",
            )
        point = Checkpoint(0, state, initial, print_=self.print_)
        if self.folder is not None:
            self.folder.begin()
            self.folder.write("run.json", self._meta())
            self.folder.write("sheet.sheet", self.task.single.sheet.source.text)
            if self.task.text:
                self.folder.write("batch.sheet", self.task.text)
            self.folder.write("metrics.jsonl", "")
            self._save(point, at_once=True)
        return point

    def _resumed(self) -> Checkpoint:
        assert self.folder is not None
        point = self.folder.checkpoint()
        if point is None:
            return self._fresh()
        if point.print_ != self.print_:
            raise FileProblem(
                f"The run in '{self.folder.path}' was with another sheet, other data or another "
                "split.",
                hint="resume with the same sheet, data and seed, or start anew with --overwrite",
            )
        meta = self.folder.meta
        before = meta.get("options", {})
        mine = asdict(self.options)
        for name in ("optimizer", "momentum", "batch", "seed", "dtype"):
            if name in before and before[name] != mine[name]:
                raise FileProblem(
                    f"The run in '{self.folder.path}' was with {name} {before[name]}, and "
                    f"{mine[name]} is asked for.",
                    hint="leave it out to resume, or start anew with --overwrite",
                )
        self.history = self.folder.history(point.epoch)
        self.said.append(f"Resumed after epoch {point.epoch}.")
        self.said += self._changed(meta, before, mine)
        self.folder.write("run.json", self._meta())
        return point

    def _changed(
        self, meta: Mapping[str, Any], before: Mapping[str, Any], mine: Mapping[str, Any]
    ) -> list[str]:
        """What a resumed run does otherwise than it began, in sentences."""
        names = ["rate", "schedule", "patience"]
        if mine["schedule"] != "constant":
            names.append("epochs")  # what most schedules are stretched over
        other = [f"{n} ({before[n]} before, {mine[n]} now)"
                 for n in names if n in before and before[n] != mine[n]]  # fmt: skip
        said = [f"Changed from here on: {', '.join(other)}."] if other else []
        was = meta.get("engine", self.stepper.engine), meta.get("processes", 1)
        now = self.stepper.engine, self.stepper.processes
        if was != now:
            several = max(was[1], now[1]) > 1
            then, here = (f"{engine} in {k} process{'es' * (k > 1)}" if several else engine
                          for engine, k in (was, now))  # fmt: skip
            said.append(
                f"It ran on {then} before and runs on {here} now: up to rounding as if it had not "
                "stopped, and not to the same bits."
            )
        return said

    def _meta(self) -> str:
        import json

        meta = {
            "options": asdict(self.options), "engine": self.stepper.engine,
            "processes": self.stepper.processes, "why": self.stepper.why,
            "versions": versions(), "loss": self.task.loss,
            "splits": {p: self.task.count(p) for p in self.task.parts},
            "sizes": self.task.sizes, "said": self.said, **self.extra,
        }  # fmt: skip
        return json.dumps(meta, indent=1, ensure_ascii=False, default=str) + "\n"

    # --- going on ------------------------------------------------------------------------------

    def run(self) -> Trained:
        began = time.perf_counter()
        stopped = ""
        try:
            while not stopped:
                stopped = self._ended()
                if not stopped:
                    self._epoch()
        except KeyboardInterrupt:
            stopped = f"interrupted after epoch {self.point.epoch}"
        self._save(self.point, at_once=True)
        return self._finished(stopped, time.perf_counter() - began)

    def _ended(self) -> str:
        point, options = self.point, self.options
        if point.state.done:
            return f"ended after {point.epoch} iterations: flat, or no lower point in reach"
        late = bool(options.patience) and point.waited >= options.patience
        if options.patience and self.stepper.agreed(late):
            return (f"stopped early after epoch {point.epoch}: no better validation loss for "
                    f"{options.patience} epochs")  # fmt: skip
        many = "iterations" if options.optimizer in SECOND_ORDER else "epochs"
        if point.epoch > options.epochs:
            return f"nothing left to do: {point.epoch} {many} are done, of {options.epochs} asked"
        return f"all {options.epochs} {many}" if point.epoch == options.epochs else ""

    def _epoch(self) -> None:
        began = time.perf_counter()
        point, options, task = self.point, self.options, self.task
        epoch = point.epoch + 1
        order = np.random.default_rng([options.seed, 7, epoch]).permutation(self.count)
        rate = self.rate_at(epoch)
        loss, state = self.stepper.epoch(point.state, order, rate)
        self._check(epoch, loss, state, order, rate)
        record: Record = {"epoch": epoch, "loss": loss, "rate": rate}
        new = Checkpoint(epoch, state, point.initial, point.best, point.best_epoch,
                         point.best_loss, point.waited, self.print_)  # fmt: skip
        params = _doubles(state.parameters)
        if "validation" in task.parts:
            value = self.losses("validation", params)
            record["validation_loss"] = value
            if value < new.best_loss:
                new.best, new.best_loss, new.best_epoch, new.waited = params, value, epoch, 0
            else:
                new.waited += 1
        if self._measured(epoch) and self.output is not None:
            for part in ("train", "validation"):
                if part in task.parts:
                    key = self.output.measure if part == "train" else (
                        f"validation_{self.output.measure}"
                    )  # fmt: skip
                    record[key] = quality(task, self.output, part, params)
        if self.probe is not None and self._measured(epoch):
            record.update(self.probe(params))
        record["seconds"] = round(time.perf_counter() - began, 6)
        self.history.append(record)
        if self.folder is not None:
            self.folder.append(record)
        self.point = new
        self._save(new)
        if self.told is not None:
            self.told(record)

    def _measured(self, epoch: int) -> bool:
        every = max(1, self.options.epochs // PROBES)
        return epoch % every == 0 or epoch in (1, self.options.epochs)

    def _save(self, point: Checkpoint, at_once: bool = False) -> None:
        if self.folder is None:
            return
        now = time.monotonic()
        if at_once or now - self.saved >= self.folder.every:
            self.folder.save(point)
            self.saved = now

    # --- faults --------------------------------------------------------------------------------

    def _check(self, epoch: int, loss: float, state: State, order: Array, rate: float) -> None:
        """Stops where the loss or a parameter is not finite, or the loss has exploded."""
        finite = math.isfinite(loss) and all(
            np.isfinite(p).all() for p in state.parameters.values()
        )
        limit = EXPLODED * max(abs(self.point.initial), 1e-3)
        if finite and abs(loss) <= limit:
            return
        self._save(self.point, at_once=True)
        where = self._replayed(order, rate)
        kept = "" if self.folder is None else (
            f" The checkpoint of epoch {self.point.epoch} is kept."
        )  # fmt: skip
        what = (f"the loss grew from {self.point.initial:.4g} to {loss:.4g}" if finite
                else f"the loss is {loss:g}" if not math.isfinite(loss)
                else "a parameter is no longer finite")  # fmt: skip
        raise TrainingStopped(
            f"Training stopped in epoch {epoch}: {what}. {where}{kept}",
            hint=f"a smaller learning rate than {rate:g}, or other first values",
        )

    def _replayed(self, order: Array, rate: float) -> str:
        """Where in the epoch a value first left the numbers, found by taking its steps again."""
        name = self.options.optimizer
        if name in SECOND_ORDER:
            where = self._where(self.point.state.parameters, np.arange(self.count))
            return f"{where.capitalize()}."
        size = self.stepper.batch
        plain = Plain(self.task, optimiser(name, self.options.momentum), size, "numpy", "float64")
        state = self.point.state.copy()
        params = _doubles(state.parameters)
        slots, count = state.slots, state.steps
        steps = max(1, len(order) // size)
        rows: Mapping[str, Array] = {}
        for k in range(steps):
            rows = self.task.rows("train", order[k * size : (k + 1) * size])
            at = f"In step {k + 1} of {steps} of this epoch, "
            found, bad = first_fault(self.task, rows, params, size)
            if found:
                return at + self._fault(found, bad)
            _, gradients = plain.gradients(rows, params)
            for learned, g in gradients.items():
                if not np.isfinite(g).all():
                    return at + f"the gradient of {self.task.loss} by {learned} is not finite."
            count += 1
            with np.errstate(all="ignore"):
                params, slots = plain.rule.step(np, params, gradients, slots, rate, count)
        found, bad = first_fault(self.task, rows, params, size)
        if found:
            return f"After step {steps} of this epoch, " + self._fault(found, bad)
        name = largest_equation(self.task, rows, params, size)
        return f"The largest values are in {self._equation(name)}."

    def _fault(self, name: str, bad: str) -> str:
        if name in self.task.model.learned:
            return f"the parameter {name} is not finite: its last step left the numbers."
        return f"{bad} first appears in the equation {self._equation(name)}."

    def _where(self, parameters: Mapping[str, Array], rows: Array) -> str:
        size = len(rows)
        name, bad = first_fault(self.task, self.task.rows("train", rows), parameters, size)
        if not name:
            return "no single equation shows why"
        return f"{bad} in {self._equation(name)}"

    def _equation(self, name: str) -> str:
        """An equation as the reader wrote it, with its line."""
        sheet = self.task.single.sheet
        equation = sheet.equations.get(self.task.written.get(name, name))
        if equation is None:
            return name
        text = " ".join(sheet.source.slice(equation.span).split())
        return f"'{text}' (line {sheet.place(equation.span).line})"

    # --- the end -------------------------------------------------------------------------------

    def _finished(self, stopped: str, seconds: float) -> Trained:
        task, point = self.task, self.point
        parameters = _doubles(point.state.parameters)
        if self.options.patience and point.best:
            parameters = point.best
            stopped += f"; the parameters are those of epoch {point.best_epoch}"
        results: dict[str, dict[str, float]] = {}
        for part in task.parts:
            results[part] = {"loss": self.losses(part, parameters)}
            if self.output is not None:
                results[part][self.output.measure] = quality(task, self.output, part, parameters)
                results[part].update(found_and_right(task, self.output, part, parameters))
        options = replace(self.options, batch=self.stepper.batch)
        trained = Trained(task, options, parameters, self.history, results, stopped,
                          self.stepper.engine, self.stepper.why, self.said, self.output,
                          seconds)  # fmt: skip
        if self.folder is not None and self.folder.writer:
            from backproof.engine.reports import write_report

            write_report(trained, self.folder)
        return trained


def _doubles(parameters: Mapping[str, Array]) -> dict[str, Array]:
    return {n: np.array(p, np.float64) for n, p in parameters.items()}


__all__ = ["BackproofError", "Options", "Trained", "fingerprint", "train"]
