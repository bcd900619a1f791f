"""A class that is made up, with the truth about every line known: independent of the marker.

Every student works `examples/paper.md` with the formulas below, written out by hand in NumPy, on
the student's own numbers, rounding as the paper says. A *slip* changes one line by one of the
mistakes that people make; everything below it is then worked out from the slipped number, so the
truth about each of these lines is "follows". Students also carry full precision, leave lines
blank, write gibberish, or try to win follow-through with zeros, enormous numbers and ones.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np

Array = Any
Lines = dict[str, Array]
Step = tuple[str, Callable[[Lines], Array]]


@dataclass(frozen=True)
class Work:
    """A question: its data, its lines in order, the decimals, and the mistakes for some lines."""

    sheet: str
    places: int
    given: Lines
    steps: tuple[Step, ...]
    wrong: dict[str, tuple[tuple[str, Callable[[Lines], Array]], ...]]


@dataclass(frozen=True)
class Student:
    """A script and the truth: item id -> right | follows | wrong | blank | unpaid."""

    name: str
    kind: str
    text: str
    truth: dict[str, str]


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


SVM = Work(
    "svm", 2,
    {
        "X": np.array([[2.0, 5], [3, 1], [1, 2]]), "Y": np.array([[0.0, 1], [1, 0], [1, 0]]),
        "W": np.array([[0.1, -0.4], [0.5, -0.3]]), "b": np.array([[0.2], [-0.2]]),
    },
    (
        ("S", lambda v: v["X"] @ v["W"].T + v["b"].T),
        ("C", lambda v: (v["Y"] * v["S"]).sum(1, keepdims=True)),
        ("M", lambda v: (1 - v["Y"]) * np.maximum(0, v["S"] - v["C"] + 1)),
        ("l", lambda v: v["M"].sum(1, keepdims=True)),
        ("L", lambda v: v["l"].mean(keepdims=True)),
    ),
    {
        "S": (
            ("a transpose", lambda v: v["X"] @ v["W"] + v["b"].T),
            ("a term missing", lambda v: v["X"] @ v["W"].T),
            ("a sign", lambda v: v["X"] @ v["W"].T - v["b"].T),
        ),
        "C": (("the wrong class", lambda v: ((1 - v["Y"]) * v["S"]).sum(1, keepdims=True)),),
        "M": (("no margin", lambda v: (1 - v["Y"]) * np.maximum(0, v["S"] - v["C"] + 2)),),
        "L": (("sum for mean", lambda v: v["l"].sum(keepdims=True)),),
    },
)  # fmt: skip

SOFTMAX = Work(
    "softmax", 3,
    {
        "X": np.array([[1.0, 2], [2, 1], [3, 1]]), "Y": np.array([[0.0, 1], [1, 0], [1, 0]]),
        "lambda": np.array([[0.3]]), "eta": np.array([[0.1]]),
        "W": np.array([[0.1, -0.4], [0.5, -0.3]]), "b": np.array([[0.2], [-0.1]]),
    },
    (
        ("S", lambda v: v["X"] @ v["W"].T + v["b"].T),
        ("E", lambda v: np.exp(v["S"])),
        ("Z", lambda v: v["E"].sum(1, keepdims=True)),
        ("P", lambda v: v["E"] / v["Z"]),
        ("l", lambda v: -(v["Y"] * np.log(v["P"])).sum(1, keepdims=True)),
        ("Ldata", lambda v: v["l"].mean(keepdims=True)),
        ("Lreg", lambda v: v["lambda"] * (v["W"] ** 2).sum()),
        ("L", lambda v: v["Ldata"] + v["Lreg"]),
        ("D", lambda v: v["P"] - v["Y"]),
        ("GW", lambda v: v["D"].T @ v["X"] / 3 + 2 * v["lambda"] * v["W"]),
        ("Gb", lambda v: v["D"].mean(0, keepdims=True).T),
        ("Wnew", lambda v: v["W"] - v["eta"] * v["GW"]),
    ),
    {
        "S": (
            ("a transpose", lambda v: v["X"] @ v["W"] + v["b"].T),
            ("a term missing", lambda v: v["X"] @ v["W"].T),
        ),
        "E": (("a sign", lambda v: np.exp(-v["S"])),),
        "Z": (("mean for sum", lambda v: v["E"].mean(1, keepdims=True)),),
        "P": (("turned round", lambda v: v["E"][:, ::-1] / v["Z"]),),
        "l": (
            ("base two", lambda v: -(v["Y"] * np.log2(v["P"])).sum(1, keepdims=True)),
            ("a sign", lambda v: (v["Y"] * np.log(v["P"])).sum(1, keepdims=True)),
        ),
        "Ldata": (("sum for mean", lambda v: v["l"].sum(keepdims=True)),),
        "Lreg": (("half", lambda v: v["lambda"] * (v["W"] ** 2).sum() / 2),),
        "L": (("difference", lambda v: v["Ldata"] - v["Lreg"]),),
        "D": (("a sign", lambda v: v["Y"] - v["P"]),),
        "GW": (
            ("sum for mean", lambda v: v["D"].T @ v["X"] + 2 * v["lambda"] * v["W"]),
            ("a factor missing", lambda v: v["D"].T @ v["X"] / 3 + v["lambda"] * v["W"]),
            ("a term missing", lambda v: v["D"].T @ v["X"] / 3),
        ),
        "Gb": (("sum for mean", lambda v: v["D"].sum(0, keepdims=True).T),),
        "Wnew": (("up the hill", lambda v: v["W"] + v["eta"] * v["GW"]),),
    },
)  # fmt: skip

NETWORK = Work(
    "network", 3,
    {
        "x": np.array([[1.0], [2]]), "y": np.array([[1.0]]),
        "W1": np.array([[0.3, -0.1], [0.2, 0.4]]), "b1": np.array([[0.1], [-0.1]]),
        "W2": np.array([[0.5, -0.4]]), "b2": np.array([[0.2]]),
    },
    (
        ("z1", lambda v: v["W1"] @ v["x"] + v["b1"]),
        ("a1", lambda v: np.tanh(v["z1"])),
        ("z2", lambda v: v["W2"] @ v["a1"] + v["b2"]),
        ("a2", lambda v: sigmoid(v["z2"])),
        ("L", lambda v: -(v["y"] * np.log(v["a2"]) + (1 - v["y"]) * np.log(1 - v["a2"]))),
        ("grad(L, z2)", lambda v: v["a2"] - v["y"]),
        ("grad(L, W2)", lambda v: v["grad(L, z2)"] @ v["a1"].T),
        ("grad(L, a1)", lambda v: v["W2"].T @ v["grad(L, z2)"]),
        ("grad(L, z1)", lambda v: v["grad(L, a1)"] * (1 - v["a1"] ** 2)),
        ("grad(L, W1)", lambda v: v["grad(L, z1)"] @ v["x"].T),
    ),
    {
        "z1": (
            ("a transpose", lambda v: v["W1"].T @ v["x"] + v["b1"]),
            ("a term missing", lambda v: v["W1"] @ v["x"]),
        ),
        "a1": (("another function", lambda v: sigmoid(v["z1"])),),
        "z2": (("a sign", lambda v: v["W2"] @ v["a1"] - v["b2"]),),
        "a2": (("another function", lambda v: np.tanh(v["z2"]) / 2),),
        "L": (("a sign", lambda v: v["y"] * np.log(v["a2"])),),
        "grad(L, z2)": (("turned round", lambda v: v["y"] - v["a2"]),),
        "grad(L, a1)": (("a factor too many",
                         lambda v: v["W2"].T @ v["grad(L, z2)"] * (1 - v["a1"] ** 2)),),
        "grad(L, z1)": (("derivative left out", lambda v: v["grad(L, a1)"] * v["a1"]),),
        "grad(L, W1)": (("the factors exchanged", lambda v: v["x"] @ v["grad(L, z1)"].T),),
    },
)  # fmt: skip

WORKS = (SVM, SOFTMAX, NETWORK)


def rounded(array: Array, places: int, *, even: bool = False) -> Array:
    """As by hand: half up, or half to even."""
    unit = Decimal(1).scaleb(-places)
    how = ROUND_HALF_EVEN if even else ROUND_HALF_UP

    def one(x: float) -> float:
        if not abs(x) < 1e12:  # also what is undefined
            return float(x)
        exact = Decimal(repr(round(abs(x), 12))).quantize(unit, rounding=how)
        return math.copysign(float(exact), x) if exact else 0.0

    return np.vectorize(one, otypes=[float])(array)


def written(array: Array, places: int) -> str:
    """The numbers as a student writes them."""
    cells = [[f"{x:.{places}f}" for x in row] for row in np.atleast_2d(array)]
    if array.size == 1:
        return cells[0][0]
    if array.shape[1] == 1:
        return f"[{', '.join(row[0] for row in cells)}]"
    return f"[{', '.join('[' + ', '.join(row) + ']' for row in cells)}]"


def worked(
    work: Work, slips: dict[str, Callable[[Lines], Array]], *, carry: bool = True,
    even: bool = False,
) -> Lines:  # fmt: skip
    """Every line; *slips* replace the formulas of some; *carry* the rounded number."""
    values = dict(work.given)
    shown: Lines = {}
    with np.errstate(all="ignore"):
        for name, formula in work.steps:
            result = slips.get(name, formula)(values)
            shown[name] = rounded(result, work.places, even=even)
            values[name] = shown[name] if carry else result
    return shown


def apart(a: Array, b: Array, places: int) -> bool:
    """Whether a value differs beyond any rounding."""
    return bool(np.abs(a - b).max() > 40 * 10.0**-places)


class Class:
    """Makes students from a seed."""

    def __init__(self, seed: int, works: tuple[Work, ...] = WORKS) -> None:
        self.rng = random.Random(seed)
        self.works = works

    def student(self, number: int) -> Student:
        kinds = (
            (self.correct, 2), (self.full_precision, 2), (self.one_slip, 6), (self.two_slips, 3),
            (self.blank, 1), (self.gibberish, 1), (self.gaming, 2), (self.copier, 1),
        )  # fmt: skip
        make = self.rng.choices([k for k, _ in kinds], [w for _, w in kinds])[0]
        kind, lines, truth = make()
        name = f"{number:04d} {kind}"
        return Student(name, kind, f"student: {name}\n" + "\n".join(lines) + "\n", truth)

    # --- kinds of students ---------------------------------------------------------------------

    def correct(self) -> tuple[str, list[str], dict[str, str]]:
        """Rounds as the paper says."""
        return self._all("correct", even=self.rng.random() < 0.5)

    def full_precision(self) -> tuple[str, list[str], dict[str, str]]:
        """Carries every digit and writes what is asked for."""
        return self._all("full precision", carry=False)

    def _all(self, kind: str, **how: bool) -> tuple[str, list[str], dict[str, str]]:
        lines, truth = [], {}
        for work in self.works:
            lines.append(f"[{work.sheet}]")
            for name, value in worked(work, {}, **how).items():
                lines.append(f"{name} = {written(value, work.places)}")
                truth[f"{work.sheet}.{name}"] = "right"
        return kind, lines, truth

    def one_slip(self) -> tuple[str, list[str], dict[str, str]]:
        """One mistake in one question, carried on."""
        return self._slips("one slip", 1)

    def two_slips(self) -> tuple[str, list[str], dict[str, str]]:
        """Two mistakes in one question, each to be paid for once."""
        return self._slips("two slips", 2)

    def _slips(self, kind: str, count: int) -> tuple[str, list[str], dict[str, str]]:
        at = self.rng.randrange(len(self.works))
        lines, truth = [], {}
        for k, work in enumerate(self.works):
            lines.append(f"[{work.sheet}]")
            right = worked(work, {})
            shown, slipped = right, set[str]()
            if k == at:
                names = self.rng.sample(sorted(work.wrong), min(count, len(work.wrong)))
                slips = {n: self.rng.choice(work.wrong[n])[1] for n in names}
                shown = worked(work, slips)
                slipped = set(slips)
            values = {**work.given, **shown}
            for name, formula in work.steps:
                value = shown[name]
                if not np.isfinite(value).all():
                    truth[f"{work.sheet}.{name}"] = "any"
                    continue
                lines.append(f"{name} = {written(value, work.places)}")
                honest = formula(values)
                if (
                    name in slipped
                    and apart(value, honest, work.places)
                    and (apart(value, right[name], work.places))
                ):
                    verdict = "wrong"
                elif not apart(value, right[name], work.places):
                    close = np.abs(value - right[name]).max() < 1e-9
                    verdict = "right" if close else "right or follows"
                    if name in slipped and not close:
                        verdict = "any"  # a slip too small to be seen
                elif name in slipped:
                    verdict = "any"
                else:
                    verdict = "follows"
                truth[f"{work.sheet}.{name}"] = verdict
        return kind, lines, truth

    def copier(self) -> tuple[str, list[str], dict[str, str]]:
        """One wrong line in the middle of right ones: below it the true path is right."""
        kind, lines, truth = self._all("copier")
        work = self.rng.choice(self.works)
        name, _ = self.rng.choice(work.steps[:-1])
        value = worked(work, {})[name] * 1.7 + 0.31
        start = lines.index(f"[{work.sheet}]")
        at = next(k for k in range(start, len(lines)) if lines[k].startswith(f"{name} = "))
        lines[at] = f"{name} = {written(rounded(value, work.places), work.places)}"
        truth[f"{work.sheet}.{name}"] = "wrong"
        return kind, lines, truth

    def blank(self) -> tuple[str, list[str], dict[str, str]]:
        """Leaves lines out; the rest is right all the same."""
        _, lines, truth = self._all("blank")
        kept, section = [], ""
        for line in lines:
            if line.startswith("["):
                section = line.strip("[]")
                kept.append(line)
                continue
            if self.rng.random() < 0.5:
                kept.append(line)
            else:
                truth[f"{section}.{line.partition(' = ')[0]}"] = "blank"
        return "blank", kept, truth

    def gibberish(self) -> tuple[str, list[str], dict[str, str]]:
        """Lines that nobody can read, between right ones."""
        _, lines, truth = self._all("gibberish")
        noise = (
            "??", "see the other page", "[[1, 2", "1;;07", "𝒵 ≈ ½", "__import__('os')",
            "9**9**9**9",
            "1e99999999", "x" * 3000, "[" * 500, "(((", "= = =", "1.2.3", "NaN", "<b>1</b>",
        )  # fmt: skip
        section = ""
        for k, line in enumerate(lines):
            if line.startswith("["):
                section = line.strip("[]")
            elif self.rng.random() < 0.3:
                name = line.partition(" = ")[0]
                lines[k] = f"{name} = {self.rng.choice(noise)}"
                truth[f"{section}.{name}"] = "unpaid"
        return "gibberish", lines, truth

    def gaming(self) -> tuple[str, list[str], dict[str, str]]:
        """Puts in a value that leaves nothing to work out, and carries it on faultlessly.

        Zeros and enormous numbers at any line, ones and repeated numbers at the first.
        """
        trick = self.rng.choice(("zeros", "huge", "ones", "same"))
        lines, truth = [], {}
        for work in self.works:
            lines.append(f"[{work.sheet}]")
            anywhere = trick in ("zeros", "huge")
            first, _ = work.steps[self.rng.randrange(len(work.steps)) if anywhere else 0]
            right = worked(work, {})
            fill = {"zeros": 0.0, "huge": 50_000.0, "ones": 1.0, "same": 0.4}[trick]
            shape = right[first].shape
            if trick == "same" and math.prod(shape) <= 2:
                fill = 0.0  # two entries that are the same are no trick
            if trick == "ones" and math.prod(shape) == 1:
                fill = 0.0  # and neither is a single one: the rest is as much work with it

            def start(v: Lines, shape: tuple[int, ...] = shape, fill: float = fill) -> Array:
                return np.full(shape, fill)

            with np.errstate(all="ignore"):
                shown = worked(work, {first: start})
            for name, _ in work.steps:
                value = shown[name]
                finite = bool((np.abs(value) < 1e12).all())
                lines.append(f"{name} = {written(value, work.places) if finite else '0'}")
                near = finite and not apart(value, right[name], work.places)
                truth[f"{work.sheet}.{name}"] = "any" if near else "unpaid"
        return f"gaming {trick}", lines, truth


def students(count: int, seed: int = 1, works: tuple[Work, ...] = WORKS) -> list[Student]:
    """So many students, the same ones for the same seed."""
    made = Class(seed, works)
    return [made.student(k) for k in range(1, count + 1)]


def faults(truth: dict[str, str], verdicts: dict[str, tuple[str, float]]) -> list[str]:
    """Where marks differ from the truth: *verdicts* has (verdict, share) by item."""
    found = []
    for item, expected in truth.items():
        verdict, share = verdicts[item]
        fine = {
            "right": verdict == "right",
            "follows": verdict == "follows",
            "right or follows": verdict in ("right", "follows"),
            "wrong": share == 0.0 and verdict == "wrong",
            "blank": verdict == "blank",
            "unpaid": not share,  # nothing, or nothing before a person has looked
            "any": True,
        }[expected]
        if not fine:
            found.append(f"{item}: expected {expected}, found {verdict} ({share})")
    return found
