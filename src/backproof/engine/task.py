"""A sheet for many samples, as training takes it: its loss, and which dimension counts samples.

A sheet for one sample becomes its derived batch; a sheet for N samples takes minibatches as its
N. Knows nothing of data sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backproof.calculus.batch import batch_sheet
from backproof.calculus.batch.roles import find_loss, losses
from backproof.calculus.model import Model
from backproof.errors import ShapeProblem
from backproof.operators.dims import ONE, Dim

Array = Any
SIZE_NAMES = ("N", "m", "B", "batch", "samples", "n_samples")


@dataclass(frozen=True)
class Wanted:
    """What was asked of the data.

    maps      given -> "data", "target", or the name of a part
    values    given or dimension -> its value, for those that no data fix
    scale     auto | standard | minmax | none
    pairs     pairs a sample of the training split, 0 for none; None: 4 where the sheet has twins
    unseen    classes that are held out of training, "8,9"
    thin      the share of label 1 that is kept
    """

    maps: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    scale: str = "auto"
    pairs: int | None = None
    unseen: str = ""
    thin: float = 1.0
    test: float = 0.2
    validation: float = 0.1
    seed: int = 0


@dataclass(eq=False)
class Task:
    """A sheet for many samples with its data.

    single     the sheet as written
    model      the sheet for many samples (the same one, where it is written so)
    text       the derived batch sheet, "" where the sheet is for many samples as it stands
    samples    the dimension that counts samples; None: the sheet's own values are all the data
    axes       data name -> the axis of its shape that runs over the samples
    sizes      sizes of the other dimensions
    constants  given name -> its value, the same for every sample
    parts      split -> data name -> array, samples first
    target     the data name of the labels or numbers to be predicted, or None
    classes    the names of the classes, in the order of their code
    counts     split -> number of samples
    said       what was decided, in sentences
    written    name of an equation of the batch -> its name in the sheet as written
    """

    single: Model
    model: Model
    loss: str
    samples: Dim | None
    axes: dict[str, int]
    text: str = ""
    sizes: dict[str, int] = field(default_factory=dict)
    constants: dict[str, Array] = field(default_factory=dict)
    parts: dict[str, dict[str, Array]] = field(default_factory=dict)
    target: str | None = None
    classes: tuple[str, ...] = ()
    image: tuple[int, int] | None = None
    pictures: tuple[str, ...] = ()
    said: list[str] = field(default_factory=list)
    scalers: dict[str, tuple[Array, Array]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)

    def count(self, part: str = "train") -> int:
        """The samples of a split."""
        arrays = self.parts.get(part)
        if arrays is None:
            return 0
        return len(next(iter(arrays.values()))) if arrays else 1

    def all_sizes(self, count: int) -> dict[str, int]:
        """Every dimension's size where there are *count* samples."""
        sizes = {**self.model.number_sizes(), **self.sizes}
        if self.samples is not None and (name := self.samples.as_name()) is not None:
            sizes[name] = count
        return sizes

    @property
    def fixed(self) -> int | None:
        """The number of samples, where the sheet says it."""
        return None if self.samples is None else self.samples.as_int()

    def rows(self, part: str, chosen: Any = slice(None)) -> dict[str, Array]:
        """The arrays of some samples in the shapes of the sheet, and what is the same for all."""
        found = dict(self.constants)
        for name, array in self.parts[part].items():
            here = array[chosen]
            found[name] = np.ascontiguousarray(here.T) if self.axes[name] == 1 else here
        return found

    def chunks(self, part: str) -> Iterator[dict[str, Array]]:
        """A whole split: at once, or in pieces of the size that the sheet says."""
        if self.fixed is None:
            yield self.rows(part)
            return
        for k in range(self.count(part) // self.fixed):
            yield self.rows(part, slice(k * self.fixed, (k + 1) * self.fixed))

    def parameter_shape(self, name: str) -> tuple[int, ...]:
        sizes = self.all_sizes(1)
        return tuple(d.evaluate(sizes) for d in self.model.shape(name))


def prepare(model: Model, loss: str | None = None, shared: Iterable[str] = ()) -> Task:
    """The sheet for many samples, without data yet; *shared* are the same for every sample."""
    target = find_loss(model, loss)
    if not model.learned:
        raise ShapeProblem(
            "This sheet learns nothing, so there is nothing to train.",
            hint="declare the parameters with learn, such as learn W in R[3, 4]",
        )
    if not model.depends_on(model.leaves[target]) & set(model.learned):
        raise ShapeProblem(f"{target} depends on no parameter, so it cannot be made smaller.",
                           hint="--loss NAME says which number is the loss")  # fmt: skip
    samples = _samples(model)
    free = [n for n in model.sheet.given if not model.has_value(n)]
    if samples is None and not free:
        task = Task(model, model, target, None, {})
        task.said.append("The values in the sheet are all the data: every step takes all of it.")
        return _telling(task, target, loss)
    if samples is not None:
        axes = {}
        for name in free:
            shape = model.shape(name)
            if samples in shape:
                axes[name] = shape.index(samples)
        names = {n: n for n in model.declared}
        task = Task(model, model, target, samples, axes, names=names)
        task.said.append(f"The sheet is for {samples} samples: a minibatch is its {samples}.")
        return _telling(task, target, loss)
    return _telling(_derived(model, target, shared), target, loss)


def _telling(task: Task, loss: str, asked: str | None) -> Task:
    """The same; where the sheet ends in several numbers, it is said which is made smaller."""
    model = task.single
    others = [n for n in losses(model) if n != loss
              and model.depends_on(model.leaves[n]) & set(model.learned)]  # fmt: skip
    if others and asked is None:
        shown = f"{' and '.join(others)} {'is' if len(others) == 1 else 'are'} not made smaller"
        task.said.append(f"The loss is {loss}; {shown} (--loss NAME says otherwise).")
    return task


def _derived(model: Model, loss: str, shared: Iterable[str]) -> Task:
    taken = {*model.leaves, *model.sheet.dimensions}
    size = next(n for n in (*SIZE_NAMES, *(f"N{k}" for k in range(99))) if n not in taken)
    batch = batch_sheet(model, size, rows=True, loss=loss, shared=tuple(shared))
    samples = Dim.of(size)
    axes = {}
    for role in batch.roles:
        if role.kind == "data" and role.batched:
            name = batch.names[role.name]
            axes[name] = batch.model.shape(name).index(samples)
    names = {n: batch.names.get(n, n) for n in model.declared}
    task = Task(model, batch.model, batch.loss, samples, axes, batch.text, names=names)
    task.written = {new: own for own, new in batch.names.items()}
    pairs = ", ".join(f"{n} → {m}" for n, m in names.items() if m in axes)
    task.said.append(
        f"The sheet is for one sample; its batch of {size} samples is derived ({pairs}), and "
        f"{batch.loss} is the mean of the samples' losses."
    )
    return task


def _samples(model: Model) -> Dim | None:
    """The dimension that counts samples: givens have it and no parameter does."""
    learned = {n for name in model.learned for d in model.shape(name) for n in _parts(d)}
    found: dict[Dim, int] = {}
    for name in model.sheet.given:
        shape = model.shape(name)
        if model.has_value(name) or len(shape) < 2 or model.declared[name].kind in _MATRICES:
            continue
        for d in dict.fromkeys(shape):
            if d != ONE and not (_parts(d) & learned) and (d.as_name() or d.as_int()):
                found[d] = found.get(d, 0) + 1
    wide = {
        d for name in model.sheet.given for d in model.shape(name)
        if len(model.shape(name)) > 1 and ONE not in model.shape(name)
        and not model.has_value(name)
    }  # fmt: skip
    able = [d for d in found if d in wide]
    return max(able, key=lambda d: found[d]) if able else None


_MATRICES = ("sym", "posdef", "diagonal", "orthogonal")


def _parts(d: Dim) -> frozenset[str]:
    number = d.as_int()
    return d.names() if number is None else frozenset((str(number),))
