"""`backproof train`: from the command's options to a run, in this process or in several.

Knows the options of the command line; shows progress with rich; decides what a resumed run keeps.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from backproof.calculus.model import Model, build_model
from backproof.engine.data import Task, Wanted, task_for
from backproof.engine.launch import check_count, supervise
from backproof.engine.runs import RunFolder, free_folder
from backproof.engine.training import Options, Record, Trained, train
from backproof.errors import BackproofError, FileProblem, NotAvailable, ValueProblem
from backproof.language.files import read_sheets

Say = Callable[[str], None]
# What belongs to one call and not to the run.
NOT_KEPT = ("file", "out", "resume", "overwrite", "processes", "coordinator", "process_id",
            "process_count", "quiet", "checkpoint_seconds", "arguments", "compare")  # fmt: skip


@dataclass
class Request:
    """The options of `backproof train`, as given."""

    file: Path | None = None
    sheet: str | None = None
    data: str | None = None
    target: str | None = None
    loss: str | None = None
    maps: Sequence[str] = ()
    values: Sequence[str] = ()
    scale: str = Wanted.scale
    pairs: int | None = Wanted.pairs
    unseen: str = Wanted.unseen
    thin: float = Wanted.thin
    test: float = Wanted.test
    validation: float = Wanted.validation
    engine: str = Options.engine
    epochs: int = Options.epochs
    batch: int = Options.batch
    rate: float | None = Options.rate
    optimizer: str = Options.optimizer
    momentum: float = Options.momentum
    schedule: str = Options.schedule
    patience: int = Options.patience
    seed: int = Options.seed
    dtype: str = Options.dtype
    initial: Sequence[str] = ()
    out: Path | None = None
    resume: bool = False
    overwrite: bool = False
    processes: int = 1
    coordinator: str = ""
    process_id: int = 0
    process_count: int = 1
    quiet: bool = False
    compare: bool = False
    checkpoint_seconds: float = 1.0
    arguments: Sequence[str] = field(default=())

    def kept(self) -> dict[str, Any]:
        """What run.json remembers, so that a resumed run needs no options again."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in NOT_KEPT}


def train_command(request: Request, given: frozenset[str]) -> tuple[list[str], Trained | None]:
    """Runs the command; gives back what to print, and the run where it was in this process.

    given   the options that were written; the others come from the run that is resumed
    """
    if request.resume and request.overwrite:
        raise ValueProblem(
            "--resume and --overwrite exclude each other.",
            hint="--resume goes on with the run, --overwrite starts it again",
        )
    if {"process_id", "process_count"} & given and not request.coordinator:
        raise ValueProblem(
            "--process-id and --process-count are for runs on many hosts.",
            hint="--coordinator HOST:PORT, or --processes N on one host",
        )
    if math.isnan(request.checkpoint_seconds):
        raise ValueProblem("The time between two checkpoints is nan; it is a number of seconds.")
    folder = _resumed(request, given) if request.resume else None
    if request.file is None:
        raise FileProblem("Which sheet is to be trained?", hint="backproof train FILE --data NAME")
    model = read_model(request.file, request.sheet)
    wanted = Wanted(
        _pairs(request.maps, "--map", str), _pairs(request.values, "--set", _number),
        request.scale, request.pairs, request.unseen, request.thin, request.test,
        request.validation, request.seed,
    )  # fmt: skip
    task = task_for(model, request.data, wanted, target=request.target, loss=request.loss)
    options = Options(
        request.epochs, request.batch, request.rate, request.optimizer, request.momentum,
        request.schedule, request.patience, request.seed, request.engine, request.dtype,
        _pairs(request.initial, "--init", str),
    ).checked()  # fmt: skip
    member = bool(request.coordinator)
    if not member and request.processes > 1:
        return _several(request, folder), None
    place = None
    if member:
        from backproof.engine.parallel import Place, join

        if request.engine != "jax":
            raise NotAvailable("Several processes run on the JAX engine.", hint="--engine jax")
        place = Place(request.coordinator, request.process_id, request.process_count)
        join(place)
    writer = place is None or place.first
    path = request.out or free_folder(_stem(request))
    if folder is None:
        folder = RunFolder.new(path, request.overwrite) if writer else RunFolder(path)
    folder.writer, folder.every = writer, request.checkpoint_seconds
    extra = {"request": request.kept(), "sheet_file": str(request.file)}
    with Progress(options.epochs, quiet=request.quiet or member) as progress:
        trained = train(task, options, folder=folder, resume=request.resume,
                        told=progress.told, extra=extra)  # fmt: skip
    if not writer:
        return [], None
    return [*trained.said, "", *_lines(folder), "", _written(folder)], trained


def read_model(file: Path, sheet: str | None) -> Model:
    """The model of a file's sheet."""
    blocks = read_sheets(file).sheets
    found = [b for b in blocks if sheet is None or b.name == sheet]
    if len(found) != 1:
        names = ", ".join(b.name for b in blocks if b.name)
        raise FileProblem(f"'{file}' has {len(blocks)} sheets, and one is trained.",
                          hint=f"--sheet NAME, one of: {names or '(none)'}")  # fmt: skip
    if found[0].sheet is None:
        assert found[0].error is not None
        raise found[0].error
    return build_model(found[0].sheet)


def _stem(request: Request) -> str:
    assert request.file is not None
    data = Path(request.data).stem if request.data else "own"
    return f"{request.file.stem}-{data}"


def _resumed(request: Request, given: frozenset[str]) -> RunFolder:
    """The folder of the run; options that were not written are taken from it."""
    if request.out is None:
        raise ValueProblem("Which run is to be resumed?", hint="name its folder: --out DIR")
    folder = RunFolder.existing(request.out)
    before = folder.meta.get("request", {})
    plain = Request().kept()
    for name, value in before.items() if isinstance(before, dict) else ():
        if name not in given and name in plain:
            if not _is_like(value, plain[name]):
                raise FileProblem(
                    f"'{request.out / 'run.json'}' has {value!r:.40} for {name}, which no run has.",
                    hint=f"write the option again, --{name} …, or start anew with --overwrite",
                )
            setattr(request, name, value)
    if request.file is None:
        request.file = request.out / "sheet.sheet"
        request.sheet = None
    return folder


def _is_like(value: Any, default: Any) -> bool:
    """Whether a value from a file may stand where an option has this default."""
    if value is None or default is None:
        return default is None and isinstance(value, str | int | float | None)
    if isinstance(default, tuple):
        return isinstance(value, list) and all(isinstance(v, str) for v in value)
    return isinstance(value, int | float) if isinstance(default, float) else (
        type(value) is type(default)
    )  # fmt: skip


def _pairs(words: Sequence[str], option: str, read: Callable[[str], Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name or not value:
            raise ValueProblem(f"'{word}' is not NAME=VALUE.", hint=f"{option} NAME=VALUE")
        found[name.strip()] = read(value.strip())
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueProblem(f"'{text}' is not a number.", hint="--set lambda=0.001") from None


def _lines(folder: RunFolder) -> list[str]:
    try:
        found = json.loads((folder.path / "result.json").read_text("utf-8"))
    except (OSError, ValueError):
        return []
    lines: list[str] = found["lines"]
    return lines


def _written(folder: RunFolder) -> str:
    plots = ", ".join(sorted(p.name for p in folder.path.glob("*.svg")))
    return f"In {folder.path}: metrics.jsonl, parameters.npz, checkpoint.npz, {plots}"


# --- several processes --------------------------------------------------------------------------


def _several(request: Request, folder: RunFolder | None) -> list[str]:
    """Starts the processes and shows what the first one writes."""
    from backproof.engine.jax_engine import load_jax

    if request.engine not in ("jax", "auto"):
        raise NotAvailable(
            f"Several processes run on the JAX engine, not on {request.engine}.",
            hint="--engine jax --processes N",
        )
    load_jax()
    check_count(request.processes)
    if request.batch % request.processes:
        near = max(1, request.batch // request.processes) * request.processes
        raise ValueProblem(f"A batch of {request.batch} samples cannot be shared evenly by "
                           f"{request.processes} processes.", hint=f"--batch {near}")  # fmt: skip
    path = request.out or free_folder(_stem(request))
    if folder is None:
        folder = RunFolder.new(path, request.overwrite)
    arguments = _without(request.arguments, "--processes", "--out", "--engine")
    arguments += ["--engine", "jax", "--out", str(path)]
    shown = _Follower(path / "metrics.jsonl")

    def last_epoch() -> int:
        point = RunFolder(path, writer=False).checkpoint()
        return point.epoch if point else 0

    with Progress(request.epochs, quiet=request.quiet) as progress:
        supervise(arguments, request.processes, lambda: shown.tell(progress.told), last_epoch)
    said = json.loads((path / "result.json").read_text("utf-8"))["said"]
    return [*said, "", *_lines(folder), "", _written(folder)]


def _without(arguments: Sequence[str], *options: str) -> list[str]:
    found: list[str] = []
    skip = False
    for a in arguments:
        if skip:
            skip = False
        elif a in options:
            skip = True
        elif not any(a.startswith(f"{o}=") for o in options):
            found.append(a)
    return found


class _Follower:
    """Reads the lines that another process appends to a file."""

    def __init__(self, path: Path) -> None:
        self.path, self.at = path, 0

    def tell(self, told: Callable[[Record], None]) -> None:
        try:
            with self.path.open("rb") as f:
                f.seek(self.at)
                text = f.read()
        except OSError:
            return
        whole = text.rpartition(b"\n")[0]
        if not whole:
            return
        self.at += len(whole) + 1
        for line in whole.splitlines():
            told(json.loads(line))


# --- progress ------------------------------------------------------------------------------------


class Progress:
    """A bar with loss and rate on a terminal; nothing where there is none."""

    def __init__(self, epochs: int, quiet: bool = False) -> None:
        self.epochs = epochs
        self.bar: Any = None
        if not quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self.bar = Bar(
                TextColumn("epoch"), MofNCompleteColumn(), BarColumn(),
                TextColumn("{task.description}"), TimeRemainingColumn(),
                console=Console(stderr=True), transient=True,
            )  # fmt: skip

    def __enter__(self) -> Progress:
        if self.bar is not None:
            self.bar.start()
            self.row = self.bar.add_task("", total=self.epochs)
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def told(self, record: Mapping[str, Any]) -> None:
        """One epoch more."""
        if self.bar is None:
            return
        words = f"loss {record['loss']:.4g}  rate {record['rate']:.3g}"
        if "validation_loss" in record:
            words += f"  validation {record['validation_loss']:.4g}"
        self.bar.update(self.row, completed=record["epoch"], description=words)


__all__ = ["BackproofError", "Request", "Say", "Task", "read_model", "train_command"]
