"""Choices that change an asked value: what was taken, and what the other reading gives."""

from __future__ import annotations

import numpy as np
import pytest

from backproof.working.conventions import (
    Reading,
    convention_note,
    conventions_working,
    readings,
)

from .sheets import POINTS, lines, model

X = np.array([[2.0, 5], [3, 1], [1, 1]])
Y = np.array([[0.0, 1], [1, 0], [1, 0]])
W = np.array([[0.1, -0.4], [0.5, -0.3]])
SOFTMAX = POINTS + (
    "given lambda = 0.3\nS = X @ W.T + b.T\nP = softmax(S)\nLdata = cross_entropy(P, Y)\n"
    "Lreg = lambda*sumsq(W)\nL = Ldata + Lreg\nround 6\n"
)


def loss(scores: np.ndarray) -> float:
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return float(-np.sum(Y * np.log(p)) / 3)


def found(text: str) -> dict[str, Reading]:
    return {r.taken: r for r in readings(model(text))}


def other(reading: Reading, name: str = "L") -> float:
    return float(reading.changed[name][1])


def test_every_other_reading_of_the_exam() -> None:
    read = found(SOFTMAX)
    penalty = 0.3 * float(np.sum(W * W))
    rows = read["the classes or units are the rows of W"]
    assert other(rows) == pytest.approx(loss(X @ W) + penalty, abs=1e-6)
    half = read["the sum of the squared weights without a half"]
    assert other(half) == pytest.approx(loss(X @ W.T) + penalty / 2, abs=1e-6)
    mean = read["the mean over the samples"]
    assert other(mean) == pytest.approx(3 * loss(X @ W.T) + penalty, abs=1e-6)
    base = read["the natural logarithm"]
    assert other(base) == pytest.approx(loss(X @ W.T) / np.log(2) + penalty, abs=1e-6)


def test_a_bias_of_zero_changes_nothing_and_is_not_mentioned() -> None:
    assert "the bias is not regularised" not in found(SOFTMAX)
    with_bias = found(SOFTMAX.replace("b = [0, 0]", "b = [1, 2]"))
    reading = with_bias["the bias is not regularised"]
    assert reading.lines == ("Lreg = lambda * (sumsq(W) + sumsq(b))",)
    assert other(reading, "Lreg") == pytest.approx(0.3 * (0.51 + 5), abs=1e-6)


def test_a_half_that_is_there_is_taken_away() -> None:
    text = "given x = [1, 2]\ngiven y = 3\nlearn w = [1, 1]\ns = w.T @ x\n"
    for penalty in ("0.1*sumsq(w)/2", "0.5*0.1*sumsq(w)", "0.1/2*sum(w**2)", "0.1*norm(w)**2/2"):
        reading = found(f"{text}L = (s - y)**2 + {penalty}\n")[
            "half the sum of the squared weights"
        ]
        assert other(reading) == pytest.approx(0.2)


def test_sums_of_squares_have_a_mean() -> None:
    text = "given x = [1, 2]\nlearn w = [3, 5]\nL = sse(w, x)\n"
    assert other(found(text)["the sum of the squared differences"]) == pytest.approx(13 / 2)


def test_rounding_at_each_step_or_at_the_end() -> None:
    text = "given x = 1.25\ny = x*x\nz = y*y\n"
    each = found(text + "round 1 each\n")["every result rounded and carried on"]
    assert each.changed == {"z": ("2.6", "2.4")}
    end = found(text + "round 1 end\n")["rounded at the end only"]
    assert end.changed == {"z": ("2.4", "2.6")}


def test_gradients_that_are_asked_for_are_compared() -> None:
    read = found(SOFTMAX + "ask gradient L wrt W\n")
    half = read["the sum of the squared weights without a half"]
    assert "grad(L, W)" in half.changed


def test_nothing_is_said_where_nothing_would_change() -> None:
    text = "given x in R[3]\nlearn w in R[3]\nL = (w.T @ x)**2\n"
    assert readings(model(text)) == []
    assert convention_note(model(text)) is None
    (step,) = conventions_working(model(text)).steps
    assert step.text == "No other reading changes an asked value."


def test_the_working_and_the_note() -> None:
    shown = lines(conventions_working(model(SOFTMAX)))
    assert "the sum of the squared weights without a half, not half of it" in shown
    assert "  the other way: Lreg = lambda * (sumsq(W) / 2)" in shown
    note = convention_note(model(SOFTMAX))
    assert note is not None
    assert note.kind == "note"
    assert "the classes or units are the rows of W, not its columns" in note.text
    assert "logarithm" not in note.text


def test_columns_are_told_from_rows() -> None:
    text = POINTS.replace("learn b = [0, 0]\n", "") + "S = X @ W\nL = hinge(S, Y)\n"
    reading = found(text)["the classes or units are the columns of W"]
    assert reading.lines == ("S = X @ W.T",)
    assert other(reading) == pytest.approx(3.8 / 3, abs=1e-4)
