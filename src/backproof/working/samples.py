"""Many samples from a file, for the given names of a sheet that is about one sample.

An NPZ holds an array for each name, samples along its first axis; the rows of a CSV or NPY are
samples, and its columns fill the given names without a value, in the order they are declared.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from backproof.calculus.loading import load_values
from backproof.calculus.model import Model
from backproof.errors import FileProblem, Place, Source, Span

Array = Any


def load_samples(path: Path, model: Model) -> dict[str, Array]:
    """given name -> its values, samples along the first axis."""
    if path.suffix.lower() == ".npz" and path.is_file():
        return _archive(path, model)
    place = Place(Source(str(path), ""), Span(0, 0))
    try:
        table = load_values(path, "", place)
    except FileProblem as error:
        error.place = None  # it is no place in a sheet
        raise
    open_ = [n for n in model.sheet.given if not model.has_value(n)]
    sizes = {n: _entries(model, n) for n in open_}
    wanted = sum(sizes.values())
    if table.shape[1] != wanted:
        listed = ", ".join(f"{n} ({k})" for n, k in sizes.items()) or "none"
        raise FileProblem(
            f"{path} has {table.shape[1]} columns, and the given names without a value have "
            f"{wanted} entries: {listed}.",
            hint="write one sample a row, the names in the order in which they are declared",
        )
    found, at = {}, 0
    for name, size in sizes.items():
        found[name] = table[:, at : at + size]
        at += size
    return found


def _archive(path: Path, model: Model) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {n: np.asarray(archive[n], dtype=np.float64) for n in archive.files
                     if n in model.sheet.given}  # fmt: skip
            names = archive.files
    except (OSError, ValueError) as error:
        raise FileProblem(f"{path} cannot be read: {error}.") from None
    if not found:
        raise FileProblem(
            f"{path} holds {', '.join(names) or 'nothing'}, and the sheet is given "
            f"{', '.join(model.sheet.given) or 'nothing'}.",
            hint="name the arrays as the sheet does",
        )
    return found


def _entries(model: Model, name: str) -> int:
    total = 1
    for d in model.shape(name):
        n = model.graph.resolve(d).as_int()
        if n is None:
            raise FileProblem(
                f"The size of {name} is not a number, so the file's columns cannot be told apart.",
                hint=f"give the dimension a number: let {d} = 3",
            )
        total *= n
    return total
