"""Data sets as they are: bundled with scikit-learn, or from a CSV or NPZ file, samples first.

Also what is done to samples before any sheet is looked at: thinning a label, splits by seed, and
pairs for twins. Knows nothing of sheets.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from backproof.errors import FileProblem, MissingExtra, ValueProblem

Array = Any
BUNDLED = ("digits", "breast-cancer", "wine", "iris")
MAX_BYTES = 2 * 2**30
TARGETS = ("target", "label", "labels", "class", "y")
DATA = ("data", "x", "features")
MISSING = frozenset(("", "na", "nan", "n/a", "null", "none", "?", "-"))


@dataclass(frozen=True)
class Raw:
    """What a data set holds.

    name      what messages call it
    data      one row of numbers a sample, or None
    target    one value a sample (numbers or words), or None
    columns   further parts by name, samples first
    image     the shape of a picture, where a sample is one
    said      what was done or decided, in sentences
    picked    the part that is the target, "" where it has no name
    """

    name: str
    data: Array | None
    target: Array | None = None
    columns: Mapping[str, Array] = field(default_factory=dict)
    image: tuple[int, int] | None = None
    said: tuple[str, ...] = ()
    picked: str = ""

    @property
    def count(self) -> int:
        """How many samples there are."""
        for part in (self.data, self.target, *self.columns.values()):
            if part is not None:
                return len(part)
        return 0

    @property
    def labelled(self) -> bool:
        """Whether the target looks like classes: words, or few whole numbers."""
        if self.target is None:
            return False
        if self.target.dtype.kind not in "fiub":
            return True
        values = np.unique(self.target)
        few = len(values) <= max(2, min(100, len(self.target) // 2))
        return bool(few and np.all(values == np.round(values)))

    def taken(self, rows: Array) -> Raw:
        """The same with only some of the samples."""
        return replace(
            self,
            data=None if self.data is None else self.data[rows],
            target=None if self.target is None else self.target[rows],
            columns={n: a[rows] for n, a in self.columns.items()},
        )

    def telling(self, *sentences: str) -> Raw:
        return replace(self, said=(*self.said, *sentences))


def shown_label(value: Any) -> str:
    """A class as one writes it: 1 for 1.0, all digits of a whole number."""
    if isinstance(value, str):
        return str(value)
    number = float(value)
    return str(int(number)) if number.is_integer() else f"{number:g}"


# --- loading ---------------------------------------------------------------------------------


def read(data: Any, givens: Sequence[str], target: str | None = None) -> Raw:
    """What a caller passes as data: a name, a path, or arrays by name; *givens* for the hint."""
    if isinstance(data, Mapping):
        return from_arrays(data, target=target)
    if isinstance(data, (str, os.PathLike)):
        return load(os.fsdecode(data), target)
    kind, shape = type(data).__name__, getattr(data, "shape", None)
    raise ValueProblem(
        "Data are the name of a set, a file, or arrays by name, and this is one "
        f"{kind}" + (f" of shape {tuple(shape)}." if isinstance(shape, tuple) else "."),
        hint="{" + ", ".join(f"'{n}': …" for n in givens) + "} says what each given gets",
    )


def load(name: str, target: str | None = None) -> Raw:
    """A bundled set or a file.

    target   the column of a CSV or the entry of an NPZ that is the target; "none" for no target
    """
    if name in BUNDLED:
        return _bundled(name)
    path = Path(name)
    kind = path.suffix.lower()
    if kind not in (".csv", ".npz"):
        raise FileProblem(
            f"There is no data set '{name}'.",
            hint=f"data sets are {', '.join(BUNDLED)}, and files that end in .csv or .npz",
        )
    try:
        if not path.is_file():
            raise FileProblem(f"'{name}' is not a file that exists.")
        if path.stat().st_size > MAX_BYTES:
            raise FileProblem(f"'{name}' is larger than {MAX_BYTES // 2**30} GB.")
        return _csv(path, target) if kind == ".csv" else _npz(path, target)
    except (OSError, ValueError, csv.Error, BadZipFile) as error:
        raise FileProblem(f"'{name}' cannot be read: {error}.") from None


def _bundled(name: str) -> Raw:
    try:
        from sklearn import datasets
    except ImportError:
        raise MissingExtra("scikit-learn", "sklearn") from None
    bunch = getattr(datasets, "load_" + name.replace("-", "_"))()
    data = np.asarray(bunch.data, dtype=np.float64)
    target = np.asarray(bunch.target)
    said = [f"{name}, bundled with scikit-learn: {len(data)} samples of {data.shape[1]} numbers."]
    image = None
    if name == "digits":
        image = (8, 8)
        said.append("A sample is a picture of 8 × 8, its numbers from 0 to 16.")
    if name == "breast-cancer":
        target = 1 - target
        said.append("The target is 1 for malignant (212 samples) and 0 for benign (357).")
    return Raw(name, data, target, {}, image, tuple(said))


def _csv(path: Path, target: str | None) -> Raw:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileProblem(f"'{path}' is not UTF-8 text (byte {error.start}).") from None
    first = text.partition("\n")[0]
    mark = max(",;\t", key=first.count)  # a comma where there is none of them
    rows = [(k, r) for k, r in enumerate(csv.reader(text.splitlines(), delimiter=mark), 1)
            if any(c.strip() for c in r)]  # fmt: skip
    if not rows:
        raise FileProblem(f"'{path}' is empty.")
    if len(rows) == 1 and _all_words(rows[0][1]):
        raise FileProblem(f"'{path}' holds no samples: its only line is one of names.")
    has_header = _all_words(rows[0][1])
    wide = len(rows[0][1])
    names = [c.strip() for c in rows[0][1]] if has_header else [f"c{k + 1}" for k in range(wide)]
    body = rows[1:] if has_header else rows
    for line, row in body:
        if len(row) != wide:
            raise FileProblem(f"'{path}', line {line}: {len(row)} cells, where the first line has "
                              f"{wide}.")  # fmt: skip
    if has_header:
        _told_apart(path, rows[0][0], names)
    else:
        _no_names(path, rows)
    chosen = _target_column(path, names, target, has_header)
    columns: dict[str, Array] = {}
    for k, name in enumerate(names):
        columns[name] = _column(path, name, [(line, row[k].strip()) for line, row in body],
                                words=name == chosen)  # fmt: skip
    rest = [columns[n] for n in names if n != chosen]
    data = np.column_stack(rest) if rest else None
    said = [f"'{path}': {len(body)} samples, {len(rest)} columns of data"]
    said[0] += f", and '{chosen}' as the target." if chosen else "; no target."
    return Raw(path.name, data, columns.get(chosen or ""), columns, None, tuple(said),
               chosen or "")  # fmt: skip


def _told_apart(path: Path, line: int, names: Sequence[str]) -> None:
    """FileProblem where two columns have one name: a given could not say which it gets."""
    for k, name in enumerate(names, 1):
        first = names.index(name) + 1
        if first < k:
            called = f"are both called '{name}'" if name else "have no name"
            raise FileProblem(
                f"'{path}', line {line}: columns {first} and {k} {called}.",
                hint="give each its own name in that line, or take one of the two out",
            )


def _no_names(path: Path, rows: Sequence[tuple[int, Sequence[str]]]) -> None:
    """FileProblem where a first line with a number in it is one of names, such as 2019,2020,y."""
    (line, first), *below = rows
    for k, cell in enumerate(first):
        word = bool(cell.strip()) and not _is_number(cell)
        if word and below and all(_is_number(r[k]) for _, r in below if k < len(r)):
            number = next(c for c in first if _is_number(c))
            raise FileProblem(
                f"'{path}', line {line}: column {k + 1} holds '{cell}' there and numbers below it.",
                hint=f"a line of names holds no number: write {number.strip()} as a name, such as "
                f"c{number.strip()}, or mend the cell",
            )


def _target_column(
    path: Path, names: Sequence[str], target: str | None, header: bool
) -> str | None:
    if target is not None and target.lower() == "none":
        return None
    if target is not None:
        if target not in names:
            raise FileProblem(
                f"'{path}' has no column '{target}'.", hint=f"it has {', '.join(names)}"
            )
        return target
    known = [n for n in names if n.lower() in TARGETS] if header else []
    if known:
        return known[0]
    return names[-1] if len(names) > 1 else None


def _all_words(row: Sequence[str]) -> bool:
    return all(not _is_number(c) for c in row)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell.strip().lower() in MISSING and cell.strip() != ""
    return True


def _column(path: Path, name: str, cells: Sequence[tuple[int, str]], words: bool) -> Array:
    values: list[float] = []
    for line, cell in cells:
        if cell.lower() in MISSING:
            raise FileProblem(
                f"'{path}', line {line}: column '{name}' has no value ('{cell}').",
                hint="fill in or remove the rows with missing values first",
            )
        try:
            if "_" in cell:  # 1_000 is a number in Python only
                raise ValueError(cell)
            values.append(float(cell))
        except ValueError:
            if words:
                return np.array([c for _, c in cells])
            raise FileProblem(
                f"'{path}', line {line}: column '{name}' must hold numbers, and this cell is "
                f"'{cell}'.",
                hint="--target NAME says which column is the target; only it may hold words",
            ) from None
    array = np.array(values)
    _finite(array, f"'{path}', column '{name}'")
    return array


def _finite(array: Array, what: str) -> None:
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        at = ", ".join(str(int(k) + 1) for k in bad[0])
        raise ValueProblem(
            f"{what} has missing or infinite values: {len(bad)} of {array.size}, the first at "
            f"[{at}].",
            hint="fill in or remove the samples with missing values first",
        )


def _npz(path: Path, target: str | None) -> Raw:
    with path.open("rb") as f, np.load(f, allow_pickle=False) as archive:
        try:
            columns = {name: archive[name] for name in archive.files}
        except MemoryError:
            raise FileProblem(f"'{path}' holds an array larger than the memory.") from None
    return from_arrays(columns, path.name, target)


def from_arrays(arrays: Mapping[str, Any], name: str = "data", target: str | None = None) -> Raw:
    """A data set of named arrays, samples first."""
    columns: dict[str, Array] = {}
    for key, value in arrays.items():
        try:
            array = np.asarray(value)
        except ValueError:  # rows of different lengths
            array = np.asarray(None)
        if array.dtype.kind not in "fiubUS" or not array.ndim:
            raise ValueProblem(
                f"'{key}' of {name} must be an array of numbers, one row a sample; it holds "
                f"{array.dtype} of shape {array.shape}."
            )
        if array.dtype.kind == "S":
            array = np.char.decode(array, "utf-8", "replace")
        if array.dtype.kind in "fiub":
            array = np.asarray(array, dtype=np.float64)
            _finite(array, f"'{key}' of {name}")
        columns[key] = array
    counts = {key: len(a) for key, a in columns.items()}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{key} has {n}" for key, n in counts.items())
        raise ValueProblem(
            f"The parts of {name} differ in their number of samples: {shown}.",
            hint="every array has one row a sample",
        )
    if not counts or not next(iter(counts.values())):
        raise ValueProblem(f"{name} holds no samples.")
    which = {key.lower(): key for key in columns}
    if target is not None and target.lower() != "none" and target not in columns:
        raise ValueProblem(f"{name} has no '{target}'.", hint=f"it has {', '.join(columns)}")
    picked = target or next((which[k] for k in TARGETS if k in which), None)
    data = next((columns[which[k]] for k in DATA if k in which), None)
    labels = None if picked is None or picked.lower() == "none" else columns[picked]
    if labels is not None and labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if data is not None:
        data = data.reshape(len(data), -1)
    count = next(iter(counts.values()))
    said = f"{name}: {count} samples of {', '.join(columns)}."
    return Raw(name, data, labels, columns, None, (said,), "" if labels is None else str(picked))


# --- samples left out, splits, pairs -----------------------------------------------------------


def thinned(raw: Raw, share: float, seed: int) -> Raw:
    """The set with only a share of the samples of label 1 (of the larger label, of two)."""
    if not 0 < share <= 1:
        raise ValueProblem(
            f"The share that is kept is {share:g}; it must be above 0 and at most 1.",
            hint="--thin 0.15 keeps 15 of 100 samples with label 1",
        )
    values = np.unique(raw.target) if raw.target is not None else np.array([])
    if raw.target is None or len(values) != 2:
        raise ValueProblem(
            f"Only a target with two labels can be thinned; {raw.name} has {len(values)}."
        )
    ones = np.flatnonzero(raw.target == values[1])
    kept = max(1, round(share * len(ones)))
    chosen = np.random.default_rng([seed, 3]).choice(ones, kept, replace=False)
    rows = np.sort(np.concatenate([chosen, np.flatnonzero(raw.target == values[0])]))
    return raw.taken(rows).telling(
        f"Thinned by seed: {kept} of {len(ones)} samples with label {shown_label(values[1])} are "
        f"kept, so {kept / len(rows):.1%} of {len(rows)} have it."
    )


def split(raw: Raw, test: float, validation: float, seed: int) -> dict[str, Array]:
    """Rows of train, validation and test by seed; classes in the same shares in each."""
    for what, share in (("test", test), ("validation", validation)):
        if not 0 <= share < 1:
            raise ValueProblem(f"The share of the {what} split is {share:g}; it is 0 to below 1.")
    rng = np.random.default_rng([seed, 1])
    n = raw.count
    groups = [np.arange(n)]
    if raw.labelled and raw.target is not None:
        groups = [np.flatnonzero(raw.target == c) for c in np.unique(raw.target)]
    parts: dict[str, list[Array]] = {"train": [], "validation": [], "test": []}
    carried = {"test": 0.0, "validation": 0.0}
    for rows in groups:
        rows = rng.permutation(rows)
        cut = 0
        for what, share in (("test", test), ("validation", validation)):
            exact = share * len(rows) + carried[what]
            many = min(math.floor(exact + 0.5), len(rows) - cut)
            carried[what] = exact - many
            parts[what].append(rows[cut : cut + many])
            cut += many
        parts["train"].append(rows[cut:])
    found = {what: np.sort(np.concatenate(rows)) for what, rows in parts.items()}
    for what, share in (("train", 1.0), ("test", test), ("validation", validation)):
        if share and not len(found[what]):
            raise ValueProblem(
                f"The {what} split is empty: {raw.name} has {n} sample{'s' * (n != 1)}, of which "
                f"test takes {test:g} and validation {validation:g}.",
                hint=f"--{what} 0 does without it" if what != "train" else "lower both shares",
            )
    return {what: rows for what, rows in found.items() if len(rows)}


def unseen_classes(raw: Raw, asked: str) -> list[Any]:
    """The classes that are held out: named ("8,9"), or so many of the last ("2 classes": "2")."""
    if raw.target is None or not raw.labelled:
        raise ValueProblem(f"{raw.name} has no classes that could be held out.")
    classes = list(np.unique(raw.target))
    words = list(dict.fromkeys(w.strip() for w in asked.split(",") if w.strip()))
    named = {str(c): c for c in classes} | {shown_label(c): c for c in classes}
    missing = [w for w in words if w not in named]
    if missing or not words:
        raise ValueProblem(
            f"{raw.name} has no class '{', '.join(missing) or asked}'.",
            hint=f"its classes are {', '.join(map(shown_label, classes))}",
        )
    found = [named[w] for w in words]
    if len(classes) - len(found) < 2 or len(found) < 2:
        raise ValueProblem(
            f"{len(found)} of {len(classes)} classes would be held out; pairs need two classes or "
            "more on either side."
        )
    return found


def pairs(
    target: Array, rows: Array, count: int, seed: int, part: str = "train"
) -> tuple[Array, Array, Array]:
    """(rows of the first, rows of the second, 1 for the same class): half of them the same."""
    rng = np.random.default_rng([seed, 2, len(rows)])
    groups = {c: rows[target[rows] == c] for c in np.unique(target[rows])}
    able = [c for c, g in groups.items() if len(g) > 1]
    if len(groups) < 2 or not able:
        raise ValueProblem(
            "Pairs need two classes or more, and a class with two samples, in every split; the "
            f"{part} split has {len(rows)} sample{'s' * (len(rows) != 1)} in {len(groups)} "
            f"class{'es' * (len(groups) != 1)}.",
            hint=f"more samples, or another share with --{part}"
            if part in ("test", "validation") else "more samples",
        )  # fmt: skip
    first, second, same = [], [], []
    shares = np.array([len(groups[c]) for c in able], float)
    for k in range(count):
        if k % 2 == 0:
            c = able[rng.choice(len(able), p=shares / shares.sum())]
            a, b = rng.choice(groups[c], 2, replace=False)
        else:
            a = rng.choice(rows)
            b = rng.choice(rows)
            while target[a] == target[b]:
                b = rng.choice(rows)
        first.append(a)
        second.append(b)
        same.append(1.0 - k % 2)
    return np.array(first), np.array(second), np.array(same)
