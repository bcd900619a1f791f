"""The numeric questions of `examples/exam.md`, worked by hand in NumPy, for a made-up class.

Written from the questions' text, not from the sheets; see `classroom` for what students do with it.
"""

from __future__ import annotations

import numpy as np
from tests.papers.classroom import Array, Work, sigmoid

X = np.array([[2.0, 5], [3, 1], [1, 1]])
Y = np.array([[0.0, 1], [1, 0], [1, 0]])
W = np.array([[0.1, -0.4], [0.5, -0.3]])
ONE = np.ones((3, 1))
RIGHT_CLASS = (1, 0, 0)  # of the three points, counted from zero


def hinge(scores: Array) -> Array:
    """The multi-class hinge loss with margin 1, point by point and class by class."""
    total = 0.0
    for row, right in zip(scores, RIGHT_CLASS, strict=True):
        total += sum(max(0.0, s - row[right] + 1) for k, s in enumerate(row) if k != right)
    return np.array([[total / 3]])


def entropy(p: Array) -> Array:
    """The mean of minus the logarithm of the right class's probability."""
    picked = [p[k, right] for k, right in enumerate(RIGHT_CLASS)]
    return np.array([[-np.mean(np.log(picked))]])


def soft(scores: Array) -> Array:
    e = np.exp(scores)
    return e / e.sum(axis=1, keepdims=True)


SVM = Work(
    "q02-svm", 4, {"X": X, "Y": Y, "W": W},
    (
        ("Xb", lambda v: np.hstack([v["X"], ONE])),
        ("Wb", lambda v: np.hstack([v["W"], np.zeros((2, 1))])),
        ("S", lambda v: v["Xb"] @ v["Wb"].T),
        ("L", lambda v: hinge(v["S"])),
    ),
    {
        "S": (("classes in columns", lambda v: v["X"] @ v["W"]),),
        "L": (("sum for mean", lambda v: 3 * hinge(v["S"])),),
    },
)  # fmt: skip

SOFTMAX = Work(
    "q03-softmax", 4, {"X": X, "Y": Y, "W": W},
    (
        ("S", lambda v: v["X"] @ v["W"].T),
        ("P", lambda v: soft(v["S"])),
        ("Ldata", lambda v: entropy(v["P"])),
        ("Lreg", lambda v: np.array([[0.3 * (v["W"] ** 2).sum()]])),
        ("L", lambda v: v["Ldata"] + v["Lreg"]),
        ("grad(L, W)", lambda v: (v["P"] - v["Y"]).T @ v["X"] / 3 + 0.6 * v["W"]),
    ),
    {
        "S": (("classes in columns", lambda v: v["X"] @ v["W"]),),
        "P": (("turned round", lambda v: soft(-v["S"])),),
        "Ldata": (("sum for mean", lambda v: 3 * entropy(v["P"])),),
        "Lreg": (("half", lambda v: np.array([[0.15 * (v["W"] ** 2).sum()]])),),
        "grad(L, W)": (
            ("sum for mean", lambda v: (v["P"] - v["Y"]).T @ v["X"] + 0.6 * v["W"]),
            ("no penalty", lambda v: (v["P"] - v["Y"]).T @ v["X"] / 3),
        ),
    },
)  # fmt: skip

STEP = Work(
    "q04-step", 2, {"X": X, "Y": Y, "W": W},
    (
        ("S", lambda v: v["X"] @ v["W"].T),
        ("E", lambda v: np.exp(v["S"])),
        ("Z", lambda v: v["E"].sum(axis=1, keepdims=True)),
        ("P", lambda v: v["E"] / v["Z"]),
        ("l", lambda v: -np.log((v["P"] * v["Y"]).sum(axis=1, keepdims=True))),
        ("Ldata", lambda v: v["l"].mean(keepdims=True)),
        ("Lreg", lambda v: np.array([[0.3 * (v["W"] ** 2).sum()]])),
        ("L", lambda v: v["Ldata"] + v["Lreg"]),
        ("D", lambda v: v["P"] - v["Y"]),
        ("Gdata", lambda v: v["D"].T @ v["X"] / 3),
        ("Greg", lambda v: 0.6 * v["W"]),
        ("GW", lambda v: v["Gdata"] + v["Greg"]),
        ("Gb", lambda v: v["D"].mean(axis=0, keepdims=True).T),
        ("Wnew", lambda v: v["W"] - 0.01 * v["GW"]),
    ),
    {
        "S": (("classes in columns", lambda v: v["X"] @ v["W"]),),
        "E": (("a sign", lambda v: np.exp(-v["S"])),),
        "Z": (("down the columns", lambda v: ONE * v["E"].sum()),),
        "Ldata": (("sum for mean", lambda v: v["l"].sum(keepdims=True)),),
        "D": (("a sign", lambda v: v["Y"] - v["P"]),),
        "Gdata": (("sum for mean", lambda v: v["D"].T @ v["X"]),),
        "GW": (("a sign", lambda v: v["Gdata"] - v["Greg"]),),
    },
)  # fmt: skip

PATIENT = Work(
    "q05-missed-patient", 4,
    {"x": np.array([[1.0], [2]]), "w": np.array([[0.5], [-1]])},
    (
        ("z", lambda v: v["w"].T @ v["x"] + 0.25),
        ("a", lambda v: sigmoid(v["z"])),
        ("L", lambda v: -9 * np.log(v["a"])),
    ),
    {
        "z": (("no bias", lambda v: v["w"].T @ v["x"]), ("a sign", lambda v: -v["w"].T @ v["x"])),
        "a": (("another function", lambda v: np.tanh(v["z"]) ** 2),),
        "L": (("no weight", lambda v: -np.log(v["a"])), ("a sign", lambda v: 9 * np.log(v["a"]))),
    },
)  # fmt: skip

EXAM = (SVM, SOFTMAX, STEP, PATIENT)
