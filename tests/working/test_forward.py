"""Forward values: by hand, rounded at each step or at the end, with losses written out."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest

from backproof.calculus.values import round_half_away, sheet_values, show_array, show_number
from backproof.errors import ValueProblem
from backproof.working.forward import forward_working, value_working

from .sheets import POINTS, SIAMESE, expr, lines, model, result, value

SVM = POINTS + "S = bias_trick(X) @ bias_trick(W, b).T\nL = hinge(S, Y, margin=1)\n"
SOFTMAX = POINTS + (
    "given lambda = 0.3\nS = X @ W.T + b.T\nP = softmax(S)\n"
    "Ldata = cross_entropy(P, Y)\nL = Ldata + lambda*sumsq(W)\n"
)
X = np.array([[2.0, 5], [3, 1], [1, 1]])
Y = np.array([[0.0, 1], [1, 0], [1, 0]])
W = np.array([[0.1, -0.4], [0.5, -0.3]])


# --- question 2: the SVM loss --------------------------------------------------------------------


def test_the_svm_loss_shows_margins_samples_and_mean() -> None:
    text = lines(forward_working(model(SVM)))
    at = text.index("L = hinge(S, Y, margin=1)")
    assert text[at:] == [
        "L = hinge(S, Y, margin=1)",
        "  score of the right class: right = sum(Y*S, axis=1)",
        "    [-0.5, -0.1, -0.3]",
        "  margins = (1 - Y)*max(0, S - right + 1)",
        "    sample 1: [max(0, -1.8 - (-0.5) + 1), –] = [0.0, –]",
        "    sample 2: [–, max(0, 1.2 - (-0.1) + 1)] = [–, 2.3]",
        "    sample 3: [–, max(0, 0.2 - (-0.3) + 1)] = [–, 1.5]",
        "  loss of each sample: each = sum(margins, axis=1)",
        "    sample 1: 0.0 + 0.0 = 0.0",
        "    sample 2: 0.0 + 2.3 = 2.3",
        "    sample 3: 0.0 + 1.5 = 1.5",
        "  mean over the samples: mean(each)",
        "    (0.0 + 2.3 + 1.5)/3 = 1.2667",
        "  L = 1.2667",
    ]


def test_the_svm_scores_are_numpys() -> None:
    working = forward_working(model(SVM))
    assert np.allclose(value(working, "S"), X @ W.T)
    assert result(working, "S").verified is not None
    assert result(working, "L").shape == ()


# --- question 3: the softmax loss ----------------------------------------------------------------


def test_the_softmax_loss_is_numpys() -> None:
    working = forward_working(model(SOFTMAX))
    scores = X @ W.T
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    data = -np.log(p[Y == 1])
    assert np.allclose(value(working, "P"), p, atol=5e-5)
    assert value(working, "L") == pytest.approx(data.mean() + 0.3 * (W**2).sum(), abs=5e-5)
    text = lines(working)
    assert "    sample 1: -log(0.7858) = 0.2410" in text
    assert "    sample 2: -log(0.2142) = 1.5410" in text
    assert "    (0.2410 + 1.5410 + 0.9741)/3 = 0.9187" in text


def test_the_penalty_is_written_entry_by_entry() -> None:
    text = lines(forward_working(model(SOFTMAX + "R = lambda*sumsq(W)")))
    assert "  = 0.3*(0.1**2 + (-0.4)**2 + 0.5**2 + (-0.3)**2)" in text


# --- question 4: rounded at each step ------------------------------------------------------------

STEPS = POINTS + (
    "round 2 each\ngiven lambda = 0.3\nS = X @ W.T + b.T\nE = exp(S)\nZ = sum(E, axis=1)\n"
    "P = E/Z\nl = -sum(Y*log(P), axis=1)\nLdata = mean(l)\nL = Ldata + lambda*sumsq(W)\n"
)


def half_up(x: Decimal, n: int = 2) -> Decimal:
    return x.quantize(Decimal(1).scaleb(-n), rounding=ROUND_HALF_UP)


def test_rounding_at_each_step_is_carried_on() -> None:
    # By hand: every line from the rounded line before.
    scores = [["-1.80", "-0.50"], ["-0.10", "1.20"], ["-0.30", "0.20"]]
    e = [[half_up(Decimal(x).exp()) for x in row] for row in scores]
    z = [sum(row) for row in e]
    p = [[half_up(x / t) for x in row] for row, t in zip(e, z, strict=True)]
    right = [p[0][1], p[1][0], p[2][0]]
    losses = [half_up(-x.ln()) for x in right]
    data = half_up(sum(losses) / 3)
    total = half_up(data + half_up(Decimal("0.3") * Decimal("0.51")))
    working = forward_working(model(STEPS))
    assert result(working, "E").value == e
    assert result(working, "P").value == p
    assert result(working, "l").value == losses
    assert result(working, "Ldata").value == data == Decimal("0.93")
    assert result(working, "L").value == total == Decimal("1.08")
    assert result(working, "E").because == "rounded to 2 decimals"


def test_where_the_policies_differ_it_is_said() -> None:
    text = lines(forward_working(model(STEPS)))
    assert "L: rounding at each step gives 1.08, carrying full precision 1.07." in text
    value_text = lines(value_working(model(STEPS.replace("each", "end")), expr("L")))
    assert value_text[-2:] == [
        "  L = 1.07",
        "L: rounding at each step gives 1.08, carrying full precision 1.07.",
    ]


def test_the_lines_of_a_loss_are_rounded_and_carried_on() -> None:
    m = model(
        "round 1 each\ngiven P = [[0.5, 0.5], [0.7, 0.3], [0.9, 0.1]]\n"
        "given Y = [[1, 0], [1, 0], [1, 0]]\nL = cross_entropy(P, Y)"
    )
    # 0.693, 0.357, 0.105 are 0.7, 0.4, 0.1; their mean is 0.4, and 0.385 would be 0.4 too
    assert lines(forward_working(m))[-3:] == [
        "  mean over the samples: mean(each)",
        "    (0.7 + 0.4 + 0.1)/3 = 0.4",
        "  L = 0.4",
    ]
    two = "round 0 each\ngiven a = [0.6, 1.4]\ngiven y = [0, 0]\n"
    assert value(forward_working(model(two + "L = mse(a, y)")), "L") == 1  # (0 + 2)/2
    assert value(forward_working(model(two + "L = sse(a, y)")), "L") == 2  # 0 + 2, and not 2.32


def test_a_computed_argument_is_a_line_of_its_own() -> None:
    m = model("round 1 each\ngiven x = [1.26, 2]\ngiven y = [0, 0]\nL = sse(x*x, y)")
    text = lines(forward_working(m))
    assert "    [1.26, 2]*[1.26, 2] = [1.6, 4.0]" in text
    assert "    entry 1: (1.6 - 0)**2 = 2.6" in text


def test_given_values_and_constants_are_not_rounded() -> None:
    m = model("round 1 each\ngiven x = 1.25\neta = 0.04\ny = x*x\nz = y*y\nw = eta*10")
    working = forward_working(m)
    assert (value(working, "x"), value(working, "y"), value(working, "z")) == (1.25, 1.6, 2.6)
    assert value(working, "w") == 0.4


@pytest.mark.parametrize(
    ("x", "shown"),
    [("0.125", "0.13"), ("-0.125", "-0.13"), ("0.135", "0.14"), ("-0.004", "0.00"), ("2", "2.00")],
)
def test_ties_go_away_from_zero_and_zero_has_no_sign(x: str, shown: str) -> None:
    assert show_number(Decimal(x), 2) == shown
    rounded = round_half_away(np.array([[Decimal(x)]], dtype=object), 2)[0, 0]
    assert f"{rounded:f}" == shown


def test_a_tie_that_binary_fractions_would_miss() -> None:
    m = model("round 2 each\ngiven x = 1.005\ny = x*1\ngiven u = 0.25\nv = -u/2")
    working = forward_working(m)
    assert result(working, "y").value == Decimal("1.01")
    assert result(working, "v").value == Decimal("-0.13")


# --- other losses, sums with an index ------------------------------------------------------------


def test_binary_cross_entropy_keeps_only_the_term_of_the_label() -> None:
    m = model("given a = [0.8, 0.3]\ngiven y = [1, 0]\nL = bce(a, y)")
    text = lines(forward_working(m))
    assert "    entry 1: -log(0.8) = 0.2231" in text
    assert "    entry 2: -log(1 - 0.3) = 0.3567" in text
    assert value(forward_working(m), "L") == pytest.approx(
        -(np.log(0.8) + np.log(0.7)) / 2, abs=5e-5
    )


def test_the_rest_of_an_equation_with_a_loss() -> None:
    m = model("given a = [1, 3]\ngiven y = [0, 1]\nlearn w = 2\nL = mse(a, y) + 0.5*w**2")
    assert lines(forward_working(m))[-2:] == ["  = 2.5 + 0.5*2**2", "  L = 4.5"]


def test_a_sum_with_an_index_is_written_out() -> None:
    m = model(
        "given a = [0.5, 0.25]\ngiven y = [0, 1]\nL = -sum(y[i]*log(a[i]) for i in 1..2)\n"
        "M = sum(a[i]*a[j] for i in 1..2 for j in 1..i if i != j)"
    )
    text = lines(forward_working(m))
    assert "  = -log(0.25)" in text
    assert "  = 0.25*0.5" in text


def test_a_long_sum_has_dots() -> None:
    m = model(f"given x = {[*range(1, 21)]}\ns = sum(x)")
    assert "  = 1 + 2 + 3 + … + 20" in lines(forward_working(m))


def test_one_column_is_one_sample() -> None:
    m = model("given p = [0.2, 0.5, 0.3]\ngiven y = [0, 1, 0]\nL = cross_entropy(p, y)")
    assert lines(forward_working(m))[-3:] == [
        "  loss of the sample: -sum(y*log(p), axis=0)",
        "    -log(0.5) = 0.6931",
        "  L = 0.6931",
    ]


def test_many_samples_are_cut() -> None:
    rows = ", ".join(["[0.5, 0.5]"] * 30)
    labels = ", ".join(["[1, 0]"] * 30)
    m = model(f"given P = [{rows}]\ngiven Y = [{labels}]\nL = cross_entropy(P, Y)")
    text = lines(forward_working(m))
    assert "    … and 26 more samples in the same way" in text
    assert "    sample 30: -log(0.5) = 0.6931" in text


def test_zero_probability_of_a_wrong_class_costs_nothing() -> None:
    m = model("given P = [[1, 0], [0.5, 0.5]]\ngiven Y = [[1, 0], [0, 1]]\nL = cross_entropy(P, Y)")
    assert value(forward_working(m), "L") == pytest.approx(np.log(2) / 2, abs=5e-5)


# --- symbols, and one value ----------------------------------------------------------------------


def test_without_values_the_equations_stay_in_symbols() -> None:
    working = forward_working(model(SIAMESE))
    assert [s.label for s in working.steps if s.kind == "equation"][:2] == ["zA1", "aA1"]
    assert lines(working)[-1] == (
        "xA, xB, y, W1, b1, W2 and b2 have no value, so what depends on them stays in symbols."
    )
    assert working.data["missing"] == ["xA", "xB", "y", "W1", "b1", "W2", "b2"]


def test_what_has_values_is_computed_beside_what_has_none() -> None:
    working = forward_working(model("given x = 2\nlearn w in R\nu = x**2\nv = w*u"))
    assert value(working, "u") == 4
    assert lines(working)[-1] == "w has no value, so what depends on it stays in symbols."


def test_a_value_brings_what_leads_to_it_and_nothing_else() -> None:
    working = value_working(model("given x = 2\ngiven t = 5\nu = x**2\nv = t + 1"), expr("3*u"))
    assert [s.label for s in working.steps if s.kind != "note"] == [
        "x", "u", "u", "u", "3*u", "3*u", "3*u",
    ]  # fmt: skip
    assert lines(working)[-1] == "  3*u = 12"
    assert working.ask == "value 3*u"


def test_large_arrays_are_summarised() -> None:
    assert show_array(np.array([[Decimal(1)], [Decimal(2)]], dtype=object), 1) == "[1.0, 2.0]"
    m = model(f"given x = {[*range(1, 41)]}\ny = 2*x")
    assert "  y = [2, 4, 6, …]" in lines(forward_working(m))


def test_every_line_has_latex_and_a_check() -> None:
    working = forward_working(model(SOFTMAX))
    for step in working.steps:
        if step.kind == "equation":
            assert step.latex
    assert all(result(working, n).verified for n in ("S", "P", "Ldata", "L"))


# --- what is not defined -------------------------------------------------------------------------

UNDEFINED = {
    "given z = [1, -0.5]\nL = sum(log(z))": (
        "net.sheet:2:9: log(z) in the equation for L has no value: "
        "entry [2] of z is -0.5, and a logarithm needs a positive number.\n"
        "  2 | L = sum(log(z))\n"
        "    |         ^^^"
    ),
    "given z = 0\nL = 2 + 1/z": (
        "net.sheet:2:10: 1/z in the equation for L has no value: "
        "z is 0, and nothing can be divided by zero.\n"
        "  2 | L = 2 + 1/z\n"
        "    |          ^"
    ),
    "given A = [[1, 2], [2, 4]]\nB = 3*inv(A)": (
        "net.sheet:2:7: inv(A) in the equation for B has no value: "
        "the matrix has no inverse.\n"
        "  2 | B = 3*inv(A)\n"
        "    |       ^^^"
    ),
    "given P = [[0.5, 0.5], [1, 0]]\ngiven Y = [[0, 1], [0, 1]]\nL = 2*cross_entropy(P, Y)": (
        "net.sheet:3:7: log(P) in the equation for L has no value: "
        "entry [2, 2] of P is 0, and a logarithm needs a positive number.\n"
        "  3 | L = 2*cross_entropy(P, Y)\n"
        "    |       ^^^^^^^^^^^^^"
    ),
    "given a = [1, -2]\nL = sum(log(a[i]) for i in 1..2)": (
        "net.sheet:2:9: log(a[i]) in the equation for L has no value: "
        "a[i] at i = 2 is -2, and a logarithm needs a positive number.\n"
        "  2 | L = sum(log(a[i]) for i in 1..2)\n"
        "    |         ^^^"
    ),
    "given a = 10000000\nL = exp(a)": (
        "net.sheet:2:5: exp(a) in the equation for L has no value: "
        "a is 10000000, and its exponential is too large to be computed.\n"
        "  2 | L = exp(a)\n"
        "    |     ^^^"
    ),
    "round 2 each\ngiven a = 0.001\nb = a*1\nL = log(b)": (
        "net.sheet:4:5: log(b) in the equation for L has no value: "
        "b is 0, and a logarithm needs a positive number.\n"
        "  4 | L = log(b)\n"
        "    |     ^^^\n"
        "  hint: b became 0 there by rounding to 2 decimals; keep more"
    ),
}


@pytest.mark.parametrize("text", UNDEFINED)
def test_where_a_value_is_not_defined(text: str) -> None:
    with pytest.raises(ValueProblem) as caught:
        forward_working(model(text))
    assert str(caught.value) == UNDEFINED[text]


def test_only_what_is_asked_for_must_be_defined() -> None:
    m = model("given z = -1\nu = log(z)\nv = 2*z")
    assert value(value_working(m, expr("v")), "v") == -2
    with pytest.raises(ValueProblem, match="log\\(2\\*z\\) in the expression has no value"):
        value_working(m, expr("log(2*z)"))


def test_sheet_values_of_the_other_policy() -> None:
    m = model(STEPS)
    assert str(sheet_values(m).named("L")[0, 0]) == "1.08"
    assert str(sheet_values(m, each=False).named("L")[0, 0]).startswith("1.0716")
    assert sheet_values(model(SIAMESE)).missing(model(SIAMESE).leaves["y"]) == {"y"}


def test_a_sheet_without_equations_says_so() -> None:
    assert lines(forward_working(model("given x in R[3]\n"))) == ["The sheet has no equations."]


def test_a_power_that_is_too_large_says_so() -> None:
    with pytest.raises(ValueProblem) as caught:
        forward_working(model("x = 2**(10**9)\n"))
    assert "has no value: the result is too large to be computed." in caught.value.message


def test_large_arrays_are_computed_in_double_precision_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "given A = [[0.1, 0.2], [0.3, 0.4]]\nB = A @ A\ns = sum(B)\n"
    exact = forward_working(model(text))
    assert not [s for s in exact.steps if s.label == "precision"]
    assert any(s.verified is not None for s in exact.steps)
    monkeypatch.setattr("backproof.calculus.values.BY_HAND", 7)  # A @ A takes eight
    rough = forward_working(model(text))
    assert [s.text for s in rough.steps if s.label == "precision"] == [
        "The arrays are large, so some values are computed in double precision (15 digits)."
    ]
    assert all(s.verified is None for s in rough.steps)
    # 0.1·0.1 + 0.2·0.3 + 0.1·0.2 + 0.2·0.4 + 0.3·0.1 + 0.4·0.3 + 0.3·0.2 + 0.4·0.4 = 0.54
    assert value(rough, "s") == pytest.approx(0.54, abs=1e-12)
    assert value(exact, "s") == 0.54
