"""The folder of a training run: metrics, the sheet, checkpoints written atomically, results.

    run.json        options, versions, data, engine        metrics.jsonl   one object an epoch
    sheet.sheet     the sheet as trained                   batch.sheet     its derived batch form
    checkpoint.npz  the last good state                    best.npz        the best by validation
    parameters.npz  the result, one array a parameter      report.txt, *.svg

A checkpoint is written beside the old one, flushed to disk and renamed over it, so that a kill
or a full disk leaves the old one whole.
"""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from backproof.engine.stepping import State
from backproof.errors import FileProblem

Array = Any
OURS = ("run.json", "metrics.jsonl", "sheet.sheet", "batch.sheet", "checkpoint.npz", "best.npz",
        "parameters.npz", "report.txt", "result.json", "loss.svg", "quality.svg", "gradients.svg",
        "factors.svg", "reconstructions.svg", "reconstructions.txt")  # fmt: skip


@dataclass
class Checkpoint:
    """Where training stands after an epoch.

    best      the parameters with the least validation loss so far, where there is such a split
    waited    epochs since the best
    print_    a fingerprint of the data, which a resumed run must share
    """

    epoch: int
    state: State
    initial: float
    best: dict[str, Array] = field(default_factory=dict)
    best_epoch: int = 0
    best_loss: float = float("inf")
    waited: int = 0
    print_: str = ""

    def dumped(self) -> bytes:
        arrays: dict[str, Array] = {}
        for name, p in self.state.parameters.items():
            arrays[f"param/{name}"] = p
        for slot, own in self.state.slots.items():
            for name, a in own.items():
                arrays[f"slot/{slot}/{name}"] = a
        for name, p in self.best.items():
            arrays[f"best/{name}"] = p
        meta = {
            "epoch": self.epoch, "steps": self.state.steps, "done": self.state.done,
            "initial": self.initial.hex(), "best_epoch": self.best_epoch,
            "best_loss": self.best_loss.hex(), "waited": self.waited, "data": self.print_,
        }  # fmt: skip
        arrays["meta"] = np.array(json.dumps(meta))
        out = io.BytesIO()
        np.savez(out, **arrays)
        return out.getvalue()

    @classmethod
    def loaded(cls, path: Path) -> Checkpoint:
        try:
            with path.open("rb") as f, np.load(f, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            meta = json.loads(str(arrays.pop("meta")))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise FileProblem(f"'{path}' is not a checkpoint that can be read: {error}.") from None
        state = State({}, {}, meta["steps"], meta["done"])
        best: dict[str, Array] = {}
        for key, a in arrays.items():
            kind, _, rest = key.partition("/")
            if kind == "param":
                state.parameters[rest] = a
            elif kind == "best":
                best[rest] = a
            else:
                slot, _, name = rest.partition("/")
                state.slots.setdefault(slot, {})[name] = a
        return cls(meta["epoch"], state, float.fromhex(meta["initial"]), best, meta["best_epoch"],
                   float.fromhex(meta["best_loss"]), meta["waited"], meta["data"])  # fmt: skip


class RunFolder:
    """A run folder. Only a *writer* changes it; the other processes of a run read it.

    every   least seconds between two checkpoints
    """

    def __init__(self, path: Path, *, writer: bool = True, every: float = 1.0) -> None:
        self.path, self.writer, self.every = path, writer, every

    # --- opening -------------------------------------------------------------------------------

    @classmethod
    def new(cls, path: Path, overwrite: bool = False, **how: Any) -> RunFolder:
        """A fresh folder; an existing one only where it may be overwritten and is a run's."""
        folder = cls(path, **how)
        if path.exists() and not path.is_dir():
            raise FileProblem(f"'{path}' exists and is not a folder.")
        if path.is_dir() and any(path.iterdir()):
            if not overwrite:
                raise FileProblem(
                    f"The run folder '{path}' exists.",
                    hint="--resume goes on with it, --overwrite starts it again, --out names "
                    "another",
                )
            if not (path / "run.json").is_file():
                raise FileProblem(
                    f"'{path}' is not a run folder, so nothing in it is overwritten.",
                    hint="name another folder with --out",
                )
        return folder

    def begin(self) -> None:
        """Makes the folder, or empties it of an older run."""
        if self.writer:
            with _told(self.path):
                self.path.mkdir(parents=True, exist_ok=True)
                for name in OURS:
                    (self.path / name).unlink(missing_ok=True)

    @classmethod
    def existing(cls, path: Path, **how: Any) -> RunFolder:
        """A folder to resume."""
        if not (path / "run.json").is_file():
            raise FileProblem(
                f"'{path}' is not a run folder, so there is nothing to resume.",
                hint="leave --resume out to start, or name the folder with --out",
            )
        return cls(path, **how)

    @property
    def meta(self) -> dict[str, Any]:
        """What run.json says."""
        try:
            found: dict[str, Any] = json.loads((self.path / "run.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise FileProblem(f"'{self.path / 'run.json'}' cannot be read: {error}.") from None
        if not isinstance(found, dict):
            raise FileProblem(f"'{self.path / 'run.json'}' is not the record of a run.")
        return found

    # --- writing -------------------------------------------------------------------------------

    def write(self, name: str, content: str | bytes) -> None:
        """A file, whole or not at all."""
        if not self.writer:
            return
        data = content.encode("utf-8") if isinstance(content, str) else content
        with _told(self.path / name):
            replace_file(self.path / name, data)

    def append(self, record: Mapping[str, Any]) -> None:
        """One line more of metrics.jsonl."""
        if not self.writer:
            return
        with _told(self.path / "metrics.jsonl"), (self.path / "metrics.jsonl").open("ab") as f:
            f.write((json.dumps(record, ensure_ascii=False) + "\n").encode("utf-8"))

    def save(self, checkpoint: Checkpoint) -> None:
        """The checkpoint in place of the last one."""
        self.write("checkpoint.npz", checkpoint.dumped())

    # --- reading -------------------------------------------------------------------------------

    def checkpoint(self) -> Checkpoint | None:
        """The last checkpoint; None where none was written yet."""
        path = self.path / "checkpoint.npz"
        return Checkpoint.loaded(path) if path.is_file() else None

    def history(self, until: int) -> list[dict[str, Any]]:
        """The metrics of the epochs up to *until*; later lines are taken out of the file."""
        path = self.path / "metrics.jsonl"
        if not path.is_file():
            return []
        found: list[dict[str, Any]] = []
        for line in path.read_text("utf-8").splitlines():
            try:
                record = json.loads(line)
            except ValueError:  # a line cut short by a kill
                break
            if record["epoch"] <= until:
                found.append(record)
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in found]
        self.write("metrics.jsonl", "".join(lines))
        return found


def replace_file(path: Path, data: bytes) -> None:
    """Writes a file beside its place, flushes it to disk and renames it over the old one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(path.parent, os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        kept = (path.parent / "checkpoint.npz").is_file()
        hint = "the last checkpoint is whole: make room and go on with --resume" if kept else (
            "nothing was kept yet: make room and start again with --overwrite")  # fmt: skip
        raise FileProblem(
            f"'{path}' cannot be written: {error.strerror or error}.", hint=hint if full else ""
        ) from None


def versions() -> dict[str, str]:
    """The versions that a run depends on."""
    import platform
    import sys
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version(), "platform": platform.platform(),
             "numpy": np.__version__}  # fmt: skip
    for library in ("backproof", "scikit-learn", "jax", "numba"):
        if library == "backproof" or library.replace("scikit-learn", "sklearn") in sys.modules:
            try:
                found[library] = version(library)
            except PackageNotFoundError:
                continue
    return found


def free_folder(stem: str, root: Path = Path("runs")) -> Path:
    """runs/STEM-1, or the next number that is free."""
    k = 1
    while (root / f"{stem}-{k}").exists():
        k += 1
    return root / f"{stem}-{k}"
