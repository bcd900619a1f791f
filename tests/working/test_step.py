"""One step of gradient descent: by hand, rounded, in symbols, and what cannot be stepped."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from backproof.errors import NameProblem, ShapeProblem, ValueProblem
from backproof.working.answer import answer_question
from backproof.working.step import loss_of, step_working

from .sheets import POINTS, SIAMESE, expr, lines, model, result, value

SOFTMAX = POINTS + (
    "given lambda = 0.3\nS = X @ W.T + b.T\nP = softmax(S)\n"
    "L = cross_entropy(P, Y) + lambda*sumsq(W)\n"
)
X = np.array([[2.0, 5], [3, 1], [1, 1]])
Y = np.array([[0.0, 1], [1, 0], [1, 0]])
W = np.array([[0.1, -0.4], [0.5, -0.3]])


def gradients() -> tuple[np.ndarray, np.ndarray]:
    scores = X @ W.T
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return (p - Y).T @ X / 3 + 0.6 * W, (p - Y).sum(axis=0) / 3


def test_the_exam_step_at_full_precision() -> None:
    working = step_working(model(SOFTMAX), ["W", "b"], 0.01)
    gw, gb = gradients()
    assert np.allclose(value(working, "∂L/∂W"), gw, atol=5e-5)
    assert np.allclose(value(working, "∂L/∂b"), gb, atol=5e-5)
    assert np.allclose(value(working, "W"), W - 0.01 * gw, atol=5e-5)
    assert np.allclose(value(working, "b"), -0.01 * gb, atol=5e-5)
    checked = result(working, "∂L/∂W").verified
    assert checked is not None
    assert (checked.points, checked.failed) == (4, 0)
    assert working.data["loss"] == "L"


def test_the_exam_step_rounded_to_two_decimals() -> None:
    text = lines(step_working(model(SOFTMAX + "round 2 each"), ["W", "b"], expr("0.01")))
    assert text[0] == "One step of gradient descent on L in W and b, learning rate 0.01."
    at = text.index("W := W - 0.01*∂L/∂W")
    # From the rounded P: (P - Y)ᵀ X / 3 is [[-2.57/3, -0.36/3], …], and 2 λ W is added.
    assert text[at + 1 : at + 3] == [
        "  = [[0.1, -0.4], [0.5, -0.3]] - 0.01*[[-0.80, -0.36], [1.16, -0.06]]",
        "  W := [[0.11, -0.40], [0.49, -0.30]]",
    ]
    assert "  b := [0.00, 0.00]" in text
    assert text[-1] == (
        "Rounded to 2 decimals, half away from zero: every value on the way, the gradient, "
        "and the new value."
    )


def test_a_step_too_small_for_the_decimals_says_so() -> None:
    working = step_working(model(SOFTMAX + "round 2 each"), ["b"], 0.01)
    assert result(working, "b").because == "the step is smaller than the last decimal kept"


def test_without_values_the_step_stays_in_symbols() -> None:
    working = step_working(model(SIAMESE), [], 0.1)
    text = lines(working)
    assert text[0] == ("One step of gradient descent on L in W1, b1, W2 and b2, learning rate 0.1.")
    assert "∂L/∂W2 = (a2 - y)*a1.T" in text
    assert "W1 := W1 - 0.1*∂L/∂W1" in text
    assert text[-1] == ("xA, xB, y, W1, b1, W2 and b2 have no value, so the step stays in symbols.")
    for step in working.steps:
        if step.text.startswith("∂L/∂"):
            assert step.verified is not None
            assert step.verified.failed == 0


def test_a_step_by_hand() -> None:
    # L = (w x - y)² = 1, its derivative 2 (w x - y) x = -6, and 1 - 0.5 · (-6) = 4
    working = step_working(
        model("given x = 3\ngiven y = 4\nlearn w = 1\nL = (w*x - y)**2"), ["w"], 0.5
    )
    assert value(working, "∂L/∂w") == -6
    assert value(working, "w") == 4
    assert "  = 1 - 0.5*(-6)" in lines(working)


@pytest.mark.parametrize("rate", [Decimal("0.25"), Fraction(1, 4), 0.25, "0.25", expr("1/4")])
def test_every_way_to_give_a_rate(rate: object) -> None:
    working = step_working(model("learn w = 2\nL = w**2"), ["w"], rate)  # type: ignore[arg-type]
    assert value(working, "w") == 1


def test_a_rate_that_is_a_name_of_the_sheet() -> None:
    working = step_working(model("given eta = 0.25\nlearn w = 2\nL = w**2"), ["w"], expr("eta"))
    assert value(working, "w") == 1
    assert "w := w - eta*∂L/∂w" in lines(working)
    symbolic = step_working(model("given eta in Rpos\nlearn w = 2\nL = w**2"), ["w"], expr("eta"))
    assert symbolic.data["new"] == {}
    assert value(symbolic, "∂L/∂w") == 4


def test_without_a_rate_the_gradient_is_still_worked_out() -> None:
    text = lines(step_working(model("learn w = 2\nL = w**2")))
    assert "No learning rate is given; write it behind the word rate, as in rate 0.01." in text
    assert "∂L/∂w = 4" in text


# --- which loss ----------------------------------------------------------------------------------


def test_the_loss_is_the_last_number_that_nothing_uses() -> None:
    m = model("given x = 1\nlearn w = 2, b = 0\na = w*x + b\nA = a**2\nL = A + w**2\nt = x + 1")
    assert loss_of(m, ["w", "b"]) == ("L", ())


def test_several_losses_are_named() -> None:
    m = model("given x = 1\nlearn w = 2\nL = (w*x)**2\nM = w**4")
    assert loss_of(m, ["w"]) == ("M", ("L",))
    text = lines(step_working(m, ["w"], 0.1))
    assert text[1].startswith("M is taken as the loss; L would fit as well.")
    assert lines(step_working(m, ["w"], 0.1, loss="L"))[0].startswith(
        "One step of gradient descent on L in w"
    )


def test_rounding_differences_of_a_gradient_are_said() -> None:
    m = model("round 1 each\ngiven x = 1.25\nlearn w = 1.1\na = w*x\nL = a**2")
    # a = 1.375 -> 1.4, so the gradient is 2 · 1.4 · 1.25 = 3.5 in place of 3.4375 -> 3.4
    text = lines(step_working(m, ["w"], 0.1))
    assert "∂L/∂w: rounding at each step gives 3.5, carrying full precision 3.4." in text


def test_a_kink_is_said() -> None:
    working = step_working(model("given x = 0\nlearn w = 2\nL = relu(w*x)"), ["w"], 0.1)
    step = result(working, "∂L/∂w")
    assert step.verified is None
    assert step.because == "a point where the derivative jumps: step(0) = 0 is taken"


# --- what cannot be stepped ----------------------------------------------------------------------


def test_given_names_are_not_stepped() -> None:
    with pytest.raises(NameProblem) as caught:
        step_working(model("given x = 1\nlearn w = 2\nL = w*x"), ["x"], 0.1)
    assert str(caught.value) == (
        "net.sheet:1:7: A step changes parameters, and x is given, not learned.\n"
        "  1 | given x = 1\n"
        "    |       ^\n"
        "  hint: declare it with learn x in …"
    )


def test_intermediates_and_unknown_names_are_not_stepped() -> None:
    m = model("given x = 1\nlearn w = 2\nL = w*x")
    with pytest.raises(NameProblem, match="L is an equation, not a parameter"):
        step_working(m, ["L"], 0.1)
    with pytest.raises(NameProblem, match="q is not defined"):
        step_working(m, ["q"], 0.1)


def test_a_sheet_without_a_loss() -> None:
    with pytest.raises(ShapeProblem) as caught:
        step_working(model("given x = [1, 2]\nlearn w = [1, 1]\nz = w*x"), ["w"], 0.1)
    assert str(caught.value) == (
        "No equation is a number that depends on w, so there is nothing to make smaller.\n"
        "  hint: define a loss, such as L = mse(a, y)"
    )


def test_a_loss_must_be_a_number() -> None:
    m = model("given x = [1, 2]\nlearn w = [1, 1]\nz = w*x\nL = sum(z)")
    with pytest.raises(ShapeProblem, match="A gradient step needs a number to make smaller"):
        step_working(m, ["w"], 0.1, loss="z")


def test_an_undefined_loss_is_an_error_at_its_place() -> None:
    with pytest.raises(ValueProblem, match="log\\(w\\) in the equation for L has no value"):
        step_working(model("learn w = -1\nL = log(w)"), ["w"], 0.1)


def test_what_the_loss_does_not_reach_stays() -> None:
    m = model("learn w = 2, v = 1\nL = w**2")
    assert "L is not connected to v, so a step leaves v as it is." in lines(
        step_working(m, ["w", "v"], 0.1)
    )


@pytest.mark.parametrize("question", ["step n", "slow n"])
def test_a_dimension_is_no_parameter(question: str) -> None:
    sheet = model("given x in R[n]\nlearn w in R[n]\nL = w.T @ x\n")
    with pytest.raises(NameProblem, match="n is a dimension of this sheet, not a quantity"):
        answer_question(sheet, question)
