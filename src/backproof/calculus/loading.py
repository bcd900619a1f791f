"""Values from files beside a sheet: CSV, NPY and NPZ. Never pickles, never more than a limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from backproof.errors import FileProblem, Place

MAX_BYTES = 256 * 2**20


def load_values(path: Path, name: str, place: Place) -> Any:
    """The array in a file: an NPZ's entry called *name*, or its only one.

    Returns a float64 array of one or two axes. FileProblem says what is wrong with the file.
    """
    kind = path.suffix.lower()
    try:
        if not path.is_file():
            raise FileProblem(f"{path} is not a file that exists.", place=place)
        if path.stat().st_size > MAX_BYTES:
            raise FileProblem(f"{path} is larger than {MAX_BYTES // 2**20} MB.", place=place)
        if kind == ".csv":
            array = _csv(path, place)
        elif kind == ".npy":
            array = np.load(path, allow_pickle=False)
        elif kind == ".npz":
            array = _npz(path, name, place)
        else:
            raise FileProblem(
                f"{path} is not a CSV, NPY or NPZ file.",
                place=place,
                hint="give the file one of the endings .csv, .npy, .npz",
            )
    except (OSError, ValueError) as error:
        raise FileProblem(f"{path} cannot be read: {error}.", place=place) from None
    if array.dtype.kind not in "fiub" or array.ndim > 2 or array.size == 0:
        raise FileProblem(
            f"{path} must hold numbers in one or two axes; it holds {array.dtype} of shape "
            f"{array.shape}.",
            place=place,
        )
    array = np.asarray(array, dtype=np.float64)
    if not np.isfinite(array).all():
        raise FileProblem(f"{path} has missing or infinite values.", place=place)
    return array.reshape(-1, 1) if array.ndim < 2 else array


def _csv(path: Path, place: Place) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileProblem(f"{path} is not UTF-8 text (byte {error.start}).", place=place) from None
    lines = [line for line in text.splitlines() if line.strip()]
    rows: list[list[float]] = []
    for number, line in enumerate(lines, 1):
        cells = [c.strip() for c in line.split(";" if ";" in line else ",")]
        try:
            rows.append([float(c) for c in cells])
        except ValueError:
            if number == 1:  # a first line of words is a header
                continue
            raise FileProblem(
                f"{path}, line {number}: every cell must be a number.", place=place
            ) from None
        if len(rows[-1]) != len(rows[0]):
            raise FileProblem(
                f"{path}, line {number}: {len(rows[-1])} cells, where the first row has "
                f"{len(rows[0])}.",
                place=place,
            )
    return np.array(rows, dtype=np.float64)


def _npz(path: Path, name: str, place: Place) -> Any:
    with np.load(path, allow_pickle=False) as archive:
        names = archive.files
        if name in names:
            return archive[name]
        if len(names) == 1:
            return archive[names[0]]
        raise FileProblem(
            f"{path} holds {', '.join(names)}, and none is called {name}.", place=place
        )
