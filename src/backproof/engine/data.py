"""A sheet meets data: which given gets which part, in what scale and coding, split how.

What is decided follows from the declared sets and the names, can be overridden, and is said.
Knows no optimiser and no engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from backproof.calculus.model import Model
from backproof.engine import datasets
from backproof.engine.coding import coded, scaled, set_of
from backproof.engine.datasets import Raw, shown_label
from backproof.engine.output import find_output
from backproof.engine.task import Task, Wanted, prepare
from backproof.engine.widths import sizes_of, width_hint
from backproof.errors import BackproofError, NameProblem, ShapeProblem, ValueProblem
from backproof.operators.dims import ONE, SCALAR, Dim

Array = Any
FIRST, SECOND, SAME = "(first)", "(second)", "(same)"  # what makes a pair; no part is called so
LABELS = ("labels", "onehot", "range", "prob")


def fill(task: Task, raw: Raw, wanted: Wanted | None = None) -> Task:
    """Gives the task its data; a BackproofError says what does not fit."""
    wanted = wanted or Wanted()
    if wanted.scale not in ("auto", "standard", "minmax", "none"):
        raise ValueProblem(f"There is no scale '{wanted.scale}'.",
                           hint="scales are auto, standard, minmax, none")  # fmt: skip
    if wanted.thin != 1:
        raw = datasets.thinned(raw, wanted.thin, wanted.seed)
    _constants(task, wanted)
    sources = _sources(task, raw, wanted)
    task.said[:0] = raw.said
    task.image = raw.image
    splits, same = _splits(task, raw, wanted, sources)
    scale = "minmax" if wanted.scale == "auto" and _from_sigmoid(task) else wanted.scale
    for name, source in sources.items():
        array = raw.data if source == "data" else raw.target if source == "target" else (
            raw.columns.get(source) if source not in (FIRST, SECOND, SAME) else raw.data
        )  # fmt: skip
        _place(task, name, source, array, raw, splits, same, scale)
    _solve_sizes(task, raw, sources)
    _check_sizes(task)
    kept = ", ".join(f"{task.count(p)} {p}" for p in task.parts)
    task.said.append(f"Split by seed {wanted.seed}: {kept}.")
    return task


def _from_sigmoid(task: Task) -> bool:
    """Whether the data are to be reconstructed by a sigmoid, which reaches 0 to 1 only."""
    output = find_output(task.model, task.axes, None) if task.target is None else None
    if output is None or output.kind != "picture":
        return False
    meant = task.model.definitions.get(output.name, output.node)
    if meant.op.spans != (0, 1):
        return False
    task.said.append(f"{output.name or 'The output'} reaches 0 to 1 only, so the data are brought "
                     "there.")  # fmt: skip
    return True


def without_data(task: Task, wanted: Wanted | None = None) -> Task:
    """A task whose sheet holds all values."""
    if task.axes:
        raise ValueProblem(
            f"There is no data for {', '.join(task.axes)}.", hint="--data NAME or --data FILE"
        )
    _constants(task, wanted or Wanted())
    task.parts["train"] = {}
    _check_sizes(task)
    return task


def _constants(task: Task, wanted: Wanted) -> None:
    model = task.model
    dimensions = set(model.sheet.dimensions)
    for name, value in wanted.values.items():
        if np.asarray(value).dtype.kind not in "fiu" or (name in dimensions and np.ndim(value)):
            raise ValueProblem(f"The value of {name} is {value!r:.60}, and must be a number.")
        if name in dimensions:
            if not float(value).is_integer() or float(value) < 1:
                raise ValueProblem(f"The dimension {name} must be a positive integer, and got "
                                   f"{value}.")  # fmt: skip
            known = model.number_sizes().get(name)
            if known is not None and known != int(value):
                raise ValueProblem(f"The sheet says {name} is {known}, and --set says {value}.")
            task.sizes[name] = int(value)
        elif name in model.declared and name in model.sheet.given and name not in task.axes:
            task.constants[name] = np.asarray(value, dtype=np.float64)
        else:
            settable = [n for n in model.sheet.given if n not in task.axes]
            raise NameProblem(
                f"'{name}' is no dimension and no constant of the sheet.",
                hint=f"those are {', '.join([*sorted(dimensions), *settable]) or 'none'}",
            )
    given = model.given_values(exact=False)
    for name in model.sheet.given:
        if name in task.axes or name in task.constants:
            continue
        if name in given:
            task.constants[name] = np.asarray(given[name], dtype=np.float64)
    missing = [n for n in model.sheet.given if n not in task.axes and n not in task.constants
               and n not in wanted.maps]  # fmt: skip
    if missing:
        raise ValueProblem(
            f"{', '.join(missing)} {'has' if len(missing) == 1 else 'have'} no value, and "
            f"{'is' if len(missing) == 1 else 'are'} the same for every sample.",
            hint="--set "
            + " --set ".join(f"{n}=…" for n in missing)
            + f", or in the sheet: given {missing[0]} = …; a number that each sample has its own "
            "of is declared in R",
        )
    if task.constants:
        shown = ", ".join(
            f"{n} = {float(a.reshape(-1)[0]):g}" if a.size == 1 else n
            for n, a in task.constants.items()
        )
        task.said.append(f"The same for every sample: {shown}.")


def _own(task: Task, name: str) -> str:
    """The per-sample name that a data name came from."""
    return next((own for own, new in task.names.items() if new == name), name)


def _sources(task: Task, raw: Raw, wanted: Wanted) -> dict[str, str]:
    """data name -> "data", "target", FIRST, SECOND, SAME, or the name of a part; and says so."""
    maps = {task.names.get(n, n): source for n, source in wanted.maps.items()}
    for name, source in maps.items():
        if name not in task.axes:
            raise NameProblem(f"'{name}' is not a given with samples, so nothing is mapped to it.",
                              hint=f"those are {', '.join(task.axes)}")  # fmt: skip
        if source not in ("data", "target", *raw.columns):
            parts = [n for n, a in (("data", raw.data), ("target", raw.target)) if a is not None]
            raise NameProblem(f"{raw.name} has no '{source}'.",
                              hint=f"it has {', '.join([*parts, *raw.columns])}")  # fmt: skip
    sources: dict[str, str] = {}
    why: dict[str, str] = {}
    for name in task.axes:
        own, fact = _own(task, name), task.model.declared[name]
        if name in maps:
            sources[name], why[name] = maps[name], "as asked"
        elif raw.image is None and (own in raw.columns or name in raw.columns):
            sources[name] = own if own in raw.columns else name
            why[name] = "by its name"
        elif fact.kind in LABELS:
            sources[name] = "target"
            why[name] = f"its set is {set_of(fact)}"
        elif raw.target is not None and _named_target(own):
            sources[name], why[name] = "target", "by its name"
        else:
            sources[name] = "data"
            why[name] = "its set is of numbers"
    twins = [n for n, s in sources.items() if s == "data" and n not in maps]
    alike = len(twins) == 2 and task.model.shape(twins[0]) == task.model.shape(twins[1])
    pairs = wanted.pairs if wanted.pairs is not None else (4 if alike else 0)
    labels = [n for n, s in sources.items() if s in ("target", raw.picked or "target")]
    if pairs:
        if len(twins) != 2 or len(labels) != 1 or task.model.declared[labels[0]].kind != "labels":
            raise ShapeProblem(
                "Pairs are for twins: two givens of one sample each, and a label that says whether "
                "they are of the same class.",
                hint="such as given xA, xB in R[64] and given y in {0, 1}",
            )
        sources[twins[0]], sources[twins[1]], sources[labels[0]] = FIRST, SECOND, SAME
        why |= {twins[0]: "the first of a pair", twins[1]: "the second of a pair",
                labels[0]: "1 where both are of one class, else the other label"}  # fmt: skip
    for name, source in sources.items():
        if source == "data" and raw.data is None:
            raise ValueProblem(f"Nothing in {raw.name} is called '{_own(task, name)}', and it has "
                               "no part called data.", hint=_parts_hint(name, raw))  # fmt: skip
        if source in ("target", SAME) and raw.target is None:
            raise ValueProblem(f"{name} takes labels, and {raw.name} has no target.",
                               hint=_parts_hint(name, raw))  # fmt: skip
    both = [n for n, s in sources.items() if s == "data"]
    if len(both) > 1 and not all(n in maps for n in both):
        raise ShapeProblem(
            f"{' and '.join(both)} would both get the data of {raw.name}.",
            hint=f"--map {both[0]}=… says which part each gets"
            + (
                "; --pairs makes pairs for twins"
                if alike
                else "; a target is called y or t or has "
                "a set of labels; --set gives a number that is the same for every sample"
            ),
        )
    words = {FIRST: "the data (A)", SECOND: "the data (B)", SAME: "the label of a pair",
             "data": "the data", "target": "the target"}  # fmt: skip
    said = {s: words.get(s, f"the part '{s}'") for s in sources.values()}
    task.said += [f"{n} gets {said[s]} ({why[n]})." for n, s in sources.items()]
    predicted = [n for n, s in sources.items() if s in ("target", SAME)]
    task.target = predicted[0] if predicted else next(
        (n for n in task.axes if task.model.declared[n].kind in LABELS or
         (_named_target(_own(task, n)) and len(task.axes) > 1)), None
    )  # fmt: skip
    return sources


def _parts_hint(name: str, raw: Raw) -> str:
    parts = ", ".join(raw.columns) or "data only"
    return f"--map {name}=PART, of the parts: {parts}; --target COLUMN for a CSV"


def _named_target(name: str) -> bool:
    return name[:1].lower() in ("y", "t") or name.lower().startswith(("target", "label"))


Pairs = dict[str, tuple[Array, Array, Array]]


def _splits(
    task: Task, raw: Raw, wanted: Wanted, sources: Mapping[str, str]
) -> tuple[dict[str, Array], Pairs | None]:
    """split -> rows; for pairs also split -> (rows of A, rows of B, same or not)."""
    held: list[Any] = []
    rows = np.arange(raw.count)
    labels: Any = raw.target
    if wanted.unseen:
        held = datasets.unseen_classes(raw, wanted.unseen)
        rows = np.flatnonzero(~np.isin(labels, held))
    found = datasets.split(raw.taken(rows), wanted.test, wanted.validation, wanted.seed)
    splits = {part: rows[chosen] for part, chosen in found.items()}
    if held:
        shown = ", ".join(shown_label(c) for c in held)
        splits["unseen"] = np.flatnonzero(np.isin(labels, held))
        task.said.append(f"Held out of training as a whole: classes {shown}, the split 'unseen'.")
    if SAME not in sources.values():
        return splits, None
    assert raw.target is not None
    pairs = wanted.pairs if wanted.pairs is not None else 4
    made = {
        part: datasets.pairs(raw.target, chosen, max(2, pairs * len(chosen)), wanted.seed, part)
        for part, chosen in splits.items()
    }
    task.said.append(
        f"Pairs by seed, {pairs} a sample in every split, half of them of one class; no sample "
        "is in two splits."
    )
    return splits, made


def _place(
    task: Task, name: str, source: str, array: Array, raw: Raw, splits: Mapping[str, Array],
    same: Pairs | None, scale: str,
) -> None:  # fmt: skip
    """Puts one given's arrays into every split."""
    fact = task.model.declared[name]
    if source == SAME:
        assert same is not None
        for part, (_, _, labels) in same.items():
            coding, task.classes, said = coded(fact, task.model, name, labels, None)
            task.parts.setdefault(part, {})[name] = coding
        return
    if source == "target" or name == task.target or fact.kind in LABELS:
        width = _features(task, name)
        code, classes, said = coded(fact, task.model, name, array, width, raw.labelled)
        if source == "target" or name == task.target:
            task.classes = classes
        task.said += said
    else:
        flat = array.reshape(len(array), -1).astype(np.float64)
        code, scaler, said = scaled(fact, name, flat, splits["train"], scale)
        if source in ("data", FIRST, SECOND):
            task.pictures = (*task.pictures, name)
        task.scalers[name] = scaler
        if source != SECOND:
            task.said += said
    shape = task.model.shape(name)
    if len(shape) > 2:
        known = {**task.model.number_sizes(), **task.sizes}
        task.sizes.update(sizes_of(task.model, shape[1:], array.shape[1:], known))
        _all_known(task, {n for d in shape[1:] for n in task.model.graph.resolve(d).names()})
    _fit_sizes(task, name, code.shape[1], raw, source)
    for part, rows in splits.items():
        if same is not None and source in (FIRST, SECOND):
            rows = same[part][0 if source == FIRST else 1]
        here = code[rows]
        if len(shape) > 2:
            sizes = task.all_sizes(1)
            here = here.reshape(len(here), *(d.evaluate(sizes) for d in shape[1:]))
        task.parts.setdefault(part, {})[name] = here


def _features(task: Task, name: str) -> int | None:
    """How many numbers one sample has in a given, where that is known."""
    sizes = {**task.model.number_sizes(), **task.sizes}
    total = 1
    for k, d in enumerate(task.model.shape(name)):
        if k != task.axes[name]:
            try:
                total *= task.model.graph.resolve(d).evaluate(sizes)
            except KeyError:
                return None
    return total


def _fit_sizes(task: Task, name: str, width: int, raw: Raw, source: str) -> None:
    """Learns a dimension from the width of the data, or says that it does not fit."""
    shape = task.model.shape(name)
    rest = [d for k, d in enumerate(shape) if k != task.axes[name] and d != ONE]
    known = {**task.model.number_sizes(), **task.sizes}
    if len(rest) == 1:
        left = task.model.graph.resolve(rest[0]).substitute(known)
        if left.as_int() is None:
            solved = left.solve_for(Dim.of(width))
            if solved is not None and (number := solved[1].as_int()) is not None:
                task.sizes[solved[0]] = number
    have = _features(task, name)
    if have is None or have == width:
        return
    own = _own(task, name)
    where = task.single.sheet.declarations[own]
    what = {"target": "target", "data": "data", FIRST: "data", SECOND: "data"}.get(
        source, f"part '{source}'"
    )
    sizes = {**task.model.number_sizes(), **task.sizes}
    fixed = [f"{n} is {sizes[n]}" for d in rest for n in sorted(d.names()) if n in sizes]
    raise ShapeProblem(
        f"the {what} of {raw.name} has {width} column{'s' * (width != 1)}, and {own} is declared "
        f"with {have} number{'s' * (have != 1)} a sample"
        + (f", where {', '.join(fixed)}." if fixed else "."),
        place=task.single.sheet.place(where.span),
        hint=width_hint(task.single, own, have, width, bool(raw.columns)),
    )


def _solve_sizes(task: Task, raw: Raw, sources: Mapping[str, str]) -> None:
    for name in sources:
        array = task.parts["train"][name]
        _fit_sizes(task, name, array[0].size, raw, sources[name])


def _all_known(task: Task, names: Iterable[str]) -> None:
    missing = sorted(set(names) - task.all_sizes(1).keys())
    if missing:
        raise ShapeProblem(
            f"The size {' and '.join(missing)} is not fixed by the data.",
            hint="--set "
            + " --set ".join(f"{n}=16" for n in missing)
            + f", or in the sheet: let {missing[0]} = 16",
        )


def _check_sizes(task: Task) -> None:
    """Every dimension has a number, and every constant its shape."""
    sizes = task.all_sizes(1)
    names = {n for leaf in task.model.leaves.values() for d in leaf.shape
             for n in task.model.graph.resolve(d).names()}  # fmt: skip
    _all_known(task, names)
    low = [name for name in task.model.learned if min(task.parameter_shape(name)) < 1]
    if low:
        raise ShapeProblem(f"{low[0]} would have shape {task.parameter_shape(low[0])}.")
    for name, value in task.constants.items():
        if name in task.axes:
            continue
        shape = tuple(d.evaluate(sizes) for d in task.model.shape(name))
        if value.size == 1 and task.model.shape(name) == SCALAR:
            task.constants[name] = value.reshape(shape)
        elif value.shape != shape:
            try:
                task.constants[name] = value.reshape(shape)
            except ValueError:
                raise ShapeProblem(f"{name} has shape {value.shape}, and the sheet says "
                                   f"{shape}.") from None  # fmt: skip
    for name, value in task.constants.items():
        fact = task.model.declared[name]
        if fact.kind == "pos" and (value <= 0).any():
            raise ValueProblem(f"{name} is {value.reshape(-1)[0]:g}, and its set is positive "
                               "numbers.")  # fmt: skip


def task_for(model: Model, data: Any, wanted: Wanted | None = None, *, target: str | None = None,
             loss: str | None = None) -> Task:  # fmt: skip
    """The whole way: from a sheet and the name of a data set, a file or arrays to a task."""
    wanted = wanted or Wanted()
    free = [n for n in model.sheet.given if not model.has_value(n)]
    shared = [n for n in free if n in wanted.values]
    task = prepare(model, loss, shared if len(shared) < len(free) else ())
    if data is None:
        return without_data(task, wanted)
    raw = (
        data
        if isinstance(data, Raw)
        else datasets.read(data, [n for n in model.sheet.given if not model.has_value(n)], target)
    )
    if not raw.count:
        raise ValueProblem(f"{raw.name} holds no samples.")
    return fill(task, raw, wanted)


def predict_arrays(task: Task, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """New samples as a task takes them: in the training's scale, in the sheet's shapes."""
    found = dict(task.constants)
    for name, array in arrays.items():
        a = np.asarray(array, np.float64).reshape(len(array), -1)
        if name in task.scalers:
            middle, spread = task.scalers[name]
            a = (a - middle) / spread
        found[name] = np.ascontiguousarray(a.T) if task.axes[name] == 1 else a
    return found


__all__ = ["BackproofError", "Sequence", "Task", "Wanted", "fill", "predict_arrays", "prepare",
           "task_for", "without_data"]  # fmt: skip
